"""Composites: an object cut out of a photograph, pasted on a photographed background at a
random place and size. Its mask is exact, so that on a photograph too it is known where
the object is.

Cut-outs and backgrounds are read from `MLCV_DATA`; none ships, and no composite is kept.
"""

import csv
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mlcv_explore.data import locations
from mlcv_explore.data.dataset import DataError
from mlcv_explore.data.shapes import pick
from mlcv_explore.data.uploads import read_cutout, read_dataset_image
from mlcv_explore.seeds import numpy_stream

NAME = "composites"
CUTOUTS, BACKGROUNDS, LIST = "cutouts", "backgrounds", "cutouts.csv"  # in MLCV_DATA
COLUMNS = ("file", "imagenet_class")  # of the list
SIDE = 224  # pixels
SMALLEST, LARGEST = 0.35, 0.65  # longer side of an object, shares of the image's side
OPAQUE = 128  # alpha from which a pixel belongs to the object
# What is drawn for a composite, uniform in [0, 1), each from its own stream
DRAWS = ("background", "zoom", "down", "across", "mirrored", "size", "row", "column")


@dataclass(frozen=True)
class Cutout:
    """An object on its own, as the list in `MLCV_DATA` names it."""

    path: Path
    imagenet_class: str  # "": no class of ImageNet was predicted reliably

    @property
    def name(self) -> str:
        """`animals__birds__duck.webp` → "duck"."""
        return self.path.stem.rpartition("__")[2].replace("_", " ")

    def pixels(self) -> np.ndarray:
        """Its colours and alpha within the rectangle that holds it, uint8 (h, w, 4).
        Raises DataError.
        """
        whole = read_cutout(self.path, f"{CUTOUTS}/{self.path.name}")
        rows, columns = np.nonzero(whole[:, :, 3] >= OPAQUE)
        if not len(rows):
            raise DataError(f"{CUTOUTS}/{self.path.name} is transparent: replace it or take it off {LIST}.")
        return whole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


@dataclass(frozen=True, eq=False)
class Composites:
    """n composites of one object and their ground truth."""

    images: np.ndarray  # (n, 3, side, side) uint8, 0–255
    masks: np.ndarray  # (n, side, side) uint8, 1 on the object
    backgrounds: np.ndarray  # (n, 3, side, side) uint8, before the object was pasted

    def __len__(self) -> int:
        return len(self.images)


def present() -> bool:
    """Whether `MLCV_DATA` has cut-outs and backgrounds; a look at folders, no more."""
    root = locations.own_root()
    return root is not None and (root / CUTOUTS / LIST).is_file() and (root / BACKGROUNDS).is_dir()


def cutouts() -> tuple[Cutout, ...]:
    """Every cut-out of the list, in alphabetical order of the files. Raises DataError
    where cut-outs or backgrounds are missing or the list is not one.
    """
    folder = _root() / CUTOUTS
    with locations.in_one_sentence(NAME), (folder / LIST).open(encoding="utf-8", newline="") as file:
        try:
            rows = sorted(tuple(row[column] for column in COLUMNS) for row in csv.DictReader(file))
        except (KeyError, TypeError, UnicodeDecodeError, csv.Error):
            columns = " and ".join(COLUMNS)
            raise DataError(f"{CUTOUTS}/{LIST} must be a CSV file with the columns {columns}.") from None
    for name, _ in rows:
        if not name or name != Path(name).name:
            raise DataError(f"{CUTOUTS}/{LIST} must name files of its own folder, got {name!r:.80}.")
    return tuple(Cutout(folder / name, imagenet_class) for name, imagenet_class in rows)


def recognised() -> tuple[Cutout, ...]:
    """The cut-outs that have a class of ImageNet, in alphabetical order of the files.
    Raises DataError.
    """
    return tuple(cutout for cutout in cutouts() if cutout.imagenet_class)


