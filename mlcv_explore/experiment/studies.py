"""The evidence of an idea: a study's cells run over workers, kept as they finish, and
what their rows decide.
"""

import csv
import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore import idea, statistics
from mlcv_explore.config import Config
from mlcv_explore.experiment import fingerprint, runs
from mlcv_explore.idea import Idea, Study
from mlcv_explore.statistics import Claim, Interval, Split

if TYPE_CHECKING:
    import numpy as np
    from distributed import Client

Outcome = dict[
    str, Any
    # {"metrics": {name: [number or None, one a seed]}, "failed": {seed as text: sentence}, "seconds":
    # float, "fingerprint": text}
]
# claim, arm, settings that vary, seed, measure, value; a value that is undefined is None
Row = dict[str, Any]


def perform(slug: str, values: Mapping[str, Any], seeds: Sequence[int]) -> Outcome:
    """One cell, run in a worker on one thread; what an idea prints goes to stderr.

    When an arm stops with a FloatingPointError the seeds are run one by one: those that
    end well keep their numbers, the others have none, in no arm, and are recorded as
    failed.
    """
    import torch

    torch.set_num_threads(1)
    subject, started = idea.load(slug), time.perf_counter()
    config = subject.config(**values)
    try:
        with redirect_stdout(sys.stderr):
            film = list(subject.run(config, tuple(seeds)))
        metrics = {
            name: [_number(value) for value in column]
            for name, column in subject.metrics(config, film).items()
        }
        failed = {}
    except FloatingPointError as error:
        if len(seeds) > 1:
            return _joined(slug, [perform(slug, values, (seed,)) for seed in seeds])
        metrics, failed = {}, {str(seeds[0]): str(error)}
    return {
        "metrics": metrics,
        "failed": failed,
        "seconds": time.perf_counter() - started,
        "fingerprint": fingerprint.fingerprint(slug),
    }


def outcomes(
    slug: str, configs: Sequence[Config], seeds: Sequence[int], client: "Client"
) -> Iterator[tuple[Config, Outcome]]:
    """Every configuration's outcome, those kept from an earlier call first, the others
    as they finish.
    """
    from distributed import KilledWorker, as_completed

    missing = []
    for config in configs:
        kept = _kept(slug, config, seeds)
        if kept is None:
            missing.append(config)
        else:
            yield config, kept
    futures = {
        client.submit(perform, slug, config.model_dump(), tuple(seeds), pure=False): config
        for config in missing
    }
    for future in as_completed(futures, loop=client.loop):
        try:
            outcome = future.result()
        except KilledWorker as error:
            changed = futures[future].changed() or "the defaults"
            raise ConnectionError(
                f"The worker that ran {slug} with {changed} was lost, probably out of memory; the cells that"
                " ended are kept."
            ) from error
        if outcome["fingerprint"] != fingerprint.fingerprint(slug):
            raise ConnectionError(
                "A worker has other sources than this machine: bring both to the same version, then start"
                " again."
            )
        _keep(slug, futures[future], seeds, outcome)
        yield futures[future], outcome


def cell_configs(study: Study) -> list[Config]:
    """The configurations to run: cells with equal settings share one."""
    return list({cell.config.key(): cell.config for cell in study.cells}.values())


def rows(study: Study, found: Mapping[str, Outcome]) -> list[Row]:
    """The study as a long table, in the order of its cells; `found` maps a config's key
    to its outcome.

    A metric is called "<arm>_<measure>" and a measure is one word, so the last
    underscore parts them.
    """
    varying = varying_settings(study)
    table = []
    for cell in study.cells:
        settings = {name: getattr(cell.config, name) for name in varying}
        for arm, source in cell.arms.items():
            for measure, column in _columns(found[cell.config.key()], source, study.seeds).items():
                for seed, value in zip(study.seeds, column, strict=True):
                    table.append(
                        {
                            "claim": cell.claim,
                            "arm": arm,
                            **settings,
                            "seed": seed,
                            "measure": measure,
                            "value": value,
                        }
                    )
    return table


def varying_settings(study: Study) -> list[str]:
    """The settings that differ between cells, in the order they were declared."""
    cells = study.cells
    return [
        item.name
        for item in cells[0].config.settings()
        if len({getattr(cell.config, item.name) for cell in cells}) > 1
    ]


