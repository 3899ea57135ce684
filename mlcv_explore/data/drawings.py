"""A drawing, or a photograph of one digit, as the handwritten digits were made: cropped
to its ink, as large as fits, ink counted in blocks.
"""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.data import uploads

BLOCK = 4  # dots a side that make one pixel, as in the bitmaps behind scikit-learn's digits
INK = 0.5  # share of the largest difference from the paper at which a pixel counts as ink
CROPPED = "cropped to its ink"
INVERTED = "inverted, since ink is light in the handwritten digits"


def digit_from_ink(ink: np.ndarray, side: int = 8) -> np.ndarray | None:
    """Ink, bool (h, w), as a digit: float64 (side, side) in [0, 1], the share of inked
    dots in each block of 4 × 4. None where there is no ink.
    """
    from PIL import Image

    if not ink.any():
        return None
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    dots = side * BLOCK
    height, width = (max(1, round(length * dots / max(cropped.shape))) for length in cropped.shape)
    scaled = np.asarray(Image.fromarray(cropped).resize((width, height), Image.Resampling.NEAREST))
    bitmap = np.zeros((dots, dots), bool)
    top, left = (dots - height) // 2, (dots - width) // 2
    bitmap[top : top + height, left : left + width] = scaled
    return bitmap.reshape(side, BLOCK, side, BLOCK).mean((1, 3))


@dataclass(frozen=True, eq=False)
class DigitImage:
    """A digit read from an image file, and what was done to it."""

    values: np.ndarray  # (side, side) float64 in [0, 1]
    description: str  # the file's name, safe to show
    notes: tuple[str, ...]


def digit_from_image(pixels: np.ndarray, side: int = 8) -> np.ndarray | None:
    """An image (h, w, 3) uint8 of one digit as (side, side) in [0, 1]: ink is what
    differs from the median of the border, the paper. None where nothing does.
    """
    difference = np.abs(_brighter_than_paper(pixels))
    return digit_from_ink(difference > INK * difference.max(), side) if difference.max() > 0 else None


def notes_on_image(pixels: np.ndarray, side: int = 8) -> tuple[str, ...]:
    """What `digit_from_image` does to this image, in words; it has ink."""
    brighter = _brighter_than_paper(pixels)
    dark = brighter.flat[np.abs(brighter).argmax()] < 0  # the ink on its paper
    return (CROPPED, *[INVERTED] * bool(dark), f"reduced to {side} × {side} pixels")


def read_digit(content: bytes, name: str, side: int = 8) -> DigitImage:
    """An uploaded image of one digit, cropped to its ink. Raises BadImage."""
    image = uploads.read(content, name)
    digit = digit_from_image(image.pixels, side)
    if digit is None:
        raise uploads.BadImage("The image has only one colour: it shows no digit.")
    notes = (*image.notes, *notes_on_image(image.pixels, side))
    return DigitImage(digit, uploads.shown_name(name), notes)


def _brighter_than_paper(pixels: np.ndarray) -> np.ndarray:
    """(h, w): grey level of each pixel minus that of the paper, the median of the border."""
    grey = pixels.astype(float) @ np.array([0.299, 0.587, 0.114])
    return grey - np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
