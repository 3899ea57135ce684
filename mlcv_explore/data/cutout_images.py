"""Cut-out photographs on grey with their masks, one image an object, and splits of the
objects.

Read from `MLCV_DATA` as `composites` names them; none ships.
"""

import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from mlcv_explore.config import SettingError
from mlcv_explore.data import composites
from mlcv_explore.data.composites import Cutout
from mlcv_explore.data.masked_images import Categories, MaskedImages
from mlcv_explore.seeds import numpy_stream

GREY = 128  # of the background
LONGER_SIDE = 0.9  # of an object, in shares of the image's side


def split(sizes: tuple[int, int, int], side: int, seed: int) -> tuple[MaskedImages, ...]:
    """Training, validation and test images of different objects, as many as `sizes`
    states; variants of one object, such as frog and frog-1, are in one part only.

    Raises DataError without cut-outs, SettingError when there are too few of them.
    """
    images, _ = load(side)
    training, validation, test = split_indices(sizes, seed)
    return images.take(training), images.take(validation), images.take(test)


def split_indices(sizes: tuple[int, int, int], seed: int) -> tuple[np.ndarray, ...]:
    """Places of the parts' objects in the list, int64 each: training, validation, test.
    Raises as `split` does.
    """
    groups = np.array([variant_of(cutout) for cutout in composites.cutouts()])
    order, used, parts = numpy_stream(seed, "objects").permutation(len(groups)), set(), []
    for size in reversed(sizes):
        free = [index for index in order if groups[index] not in used]
        if len(free) < size:
            raise SettingError(
                f"Of {len(groups)} cut-outs, {sizes[0]} for training, {sizes[1]} for validation and"
                f" {sizes[2]} for testing cannot be had: set fewer scenes or test_images."
            )
        parts.append(np.array(free[:size]))
        used |= set(groups[parts[-1]])
        order = np.array([index for index in free if index not in set(parts[-1])], dtype=int)
    return tuple(reversed(parts))


def load(side: int) -> tuple[MaskedImages, tuple[str, ...]]:
    """Every cut-out in the middle of a grey image, and the objects' names. Raises
    DataError.
    """
    return _rendered(composites.cutouts(), side)


def variant_of(cutout: Cutout) -> str:
    """What variants of an object have in common: the file's name without a number."""
    return re.sub(r"[-_ ]*\d+$", "", Path(cutout.path).stem).lower()


@lru_cache(maxsize=2)
def _rendered(cutouts: tuple[Cutout, ...], side: int) -> tuple[MaskedImages, tuple[str, ...]]:
    grey = np.full((side, side, 3), GREY, np.uint8)
    longer = round(LONGER_SIDE * side)
    images, masks = zip(
        *(composites.paste(grey, cutout.pixels(), longer, 0.5, 0.5) for cutout in cutouts), strict=True
    )
    kinds = [cutout.path.stem.partition("__")[0] for cutout in cutouts]
    names = tuple(sorted(set(kinds)))
    categories = Categories(("background", "object"), (1,), (), names)
    labels = np.array([names.index(kind) for kind in kinds], np.int64)
    pixels = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    return MaskedImages(categories, pixels, np.stack(masks), labels), tuple(cutout.name for cutout in cutouts)
