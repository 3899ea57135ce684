"""Networks as four blocks one after another and a linear head, of which any can be frozen:
a small one, and the ImageNet network.
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mlcv_explore.models import imagenet
from mlcv_explore.models.efficientnet_lite import HEAD, EfficientNetLite0
from mlcv_explore.seeds import seeded

BLOCKS = 4


class BlockNetwork(nn.Module):
    """Images (n, C, h, w) → blocks → mean over places → logits (n, classes)."""

    def __init__(self, blocks: Sequence[nn.Module], head: nn.Linear) -> None:
        super().__init__()
        self.blocks, self.head = nn.ModuleList(blocks), head

    def between(self, values: torch.Tensor, first: int, last: int = BLOCKS) -> torch.Tensor:
        """What block `last` receives, from what block `first` receives; BLOCKS: the head."""
        for block in self.blocks[first:last]:
            values = block(values)
        return values

    def logits(self, values: torch.Tensor, first: int = 0) -> torch.Tensor:
        """Logits from what block `first` receives."""
        return self.head(self.between(values, first).mean((2, 3)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes)."""
        return self.logits(images)


class ScaledConvolution(nn.Module):
    """A convolution that keeps its weights, with a trained scale and shift of every channel:
    all that a batch norm after it could learn.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.scale = nn.Parameter(torch.ones(convolution.out_channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(convolution.out_channels, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(n, C, h, w)."""
        return self.convolution(features) * self.scale + self.shift


def small(channels: int, side: int, width: int, classes: int, seed: int) -> BlockNetwork:
    """Four convolutions with batch norms of `width`, two and four times as many channels."""
    sizes, strides = (width, 2 * width, 4 * width, 4 * width), (1 if side <= 8 else 2, 2, 2, 1)

    def build() -> BlockNetwork:
        blocks, before = [], channels
        for size, stride in zip(sizes, strides, strict=True):
            convolution = nn.Conv2d(before, size, 3, stride, 1, bias=False)
            blocks.append(nn.Sequential(convolution, nn.BatchNorm2d(size), nn.ReLU()))
            before = size
        return BlockNetwork(blocks, nn.Linear(before, classes))

    return seeded(seed, build)


def merged(network: BlockNetwork) -> BlockNetwork:
    """A copy of a small network whose batch norms, with the statistics they have, are part
    of the convolutions before them: the same logits.
    """
    copied = copy.deepcopy(network).eval()
    for block in copied.blocks:
        block[0], block[1] = fuse_conv_bn_eval(block[0], block[1]), nn.Identity()
    return copied


@torch.no_grad()
def with_statistics(network: nn.Module, images: torch.Tensor) -> nn.Module:
    """The network itself, every batch norm's statistics those of some images."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain average over batches
    network.train()
    for part in images.split(50):
        network(part)
    return network.eval()


def imagenet_blocks(classes: int, seed: int, images: torch.Tensor | None = None) -> BlockNetwork:
    """A copy of the ImageNet network's convolutions, its batch norms merged, with a new
    head: stem and stages 1 and 2, 3 and 4, 5 and 6, 7 and the last convolution. With images
    the same with random weights, its norms' statistics those of the images. Raises
    CheckpointError.
    """
    normalise, network = copy.deepcopy(imagenet.load().network)
    if images is not None:
        network = with_statistics(seeded(seed, EfficientNetLite0), normalise(images))
        imagenet.fold_norms(network)
    stages = network.blocks
    blocks = (
        nn.Sequential(normalise, network.conv_stem, network.bn1, *stages[:2]),
        nn.Sequential(*stages[2:4]),
        nn.Sequential(*stages[4:6]),
        nn.Sequential(*stages[6:], network.conv_head, network.bn2),
    )
    whole = BlockNetwork(blocks, new_head(HEAD, classes, seed)).to(memory_format=torch.channels_last)
    return whole.eval().requires_grad_(False)


def new_head(size: int, classes: int, seed: int) -> nn.Linear:
    """A linear layer as torch draws it."""
    return seeded(seed, lambda: nn.Linear(size, classes), "head")


def with_scales(network: BlockNetwork) -> BlockNetwork:
    """A copy whose convolutions are frozen behind scales and shifts that do nothing yet."""
    copied = copy.deepcopy(network).requires_grad_(False)
    for name, module in list(copied.named_modules()):
        if isinstance(module, nn.Conv2d):
            copied.set_submodule(name, ScaledConvolution(module))
    return copied
