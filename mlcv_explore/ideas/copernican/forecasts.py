"""When a curve is looked at, what is then predicted by Gott's rule and by its rivals,
and how good that is.

Several moments of one curve hang together, so every number is a mean over moments, then
over curves: one a seed.
"""

import math
from collections.abc import Sequence

import numpy as np

from mlcv_explore.ideas.copernican.growth import Curve
from mlcv_explore.ideas.copernican.intervals import (
    covers,
    factor,
    interval_score,
    log_ratio,
    weighted_quantile,
)

STOPS = ("time", "importance", "fixed", "improving")
METHODS = (
    "copernican",
    "fitted",
    "double",
    "exponential",
    "power",
    "exponential_others",
    "power_others",
    "quantiles",
    "oracle",
)
# those that extrapolate a curve of importance
FITS = ("exponential", "power", "exponential_others", "power_others")
# the order of the measure axis; over: the future was less than the interval's lower end
MEASURES = ("coverage", "width", "score", "over")
# at which calibration is measured
LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
FIXED = 0.25  # of the median length of a kind's curves: the step at which all are looked at
# still improving: the last three steps brought a hundredth of all that was gained so far
STEPS, ENOUGH = 3, 0.01
SEEN = 3  # steps below which nothing is fitted
GRID = 120  # time constants, or exponents, that a fit may have


def weights(curve: Curve, stops: str, fixed: int) -> np.ndarray:
    """How often each step 1…T is the moment of looking, (T,), sum 1; all 0 where this
    curve has no such moment. Never the last: that is its end.

    *time*: every step alike. *importance*: in proportion to what is gained in a step.
    *fixed*: the step `fixed`, if the curve goes on after it. *improving*: alike, among
    the steps where the last three brought at least 1 % of all gained so far. Steps
    before anything is gained have no past and do not count.
    """
    steps = len(curve.importance) - 1
    if stops == "time":
        found = np.ones(steps)
    elif stops == "importance":
        found = np.diff(curve.signal)
    elif stops == "fixed":
        found = (np.arange(1, steps + 1) == fixed).astype(float)
    else:
        before = np.concatenate([np.zeros(min(STEPS, steps + 1)), curve.signal])[: steps + 1]
        found = (curve.signal - before >= ENOUGH * curve.signal)[1:].astype(float)
    found[-1] = 0.0
    found = np.where(curve.importance[1:] > 0, found, 0.0)
    return found / found.sum() if found.sum() > 0 else found


