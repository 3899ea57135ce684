"""What the Answer act shows beyond the claims, from the rows of a study: numbers only,
no training.

A row is a dict of claim, arm, the settings that vary (text), seed, measure and value
(None where it is undefined).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.ideas.copernican import LIVES, applies
from mlcv_explore.ideas.copernican.forecasts import FITS, METHODS, STOPS
from mlcv_explore.ideas.copernican.growth import KINDS
from mlcv_explore.ideas.copernican.intervals import MOST
from mlcv_explore.ideas.copernican.learners import LEARNERS, RULES
from mlcv_explore.statistics import Interval, resampled_interval

Row = Mapping[str, Any]
ROUNDING = 1e-6  # of what was kept in single precision
TRAIN, TEST = 2, 1  # parts of a sub-sample, as `resampled` has them
# the stop is uniform in what is predicted
CONSTRUCTED = {("epochs", "time"), *((kind, "importance") for kind in ("curves", *KINDS[:5]))}


@dataclass(frozen=True)
class Cover:
    """How often the interval covers at one kind of stop, as fractions."""

    kind: str  # "curves" is the mean of the five kinds whose clock is importance
    stops: str
    asked: Interval  # at the confidence of the study
    half: Interval  # at 50 %
    over: float  # share of the misses in which the future was less than the interval promised
    constructed: bool


@dataclass(frozen=True)
class Contest:
    """Interval scores of a kind at one kind of stop; less is better."""

    kind: str
    stops: str
    scores: Mapping[str, Interval]  # method → score
    # the rivals whose score is surely higher than Gott's, Bonferroni over all of these comparisons
    beaten: tuple[str, ...]
    lost: tuple[str, ...]  # those whose score is surely lower


@dataclass(frozen=True)
class Reasons:
    """The numbers of the answer to "why use this?"."""

    cells: int  # comparisons of Gott's interval with a rival, at stops that are not true by construction
    beaten: int
    doubled: int  # of those beaten, against always doubling
    lost: int
    covered: Interval  # at any step, five kinds
    # fit → score of Gott's interval minus that of the fit, at steps that still improve, five kinds
    alone: Mapping[str, Interval]
    improving: Interval  # score of Gott's interval there
    nothing: float  # score of an interval that says nothing
    gap: Interval  # score of Gott's interval minus that of quantiles of other curves, at any step
    validated: Mapping[str, Interval]  # learner → regret minus that of (cross-)validation, fractions
    shuffled: Mapping[str, Interval]


def _tables(rows: Sequence[Row]) -> dict[tuple[str, str, str], np.ndarray]:
    """(claim, arm, measure) → values in the order of the seeds."""
    found: dict[tuple[str, str, str], dict[int, float]] = {}
    for row in rows:
        value = np.nan if row["value"] is None else row["value"]
        found.setdefault((row["claim"], row["arm"], row["measure"]), {})[row["seed"]] = value
    return {
        name: np.array([values[seed] for seed in sorted(values)], dtype=float)
        for name, values in found.items()
    }


def interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """Mean over seeds that draw from the same data sets, with the corrected interval."""
    return resampled_interval(values, TRAIN, TEST, level)


def covers(rows: Sequence[Row]) -> list[Cover]:
    """Every kind at every kind of stop."""
    tables = _tables(rows)
    found = []
    for kind in ("curves", *KINDS):
        for stops in STOPS:
            arm = f"{kind}_{stops}_copernican"
            asked = tables["curves", arm, "coverage"]
            missed = 1 - asked.mean()
            over = (
                min(1.0, float(tables["curves", arm, "over"].mean() / missed)) if missed > ROUNDING else 0.0
            )
            half = interval(tables["curves", f"{kind}_{stops}_half", "coverage"])
            found.append(Cover(kind, stops, interval(asked), half, over, (kind, stops) in CONSTRUCTED))
    return found


def contests(rows: Sequence[Row]) -> list[Contest]:
    """Every kind at every kind of stop against every rival; the oracle is no rival."""
    tables = _tables(rows)
    places = [(kind, stops) for kind in KINDS for stops in STOPS]
    rivals = {
        kind: [
            method for method in METHODS if applies(kind, method) and method not in ("copernican", "oracle")
        ]
        for kind in KINDS
    }
    count = sum(len(rivals[kind]) for kind, _ in places)
    found = []
    for kind, stops in places:
        scores = {
            method: tables["curves", f"{kind}_{stops}_{method}", "score"]
            for method in METHODS
            if applies(kind, method)
        }
        apart = {
            method: interval(scores["copernican"] - scores[method], 1 - 0.05 / count)
            for method in rivals[kind]
        }
        beaten = tuple(method for method, item in apart.items() if item.high < 0)
        lost = tuple(method for method, item in apart.items() if item.low > 0)
        found.append(
            Contest(
                kind, stops, {method: interval(values) for method, values in scores.items()}, beaten, lost
            )
        )
    return found


def regrets(rows: Sequence[Row]) -> dict[str, dict[str, tuple[Interval, Interval, float]]]:
    """Learner → rule → regret, regret of the Copernican rule minus it, and fits spent
    on a problem; fractions.
    """
    tables = _tables(rows)
    found: dict[str, dict[str, tuple[Interval, Interval, float]]] = {}
    for learner in LEARNERS:
        own = tables["learners", f"{learner}_copernican", "regret"]
        found[learner] = {}
        for rule in RULES:
            regret = tables["learners", f"{learner}_{rule}", "regret"]
            fits = float(tables["learners", f"{learner}_{rule}", "fits"].mean())
            found[learner][rule] = (interval(regret), interval(own - regret), fits)
    return found


def lives(rows: Sequence[Row]) -> dict[tuple[str, str], Interval]:
    """(law, inspection) → share of simulated lives that the interval covers; seeds are
    independent here, but for one rule the same interval is used.
    """
    tables = _tables(rows)
    return {(law, way): interval(tables["lives", f"lives_{law}_{way}", "coverage"]) for law, way in LIVES}


def censored(rows: Sequence[Row]) -> float:
    """Share of the runs whose best epoch was of no use: the last of the budget, or
    before anything was learned.
    """
    return float(_tables(rows)["curves", "epochs", "censored"].mean())


def reasons(rows: Sequence[Row]) -> Reasons:
    """What the answer to "why use this?" rests on."""
    tables, found = (
        _tables(rows),
        [item for item in contests(rows) if (item.kind, item.stops) not in CONSTRUCTED],
    )
    learned = regrets(rows)
    cells = sum(len(item.scores) - 2 for item in found)
    scores = [tables["curves", f"curves_time_{method}", "score"] for method in ("copernican", "quantiles")]
    at_work = {
        method: tables["curves", f"curves_improving_{method}", "score"]
        for method in ("copernican", *FITS[:2])
    }
    return Reasons(
        cells,
        sum(len(item.beaten) for item in found),
        sum("double" in item.beaten for item in found),
        sum(len(item.lost) for item in found),
        interval(tables["curves", "curves_time_copernican", "coverage"]),
        {fit: interval(at_work["copernican"] - at_work[fit]) for fit in FITS[:2]},
        interval(at_work["copernican"]),
        2 * math.log(MOST),
        interval(scores[0] - scores[1]),
        {learner: learned[learner]["validated"][1] for learner in LEARNERS},
        {learner: learned[learner]["shuffled"][1] for learner in LEARNERS},
    )
