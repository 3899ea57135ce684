"""Means with their intervals, ratios, families of cells, and how they are written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

LEVEL = 0.05  # of a verdict with a single analysis

# unit → factor from the measure's own unit to the shown one
UNITS = {"points": 100.0, "%": 100.0}


EXTRA_DIGITS = 2  # at most, so that a bound is not rounded onto the margin it is read against
FEWEST_RESAMPLED = 20  # values from which on BCa is used: of five it covers 86 % where 95 % are stated


@dataclass(frozen=True)
class Interval:
    """A mean, or median, with bounds; infinite where n seeds cannot bound it."""

    low: float
    mean: float
    high: float
    level: float
    n: int
    method: str

    def text(self, unit: str = "", signed: bool = False, apart: Sequence[float] = ()) -> str:
        """The one way an interval is written: "+22.3 points [21.0, 23.6]", in the unit
        shown; the mean alone where it has no bounds, a dash where it is undefined.

        `apart` are values in the measure's own unit, such as a margin: up to two more
        digits are shown where rounding would move a bound onto one of them, or across.
        """
        mean, low, high = (in_unit(value, unit) for value in (self.mean, self.low, self.high))
        if not math.isfinite(mean):
            return "–"
        bounded = math.isfinite(low) and math.isfinite(high)
        # rounding is no width
        width = high - low if bounded and high - low > 1e-6 * abs(mean) else abs(mean) or 1.0
        # so that the bounds differ in what is shown
        places = min(6, max(1, math.ceil(-math.log10(width / 2))))
        beside = [(bound, in_unit(value, unit)) for bound in (low, high) for value in apart if bounded]
        tried = range(places, places + EXTRA_DIGITS)
        clear = (more for more in tried if not any(_crosses(*pair, more) for pair in beside))
        places = next(clear, places + EXTRA_DIGITS)
        shown = f"{mean:{'+' if signed else ''}z.{places}f}".replace("-", "−")
        bounds = f" [{low:z.{places}f}, {high:z.{places}f}]".replace("-", "−") if bounded else ""
        return f"{shown}{unit and f' {unit}'}{bounds}"

    def as_json(self) -> dict[str, float | int | None]:
        """Plain numbers; what is undefined or infinite is None."""
        return {
            "mean": finite_or_none(self.mean),
            "low": finite_or_none(self.low),
            "high": finite_or_none(self.high),
            "n": self.n,
        }


@dataclass(frozen=True)
class Split:
    """Sizes of training and test part of splits that are re-drawn from one finite data
    set, and therefore overlap.
    """

    train: int
    test: int


@dataclass(frozen=True)
class Clusters:
    """Of seeds that are clusters, such as the curves of one data set: every `count`-th
    seed is the same cluster again.
    """

    count: int

    def of(self, n: int) -> list[int]:
        """The cluster of each of n successive seeds."""
        return [place % self.count for place in range(n)]


def _crosses(bound: float, value: float, places: int) -> bool:
    """Whether rounding moves a bound onto a value beside it, or across."""
    shown = round(bound, places)
    if _equal(bound, value):
        return False
    return _equal(shown, value) or (shown > value) != (bound > value)


def _equal(one: float, other: float) -> bool:
    return math.isclose(one, other, abs_tol=1e-9)


def in_unit(value: float, unit: str) -> float:
    """A value of the measure's own unit in the unit it is shown in."""
    return value * UNITS.get(unit, 1.0)


def t_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """Student's interval for the mean of (S,) values; one value has a mean and no
    bounds.
    """
    return t_interval_with(np.asarray(values, dtype=float), level, 0.0, "t")


def resampled_interval(
    values: Sequence[float] | np.ndarray, train: int, test: int, level: float = 0.95
) -> Interval:
    """The same for values over re-drawn splits of one data set, with the variance
    factor 1/n + test/train.

    Source: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning
    52, 2003.
    """
    return t_interval_with(np.asarray(values, dtype=float), level, test / train, "t, Nadeau–Bengio corrected")


def interval(
    values: Sequence[float] | np.ndarray, split: Split | Clusters | None = None, level: float = 0.95
) -> Interval:
    """The t-interval of (S,) values, corrected where every seed has a split of its own;
    over clusters where seeds are clusters.
    """
    if split is None:
        return t_interval(values, level)
    if isinstance(split, Clusters):
        from mlcv_explore.statistics.clusters import cluster_interval  # late: it imports this module

        return cluster_interval(np.asarray(values, dtype=float), split.of(len(values)), level)
    return resampled_interval(values, split.train, split.test, level)


