"""How a claim is decided.

Superiority is tested against a declared margin, equality by two one-sided tests,
several contrasts by Holm's correction; a verdict that is one of several interim
analyses has its share of the level.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mlcv_explore.statistics.intervals import (
    LEVEL,
    UNITS,
    Interval,
    Split,
    finite_or_none,
    holm,
    in_unit,
    p_above,
    p_outside,
    t_interval_with,
    t_quantile,
)
from mlcv_explore.statistics.power import (
    NEAREST,
    POWER,
    fewest_seeds,
    power,
    seeds_needed,
    smallest_detectable_effect,
)

Direction = Literal["greater", "less", "equal", "different"]

Status = Literal["supported", "contradicted", "undecided"]

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
    """The result of a claim from n seeds."""

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
                "contrast": list(estimate.contrast),
                "labels": list(labels),
                **estimate.interval.as_json(),
                "status": estimate.status,
                "p": finite_or_none(min(estimate.p_supported, estimate.p_contradicted)),
                "agree": estimate.agree,
                "per_seed": [finite_or_none(value) for value in estimate.per_seed],
            }
            for estimate, labels in zip(self.estimates, self.labels, strict=True)
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
            "smallest_effect": finite_or_none(self.smallest_effect),
            "seeds_needed": self.seeds_needed,
            "estimand": self.estimand,
        }


def decide(
    claim: Claim,
    per_seed: Mapping[str, np.ndarray],
    *,
    look: int = 1,
    looks: int = 1,
    split: Split | None = None,
    labels: Mapping[str, str] | None = None,
) -> Verdict:
    """The verdict of the seeds on a claim; `per_seed` maps each arm to its measure
    (S,), paired by position, `labels` to what it is called in sentences.

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
    with np.errstate(invalid="ignore"):  # inf − inf is undefined, and the sentence reports it
        differences = [arms[one] - arms[other] for one, other in claim.contrasts]
    tests = [_p_values(claim, values, overlap) for values in differences]
    supported, contradicted = holm([test[0] for test in tests]), holm([test[1] for test in tests])
    estimates = tuple(
        Estimate(
            contrast,
            t_interval_with(values, 1 - level, overlap, "t"),
            _status(supported[index] < level, contradicted[index] < level),
            float(supported[index]),
            float(contradicted[index]),
            int((np.sign(values) == np.sign(values.sum())).sum()),
            tuple(values.tolist()),
        )
        for index, (contrast, values) in enumerate(zip(claim.contrasts, differences, strict=True))
    )
    n = len(differences[0])
    complete = n >= 2 and all(np.isfinite(values).all() for values in differences)
    settled = _status(
        all(estimate.status == "supported" for estimate in estimates),
        any(estimate.status == "contradicted" for estimate in estimates),
    )
    # an undefined number in one contrast leaves the whole claim open
    status = settled if complete else "undecided"
    worst = max((values.std(ddof=1) for values in differences), default=0.0) if complete else math.nan
    verdict = Verdict(
        claim,
        status,
        "",
        estimates,
        n,
        1 - level,
        look,
        looks,
        smallest_detectable_effect(worst, n, 1 - level / len(differences), overlap=overlap)
        if complete
        else None,
        _seeds_for(claim, differences, level, overlap) if complete and status == "undecided" else None,
        MANY_SPLITS if split else ONE_SPLIT,
        tuple(
            tuple((labels or {}).get(arm, arm.replace("_", " ")) for arm in pair) for pair in claim.contrasts
        ),
    )
    return replace(verdict, sentence=_sentence(verdict))


def _p_values(claim: Claim, differences: np.ndarray, overlap: float) -> tuple[float, float]:
    """Of the test that would support the claim and of the one that would contradict it,
    each to be held against the level.
    """
    if len(differences) < 2 or not np.isfinite(differences).all():
        return 1.0, 1.0
    if claim.direction in ("greater", "less"):
        side = differences if claim.direction == "greater" else -differences
        above = p_above(side, claim.margin, overlap)
        return min(1.0, 2 * above), min(1.0, 2 * p_above(-side, -claim.margin, overlap))
    inside = max(p_above(differences, -claim.margin, overlap), p_above(-differences, -claim.margin, overlap))
    outside = p_outside(differences, claim.margin, overlap)
    return (inside, outside) if claim.direction == "equal" else (outside, inside)


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
    attainable = [needed for needed in contradicting if needed]
    if attainable:
        return min(attainable)
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

    return fewest_seeds(enough)


def _sentence(verdict: Verdict) -> str:
    claim, unit = verdict.claim, verdict.claim.unit
    names = [" − ".join(pair) for pair in verdict.labels]
    if verdict.n < 2:
        return f"Undecided: n = {verdict.n} seed{'s' * (verdict.n != 1)}; at least two are needed."
    broken = [
        name
        for name, estimate in zip(names, verdict.estimates, strict=True)
        if not np.isfinite(estimate.per_seed).all()
    ]
    if broken:
        return f"Undecided: {', '.join(broken)} is undefined for some of n = {verdict.n} seeds."
    pairs = zip(names, verdict.estimates, strict=True)
    shown = "; ".join(f"{name} = {estimate.interval.text(unit)}" for name, estimate in pairs)
    agree = ", ".join(f"{estimate.agree} of {verdict.n}" for estimate in verdict.estimates)
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
    narrower = t_quantile((1 + level) / 2, verdict.n - 1) / t_quantile((1 + verdict.level) / 2, verdict.n - 1)
    shown = []
    for interval in (estimate.interval for estimate in verdict.estimates if estimate.status == tie):
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
