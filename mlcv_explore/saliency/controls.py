"""Control maps that do not use the network, as baselines of every method. All are (h,
w) float32 and never negative.
"""

import torch
from torch.nn import functional

from mlcv_explore.seeds import stream

CENTRE_STD = 0.25  # standard deviation of the blob, in sides


def random_map(image: torch.Tensor, seed: int) -> torch.Tensor:
    """Uniform draws in [0, 1)."""
    return torch.rand(image.shape[1:], generator=stream(seed, "random map"))


def edges(image: torch.Tensor) -> torch.Tensor:
    """Sobel's gradient magnitude of the mean of the channels, the border repeated."""
    smooth, slope = torch.tensor([1.0, 2.0, 1.0]) / 4, torch.tensor([1.0, 0.0, -1.0]) / 2
    kernels = torch.stack([torch.outer(slope, smooth), torch.outer(smooth, slope)])[:, None]  # (2, 1, 3, 3)
    grey = functional.pad(image.mean(0)[None, None].cpu(), [1, 1, 1, 1], mode="replicate")
    return functional.conv2d(grey, kernels)[0].norm(dim=0)


def centre(image: torch.Tensor) -> torch.Tensor:
    """A Gaussian blob of height 1 in the middle, as wide and high as the image is."""
    down, across = (
        torch.exp(-(((torch.arange(side) + 0.5) / side - 0.5) ** 2) / (2 * CENTRE_STD**2))
        for side in image.shape[1:]
    )
    return torch.outer(down, across)
