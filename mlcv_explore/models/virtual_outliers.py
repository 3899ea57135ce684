"""Virtual outliers: unlikely points of the Gaussians of each class's features.

Sources: X. Du et al., VOS, 2022, https://arxiv.org/abs/2202.01197; L. Tao et al., NPOS, 2023,
https://arxiv.org/abs/2303.02966.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore.metrics.neighbours import nearest

BOUNDARY = 0.1  # share of a class's examples, farthest from the others, around which NPOS draws
CANDIDATES = 4  # of which NPOS keeps the one farthest from the examples
FLOOR = 1e-4  # variance added, as a share of the mean variance


@dataclass(frozen=True, eq=False)
class Gaussians:
    """A Gaussian a class, all of one covariance."""

    means: torch.Tensor  # (K, d)
    root: torch.Tensor  # (d, d), lower triangle: covariance = root rootᵀ
    shrinkage: float  # of the covariance towards equal variances, 0 to 1

    def distances(self, features: torch.Tensor) -> torch.Tensor:
        """Squared Mahalanobis distances (n, K)."""
        solved = torch.linalg.solve_triangular(self.root, torch.cat([features, self.means]).T, upper=False).T
        values, means = solved[: len(features)], solved[len(features) :]
        return torch.cdist(values, means).square()

    def at_radius(
        self, labels: torch.Tensor, radii: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """Points (n, d) in random directions at Mahalanobis distances (n,) from their
        classes' means.
        """
        directions = torch.randn(len(labels), len(self.root), generator=generator)
        directions = directions / directions.norm(dim=1, keepdim=True)
        return self.means[labels] + (radii[:, None] * directions) @ self.root.T


def fit(features: torch.Tensor, labels: torch.Tensor, classes: int) -> Gaussians:
    """Means of every class, and the covariance of features (n, d) about them, shrunk after
    Ledoit and Wolf, so that fewer examples than dimensions do.
    """
    from sklearn.covariance import ledoit_wolf

    means = torch.stack([features[labels == label].mean(0) for label in range(classes)])
    centred = (features - means[labels]).double().numpy()
    covariance, shrinkage = ledoit_wolf(centred, assume_centered=True)
    size = len(covariance)
    covariance += (FLOOR * np.trace(covariance) / size + 1e-12) * np.eye(size)
    root = torch.from_numpy(np.linalg.cholesky(covariance)).to(features.dtype)
    return Gaussians(means, root, float(shrinkage))


def radii(count: int, size: int, draws: int, generator: torch.Generator) -> torch.Tensor:
    """Mahalanobis distances (count,) of the least likely of `draws` points of a Gaussian in
    `size` dimensions, drawn from their own distribution: the squared distance is χ², and the
    largest of N has the quantile U^(1/N).
    """
    from scipy.special import chdtri

    uniform = torch.rand(count, generator=generator, dtype=torch.float64).clamp_min(1e-300).numpy()
    return torch.from_numpy(np.sqrt(chdtri(size, -np.expm1(np.log(uniform) / draws)))).float()


def least_likely(
    gaussians: Gaussians, labels: torch.Tensor, draws: int, generator: torch.Generator
) -> torch.Tensor:
    """For every label the least likely of `draws` points of its class's Gaussian (n, d)."""
    distances = radii(len(labels), len(gaussians.root), draws, generator)
    return gaussians.at_radius(labels, distances, generator)


def nonparametric(
    features: torch.Tensor,
    labels: torch.Tensor,
    wanted: torch.Tensor,
    neighbours: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """For every wanted label a point (n, d) beyond the examples of its class: around one of
    those with the most distant neighbours, the farthest of a few Gaussian draws as wide as
    a typical distance between neighbours.
    """
    apart = nearest(features, features, neighbours, skip_first=True)[0][:, -1]
    members = [torch.nonzero(labels == label)[:, 0] for label in range(int(labels.max()) + 1)]
    edges = [own[apart[own].argsort(descending=True)[: max(1, int(BOUNDARY * len(own)))]] for own in members]
    picks = torch.rand(len(wanted), generator=generator)
    chosen = torch.stack(
        [edges[label][int(pick * len(edges[label]))] for label, pick in zip(wanted, picks, strict=True)]
    )
    width = apart.median() / features.shape[1] ** 0.5
    noise = torch.randn(CANDIDATES, len(wanted), features.shape[1], generator=generator)
    points = features[chosen] + width * noise
    away = nearest(features, points.flatten(0, 1), neighbours)[0][:, -1].view(CANDIDATES, -1)
    return points[away.argmax(0), torch.arange(len(wanted))]


def typical_radius(gaussians: Gaussians, draws: int) -> float:
    """The median Mahalanobis distance of the least likely of `draws` points."""
    from scipy.special import chdtri

    return float(np.sqrt(chdtri(len(gaussians.root), -np.expm1(np.log(0.5) / draws))))


def share_less_likely(
    gaussians: Gaussians, features: torch.Tensor, labels: torch.Tensor, draws: int
) -> float:
    """The share of real features (n, d) farther from their class's mean than is typical of
    the least likely of `draws` points: far above 1 / draws where features are no Gaussian.
    """
    own = gaussians.distances(features).gather(1, labels[:, None])[:, 0]
    return float((own.sqrt() > typical_radius(gaussians, draws)).double().mean())
