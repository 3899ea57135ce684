"""Whether today's code still computes the numbers that ship: one seed, run again.

Beside an idea's evidence lies `check.json`: for each kind of processor the metrics of
the study's first seed, run alone, in every cell, and of the recorded run. Rounding
depends on the processor and on how many seeds train in one stack, so equal numbers are
expected only from the same processor and the same single seed.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlcv_explore import idea
from mlcv_explore.experiment import film, fingerprint, runs, studies
from mlcv_explore.files import write_atomically
from mlcv_explore.idea import Study

NUMBERS = 1e-6  # absolute and relative: what the rows of a study keep
ABOUT = ("slug", "command", "made", "seconds", "failed", "versions", "fingerprint")  # of a record, kept
Metrics = Mapping[str, float | None]


class Unequal(ValueError):
    """Numbers that differ, or nothing to compare with. The text is one sentence."""


def reference(slug: str) -> dict[str, Any]:
    """Processor → {"fingerprint", "versions", "seed", study name or "default" →
    metrics}.
    """
    path = idea.ASSETS / slug / "check.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def check(slug: str, part: str, seed: int, computed: Sequence[Metrics], stamped: str) -> int:
    """Compare what was computed with the reference of this processor; returns how many
    numbers are equal, all of them.

    Where this processor has no reference, one is written if the code is the one that is
    stamped on what ships. Raises Unequal.
    """
    versions, current = runs.versions(), fingerprint.fingerprint(slug)
    every = reference(slug)
    own = every.setdefault(versions["processor"], {"versions": versions, "seed": seed})
    if part not in own:
        if stamped != current:
            raise Unequal(
                f"{slug} has no reference for this processor ({versions['processor']}) and its code has"
                f" changed: run --verify on this machine with the version stamped {stamped} first."
            )
        own[part] = [dict(metrics) for metrics in computed]
        text = json.dumps(every, indent=None, separators=(",", ":"), allow_nan=False)
        write_atomically(idea.ASSETS / slug / "check.json", text + "\n")
    return _compared(slug, own[part], computed)


def restamp_study(slug: str, study: Study) -> list[dict[str, Any]]:
    """Today's fingerprint and today's words on a study whose numbers are equal; returns
    the verdicts, decided again from its rows. Raises Unequal where one changes.
    """
    record, decided = _decided_again(slug, study)
    if changed := _changed(record["verdicts"], decided):
        raise Unequal(f"{slug}: the rows decide {', '.join(changed)} otherwise than what ships.")
    _write(slug, study, record | {"fingerprint": fingerprint.fingerprint(slug)}, decided)
    return decided


def redecide_study(slug: str, study: Study) -> dict[str, str]:
    """Today's rules and today's words on the rows that ship, without running anything:
    their fingerprint stays. Returns the claims whose status changes, {claim: "before →
    after"}.
    """
    record, decided = _decided_again(slug, study)
    _write(slug, study, record, decided)
    return _changed(record["verdicts"], decided)


def redecide_run(slug: str) -> dict[str, str]:
    """The same for the recorded run, from its film."""
    before = runs.recorded(slug)
    after = _with_todays_verdicts(before)
    runs.rewrite(after)
    return _changed(before.verdicts, after.verdicts)


def restamp_run(slug: str) -> runs.Run:
    """Today's fingerprint, identity, settings and words on a recorded run whose numbers
    are equal.
    """
    run = _with_todays_verdicts(runs.recorded(slug))
    config = idea.load(slug).config(**run.config)
    stamped = replace(
        run,
        id=runs.identity(slug, config, run.seeds),
        key=config.key(),
        config=config.model_dump(),
        fingerprint=fingerprint.fingerprint(slug),
    )
    runs.rewrite(stamped)
    return stamped


def _with_todays_verdicts(run: runs.Run) -> runs.Run:
    subject = idea.load(run.slug)
    config = subject.config(**run.config)
    columns = subject.metrics(config, film.unpack(runs.film_bytes(run), subject.frame))
    return replace(run, verdicts=[verdict.as_json() for verdict in runs.decided(subject, config, columns)])


def _decided_again(slug: str, study: Study) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The record of a study that ships, and the verdicts on its rows by today's rules."""
    folder = idea.ASSETS / slug
    record = json.loads((folder / f"{study.name}.json").read_text(encoding="utf-8"))
    return record, studies.verdicts(idea.load(slug), study, studies.read(folder, study))


def _write(slug: str, study: Study, record: Mapping[str, Any], decided: Sequence[Mapping[str, Any]]) -> None:
    about = {name: record[name] for name in ABOUT if name in record}
    studies.write_record(idea.ASSETS / slug, study, idea.load(slug), decided, about)


def _changed(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """{claim: "before → after"} of the statuses that differ, and of claims that only one
    side has.
    """
    old, new = ({verdict["claim"]: verdict["status"] for verdict in each} for each in (before, after))
    return {
        claim: f"{old.get(claim, 'no claim')} → {new.get(claim, 'no claim')}"
        for claim in dict.fromkeys((*old, *new))
        if old.get(claim) != new.get(claim)
    }


def _compared(slug: str, kept: Sequence[Metrics], computed: Sequence[Metrics]) -> int:
    pairs = [
        (name, before.get(name), after.get(name))
        for before, after in zip(kept, computed, strict=True)
        for name in dict.fromkeys((*before, *after))
    ]
    unequal = [(name, one, other) for name, one, other in pairs if not _equal(one, other)]
    if unequal:
        name, one, other = unequal[0]
        raise Unequal(
            f"{slug}: {len(unequal)} of {len(pairs)} numbers differ, the first {name}: {one} shipped,"
            f" {other} computed. Nothing was stamped."
        )
    return len(pairs)


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=NUMBERS, abs_tol=NUMBERS)
