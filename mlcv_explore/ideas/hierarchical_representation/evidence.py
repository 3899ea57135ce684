"""What the Answer act shows beyond the claims, from the rows of a study: numbers only,
no training.

A row is a dict of claim, arm, the settings that vary (text), seed, measure and value
(None where it is undefined).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.ideas.hierarchical_representation import (
    ARMS,
    LEARNERS,
    HierarchicalRepresentationConfig,
    resampled,
)
from mlcv_explore.statistics import Interval, Split, resampled_interval, t_interval

Row = Mapping[str, Any]
REPLACES = 0.02  # accuracy that a learner may lie away from the autoencoder's and still stand in its place
VARIED = ("split", "epochs", "width", "labels", "levels")  # settings that the study varies, one at a time


@dataclass(frozen=True)
class Variation:
    """One changed setting, and what it does to the answer; fractions."""

    name: str
    accuracy: dict[str, Interval]  # arm → at the top
    gain: Interval  # greedy, the code below, minus global
    pixels: Interval  # greedy, pixels, minus global
    rise: dict[str, Interval]  # arm → top minus first level


def column(rows: Sequence[Row], claim: str, arm: str, measure: str, **settings: str) -> np.ndarray:
    """The values of one arm in the order of their seeds, (S,), NaN where undefined;
    `settings` are texts as the rows hold them.
    """
    found = {
        row["seed"]: row["value"]
        for row in rows
        if row["claim"] == claim
        and row["arm"] == arm
        and row["measure"] == measure
        and all(row[name] == value for name, value in settings.items())
    }
    return np.array([np.nan if found[seed] is None else found[seed] for seed in sorted(found)], dtype=float)


def by_depth(rows: Sequence[Row], measure: str = "level", levels: int = 3) -> dict[str, np.ndarray]:
    """Of every arm the accuracy (S, 1 + L) from the pixels up; `measure` is "level" for
    fine classes and "coarse" for coarse ones.
    """
    pixels = column(rows, "arms", "pixels", "accuracy" if measure == "level" else "coarse")
    own = {
        arm: [column(rows, "arms", arm, f"{measure}{level + 1}") for level in range(levels)] for arm in ARMS
    }
    return {arm: np.stack([pixels, *columns], axis=1) for arm, columns in own.items()}


def errors(rows: Sequence[Row], levels: int = 3) -> dict[str, list[Interval | None]]:
    """Of every arm the error in standardised pixels from each level; None where nothing
    decodes.
    """
    found = {}
    for arm in ARMS:
        columns = [column(rows, "arms", arm, f"error{level + 1}") for level in range(levels)]
        found[arm] = [t_interval(values) if len(values) else None for values in columns]
    return found


def arm(rows: Sequence[Row], name: str, measure: str = "accuracy") -> Interval:
    """One arm at its top level."""
    return t_interval(column(rows, "arms", name, measure))


def difference(rows: Sequence[Row], first: str, second: str, measure: str = "accuracy") -> Interval:
    """The paired difference of two arms at their top levels."""
    return t_interval(column(rows, "arms", first, measure) - column(rows, "arms", second, measure))


def learners(rows: Sequence[Row]) -> dict[str, tuple[Interval, Interval, str]]:
    """Of every learner: its top level, its difference from the autoencoder, and in a
    word whether it can stand in its place.
    """
    found = {}
    for name in LEARNERS:
        apart = difference(rows, name, "greedy_code")
        word = (
            "yes, and better"
            if apart.low > 0
            else "yes"
            if apart.low > -REPLACES
            else "no"
            if apart.high < -REPLACES
            else "open"
        )
        found[name] = arm(rows, name), apart, word
    return found


def variations(rows: Sequence[Row]) -> list[Variation]:
    """The declared settings, then each that was varied, in the order of the study."""
    own = [row for row in rows if row["claim"] == "varied"]
    names = [name for name in VARIED if name in own[0]]
    found = dict.fromkeys(tuple(row[name] for name in names) for row in own)
    declared = next(iter(found))
    shown = []
    for values in found:
        settings = dict(zip(names, values, strict=True))
        changed = [
            f"{name} {value}"
            for (name, value), usual in zip(settings.items(), declared, strict=True)
            if value != usual
        ]
        split = (
            resampled(HierarchicalRepresentationConfig(split=settings["split"]))
            if "split" in settings
            else None
        )
        shown.append(_variation(own, ", ".join(changed) or "as declared", settings, split))
    return shown


def _variation(rows: Sequence[Row], name: str, settings: Mapping[str, str], split: Split | None) -> Variation:
    def top(own: str, measure: str = "accuracy") -> np.ndarray:
        return column(rows, "varied", own, measure, **settings)

    arms = ("global", "greedy_code", "greedy_pixels", "denoising", "pca", "kmeans", "random")
    return Variation(
        name,
        {own: _over(top(own), split) for own in arms},
        _over(top("greedy_code") - top("global"), split),
        _over(top("greedy_pixels") - top("global"), split),
        {own: _over(top(own, "rise"), split) for own in ("global", "greedy_code", "greedy_pixels")},
    )


def _over(values: np.ndarray, split: Split | None) -> Interval:
    """The wider interval where every seed has a split of its own."""
    return t_interval(values) if split is None else resampled_interval(values, split.train, split.test)
