"""Stacked one-up/one-down autoencoders, all seeds at once, and the losses that the
wirings give them.

A level has an encoder one up and two decoders one down that start from equal weights:
its *own*, which answers for this level alone, and its *share of the way down*, which
carries the top level's code through all levels back to the pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.seeds import seeded

SMALLEST_VARIANCE = 1e-6  # by which a target's variance is at least divided: a code that died has none
# (level from 0, values (S, B, …)) → what is added to them
Noise = Callable[[int, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Shape:
    """What goes into the first level and how wide every level is."""

    picture: tuple[int, int, int]  # (channels, height, width)
    width: int  # units of every dense level; channels of the first convolutional one
    count: int  # levels
    # each halves the sides and, from the second on, has four times the channels: equally many
    # values in all
    convolutional: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """Features, or channels, below the first level and above each."""
        if self.convolutional:
            return (self.picture[0], *(self.width * 4**level for level in range(self.count)))
        channels, height, width = self.picture
        return (channels * height * width, *(self.width,) * self.count)

    def values(self, level: int) -> int:
        """Numbers in one picture's code at a level, from 0: the same at all."""
        _, height, width = self.picture
        tiles = (height >> (level + 1)) * (width >> (level + 1)) if self.convolutional else 1
        return self.sizes[level + 1] * tiles