def verdicts(subject: Idea, study: Study, table: Sequence[Row]) -> list[dict[str, Any]]:
    """What the rows decide, one look, in the order of the claims; a claim without rows
    is undecided at n = 0.
    """
    splits = splits_of(subject, study)
    labels = subject.labels()
    return [
        statistics.decide(
            claim, _per_seed(claim, table), split=splits.get(claim.name), labels=labels
        ).as_json()
        for claim in subject.claims
    ]


def splits_of(subject: Idea, study: Study) -> dict[str, Split | None]:
    """Claim, or figure, → sizes of re-drawn splits in its cells, None where all seeds
    share one split.
    """
    return {cell.claim: subject.split_sizes(cell.config) for cell in study.cells}


class Table:
    """The rows of a study: an arm's values over seeds, their intervals and differences.

    Settings are given as values or as the text the rows hold.
    """

    def __init__(self, rows: Sequence[Row], splits: Mapping[str, Split | None] | None = None) -> None:
        self.rows = rows
        self.splits = splits or {}
        self._columns: dict[tuple[str, str, str], list[Row]] = {}
        for row in rows:
            self._columns.setdefault((row["claim"], row["arm"], row["measure"]), []).append(row)

    def values(self, claim: str, arm: str, measure: str, **settings: Any) -> "np.ndarray":
        """(S,) float64 in the order of the seeds, NaN where undefined. Raises KeyError
        when there is no such row, ValueError when several share a seed.
        """
        import numpy as np

        wanted = {name: str(value) for name, value in settings.items()}
        rows = [
            row
            for row in self._columns.get((claim, arm, measure), ())
            if all(row[name] == value for name, value in wanted.items())
        ]
        by_seed = {row["seed"]: row["value"] for row in rows}
        if not rows:
            raise KeyError(f"The study has no {measure} of {arm} in {claim} with {wanted}.")
        if len(by_seed) < len(rows):
            raise ValueError(f"{claim}, {arm}, {measure}: several rows a seed; name more settings.")
        return np.array([math.nan if by_seed[seed] is None else by_seed[seed] for seed in sorted(by_seed)])

    def interval(self, claim: str, arm: str, measure: str, level: float = 0.95, **settings: Any) -> Interval:
        """The mean over seeds with its interval, corrected where splits were re-drawn."""
        return self.of(claim, self.values(claim, arm, measure, **settings), level)

    def difference(
        self, claim: str, one: str, other: str, measure: str, level: float = 0.95, **settings: Any
    ) -> Interval:
        """The mean paired difference of two arms, one − other, with its interval."""
        first, second = (self.values(claim, arm, measure, **settings) for arm in (one, other))
        return self.of(claim, first - second, level)

    def of(self, claim: str, values: "np.ndarray", level: float = 0.95) -> Interval:
        """The interval of values (S,) computed from this claim's rows."""
        return statistics.interval(values, self.splits.get(claim), level)

    def levels(self, claim: str, setting: str) -> list[str]:
        """The values a setting takes in a claim's rows, as text, in their order."""
        return list(dict.fromkeys(row[setting] for row in self.rows if row["claim"] == claim))

    def arms(self, claim: str) -> list[str]:
        """The arms of a claim's rows, in their order."""
        return list(dict.fromkeys(row["arm"] for row in self.rows if row["claim"] == claim))

    def grid(
        self, claim: str, down: str, across: str, one: str, other: str, measure: str
    ) -> tuple[list[str], list[str], "np.ndarray"]:
        """Paired differences one − other over two settings: the levels of each in
        numeric order, and differences (R, C, S).
        """
        import numpy as np

        rows, columns = (sorted(self.levels(claim, name), key=float) for name in (down, across))
        first, second = (
            np.array(
                [
                    [self.values(claim, arm, measure, **{down: row, across: column}) for column in columns]
                    for row in rows
                ]
            )
            for arm in (one, other)
        )
        return rows, columns, first - second


