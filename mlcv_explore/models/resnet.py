"""A small residual network (He et al., 1512.03385)."""

import torch
from torch import nn


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with a skip connection, a 1×1 convolution where the size
    changes (He et al., 1512.03385).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        same = inputs == outputs and stride == 1
        self.skip = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )
        self.relu = nn.ReLU()  # a module of its own, not in place: attribution hooks need that

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, inputs, h, w) → (B, outputs, h/stride, w/stride)."""
        return self.relu(self.second(self.first(images)) + self.skip(images))


def small_resnet(channels: int, width: int, classes: int) -> nn.Sequential:
    """Three residual blocks of width, 2·width and 4·width channels: (B, channels, h, w)
    in [0, 1] → (B, classes).
    """
    stem = nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
    blocks = (
        ResidualBlock(width, width, 1),
        ResidualBlock(width, 2 * width, 2),
        ResidualBlock(2 * width, 4 * width, 2),
    )
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes))
