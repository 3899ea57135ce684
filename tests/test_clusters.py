"""Means over clusters: what is resampled, and that the interval keeps its coverage."""

import math

import numpy as np
import pytest

from mlcv_explore.statistics import Claim, Clusters, cluster_interval, decide, interval, t_interval
from mlcv_explore.statistics.clusters import cluster_means, p_cluster_above


def test_every_cluster_counts_the_same_whatever_its_size() -> None:
    means = cluster_means(np.array([1.0, 3.0, 10.0, 5.0]), ["one", "one", "two", "one"])
    assert means.tolist() == [3.0, 10.0]
    with pytest.raises(ValueError, match="3 values, 2 clusters"):
        cluster_means(np.zeros(3), ["one", "two"])


@pytest.mark.parametrize("law", ["normal", "exponential"])
@pytest.mark.parametrize("clusters", [12, 20])
def test_twelve_clusters_are_covered_and_their_values_are_not(clusters: int, law: str) -> None:
    """Curves of a data set are alike: their t-interval covers far less than it states."""
    rng = np.random.default_rng(clusters)
    covered, naive = [], []
    for seed in range(500):
        effects = rng.normal(size=clusters) if law == "normal" else rng.exponential(size=clusters) - 1
        owners = np.repeat(np.arange(clusters), rng.integers(4, 9, clusters))
        values = effects[owners] + rng.normal(0, 0.5, len(owners))
        interval, plain = cluster_interval(values, owners.tolist(), seed=seed), t_interval(values)
        covered.append(interval.low <= 0 <= interval.high)
        naive.append(plain.low <= 0 <= plain.high)
    assert np.mean(covered) >= 0.92
    assert np.mean(naive) < 0.8


def test_the_interval_is_near_students_of_the_cluster_means_and_repeatable() -> None:
    rng = np.random.default_rng(1)
    owners = np.repeat(np.arange(200), 3)
    values = rng.normal(size=200)[owners] + rng.normal(0, 0.3, 600)
    interval, expected = (
        cluster_interval(values, owners.tolist()),
        t_interval(cluster_means(values, owners.tolist())),
    )
    assert interval == cluster_interval(values, owners.tolist()) and interval.n == 200
    assert (interval.low, interval.mean, interval.high) == pytest.approx(
        (expected.low, expected.mean, expected.high), abs=0.02
    )


def test_few_clusters_undefined_values_and_equal_means() -> None:
    few = cluster_interval(np.arange(22.0), list(range(11)) * 2)
    assert (few.low, few.mean, few.high, few.n) == (-math.inf, 10.5, math.inf, 11)
    broken = cluster_interval(np.array([math.nan] + [1.0] * 15), list(range(16)))
    assert math.isnan(broken.mean) and broken.high == math.inf
    assert cluster_interval(np.array([]), []).n == 0
    flat = cluster_interval(np.full(24, 0.5), list(range(12)) * 2)
    assert (flat.low, flat.mean, flat.high) == (0.5, 0.5, 0.5)


def test_the_p_value_is_the_level_at_which_the_bound_leaves_the_interval() -> None:
    values = np.random.default_rng(3).exponential(size=24) - 0.5
    for bound in (-0.3, 0.0, 0.2, 0.4):
        above, below = p_cluster_above(values, bound), p_cluster_above(-values, -bound)
        found = cluster_interval(values, range(24), 0.9)
        assert (found.low > bound) == (above < 0.05) and (found.high < bound) == (below < 0.05)
        assert above + below == pytest.approx(1, abs=0.002)
    assert p_cluster_above(np.full(24, 0.5), 0.4) == 0 and p_cluster_above(np.full(24, 0.5), 0.5) == 1
    assert p_cluster_above(np.arange(11.0) + 9, 0.0) == 1  # eleven are too few


def test_a_verdict_over_clusters_counts_each_once_however_often_it_is_drawn() -> None:
    """By plain t, four draws of twelve sources would be 48 independent runs."""
    rng, claim = np.random.default_rng(5), Claim("less", "Less.", "score", "", "less", 0.0, (("a", "b"),))
    effects = rng.normal(-0.4, 1, 12)
    runs = {"a": np.tile(effects, 4) + rng.normal(0, 0.1, 48), "b": np.zeros(48)}
    plain, verdict = decide(claim, runs), decide(claim, runs, split=Clusters(12))
    expected = cluster_interval(runs["a"], Clusters(12).of(48))
    assert plain.status == "supported" and verdict.status == "undecided" and verdict.n == 12
    found = verdict.estimates[0].interval
    assert found == expected == interval(runs["a"], Clusters(12)) and found.low < 0 < found.high
    assert "n = 12 clusters" in verdict.sentence and "by bootstrap" in verdict.sentence
    assert verdict.seeds_needed is None or verdict.seeds_needed >= 12
    few = decide(claim, {"a": np.full(5, -3.0) + np.arange(5), "b": np.zeros(5)}, split=Clusters(12))
    assert few.status == "undecided" and few.estimates[0].interval.low == -math.inf
    tie = Claim("tie", "Tie.", "score", "", "equal", 1.0, (("a", "b"),))
    near = {"a": rng.normal(0, 0.3, 24), "b": np.zeros(24)}
    inside = decide(tie, near, split=Clusters(24))
    narrow = cluster_interval(near["a"], range(24), 0.9).text(apart=tie.thresholds)
    assert inside.status == "supported" and narrow[narrow.index("[") :] in inside.sentence


def test_verdicts_over_clusters_keep_their_level() -> None:
    claim, rng = Claim("less", "Less.", "score", "", "less", 0.0, (("a", "b"),)), np.random.default_rng(8)
    wrong = [
        decide(claim, {"a": np.repeat(rng.normal(size=15), 2), "b": np.zeros(30)}, split=Clusters(30)).status
        for _ in range(150)
    ]
    right = []
    for _ in range(150):
        effects = np.tile(rng.normal(size=15), 2)
        right.append(decide(claim, {"a": effects, "b": np.zeros(30)}, split=Clusters(15)).status)
    assert np.mean(np.array(wrong) != "undecided") > 0.1 > np.mean(np.array(right) != "undecided")
