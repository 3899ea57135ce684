"""What the Answer act shows beyond the claims, from the rows of a study: numbers only,
no training.

A row is a dict of claim, arm, the settings that vary (text), seed, measure and value
(None where it is undefined).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.ideas.feature_mixing import (
    ARMS,
    COARSE_ARMS,
    CORE,
    MEASURES,
    PASTE_ARMS,
    PASTE_MEASURES,
    PROBE_ARMS,
    STARTS,
)
from mlcv_explore.statistics import Interval, ratio_interval, t_interval

Row = Mapping[str, Any]
LEAST = 0.01  # benefit, as a fraction, above which a share of it is told
VARIED = {  # title of a table → the settings of its rows, as the study names them; "" is the default
    "λ": {"0.25": "weight 0.25", "0.5": "", "1": "weight 1", "2": "weight 2"},
    "depth": {"0, the pixels": "depth 0", "1": "depth 1", "2": "", "3, before the last layer": "depth 3"},
    "labels a class": {"5": "labels 5", "10": "", "20": "labels 20"},
    "scaling": {
        "divided by the sum": "", "softmax, T = 1": "scaling softmax", "softmax, T = 0.2": "scaling softmax cold", "the largest": "scaling argmax",
    },
    "images": {"2": "", "3": "images 3", "5": "images 5"},
    "mode": {"sum": "", "convex": "mode convex", "extrapolate": "mode extrapolate"},
    "partners of": {"any class": "", "the same class": "partners same", "other classes": "partners other"},
}  # fmt: skip


@dataclass(frozen=True)
class Gain:
    """The 2×2 under one setting; fractions."""

    name: str
    plain: Interval
    both: Interval
    benefit: Interval  # both − plain
    soft: Interval  # soft − plain
    mixed: Interval  # mixed − plain
    # of the benefit that the soft label alone gives; None where the benefit is not surely above a
    # point
    share: Interval | None
    nll: Interval  # of both, nats


@dataclass(frozen=True)
class Effects:
    """What each factor does, averaged over the other; fractions."""

    mixing: Interval
    soft: Interval
    interaction: Interval  # what both give beyond the sum of either
    benefit: Interval
    alone: Interval | None  # share of the benefit: soft label alone
    averaged: Interval | None  # share: the soft label's effect averaged over both orders


def tables(rows: Sequence[Row]) -> dict[tuple[str, str, str], np.ndarray]:
    """(claim, arm, measure) → values in the order of the seeds."""
    found: dict[tuple[str, str, str], dict[int, float]] = {}
    for row in rows:
        found.setdefault((row["claim"], row["arm"], row["measure"]), {})[row["seed"]] = (
            np.nan if row["value"] is None else row["value"]
        )
    return {
        name: np.array([values[seed] for seed in sorted(values)], dtype=float)
        for name, values in found.items()
    }


def levels(
    rows: Sequence[Row], claim: str, arms: Sequence[str], measures: Sequence[str]
) -> dict[str, dict[str, Interval]]:
    """Arm → measure → mean with its interval."""
    found = tables(rows)
    return {arm: {measure: t_interval(found[claim, arm, measure]) for measure in measures} for arm in arms}


def arms(rows: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """Every arm of the mixing experiment, and of the second network."""
    return levels(rows, "arms", ARMS, (*MEASURES, "stopped")) | levels(rows, "arms", COARSE_ARMS, MEASURES)


def pasted(rows: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """Every arm of pasting."""
    return levels(rows, "pasted", PASTE_ARMS, PASTE_MEASURES)


def probes(rows: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """Every arm of contrastive learning."""
    return levels(rows, "probes", PROBE_ARMS, ("accuracy",))


def effects(rows: Sequence[Row]) -> Effects:
    """The 2×2 at the defaults."""
    found = tables(rows)
    return effects_of({arm: found["arms", arm, "accuracy"] for arm in CORE})


def effects_of(accuracy: Mapping[str, np.ndarray]) -> Effects:
    """What each factor does to the accuracy (S,) of the four arms."""
    plain, soft, mixed, both = (accuracy[arm] for arm in CORE)
    average = ((soft - plain) + (both - mixed)) / 2
    return Effects(
        t_interval(((mixed - plain) + (both - soft)) / 2),
        t_interval(average),
        t_interval(both + plain - mixed - soft),
        t_interval(both - plain),
        share(soft - plain, both - plain),
        share(average, both - plain),
    )


def share(part: np.ndarray, benefit: np.ndarray) -> Interval | None:
    """Fieller's interval of the part in the benefit, where that is surely above a
    point.
    """
    return ratio_interval(part, benefit) if t_interval(benefit).low > LEAST else None


def varied(rows: Sequence[Row]) -> dict[str, list[Gain]]:
    """Title → one row a setting."""
    found = tables(rows)
    return {
        title: [_gain(found, name, claim) for name, claim in settings.items()]
        for title, settings in VARIED.items()
    }


def starts(rows: Sequence[Row]) -> dict[str, list[Gain]]:
    """How the encoder starts, tuned and frozen."""
    found = tables(rows)
    tuned = [_gain(found, start, f"start {start}" if start != STARTS[0] else "") for start in STARTS]
    return {"tuned": tuned, "frozen": [_gain(found, start, f"frozen {start}") for start in STARTS]}


def _gain(found: Mapping[tuple[str, str, str], np.ndarray], name: str, claim: str) -> Gain:
    plain, soft, mixed, both = (found[claim or "arms", arm, "accuracy"] for arm in CORE)
    benefit = both - plain
    differences = (t_interval(values) for values in (benefit, soft - plain, mixed - plain))
    return Gain(
        name,
        t_interval(plain),
        t_interval(both),
        *differences,
        share(soft - plain, benefit),
        t_interval(found[claim or "arms", "both", "nll"]),
    )
