"""Scores of prediction intervals, and quantiles of weighted values to make them of."""

import numpy as np


def interval_score(
    low: np.ndarray | float, high: np.ndarray | float, value: np.ndarray, confidence: float
) -> np.ndarray:
    """Width plus 2/α times the distance by which the value lies outside, α = 1 −
    confidence; a proper score, lower is better.

    Source: Gneiting and Raftery, Strictly Proper Scoring Rules, Prediction, and
    Estimation, JASA 102, 2007.
    """
    outside = np.maximum(low - value, 0) + np.maximum(value - high, 0)
    return high - low + 2 / (1 - confidence) * outside


def weighted_quantile(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The smallest values (n,) at or below which the given shares (q,) of the weight
    (n,) lie.
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, np.asarray(shares) * reached[-1] * (1 - 1e-12))
    return values[order][np.minimum(places, len(values) - 1)]
