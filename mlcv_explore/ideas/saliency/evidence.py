"""What the Answer act shows beyond the claims, from the rows of a study: numbers only,
no training.

A row is a dict of claim, arm, the settings that vary (text), seed, measure and value
(None where it is undefined).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.ideas.saliency import CONTROLS, GENERATED, MEASURES, RECIPES, SHARES
from mlcv_explore.statistics import Interval, significant_cells, t_interval

Row = Mapping[str, Any]

PROPERTIES = ("model-dependent", "faithful", "on the true cause")


@dataclass(frozen=True)
class Line:
    """Every measure of one arm, mean and interval over models."""

    arm: str
    measures: Mapping[str, Interval]


def columns(rows: Sequence[Row], arm: str, measure: str, rho: str) -> np.ndarray:
    """The values of one arm in the order of the models, (S,), at one agreement of tag
    and class.
    """
    found = {
        row["seed"]: row["value"]
        for row in rows
        if row["claim"] == "tags"
        and row["arm"] == arm
        and row["measure"] == measure
        and float(row["rho"]) == float(rho)
    }
    return np.array([found[seed] for seed in sorted(found)], dtype=float)


def rhos(rows: Sequence[Row]) -> list[str]:
    """The agreements of tag and class that were studied, rising."""
    return sorted({row["rho"] for row in rows if row["claim"] == "tags"}, key=float)


def table(rows: Sequence[Row], rho: str) -> list[Line]:
    """Every arm with every measure, those with most mass on the object first."""
    arms = list(
        dict.fromkeys(row["arm"] for row in rows if row["claim"] == "tags" and row["arm"] != "classifier")
    )
    lines = [
        Line(arm, {measure: t_interval(columns(rows, arm, measure, rho)) for measure in MEASURES})
        for arm in arms
    ]
    return sorted(lines, key=lambda line: -line.measures["mass"].mean)


def classifiers(rows: Sequence[Row], rho: str) -> dict[str, Interval]:
    """What the classifiers themselves do: accuracy, accuracy with redrawn tags, and how
    often the tag is followed.
    """
    return {share: t_interval(columns(rows, "classifier", share, rho)) for share in SHARES}


@dataclass(frozen=True)
class Lead:
    """By how much every recipe exceeds the best control, R recipes in the order of
    RECIPES by K properties in that of PROPERTIES.
    """

    controls: tuple[str, ...]  # the control each property is measured against: the one highest on average
    mean: np.ndarray  # (R, K) of the paired differences over models
    low: np.ndarray  # (R, K) bounds of their 95 % intervals
    high: np.ndarray
    sure: np.ndarray  # (R, K) bool: different from zero, Holm-corrected over all R·K
    n: int  # models

    def interval(self, recipe: int, place: int) -> Interval:
        """One of these differences."""
        mean, low, high = (float(values[recipe, place]) for values in (self.mean, self.low, self.high))
        return Interval(low, mean, high, 0.95, self.n, "t")


def scores(rows: Sequence[Row], rho: str, arms: Sequence[str] = RECIPES) -> dict[str, np.ndarray]:
    """The three properties of every arm, (models, arms), more is better: moved by the
    weights; insertion minus deletion; mass on the cause.

    The cause is the object where the tag tells nothing, and the tag where it tells
    everything.
    """
    cause = "tag" if float(rho) == 1 else "mass"
    moved, insertion, deletion, mass = (
        np.stack([columns(rows, arm, measure, rho) for arm in arms], axis=1)
        for measure in ("moved", "insertion", "deletion", cause)
    )
    return dict(zip(PROPERTIES, (moved, insertion - deletion, mass), strict=True))


def lead(rows: Sequence[Row], rho: str) -> Lead:
    """Which recipes have which property more than a map that knows nothing of the
    model; paired over models.
    """
    # (K, models, arms)
    recipes, controls = (np.stack(list(scores(rows, rho, arms).values())) for arms in (RECIPES, CONTROLS))
    best = controls.mean(1).argmax(1)  # (K,)
    # (R, K, models)
    differences = (recipes - np.take_along_axis(controls, best[:, None, None], axis=2)).transpose(2, 0, 1)
    return Lead(
        tuple(CONTROLS[place] for place in best), *significant_cells(differences), differences.shape[-1]
    )


def agreement(rows: Sequence[Row], rho: str) -> dict[tuple[str, str], Interval]:
    """Kendall's τ between the rankings of the recipes by every two properties: mean
    over models with its bootstrap interval.
    """
    from mlcv_explore.saliency.measures import kendall  # torch comes with it

    return kendall(scores(rows, rho))


def generation(rows: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """Of the generated map, its best single input and its control: mass on the object
    where that is the cause, on the tag where the tag is.
    """
    places = {"object": ("mass", rhos(rows)[0]), "tag": ("tag", rhos(rows)[-1])}
    return {
        arm: {cause: t_interval(columns(rows, arm, *place)) for cause, place in places.items()}
        for arm in GENERATED
    }
