"""Paired differences, intervals and verdicts: how a claim is decided.

The rules: superiority is judged against a declared margin, equality by two one-sided
tests, several contrasts by Holm's correction, and a verdict that may be looked at again
while seeds are added has its share of the level for each look.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np

Direction = Literal["greater", "less", "equal", "different"]
Status = Literal["supported", "contradicted", "undecided"]

LEVEL = 0.05  # of a verdict that is looked at once
POWER = 0.8  # with which a smallest detectable effect and a number of seeds are stated
MOST_SEEDS = 10_000  # more would settle nothing worth settling
NEAREST = 1e-9  # a mean nearer to the margin lies on it, and no number of seeds settles that
FARTHEST = 1e9  # noncentrality beyond which SciPy knows no power, and it is 1
# unit → factor from the measure's own unit to the shown one
UNITS = {"points": 100.0, "%": 100.0}
ONE_SPLIT = "mean paired difference over training seeds (initial weights, order, noise) on one fixed split"
MANY_SPLITS = "mean paired difference over re-drawn splits of one data set (Nadeau–Bengio corrected)"


@dataclass(frozen=True)
class Claim:
    """A sentence that can fail, written down before anything is run.

    `contrasts` holds pairs of arms, first minus second; with several the claim is about
    all of them at once. `margin` is in the measure's own unit: 0.02 for two accuracy
    points.
    """

    name: str
    sentence: str
    measure: str  # "accuracy": the metric of an arm is called "<arm>_accuracy"
    unit: str  # "points": a fraction shown times 100
    direction: Direction
    margin: float
    contrasts: tuple[tuple[str, str], ...]
    # settings and values that the sentence takes for granted: a run with others decides nothing of
    # it
    when: tuple[tuple[str, Any], ...] = ()

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm its contrasts name, once."""
        return tuple(dict.fromkeys(arm for pair in self.contrasts for arm in pair))


@dataclass(frozen=True)
class Interval:
    """A mean with bounds; infinite where n seeds cannot bound it."""

    low: float
    mean: float
    high: float
    level: float
    n: int
    method: str

    def text(self, unit: str = "", signed: bool = False) -> str:
        """The one way an interval is written: "+22.3 points [21.0, 23.6]", in the unit
        shown; the mean alone where it has no bounds, a dash where it is undefined.
        """
        mean, low, high = (in_unit(value, unit) for value in (self.mean, self.low, self.high))
        if not math.isfinite(mean):
            return "–"
        bounded = math.isfinite(low) and math.isfinite(high)
        # rounding is no width
        width = high - low if bounded and high - low > 1e-6 * abs(mean) else abs(mean) or 1.0
        # so that the bounds differ in what is shown
        places = min(6, max(1, math.ceil(-math.log10(width / 2))))
        shown = f"{mean:{'+' if signed else ''}z.{places}f}".replace("-", "−")
        bounds = f" [{low:z.{places}f}, {high:z.{places}f}]".replace("-", "−") if bounded else ""
        return f"{shown}{unit and f' {unit}'}{bounds}"

    def as_json(self) -> dict[str, float | int | None]:
        """Plain numbers; what is undefined or infinite is None."""
        return {"mean": _plain(self.mean), "low": _plain(self.low), "high": _plain(self.high), "n": self.n}


@dataclass(frozen=True)
class Split:
    """Sizes of training and test part of splits that are re-drawn from one finite data
    set, and therefore overlap.
    """

    train: int
    test: int


