"""Networks of blocks to tune, pretrained on a source, each beside one with random weights."""

import torch

from mlcv_explore.models import block_network, fine_tuning
from mlcv_explore.models.block_network import BlockNetwork
from mlcv_explore.models.tuning_search import HEAD_ONLY
from mlcv_explore.seeds import stream

EPOCHS = 15  # of pretraining the small network
HEAD_UPDATES, HEAD_RATE = 300, 0.003  # of the ImageNet network's head


def small_pair(
    images: torch.Tensor, labels: torch.Tensor, classes: int, width: int, seed: int
) -> tuple[BlockNetwork, BlockNetwork]:
    """The small network trained on images (n, C, side, side), and as it was before, its
    norms' statistics those of the images; norms are merged in both.
    """
    shape = images.shape[1], images.shape[2], width, classes, seed
    trained = fine_tuning.pretrained(block_network.small(*shape), images, labels, EPOCHS, seed)
    untrained = block_network.with_statistics(block_network.small(*shape), images)
    return block_network.merged(trained), block_network.merged(untrained)


def imagenet_pair(
    images: torch.Tensor, labels: torch.Tensor, classes: int, seed: int
) -> tuple[BlockNetwork, BlockNetwork]:
    """The ImageNet network with a head trained on images (n, 3, side, side), and the same
    with random weights and a new head. Raises CheckpointError.
    """
    start = block_network.imagenet_blocks(classes, seed)
    source = fine_tuning.examples(start, images, labels)
    about = HEAD_UPDATES, HEAD_RATE, HEAD_RATE, stream(seed, "source head")
    return (
        fine_tuning.tuned(start, HEAD_ONLY, source, *about),
        block_network.imagenet_blocks(classes, seed, images),
    )
