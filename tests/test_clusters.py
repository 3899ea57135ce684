"""Means over clusters: what is resampled, and that the interval keeps its coverage."""

import math

import numpy as np
import pytest

from mlcv_explore.statistics import cluster_interval, t_interval
from mlcv_explore.statistics.clusters import cluster_means


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
