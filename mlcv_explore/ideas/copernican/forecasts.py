"""Where a curve is stopped, what Gott's rule and its baselines forecast, and how well.

Stops on one curve are dependent, and so are curves of one data set: every number is a
mean over stops, then over the curves of a source.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mlcv_explore.ideas.copernican.intervals import MAX_RATIO, covers, factor, log_ratio
from mlcv_explore.models.learning_curves import Curve
from mlcv_explore.statistics.extrapolation import FAMILIES, predicted_growth
from mlcv_explore.statistics.prediction_intervals import interval_score, weighted_quantile

STOPS = ("time", "importance", "improving")
BY_CONSTRUCTION = "importance"  # uniform in what is predicted: Gott's interval covers whatever the curve
FITS = (*FAMILIES, *(f"{family}_others" for family in FAMILIES))
METHODS = ("copernican", "null", "fitted", *FITS, "quantiles", "oracle")
MEASURES = ("coverage", "width", "score", "over")  # over: the future is below the interval
LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])  # of calibration
STEPS, MIN_GAIN = 3, 0.01  # improving: the last three steps gained 1 % of all so far
MIN_VISIBLE = 3  # steps below which nothing is fitted
EDGE = math.log(MAX_RATIO)  # of log(future / past) in scores
Ends = tuple[np.ndarray | float, np.ndarray | float]  # of log(future / past)


def stop_weights(curve: Curve, stops: str) -> np.ndarray:
    """Probability (T,) of a stop at each step 1…T; 0 at the last and without a past.

    *time*: uniform. *importance*: proportional to the gain of a step. *improving*:
    uniform over the steps whose last three gained at least 1 % of all so far.
    """
    steps, gained = len(curve.past), curve.progress
    if stops == "time":
        weights = np.ones(steps)
    elif stops == "importance":
        weights = np.diff(gained)
    else:
        before = np.concatenate([np.zeros(STEPS), gained])[: steps + 1]
        weights = (gained - before >= MIN_GAIN * gained)[1:].astype(float)
    weights[-1] = 0.0
    weights = np.where(curve.past > 0, weights, 0.0)
    return weights / weights.sum() if weights.sum() > 0 else weights


def extrapolate(curve: Curve, family: str, confidence: float) -> tuple[np.ndarray, ...]:
    """log(future / past) at every step: a fit to what is visible and the ends of its
    own interval, (T,) each; below three visible steps Gott's interval around the past.
    """
    growth = predicted_growth(curve.past, curve.horizon, family, confidence)
    few, gott = np.arange(1, len(curve.past) + 1) < MIN_VISIBLE, math.log(factor(confidence))
    return tuple(
        np.where(few, default, log_ratio(curve.past, np.maximum(future, 0)))
        for future, default in zip(growth, (0.0, -gott, gott), strict=True)
    )


def evaluate(
    own: Sequence[Curve], others: Sequence[Curve], confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Every measure of every method at every kind of stop on a source's own curves,
    (STOPS, METHODS, MEASURES), and coverage of Gott's interval at every level, (STOPS,
    LEVELS). Means over stops, then over curves.

    *null*: from past/100 to 100·past. *fitted*: [past/k, k·past], k minimising the score
    on the curves of other data sets. *quantiles* and *…_others*: ends from their log(future
    / past), or the fit's errors in it. *oracle*: quantiles of this very curve. Scores clip
    log(future / past) and both ends to ±log 100.
    """
    measured = np.zeros((len(STOPS), len(METHODS), len(MEASURES)))
    calibration = np.zeros((len(STOPS), len(LEVELS)))
    pairs = [[(curve, _fits(curve, confidence)) for curve in curves] for curves in (own, others)]
    for row, stops in enumerate(STOPS):
        calibrated = _calibrated(pairs[1], stops, confidence)
        for curve, fits in pairs[0]:
            weight, ratio = stop_weights(curve, stops), log_ratio(curve.past, curve.future)
            for column, (low, high) in enumerate(_ends(weight, ratio, fits, calibrated, confidence)):
                inside = (ratio >= low) & (ratio <= high)
                if METHODS[column] == "copernican":  # exactly, not clipped to a hundredth
                    inside = covers(curve.past, curve.future, confidence)
                ends = np.clip(low, -EDGE, EDGE), np.clip(high, -EDGE, EDGE)
                score = interval_score(*ends, ratio, confidence)
                width = np.broadcast_to(ends[1] - ends[0], ratio.shape)
                columns = inside, width, score, ~inside & (ratio < low)
                measured[row, column] += [weight @ values for values in columns]
            calibration[row] += [weight @ covers(curve.past, curve.future, level) for level in LEVELS]
    return measured / len(own), calibration / len(own)


def _fits(curve: Curve, confidence: float) -> dict[str, tuple[np.ndarray, ...]]:
    return {family: extrapolate(curve, family, confidence) for family in FAMILIES}


def _calibrated(
    others: Sequence[tuple[Curve, Mapping[str, tuple[np.ndarray, ...]]]], stops: str, confidence: float
) -> dict[str, np.ndarray]:
    """What other sources' curves give, at one kind of stop: both ends of log(future /
    past), of the errors of each fit in it, and of the best symmetric interval.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    pool = np.concatenate([stop_weights(curve, stops) for curve, _ in others])
    known = np.concatenate([log_ratio(curve.past, curve.future) for curve, _ in others])
    # where the score's slope in log k is zero
    apart = weighted_quantile(np.abs(known), pool, np.array([confidence]))[0]
    ends = {"fitted": np.array([-apart, apart]), "quantiles": weighted_quantile(known, pool, tails)}
    for family in FAMILIES:
        errors = known - np.concatenate([fits[family][0] for _, fits in others])
        ends[family] = weighted_quantile(errors, pool, tails)
    return ends


def _ends(
    weight: np.ndarray,
    ratio: np.ndarray,
    fits: Mapping[str, tuple[np.ndarray, ...]],
    calibrated: Mapping[str, np.ndarray],
    confidence: float,
) -> list[Ends]:
    """Both ends of log(future / past) on one curve by METHODS, in their order."""
    gott, tails = math.log(factor(confidence)), np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    return [
        (-gott, gott),
        (-EDGE, EDGE),
        tuple(calibrated["fitted"]),
        *(fits[family][1:] for family in FAMILIES),
        *(tuple(fits[family][0] + end for end in calibrated[family]) for family in FAMILIES),
        tuple(calibrated["quantiles"]),
        tuple(weighted_quantile(ratio, weight, tails)),
    ]
