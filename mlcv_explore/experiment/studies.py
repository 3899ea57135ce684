"""The evidence of an idea: a study's cells run on workers, each saved as it finishes,
and the verdicts on their rows.
"""

import csv
import dataclasses
import io
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore import environment, idea, statistics
from mlcv_explore.config import Config
from mlcv_explore.experiment import fingerprint, runs
from mlcv_explore.experiment.table import Row, Splits, Table
from mlcv_explore.files import write_atomically
from mlcv_explore.idea import Idea, Study
from mlcv_explore.statistics import Claim

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Row", "Table"]  # of `table`
Outcome = dict[
    str, Any
    # {"metrics": {name: [number or None, one a seed]}, "failed": {seed as text: sentence}, "seconds":
    # float, "fingerprint": text}
]


def perform(slug: str, values: Mapping[str, Any], seeds: Sequence[int]) -> Outcome:
    """One cell, run in a worker on one thread; what an idea prints goes to stderr.

    When an arm stops with a FloatingPointError the seeds are run one by one: those that
    end well have numbers, the others none, in no arm, and are recorded as failed.
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
    """Every configuration's outcome, those saved by an earlier call first, the others
    as they finish.
    """
    from distributed import KilledWorker, as_completed

    missing = []
    for config in configs:
        saved = _saved(slug, config, seeds)
        if saved is None:
            missing.append(config)
        else:
            yield config, saved
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
                " ended are saved."
            ) from error
        if outcome["fingerprint"] != fingerprint.fingerprint(slug):
            raise ConnectionError(
                "A worker has other sources than this machine: bring both to the same version, then start"
                " again."
            )
        _save(slug, futures[future], seeds, outcome)
        yield futures[future], outcome


def cell_configs(study: Study) -> list[Config]:
    """The configurations to run: cells with equal settings share one."""
    return list({cell.config.key(): cell.config for cell in study.cells}.values())


def rows(study: Study, results: Mapping[str, Outcome]) -> list[Row]:
    """The study as a long table, in the order of its cells; `results` maps a config's key
    to its outcome.

    A metric is called "<arm>_<measure>" and a measure is one word, so the last
    underscore parts them.
    """
    varying = varying_settings(study)
    table = []
    for cell in study.cells:
        settings = {name: getattr(cell.config, name) for name in varying}
        for arm, source in cell.arms.items():
            for measure, column in _columns(results[cell.config.key()], source, study.seeds).items():
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
        setting.name
        for setting in cells[0].config.settings()
        if len({getattr(cell.config, setting.name) for cell in cells}) > 1
    ]


def verdicts(subject: Idea, study: Study, table: Sequence[Row]) -> list[dict[str, Any]]:
    """The verdicts on the rows, one look, in the order of the claims; a claim without
    rows is undecided at n = 0.
    """
    splits, labels = splits_of(subject, study), subject.labels()
    configs = {cell.claim: cell.config for cell in reversed(study.cells)}
    collapsed = _collapsed(subject, study, table)
    return [
        statistics.decide(
            claim,
            _per_seed(claim, table),
            split=splits.get(claim.name),
            labels=labels,
            over=subject.estimand(configs[claim.name]) if claim.name in configs else "",
            role=subject.role(claim),
            collapsed=collapsed.get(claim.name),
        ).as_json()
        for claim in subject.claims
    ]


def splits_of(subject: Idea, study: Study) -> Splits:
    """Sizes of the re-drawn splits behind every cell's rows, as `Table` reads them."""
    texts = varying_settings(study)
    every = [
        (cell.claim, frozenset((name, str(getattr(cell.config, name))) for name in texts), size)
        for cell in study.cells
        for size in [subject.split_sizes(cell.config)]
    ]
    mixed = {claim for claim, _, _ in every if len({size for own, _, size in every if own == claim}) > 1}
    return {(claim, settings) if claim in mixed else claim: size for claim, settings, size in every}


