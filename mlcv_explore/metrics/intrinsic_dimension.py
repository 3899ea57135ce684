"""The intrinsic dimension of points from the distances to their two nearest neighbours.

Source: E. Facco et al., 2017, https://arxiv.org/abs/1803.06992: the ratio of the second to
the first distance follows a Pareto law whose exponent is the dimension.
"""

import numpy as np

KEPT = 0.9  # of the ratios: the largest tenth is noise, as in the source


def two_nearest(points: np.ndarray) -> float:
    """The dimension of (n, d) points; points with a duplicate are left out. NaN with
    fewer than ten others.
    """
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=3).fit(points).kneighbors(points)
    first, second = distances[:, 1], distances[:, 2]
    ratios = np.sort(second[first > 0] / first[first > 0])
    if len(ratios) < 10:
        return float("nan")
    kept = np.log(ratios[: round(KEPT * len(ratios))])
    shares = np.arange(1, len(kept) + 1) / len(ratios)
    return float(-(kept @ np.log1p(-shares)) / (kept @ kept))  # a line through the origin
