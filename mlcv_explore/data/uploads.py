"""Safe reading of images from outside: a visitor's upload, and the files of a data set;
and an image resized for a model, a map upsampled to an image.
"""

import math
import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mlcv_explore.data import image_decoding, image_headers
from mlcv_explore.data.dataset import DataError

if TYPE_CHECKING:
    from PIL import Image

PAGE_SIDE = 1024  # pixels of the longer side of what a page shows and works on
MAX_BYTES = 24 << 20  # what follows the end of a JPEG does not count
MAX_PIXELS = 25_000_000
MAX_SIDE = 12_000
# a JPEG is reduced while it is decoded, row by row; a progressive one only once all of it is in memory
MAX_JPEG_PIXELS = 80_000_000
MAX_PROGRESSIVE_PIXELS = 50_000_000
MAX_JPEG_SIDE = 20_000  # phones' panoramas have 16,384
MAP_PIXELS = 12_000_000  # of a map drawn at an image's size
MAX_NAME = 60  # characters

# Files of a data set: read as they are, so that equal files give equal numbers
DATASET_FORMATS = ("JPEG", "PNG")
CUTOUT_FORMATS = ("PNG", "WEBP")  # that can be transparent
DATASET_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png")
DATASET_MAX_PIXELS = 50_000_000  # a 50-megapixel photograph is 150 MB once decoded
GREY_MODES = ("1", "L", "LA")
INDEX_MODES = ("L", "P")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")

_decoding = threading.BoundedSemaphore(2)  # an image at the limits takes up to 0.4 GB while it is decoded


class BadUpload(ValueError):
    """A file that is rejected. The text is one sentence: which rule it breaks, by how
    much, and what to do.
    """


class BadImage(BadUpload):
    """An image that is rejected."""


@dataclass(frozen=True, eq=False)
class UploadedImage:
    """An image as the pages use it: pixels and nothing of what else the file carried."""

    pixels: np.ndarray  # (h, w, 3) uint8, upright, without alpha; read-only
    # width and height of the whole upright image; h and w are smaller where it was reduced
    size: tuple[int, int]
    notes: tuple[str, ...] = ()  # what was done to it, such as "first frame of an animation"


def read(content: bytes, name: str = "the image", side: int | None = PAGE_SIDE) -> UploadedImage:
    """The image in these bytes: upright by its EXIF orientation, on white where it is
    transparent, the first frame of an animation; `notes` report these.

    The longer side is at most `side` pixels (averaged down, never enlarged); None gives
    every pixel, of a JPEG over MAX_PIXELS the means of 2 × 2. JPEG, PNG, WebP and GIF
    within the limits above are read, everything else is rejected, by the header alone
    where that suffices. 16-bit grey is read as 8, 10, 12, 14 or 16 bits deep, whichever
    is the least that holds its brightest pixel; black stays black, unless the values
    fill less than a fourth of that: then they are stretched, and `notes` name the range.
    Colour profiles are ignored. No file is written; thread-safe. Raises BadImage, one
    sentence that begins with `shown_name(name)`.
    """
    return _read(content, len(content), name, side)


