"""What Answer shows beyond the claims: late memorisation and the published curve, from
the rows of a study; notes on the shapes of noise.
"""

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.statistics import Interval, ratio_interval

PUBLISHED = (
    "CIFAR-10, WRN-28-2, 40 % symmetric, one seed, mean of the last ten epochs; independent re-run of the"
    " authors' code"
)
PUBLISHED_SIGMAS = np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0])
PUBLISHED_ACCURACY = np.array([52.4, 55.1, 68.5, 75.9, 79.2, 80.0, 80.4, 79.2, 78.0, 76.2, 74.6]) / 100
SHAPE_NOTES = {  # shape of noise → what its targets show
    "fixed_gaussian": "Drawn once for every image: each step has these targets.",
    "zero_sum": "Entries sum to one.",
    "zero_sum_equal_trace": "Shown at equal σ; in training it is scaled up where the model is confident.",
    "static_smoothing": "Strength ε = σ/2, the same at every step.",
    "fresh_smoothing": "Strength ε = σ/2, its direction resampled at every step.",
    "fresh_strength": "Strength resampled at every step around ε = σ/2.",
    "fresh_flips": "With probability ε = σ/2 the target is a random class.",
}


def late_memorisation(table: Table) -> Interval:
    """Share of the gain that is late memorisation avoided, with Fieller's interval;
    above 1 when early stopping alone does better.

    1 − (noisy − plain, both stopped early on noisy validation labels) / (noisy − plain,
    both at the end).
    """
    names = ("plain", "noisy", "early_stopped", "noisy_early_stopped")
    arms = {arm: table.values("gain", arm, "accuracy") for arm in names}
    left = ratio_interval(arms["noisy_early_stopped"] - arms["early_stopped"], arms["noisy"] - arms["plain"])
    return Interval(1 - left.high, 1 - left.mean, 1 - left.low, left.level, left.n, left.method)


def sigma_curve(table: Table, corruption: str = "0.4") -> tuple[np.ndarray, np.ndarray]:
    """σ (C,) from 0 and the noisy arm's accuracy (S, C) at one corruption; σ = 0 is the
    plain arm.
    """
    sigmas = sorted(table.levels("map", "sigma"), key=float)
    plain = table.values("map", "plain", "accuracy", corruption=corruption, sigma=sigmas[0])
    noisy = [table.values("map", "noisy", "accuracy", corruption=corruption, sigma=sigma) for sigma in sigmas]
    return np.array([0.0, *map(float, sigmas)]), np.stack([plain, *noisy], axis=1)
