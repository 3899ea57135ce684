"""Networks that can be entered and left at every depth: depth 0 is the picture, depth d
what the d-th layer or block gives, rectified.

Layers normalise nothing over a batch: a mixed batch would shift what a frozen encoder
was taught.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from mlcv_explore.models.stacked import SeparateModels, StackedDense

DEPTHS = 3  # hidden layers, or blocks
GROUPS = 4  # of channels that are normalised together (Wu and He, Group Normalization, 1803.08494)


class StackedLayers(StackedDense):
    """S dense networks of three hidden layers as one; a picture is (S, B, d), flat."""

    def through(self, values: torch.Tensor, first: int = 0, last: int | None = None) -> torch.Tensor:
        """(S, B, d) at depth `first` → (S, B, d') at depth `last`, to the logits where
        that is None.
        """
        count = len(self.weights)
        values = values.mT
        for depth in range(first, count if last is None else last):
            values = torch.baddbmm(self.biases[depth], self.weights[depth], values)
            values = values.relu_() if depth + 1 < count else values
        return values.mT

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(S, B, sizes[0]) → (S, B, sizes[-1])."""
        return self.through(inputs)

    def encoder(self, depth: int) -> list[nn.Parameter]:
        """The parameters below a depth."""
        return [*self.weights[:depth], *self.biases[:depth]]


class Blocks(nn.Module):
    """Three blocks of two convolutions, the first of a block halving the side (but for
    pictures of 8 pixels, which the first leaves whole), and a linear layer on the mean
    of the last.
    """

    def __init__(self, channels: int, side: int, width: int, classes: int) -> None:
        super().__init__()
        sizes = (channels, width, 2 * width, 4 * width)
        strides = (1 if side <= 8 else 2, 2, 2)
        self.blocks = nn.ModuleList(
            _block(sizes[depth], sizes[depth + 1], stride) for depth, stride in enumerate(strides)
        )
        self.last = nn.Linear(sizes[-1], classes)
        # of the features at every depth
        self.shapes = tuple(
            (size, *[side // math.prod(strides[:depth])] * 2) for depth, size in enumerate(sizes)
        )

    def through(self, values: torch.Tensor, first: int = 0, last: int | None = None) -> torch.Tensor:
        """(B, C, h, w) at depth `first` → (B, C', h', w') at depth `last`, to the
        logits (B, K) where that is None.
        """
        for block in self.blocks[first:last]:
            values = block(values)
        return self.last(values.mean((2, 3))) if last is None else values

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, C, side, side) in [0, 1] → (B, K)."""
        return self.through(pictures)


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    layers = [
        module
        for start, step in ((inputs, stride), (outputs, 1))
        for module in (nn.Conv2d(start, outputs, 3, step, 1), nn.GroupNorm(GROUPS, outputs), nn.ReLU())
    ]
    return nn.Sequential(*layers)


class SeparateBlocks(SeparateModels):
    """S such networks behind the calls of a stack; a picture is (S, B, C, side, side)."""

    def through(self, values: torch.Tensor, first: int = 0, last: int | None = None) -> torch.Tensor:
        """(S, B, …) at depth `first` → (S, B, …) at depth `last`, to the logits where
        that is None.
        """
        return torch.stack(
            [
                network.through(batch, first, last)
                for network, batch in zip(self.networks, values, strict=True)
            ]
        )

    def encoder(self, depth: int) -> list[nn.Parameter]:
        """The parameters below a depth."""
        return [parameter for network in self.networks for parameter in network.blocks[:depth].parameters()]


Network = StackedLayers | SeparateBlocks


def networks(
    kind: str, shape: tuple[int, int, int], width: int, classes: int, seeds: Sequence[int]
) -> Network:
    """One network a seed for pictures of a shape (C, h, w): "dense" or "convolutional"."""
    if kind == "dense":
        return StackedLayers((math.prod(shape), *[width] * DEPTHS, classes), seeds)
    return SeparateBlocks(lambda: Blocks(shape[0], shape[1], width, classes), seeds)


def heads(
    kind: str, features: tuple[int, ...], width: int, outputs: int, seeds: Sequence[int]
) -> StackedDense:
    """One small network a seed on features of a shape, flat: a hidden layer and
    `outputs` numbers.
    """
    return StackedDense((math.prod(features), width, outputs), seeds)


def decoder(channels: int, shapes: Sequence[tuple[int, int, int]], depth: int) -> nn.Sequential:
    """From the features of a depth back to a picture in [0, 1]: every step a doubling
    where its block halved, and two convolutions.
    """
    steps: list[nn.Module] = []
    for place in range(depth, 0, -1):
        (inputs, side, _), (outputs, target, _) = shapes[place], shapes[place - 1]
        outputs = outputs if place > 1 else shapes[1][0]
        if target > side:
            steps.append(nn.Upsample(scale_factor=2, mode="nearest"))
        steps += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*steps, nn.Conv2d(shapes[1][0], channels, 3, 1, 1), nn.Sigmoid())
