"""Safe reading of one picture file: JPEG and PNG only, of a bounded size."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mlcv_explore.data.dataset import DataError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG")
SUFFIXES = (".jpg", ".jpeg", ".png")
GREY_MODES = ("1", "L", "LA")
NUMBER_MODES = ("L", "P")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
LARGEST_PIXELS = 50_000_000  # a 50-megapixel photograph is 150 MB once decoded


def read_picture(file: Path | BinaryIO, called: str, upright: bool = True) -> np.ndarray:
    """One picture as uint8 (channels, height, width): 1 channel when it is grey, else
    3; without alpha, turned by its EXIF orientation if `upright`.

    Raises DataError, one sentence naming the picture as `called`.
    """
    from PIL import ImageOps

    with _opened(file, called) as picture:
        turned = ImageOps.exif_transpose(picture) if upright and "exif" in picture.info else picture
        pixels = np.asarray(turned.convert("L" if picture.mode in GREY_MODES else "RGB"))
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def read_numbers(file: Path | BinaryIO, called: str) -> np.ndarray:
    """What a picture of one channel stores, as uint8 (height, width): of an indexed one
    its indices and not its colours.

    Raises DataError, one sentence naming the picture as `called`.
    """
    with _opened(file, called) as picture:
        if picture.mode not in NUMBER_MODES:
            raise DataError(
                f"{called} has pixels of kind {picture.mode}, a mask has one number each: save it as a grey"
                " or indexed PNG."
            )
        return np.array(picture)


@contextmanager
def _opened(file: Path | BinaryIO, called: str) -> Iterator["Image.Image"]:
    """A picture of a kind and size that is read; what goes wrong while it is open
    becomes a DataError.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > LARGEST_PIXELS:
                size = f"{picture.width}×{picture.height} pixels"
                raise DataError(
                    f"{called} has {size}, at most {LARGEST_PIXELS:,} in all are read: make it smaller."
                )
            if picture.mode not in GREY_MODES + COLOUR_MODES:
                rule = "only 8 bits a channel are read: save it as an 8-bit JPEG or PNG"
                raise DataError(f"{called} has pixels of kind {picture.mode}, {rule}.")
            yield picture
    except DataError:
        raise
    except Exception as error:  # what a broken file makes a decoder raise is open-ended
        raise DataError(
            f"{called} cannot be read as a JPEG or PNG picture: replace it or take it away."
        ) from error
