"""Levels that are fitted in one piece, each on the codes of the level below: principal
components and k-means features.

Source: Coates, Lee, Ng, An Analysis of Single-Layer Networks in Unsupervised Feature
Learning, 2011, https://proceedings.mlr.press/v15/coates11a
"""

from collections.abc import Sequence

import numpy as np
import torch

from mlcv_explore.metrics import linear_probe
from mlcv_explore.models.level_learners import Hyperparameters, Learner
from mlcv_explore.seeds import stream_seed

MOST_UNITS = 256  # of a level
ITERATIONS = 20  # of Lloyd's algorithm


class FittedLearner(Learner):
    """Levels fitted in one piece, each on the codes (S, n, d) of the level below."""

    dtype = torch.float32

    def __init__(self, settings: Hyperparameters, seeds: Sequence[int]) -> None:
        self.seeds, self.count = tuple(seeds), settings.shape.count
        self.units = min(settings.shape.values(0), MOST_UNITS)
        self.updates, self.losses = np.zeros(self.count, np.int64), {}

    def fit(self, images: torch.Tensor) -> None:
        pixels = below = images.flatten(2).to(self.dtype).numpy()
        for level in range(self.count):
            self.fit_level(level, below, pixels)
            below = self.transform(level, below)

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        codes, below = [], images.flatten(2).to(self.dtype).numpy()
        for level in range(self.count):
            below = self.transform(level, below)
            codes.append(torch.from_numpy(below))
        return codes


class PCA(FittedLearner):
    """Principal components of the level below, scaled to a total variance of one, and
    of these again: a linear level, so the second only rotates the first.
    """

    dtype = torch.float64

    def __init__(self, settings: Hyperparameters, seeds: Sequence[int]) -> None:
        super().__init__(settings, seeds)
        self.components: list[list[linear_probe.PrincipalComponents]] = []  # of each level, one a seed

    def fit_level(self, level: int, below: np.ndarray, pixels: np.ndarray) -> None:
        """The leading components of the codes below."""
        self.components.append([linear_probe.principal_components(own, self.units) for own in below])

    def transform(self, level: int, below: np.ndarray) -> np.ndarray:
        """Projections on the components."""
        pairs = zip(self.components[level], below, strict=True)
        return np.stack([components.transform(own) for components, own in pairs])

    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor | None:
        """The best linear reconstruction."""
        values = code.numpy()
        for components in reversed(self.components[: level + 1]):
            values = np.stack(
                [
                    own.mean + projected @ own.basis.T / np.square(own.basis[:, 0]).sum()
                    for own, projected in zip(components, values, strict=True)
                ]
            )
        return torch.from_numpy(values).float()


class KMeans(FittedLearner):
    """k-means of the level below; the code of an image is `kmeans_features`."""

    def __init__(self, settings: Hyperparameters, seeds: Sequence[int]) -> None:
        super().__init__(settings, seeds)
        self.centres: list[list[np.ndarray]] = []  # of each level, one (k, d) a seed
        self.means: list[list[np.ndarray]] = []  # the mean training image (k, pixels) of each cluster

    def fit_level(self, level: int, below: np.ndarray, pixels: np.ndarray) -> None:
        """Centres of the codes below, and the mean image of each cluster."""
        from sklearn.cluster import KMeans as Clustering

        centres, means = [], []
        for seed, own, images in zip(self.seeds, below, pixels, strict=True):
            state, count = stream_seed(seed, f"centroids {level}") % 2**32, min(self.units, len(own))
            fit = Clustering(count, n_init=1, max_iter=ITERATIONS, random_state=state).fit(own)
            sums = np.zeros((fit.n_clusters, images.shape[1]), np.float32)
            np.add.at(sums, fit.labels_, images)
            means.append(sums / np.maximum(np.bincount(fit.labels_, minlength=count), 1)[:, None])
            centres.append(fit.cluster_centers_)
        self.centres.append(centres)
        self.means.append(means)

    def transform(self, level: int, below: np.ndarray) -> np.ndarray:
        """Features from the distances to the centres."""
        pairs = zip(below, self.centres[level], strict=True)
        return np.stack([kmeans_features(own, centres) for own, centres in pairs])

    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor | None:
        """The mean training image of the nearest centre's cluster."""
        nearest = code.argmax(-1).numpy()
        return torch.from_numpy(
            np.stack([own[places] for own, places in zip(self.means[level], nearest, strict=True)])
        )


def kmeans_features(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """max(0, mean distance − distance) of each value (n, d) to every centre (k, d): (n,
    k) float32.
    """
    squared = (values**2).sum(1)[:, None] - 2 * values @ centres.T + (centres**2).sum(1)
    distances = np.sqrt(np.maximum(squared, 0))
    return np.maximum(0, distances.mean(1, keepdims=True) - distances).astype(np.float32)