def bootstrap_interval(values: Sequence[float] | np.ndarray, level: float = 0.95, seed: int = 0) -> Interval:
    """SciPy's BCa bootstrap interval for the mean of (S,) values; below 20 values, where
    it is too narrow, Student's.
    """
    from scipy.stats import bootstrap

    from mlcv_explore.seeds import numpy_stream

    values = np.asarray(values, dtype=float)
    if len(values) < FEWEST_RESAMPLED or not np.isfinite(values).all() or np.ptp(values) == 0:
        return t_interval_with(values, level, 0.0, "t")  # also without bounds, or a point
    resampled = bootstrap(
        (values,), np.mean, confidence_level=level, rng=numpy_stream(seed, "bootstrap")
    ).confidence_interval
    return Interval(
        float(resampled.low), float(values.mean()), float(resampled.high), level, len(values), "bootstrap"
    )


def share_interval(count: int, n: int, level: float = 0.95) -> Interval:
    """Clopper and Pearson's interval for a share, `count` of n: its coverage is at least
    the level. Source: Biometrika 26, 1934.
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Interval(low, count / n if n else math.nan, high, level, n, "Clopper–Pearson")


def ratio_interval(
    numerators: Sequence[float] | np.ndarray, denominators: Sequence[float] | np.ndarray, level: float = 0.95
) -> Interval:
    """Fieller's interval for mean(numerators)/mean(denominators), paired (S,).

    Unbounded when the denominator is not clearly nonzero. Source: Fieller, Some
    Problems in Interval Estimation, JRSS B 16, 1954.
    """
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    n = len(above)
    ratio = float(above.mean() / below.mean()) if n and below.mean() else math.nan
    if n < 2 or not math.isfinite(ratio):
        return Interval(-math.inf, ratio, math.inf, level, n, "Fieller")
    covariance = np.cov(above, below) / n
    quantile = t_quantile(1 - (1 - level) / 2, n - 1) ** 2
    # the ratios r for which mean(above) − r·mean(below) is not significantly different from zero: a
    # r² − 2 b r + c ≤ 0
    a = below.mean() ** 2 - quantile * covariance[1, 1]
    b = above.mean() * below.mean() - quantile * covariance[0, 1]
    c = above.mean() ** 2 - quantile * covariance[0, 0]
    if a <= 0:
        return Interval(-math.inf, ratio, math.inf, level, n, "Fieller")
    root = math.sqrt(max(0.0, b * b - a * c))
    return Interval(float((b - root) / a), ratio, float((b + root) / a), level, n, "Fieller")


def significant_cells(
    differences: np.ndarray, margin: float = 0.0, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A heat map's cells (…, S) as mean, 95 % bounds and whether |mean| is beyond the
    margin, Holm-corrected over all cells.

    A cell with an undefined value, or one seed, is never significant.
    """
    flat = differences.reshape(-1, differences.shape[-1]).astype(float)
    intervals = [t_interval_with(values, 1 - level, 0.0, "t") for values in flat]
    p = np.array(
        [
            p_outside(values, margin, 0.0) if len(values) > 1 and np.isfinite(values).all() else 1.0
            for values in flat
        ]
    )
    shape = differences.shape[:-1]
    bounds = [
        np.array([getattr(one, name) for one in intervals]).reshape(shape) for name in ("mean", "low", "high")
    ]
    return bounds[0], bounds[1], bounds[2], (holm(p) < level).reshape(shape)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values, at most 1, in the order given. Source: Holm,
    Scandinavian Journal of Statistics 6, 1979.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def t_interval_with(values: np.ndarray, level: float, overlap: float, method: str) -> Interval:
    """The t-interval of (S,) values with variance factor 1/n + overlap; without bounds
    below two values or where one is undefined.
    """
    n, mean = len(values), float(values.mean()) if len(values) else math.nan
    if n < 2 or not math.isfinite(mean):
        return Interval(-math.inf, mean, math.inf, level, n, method)
    half = t_quantile(1 - (1 - level) / 2, n - 1) * values.std(ddof=1) * math.sqrt(1 / n + overlap)
    return Interval(float(mean - half), mean, float(mean + half), level, n, method)


def finite_or_none(value: float | None) -> float | None:
    """A plain float, None where it is undefined or infinite: what JSON can hold."""
    return float(value) if value is not None and math.isfinite(value) else None


@cache
def t_quantile(probability: float, freedom: int) -> float:
    """Student's quantile."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def p_outside(differences: np.ndarray, margin: float, overlap: float) -> float:
    """Two-sided p-value of the mean lying beyond ±margin."""
    return min(1.0, 2 * min(p_above(differences, margin, overlap), p_above(-differences, margin, overlap)))


def p_above(differences: np.ndarray, bound: float, overlap: float) -> float:
    """One-sided p-value of the mean lying above the bound."""
    from scipy.special import stdtr

    distance = float(differences.mean()) - bound
    error = float(differences.std(ddof=1)) * math.sqrt(1 / len(differences) + overlap)
    # all seeds alike: the point decides, and on the bound nothing is decided
    if error <= 1e-12 * max(1.0, abs(bound)):
        return 0.0 if distance > 1e-12 else 1.0
    return float(stdtr(len(differences) - 1, -distance / error))