@dataclass(frozen=True)
class Estimate:
    """One contrast of a claim."""

    contrast: tuple[str, str]
    interval: Interval  # at the level of the verdict
    status: Status
    p_supported: float  # Holm-adjusted, of the test that would support the claim
    p_contradicted: float
    agree: int  # seeds on the side of the mean
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class Verdict:
    """What n seeds say of a claim."""

    claim: Claim
    status: Status
    sentence: str
    estimates: tuple[Estimate, ...]
    n: int
    level: float
    look: int
    looks: int
    smallest_effect: float | None  # that n seeds show with 80 % power beyond the margin
    # to settle an undecided claim at the effect seen, with 80 % power; None when decided, or out of
    # reach
    seeds_needed: int | None
    estimand: str
    labels: tuple[tuple[str, str], ...]  # of each contrast's arms, as readers know them

    def as_json(self) -> dict[str, Any]:
        """What `run --json`, run folders and the evidence hold."""
        estimates = [
            {
                "contrast": list(item.contrast),
                "labels": list(labels),
                **item.interval.as_json(),
                "status": item.status,
                "p": _plain(min(item.p_supported, item.p_contradicted)),
                "agree": item.agree,
                "per_seed": [_plain(value) for value in item.per_seed],
            }
            for item, labels in zip(self.estimates, self.labels, strict=True)
        ]
        return {
            "claim": self.claim.name,
            "status": self.status,
            "sentence": self.sentence,
            "estimate": self.estimates[0].interval.as_json(),
            "estimates": estimates,
            "direction": self.claim.direction,
            "margin": self.claim.margin,
            "unit": self.claim.unit,
            "level": self.level,
            "look": self.look,
            "looks": self.looks,
            "agree": self.estimates[0].agree,
            "smallest_effect": _plain(self.smallest_effect),
            "seeds_needed": self.seeds_needed,
            "estimand": self.estimand,
        }


def in_unit(value: float, unit: str) -> float:
    """A value of the measure's own unit in the unit it is shown in."""
    return value * UNITS.get(unit, 1.0)


def t_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """Student's interval for the mean of (S,) values; one value has a mean and no
    bounds.
    """
    return _interval(np.asarray(values, dtype=float), level, 0.0, "t")


def resampled_interval(
    values: Sequence[float] | np.ndarray, train: int, test: int, level: float = 0.95
) -> Interval:
    """The same for values over re-drawn splits of one data set, with the variance
    factor 1/n + test/train.

    Source: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning
    52, 2003.
    """
    return _interval(np.asarray(values, dtype=float), level, test / train, "t, Nadeau–Bengio corrected")


def interval(
    values: Sequence[float] | np.ndarray, split: Split | None = None, level: float = 0.95
) -> Interval:
    """The t-interval of (S,) values, corrected where every seed has a split of its own."""
    if split is None:
        return t_interval(values, level)
    return resampled_interval(values, split.train, split.test, level)


def bootstrap_interval(values: Sequence[float] | np.ndarray, level: float = 0.95, seed: int = 0) -> Interval:
    """SciPy's BCa bootstrap interval for the mean of (S,) values."""
    from scipy.stats import bootstrap

    from mlcv_explore.seeds import numpy_stream

    values = np.asarray(values, dtype=float)
    if len(values) < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return _interval(values, level, 0.0, "bootstrap")  # without bounds, or a point
    found = bootstrap(
        (values,), np.mean, confidence_level=level, rng=numpy_stream(seed, "bootstrap")
    ).confidence_interval
    return Interval(
        float(found.low), float(values.mean()), float(found.high), level, len(values), "bootstrap"
    )


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
    quantile = _quantile(1 - (1 - level) / 2, n - 1) ** 2
    # the ratios r for which mean(above) − r·mean(below) is not significantly different from zero: a
    # r² − 2 b r + c ≤ 0
    a = below.mean() ** 2 - quantile * covariance[1, 1]
    b = above.mean() * below.mean() - quantile * covariance[0, 1]
    c = above.mean() ** 2 - quantile * covariance[0, 0]
    if a <= 0:
        return Interval(-math.inf, ratio, math.inf, level, n, "Fieller")
    root = math.sqrt(max(0.0, b * b - a * c))
    return Interval(float((b - root) / a), ratio, float((b + root) / a), level, n, "Fieller")


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values, at most 1, in the order given. Source: Holm,
    Scandinavian Journal of Statistics 6, 1979.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


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
    centre, critical = effect / error, _quantile(1 - (1 - level) / 2, n - 1)
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


