"""Where single seeds collapse: which intervals keep their coverage, what a verdict then
reports, and the share of collapsed runs.
"""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlcv_explore.statistics import (
    Claim,
    Direction,
    Interval,
    Split,
    Verdict,
    bootstrap_interval,
    decide,
    median_interval,
    resampled_interval,
    share_interval,
    t_interval,
)
from mlcv_explore.statistics.medians import fewest_beyond, p_median_above, seeds_for_median

COLLAPSE = 1 / 6  # of the seeds, 15 deviations below the others
MEDIAN = float(stats.norm.ppf((0.5 - COLLAPSE) / (1 - COLLAPSE)))  # of such a mixture


def collapsing(n: int, experiments: int = 10_000) -> np.ndarray:
    """(experiments, n) normal values of which one in six collapses."""
    rng = np.random.default_rng(n)
    return rng.normal(size=(experiments, n)) - 15.0 * (rng.random((experiments, n)) < COLLAPSE)


def decided(
    values: np.ndarray, direction: Direction = "greater", margin: float = 0.0, **rest: object
) -> Verdict:
    """The verdict on paired differences by their median."""
    interval = rest.pop("interval", "median")
    claim = Claim("made", "A wins.", "loss", "", direction, margin, (("a", "z"),), interval=interval)
    return decide(claim, {"a": np.asarray(values, dtype=float), "z": np.zeros(len(values))}, **rest)


@pytest.mark.parametrize(("n", "by_t"), [(6, 0.67), (10, 0.84), (20, 0.90)])
def test_order_statistics_cover_where_t_and_the_bootstrap_do_not(n: int, by_t: float) -> None:
    """One seed in six collapses; of six seeds, a third of the studies sees none that
    does, so that no interval of the mean can cover.
    """
    values = collapsing(n)
    half = stats.t.ppf(0.975, n - 1) * values.std(-1, ddof=1) / math.sqrt(n)
    covered = np.abs(values.mean(-1) + 15 * COLLAPSE) <= half
    assert covered.mean() == pytest.approx(by_t, abs=0.015)
    rank, ordered = fewest_beyond(n, 0.025), np.sort(values, axis=-1)
    kept = (ordered[:, n - rank] <= MEDIAN) & (ordered[:, rank - 1] >= MEDIAN)
    assert 0.945 <= kept.mean() <= 0.985
    for one, expected in zip(values[:200], kept[:200], strict=True):
        interval = median_interval(one)
        assert (interval.low <= MEDIAN <= interval.high) == expected


@pytest.mark.parametrize("n", [6, 9, 30, 101])
def test_the_interval_is_between_the_order_statistics_of_the_binomial(n: int) -> None:
    values = np.random.default_rng(n).permutation(n).astype(float)
    interval = median_interval(values)
    rank = int(interval.low)
    assert interval.high == n - 1 - rank and interval.mean == (n - 1) / 2
    assert 1 - 2 * stats.binom.cdf(rank, n, 0.5) >= 0.95 > 1 - 2 * stats.binom.cdf(rank + 1, n, 0.5)


def test_five_seeds_do_not_bound_a_median_and_neither_does_an_undefined_one() -> None:
    for values in (np.arange(5.0), np.array([1.0, math.nan] * 4), np.array([2.0]), np.array([])):
        interval = median_interval(values)
        assert (interval.low, interval.high) == (-math.inf, math.inf)
    assert "a sign test needs at least 6 seeds." in decided(np.arange(5.0) + 1).sentence


@given(st.integers(1, 60), st.integers(0, 60), st.sampled_from([0.05, 0.025, 0.00625]))
def test_the_sign_test_is_the_binomial_test(n: int, above: int, tail: float) -> None:
    above = min(above, n)
    values = np.array([1.0] * above + [-1.0] * (n - above))
    expected = stats.binomtest(above, n, alternative="greater").pvalue
    assert p_median_above(values, 0.0) == pytest.approx(expected)
    assert (expected < tail) == (above >= fewest_beyond(n, tail))
    assert p_median_above(np.zeros(n), 0.0) == 1.0  # on the bound nothing is decided


@pytest.mark.parametrize("direction", ["greater", "less", "equal", "different"])
def test_a_median_on_the_margin_is_seldom_decided(direction: Direction) -> None:
    """Whatever collapses: both errors stay at their level."""
    margin, level = 0.5, 0.05 if direction in ("equal", "different") else 0.025
    shift = (-1 if direction == "less" else 1) * margin - MEDIAN
    statuses = [decided(one + shift, direction, margin).status for one in collapsing(12, 500)]
    bound = level + 3 * math.sqrt(level * (1 - level) / len(statuses))
    assert statuses.count("supported") / len(statuses) <= bound
    assert statuses.count("contradicted") / len(statuses) <= bound


