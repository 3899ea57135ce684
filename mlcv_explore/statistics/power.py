"""Power of paired tests: smallest detectable effects, ties, and numbers of seeds."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from mlcv_explore.statistics.intervals import t_quantile

POWER = 0.8  # with which a smallest detectable effect and a number of seeds are stated

MOST_SEEDS = 10_000  # more would settle nothing worth settling

NEAREST = 1e-9  # a mean nearer to the margin lies on it, and no number of seeds settles that

GRID = 1000  # quantiles of the estimated error over which the power of a tie is averaged

FARTHEST = 1e9  # noncentrality beyond which SciPy knows no power, and it is 1


def power(effect: float, deviation: float, n: int, level: float = 0.95, overlap: float = 0.0) -> float:
    """Probability that n seeds put the whole interval on the effect's side of the
    margin, `effect` being the distance beyond it.

    `deviation` is of one paired difference; `overlap` is test/train of re-drawn splits.
    Noncentral t.
    """
    from scipy.special import nctdtr

    if n < 2:
        return 0.0
    error = deviation * math.sqrt(1 / n + overlap)
    if error * FARTHEST <= abs(effect):  # no variance to speak of: the point decides
        return float(effect > 0)
    centre, critical = effect / error, t_quantile(1 - (1 - level) / 2, n - 1)
    missed = float(nctdtr(n - 1, centre, critical))
    # SciPy gives up far out, where this is right to every digit
    return float(centre > critical) if math.isnan(missed) else 1 - missed


def smallest_detectable_effect(
    deviation: float, n: int, level: float = 0.95, power: float = POWER, overlap: float = 0.0
) -> float:
    """The distance beyond the margin that n seeds show with this power; infinite below
    two seeds.
    """
    return math.inf if n < 2 else _noncentrality(n, level, power) * deviation * math.sqrt(1 / n + overlap)


def tie_power(
    margin: float, deviation: float, n: int, tail: float = 0.05, overlap: float = 0.0, mean: float = 0.0
) -> float:
    """Probability that two one-sided t-tests at level `tail` find a tie within ±margin
    where the true difference is `mean`.

    Both succeed where the estimated mean is nearer than margin − t·error to 0: the
    normal probability of that, averaged over the χ of the estimated error. Source:
    Phillips, Power of the Two One-Sided Tests Procedure in Bioequivalence, J.
    Pharmacokinetics and Biopharmaceutics 18, 1990.
    """
    from scipy.special import ndtr

    if n < 2:
        return 0.0
    error = deviation * math.sqrt(1 / n + overlap)
    if error * FARTHEST <= margin:  # no variance to speak of: the point decides
        return float(abs(mean) < margin)
    half = margin / error - t_quantile(1 - tail, n - 1) * _error_quantiles(n)
    centre = mean / error
    return float(np.where(half > 0, ndtr(half - centre) - ndtr(-half - centre), 0.0).mean())


def smallest_tie_margin(deviation: float, n: int, tail: float = 0.05, overlap: float = 0.0) -> float:
    """The smallest margin within which n seeds find a true tie with 80 % power; infinite
    below two seeds.
    """
    return math.inf if n < 2 else _tie_ratio(n, tail) * deviation * math.sqrt(1 / n + overlap)


def seeds_needed(
    distance: float, deviation: float, level: float = 0.95, target: float = POWER, overlap: float = 0.0
) -> int | None:
    """How many seeds show a mean this far from the margin with this power; None when
    10,000 would not do.
    """
    return fewest_seeds(
        lambda n: distance > NEAREST and power(distance, deviation, n, level, overlap) >= target
    )


def fewest_seeds(enough: Callable[[int], bool]) -> int | None:
    """The smallest number of seeds from which on it is enough; None beyond MOST_SEEDS."""
    if not enough(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@cache
def _error_quantiles(n: int) -> np.ndarray:
    """(GRID,) quantiles of the estimated over the true error of n normal values."""
    from scipy.special import chdtri

    return np.sqrt(chdtri(n - 1, (np.arange(GRID) + 0.5) / GRID) / (n - 1))


@cache
def _tie_ratio(n: int, tail: float) -> float:
    """Margin over standard error at which n seeds find a true tie with 80 % power."""
    from scipy.optimize import brentq

    farthest = 10 * t_quantile(1 - tail, n - 1) + 10
    return float(brentq(lambda ratio: tie_power(ratio, math.sqrt(n), n, tail) - POWER, 0.0, farthest))


@cache
def _noncentrality(n: int, level: float, target: float) -> float:
    """Effect over standard error at which a t-test of n seeds has this power."""
    from scipy.optimize import brentq

    farthest = 10 * t_quantile(1 - (1 - level) / 2, n - 1) + 10
    return float(brentq(lambda effect: power(effect, math.sqrt(n), n, level) - target, 0.0, farthest))
