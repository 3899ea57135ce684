"""Which composites a pasted object decides: there it is the cause of the prediction, right
or wrong.
"""

import numpy as np
import torch
from torch import nn

from mlcv_explore.config import SettingError
from mlcv_explore.data import composites
from mlcv_explore.data.composites import Composites, Cutout
from mlcv_explore.models.checkpoints import Classifier

TRIED = 10  # composites on which the class of an object that the list gives none is found
BATCH = 32


def objects() -> tuple[Cutout, ...]:
    """Those with a class of ImageNet, then the others, each in alphabetical order of the
    files. Raises DataError without cut-outs.
    """
    recognised = composites.recognised()
    return (*recognised, *(cutout for cutout in composites.cutouts() if not cutout.imagenet_class))


def object_of(seed: int) -> Cutout:
    """The object of a seed. Raises SettingError where there is none, DataError without
    cut-outs.
    """
    every = objects()
    if not 0 <= seed < len(every):
        raise SettingError(
            f"Seeds must be between 0 and {len(every) - 1} on composites, where each is an object,"
            f" got {seed}."
        )
    return every[seed]


def explained_class(trained: Classifier, cutout: Cutout) -> int:
    """The class that the list gives an object; without one, the class that is predicted
    for most of its composites of a draw of their own.
    """
    if cutout.imagenet_class:
        return trained.classes.index(cutout.imagenet_class)
    drawn = composites.generate(cutout, TRIED, 0, "which class is predicted", trained.side)
    return int(np.bincount(predicted(trained.network, drawn.images)).argmax())


@torch.no_grad()
def predicted(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Classes (n,) of uint8 images."""
    parts = np.array_split(images, -(-len(images) // BATCH))
    return torch.cat([network(as_float(part)).argmax(1) for part in parts]).numpy()


def decided_by_object(network: nn.Module, drawn: Composites, target: int) -> np.ndarray:
    """Where a network predicts the class of the object and does not on the background
    alone, (n,) bool.
    """
    with_object, without = predicted(network, drawn.images), predicted(network, drawn.backgrounds)
    return (with_object == target) & (without != target)


def as_float(images: np.ndarray) -> torch.Tensor:
    """uint8 images (…, 3, h, w) as float32 in [0, 1]."""
    return torch.from_numpy(images).float().div_(255)
