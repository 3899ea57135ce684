"""Maps of composites by a network that sees the image alone: what can be known of the
object without the classifier.

It learns the masks of other objects, and so whatever gives a pasted object away: a sharp
rim, colours unlike those around it.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data import composites
from mlcv_explore.data.composites import Cutout
from mlcv_explore.data.dataset import DataError
from mlcv_explore.saliency import generation

EACH = 10  # composites of every object


@lru_cache(maxsize=2)
def network(cutouts: tuple[Cutout, ...], side: int) -> nn.Module:
    """A map network trained on the masks of composites of these objects, with `side`
    pixels a side. Raises DataError without an object.
    """
    if not cutouts:
        raise DataError("The image-only network needs a recognised object besides the one explained.")
    drawn = [
        composites.generate(cutout, EACH, index, "masks of the image-only network", side)
        for index, cutout in enumerate(cutouts)
    ]
    images = torch.from_numpy(np.concatenate([part.images for part in drawn])).float().div_(255)
    masks = np.concatenate([part.masks for part in drawn])
    return generation.train(images, masks, generation.GenerationConfig(), 0)


def generate(network: nn.Module, image: torch.Tensor) -> np.ndarray:
    """Its map (h, w) float32 in [0, 1] of an image (3, h, w) in [0, 1] of even sides,
    computed at half the side.
    """
    halved = torch.from_numpy(generation.generate(network, functional.avg_pool2d(image[None], 2)))
    return functional.interpolate(halved[:, None], size=image.shape[1:], mode="bilinear")[0, 0].numpy()
