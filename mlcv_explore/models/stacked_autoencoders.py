"""Stacked autoencoders of all seeds at once, and the losses they are trained with.

A level has an encoder and two decoders that start from equal weights: its *own*, which
only the layer-wise loss of this level trains, and its part of the *end-to-end* decoder,
which leads from the top level's code through all levels back to the pixels.

Source: Bengio, Lamblin, Popovici, Larochelle, Greedy Layer-Wise Training of Deep
Networks, 2006, https://papers.nips.cc/paper/3048
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.seeds import seeded

SMALLEST_VARIANCE = 1e-6  # by which a target's variance is at least divided: that of a dead code is 0
# (level from 0, values (S, B, …)) → noise to add to them
Noise = Callable[[int, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Shape:
    """Size of the images and of every level."""

    image: tuple[int, int, int]  # (channels, height, width)
    width: int  # units of every dense level; channels of the first convolutional one
    count: int  # levels
    # each convolutional level halves the sides and, from the second on, has four times the
    # channels: equally many values
    convolutional: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """Features, or channels, below the first level and above each."""
        if self.convolutional:
            return (self.image[0], *(self.width * 4**level for level in range(self.count)))
        channels, height, width = self.image
        return (channels * height * width, *(self.width,) * self.count)

    def values(self, level: int) -> int:
        """Numbers in one image's code at a level, from 0: the same at all."""
        _, height, width = self.image
        tiles = (height >> (level + 1)) * (width >> (level + 1)) if self.convolutional else 1
        return self.sizes[level + 1] * tiles