def generate(
    cutout: Cutout, count: int, seed: int, purpose: str = "composites", side: int = SIDE
) -> Composites:
    """`count` composites of one object; the first k of them are those of
    `generate(cutout, k, seed, purpose)`. Another purpose gives others.

    The background is a square of one of the photographs, mirrored half the time. The
    object lies uniformly over all places where it is whole. Raises DataError.
    """
    object_pixels, photographs = cutout.pixels(), _photographs(_root() / BACKGROUNDS)
    draws = [numpy_stream(seed, f"{purpose} {name}").random(count) for name in DRAWS]
    images, masks, backgrounds = [], [], []
    for background, zoom, down, across, mirrored, size, row, column in zip(*draws, strict=True):
        photograph = photographs[pick(background, len(photographs))]
        square = _square(photograph, side, zoom, down, across)
        plate = square[:, ::-1] if mirrored < 0.5 else square
        longer = round(side * (SMALLEST + size * (LARGEST - SMALLEST)))
        image, mask = paste(plate, object_pixels, longer, row, column)
        images.append(image)
        masks.append(mask)
        backgrounds.append(plate)
    return Composites(_channels_first(images), np.stack(masks), _channels_first(backgrounds))


def paste(
    image: np.ndarray, pasted: np.ndarray, longer: int, row: float, column: float
) -> tuple[np.ndarray, np.ndarray]:
    """The image (h, w, 3) uint8 with `pasted` (a, b, 4) uint8, colours and alpha, resized
    so that its longer side has `longer` pixels; and the mask (h, w) uint8 of its opaque
    pixels.

    `row` and `column` in [0, 1) are its place, from the top left to the bottom right of
    those where it is whole. Raises ValueError where it is larger than the image.
    """
    from PIL import Image

    scale = longer / max(pasted.shape[:2])
    height, width = (max(1, round(length * scale)) for length in pasted.shape[:2])
    if height > image.shape[0] or width > image.shape[1]:
        raise ValueError(f"{width} × {height} pixels do not fit into {image.shape[1]} × {image.shape[0]}.")
    # Pillow weights the colours by alpha, so that those of transparent pixels do not bleed in
    kind = Image.Resampling.BICUBIC
    resized = np.asarray(Image.fromarray(np.ascontiguousarray(pasted)).resize((width, height), kind))
    top, left = int(row * (image.shape[0] - height + 1)), int(column * (image.shape[1] - width + 1))
    place = slice(top, top + height), slice(left, left + width)
    alpha = resized[:, :, 3:].astype(np.float32) / 255
    whole, mask = image.copy(), np.zeros(image.shape[:2], np.uint8)
    whole[place] = np.rint(alpha * resized[:, :, :3] + (1 - alpha) * image[place]).astype(np.uint8)
    mask[place] = resized[:, :, 3] >= OPAQUE
    return whole, mask


def _root() -> Path:
    """The folder that holds cut-outs and backgrounds. Raises DataError."""
    if present():
        return locations.own_root()
    if os.environ.get("MLCV_PUBLIC") == "1":
        raise DataError("Cut-outs and backgrounds of composites are not on this server.")
    raise DataError(
        f"The cut-outs and backgrounds of {NAME} are not here: set MLCV_DATA to a folder that holds"
        f" {CUTOUTS}/{LIST}, the files it names, and {BACKGROUNDS}/*.jpg."
    )


@lru_cache(maxsize=2)
def _photographs(folder: Path) -> tuple[np.ndarray, ...]:
    """The backgrounds, each uint8 (h, w, 3), in alphabetical order. Raises DataError."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not paths:
        raise DataError(f"{BACKGROUNDS} holds no photograph: put JPEG or PNG files there.")
    images = (read_dataset_image(path, f"{BACKGROUNDS}/{path.name}") for path in paths)
    return tuple(
        np.ascontiguousarray(np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0))
        for image in images
    )


def _square(photograph: np.ndarray, side: int, zoom: float, down: float, across: float) -> np.ndarray:
    """A square of the photograph of at least `side` pixels where it has so many, at that
    side, uint8 (side, side, 3).
    """
    from PIL import Image

    height, width = photograph.shape[:2]
    shortest = min(height, width)
    length = min(side, shortest) + int(zoom * (max(shortest - side, 0) + 1))
    top, left = int(down * (height - length + 1)), int(across * (width - length + 1))
    part = Image.fromarray(photograph[top : top + length, left : left + length])
    return np.asarray(part.resize((side, side), Image.Resampling.BILINEAR))


def _channels_first(images: list[np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