def read_file(path: Path, side: int | None = PAGE_SIDE) -> UploadedImage:
    """The image in a file, as `read` gives it; of a larger file than an image may be,
    only so much is read into memory. Raises BadImage.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
            length = max(len(content), path.stat().st_size)
    except OSError as error:
        raise BadImage(f"{shown_name(str(path))} cannot be read: {error.strerror}.") from error
    return _read(content, length, str(path), side)


def _read(content: bytes, length: int, name: str, side: int | None) -> UploadedImage:
    """The image in the first bytes of a file that has `length` of them."""
    name = shown_name(name)
    kind = _checked_format(content, name)
    try:
        if kind == "JPEG":
            header = image_headers.jpeg_header(content)
            size = header.width, header.height
            length = header.length if header.length <= MAX_BYTES else length
            limits = (MAX_JPEG_SIDE, MAX_JPEG_PIXELS if header.one_pass else MAX_PROGRESSIVE_PIXELS)
        else:
            size, limits = image_headers.stated_size(content, kind), (MAX_SIDE, MAX_PIXELS)
        _check_bytes(length, name)
        check_size = partial(_check_size, name=name, max_side=limits[0], max_pixels=limits[1])
        check_size(*size)
        if kind == "PNG":
            content = image_headers.without_metadata(content)
        with _decoding:
            return UploadedImage(*image_decoding.decode(content, kind, side, MAX_PIXELS, check_size))
    except BadImage:
        raise
    except image_headers.TooManyScans:
        raise BadImage(
            f"{name} has more than {image_headers.MAX_SCANS} scans, which no camera writes: save it again as"
            " an ordinary JPEG."
        ) from None
    except MemoryError as error:
        raise BadImage(
            f"{name} needs more memory than is free now: make it smaller, or try again later."
        ) from error
    except Exception as error:  # what a broken file makes a decoder raise is open-ended
        raise BadImage(
            f"{name} begins like a {kind} image but is cut off or damaged: save it again, or choose another"
            " one."
        ) from error


def read_dataset_image(
    file: Path | BinaryIO, name: str, upright: bool = True, square: int | None = None
) -> np.ndarray:
    """An image file of a data set as uint8 (channels, height, width): 1 channel when it
    is grey, else 3; without alpha, turned by its EXIF orientation if `upright`.

    With `square`, the largest square in its middle at that side: bicubic, averaged over
    what a pixel covers where it is reduced. Raises DataError, one sentence that begins
    with `name`.
    """
    from PIL import Image, ImageOps

    with _dataset_file(file, name) as image:
        if square is not None:  # a large JPEG is decoded at a half, a quarter or an eighth of its size
            factor = min(1.0, 2 * square / min(image.size))
            image.draft(None, tuple(math.ceil(length * factor) for length in image.size))
        turned = ImageOps.exif_transpose(image) if upright and "exif" in image.info else image
        plain = turned.convert("L" if image.mode in GREY_MODES else "RGB")
        if square is not None:
            plain = ImageOps.fit(plain, (square, square), Image.Resampling.BICUBIC)
        pixels = np.asarray(plain)
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def read_index_image(file: Path | BinaryIO, name: str) -> np.ndarray:
    """What an image of one channel stores, as uint8 (height, width): of an indexed one
    its indices and not its colours.

    Raises DataError, one sentence that begins with `name`.
    """
    with _dataset_file(file, name) as image:
        if image.mode not in INDEX_MODES:
            raise DataError(
                f"{name} has pixels of kind {image.mode}, a mask has one number each: save it as a grey or"
                " indexed PNG."
            )
        return np.array(image)


def read_cutout(file: Path | BinaryIO, name: str) -> np.ndarray:
    """An image with transparent parts, uint8 (height, width, 4): its colours and alpha,
    which is 255 everywhere where the file has none.

    Raises DataError, one sentence that begins with `name`.
    """
    with _dataset_file(file, name, CUTOUT_FORMATS) as image:
        return np.asarray(image.convert("RGBA"))


def shown_name(name: str) -> str:
    """A file's name that is safe to show: its last part, at most 60 characters, without
    control, direction or mark-up characters.

    `../<b>cat</b>.png` → `b_.png`. A name of which nothing is left becomes "the
    image". The shown name of a shown name is itself.
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = " ".join("".join(map(_plain_character, last)).split()).lstrip(". ")
    if len(plain) > MAX_NAME:
        plain = f"{plain[:40].rstrip()}…{plain[-(MAX_NAME - 41) :]}"  # the ending stays
    return plain or "the image"


