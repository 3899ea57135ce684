"""EfficientNet-Lite0 as a network to load weights into: the tensors, their order and the
names of the modules are those of timm's `tf_efficientnet_lite0`.

timm and torchvision, which it imports, take a hundred megabytes and two seconds; a server
that classifies photographs needs neither.

Source: M. Tan and Q. Le, EfficientNet, 2019, https://arxiv.org/abs/1905.11946; Lite: without
squeeze-and-excitation, ReLU6 in the place of swish, stem and head of fixed width.
"""

import torch
from torch import nn
from torch.nn import functional

STEM, HEAD = 32, 1280  # channels
# of every stage: blocks, kernel size, stride of the first block, expansion of the channels, channels out
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EPSILON = 1e-3  # of batch norms, TensorFlow's


class SameConvolution(nn.Conv2d):
    """A convolution of stride 2 padded as TensorFlow does: the odd pixel right and below."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) → (B, C', ⌈h/2⌉, ⌈w/2⌉)."""
        pads = []
        for length, kernel in zip(images.shape[:1:-1], self.kernel_size, strict=True):
            whole = max((-(-length // 2) - 1) * 2 + kernel - length, 0)
            pads += [whole // 2, whole - whole // 2]
        return super().forward(functional.pad(images, pads))


class Norm(nn.BatchNorm2d):
    """Batch norm, and the activation after it, which has no tensors."""

    def __init__(self, channels: int, act: nn.Module) -> None:
        super().__init__(channels, eps=EPSILON)
        self.act = act

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w), unchanged in shape."""
        return self.act(super().forward(features))


class Block(nn.Module):
    """A depthwise convolution between two pointwise ones, or before one where the channels
    are not expanded; added to its input where both have one shape.
    """

    def __init__(self, channels: int, kernel: int, stride: int, expansion: int, out: int) -> None:
        super().__init__()
        self.residual = stride == 1 and channels == out
        wide, parts = channels * expansion, []
        if expansion > 1:
            parts.append(("conv_pw", _convolution(channels, wide)))
        parts.append(("conv_dw", _convolution(wide, wide, kernel, stride, wide)))
        parts.append(("conv_pwl" if expansion > 1 else "conv_pw", _convolution(wide, out)))
        for number, (name, convolution) in enumerate(parts, start=1):
            last = number == len(parts)
            self.add_module(name, convolution)
            norm = Norm(convolution.out_channels, nn.Identity() if last else nn.ReLU6())
            self.add_module(f"bn{number}", norm)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) → (B, out, ⌈h/stride⌉, ⌈w/stride⌉)."""
        result = features
        for part in self.children():
            result = part(result)
        return result + features if self.residual else result


class EfficientNetLite0(nn.Module):
    """The classifier of 1,000 classes, with random weights."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv_stem, self.bn1 = _convolution(3, STEM, 3, 2), Norm(STEM, nn.ReLU6())
        stages, channels = [], STEM
        for count, kernel, stride, expansion, out in STAGES:
            blocks = [Block(channels, kernel, stride, expansion, out)]
            blocks += [Block(out, kernel, 1, expansion, out) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
            channels = out
        self.blocks = nn.Sequential(*stages)
        self.conv_head, self.bn2 = _convolution(channels, HEAD), Norm(HEAD, nn.ReLU6())
        self.classifier = nn.Linear(HEAD, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) normalised → (B, 1280), the input of the last layer."""
        maps = self.blocks(self.bn1(self.conv_stem(images)))
        return self.bn2(self.conv_head(maps)).mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) normalised → (B, classes) logits."""
        return self.classifier(self.features(images))


def _convolution(channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return SameConvolution(channels, out, kernel, stride, groups=groups, bias=False)
