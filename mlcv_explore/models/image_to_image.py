"""A small convolutional network that changes images: before it is trained it returns them
as they are, and what it adds to a pixel is bounded.
"""

import torch
from torch import nn

from mlcv_explore.seeds import seeded


class ImageToImage(nn.Module):
    """Images (B, C, h, w) in [0, 1] to images of the same shape and range.

    Three convolutions see the image, and `noise` channels beside it; their output goes
    through tanh, so that no pixel changes by more than `bound`. The last layer starts at
    zero: the untrained network is the identity.
    """

    def __init__(self, channels: int, width: int, bound: float, seed: int, noise: int = 0) -> None:
        super().__init__()
        self.bound, self.noise = bound, noise
        self.layers = seeded(seed, lambda: _layers(channels + noise, width, channels), "image to image")

    def change(self, images: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """What is added, (B, C, h, w) in [-bound, bound], with noise (B, `noise`, h, w)."""
        inputs = images if noise is None else torch.cat([images, noise], 1)
        return self.bound * self.layers(inputs).tanh()

    def forward(self, images: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """The changed images, clamped to [0, 1]."""
        return (images + self.change(images, noise)).clamp(0, 1)


def _layers(inputs: int, width: int, outputs: int) -> nn.Sequential:
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    first, middle = nn.Conv2d(inputs, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), middle, nn.ReLU(), last)
