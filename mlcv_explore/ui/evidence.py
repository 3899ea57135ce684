"""The shipped evidence and the recorded run of an idea, read once."""

import json
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore import idea
from mlcv_explore.idea import Film

if TYPE_CHECKING:
    from mlcv_explore.experiment import runs
    from mlcv_explore.experiment.studies import Table
    from mlcv_explore.statistics import Interval

PHOTOGRAPHS = "photographs"  # the study of the same claims on real images
EQUALS = "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"  # a chip is narrow: "n = 20" stays on one line
LEVEL = 0.05  # of a study's single look
WORDS = {"supported": "holds", "contradicted": "fails", "undecided": "undecided"}


def study(slug: str, name: str = "live") -> dict[str, Any] | None:
    """The shipped evidence of an idea, or None when there is none yet."""
    path = idea.ASSETS / slug / f"{name}.json"
    return _study(path, path.stat().st_mtime) if path.exists() else None


def table(slug: str, name: str = "live") -> "Table":
    """The rows of the shipped evidence."""
    path = idea.ASSETS / slug / f"{name}.csv"
    return _table(slug, name, path.stat().st_mtime)


def recorded(slug: str) -> "tuple[runs.Run, Film] | None":
    """The recorded default run with its film, or None when none was recorded."""
    path = idea.ASSETS / slug / "default" / "film.npz"
    return _recorded(slug, path.stat().st_mtime) if path.exists() else None


def chip(card: idea.Card) -> tuple[str, str]:
    """The status of an idea's headline claim, and the one chip that home, Answer and
    Runs show: "holds · digits, n = 20; photographs, n = 20".
    """
    record = study(card.slug)
    if record is None:
        return "", "no evidence yet"
    headline = record["verdicts"][0]
    word = card.verdict or WORDS[headline["status"]]
    status = "undecided" if card.verdict else headline["status"]
    first, *others = samples(card).values()
    if headline["status"] != "undecided" and not survives(card):
        first += " (not significant once all ideas are tested together)"
    return status, f"{word} · {'; '.join((first, *others))}"


def samples(card: idea.Card) -> dict[str, str]:
    """Study → data and n of its headline: {"live": "digits, n = 20"}."""
    units, texts = {"live": card.unit, PHOTOGRAPHS: card.photographs_unit}, {}
    for name, where in data(card).items():
        n = study(card.slug, name)["verdicts"][0]["estimate"]["n"]
        count = f"{EQUALS.join(('n', str(n)))} {units[name]}".strip()
        texts[name] = ", ".join(filter(None, (where, count)))
    return texts


def data(card: idea.Card) -> dict[str, str]:
    """Study → what it measured the headline on, for each that ships."""
    about = {"live": card.data, PHOTOGRAPHS: card.photographs}
    return {name: text for name, text in about.items() if study(card.slug, name)}


def survives(card: idea.Card) -> bool:
    """Whether the test of an idea's headline claim stays significant after Holm's
    correction over the headline claims of all ideas.
    """
    from mlcv_explore.statistics import holm

    records = {each.slug: record for each in idea.cards() if (record := study(each.slug))}
    p_values = [record["verdicts"][0]["p"] for record in records.values()]
    adjusted = dict(zip(records, holm([1.0 if p is None else p for p in p_values]), strict=True))
    return bool(adjusted[card.slug] < LEVEL)


def interval_of(estimate: dict[str, Any]) -> "Interval":
    """A contrast of a shipped verdict as an interval; undefined bounds are NaN."""
    from mlcv_explore.statistics import Interval

    low, mean, high = (
        float("nan") if estimate[name] is None else estimate[name] for name in ("low", "mean", "high")
    )
    return Interval(low, mean, high, 0.95, estimate["n"], "t")


def effect(verdict: dict[str, Any], estimate: dict[str, Any]) -> str:
    """A difference of a verdict as text, no bound rounded onto what it is read against:
    "+22.3 points [21.0, 23.6]".
    """
    from mlcv_explore.statistics import thresholds

    apart = thresholds(verdict["direction"], verdict["margin"])
    return interval_of(estimate).text(verdict["unit"], signed=True, apart=apart)


@cache
def _study(path: Path, _: float) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=6)  # of the largest some 20 MB; Answer shows two or three at a time
def _table(slug: str, name: str, _: float) -> "Table":
    from mlcv_explore.experiment import studies

    subject = idea.load(slug)
    declared = next(candidate for candidate in subject.studies if candidate.name == name)
    return studies.Table(studies.read(idea.ASSETS / slug, declared), studies.splits_of(subject, declared))


@cache
def _recorded(slug: str, _: float) -> "tuple[runs.Run, Film] | None":
    from mlcv_explore.experiment import film, runs

    run = runs.recorded(slug)
    return (run, film.unpack(runs.film_bytes(run), idea.load(slug).frame)) if run else None
