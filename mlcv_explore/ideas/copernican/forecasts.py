"""Where a curve is stopped, what Gott's rule and its baselines forecast there, and how
good that is.

Stops on one curve are dependent, so every number is a mean over stops, then over
curves: one a seed.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mlcv_explore.ideas.copernican.curves import Curve
from mlcv_explore.ideas.copernican.intervals import (
    covers,
    factor,
    interval_score,
    log_ratio,
    weighted_quantile,
)

STOPS = ("time", "importance", "fixed", "improving")
FAMILIES = ("exponential", "power")  # of curves that are fitted to the visible part
FITS = (*FAMILIES, "exponential_others", "power_others")
METHODS = ("copernican", "fitted", "double", *FITS, "quantiles", "oracle")
MEASURES = ("coverage", "width", "score", "over")  # over: the future is below the interval
LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])  # of calibration
FIXED = 0.25  # the fixed step, as a share of the median length of a kind's curves
STEPS, MIN_GAIN = 3, 0.01  # improving: the last three steps gained 1 % of all so far
MIN_VISIBLE = 3  # steps below which nothing is fitted
GRID = 120  # time constants, or exponents, of a fit
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
    steps = len(curve.importance) - 1
    if stops == "time":
        weights = np.ones(steps)
    elif stops == "importance":
        weights = np.diff(curve.signal)
    elif stops == "fixed":
        weights = (np.arange(1, steps + 1) == fixed).astype(float)
    else:
        before = np.concatenate([np.zeros(min(STEPS, steps + 1)), curve.signal])[: steps + 1]
        weights = (curve.signal - before >= MIN_GAIN * curve.signal)[1:].astype(float)
    weights[-1] = 0.0
    weights = np.where(curve.importance[1:] > 0, weights, 0.0)
    return weights / weights.sum() if weights.sum() > 0 else weights


def fitted_futures(curve: Curve, family: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Futures, their likelihoods and the residuals' deviation, for a fit to the visible
    part at every step: (G, T), (G, T), (T,).

    The families are A (1 − e^(−t/τ)) and A (1 − (1 + t)^(−b)); A is the least-squares
    value for each of G constants τ or b. The future is the fit's growth until the
    horizon; residuals are taken as independent and normal.
    """
    time = np.arange(1.0, len(curve.importance))
    if family == "exponential":
        shape = -np.expm1(-time / np.geomspace(0.3, 30 * curve.horizon, GRID)[:, None])
        end = -np.expm1(-curve.horizon / np.geomspace(0.3, 30 * curve.horizon, GRID))[:, None]
    else:
        powers = np.geomspace(0.01, 8, GRID)[:, None]
        shape, end = 1 - (1 + time) ** -powers, 1 - (1.0 + curve.horizon) ** -powers
    visible = curve.importance[1:]
    crossed, squared = np.cumsum(shape * visible, axis=1), np.cumsum(shape**2, axis=1)
    scale = crossed / squared
    residuals = np.maximum(np.cumsum(visible**2) - crossed * scale, 0)  # squared sums, (G, T)
    least = residuals.min(0)
    deviation = np.sqrt(least / np.maximum(time - 2, 1)) + 1e-9 * visible[-1]
    likelihood = np.exp(-(residuals - least) / (2 * deviation**2))
    return scale * np.maximum(end - shape, 0), likelihood, deviation


