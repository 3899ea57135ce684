"""Photographs to show beside a set of features, which cannot be drawn itself: those it was
computed from where they are here, else free ones that installed libraries carry.
"""

import os
from pathlib import Path

import numpy as np

from mlcv_explore.data import features, gallery, loading, locations
from mlcv_explore.data.dataset import DataError, Images
from mlcv_explore.data.uploads import DATASET_SUFFIXES, read_dataset_image, resized

SIDE = 64  # pixels of a free photograph


def behind(name: str) -> dict[str, np.ndarray]:
    """One training photograph of each class, class → uint8 (h, w, 3), of the set that the
    features `name` were computed from: the first that they hold, where the set is a folder
    of class folders. Empty where it is not here.
    """
    photographs = name.partition("_features")[0]
    try:
        train, location = features.load(name).train, locations.find(photographs)
        if location.form == "folder":
            return {
                kind: _of_class(location.root / "train" / kind, int(train.places[train.labels == label][0]))
                for label, kind in enumerate(train.classes)
            }
        return _first_of_each(loading.load(photographs).train)
    except (DataError, OSError, IndexError):  # absent, or not the whole set
        return {}


def free() -> dict[str, np.ndarray]:
    """Free photographs, title → uint8 (SIDE, SIDE, 3): the square in the middle of each."""
    images = {}
    for name, photograph in gallery.photographs().items():
        if name in gallery.FREE:
            pixels = photograph.read(4 * SIDE).pixels
            height, width = pixels.shape[:2]
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            images[photograph.title] = resized(pixels[top : top + side, left : left + side], (SIDE, SIDE))
    return images


def _of_class(folder: Path, place: int) -> np.ndarray:
    """The image at this place of a class folder, by file name."""
    names = sorted(name for name in os.listdir(folder) if _is_image(name))
    pixels = read_dataset_image(folder / names[place], f"{folder.name}/{names[place]}")
    return _with_three_channels(pixels)


def _first_of_each(images: Images) -> dict[str, np.ndarray]:
    firsts = (np.flatnonzero(images.labels == label)[0] for label in range(len(images.classes)))
    return {
        kind: _with_three_channels(images.images[first])
        for kind, first in zip(images.classes, firsts, strict=True)
    }


def _is_image(name: str) -> bool:
    return name.lower().endswith(DATASET_SUFFIXES) and not name.startswith(".")


def _with_three_channels(pixels: np.ndarray) -> np.ndarray:
    """(channels, h, w) → (h, w, 3)."""
    return np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0))
