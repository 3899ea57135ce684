"""Scores of a layered network that tell real images from outliers, at every layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from mlcv_explore.metrics import neighbours
from mlcv_explore.metrics.outlier_detection import averaged, fisher
from mlcv_explore.models import virtual_outliers
from mlcv_explore.models.layered_network import LayeredNetwork
from mlcv_explore.models.virtual_outliers import Gaussians

NEAR = 5  # the neighbour whose distance is a score

Layers = list[torch.Tensor]  # features (n, d) of every layer


@dataclass(frozen=True, eq=False)
class Opened:
    """A trained network's features: of training images and of some groups of images, the
    first of them the reference.
    """

    network: LayeredNetwork
    labels: torch.Tensor  # (n,) of the training images
    train: Layers
    groups: list[Layers]

    @cached_property
    def gaussians(self) -> list[Gaussians]:
        """Those of the training images' classes at every layer."""
        classes = int(self.labels.max()) + 1
        return [virtual_outliers.fit(values, self.labels, classes) for values in self.train]

    def over(self, score: Callable[[Layers], np.ndarray]) -> list[np.ndarray]:
        """A score of every group."""
        return [score(features) for features in self.groups]

    def log_odds(self, features: Layers) -> np.ndarray:
        """Log-odds (L, n) of real against outlier at every layer."""
        return np.stack([self.network.log_odds(own, layer).numpy() for layer, own in enumerate(features)])

    def accuracy(self, group: int, labels: torch.Tensor) -> float:
        """The share of a group's images whose prediction is their label."""
        predicted = self.network.heads[-1](self.groups[group][-1]).argmax(1)
        return float((predicted == labels).float().mean())

    def nearest(self, features: Layers, count: int) -> torch.Tensor:
        """Places (L, n, count) of the nearest training examples at every layer."""
        pairs = zip(self.train, features, strict=True)
        return torch.stack([neighbours.nearest(own, values, count)[1] for own, values in pairs])


@torch.no_grad()
def opened(
    network: LayeredNetwork, train: tuple[torch.Tensor, torch.Tensor], groups: Sequence[torch.Tensor]
) -> Opened:
    """A trained network with its features of training images, with their labels, and of
    groups of images.
    """
    images, labels = train
    return Opened(network, labels, network.features(images), [network.features(each) for each in groups])


def depths(own: Opened, count: int) -> list[np.ndarray]:
    """The prediction depth (n,) of every group's images by the votes of `count` neighbours, 0
    to L.
    """

    def depth(features: Layers) -> np.ndarray:
        probes = torch.stack([neighbours.votes(own.labels, each) for each in own.nearest(features, count)])
        return neighbours.prediction_depth(probes, own.network.heads[-1](features[-1]).argmax(1)).numpy()

    return own.over(depth)


def untrained(own: Opened) -> dict[str, list[np.ndarray]]:
    """Scores of every group that need no outliers, by name: the highest probability ("msp"),
    the negative energy ("energy"); the Mahalanobis distance to the nearest class mean, at
    the last layer, averaged over standardised layers, and with the energy in the place of
    the last ("mixed"); the distance to the NEAR-th neighbour averaged over standardised
    layers ("fusion"), and by Fisher's combination of its p-values ("fisher").
    """
    last = own.network.heads[-1]
    energy = own.over(lambda each: last(each[-1]).logsumexp(1).numpy())
    near, apart = own.over(lambda each: nearness(own, each)), own.over(lambda each: isolation(own, each))
    mixed = [np.concatenate([each[:-1], score[None]]) for each, score in zip(near, energy, strict=True)]
    return {
        "msp": own.over(lambda each: last(each[-1]).softmax(1).amax(1).numpy()),
        "energy": energy,
        "mahalanobis_last": [each[-1] for each in near],
        "mahalanobis": averaged(near),
        "mixed": averaged(mixed),
        "fusion": averaged(apart),
        "fisher": [fisher(each, apart[0]) for each in apart],
    }


def nearness(own: Opened, features: Layers) -> np.ndarray:
    """(L, n): the negative squared Mahalanobis distance to the nearest class mean."""
    pairs = zip(own.gaussians, features, strict=True)
    return np.stack([-gaussians.distances(values).amin(1).numpy() for gaussians, values in pairs])


def isolation(own: Opened, features: Layers) -> np.ndarray:
    """(L, n): the negative distance to the NEAR-th nearest training example."""
    pairs = zip(own.train, features, strict=True)
    return np.stack([-neighbours.nearest(each, values, NEAR)[0][:, -1].numpy() for each, values in pairs])


def virtual(own: Opened, labels: torch.Tensor, draws: int, generator: torch.Generator) -> np.ndarray:
    """Log-odds (L, n) of virtual outliers of every layer, one for each label (n,)."""
    pairs = ((gaussians, labels, draws, generator) for gaussians in own.gaussians)
    return own.log_odds([virtual_outliers.least_likely(*each) for each in pairs])


@torch.no_grad()
def of_images(own: Opened, images: torch.Tensor) -> np.ndarray:
    """Log-odds (L, n) of images."""
    return own.log_odds(own.network.features(images))