def resized_to_square(pixels: np.ndarray, side: int) -> np.ndarray:
    """The whole image (h, w, 3) uint8 as a model's square: float32 (3, side, side) in
    [0, 1].

    Each axis is scaled for itself, so that every pixel has its place in the square; a
    triangle filter as wide as one pixel of the square keeps fine patterns from
    aliasing, and values are rounded to 1/255 as in the images a model was trained on.
    Raises ValueError for another shape.
    """
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels must be uint8 (h, w, 3), got {pixels.dtype} {pixels.shape}.")
    square = Image.fromarray(np.ascontiguousarray(pixels)).resize((side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(square, dtype=np.float32).transpose(2, 0, 1)) / np.float32(255)


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image (h, w, 3) uint8 at another size (width, height), averaged down or
    bilinearly enlarged.
    """
    from PIL import Image

    return np.array(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BILINEAR))


def size_of_map(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height at which a map of an image of `size` is drawn: the image's own,
    the same shape with at most MAP_PIXELS where it has more.
    """
    scale = min(1.0, math.sqrt(MAP_PIXELS / (size[0] * size[1])))
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def upsampled(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) over the model's square as float32 (height, width) over the whole
    image of `size` (width, height).

    The way back of `resized_to_square`, bilinear between the centres of the map's cells
    and constant outside the outermost: a mean of neighbours with positive weights, so
    no value leaves the map's range, a constant map stays so, and its own size returns
    it unchanged. Raises ValueError for another shape.
    """
    from PIL import Image

    if values.ndim != 2 or not values.size:
        raise ValueError(f"A map must be (h, w), got shape {values.shape}.")
    return np.array(
        Image.fromarray(np.ascontiguousarray(values, dtype=np.float32)).resize(
            size, Image.Resampling.BILINEAR
        )
    )


def _checked_format(content: bytes, name: str) -> str:
    """Pillow's name of the format. Raises BadImage when it is none of the four."""
    if not content:
        raise BadImage(f"{name} is empty: choose another file.")
    kind = image_headers.format_of(content)
    if kind is None:
        raise BadImage(
            f"{name} is {image_headers.describe_other(content)}, only JPEG, PNG, WebP and GIF are read: save"
            " it as JPEG."
        )
    return kind


def _check_bytes(length: int, name: str) -> None:
    if length > MAX_BYTES:
        megabytes = math.ceil(length / (1 << 20) * 10) / 10
        raise BadImage(f"{name} has {megabytes} MB, at most {MAX_BYTES >> 20} MB are read: make it smaller.")


def _check_size(width: int, height: int, *, name: str, max_side: int, max_pixels: int) -> None:
    if not (width and height):
        raise ValueError("no pixels")
    if max(width, height) > max_side:
        raise BadImage(
            f"{name} has {width:,} × {height:,} pixels, at most {max_side:,} a side are read: make it"
            " smaller."
        )
    if width * height > max_pixels:
        megapixels = math.ceil(width * height / 100_000) / 10
        kind = " of a progressive JPEG" if max_pixels == MAX_PROGRESSIVE_PIXELS else ""
        raise BadImage(
            f"{name} has {width:,} × {height:,} pixels, {megapixels} megapixels, at most"
            f" {max_pixels // 1_000_000} are read{kind}: make it smaller."
        )


@contextmanager
def _dataset_file(
    file: Path | BinaryIO, name: str, formats: tuple[str, ...] = DATASET_FORMATS
) -> Iterator["Image.Image"]:
    """An image of a format and size that is read from data sets; what goes wrong while
    it is open becomes a DataError.
    """
    from PIL import Image

    kinds = " or ".join("WebP" if kind == "WEBP" else kind for kind in formats)
    try:
        with Image.open(file, formats=formats) as image:
            if image.width * image.height > DATASET_MAX_PIXELS:
                size = f"{image.width}×{image.height} pixels"
                raise DataError(
                    f"{name} has {size}, at most {DATASET_MAX_PIXELS:,} in all are read: make it smaller."
                )
            if image.mode not in GREY_MODES + COLOUR_MODES:
                rule = f"only 8 bits a channel are read: save it as an 8-bit {kinds}"
                raise DataError(f"{name} has pixels of kind {image.mode}, {rule}.")
            yield image
    except DataError:
        raise
    except Exception as error:  # what a broken file makes a decoder raise is open-ended
        raise DataError(f"{name} cannot be read as a {kinds} image: replace it or take it away.") from error


def _plain_character(character: str) -> str:
    """The character itself where it is letter, digit, pictograph or plain punctuation;
    a space for any space, nothing for control, else `_`.
    """
    kind = unicodedata.category(character)
    if character.isspace() or kind[0] == "Z":
        return " "
    if kind[0] == "C":
        return ""
    return character if kind[0] in "LMN" or kind == "So" or character in ".,-_+()'=!%;…" else "_"
