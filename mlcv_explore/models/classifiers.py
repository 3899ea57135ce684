"""The convolutional classifiers that ship, and how they are trained: one-cycle Nesterov
SGD, small images first.
"""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

PATCH = 2  # side of the patches that are whitened
FILTERS = 2 * 3 * PATCH**2  # every direction of a patch, and its negative
WHITENED = 5000  # images whose patches are analysed


class Normalise(nn.Module):
    """Normalises images in [0, 1] per channel, as the first layer, so that gradients
    are with respect to the pixels.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) → the same shape."""
        return (images - self.mean) / self.std


class TwoConvResidual(nn.Module):
    """Residual block of two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = convolution(channels, channels), convolution(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) → the same shape."""
        return features + self.second(self.first(features))


def convolution(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    """3×3 convolution, batch normalisation, ReLU; the ReLU is a module of its own and
    not in place, as attribution hooks need it.
    """
    layers = [nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))


class OneConvResidual(nn.Module):
    """Residual block of one convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.only = pool_then_normalise(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) → the same shape."""
        return features + self.only(features)


def pool_then_normalise(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    """As `convolution`, but normalised and rectified after pooling, and with no scale
    of its own: the rates then fit all layers alike.
    """
    normalise = nn.BatchNorm2d(outputs)
    normalise.weight.requires_grad_(False)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
        *([nn.MaxPool2d(2)] if pool else []),
        normalise,
        nn.ReLU(),
    )


def residual_classifier(
    width: int, classes: int, mean: Sequence[float], std: Sequence[float]
) -> nn.Sequential:
    """(B, 3, h, w) in [0, 1] → logits (B, classes): five convolutions and two shortcuts
    (after D. Page's ResNet-9), sides halved three times.
    """
    layers = OrderedDict(
        normalise=Normalise(mean, std),
        stem=convolution(3, width),
        halve1=convolution(width, 2 * width, pool=True),
        shortcut1=TwoConvResidual(2 * width),
        halve2=convolution(2 * width, 4 * width, pool=True),
        halve3=convolution(4 * width, 8 * width, pool=True),
        shortcut2=TwoConvResidual(8 * width),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear=nn.Linear(8 * width, classes),
    )
    return nn.Sequential(layers)


def whitened_classifier(
    width: int, classes: int, mean: Sequence[float], std: Sequence[float]
) -> nn.Sequential:
    """(B, 3, h, w) in [0, 1] → logits (B, classes): fixed whitening filters, three
    halvings, each with a shortcut (after K. Jordan, 2404.00498).

    The filters are zeros until `whiten` or a checkpoint fills them.
    """
    filters = nn.Conv2d(3, FILTERS, PATCH)
    filters.weight.requires_grad_(False)
    nn.init.zeros_(filters.weight)
    nn.init.zeros_(filters.bias)
    layers = OrderedDict(
        normalise=Normalise(mean, std),
        whiten=nn.Sequential(filters, nn.ReLU()),
        halve1=pool_then_normalise(FILTERS, width, pool=True),
        shortcut1=OneConvResidual(width),
        halve2=pool_then_normalise(width, 3 * width, pool=True),
        shortcut2=OneConvResidual(3 * width),
        halve3=pool_then_normalise(3 * width, 4 * width, pool=True),
        shortcut3=OneConvResidual(4 * width),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear=nn.Linear(4 * width, classes),
    )
    for name in ("halve1", "halve2", "halve3"):
        initialise_identity(layers[name][0])
    return nn.Sequential(layers)


def whiten(network: nn.Sequential, images: np.ndarray) -> None:
    """Fill the first filters with those that make patches of these images (uint8)
    uncorrelated and of one variance, and their negatives.
    """
    normalised = network.normalise(torch.from_numpy(images[:WHITENED].copy()).float().div_(255))
    patches = functional.unfold(normalised, PATCH).transpose(1, 2).flatten(0, 1)  # (n, 3·PATCH²)
    variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (directions / (variances + 5e-4).sqrt()).T.reshape(FILTERS // 2, 3, PATCH, PATCH)
    network.whiten[0].weight.data.copy_(torch.cat([filters, -filters]))


def initialise_identity(layer: nn.Conv2d) -> None:
    """Initialise the first output channels as the identity of the input channels; the
    others stay random.
    """
    nn.init.dirac_(layer.weight.data[: layer.in_channels])


ARCHITECTURES = {"residual_classifier": residual_classifier, "whitened_classifier": whitened_classifier}


@torch.no_grad()
def predict_logits(network: nn.Module, images: np.ndarray, batch: int = 250) -> torch.Tensor:
    """Logits (n, classes) of uint8 images (n, 3, h, w), in evaluation mode."""
    network.eval()
    return torch.cat(
        [network(part.float().div_(255)) for part in torch.from_numpy(np.array(images)).split(batch)]
    )


def predict_probabilities(network: nn.Module, images: Sequence[np.ndarray]) -> np.ndarray:
    """Probabilities (n, classes) of float32 images (3, h, w) in [0, 1]."""
    with torch.inference_mode():
        parts = torch.from_numpy(np.stack(images)).split(250)
        return torch.cat([network(part).softmax(1) for part in parts]).numpy()
