"""Random changes of a batch of images or features, each seed from its own generator:
quarter turns, shifts, pixel noise, feature noise.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional


def rotate_quarter_turns(images: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Images (S, B, C, side, side) rotated by quarter turns (S, B), int64 in 0–3."""
    rotated = torch.stack([torch.rot90(images, turn, (-2, -1)) for turn in range(4)])
    rows, columns = torch.meshgrid(torch.arange(turns.shape[0]), torch.arange(turns.shape[1]), indexing="ij")
    return rotated[turns, rows, columns]


def shift(images: torch.Tensor, max_shift: int, generator: torch.Generator) -> torch.Tensor:
    """Images (B, C, side, side), each shifted by its own whole number of pixels, at
    most `max_shift` either way; the edge is filled with 0.
    """
    padded = functional.pad(images, (max_shift,) * 4)
    down, right = torch.randint(2 * max_shift + 1, (2, len(images)), generator=generator)
    rows, columns = (start[:, None] + torch.arange(images.shape[-1]) for start in (down, right))
    which = torch.arange(len(images))[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def jitter(
    images: torch.Tensor, noise: float, max_shift: int, generators: Sequence[torch.Generator]
) -> torch.Tensor:
    """Images (S, B, C, side, side) shifted by at most `max_shift` pixels, plus Gaussian
    noise of standard deviation `noise`.
    """
    if max_shift:
        shifted = (
            shift(own, max_shift, generator) for own, generator in zip(images, generators, strict=True)
        )
        images = torch.stack(list(shifted))
    return images + noise * _normal(images.shape, generators)


def add_feature_noise(
    features: torch.Tensor, strength: float, generators: Sequence[torch.Generator]
) -> torch.Tensor:
    """Features (S, B, …) plus Gaussian noise of `strength` times the standard deviation
    of each feature over its batch.
    """
    scale = strength * features.detach().std(1, keepdim=True)
    return features + scale * _normal(features.shape, generators)


def _normal(shape: Sequence[int], generators: Sequence[torch.Generator]) -> torch.Tensor:
    return torch.stack([torch.randn(tuple(shape[1:]), generator=generator) for generator in generators])
