"""Where a curve is stopped, what Gott's rule and its baselines forecast there, and how
good that is.

Stops on one curve are dependent, so every number is a mean over stops, then over
curves: one a seed.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mlcv_explore.ideas.copernican.intervals import MAX_RATIO, covers, factor, log_ratio
from mlcv_explore.models.learning_curves import KINDS, Curve
from mlcv_explore.statistics.extrapolation import FAMILIES, predicted_growth
from mlcv_explore.statistics.prediction_intervals import interval_score, weighted_quantile

FIVE_KINDS = KINDS[:5]  # the clock of "epochs" is time, that of the others importance
STOPS = ("time", "importance", "fixed", "improving")
FITS = (*FAMILIES, "exponential_others", "power_others")
METHODS = ("copernican", "fitted", "double", *FITS, "quantiles", "oracle")
MEASURES = ("coverage", "width", "score", "over")  # over: the future is below the interval
LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])  # of calibration
FIXED = 0.25  # the fixed step, as a share of the median length of a kind's curves
STEPS, MIN_GAIN = 3, 0.01  # improving: the last three steps gained 1 % of all so far
MIN_VISIBLE = 3  # steps below which nothing is fitted
EDGE = math.log(MAX_RATIO)  # of log(future / past) in scores
Ends = tuple[np.ndarray | float, np.ndarray | float]  # of log(future / past)


def applies(kind: str, method: str) -> bool:
    """Whether a method forecasts a kind: fits extrapolate importance, not a best epoch."""
    return kind != "epochs" or method not in FITS


def uniform_stop(kind: str) -> str:
    """The kind of stop that is uniform in what is predicted, so that Gott's interval
    covers by construction.
    """
    return "time" if kind == "epochs" else "importance"


def stop_weights(curve: Curve, stops: str, fixed: int) -> np.ndarray:
    """Probability (T,) that the curve is stopped at each step 1…T; all 0 where it has
    no such stop. Never the last step, nor one without a past.

    *time*: uniform. *importance*: proportional to the gain of a step. *fixed*: the step
    `fixed`, if the curve goes on after it. *improving*: uniform over the steps whose
    last three gained at least 1 % of all so far.
    """
    steps = len(curve.past)
    if stops == "time":
        weights = np.ones(steps)
    elif stops == "importance":
        weights = np.diff(curve.signal)
    elif stops == "fixed":
        weights = (np.arange(1, steps + 1) == fixed).astype(float)
    else:
        before = np.concatenate([np.zeros(STEPS), curve.signal])[: steps + 1]
        weights = (curve.signal - before >= MIN_GAIN * curve.signal)[1:].astype(float)
    weights[-1] = 0.0
    weights = np.where(curve.past > 0, weights, 0.0)
    return weights / weights.sum() if weights.sum() > 0 else weights


def extrapolate(curve: Curve, family: str, confidence: float) -> tuple[np.ndarray, ...]:
    """log(future / past) at every step: the prediction of a fit to what is visible and
    the ends of its own interval, (T,) each; with fewer than three visible steps it is
    Gott's around the past.
    """
    growth = predicted_growth(curve.past, curve.horizon, family, confidence)
    few, gott = np.arange(1, len(curve.past) + 1) < MIN_VISIBLE, math.log(factor(confidence))
    return tuple(
        np.where(few, default, log_ratio(curve.past, np.maximum(future, 0)))
        for future, default in zip(growth, (0.0, -gott, gott), strict=True)
    )


def evaluate(curves: Sequence[Curve], confidence: float, extrapolates: bool) -> tuple[np.ndarray, np.ndarray]:
    """Every measure of every method at every kind of stop, (STOPS, METHODS, MEASURES),
    and coverage of Gott's interval at every level, (STOPS, LEVELS).

    *fitted*: [past/k, k·past], k minimising the score on the other curves. *quantiles*
    and *…_others*: ends from the other curves' log(future / past), or the fit's errors
    in it. *double*: the point future = past. *oracle*: quantiles of this very curve.
    Without `extrapolates` the fits are 0. Means over curves that have such a stop, else
    0. Scores clip log(future / past) and both ends to ±log 100.
    """
    fixed = max(1, round(FIXED * float(np.median([len(curve.past) for curve in curves]))))
    ratios = [log_ratio(curve.past, curve.future) for curve in curves]
    families = FAMILIES if extrapolates else ()
    fits = {family: [extrapolate(curve, family, confidence) for curve in curves] for family in families}
    measured = np.zeros((len(STOPS), len(METHODS), len(MEASURES)))
    calibration = np.zeros((len(STOPS), len(LEVELS)))
    for row, stops in enumerate(STOPS):
        weights = [stop_weights(curve, stops, fixed) for curve in curves]
        used = [place for place, weight in enumerate(weights) if weight.any()]
        for place in used:
            weight, ratio, pair = weights[place], ratios[place], (curves[place].past, curves[place].future)
            others = [other for other in used if other != place]
            for method, (low, high) in _ends(place, others, ratios, weights, fits, confidence).items():
                inside = (ratio >= low) & (ratio <= high)
                if method == "copernican":  # exactly, not clipped to a hundredth
                    inside = covers(*pair, confidence)
                ends = np.clip(low, -EDGE, EDGE), np.clip(high, -EDGE, EDGE)
                score = interval_score(*ends, ratio, confidence)
                width = interval_score(*ends, np.clip(ratio, low, high), confidence)
                columns = inside, width, score, ~inside & (ratio < low)
                measured[row, METHODS.index(method)] += [weight @ values for values in columns]
            calibration[row] += [weight @ covers(*pair, level) for level in LEVELS]
        measured[row] /= max(1, len(used))
        calibration[row] /= max(1, len(used))
    return measured, calibration


def _ends(
    place: int,
    others: Sequence[int],
    ratios: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    fits: Mapping[str, list[tuple[np.ndarray, ...]]],
    confidence: float,
) -> dict[str, Ends]:
    """Both ends of log(future / past) by every method, for one curve; without other
    curves a method that needs them falls back on its own, or Gott's, interval.
    """
    tails, gott = np.array([(1 - confidence) / 2, (1 + confidence) / 2]), math.log(factor(confidence))
    ends: dict[str, Ends] = dict.fromkeys(("copernican", "fitted", "quantiles"), (-gott, gott))
    ends |= {"double": (0.0, 0.0), "oracle": weighted_quantile(ratios[place], weights[place], tails)}
    for family, forecasts in fits.items():
        ends[family] = ends[f"{family}_others"] = forecasts[place][1:]
    if others:
        pool, known = (np.concatenate([values[other] for other in others]) for values in (weights, ratios))
        # where the score's slope in log k is zero
        apart = weighted_quantile(np.abs(known), pool, np.array([confidence]))[0]
        ends |= {"quantiles": weighted_quantile(known, pool, tails), "fitted": (-apart, apart)}
        for family, forecasts in fits.items():
            errors = np.concatenate([ratios[other] - forecasts[other][0] for other in others])
            below, above = weighted_quantile(errors, pool, tails)
            ends[f"{family}_others"] = forecasts[place][0] + below, forecasts[place][0] + above
    return ends