def seeds_needed(
    distance: float, deviation: float, level: float = 0.95, wanted: float = POWER, overlap: float = 0.0
) -> int | None:
    """How many seeds show a mean this far from the margin with this power; None when
    10,000 would not do.
    """
    return _fewest(lambda n: distance > NEAREST and power(distance, deviation, n, level, overlap) >= wanted)


def decide(
    claim: Claim,
    per_seed: Mapping[str, np.ndarray],
    *,
    look: int = 1,
    looks: int = 1,
    split: Split | None = None,
    labels: Mapping[str, str] | None = None,
) -> Verdict:
    """The verdict of the seeds on a claim; `per_seed` maps each arm to its measure (S,),
    paired by position, `labels` to what it is called in sentences.

    Greater and less: the whole interval beyond the margin supports, before it
    contradicts. Equal: two one-sided tests support, an interval wholly outside
    contradicts. Different is the mirror of equal. Each contrast is Holm-corrected; all
    must be supported, one contradicts. Raises ValueError when the arms do not have one
    number a seed each.
    """
    level, overlap = LEVEL / looks, split.test / split.train if split else 0.0
    arms = {name: np.asarray(per_seed[name], dtype=float) for pair in claim.contrasts for name in pair}
    if len({values.shape for values in arms.values()}) > 1:
        raise ValueError(
            f"The arms of {claim.name!r} are not paired:"
            f" {', '.join(f'{name} {values.shape}' for name, values in arms.items())}."
        )
    with np.errstate(invalid="ignore"):  # inf − inf is undefined, and the sentence says so
        differences = [arms[one] - arms[other] for one, other in claim.contrasts]
    tests = [_p_values(claim, values, overlap) for values in differences]
    supported, contradicted = holm([test[0] for test in tests]), holm([test[1] for test in tests])
    estimates = tuple(
        Estimate(
            contrast,
            _interval(values, 1 - level, overlap, "t"),
            _status(supported[index] < level, contradicted[index] < level),
            float(supported[index]),
            float(contradicted[index]),
            int((np.sign(values) == np.sign(values.sum())).sum()),
            tuple(values.tolist()),
        )
        for index, (contrast, values) in enumerate(zip(claim.contrasts, differences, strict=True))
    )
    n = len(differences[0])
    sure = n >= 2 and all(np.isfinite(values).all() for values in differences)
    settled = _status(
        all(item.status == "supported" for item in estimates),
        any(item.status == "contradicted" for item in estimates),
    )
    # an undefined number in one contrast leaves the whole claim open
    status = settled if sure else "undecided"
    worst = max((values.std(ddof=1) for values in differences), default=0.0) if sure else math.nan
    verdict = Verdict(
        claim,
        status,
        "",
        estimates,
        n,
        1 - level,
        look,
        looks,
        smallest_detectable_effect(worst, n, 1 - level / len(differences), overlap=overlap) if sure else None,
        _seeds_for(claim, differences, level, overlap) if sure and status == "undecided" else None,
        MANY_SPLITS if split else ONE_SPLIT,
        tuple(
            tuple((labels or {}).get(arm, arm.replace("_", " ")) for arm in pair) for pair in claim.contrasts
        ),
    )
    return replace(verdict, sentence=_sentence(verdict))


