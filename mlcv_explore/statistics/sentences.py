"""A verdict as one paragraph that is complete by itself."""

import itertools
import math
from dataclasses import replace

import numpy as np

from mlcv_explore.statistics.claims import Verdict
from mlcv_explore.statistics.clusters import cluster_interval
from mlcv_explore.statistics.intervals import UNITS, in_unit, t_quantile
from mlcv_explore.statistics.medians import fewest_beyond, median_interval
from mlcv_explore.statistics.power import NEAREST

FEW = 10  # seeds below which a t-interval misses most where runs collapse: of 5 or 6 it covers 60 to 67 %

SECONDARY = "Secondary: not corrected for the number of claims."


def sentence(verdict: Verdict) -> str:
    """Status, effects with their intervals, what n seeds can show, and what limits the
    verdict.
    """
    claim, unit = verdict.claim, verdict.claim.unit
    units = "clusters" if claim.interval == "clusters" else "seeds"
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
    shown = "; ".join(
        f"{name} = {estimate.interval.text(unit, apart=claim.thresholds)}" for name, estimate in pairs
    )
    agree = ", ".join(f"{estimate.agree} of {verdict.n}" for estimate in verdict.estimates)
    kind = "interval" if len(verdict.estimates) == 1 else "intervals"
    kind += {"median": " of the median", "clusters": " by bootstrap", "t": ""}[claim.interval]
    if len(verdict.estimates) > 1 and verdict.status != "supported":
        kind += ", verdict Holm-corrected"
    text = (
        f"{verdict.status.capitalize()}: {shown} ({100 * verdict.level:.4g} % {kind},"
        f" n = {verdict.n} {units}, same sign in {agree}); margin {amount(claim.margin, unit)}"
        f"{_within(verdict)}; {_power(verdict)}"
    )
    if verdict.status == "undecided":
        needed = (
            f"About {verdict.seeds_needed:,} {units} are"
            if verdict.seeds_needed
            else f"More than 10,000 {units} are"
        )
        text += f" {needed} needed at the observed effect{_each(verdict)}."
    text = " ".join([text, *_limits(verdict)])
    return text.replace("  ", " ").replace(" ;", ";")  # a measure without a unit leaves gaps


def amount(value: float, unit: str, digits: int = 6) -> str:
    """A distance in its unit, never in powers of ten: "1 point", "0.92 points"."""
    shown = in_unit(value, unit) if value > NEAREST else 0.0
    places = max(0, digits - 1 - math.floor(math.log10(abs(shown)))) if shown else 0
    text = f"{shown:.{places}f}"
    text = text.rstrip("0").rstrip(".") if places else text
    return f"{text} {unit.removesuffix('s') if text == '1' and unit in UNITS else unit}".strip()


def _each(verdict: Verdict) -> str:
    """Power and numbers of seeds are those of a difference; of several together the power
    is less.
    """
    return " of each difference" * (len(verdict.estimates) > 1)


def _power(verdict: Verdict) -> str:
    """What n seeds can show: an effect beyond the margin, a tie within it, or how many of
    them have to lie beyond it.
    """
    claim, unit = verdict.claim, verdict.claim.unit
    each = _each(verdict)
    if claim.interval == "median":
        tail = (1 - verdict.level) / (1 if claim.direction == "equal" else 2)
        beyond = fewest_beyond(verdict.n, tail)
        if beyond > verdict.n:
            enough = next(n for n in itertools.count(verdict.n) if fewest_beyond(n, tail) <= n)
            return f"a sign test needs at least {enough} seeds."
        return f"a sign test needs {beyond} of {verdict.n} seeds beyond the margin."
    tied = claim.direction == "different" and verdict.status == "contradicted"
    if claim.direction != "equal" and not tied:
        effect = amount(verdict.smallest_effect, unit, digits=2)
        return f"smallest detectable effect: margin + {effect} (80 % power{each})."
    return (
        f"a true tie{each} would be found in {100 * verdict.tie_power:.0f} % of studies of this size, in"
        f" 80 % with a margin of {amount(verdict.smallest_margin, unit, digits=2)}."
    )


def _limits(verdict: Verdict) -> list[str]:
    """Sentences on a margin too small, on runs that collapsed, and on secondary claims."""
    said = []
    if verdict.small_margin:
        effect = "no tie can be found" if verdict.claim.direction == "equal" else "only the sign is tested"
        said.append(
            "The margin is below a fifth of the smallest detectable effect: too small a margin to be decided"
            f" by n = {verdict.n}, so that {effect}."
        )
    collapsed = verdict.collapsed
    if collapsed and collapsed.mean > 0:
        said.append(
            f"{round(collapsed.mean * collapsed.n)} of {collapsed.n} runs collapsed ({collapsed.text('%')})."
        )
        if verdict.claim.interval == "t" and verdict.n < FEW:
            medians = "; ".join(
                median_interval(np.array(estimate.per_seed), verdict.level).text(verdict.claim.unit)
                for estimate in verdict.estimates
            )
            said.append(
                f"Warning: where runs collapse, a t-interval of fewer than {FEW} seeds covers far less than"
                f" it states; median: {medians}."
            )
    if verdict.role == "secondary":
        said.append(SECONDARY)
    return said


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
    for estimate in (estimate for estimate in verdict.estimates if estimate.status == tie):
        interval = estimate.interval
        half = narrower * (interval.high - interval.mean)
        narrow = replace(interval, low=interval.mean - half, high=interval.mean + half)
        if verdict.claim.interval == "median":
            narrow = median_interval(np.array(estimate.per_seed), level)
        if verdict.claim.interval == "clusters":
            narrow = cluster_interval(np.array(estimate.per_seed), range(verdict.n), level)
        text = narrow.text(verdict.claim.unit, apart=verdict.claim.thresholds)
        shown.append(text[text.index("[") :])
    return (
        f", within which lie{'s' * (len(shown) == 1)} the {100 * level:.4g} %"
        f" interval{'s' * (len(shown) > 1)} {', '.join(shown)}"
    )
