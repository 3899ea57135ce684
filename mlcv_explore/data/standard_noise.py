"""Noise of mean 0 and variance 1 in several distributions, all from the same Gaussian
draws: each draw is passed through a distribution's quantile function.
"""

from functools import cache

import numpy as np

FREEDOM = 5  # degrees of freedom of Student's t
GRID = np.linspace(-8.0, 8.0, 8_001)  # Gaussian draws between which quantiles are interpolated


def standard_noise(shape: str, draws: np.ndarray) -> np.ndarray:
    """Gaussian draws (…, K) as noise of the distribution "gaussian", "laplace",
    "uniform", "rademacher" or "student_t", in the same order; float32.

    Names that begin with "zero_sum" subtract the mean over the last axis, which leaves
    variance 1 − 1/K.
    """
    if shape.startswith("zero_sum"):
        return draws - draws.mean(-1, keepdims=True)
    if shape == "gaussian":
        return draws
    if shape == "rademacher":
        return np.where(draws < 0, np.float32(-1), np.float32(1))
    return np.interp(draws, GRID, _quantiles(shape)).astype(np.float32)


@cache
def _quantiles(shape: str) -> np.ndarray:
    """Quantiles of a shape of variance 1 at the probabilities of GRID; tails by
    symmetry, where ndtr keeps its digits.
    """
    from scipy.special import ndtr, stdtrit

    lower = ndtr(-np.abs(GRID))  # ≤ ½
    if shape == "laplace":
        size = -np.log(2 * lower) / np.sqrt(2)
    elif shape == "uniform":
        size = np.sqrt(3) * (1 - 2 * lower)
    else:
        size = -stdtrit(FREEDOM, lower) * np.sqrt((FREEDOM - 2) / FREEDOM)
    return np.sign(GRID) * size
