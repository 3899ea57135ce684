"""Images with labels, masks and boxes as tensors, and the same images without their
shortcut: generated scenes whose background or tag names the class, or Oxford-IIIT pets.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data import scenes
from mlcv_explore.data.masked_images import bounding_boxes
from mlcv_explore.data.scenes import INDEPENDENT, Scenes
from mlcv_explore.seeds import numpy_stream

HELD_OUT = 500  # pets from which validation images are drawn


@dataclass(frozen=True, eq=False)
class AnnotatedImages:
    """n images with labels, masks and boxes, as tensors."""

    images: torch.Tensor  # (n, 3, h, w) float32 in [0, 1]
    # the same with an uninformative background or tag; the images themselves where there is none
    swapped: torch.Tensor
    labels: torch.Tensor  # (n,) int64
    masks: torch.Tensor  # (n, h, w) uint8: 1 on the object, OUTLINE where unknown
    boxes: torch.Tensor  # (n, 4) float32 in [0, 1]: top, left, bottom, right in sides
    classes: int  # how many there are
    tag_boxes: np.ndarray | None = None  # (n, 4) int64 in pixels, of scenes

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "AnnotatedImages":
        """At most `count` images, the first ones."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "classes"}
        return replace(self, **{name: array[:count] for name, array in arrays.items() if array is not None})


def of_scenes(
    given: Scenes, images: np.ndarray | None = None, swapped: np.ndarray | None = None
) -> AnnotatedImages:
    """Scenes with these images uint8 (n, 3, h, w), by default their own, and the same
    without their shortcut, by default the images.
    """
    first = torch.from_numpy(given.images if images is None else images).float().div_(255)
    second = first if swapped is None else torch.from_numpy(swapped).float().div_(255)
    boxes = torch.from_numpy((given.boxes / given.config.side).astype(np.float32))
    labels, masks = torch.from_numpy(given.labels), torch.from_numpy(given.masks)
    return AnnotatedImages(first, second, labels, masks, boxes, len(given.classes), given.tag_boxes)


def with_informative_backgrounds(given: Scenes, agreement: float, seed: int, purpose: str) -> AnnotatedImages:
    """Scenes on backgrounds that name the class with probability `agreement`; `swapped`
    are the same on independent ones.
    """
    images, swapped = (
        scenes.on_background(given, informative_backgrounds(given, share, seed, f"{purpose}, {kind}"))
        for kind, share in (("telling", agreement), ("swapped", INDEPENDENT))
    )
    return of_scenes(given, images, swapped)


def informative_backgrounds(given: Scenes, agreement: float, seed: int, purpose: str) -> np.ndarray:
    """Backgrounds for scenes of four classes, uint8 (n, 3, h, w), whose brightness
    names the class with probability `agreement`.

    The scenes' own backgrounds in four equal groups, the darkest first: a scene gets a
    random one of its class's group, or, where it does not agree, of another's. At 0.25
    class and background are independent.
    """
    draws = numpy_stream(seed, f"{purpose} backgrounds")
    groups = np.array_split(np.argsort(given.backgrounds.mean(axis=(1, 2, 3)), kind="stable"), 4)
    others = (given.labels + 1 + draws.integers(0, 3, len(given))) % 4
    chosen = np.where(draws.random(len(given)) < agreement, given.labels, others)
    places = draws.random(len(given))
    indices = [
        groups[group][int(place * len(groups[group]))] for group, place in zip(chosen, places, strict=True)
    ]
    return given.backgrounds[np.array(indices)]


def pets(part: Literal["train", "validation", "test"], count: int, seed: int) -> AnnotatedImages:
    """At most `count` images of Oxford-IIIT Pet, drawn anew for each seed from its
    training or its test part; validation images are the end of the drawn training part.

    Raises DataError when the data set is not here.
    """
    whole = data.load("oxford_pets")
    source = whole.test if part == "test" else whole.train
    order = numpy_stream(seed, "pets").permutation(len(source))
    # of the training part, never trained on
    held = 0 if part == "test" else min(HELD_OUT, len(source) // 4)
    validation = order[-min(count, held) :]
    chosen = source.take(validation if part == "validation" else order[: min(count, len(source) - held)])
    images = chosen.as_float()
    boxes = bounding_boxes(chosen.masks == 1).astype(np.float32) / images.shape[-1]
    labels, masks = (torch.from_numpy(np.array(values)) for values in (chosen.labels, chosen.masks))
    return AnnotatedImages(images, images, labels, masks, torch.from_numpy(boxes), len(chosen.classes))
