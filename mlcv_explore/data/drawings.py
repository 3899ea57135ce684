"""A drawing, or a photograph of one digit, as the handwritten digits were made: cropped
to its ink, as large as fits, ink counted in blocks.
"""

import numpy as np

from mlcv_explore.data import uploads

BLOCK = 4  # dots a side that make one pixel, as in the bitmaps behind scikit-learn's digits
INK = 0.5  # share of the largest difference from the paper at which a pixel counts as ink


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


def digit_from_image(pixels: np.ndarray, side: int = 8) -> np.ndarray | None:
    """An image (h, w, 3) uint8 of one digit as (side, side) in [0, 1]: ink is what
    differs from the median of the border, the paper. None where nothing does.
    """
    grey = pixels.astype(float) @ np.array([0.299, 0.587, 0.114])
    paper = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    difference = np.abs(grey - paper)
    return digit_from_ink(difference > INK * difference.max(), side) if difference.max() > 0 else None


def read_digit(content: bytes, name: str, side: int = 8) -> np.ndarray:
    """An uploaded image of one digit as (side, side) in [0, 1], cropped to its ink.
    Raises BadImage.
    """
    digit = digit_from_image(uploads.read(content, name).pixels, side)
    if digit is None:
        raise uploads.BadImage("The image has only one colour: it shows no digit.")
    return digit