def significant_cells(
    differences: np.ndarray, margin: float = 0.0, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A heat map's cells (…, S) as mean, 95 % bounds and whether |mean| is beyond the
    margin, Holm-corrected over all cells.

    A cell with an undefined value, or one seed, is never significant.
    """
    flat = differences.reshape(-1, differences.shape[-1]).astype(float)
    intervals = [_interval(values, 1 - level, 0.0, "t") for values in flat]
    p = np.array(
        [
            _outside(values, margin, 0.0) if len(values) > 1 and np.isfinite(values).all() else 1.0
            for values in flat
        ]
    )
    shape = differences.shape[:-1]
    bounds = [
        np.array([getattr(item, name) for item in intervals]).reshape(shape)
        for name in ("mean", "low", "high")
    ]
    return bounds[0], bounds[1], bounds[2], (holm(p) < level).reshape(shape)


def _interval(values: np.ndarray, level: float, overlap: float, method: str) -> Interval:
    n, mean = len(values), float(values.mean()) if len(values) else math.nan
    if n < 2 or not math.isfinite(mean):
        return Interval(-math.inf, mean, math.inf, level, n, method)
    half = _quantile(1 - (1 - level) / 2, n - 1) * values.std(ddof=1) * math.sqrt(1 / n + overlap)
    return Interval(float(mean - half), mean, float(mean + half), level, n, method)


def _p_values(claim: Claim, differences: np.ndarray, overlap: float) -> tuple[float, float]:
    """Of the test that would support the claim and of the one that would contradict it,
    each to be held against the level.
    """
    if len(differences) < 2 or not np.isfinite(differences).all():
        return 1.0, 1.0
    if claim.direction in ("greater", "less"):
        side = differences if claim.direction == "greater" else -differences
        above = _above(side, claim.margin, overlap)
        return min(1.0, 2 * above), min(1.0, 2 * _above(-side, -claim.margin, overlap))
    inside = max(_above(differences, -claim.margin, overlap), _above(-differences, -claim.margin, overlap))
    outside = _outside(differences, claim.margin, overlap)
    return (inside, outside) if claim.direction == "equal" else (outside, inside)


def _outside(differences: np.ndarray, margin: float, overlap: float) -> float:
    """Two-sided p-value of the mean lying beyond ±margin."""
    return min(1.0, 2 * min(_above(differences, margin, overlap), _above(-differences, margin, overlap)))


def _above(differences: np.ndarray, bound: float, overlap: float) -> float:
    """One-sided p-value of the mean lying above the bound."""
    from scipy.special import stdtr

    distance = float(differences.mean()) - bound
    error = float(differences.std(ddof=1)) * math.sqrt(1 / len(differences) + overlap)
    # all seeds alike: the point decides, and on the bound nothing is decided
    if error <= 1e-12 * max(1.0, abs(bound)):
        return 0.0 if distance > 1e-12 else 1.0
    return float(stdtr(len(differences) - 1, -distance / error))


def _status(supported: bool, contradicted: bool) -> Status:
    return "supported" if supported else "contradicted" if contradicted else "undecided"


def _seeds_for(claim: Claim, differences: Sequence[np.ndarray], level: float, overlap: float) -> int | None:
    """Seeds that settle the claim at the effects seen, None when out of reach; Holm's
    correction at its strictest.

    One contrast on the contradicting side settles it alone; without one, the last
    contrast does.
    """
    supporting, contradicting = [], []
    for values in differences:
        mean, deviation = float(values.mean()), float(values.std(ddof=1))
        tail = level / len(differences)
        if claim.direction in ("greater", "less"):
            beyond = (mean if claim.direction == "greater" else -mean) - claim.margin
            needed, supports = seeds_needed(abs(beyond), deviation, 1 - tail, overlap=overlap), beyond > 0
        else:
            tie = abs(mean) < claim.margin
            seeds = _seeds_for_tie if tie else _seeds_for_difference
            needed, supports = (
                seeds(abs(mean), deviation, claim.margin, tail, overlap),
                tie == (claim.direction == "equal"),
            )
        (supporting if supports else contradicting).append(needed)
    within_reach = [needed for needed in contradicting if needed]
    if within_reach:
        return min(within_reach)
    return None if contradicting or None in supporting else max(supporting)


def _seeds_for_difference(
    mean: float, deviation: float, margin: float, tail: float, overlap: float
) -> int | None:
    return seeds_needed(mean - margin, deviation, 1 - tail, overlap=overlap)


def _seeds_for_tie(mean: float, deviation: float, margin: float, tail: float, overlap: float) -> int | None:
    """Both one-sided tests have to succeed: the power is at least the sum of the two
    less one.
    """

    def enough(n: int) -> bool:
        sides = [
            power(distance, deviation, n, 1 - 2 * tail, overlap)
            for distance in (margin - mean, margin + mean)
        ]
        return margin - mean > NEAREST and sum(sides) - 1 >= POWER

    return _fewest(enough)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """The smallest number of seeds from which on it is enough; None beyond MOST_SEEDS."""
    if not enough(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _sentence(verdict: Verdict) -> str:
    claim, unit = verdict.claim, verdict.claim.unit
    names = [" − ".join(pair) for pair in verdict.labels]
    if verdict.n < 2:
        return f"Undecided: n = {verdict.n} seed{'s' * (verdict.n != 1)}; at least two are needed."
    broken = [
        name
        for name, item in zip(names, verdict.estimates, strict=True)
        if not np.isfinite(item.per_seed).all()
    ]
    if broken:
        return f"Undecided: {', '.join(broken)} is undefined for some of n = {verdict.n} seeds."
    pairs = zip(names, verdict.estimates, strict=True)
    shown = "; ".join(f"{name} = {item.interval.text(unit)}" for name, item in pairs)
    agree = ", ".join(f"{item.agree} of {verdict.n}" for item in verdict.estimates)
    kind = "interval" if len(verdict.estimates) == 1 else "intervals, verdict Holm-corrected"
    text = (
        f"{verdict.status.capitalize()}: {shown} ({100 * verdict.level:.4g} % {kind}, n = {verdict.n} seeds,"
        f" same sign in {agree}); margin {_amount(claim.margin, unit)}{_within(verdict)}; smallest"
        f" detectable effect: margin + {_amount(verdict.smallest_effect, unit, digits=2)} (80 % power)."
    )
    if verdict.status == "undecided":
        needed = (
            f"About {verdict.seeds_needed:,} seeds are"
            if verdict.seeds_needed
            else "More than 10,000 seeds are"
        )
        text += f" {needed} needed at the observed effect."
    return text.replace("  ", " ").replace(" ;", ";")  # a measure without a unit leaves gaps


def _within(verdict: Verdict) -> str:
    """The intervals of the two one-sided tests where they found a tie: narrower than
    those of the verdict, which may stick out.
    """
    tie = {"equal": "supported", "different": "contradicted"}.get(verdict.claim.direction)
    if verdict.status != tie:
        return ""
    level = 2 * verdict.level - 1
    narrower = _quantile((1 + level) / 2, verdict.n - 1) / _quantile((1 + verdict.level) / 2, verdict.n - 1)
    shown = []
    for interval in (item.interval for item in verdict.estimates if item.status == tie):
        half = narrower * (interval.high - interval.mean)
        narrow = replace(interval, low=interval.mean - half, high=interval.mean + half)
        text = narrow.text(verdict.claim.unit)
        shown.append(text[text.index("[") :])
    return (
        f", within which lie{'s' * (len(shown) == 1)} the {100 * level:.4g} %"
        f" interval{'s' * (len(shown) > 1)} {', '.join(shown)}"
    )


def _amount(value: float, unit: str, digits: int = 6) -> str:
    """A distance in its unit, never in powers of ten: "1 point", "0.92 points"."""
    shown = in_unit(value, unit) if value > NEAREST else 0.0
    places = max(0, digits - 1 - math.floor(math.log10(abs(shown)))) if shown else 0
    text = f"{shown:.{places}f}"
    text = text.rstrip("0").rstrip(".") if places else text
    return f"{text} {unit.removesuffix('s') if text == '1' and unit in UNITS else unit}".strip()


def _plain(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


@cache
def _quantile(probability: float, freedom: int) -> float:
    """Student's quantile."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


@cache
def _noncentrality(n: int, level: float, wanted: float) -> float:
    """Effect over standard error at which a t-test of n seeds has this power."""
    from scipy.optimize import brentq

    farthest = 10 * _quantile(1 - (1 - level) / 2, n - 1) + 10
    return float(brentq(lambda effect: power(effect, math.sqrt(n), n, level) - wanted, 0.0, farthest))