def fitted_futures(curve: Curve, family: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Futures, weights of them, and the residuals' deviation, for a fit to what is
    visible at every step: (G, T), (G, T), (T,).

    The families are A (1 − e^(−t/τ)) and A (1 − (1 + t)^(−b)); A is found by least
    squares for each of G time constants or exponents, all steps at once. The future is
    the growth of the fit until the horizon. The weights are likelihoods of independent
    normal residuals.
    """
    time = np.arange(1.0, len(curve.importance))
    if family == "exponential":
        shape = -np.expm1(-time / np.geomspace(0.3, 30 * curve.horizon, GRID)[:, None])
        end = -np.expm1(-curve.horizon / np.geomspace(0.3, 30 * curve.horizon, GRID))[:, None]
    else:
        powers = np.geomspace(0.01, 8, GRID)[:, None]
        shape, end = 1 - (1 + time) ** -powers, 1 - (1.0 + curve.horizon) ** -powers
    seen = curve.importance[1:]
    crossed, squared = np.cumsum(shape * seen, axis=1), np.cumsum(shape**2, axis=1)
    scale = crossed / squared
    missed = np.maximum(np.cumsum(seen**2) - crossed * scale, 0)  # squared residuals, (G, T)
    least = missed.min(0)
    deviation = np.sqrt(least / np.maximum(time - 2, 1)) + 1e-9 * seen[-1]
    likelihood = np.exp(-(missed - least) / (2 * deviation**2))
    return scale * np.maximum(end - shape, 0), likelihood, deviation


def extrapolated(curve: Curve, family: str, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log(future / past) at every step: the fit's prediction and the ends of its own
    interval, (T,) each.

    The interval is that of the likelihood over the fit's constant, widened by the
    deviation of the residuals: it knows this curve alone. With fewer than three steps
    seen nothing is fitted: past and Gott's interval.
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
    known = np.where(past > 0, past, 1.0)
    found = [log_ratio(known, np.maximum(future, 0)) for future in (best, low - around, high + around)]
    few = np.arange(1, len(past) + 1) < SEEN
    gott = math.log(factor(confidence))
    return tuple(
        np.where(few, instead, values) for values, instead in zip(found, (0.0, -gott, gott), strict=True)
    )


def measured(curves: Sequence[Curve], confidence: float, extrapolates: bool) -> tuple[np.ndarray, np.ndarray]:
    """How every method does at every kind of moment, (stops, METHODS, MEASURES), and
    how often Gott's interval covers, (stops, LEVELS).

    *fitted* is [past/k, k·past] with the k that has the least score on the other
    curves. *quantiles*, and the fits *with others*, take their ends from the other
    curves: the quantiles of log(future / past), or of the fit's errors in it. *double*
    is the point future = past. The *oracle* has the quantiles of this very curve. Where
    `extrapolates` is false the fits are 0. A mean over curves that have such a moment;
    0 where none has.
    """
    fixed = max(1, round(FIXED * float(np.median([len(curve.importance) - 1 for curve in curves]))))
    pasts = [curve.importance[1:] for curve in curves]
    futures = [curve.importance[-1] - curve.importance[1:] for curve in curves]
    ratios = [
        log_ratio(np.where(past > 0, past, 1.0), future) for past, future in zip(pasts, futures, strict=True)
    ]
    fits = {
        family: [extrapolated(curve, family, confidence) for curve in curves]
        for family in FITS[:2] * extrapolates
    }
    table, calibration = (
        np.zeros((len(STOPS), len(METHODS), len(MEASURES))),
        np.zeros((len(STOPS), len(LEVELS))),
    )
    for row, stops in enumerate(STOPS):
        looks = [weights(curve, stops, fixed) for curve in curves]
        used = [place for place, look in enumerate(looks) if look.sum() > 0]
        for place in used:
            others = [other for other in used if other != place]
            look, ratio = looks[place], ratios[place]
            pool = np.concatenate([looks[other] for other in others]) if others else np.empty(0)
            ends = _ends(place, others, pool, ratios, look, fits, confidence)
            for method, (low, high) in ends.items():
                column = METHODS.index(method)
                inside = (ratio >= low) & (ratio <= high)
                if method == "copernican":  # exactly, not within a hundredth
                    inside = covers(pasts[place], futures[place], confidence)
                score, width = (
                    interval_score(low, high, ratio, confidence),
                    interval_score(low, high, np.clip(ratio, low, high), confidence),
                )
                table[row, column] += [
                    look @ values
                    for values in (
                        inside,
                        np.broadcast_to(width, ratio.shape),
                        score,
                        ~inside & (ratio < low),
                    )
                ]
            calibration[row] += [look @ covers(pasts[place], futures[place], level) for level in LEVELS]
        table[row] /= max(1, len(used))
        calibration[row] /= max(1, len(used))
    return table, calibration


def _ends(
    place: int,
    others: Sequence[int],
    pool: np.ndarray,
    ratios: Sequence[np.ndarray],
    look: np.ndarray,
    fits: dict[str, list[tuple[np.ndarray, ...]]],
    confidence: float,
) -> dict[str, tuple[np.ndarray | float, np.ndarray | float]]:
    """Both ends of log(future / past) by every method, for one curve; a method that
    needs others and has none falls back on Gott's.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    gott = math.log(factor(confidence))
    found: dict[str, tuple[np.ndarray | float, np.ndarray | float]] = {
        "copernican": (-gott, gott),
        "double": (0.0, 0.0),
    }
    found["oracle"] = tuple(weighted_quantile(ratios[place], look, tails))
    if others:
        known = np.concatenate([ratios[other] for other in others])
        # where the score's slope in log k is zero
        apart = weighted_quantile(np.abs(known), pool, np.array([confidence]))[0]
        found |= {"quantiles": tuple(weighted_quantile(known, pool, tails)), "fitted": (-apart, apart)}
    else:
        found |= dict.fromkeys(("quantiles", "fitted"), (-gott, gott))
    for family, made in fits.items():
        predicted, low, high = made[place]
        found[family] = (low, high)
        if others:
            errors = np.concatenate([ratios[other] - made[other][0] for other in others])
            below, above = weighted_quantile(errors, pool, tails)
            found[f"{family}_others"] = (predicted + below, predicted + above)
        else:
            found[f"{family}_others"] = (low, high)
    return found
