"""Means of clustered values: curves of a data set or images of an object are alike, so
the clusters are resampled and not the values.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from mlcv_explore.statistics.intervals import Interval

FEWEST = 12  # clusters from which on the interval was seen to keep its coverage
RESAMPLES = 1999


def cluster_means(values: np.ndarray, clusters: Sequence[Hashable]) -> np.ndarray:
    """(C,) mean of the values (N,) of each cluster, in the order in which the clusters
    first occur. Raises ValueError where the lengths differ.
    """
    if len(values) != len(clusters):
        raise ValueError(f"Every value needs its cluster: {len(values)} values, {len(clusters)} clusters.")
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    index = np.array([places[cluster] for cluster in clusters], dtype=int)
    sums = np.bincount(index, np.asarray(values, dtype=float), minlength=len(places))
    return sums / np.bincount(index, minlength=len(places))


def cluster_interval(
    values: np.ndarray, clusters: Sequence[Hashable], level: float = 0.95, seed: int = 0
) -> Interval:
    """The studentised bootstrap interval for the mean over clusters of their means, of
    (N,) values; `n` counts clusters. Without bounds below 12 clusters or where a value is
    undefined.

    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997, sections
    3.8 (hierarchical data) and 5.2 (studentised intervals).
    """
    from mlcv_explore.seeds import numpy_stream  # late: it imports torch

    means = cluster_means(values, clusters)
    n, mean = len(means), float(means.mean()) if len(means) else math.nan
    if n < FEWEST or not math.isfinite(mean):
        return Interval(-math.inf, mean, math.inf, level, n, "cluster bootstrap")
    drawn = means[numpy_stream(seed, "clusters").integers(n, size=(RESAMPLES, n))]
    errors = drawn.std(-1, ddof=1)
    if not errors.all():  # equal means: nothing to divide by, and no width
        drawn, errors = drawn[errors > 0], errors[errors > 0]
        if not len(errors):
            return Interval(mean, mean, mean, level, n, "cluster bootstrap")
    tails = [(1 + level) / 2, (1 - level) / 2]
    above, below = np.quantile((drawn.mean(-1) - mean) / errors, tails) * means.std(ddof=1)
    return Interval(float(mean - above), mean, float(mean - below), level, n, "cluster bootstrap")