def extrapolate(curve: Curve, family: str, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log(future / past) at every step: the fit's prediction and the ends of its own
    interval, (T,) each. The interval is that of the likelihood, widened by the
    residuals; with fewer than three visible steps it is Gott's around the past.
    """
    from scipy.special import ndtri

    past = curve.importance[1:]
    futures, likelihood, deviation = fitted_futures(curve, family)
    best = futures[likelihood.argmax(0), np.arange(len(past))]
    order = futures.argsort(0)
    ordered = np.take_along_axis(futures, order, 0)
    reached = np.cumsum(np.take_along_axis(likelihood, order, 0), axis=0)
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    low, high = (
        ordered[(reached < share * reached[-1]).sum(0).clip(max=GRID - 1), np.arange(len(past))]
        for share in tails
    )
    around = ndtri(tails[1]) * deviation
    positive = np.where(past > 0, past, 1.0)
    ratios = [log_ratio(positive, np.maximum(future, 0)) for future in (best, low - around, high + around)]
    few = np.arange(1, len(past) + 1) < MIN_VISIBLE
    gott = math.log(factor(confidence))
    return tuple(
        np.where(few, default, values) for values, default in zip(ratios, (0.0, -gott, gott), strict=True)
    )


def evaluate(curves: Sequence[Curve], confidence: float, extrapolates: bool) -> tuple[np.ndarray, np.ndarray]:
    """Every measure of every method at every kind of stop, (STOPS, METHODS, MEASURES),
    and coverage of Gott's interval at every level, (STOPS, LEVELS).

    *fitted*: [past/k, k·past], k minimising the score on the other curves. *quantiles*
    and *…_others*: ends from the other curves' log(future / past), or the fit's errors
    in it. *double*: the point future = past. *oracle*: quantiles of this very curve.
    Without `extrapolates` the fits are 0. Means over curves that have such a stop, else
    0.
    """
    fixed = max(1, round(FIXED * float(np.median([len(curve.importance) - 1 for curve in curves]))))
    pasts = [curve.importance[1:] for curve in curves]
    futures = [curve.importance[-1] - curve.importance[1:] for curve in curves]
    pairs = list(zip(pasts, futures, strict=True))
    ratios = [log_ratio(np.where(past > 0, past, 1.0), future) for past, future in pairs]
    fits = {
        family: [extrapolate(curve, family, confidence) for curve in curves]
        for family in FAMILIES * extrapolates
    }
    measured = np.zeros((len(STOPS), len(METHODS), len(MEASURES)))
    calibration = np.zeros((len(STOPS), len(LEVELS)))
    for row, stops in enumerate(STOPS):
        weights = [stop_weights(curve, stops, fixed) for curve in curves]
        used = [place for place, weight in enumerate(weights) if weight.sum() > 0]
        for place in used:
            weight, ratio = weights[place], ratios[place]
            others = [other for other in used if other != place]
            pool = np.concatenate([weights[other] for other in others]) if others else np.empty(0)
            for method, (low, high) in _ends(place, others, pool, ratios, weight, fits, confidence).items():
                inside = (ratio >= low) & (ratio <= high)
                if method == "copernican":  # exactly, not clipped to a hundredth
                    inside = covers(*pairs[place], confidence)
                score = interval_score(low, high, ratio, confidence)
                width = interval_score(low, high, np.clip(ratio, low, high), confidence)
                columns = inside, np.broadcast_to(width, ratio.shape), score, ~inside & (ratio < low)
                measured[row, METHODS.index(method)] += [weight @ values for values in columns]
            calibration[row] += [weight @ covers(*pairs[place], level) for level in LEVELS]
        measured[row] /= max(1, len(used))
        calibration[row] /= max(1, len(used))
    return measured, calibration


def _ends(
    place: int,
    others: Sequence[int],
    pool: np.ndarray,
    ratios: Sequence[np.ndarray],
    weight: np.ndarray,
    fits: Mapping[str, list[tuple[np.ndarray, ...]]],
    confidence: float,
) -> dict[str, Ends]:
    """Both ends of log(future / past) by every method, for one curve; without other
    curves a method that needs them falls back on its own, or Gott's, interval.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    gott = math.log(factor(confidence))
    ends: dict[str, Ends] = {"copernican": (-gott, gott), "double": (0.0, 0.0)}
    ends["oracle"] = tuple(weighted_quantile(ratios[place], weight, tails))
    if others:
        known = np.concatenate([ratios[other] for other in others])
        # where the score's slope in log k is zero
        apart = weighted_quantile(np.abs(known), pool, np.array([confidence]))[0]
        ends |= {"quantiles": tuple(weighted_quantile(known, pool, tails)), "fitted": (-apart, apart)}
    else:
        ends |= dict.fromkeys(("quantiles", "fitted"), (-gott, gott))
    for family, forecasts in fits.items():
        predicted, *own = forecasts[place]
        ends[family] = ends[f"{family}_others"] = tuple(own)
        if others:
            errors = np.concatenate([ratios[other] - forecasts[other][0] for other in others])
            below, above = weighted_quantile(errors, pool, tails)
            ends[f"{family}_others"] = (predicted + below, predicted + above)
    return ends