class StackedAutoencoders(nn.Module):
    """The levels of S seeds as one module: every weight carries the seed axis first.

    Values are (S, B, d), or (S, B, channels, height, width) where the levels are
    convolutional. `target`: what the own decoders reconstruct, "code" (the code below)
    or "pixels". `tied`: decoders have their encoder's weight. `linear`: no ReLU
    anywhere. `clipped`: a ReLU after the last output. `sizes` in place of `shape.sizes`
    lets dense levels narrow.
    """

    def __init__(
        self,
        shape: Shape,
        seeds: Sequence[int],
        target: str = "code",
        *,
        tied: bool = False,
        linear: bool = False,
        clipped: bool = False,
        sizes: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.target, self.tied, self.linear, self.clipped = shape, target, tied, linear, clipped
        self.sizes = tuple(sizes or shape.sizes)
        built = [seeded(seed, self._layers) for seed in seeds]
        up, down, out = (list(zip(*kind, strict=True)) for kind in zip(*built, strict=True))
        own = [down[level] if target == "code" or level == 0 else out[level] for level in range(self.count)]
        self.up, self.up_bias = _weights(up), _biases(up)
        self.own, self.own_bias = _weights(own), _biases(own)
        self.way, self.way_bias = _weights(down), _biases(down)

    def _layers(self) -> tuple[list[nn.Module], list[nn.Module], list[nn.Module]]:
        """One seed's encoders, decoders to the code below and decoders to the pixels:
        every target draws all of them, so that all start from equal weights.
        """
        pairs = list(pairwise(self.sizes))
        if self.shape.convolutional:
            up = [nn.Conv2d(below, above, 3, 2, 1) for below, above in pairs]
            down = [nn.ConvTranspose2d(above, below, 3, 2, 1, 1) for below, above in pairs]
            sides = [2 ** (level + 1) for level in range(self.count)]
            out = [
                nn.ConvTranspose2d(above, self.sizes[0], side, side)
                for side, (_, above) in zip(sides, pairs, strict=True)
            ]
        else:
            up = [nn.Linear(below, above) for below, above in pairs]
            down = [nn.Linear(above, below) for below, above in pairs]
            out = [nn.Linear(above, self.sizes[0]) for _, above in pairs]
        return up, down, out

    @property
    def count(self) -> int:
        """Levels."""
        return len(self.sizes) - 1

    def encode(self, level: int, below: torch.Tensor) -> torch.Tensor:
        """The code of one level from that of the level below."""
        code = _convolve(self.up[level], self.up_bias[level], below)
        return code if self.linear else code.relu()

    def codes(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """The code of every level, from the first."""
        codes = []
        for level in range(self.count):
            pixels = self.encode(level, pixels)
            codes.append(pixels)
        return codes

    def decode(self, level: int, code: torch.Tensor) -> torch.Tensor:
        """By the level's own decoder: the code below, or the pixels. Never clipped, for
        codes and pixels may be negative.
        """
        if self.target == "pixels" and level > 0:
            return _deconvolve(self.own[level], self.own_bias[level], code, 2 ** (level + 1))
        return _deconvolve(self._decoder(level, self.own), self.own_bias[level], code)

    def decode_end_to_end(self, code: torch.Tensor) -> torch.Tensor:
        """From the top level's code through all levels to the pixels."""
        for level in reversed(range(self.count)):
            code = _deconvolve(self._decoder(level, self.way), self.way_bias[level], code)
            if (level and not self.linear) or (not level and self.clipped):
                code = code.relu()
        return code

    def _decoder(self, level: int, weights: nn.ParameterList) -> torch.Tensor:
        if not self.tied:
            return weights[level]
        return self.up[level] if self.shape.convolutional else self.up[level].mT

    def reconstruction(self, level: int, code: torch.Tensor, end_to_end: bool = False) -> torch.Tensor:
        """Pixels from one level's code: by the own decoders of all levels below, or by
        one where these reconstruct pixels; `end_to_end`: from the top by that decoder.
        """
        if end_to_end and level == self.count - 1:
            return self.decode_end_to_end(code)
        if self.target == "pixels":
            return self.decode(level, code)
        for lower in reversed(range(level + 1)):
            code = self.decode(lower, code)
        return code

    def blocks(self) -> dict[str, list[nn.Parameter]]:
        """Every block's own parameters: encoders, own decoders, end-to-end decoder."""
        levels = range(self.count)
        return {
            **{f"encoder {level + 1}": [self.up[level], self.up_bias[level]] for level in levels},
            **{f"own decoder {level + 1}": [self.own[level], self.own_bias[level]] for level in levels},
            **{
                f"end-to-end decoder {level + 1}": [self.way[level], self.way_bias[level]]
                for level in reversed(levels)
            },
        }


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor, relative: bool = False) -> torch.Tensor:
    """Mean squared error of each seed, (S,); `relative` to the target's variance over
    the batch where the target is a code, whose scale is arbitrary.
    """
    error = (output - target).square().flatten(1).mean(1)
    if not relative:
        return error
    return error / target.var(1, correction=0).flatten(1).mean(1).clamp(min=SMALLEST_VARIANCE)


def losses(
    model: StackedAutoencoders, pixels: torch.Tensor, objective: str, noise: Noise | None = None
) -> dict[str, torch.Tensor]:
    """The losses of an objective, (S,) each: "global" is the end-to-end loss, "level1"
    … are the layer-wise ones.

    `greedy`: the input of each level is detached. `joint`: layer-wise losses whose
    gradients also reach the levels below. `both`: joint and global. A target is always
    detached: else the levels below could become easier to reconstruct. With `noise` a
    level reconstructs the clean code below from a noisy one.
    """
    terms, below = {}, pixels
    for level in range(model.count):
        source = below.detach() if objective == "greedy" else below
        code = model.encode(level, source)
        if objective != "global":
            noisy = code if noise is None else model.encode(level, source + noise(level, source.detach()))
            at_pixels = level == 0 or model.target == "pixels"
            target = (pixels if at_pixels else below).detach()
            output = model.decode(level, noisy)
            terms[f"level{level + 1}"] = reconstruction_loss(output, target, relative=not at_pixels)
        below = code
    if objective in ("global", "both"):
        terms["global"] = reconstruction_loss(model.decode_end_to_end(below), pixels)
    return terms


def total(terms: dict[str, torch.Tensor], weight: float) -> torch.Tensor:
    """The number to minimise: the sum over seeds of the end-to-end loss and of the
    layer-wise ones, these times `weight` where both occur.
    """
    own = [value.sum() for name, value in terms.items() if name != "global"]
    if "global" not in terms:
        return torch.stack(own).sum()
    return torch.stack([terms["global"].sum(), *(weight * value for value in own)]).sum()


def gradient_flow(
    model: StackedAutoencoders, pixels: torch.Tensor, objective: str
) -> tuple[list[str], list[str], np.ndarray]:
    """The losses of an objective, the blocks, and the norm of each loss's gradient in
    each block, (losses, blocks), NaN where there is none. One backward pass a loss.
    """
    terms, blocks = losses(model, pixels, objective), model.blocks()
    norms = np.full((len(terms), len(blocks)), np.nan)
    for row, value in zip(norms, terms.values(), strict=True):
        model.zero_grad(set_to_none=True)
        value.sum().backward(retain_graph=True)
        for place, weights in enumerate(blocks.values()):
            gradients = [weight.grad.flatten() for weight in weights if weight.grad is not None]
            if gradients:
                row[place] = torch.cat(gradients).norm()
    model.zero_grad(set_to_none=True)
    return list(terms), list(blocks), norms


def _weights(levels: Sequence[Sequence[nn.Module]]) -> nn.ParameterList:
    """Weights (S, in, out) of dense layers, (S, …) of convolutions."""
    return nn.ParameterList(
        torch.stack(
            [
                layer.weight.detach().T if isinstance(layer, nn.Linear) else layer.weight.detach()
                for layer in level
            ]
        )
        for level in levels
    )


def _biases(levels: Sequence[Sequence[nn.Module]]) -> nn.ParameterList:
    return nn.ParameterList(torch.stack([layer.bias.detach() for layer in level]) for level in levels)


def _convolve(weight: torch.Tensor, bias: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    if weight.ndim == 3:
        return torch.baddbmm(bias[:, None], below, weight)
    groups = len(below)
    images = functional.conv2d(_grouped(below), weight.flatten(0, 1), bias.flatten(), 2, 1, groups=groups)
    return images.unflatten(1, (groups, -1)).transpose(0, 1)


def _deconvolve(
    weight: torch.Tensor, bias: torch.Tensor, code: torch.Tensor, tile: int | None = None
) -> torch.Tensor:
    """`tile`: side of the square that a decoder to the pixels makes of one place; None
    for a 3 × 3 transposed convolution of stride 2.
    """
    if weight.ndim == 3:
        return torch.baddbmm(bias[:, None], code, weight)
    groups = len(code)
    rule = {"stride": 2, "padding": 1, "output_padding": 1} if tile is None else {"stride": tile}
    images = functional.conv_transpose2d(
        _grouped(code), weight.flatten(0, 1), bias.flatten(), groups=groups, **rule
    )
    return images.unflatten(1, (groups, -1)).transpose(0, 1)


def _grouped(values: torch.Tensor) -> torch.Tensor:
    """(S, B, C, h, w) → (B, S·C, h, w): one seed is one group of a convolution."""
    return values.transpose(0, 1).flatten(1, 2)
