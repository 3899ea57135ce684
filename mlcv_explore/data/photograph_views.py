"""Views of small photographs, each seed from its own generator: cropped, mirrored, of other
contrast and colours, with noise. Without the colours their histogram would tell views
apart: contrastive networks came to 27 % instead of 29 % on CIFAR-10 in 150 steps.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

SHARE = 8  # a crop moves by at most one part in so many of the side
COLOUR = 0.3  # a contrast and a channel's brightness change by at most this


def view(images: torch.Tensor, noise: float, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Images (S, B, C, side, side), each moved by its own whole number of pixels, the edge
    filled with 0, mirrored with probability a half, of a contrast and brightness of every
    channel drawn within COLOUR, plus Gaussian noise of standard deviation `noise`.
    """
    return torch.stack([_view(own, noise, draws) for own, draws in zip(images, generators, strict=True)])


def _view(images: torch.Tensor, noise: float, draws: torch.Generator) -> torch.Tensor:
    side = images.shape[-1]
    most = side // SHARE
    down, right = torch.randint(2 * most + 1, (2, len(images)), generator=draws)
    mirrored = torch.rand(len(images), generator=draws) < 0.5
    windows = functional.pad(images, (most,) * 4).unfold(2, side, 1).unfold(3, side, 1)
    cropped = windows[torch.arange(len(images)), :, down, right]
    cropped[mirrored] = cropped[mirrored].flip(-1)
    scale, shift = (COLOUR * (2 * torch.rand(len(images), 4, generator=draws) - 1)).split((1, 3), 1)
    cropped.mul_(1 + scale[:, :, None, None]).add_(shift[:, :, None, None])
    return cropped.add_(torch.randn(images.shape, generator=draws), alpha=noise)
