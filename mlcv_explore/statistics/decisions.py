"""How a claim is decided.

Superiority is tested against a declared margin, equality by two one-sided tests, of means
by t and of medians by signs. Several contrasts that all have to hold are an
intersection–union test: each is held against the whole level (Berger, Technometrics 24,
1982). One suffices to contradict, so that side is Holm-corrected. A verdict that is one
of several interim analyses has its share of the level.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlcv_explore.statistics.claims import Claim, Estimate, Role, Status, Verdict
from mlcv_explore.statistics.clusters import FEWEST, cluster_interval, cluster_means, p_cluster_above
from mlcv_explore.statistics.estimands import MANY_SPLITS, ONE_SPLIT, estimand
from mlcv_explore.statistics.intervals import (
    LEVEL,
    Clusters,
    Interval,
    Split,
    holm,
    p_above,
    share_interval,
    t_interval_with,
)
from mlcv_explore.statistics.medians import median_interval, p_median_above, seeds_for_median
from mlcv_explore.statistics.power import (
    NEAREST,
    POWER,
    fewest_seeds,
    power,
    seeds_needed,
    smallest_detectable_effect,
    smallest_tie_margin,
    tie_power,
)
from mlcv_explore.statistics.sentences import sentence


def decide(
    claim: Claim,
    per_seed: Mapping[str, np.ndarray],
    *,
    look: int = 1,
    looks: int = 1,
    split: Split | Clusters | None = None,
    labels: Mapping[str, str] | None = None,
    over: str = "",
    role: Role = "confirmatory",
    collapsed: np.ndarray | None = None,
) -> Verdict:
    """The verdict of the seeds on a claim; `per_seed` maps each arm to its measure
    (S,), paired by position, `labels` to what it is called in sentences. `over` names
    what the differences are taken over, "" what `split` implies; `collapsed` (S,) bool
    marks the seeds whose run collapsed.

    Greater and less: the whole interval beyond the margin supports, before it
    contradicts. Equal: two one-sided tests support, an interval wholly outside
    contradicts. Different is the mirror of equal. All contrasts must be supported, each
    at the whole level; one contradicts, Holm-corrected, and so are the contrasts of a
    claim that is not supported. Of re-drawn splits the mean is tested, whatever the claim
    declares; of clusters the mean over their means, by bootstrap, and `n` counts them.
    Raises ValueError when the arms do not have one number a seed each.
    """
    clustered = isinstance(split, Clusters)
    if split:  # overlapping splits have a correction for the mean alone
        claim = replace(claim, interval="clusters" if clustered else "t")
    level, overlap = LEVEL / looks, 0.0 if clustered or not split else split.test / split.train
    arms = {name: np.asarray(per_seed[name], dtype=float) for pair in claim.contrasts for name in pair}
    if len({values.shape for values in arms.values()}) > 1:
        raise ValueError(
            f"The arms of {claim.name!r} are not paired:"
            f" {', '.join(f'{name} {values.shape}' for name, values in arms.items())}."
        )
    if clustered:
        arms = {name: cluster_means(values, split.of(len(values))) for name, values in arms.items()}
    with np.errstate(invalid="ignore"):  # inf − inf is undefined, and the sentence reports it
        differences = [arms[one] - arms[other] for one, other in claim.contrasts]
    tests = [_p_values(claim, values, overlap) for values in differences]
    supported, contradicted = np.array([test[0] for test in tests]), holm([test[1] for test in tests])
    support, against = float(supported.max()), float(contradicted.min())  # of the claim as a whole
    if not (supported < level).all():
        supported = holm(supported)
    estimates = tuple(
        Estimate(
            contrast,
            interval_of(claim, values, 1 - level, overlap),
            _status(supported[index] < level, contradicted[index] < level),
            float(supported[index]),
            float(contradicted[index]),
            int((np.sign(values) == np.sign(_centre(claim, values))).sum()),
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
    effect, tie, margin = _powers(claim, differences, level, overlap) if complete else (None, None, None)
    verdict = Verdict(
        claim,
        status,
        "",
        estimates,
        n,
        1 - level,
        look,
        looks,
        role,
        effect,
        tie,
        margin,
        _seeds_for(claim, differences, level, overlap) if complete and status == "undecided" else None,
        None if collapsed is None else share_interval(int(np.sum(collapsed)), len(collapsed)),
        estimand(over or (MANY_SPLITS if split else ONE_SPLIT), claim.interval == "median"),
        tuple(
            tuple((labels or {}).get(arm, arm.replace("_", " ")) for arm in pair) for pair in claim.contrasts
        ),
        {"supported": support, "contradicted": against}.get(status, min(support, against)),
    )
    return replace(verdict, sentence=sentence(verdict))


def interval_of(claim: Claim, values: np.ndarray, level: float, overlap: float = 0.0) -> Interval:
    """The interval of differences (S,) that a claim declares: of their mean or median."""
    if claim.interval == "median":
        return median_interval(values, level)
    if claim.interval == "clusters":
        return cluster_interval(values, range(len(values)), level)
    return t_interval_with(values, level, overlap, "t")


def _p_values(claim: Claim, differences: np.ndarray, overlap: float) -> tuple[float, float]:
    """Of the test that would support the claim and of the one that would contradict it,
    each to be held against the level.
    """
    if len(differences) < 2 or not np.isfinite(differences).all():
        return 1.0, 1.0

    def above(values: np.ndarray, bound: float) -> float:
        if claim.interval == "clusters":
            return p_cluster_above(values, bound)
        return (
            p_median_above(values, bound) if claim.interval == "median" else p_above(values, bound, overlap)
        )

    margin = claim.margin
    if claim.direction in ("greater", "less"):
        side = differences if claim.direction == "greater" else -differences
        return min(1.0, 2 * above(side, margin)), min(1.0, 2 * above(-side, -margin))
    inside = max(above(differences, -margin), above(-differences, -margin))
    outside = min(1.0, 2 * min(above(differences, margin), above(-differences, margin)))
    return (inside, outside) if claim.direction == "equal" else (outside, inside)


def _status(supported: bool, contradicted: bool) -> Status:
    return "supported" if supported else "contradicted" if contradicted else "undecided"


def _powers(
    claim: Claim, differences: Sequence[np.ndarray], level: float, overlap: float
) -> tuple[float | None, float | None, float | None]:
    """Smallest detectable effect, power of a tie, smallest margin of a tie, for the
    contrast that varies most; None where the claim has none. What supports has the whole
    level, what contradicts its strictest share.
    """
    if claim.interval == "median":
        return None, None, None
    worst, n = max(values.std(ddof=1) for values in differences), len(differences[0])
    strictest = level / len(differences)
    ties = claim.direction in ("equal", "different")
    beyond, within = (strictest, level) if claim.direction == "equal" else (level, strictest)
    return (
        smallest_detectable_effect(worst, n, 1 - beyond, overlap=overlap),
        tie_power(claim.margin, worst, n, within, overlap) if ties else None,
        smallest_tie_margin(worst, n, within, overlap) if ties else None,
    )


def _seeds_for(claim: Claim, differences: Sequence[np.ndarray], level: float, overlap: float) -> int | None:
    """Seeds that settle the claim at the effects seen, None when out of reach; the side
    that contradicts at its strictest correction.

    One contrast on the contradicting side settles it alone; without one, the last
    contrast does.
    """
    supporting, contradicting = [], []
    seeds = _seeds_for_a_median if claim.interval == "median" else _seeds_for_a_mean
    for values in differences:
        supports = _is_on_side(claim, _centre(claim, values))
        needed = seeds(claim, values, level if supports else level / len(differences), overlap)
        if needed and claim.interval == "clusters":
            needed = max(needed, FEWEST)
        (supporting if supports else contradicting).append(needed)
    attainable = [needed for needed in contradicting if needed]
    if attainable:
        return min(attainable)
    return None if contradicting or None in supporting else max(supporting)


def _centre(claim: Claim, values: np.ndarray) -> float:
    if not len(values):
        return np.nan
    return float(np.median(values) if claim.interval == "median" else values.mean())


def _is_on_side(claim: Claim, centre: float) -> bool:
    """Whether a mean or median lies where it would support the claim."""
    if claim.direction in ("greater", "less"):
        return (centre if claim.direction == "greater" else -centre) > claim.margin
    return (abs(centre) < claim.margin) == (claim.direction == "equal")


def _seeds_for_a_mean(claim: Claim, values: np.ndarray, tail: float, overlap: float) -> int | None:
    mean, deviation, margin = float(values.mean()), float(values.std(ddof=1)), claim.margin
    if claim.direction in ("greater", "less"):
        beyond = (mean if claim.direction == "greater" else -mean) - margin
        return seeds_needed(abs(beyond), deviation, 1 - tail, overlap=overlap)
    seeds = _seeds_for_tie if abs(mean) < margin else _seeds_for_difference
    return seeds(abs(mean), deviation, margin, tail, overlap)


def _seeds_for_a_median(claim: Claim, values: np.ndarray, tail: float, _: float) -> int | None:
    """By the shares of seeds beyond the bounds, as seen."""
    margin = claim.margin
    if claim.direction in ("greater", "less"):
        side = values if claim.direction == "greater" else -values
        return seeds_for_median(float(max((side > margin).mean(), (side < margin).mean())), tail / 2)
    if abs(np.median(values)) < margin:
        return seeds_for_median(float((values < margin).mean()), tail, float((values > -margin).mean()))
    return seeds_for_median(float(max((values > margin).mean(), (values < -margin).mean())), tail / 2)


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
