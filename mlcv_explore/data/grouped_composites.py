"""Composites of many objects with a class each, a group that the collection's file names
tell, and backgrounds whose brightness mostly names the class. Objects are held out.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from mlcv_explore.data import composites
from mlcv_explore.data.annotated_images import AnnotatedImages
from mlcv_explore.data.composites import Cutout
from mlcv_explore.data.dataset import DataError
from mlcv_explore.data.masked_images import bounding_boxes
from mlcv_explore.seeds import numpy_stream

# class → how the names of its files begin
GROUPS = {
    "animal": ("animals__",),
    "plant": ("plants__", "food__"),
    "artefact": ("household__", "hobbies__", "sports__", "vehicles__", "military__vehicles__"),
}
INDEPENDENT = 1 / len(GROUPS)  # agreement at which the background tells nothing of the class
HELD_OUT = 0.3  # share of every class's objects
SMALLEST, LARGEST = 0.5, 0.9  # longer side of an object, shares of the image's side

Groups = tuple[tuple[Cutout, ...], ...]  # the objects of every class


def groups() -> Groups:
    """The objects of every class of GROUPS, in alphabetical order. Raises DataError
    without cut-outs, or where a class has fewer than two.
    """
    every = composites.cutouts()
    found = tuple(tuple(one for one in every if one.path.name.startswith(names)) for names in GROUPS.values())
    for name, members in zip(GROUPS, found, strict=True):
        if len(members) < 2:
            raise DataError(
                f"The class {name} of composites needs two cut-outs, one to be held out, got {len(members)}."
            )
    return found


def split(every: Groups, seed: int) -> tuple[Groups, Groups]:
    """Objects to train on and those held out, at least one of every class in either."""
    draws = numpy_stream(seed, "objects held out")
    training, held = [], []
    for members in every:
        order = draws.permutation(len(members))
        count = min(max(1, round(HELD_OUT * len(members))), len(members) - 1)
        held.append(tuple(members[index] for index in sorted(order[:count])))
        training.append(tuple(members[index] for index in sorted(order[count:])))
    return tuple(training), tuple(held)


def generate(
    every: Groups, count: int, seed: int, purpose: str, agreement: float, side: int
) -> AnnotatedImages:
    """`count` composites of `side` pixels, classes equally often, every object of a class
    with equal probability; `swapped` are the same objects in the same places, on
    backgrounds that are independent of the class. Raises DataError.
    """
    draws = numpy_stream(seed, f"{purpose} objects")
    labels = draws.permutation(np.arange(count) % len(every))
    chosen, places = draws.random(count), draws.random((count, 3))
    plates = composites.generate(every[0][0], count, seed, f"{purpose} plates", side).backgrounds
    members = [
        every[label][int(draw * len(every[label]))] for label, draw in zip(labels, chosen, strict=True)
    ]
    images, masks = zip(
        *(
            _pasted(plates[telling_plates(plates, labels, share, seed, f"{purpose} {kind}")], members, places)
            for kind, share in (("telling", agreement), ("swapped", INDEPENDENT))
        ),
        strict=True,
    )
    boxes = torch.from_numpy((bounding_boxes(masks[0] == 1) / side).astype(np.float32))
    first, second = (torch.from_numpy(values).float().div_(255) for values in images)
    return AnnotatedImages(
        first, second, torch.from_numpy(labels), torch.from_numpy(masks[0]), boxes, len(every)
    )


def telling_plates(
    plates: np.ndarray, labels: np.ndarray, agreement: float, seed: int, purpose: str
) -> np.ndarray:
    """Indices (n,) of backgrounds (n, 3, h, w) for labels (n,) whose brightness names the
    class with probability `agreement`: one of the class's share of them, the darkest
    belonging to class 0, or of another class's.
    """
    draws, classes = numpy_stream(seed, f"{purpose} brightness"), len(GROUPS)
    shares = np.array_split(np.argsort(plates.mean(axis=(1, 2, 3)), kind="stable"), classes)
    others = (labels + 1 + draws.integers(0, classes - 1, len(labels))) % classes
    named = np.where(draws.random(len(labels)) < agreement, labels, others)
    places = draws.random(len(labels))
    return np.array(
        [shares[name][int(at * len(shares[name]))] for name, at in zip(named, places, strict=True)]
    )


def _pasted(
    plates: np.ndarray, members: Sequence[Cutout], places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, side, side) and masks (n, side, side), uint8."""
    side = plates.shape[-1]
    parts = [
        composites.paste(
            plate.transpose(1, 2, 0),
            _pixels(member),
            round(side * (SMALLEST + size * (LARGEST - SMALLEST))),
            row,
            column,
        )
        for plate, member, (size, row, column) in zip(plates, members, places, strict=True)
    ]
    images, masks = (np.stack(values) for values in zip(*parts, strict=True))
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), masks


@lru_cache(maxsize=512)
def _pixels(cutout: Cutout) -> np.ndarray:
    return cutout.pixels()