def test_verdicts_of_medians_are_those_of_their_intervals() -> None:
    far = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 30.0])
    assert [decided(far, "greater", margin).status for margin in (0.2, 0.5, 40.0)] == [
        "supported",
        "undecided",
        "contradicted",
    ]
    assert decided(-far, "less", 0.2).status == decided(far, "different", 0.2).status == "supported"
    assert decided(far / 100, "equal", 0.4).status == "supported"  # though one value is 0.3
    assert decided(np.array([*far[:5], -15.0]), "greater", 0.2).status == "undecided"
    verdict = decided(far, "greater", 0.2)
    assert (verdict.estimates[0].interval.low, verdict.estimates[0].interval.high) == (0.3, 30.0)
    assert (verdict.smallest_effect, verdict.as_json()["interval"]) == (None, "median")
    assert verdict.estimand.startswith("median paired difference over training seeds")
    assert "(95 % interval of the median, n = 6 seeds, same sign in 6 of 6)" in verdict.sentence
    assert "a sign test needs 6 of 6 seeds beyond the margin." in verdict.sentence
    tie = decided(np.array([*np.linspace(-0.1, 0.1, 19), 0.9]), "equal", 0.2)
    assert tie.status == "supported" and "within which lies the 90 % interval [−0.0" in tie.sentence


def test_several_medians_are_decided_together() -> None:
    claim = Claim("made", "A wins.", "loss", "", "greater", 0.0, (("a", "z"), ("b", "z")), interval="median")
    arms = {"a": np.arange(1.0, 8.0), "z": np.zeros(7)}
    assert decide(claim, arms | {"b": np.arange(2.0, 9.0)}).status == "supported"
    assert decide(claim, arms | {"b": -np.arange(2.0, 9.0)}).status == "contradicted"


def test_re_drawn_splits_are_decided_by_their_corrected_mean() -> None:
    values = np.arange(8.0) ** 2
    redrawn = decided(values, split=Split(80, 20))
    assert redrawn.estimates[0].interval == resampled_interval_of(values)
    assert redrawn.estimand.startswith("mean ") and redrawn.as_json()["interval"] == "t"


def resampled_interval_of(values: np.ndarray) -> Interval:
    return dataclasses.replace(resampled_interval(values, 80, 20), method="t")


@pytest.mark.parametrize(("share", "other"), [(0.9, 1.0), (0.75, 1.0), (0.8, 0.95)])
def test_seeds_for_a_median_have_the_power(share: float, other: float) -> None:
    needed = seeds_for_median(share, 0.025, other)

    def power(n: int) -> float:
        beyond = fewest_beyond(n, 0.025) - 1
        return sum(stats.binom.sf(beyond, n, each) for each in (share, other)) - 1

    assert all(power(n) >= 0.8 - 1e-9 for n in range(needed, needed + 60)) and power(needed - 1) < 0.8
    assert seeds_for_median(0.5, 0.025) is None


@pytest.mark.parametrize(
    ("direction", "margin"), [("greater", 0.0), ("less", 0.0), ("equal", 0.35), ("different", 0.05)]
)
def test_an_undecided_median_states_how_many_seeds_settle_it(direction: Direction, margin: float) -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, -0.3, -0.2]) * (-1 if direction == "less" else 1)
    verdict = decided(values, direction, margin)
    assert verdict.status == "undecided"
    assert verdict.seeds_needed > 7 and f"About {verdict.seeds_needed} seeds" in verdict.sentence


# collapsed runs


@pytest.mark.parametrize(("count", "n"), [(0, 6), (1, 6), (6, 6), (3, 20), (400, 1000)])
def test_the_interval_of_a_share_is_scipys_exact_one(count: int, n: int) -> None:
    expected = stats.binomtest(count, n).proportion_ci(0.95, method="exact")
    interval = share_interval(count, n)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.mean == count / n


def test_collapsed_runs_are_counted_and_a_t_interval_of_few_seeds_is_warned_of() -> None:
    values, none = np.array([0.5, 0.6, 0.4, 0.55, 0.45, -3.0]), np.zeros(6, dtype=bool)
    collapsed = values < 0
    by_t = decided(values, interval="t", collapsed=collapsed)
    assert "1 of 6 runs collapsed (16.7 % [0.4, 64.1])." in by_t.sentence
    assert "Warning: where runs collapse, a t-interval of fewer than 10 seeds" in by_t.sentence
    assert "median: 0.5 [−3.0, 0.6]." in by_t.sentence
    shown = by_t.as_json()["collapsed"]
    assert (shown["mean"], shown["n"]) == (pytest.approx(1 / 6), 6)
    by_median = decided(values, collapsed=collapsed)
    assert "1 of 6 runs collapsed" in by_median.sentence and "Warning" not in by_median.sentence
    many = decided(np.tile(values, 2), interval="t", collapsed=np.tile(collapsed, 2))
    assert "2 of 12 runs collapsed" in many.sentence and "Warning" not in many.sentence
    assert "collapsed" not in decided(values, interval="t", collapsed=none).sentence
    assert decided(values).as_json()["collapsed"] is None  # no rule, no statement
    assert dataclasses.replace(by_t, collapsed=None).as_json()["collapsed"] is None


def test_the_bootstrap_of_few_values_gives_way_to_students_interval() -> None:
    """BCa of five normal values covers 86 % where 95 % are stated."""
    samples = np.random.default_rng(3).normal(size=(2000, 5))
    half = stats.t.ppf(0.975, 4) * samples.std(-1, ddof=1) / math.sqrt(5)
    assert (np.abs(samples.mean(-1)) <= half).mean() == pytest.approx(0.95, abs=0.015)
    for values in samples[:20]:
        assert bootstrap_interval(values) == t_interval(values)
    assert bootstrap_interval(samples[:4].ravel()).method == "bootstrap"
    bca = [
        stats.bootstrap((values,), np.mean, n_resamples=999, rng=0).confidence_interval
        for values in samples[:400]
    ]
    assert np.mean([low <= 0 <= high for low, high in bca]) < 0.92