class StackedLevels(nn.Module):
    """The levels of S seeds as one module: every weight carries the seed axis first.

    Values are (S, B, d), or (S, B, channels, height, width) where the levels are
    convolutional. `tied`: decoders have their encoder's weight. `linear`: no ReLU
    anywhere. `clipped`: a ReLU after the last output, as in the author's code. `sizes`
    in place of `shape.sizes` lets dense levels narrow.
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
        count = len(self.sizes) - 1
        built = [seeded(seed, self._layers) for seed in seeds]
        up, down, out = (list(zip(*kind, strict=True)) for kind in zip(*built, strict=True))
        own = [down[level] if target == "code" or level == 0 else out[level] for level in range(count)]
        self.up, self.up_bias = _stacked(up), _biases(up)
        self.own, self.own_bias = _stacked(own), _biases(own)
        self.way, self.way_bias = _stacked(down), _biases(down)

    def _layers(self) -> tuple[list[nn.Module], list[nn.Module], list[nn.Module]]:
        """One seed's encoders, decoders to the code below and decoders to the pixels:
        all arms draw all of them, so that all start alike.
        """
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        if self.shape.convolutional:
            up = [nn.Conv2d(below, above, 3, 2, 1) for below, above in pairs]
            down = [nn.ConvTranspose2d(above, below, 3, 2, 1, 1) for below, above in pairs]
            out = [
                nn.ConvTranspose2d(above, self.sizes[0], 2 ** (level + 1), 2 ** (level + 1))
                for level, (_, above) in enumerate(pairs)
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
        """One level up."""
        code = _up(self.up[level], self.up_bias[level], below)
        return code if self.linear else code.relu()

    def answer(self, level: int, code: torch.Tensor) -> torch.Tensor:
        """What the level's own decoder makes of its code: the code below, or the
        pixels; never clipped, for codes and pixels may be negative.
        """
        to_pixels = self.target == "pixels" and level > 0
        weight = (
            self.up[level].mT
            if self.tied and not self.shape.convolutional
            else self.up[level]
            if self.tied
            else self.own[level]
        )
        return _down(
            self.own[level] if to_pixels else weight,
            self.own_bias[level],
            code,
            2 ** (level + 1) if to_pixels else None,
        )

    def down(self, code: torch.Tensor) -> torch.Tensor:
        """All the way from the top level's code to the pixels."""
        for level in reversed(range(self.count)):
            weight = (
                self.up[level].mT
                if self.tied and not self.shape.convolutional
                else self.up[level]
                if self.tied
                else self.way[level]
            )
            code = _down(weight, self.way_bias[level], code)
            if (level and not self.linear) or (not level and self.clipped):
                code = code.relu()
        return code

    def codes(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """The code of every level, from the first."""
        found = []
        for level in range(self.count):
            pixels = self.encode(level, pixels)
            found.append(pixels)
        return found

    def reconstruction(self, level: int, code: torch.Tensor, whole: bool = False) -> torch.Tensor:
        """Pixels from one level's code: by the own decoders down to the first, or at
        once where these aim at pixels; `whole`: by the way down.
        """
        if whole and level == self.count - 1:
            return self.down(code)
        if self.target == "pixels":
            return self.answer(level, code)
        for each in reversed(range(level + 1)):
            code = self.answer(each, code)
        return code

    def blocks(self) -> dict[str, list[nn.Parameter]]:
        """Every block's own parameters, in the order a diagram shows them."""
        found = {f"encoder {level + 1}": [self.up[level], self.up_bias[level]] for level in range(self.count)}
        found |= {
            f"own decoder {level + 1}": [self.own[level], self.own_bias[level]] for level in range(self.count)
        }
        return found | {
            f"way down {level + 1}": [self.way[level], self.way_bias[level]]
            for level in reversed(range(self.count))
        }


def misfit(output: torch.Tensor, aim: torch.Tensor, relative: bool = False) -> torch.Tensor:
    """Mean squared error of each seed, (S,); relative to the aim's variance over the
    batch where the aim is a code, whose scale is arbitrary.
    """
    error = (output - aim).square().flatten(1).mean(1)
    return (
        error / aim.var(1, correction=0).flatten(1).mean(1).clamp(min=SMALLEST_VARIANCE)
        if relative
        else error
    )


def losses(
    levels: StackedLevels, pixels: torch.Tensor, wiring: str, noise: Noise | None = None
) -> dict[str, torch.Tensor]:
    """What a wiring asks, (S,) a term: "global" is one loss at the far end, "level1" …
    are the levels' own.

    `greedy`: each level alone, what comes from below is detached. `joint`: own losses
    whose gradients also reach the levels below. `both`: joint and global. A target is
    always detached: else the levels below could make themselves easy to answer. With
    `noise` a level sees a noisy code below and answers with the clean one.
    """
    found, below = {}, pixels
    for level in range(levels.count):
        seen = below.detach() if wiring == "greedy" else below
        code = levels.encode(level, seen)
        if wiring != "global":
            told = code if noise is None else levels.encode(level, seen + noise(level, seen.detach()))
            at_pixels = level == 0 or levels.target == "pixels"
            found[f"level{level + 1}"] = misfit(
                levels.answer(level, told), (pixels if at_pixels else below).detach(), relative=not at_pixels
            )
        below = code
    if wiring in ("global", "both"):
        found["global"] = misfit(levels.down(below), pixels)
    return found


def total(terms: dict[str, torch.Tensor], weight: float) -> torch.Tensor:
    """The number to descend: the global loss, and the levels' own times `weight` where
    both are there; seeds never feel one another.
    """
    own = [value.sum() for name, value in terms.items() if name != "global"]
    if "global" not in terms:
        return torch.stack(own).sum()
    return torch.stack([terms["global"].sum(), *(weight * value for value in own)]).sum()


def reach(
    levels: StackedLevels, pixels: torch.Tensor, wiring: str
) -> tuple[list[str], list[str], list[list[float | None]]]:
    """The terms of a wiring, the blocks, and for each pair the norm of the term's
    gradient in the block; None where none arrives.

    Found by one backward pass a term, on the levels as they are. The frozen probe of
    the author's code is no block of these.
    """
    terms, blocks = losses(levels, pixels, wiring), levels.blocks()
    table = []
    for value in terms.values():
        levels.zero_grad(set_to_none=True)
        value.sum().backward(retain_graph=True)
        gradients = [
            [each.grad for each in parameters if each.grad is not None] for parameters in blocks.values()
        ]
        table.append(
            [float(torch.cat([each.flatten() for each in own]).norm()) if own else None for own in gradients]
        )
    levels.zero_grad(set_to_none=True)
    return list(terms), list(blocks), table


def _stacked(levels: Sequence[Sequence[nn.Module]]) -> nn.ParameterList:
    """Weights (S, in, out) of dense layers, (S, …) of convolutions."""
    weights = [
        [each.weight.detach().T if isinstance(each, nn.Linear) else each.weight.detach() for each in level]
        for level in levels
    ]
    return nn.ParameterList(torch.stack(level) for level in weights)


def _biases(levels: Sequence[Sequence[nn.Module]]) -> nn.ParameterList:
    return nn.ParameterList(torch.stack([each.bias.detach() for each in level]) for level in levels)


def _up(weight: nn.Parameter, bias: nn.Parameter, below: torch.Tensor) -> torch.Tensor:
    if weight.ndim == 3:
        return torch.baddbmm(bias[:, None], below, weight)
    seeds = len(below)
    found = functional.conv2d(_side_by_side(below), weight.flatten(0, 1), bias.flatten(), 2, 1, groups=seeds)
    return _apart(found, seeds)


def _down(
    weight: torch.Tensor, bias: nn.Parameter, code: torch.Tensor, step: int | None = None
) -> torch.Tensor:
    """`step`: side of the tiles that a decoder to the pixels paints; None for the usual
    3 × 3 one down.
    """
    if weight.ndim == 3:
        return torch.baddbmm(bias[:, None], code, weight)
    seeds, rule = (
        len(code),
        {"stride": 2, "padding": 1, "output_padding": 1} if step is None else {"stride": step},
    )
    found = functional.conv_transpose2d(
        _side_by_side(code), weight.flatten(0, 1), bias.flatten(), groups=seeds, **rule
    )
    return _apart(found, seeds)


def _side_by_side(values: torch.Tensor) -> torch.Tensor:
    """(S, B, C, h, w) → (B, S·C, h, w): one seed's channels are one group of a
    convolution.
    """
    return values.transpose(0, 1).flatten(1, 2)


def _apart(values: torch.Tensor, seeds: int) -> torch.Tensor:
    return values.unflatten(1, (seeds, -1)).transpose(0, 1)
