"""Intervals and tests of a median: they hold their level whatever the distribution is,
and so where single seeds collapse.

Source: Conover, Practical Nonparametric Statistics, 3rd edition, 1999, sections 3.2
(order statistics) and 3.4 (sign test).
"""

import math
from functools import cache

import numpy as np

from mlcv_explore.statistics.intervals import Interval
from mlcv_explore.statistics.power import MOST_SEEDS, POWER

NEAREST = 1e-12  # a value nearer to a bound lies on it


def median_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """The interval between two order statistics of (S,) values, `mean` being their
    median; its coverage is at least the level. Without bounds where S is too small (five
    at 95 %) or a value is undefined.
    """
    ordered, n = np.sort(np.asarray(values, dtype=float)), len(values)
    median = float(np.median(ordered)) if n else math.nan
    needed = fewest_beyond(n, (1 - level) / 2)
    if n < 2 or not math.isfinite(median) or needed > n:
        return Interval(-math.inf, median, math.inf, level, n, "median")
    return Interval(float(ordered[n - needed]), median, float(ordered[needed - 1]), level, n, "median")


def p_median_above(values: np.ndarray, bound: float) -> float:
    """One-sided p-value of the sign test that the median lies above the bound; a value
    on the bound counts against it.
    """
    from scipy.special import bdtrc

    above = int((values > bound + NEAREST).sum())
    return float(bdtrc(above - 1, len(values), 0.5)) if above else 1.0


def fewest_beyond(n: int, tail: float) -> int:
    """How many of n seeds have to lie beyond a bound for a one-sided sign test at level
    `tail`; n + 1 where not even all do.
    """
    return int(_fewest_beyond(np.array([max(n, 1)]), tail)[0]) if n else 1


@cache
def seeds_for_median(share: float, tail: float, other: float = 1.0) -> int | None:
    """Seeds from which on a one-sided sign test succeeds with 80 % power where this share
    of seeds lies beyond the bound; with `other`, a second test of a second bound has to
    succeed as well. None beyond 10,000.
    """
    from scipy.special import bdtrc

    counts, needed = _every_count(tail)
    power = np.minimum(
        1.0,
        sum(np.where(needed > counts, 0.0, bdtrc(needed - 1, counts, each)) for each in (share, other)) - 1,
    )
    missing = np.flatnonzero(power < POWER)
    last = int(missing[-1]) if len(missing) else -1
    return None if last == len(counts) - 1 else int(counts[last + 1])


@cache
def _every_count(tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of seeds up to 10,000, and how many of each have to lie beyond a bound."""
    counts = np.arange(2, MOST_SEEDS + 1)
    return counts, _fewest_beyond(counts, tail)


def _fewest_beyond(counts: np.ndarray, tail: float) -> np.ndarray:
    """(…) of numbers of seeds (…): the smallest c with P(B ≥ c) < tail, B ~ Bin(n, ½)."""
    from scipy.special import bdtrc, bdtrik

    needed = np.ceil(bdtrik(1 - tail, counts, 0.5)).astype(int) + 1
    # the inverse is rounded: on an integer it may lie on either side
    needed = np.where(bdtrc(needed - 2, counts, 0.5) < tail, needed - 1, needed)
    return np.where(bdtrc(needed - 1, counts, 0.5) < tail, needed, needed + 1)
