"""Where the outliers come from that a layered network is trained beside. Each source is
called once an epoch, and what it returns gives outliers for the images of a batch.
"""

from collections.abc import Callable, Sequence

import torch

from mlcv_explore.models import virtual_outliers
from mlcv_explore.models.layered_network import LAYERS, LayeredNetwork, Outliers

Source = Callable[[], Outliers]


def virtual(
    network: LayeredNetwork,
    images: torch.Tensor,
    labels: torch.Tensor,
    layers: Sequence[int],
    draws: int,
    generator: torch.Generator,
) -> Source:
    """At every one of these layers, for every image the least likely of `draws` points of its
    class's Gaussian, fitted to that epoch's features of all images.
    """

    @torch.no_grad()
    def epoch() -> Outliers:
        features, classes = network.features(images), int(labels.max()) + 1
        fitted = {layer: virtual_outliers.fit(features[layer], labels, classes) for layer in layers}
        return lambda chosen: {
            layer: virtual_outliers.least_likely(gaussians, labels[chosen], draws, generator)
            for layer, gaussians in fitted.items()
        }

    return epoch


def nonparametric(
    network: LayeredNetwork,
    images: torch.Tensor,
    labels: torch.Tensor,
    neighbours: int,
    generator: torch.Generator,
) -> Source:
    """At the last layer, for every image a point beyond its class's most isolated examples."""

    @torch.no_grad()
    def epoch() -> Outliers:
        last = network.features(images)[-1]
        most = virtual_outliers.nonparametric(last, labels, labels, neighbours, generator)
        return lambda chosen: {LAYERS - 1: most[chosen]}

    return epoch


def real_features(network: LayeredNetwork, images: torch.Tensor, generator: torch.Generator) -> Source:
    """At the last layer, the epoch's features of images drawn at random."""

    @torch.no_grad()
    def epoch() -> Outliers:
        last = network.features(images)[-1]
        return lambda chosen: {LAYERS - 1: last[_some(len(images), len(chosen), generator)]}

    return epoch


def known(network: LayeredNetwork, outliers: torch.Tensor, generator: torch.Generator) -> Source:
    """At every layer, features of real outliers (m, …) drawn at random, whose gradients reach
    the network.
    """
    return lambda: lambda chosen: network.features(outliers[_some(len(outliers), len(chosen), generator)])


def _some(count: int, wanted: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(count, (wanted,), generator=generator)
