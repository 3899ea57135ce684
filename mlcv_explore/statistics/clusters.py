"""Means of clustered values: curves of a data set or images of an object are alike, so
the clusters are resampled and not the values.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from mlcv_explore.statistics.intervals import Interval

FEWEST = 12  # clusters from which on the interval was seen to keep its coverage
RESAMPLES = 1999
NEAREST = 1e-12  # distances below are none


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
    means = cluster_means(values, clusters)
    n, mean = len(means), float(means.mean()) if len(means) else math.nan
    if n < FEWEST or not math.isfinite(mean):
        return Interval(-math.inf, mean, math.inf, level, n, "cluster bootstrap")
    studentised = _studentised(means, seed)
    if not len(studentised):  # equal means have no width
        return Interval(mean, mean, mean, level, n, "cluster bootstrap")
    tails = [(1 + level) / 2, (1 - level) / 2]
    above, below = np.quantile(studentised, tails) * means.std(ddof=1)
    return Interval(float(mean - above), mean, float(mean - below), level, n, "cluster bootstrap")


def p_cluster_above(means: np.ndarray, bound: float, seed: int = 0) -> float:
    """One-sided p-value of the mean of (C,) cluster means lying above the bound, by the
    same resamples as the interval; 1 below 12 clusters or where a mean is undefined.
    """
    if len(means) < FEWEST or not np.isfinite(means).all():
        return 1.0
    studentised, distance = _studentised(means, seed), float(means.mean()) - bound
    if not len(studentised):
        return 0.0 if distance > NEAREST else 1.0
    beyond = int((studentised >= distance / means.std(ddof=1)).sum())
    return (beyond + 1) / (len(studentised) + 1)


def _studentised(means: np.ndarray, seed: int) -> np.ndarray:
    """(R,) deviations of resampled means from the mean (C,) in their own standard
    deviations; none where all are equal.
    """
    from mlcv_explore.seeds import numpy_stream  # late: it imports torch

    n = len(means)
    drawn = means[numpy_stream(seed, "clusters").integers(n, size=(RESAMPLES, n))]
    errors = drawn.std(-1, ddof=1)
    varied = errors > NEAREST
    return (drawn[varied].mean(-1) - means.mean()) / errors[varied]
