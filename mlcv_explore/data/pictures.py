"""Safe reading of one picture file: JPEG and PNG only, of a bounded size."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from mlcv_explore.data.images import DataError

FORMATS = ("JPEG", "PNG")
SUFFIXES = (".jpg", ".jpeg", ".png")
GREY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
LARGEST_PIXELS = 50_000_000  # a 50-megapixel photograph is 150 MB once decoded


def read_picture(file: Path | BinaryIO, called: str) -> np.ndarray:
    """One picture as uint8 (channels, height, width): 1 channel when it is grey, else 3; upright by its EXIF orientation, without alpha.

    Raises DataError, one sentence naming the picture as `called`.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > LARGEST_PIXELS:
                size = f"{picture.width}×{picture.height} pixels"
                raise DataError(f"{called} has {size}, at most {LARGEST_PIXELS:,} in all are read: make it smaller.")
            if picture.mode not in GREY_MODES + COLOUR_MODES:
                rule = "only 8 bits a channel are read: save it as an 8-bit JPEG or PNG"
                raise DataError(f"{called} has pixels of kind {picture.mode}, {rule}.")
            upright = ImageOps.exif_transpose(picture) if "exif" in picture.info else picture
            pixels = np.asarray(upright.convert("L" if picture.mode in GREY_MODES else "RGB"))
    except DataError:
        raise
    except Exception as error:  # what a broken file makes a decoder raise is open-ended
        raise DataError(f"{called} cannot be read as a JPEG or PNG picture: replace it or take it away.") from error
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