def write(
    folder: Path, study: Study, subject: Idea, table: Sequence[Row], about: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """`<study>.csv` and `<study>.json` into the folder, each whole or not at all;
    returns the verdicts.
    """
    decided = verdicts(subject, study, table)
    record = {
        "study": study.name,
        "seeds": list(study.seeds),
        "claims": [dataclasses.asdict(claim) for claim in subject.claims],
    }
    text = json.dumps({**record, "verdicts": decided, **about}, indent=1, ensure_ascii=False, allow_nan=False)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{study.name}.csv.part"
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {**row, "value": "" if row["value"] is None else f"{row['value']:.10g}"} for row in table
        )
    os.replace(part, folder / f"{study.name}.csv")
    _write_whole(folder / f"{study.name}.json", text)
    return decided


def read(folder: Path, study: Study) -> list[Row]:
    """The rows that were written for a study; settings stay text."""
    with (folder / f"{study.name}.csv").open(encoding="utf-8", newline="") as file:
        return [
            {**row, "seed": int(row["seed"]), "value": float(row["value"]) if row["value"] else None}
            for row in csv.DictReader(file)
        ]


def first_cells(study: Study, count: int) -> Study:
    """The study cut down to its first cells."""
    return dataclasses.replace(study, cells=study.cells[:count])


def changed(study: Study, changes: Mapping[str, Any], seeds: int | None) -> Study:
    """The study with other settings in every cell, or another number of seeds."""
    cells = tuple(dataclasses.replace(cell, config=cell.config.replace(**changes)) for cell in study.cells)
    return dataclasses.replace(
        study, cells=cells, seeds=study.seeds if seeds is None else tuple(range(seeds))
    )


def _columns(outcome: Outcome, arm: str, seeds: Sequence[int]) -> dict[str, list[float | None]]:
    split = {name: name.rpartition("_") for name in outcome["metrics"]}
    columns = {
        measure: outcome["metrics"][name] for name, (prefix, _, measure) in split.items() if prefix == arm
    }
    if outcome["failed"]:
        columns["diverged"] = [float(str(seed) in outcome["failed"]) for seed in seeds]
    if not columns:
        raise ValueError(
            f"The run has no metric of the arm {arm!r}; its metrics are {', '.join(outcome['metrics'])}."
        )
    return columns


def _per_seed(claim: Claim, table: Sequence[Row]) -> dict[str, Any]:
    """The claim's measure for each of its arms, (S,) float64 with NaN for what is
    undefined.
    """
    import numpy as np

    found: dict[str, dict[int, float]] = {arm: {} for pair in claim.contrasts for arm in pair}
    for row in table:
        if row["claim"] == claim.name and row["measure"] == claim.measure and row["arm"] in found:
            value = math.nan if row["value"] is None else row["value"]
            if row["seed"] in found[row["arm"]]:
                raise ValueError(
                    f"The claim {claim.name!r} has two numbers for the arm {row['arm']!r} and seed"
                    f" {row['seed']}."
                )
            found[row["arm"]][row["seed"]] = value
    seeds = sorted({seed for values in found.values() for seed in values})
    return {arm: np.array([values.get(seed, math.nan) for seed in seeds]) for arm, values in found.items()}


def _joined(slug: str, outcomes: Sequence[Outcome]) -> Outcome:
    """Outcomes of single seeds as one, None where a seed has no number."""
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome["metrics"]))
    metrics = {name: [outcome["metrics"].get(name, [None])[0] for outcome in outcomes] for name in names}
    failed = {seed: sentence for outcome in outcomes for seed, sentence in outcome["failed"].items()}
    seconds = sum(outcome["seconds"] for outcome in outcomes)
    return {
        "metrics": metrics,
        "failed": failed,
        "seconds": seconds,
        "fingerprint": fingerprint.fingerprint(slug),
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _path(slug: str, config: Config, seeds: Sequence[int]) -> Path:
    return runs.home() / "evidence" / f"{slug}-{runs.identity(slug, config, tuple(seeds))}.json"


def _kept(slug: str, config: Config, seeds: Sequence[int]) -> Outcome | None:
    try:
        return json.loads(_path(slug, config, seeds).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # absent, or damaged: it is run again
        return None


def _keep(slug: str, config: Config, seeds: Sequence[int], outcome: Outcome) -> None:
    path = _path(slug, config, seeds)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(path, json.dumps(outcome, allow_nan=False))


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
