"""Claims, and what the seeds decide about them."""

from dataclasses import dataclass
from typing import Any, Literal

from mlcv_explore.statistics.intervals import Interval, finite_or_none

Direction = Literal["greater", "less", "equal", "different"]

Status = Literal["supported", "contradicted", "undecided"]

# a subject's first claim, fixed before its first results or after them; all others
Role = Literal["confirmatory", "headline, post hoc", "secondary"]

SMALL_MARGIN = 1 / 5  # of the smallest detectable effect: a smaller margin is not decided by n seeds


def thresholds(direction: Direction, margin: float) -> tuple[float, ...]:
    """What a claim's intervals are read against, in the measure's own unit: zero and
    the margin on its side, or the two margins of a tie.
    """
    return {"greater": (0.0, margin), "less": (0.0, -margin)}.get(direction, (-margin, margin))


@dataclass(frozen=True)
class Claim:
    """A sentence that can fail, written down before anything is run.

    `contrasts` holds pairs of arms, first minus second; with several the claim is about
    all of them at once. `margin` is in the measure's own unit: 0.02 for two accuracy
    points. `interval` "median" is for runs of which single seeds may collapse: the claim
    is then about the median difference, by order statistics and sign tests. "clusters" is not
    declared: it is that of an idea whose seeds are clusters.
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
    interval: Literal["t", "median", "clusters"] = "t"

    @property
    def thresholds(self) -> tuple[float, ...]:
        """What its intervals are read against."""
        return thresholds(self.direction, self.margin)

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
    # of the test that would support the claim: Holm-adjusted unless every contrast is supported
    p_supported: float
    p_contradicted: float  # Holm-adjusted
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
    role: Role
    # that n seeds show with 80 % power beyond the margin; None without a power, as of a median
    smallest_effect: float | None
    tie_power: float | None  # with which two one-sided tests find a true tie; None of other claims
    smallest_margin: float | None  # within which n seeds find a true tie with 80 % power
    # to settle an undecided claim at the effect seen, with 80 % power; None when decided, or out of
    # reach
    seeds_needed: int | None
    collapsed: Interval | None  # share of seeds whose run collapsed; None where no rule is declared
    estimand: str
    labels: tuple[tuple[str, str], ...]  # of each contrast's arms, as readers know them
    p: float  # of the test that decided; of an undecided claim the smaller one

    @property
    def small_margin(self) -> bool:
        """Whether the margin is too small to be decided by n; a claim without a margin is
        about a sign.
        """
        effect = self.smallest_effect
        return effect is not None and bool(0 < abs(self.claim.margin) < SMALL_MARGIN * effect)

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
            "role": self.role,
            "status": self.status,
            "sentence": self.sentence,
            "estimate": self.estimates[0].interval.as_json(),
            "estimates": estimates,
            "p": finite_or_none(self.p),
            "direction": self.claim.direction,
            "margin": self.claim.margin,
            "small_margin": self.small_margin,
            "unit": self.claim.unit,
            "interval": self.claim.interval,
            "level": self.level,
            "look": self.look,
            "looks": self.looks,
            "agree": self.estimates[0].agree,
            "smallest_effect": finite_or_none(self.smallest_effect),
            "tie_power": finite_or_none(self.tie_power),
            "smallest_margin": finite_or_none(self.smallest_margin),
            "seeds_needed": self.seeds_needed,
            "collapsed": self.collapsed.as_json() if self.collapsed else None,
            "estimand": self.estimand,
        }
