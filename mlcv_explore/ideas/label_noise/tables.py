"""What Answer shows beyond the claims: tuned arms and the published curve, from the rows
of a study; notes on the shapes of noise.
"""

from collections.abc import Mapping

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.label_noise import LONG
from mlcv_explore.ideas.label_noise.noise import smoothing_strength
from mlcv_explore.statistics import Interval

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


def tuned_arms(table: Table, chosen: Mapping[str, tuple[float, float]]) -> dict[str, list[Interval | str]]:
    """Settings of the tuned arms, {arm: (learning rate, σ)}, and their accuracy when these
    were chosen and after more epochs: head → a cell for each arm.
    """
    rows = [{"arm": arm, "measure": "accuracy"} for arm in chosen]
    after = {"100": {"claim": "beats_smoothing"}, f"{LONG}": {"claim": "epochs", "epochs": LONG}}
    strengths = {"noisy": "σ = {0:g}", "smoothing": "ε = {1:g}"}
    return {
        "Learning rate": [f"{rate:.5f}".rstrip("0") for rate, _ in chosen.values()],
        "Strength": [
            strengths.get(arm.rpartition("_")[2], "–").format(sigma, smoothing_strength(sigma))
            for arm, (_, sigma) in chosen.items()
        ],
        **table.cross(rows, {f"After {epochs} epochs (%)": cell for epochs, cell in after.items()}),
    }


def sigma_curve(table: Table, corruption: str = "0.4") -> tuple[np.ndarray, np.ndarray]:
    """σ (C,) from 0 and the noisy arm's accuracy (S, C) at one corruption; σ = 0 is the
    plain arm.
    """
    sigmas = sorted(table.levels("map", "sigma"), key=float)
    plain = table.values("map", "plain", "accuracy", corruption=corruption, sigma=sigmas[0])
    noisy = [table.values("map", "noisy", "accuracy", corruption=corruption, sigma=sigma) for sigma in sigmas]
    return np.array([0.0, *map(float, sigmas)]), np.stack([plain, *noisy], axis=1)