def write(
    folder: Path, study: Study, subject: Idea, table: Sequence[Row], about: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """`<study>.csv` and `<study>.json` into the folder, each whole or not at all;
    returns the verdicts.
    """
    rows = io.StringIO(newline="")
    writer = csv.DictWriter(rows, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {**row, "value": "" if row["value"] is None else f"{row['value']:.10g}"} for row in table
    )
    write_atomically(folder / f"{study.name}.csv", rows.getvalue())
    decided = verdicts(subject, study, table)
    write_record(folder, study, subject, decided, about)
    return decided


def write_record(
    folder: Path, study: Study, subject: Idea, decided: Sequence[Mapping[str, Any]], about: Mapping[str, Any]
) -> None:
    """`<study>.json`: claims, verdicts and how the rows were computed."""
    record = {
        "study": study.name,
        "seeds": list(study.seeds),
        "claims": [dataclasses.asdict(claim) for claim in subject.claims],
        "verdicts": decided,
        **about,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / f"{study.name}.json", text)


def read(folder: Path, study: Study) -> list[Row]:
    """The rows that were written for a study; settings stay text."""
    with (folder / f"{study.name}.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        names = next(reader)
        return [_row(names, values) for values in reader]


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

    by_arm: dict[str, dict[int, float]] = {arm: {} for pair in claim.contrasts for arm in pair}
    for row in table:
        if row["claim"] == claim.name and row["measure"] == claim.measure and row["arm"] in by_arm:
            value = math.nan if row["value"] is None else row["value"]
            if row["seed"] in by_arm[row["arm"]]:
                raise ValueError(
                    f"The claim {claim.name!r} has two numbers for the arm {row['arm']!r} and seed"
                    f" {row['seed']}."
                )
            by_arm[row["arm"]][row["seed"]] = value
    seeds = sorted({seed for values in by_arm.values() for seed in values})
    return {arm: np.array([values.get(seed, math.nan) for seed in seeds]) for arm, values in by_arm.items()}


def _collapsed(subject: Idea, study: Study, table: Sequence[Row]) -> dict[str, Any]:
    """Claim → (S,) bool, the seeds of which a run in the claim's cells collapsed, by the
    idea's rule on all rows of that run; empty where the idea has none.
    """
    import numpy as np

    if subject.collapsed is None:
        return {}
    names, metrics = varying_settings(study), {}
    for row in table:
        key = row["claim"], row["arm"], tuple(str(row[name]) for name in names)
        value = math.nan if row["value"] is None else row["value"]
        metrics.setdefault(key, {}).setdefault(row["measure"], {})[row["seed"]] = value
    columns: dict[str, dict[str, Any]] = {}  # a run's metrics, by the key of its settings
    for cell in study.cells:
        settings = tuple(str(getattr(cell.config, name)) for name in names)
        for arm, source in cell.arms.items():
            for measure, values in metrics.get((cell.claim, arm, settings), {}).items():
                ordered = np.array([values[seed] for seed in sorted(values)])
                columns.setdefault(cell.config.key(), {})[f"{source}_{measure}"] = ordered
    by_claim: dict[str, Any] = {}
    for cell in study.cells:
        if cell.config.key() in columns:
            own = subject.collapsed(columns[cell.config.key()])
            by_claim[cell.claim] = by_claim.get(cell.claim, False) | own
    return by_claim


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


def _row(names: Sequence[str], values: Sequence[str]) -> Row:
    """A line of the file. Equal texts are one object: a study repeats few of them."""
    row: Row = {
        name: value if name == "value" else sys.intern(value)
        for name, value in zip(names, values, strict=True)
    }
    row["seed"], row["value"] = int(row["seed"]), float(row["value"]) if row["value"] else None
    return row


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _path(slug: str, config: Config, seeds: Sequence[int]) -> Path:
    return environment.home() / "evidence" / f"{slug}-{runs.identity(slug, config, tuple(seeds))}.json"


def _saved(slug: str, config: Config, seeds: Sequence[int]) -> Outcome | None:
    try:
        return json.loads(_path(slug, config, seeds).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # absent, or damaged: it is run again
        return None


def _save(slug: str, config: Config, seeds: Sequence[int], outcome: Outcome) -> None:
    write_atomically(_path(slug, config, seeds), json.dumps(outcome, allow_nan=False))
