"""Photographs whose class the ImageNet network keeps when they are mirrored."""

import torch

from mlcv_explore import data
from mlcv_explore.data import grouped_composites
from mlcv_explore.data.grouped_composites import INDEPENDENT
from mlcv_explore.models import imagenet, photograph_features
from mlcv_explore.seeds import numpy_stream

REFERENCES = 400  # more photographs of every seed


def photographs(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` images at 128 pixels that the ImageNet network gives one class, mirrored or
    not: two thirds test photographs of CIFAR-10, other ones for every seed until they are
    used up, one third composites; and REFERENCES more photographs. Raises DataError where
    they are not here.
    """
    pasted = count // 3
    images, whole = data.load("cifar10").test, 4 * count + REFERENCES
    order = numpy_stream(0, "layer attacks").permutation(len(images))
    chosen = order[seed * whole % (len(order) - whole + 1) :][:whole]
    resized = photograph_features.resized(images.images[chosen])
    groups, side = grouped_composites.groups(), photograph_features.SIDE
    made = grouped_composites.generate(
        groups, 4 * pasted + 1, seed, "layer attacks", INDEPENDENT, side
    ).images
    parts = _consistent(resized[: 4 * count])[: count - pasted], _consistent(made)[:pasted]
    return torch.cat(parts), resized[4 * count :]


@torch.no_grad()
def _consistent(images: torch.Tensor) -> torch.Tensor:
    network = imagenet.load().network
    return images[network(images).argmax(1) == network(images.flip(3)).argmax(1)]
