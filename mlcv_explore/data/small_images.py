"""One small image as a network takes it, with the mask of its object: of a data set, a
photograph, or a drawn digit.
"""

from dataclasses import dataclass, replace

import numpy as np

from mlcv_explore.data import compositing, drawings, uploads
from mlcv_explore.data.dataset import Images

INK = 76  # grey level above which a pixel of a digit is its object


@dataclass(frozen=True, eq=False)
class SmallImage:
    """An image, its object, and its class where that is known."""

    image: np.ndarray  # (C, side, side) float32 in [0, 1]
    mask: np.ndarray  # (side, side) float32 of 0 and 1, where its object is
    label: int | None
    notes: tuple[str, ...] = ()  # what was done to a photograph


def from_images(images: Images, number: int) -> SmallImage:
    """The number-th of some images with masks, from 0."""
    image = images.images[number].astype(np.float32) / 255
    return SmallImage(image, images.masks[number].astype(np.float32), int(images.labels[number]))


def from_photograph(pixels: np.ndarray, channels: int, side: int) -> SmallImage:
    """A photograph uint8 (h, w, 3): in three channels resized, its object estimated; in
    one cropped to its ink, an empty digit where it has none.
    """
    if channels == 1:
        digit = drawings.digit_from_image(pixels, side)
        if digit is None:
            return replace(from_digit(np.zeros((side, side))), notes=("it has one colour, so no ink",))
        return replace(from_digit(digit), notes=drawings.notes_on_image(pixels, side))
    image = uploads.resized_to_square(pixels, side)
    stretched = "" if pixels.shape[0] == pixels.shape[1] else ", which changes its shape"
    notes = (f"the whole image resized to {side} × {side} pixels{stretched}",)
    return SmallImage(image, compositing.estimated_mask(image), None, notes)


def from_digit(values: np.ndarray) -> SmallImage:
    """A drawn digit (side, side) in [0, 1]; its object is its ink."""
    return SmallImage(values[None].astype(np.float32), (values > INK / 255).astype(np.float32), None)
