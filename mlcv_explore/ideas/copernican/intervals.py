"""Gott's interval for what is still to come.

If past / (past + future) is uniform on (0, 1), then P(future ≥ Y · past) = 1 / (1 + Y).
Only the ratio of future to past enters, so units do not matter.

Source: Gott, Implications of the Copernican principle for our future prospects, Nature
363, 1993, https://doi.org/10.1038/363315a0
"""

import math

import numpy as np

MAX_RATIO = 100.0  # future / past is clipped to 1/100…100 in scores, so that a future of 0 stays finite


def factor(confidence: float) -> float:
    """(1 + c) / (1 − c), the ratio of either end of the interval to the past: 1 at c =
    0, infinite at c = 1. Raises ValueError on a confidence outside 0…1.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"The confidence must be between 0 and 1, got {confidence:g}.")
    return math.inf if confidence == 1 else (1 + confidence) / (1 - confidence)


def interval(past: np.ndarray | float, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the future, in unit and shape of the past: at confidence 0 the past,
    the median, at 1 they are 0 and infinity. Raises ValueError on a negative past.
    """
    past = np.asarray(past, dtype=float)
    if not (past >= 0).all():
        raise ValueError(f"The past must be 0 or more, got {np.nanmin(past):g}.")
    times = factor(confidence)
    high = np.where(past > 0, past * times, 0.0) if math.isfinite(times) else np.full_like(past, np.inf)
    return past / times, high


def covers(past: np.ndarray, future: np.ndarray, confidence: float) -> np.ndarray:
    """Whether each future lies in the interval of its past, ends included; bool."""
    low, high = interval(past, confidence)
    return (future >= low) & (future <= high)


def log_ratio(past: np.ndarray, future: np.ndarray) -> np.ndarray:
    """log(future / past), clipped to ±log 100; of the future where there is no past."""
    ratio = future / np.where(past > 0, past, 1.0)
    return np.log(np.clip(ratio, 1 / MAX_RATIO, MAX_RATIO))


def ranking(rates: np.ndarray, ages: np.ndarray) -> np.ndarray:
    """Order (n,) of features by predicted future gain, largest first. The median future
    equals the past, rate · age; at equal ages this is the order of the rates.
    """
    return np.argsort(-(rates * ages), kind="stable")
