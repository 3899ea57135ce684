"""Gott's interval: what a past says of the future when the moment of looking is one
like any other.

If past / (past + future) is uniform on (0, 1), then P(future ≥ Y · past) = 1 / (1 + Y).
Everything here is a ratio of future to past, so a change of the unit changes nothing.

Source: Gott, Implications of the Copernican principle for our future prospects, Nature
363, 1993, https://doi.org/10.1038/363315a0
"""

import math

import numpy as np

# for scores, a future below 1/100 of the past counts as that, one above 100 times as that: a future
# of nothing stays finite
MOST = 100.0


def factor(confidence: float) -> float:
    """(1 + c) / (1 − c), by which both ends of the interval differ from the past: 1 at
    c = 0, infinite at c = 1.

    Raises ValueError on a confidence outside 0…1.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"The confidence must be between 0 and 1, got {confidence:g}.")
    return math.inf if confidence == 1 else (1 + confidence) / (1 - confidence)


def interval(past: np.ndarray | float, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the future, in the unit of the past and in its shape.

    At confidence 0 both are the past, which is the median of the future; at 1 they are
    0 and infinity. Raises ValueError on a negative past.
    """
    past = np.asarray(past, dtype=float)
    if not (past >= 0).all():
        raise ValueError(f"The past must be 0 or more, got {np.nanmin(past):g}.")
    times = factor(confidence)
    high = np.where(past > 0, past * times, 0.0) if math.isfinite(times) else np.full_like(past, np.inf)
    return past / times, high


def covers(past: np.ndarray, future: np.ndarray, confidence: float) -> np.ndarray:
    """Whether each future lies in the interval of its past, ends included; bool, in
    their shape.
    """
    low, high = interval(past, confidence)
    return (future >= low) & (future <= high)


def survival(multiple: np.ndarray | float) -> np.ndarray | float:
    """P(future ≥ multiple · past), in 0…1."""
    return 1 / (1 + multiple)


def log_ratio(past: np.ndarray, future: np.ndarray) -> np.ndarray:
    """log(future / past) for pasts above 0, held within ±log 100."""
    ratio = np.asarray(future, dtype=float) / np.asarray(past, dtype=float)
    return np.log(np.clip(ratio, 1 / MOST, MOST))


def interval_score(low: np.ndarray, high: np.ndarray, value: np.ndarray, confidence: float) -> np.ndarray:
    """Width plus 2/α times the distance by which the value lies outside, α = 1 −
    confidence; less is better, and honesty pays.

    All three on one scale, here that of log(future / past), so a point is an interval
    too. Ends are held within ±log 100, as values are.

    Source: Gneiting and Raftery, Strictly Proper Scoring Rules, Prediction, and
    Estimation, JASA 102, 2007.
    """
    edge = math.log(MOST)
    low, high = np.clip(low, -edge, edge), np.clip(high, -edge, edge)
    outside = np.maximum(low - value, 0) + np.maximum(value - high, 0)
    return high - low + 2 / (1 - confidence) * outside


def weighted_quantile(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The least values (n,) below or at which lie the given shares (q,) of the weight
    (n,).
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, np.asarray(shares) * reached[-1] * (1 - 1e-12))
    return values[order][np.minimum(places, len(values) - 1)]


def remaining(past: np.ndarray) -> np.ndarray:
    """What the principle predicts is still to come, the median: as much as came so far.
    So equal ages are never re-ranked by it.

    With rate = past / age and a predicted remaining life as long as the age, rate · age
    is the past again.
    """
    return np.asarray(past, dtype=float)


def ranking(rates: np.ndarray, ages: np.ndarray) -> np.ndarray:
    """The order (n,) of features by what is predicted to come, largest first: rate ·
    age. At equal ages it is the order of the rates.
    """
    return np.argsort(
        -remaining(np.asarray(rates, dtype=float) * np.asarray(ages, dtype=float)), kind="stable"
    )
