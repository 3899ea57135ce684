"""What the Answer act shows beyond the claims, from the rows of a study: numbers only,
no training.

A row is a dict of claim, arm, the settings that vary (text), seed, measure and value
(None where it is undefined).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.ideas.label_noise.noise import SHAPES, equivalent_sigma, smoothing_strength
from mlcv_explore.statistics import Interval, ratio_interval, significant_cells, t_interval

Row = Mapping[str, Any]

PUBLISHED = (
    "CIFAR-10, WRN-28-2, 40 % symmetric, one seed, mean of the last ten epochs; logs of an independent re-run"
    " of the authors' code"
)
PUBLISHED_SIGMAS = np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0])
PUBLISHED_ACCURACY = np.array([52.4, 55.1, 68.5, 75.9, 79.2, 80.0, 80.4, 79.2, 78.0, 76.2, 74.6]) / 100


@dataclass(frozen=True)
class Map:
    """The gain of noise over plain training for every corruption (rows) and σ
    (columns).
    """

    corruptions: list[float]
    sigmas: list[float]
    mean: np.ndarray  # (R, C), fractions
    significant: np.ndarray  # (R, C) bool, Holm-corrected over all cells
    n: int  # seeds


@dataclass(frozen=True)
class Gain:
    """One line of a table: how plain and noisy training end, and their paired
    difference; fractions.
    """

    name: str
    plain: Interval
    noisy: Interval
    gain: Interval


def column(
    rows: Sequence[Row], claim: str, arm: str, measure: str = "accuracy", **settings: str
) -> np.ndarray:
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


def levels(rows: Sequence[Row], claim: str, setting: str) -> list[str]:
    """The values one setting takes in the rows of a claim, in the order they stand."""
    return list(dict.fromkeys(row[setting] for row in rows if row["claim"] == claim))


def gain_map(rows: Sequence[Row]) -> Map:
    """Noisy minus plain for the σ × corruption grid."""
    corruptions, sigmas = (sorted(levels(rows, "map", name), key=float) for name in ("corruption", "sigma"))
    cells = [[{"corruption": corruption, "sigma": sigma} for sigma in sigmas] for corruption in corruptions]
    differences = np.stack(
        [
            np.stack(
                [column(rows, "map", "noisy", **cell) - column(rows, "map", "plain", **cell) for cell in line]
            )
            for line in cells
        ]
    )
    mean, _, _, significant = significant_cells(differences)
    return Map(
        [float(value) for value in corruptions],
        [float(value) for value in sigmas],
        mean,
        significant,
        differences.shape[-1],
    )


def shapes(rows: Sequence[Row]) -> list[Gain]:
    """Every shape at the study's σ, in the order of SHAPES."""
    return [
        _gain(rows, "shapes", shape, shape=shape)
        for shape in SHAPES
        if shape in levels(rows, "shapes", "shape")
    ]


def optimisers(rows: Sequence[Row]) -> list[Gain]:
    """Every optimiser and learning rate of the study."""
    pairs = dict.fromkeys(
        (row["optimiser"], row["learning_rate"]) for row in rows if row["claim"] == "optimisers"
    )
    return [
        _gain(rows, "optimisers", f"{name} {float(rate):g}", optimiser=name, learning_rate=rate)
        for name, rate in pairs
    ]


def pair(rows: Sequence[Row]) -> Gain:
    """Wrong labels of the kind "pair": always the next class."""
    return _gain(rows, "pair", "pair")


def late_memorisation(rows: Sequence[Row]) -> Interval:
    """Share of the gain that is late memorisation avoided, with Fieller's interval;
    above 1 when early stopping alone does better.

    1 − (noisy − plain, both stopped early on noisy validation labels) / (noisy − plain,
    both at the end).
    """
    arms = {
        arm: column(rows, "gain", arm) for arm in ("plain", "noisy", "early_stopped", "noisy_early_stopped")
    }
    left = ratio_interval(arms["noisy_early_stopped"] - arms["early_stopped"], arms["noisy"] - arms["plain"])
    return Interval(1 - left.high, 1 - left.mean, 1 - left.low, left.level, left.n, left.method)


def sigma_curve(rows: Sequence[Row], corruption: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """σ (C,) from 0 and the noisy arm's accuracy (S, C) at one corruption; σ = 0 is the
    plain arm.
    """
    sigmas = sorted(levels(rows, "map", "sigma"), key=float)
    text = next(value for value in levels(rows, "map", "corruption") if float(value) == corruption)
    plain = column(rows, "map", "plain", corruption=text, sigma=sigmas[0])
    noisy = [column(rows, "map", "noisy", corruption=text, sigma=sigma) for sigma in sigmas]
    return np.array([0.0, *map(float, sigmas)]), np.stack([plain, *noisy], axis=1)


def equivalent(shape: str, sigma: float, classes: int = 10) -> float | None:
    """σ of the zero-sum noise that a mixing shape adds in covariance: 0 when static,
    None where the formula does not hold.
    """
    if shape == "static_smoothing":
        return 0.0
    return equivalent_sigma(smoothing_strength(sigma), classes) if shape == "fresh_smoothing" else None


def _gain(rows: Sequence[Row], claim: str, name: str, **settings: str) -> Gain:
    plain, noisy = (column(rows, claim, arm, **settings) for arm in ("plain", "noisy"))
    return Gain(name, t_interval(plain), t_interval(noisy), t_interval(noisy - plain))
