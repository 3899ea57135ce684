"""A two-dimensional embedding that is fitted once and transforms new points quickly.

UMAP's own `transform` needs its fitted model, compiles for seconds in every process,
and places a point differently in other batches. Here the map is the fitted features and
their coordinates, and a new point is placed between its nearest neighbours, whatever
else is in the batch.

Source: McInnes, Healy, Melville, UMAP, 2018, https://arxiv.org/abs/1802.03426
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlcv_explore.seeds import stream_seed

NEIGHBOURS = 5  # that place a point; the distance of the last is its novelty
UMAP_NEIGHBOURS = 15  # UMAP's default


@dataclass(frozen=True, eq=False)
class FittedMap:
    """Features and their coordinates in the plane."""

    features: np.ndarray  # (n, d) float32
    coordinates: np.ndarray  # (n, 2) float32

    @property
    def width(self) -> float:
        """The longer side of the coordinates' bounding box: the unit of distances on
        the map.
        """
        return float(np.ptp(self.coordinates, axis=0).max())

    def transform(self, points: np.ndarray) -> np.ndarray:
        """(B, d) → (B, 2): the mean of the five nearest features' coordinates, each
        weighted by one over its distance; a feature lies on itself.
        """
        distances, places = self.nearest(points)
        on = distances == 0
        weights = np.where(on.any(axis=1, keepdims=True), on, 1 / np.where(on, 1, distances))
        weights /= weights.sum(axis=1, keepdims=True)
        return (weights[..., None] * self.coordinates[places]).sum(axis=1).astype(np.float32)

    def novelty_percentile(self, points: np.ndarray) -> np.ndarray:
        """(B, d) → (B,) in [0, 1]: the share of the map's own features whose fifth
        neighbour is nearer than this point's.
        """
        distances, _ = self.nearest(points)
        return np.searchsorted(self._own_distances, distances[:, -1], side="left") / len(self._own_distances)

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, d) → distances (B, 5) and places in the map (B, 5) of the nearest
        features, the nearest first; of a map of fewer, all.
        """
        return self._nearest(points, NEIGHBOURS)

    def _nearest(self, points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        count = min(count, len(self.features))
        mean, features, halves = self._centred
        given = np.asarray(points, dtype=float) - mean
        ranks = halves - given @ features.T  # half the squared distance, but for a constant of the point
        candidates = np.argpartition(ranks, count - 1, axis=1)[:, :count]
        # exact, and of each point by itself
        distances = np.sqrt(np.square(given[:, None] - features[candidates]).sum(axis=-1))
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, axis=1), np.take_along_axis(candidates, order, axis=1)

    @cached_property
    def _centred(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean (d,), features around it (n, d), and half their squared lengths (n,);
        float64, so that ranking by products loses nothing.
        """
        mean = self.features.mean(axis=0, dtype=float)
        features = self.features - mean
        return mean, features, np.square(features).sum(axis=1) / 2

    @cached_property
    def _own_distances(self) -> np.ndarray:
        """(n,) ascending, of every feature to its fifth neighbour beside itself."""
        return np.sort(self._nearest(self.features, NEIGHBOURS + 1)[0][:, -1])


def fit(features: np.ndarray, held_out: np.ndarray, seed: int) -> tuple[FittedMap, np.ndarray]:
    """UMAP of features (n, d), and where its own `transform` puts the points held out
    (m, d): (m, 2). Takes tens of seconds in a new process.
    """
    import umap

    reducer = umap.UMAP(
        n_neighbors=min(UMAP_NEIGHBOURS, len(features) - 1),
        random_state=stream_seed(seed, "map") % 2**32,
        n_jobs=1,
    )
    coordinates = np.asarray(reducer.fit_transform(features), dtype=np.float32)
    return FittedMap(np.asarray(features, dtype=np.float32), coordinates), np.asarray(
        reducer.transform(held_out), dtype=np.float32
    )


def errors(placed: np.ndarray, reference: np.ndarray, width: float) -> np.ndarray:
    """(B,) distances between two layouts of the same points (B, 2), as shares of the
    map's width.
    """
    return np.linalg.norm(placed - reference, axis=1) / width
