"""Saturating curves fitted to what is visible at every step, and the growth they predict
until a horizon.
"""

import numpy as np

FAMILIES = ("exponential", "power")
GRID = 120  # time constants, or exponents, of a fit
FLOOR = 1e-6  # of the residuals' deviation, as a share of the value: far above rounding


def grid_fits(values: np.ndarray, horizon: int, family: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Futures, their likelihoods and the residuals' deviation, for a fit to the values
    (T,) of steps 1…t, at every t: (G, T), (G, T), (T,). Before them the curve is 0.

    The families are A (1 − e^(−t/τ)) and A (1 − (1 + t)^(−b)); A is the least-squares
    value for each of G constants τ or b. The future is the fit's growth until the
    horizon; residuals are taken as independent and normal.
    """
    time = np.arange(1.0, len(values) + 1)
    if family == "exponential":
        constants = np.geomspace(0.3, 30 * horizon, GRID)[:, None]
        shape, end = -np.expm1(-time / constants), -np.expm1(-horizon / constants)
    else:
        powers = np.geomspace(0.01, 8, GRID)[:, None]
        shape, end = 1 - (1 + time) ** -powers, 1 - (1.0 + horizon) ** -powers
    crossed, squared = np.cumsum(shape * values, axis=1), np.cumsum(shape**2, axis=1)
    scale = crossed / squared
    residuals = np.maximum(np.cumsum(values**2) - crossed * scale, 0)  # squared sums, (G, T)
    least = residuals.min(0)
    deviation = np.sqrt(least / np.maximum(time - 2, 1)) + FLOOR * np.where(values > 0, values, 1.0)
    likelihood = np.exp(-(residuals - least) / (2 * deviation**2))
    return scale * np.maximum(end - shape, 0), likelihood, deviation


def predicted_growth(
    values: np.ndarray, horizon: int, family: str, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Growth from each step to the horizon: the best fit's, and the ends of an interval
    of the likelihood, widened by the residuals; (T,) each, the ends of either sign. At
    the first step every constant fits: there is no best, NaN, and the interval has no ends.
    """
    from scipy.special import ndtri

    futures, likelihood, deviation = grid_fits(values, horizon, family)
    steps = np.arange(len(values))
    best = futures[likelihood.argmax(0), steps]
    order = futures.argsort(0)
    ordered = np.take_along_axis(futures, order, 0)
    reached = np.cumsum(np.take_along_axis(likelihood, order, 0), axis=0)
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    low, high = (ordered[(reached < share * reached[-1]).sum(0).clip(max=GRID - 1), steps] for share in tails)
    around = ndtri(tails[1]) * deviation
    best[:1], around[:1] = np.nan, np.inf
    return best, low - around, high + around
