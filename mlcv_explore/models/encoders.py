"""Small networks whose features at any depth can be taken out, changed and put back.

Depth 0 is the image, depth d the rectified output of layer or block d. All seeds are
one stack. Nothing is normalised over a batch: changed features would shift statistics
that a frozen encoder rests on. With them come heads on features and decoders back to
the image.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from mlcv_explore.models.stacked import SeparateModels, StackedDense

DEPTHS = 3  # hidden layers, or blocks
GROUPS = 4  # of channels normalised together (Wu and He, Group Normalization, 1803.08494)


class DenseNetworks(StackedDense):
    """S dense networks of three hidden layers as one; images are flattened."""

    def partial_forward(self, values: torch.Tensor, first: int = 0, last: int | None = None) -> torch.Tensor:
        """(S, B, …) at depth `first` → (S, B, d') at depth `last`; logits where None."""
        count = len(self.weights)
        values = values.flatten(2).mT
        for depth in range(first, count if last is None else last):
            values = torch.baddbmm(self.biases[depth], self.weights[depth], values)
            values = values.relu_() if depth + 1 < count else values
        return values.mT

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(S, B, …) → (S, B, sizes[-1])."""
        return self.partial_forward(inputs)

    def encoder_parameters(self, depth: int) -> list[nn.Parameter]:
        """The parameters below a depth."""
        return [*self.weights[:depth], *self.biases[:depth]]

    def feature_shape(self, depth: int) -> tuple[int, ...]:
        """Of one image at a depth of at least 1."""
        return (self.biases[depth - 1].shape[1],)


class ConvolutionalNetwork(nn.Module):
    """Three blocks of two convolutions and a linear layer on the spatial mean. The
    first convolution of a block halves the side, except of 8-pixel images in block one.
    """

    def __init__(self, channels: int, side: int, width: int, classes: int) -> None:
        super().__init__()
        sizes = (channels, width, 2 * width, 4 * width)
        strides = (1 if side <= 8 else 2, 2, 2)
        self.blocks = nn.ModuleList(
            _block(sizes[depth], sizes[depth + 1], stride) for depth, stride in enumerate(strides)
        )
        self.last = nn.Linear(sizes[-1], classes)
        self.shapes = tuple(  # (C, h, w) of the features at every depth
            (size, *[side // math.prod(strides[:depth])] * 2) for depth, size in enumerate(sizes)
        )

    def partial_forward(self, values: torch.Tensor, first: int = 0, last: int | None = None) -> torch.Tensor:
        """(B, C, h, w) at depth `first` → (B, C', h', w') at depth `last`; logits (B,
        K) where None.
        """
        for block in self.blocks[first:last]:
            values = block(values)
        return self.last(values.mean((2, 3))) if last is None else values

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, side, side) → (B, K)."""
        return self.partial_forward(images)


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    layers = [
        module
        for start, step in ((inputs, stride), (outputs, 1))
        for module in (nn.Conv2d(start, outputs, 3, step, 1), nn.GroupNorm(GROUPS, outputs), nn.ReLU())
    ]
    return nn.Sequential(*layers)


class ConvolutionalNetworks(SeparateModels):
    """S convolutional networks behind the calls of a stack, (S, B, C, side, side)."""

    def partial_forward(self, values: torch.Tensor, first: int = 0, last: int | None = None) -> torch.Tensor:
        """(S, B, …) at depth `first` → (S, B, …) at depth `last`; logits where None."""
        pairs = zip(self.networks, values, strict=True)
        return torch.stack([network.partial_forward(batch, first, last) for network, batch in pairs])

    def encoder_parameters(self, depth: int) -> list[nn.Parameter]:
        """The parameters below a depth."""
        return [parameter for network in self.networks for parameter in network.blocks[:depth].parameters()]

    def feature_shape(self, depth: int) -> tuple[int, ...]:
        """Of one image at a depth."""
        return self.networks[0].shapes[depth]


Networks = DenseNetworks | ConvolutionalNetworks


def build_networks(
    kind: str, shape: tuple[int, ...], width: int, classes: int, seeds: Sequence[int]
) -> Networks:
    """One network a seed for images of a shape (C, h, w): "dense" or "convolutional"."""
    if kind == "dense":
        return DenseNetworks((math.prod(shape), *[width] * DEPTHS, classes), seeds)
    return ConvolutionalNetworks(lambda: ConvolutionalNetwork(shape[0], shape[1], width, classes), seeds)


@torch.no_grad()
def apply_networks(
    networks: Networks, inputs: torch.Tensor, count: int, first: int = 0, last: int | None = None
) -> torch.Tensor:
    """All `count` networks on the same inputs (n, …), 500 at a time: (S, n, …)."""
    parts = [
        networks.partial_forward(part.expand(count, *part.shape), first, last) for part in inputs.split(500)
    ]
    return torch.cat(parts, dim=1)


def build_heads(features: tuple[int, ...], width: int, outputs: int, seeds: Sequence[int]) -> StackedDense:
    """One network a seed on flat features of a shape: a hidden layer, `outputs`
    numbers.
    """
    return StackedDense((math.prod(features), width, outputs), seeds)


def build_decoder(channels: int, shapes: Sequence[tuple[int, int, int]], depth: int) -> nn.Sequential:
    """From features at a depth to an image in [0, 1]: a convolution for every block,
    after a doubling where the block halved, and a last one.
    """
    steps: list[nn.Module] = []
    for place in range(depth, 0, -1):
        (inputs, side, _), (outputs, target, _) = shapes[place], shapes[place - 1]
        outputs = outputs if place > 1 else shapes[1][0]
        if target > side:
            steps.append(nn.Upsample(scale_factor=2, mode="nearest"))
        steps += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*steps, nn.Conv2d(shapes[1][0], channels, 3, 1, 1), nn.Sigmoid())
