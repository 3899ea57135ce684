"""Decoding of an image whose header has been checked: upright, without alpha, reduced, and
what was done to it in words.
"""

import io
import math
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# EXIF's orientation → the transposition of Pillow's that undoes it; from 5 on, width and height change places
UPRIGHT = dict(
    enumerate(
        (
            "FLIP_LEFT_RIGHT",
            "ROTATE_180",
            "FLIP_TOP_BOTTOM",
            "TRANSPOSE",
            "ROTATE_270",
            "TRANSVERSE",
            "ROTATE_90",
        ),
        start=2,
    )
)
DEPTHS = (255, 1023, 4095, 16383, 65535)  # white at 8, 10, 12, 14 and 16 bits
NARROW = 4  # 16-bit grey that fills less than a fourth of its depth is stretched

TURNED = "turned upright by its EXIF orientation"
ANIMATED = "first frame of an animation"
ON_WHITE = "transparent parts shown on white"
CMYK = "CMYK colours shown without their profile"


def decode(
    content: bytes, kind: str, side: int | None, max_pixels: int, check_size: Callable[[int, int], None]
) -> tuple[np.ndarray, tuple[int, int], tuple[str, ...]]:
    """Pixels (h, w, 3) uint8 of a file of this `kind`, width and height of the whole
    upright image, and notes for the reader: what was done to it.

    The longer side is at most `side` pixels, averaged down; None gives every pixel, of
    a JPEG with more than `max_pixels` the means of 2 × 2, 4 × 4 or 8 × 8. `check_size` is
    called with the size that the decoder found and may raise. Whatever a broken file
    makes a decoder raise is raised.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=(kind,)) as image:
        width, height = image.size
        # a second header, or a frame beyond the screen, may have changed it
        check_size(width, height)
        # a JPEG's cosines give a half, a quarter or an eighth of the size for less work
        if side is None:
            factor = math.ceil(math.sqrt(width * height / max_pixels))
            image.draft("RGB", (width // factor, height // factor))
            reduced = image.size
        else:
            scale = min(1.0, side / max(width, height))
            reduced = max(1, round(width * scale)), max(1, round(height * scale))
            image.draft("RGB", reduced)
        image.load()
        opaque, notes = _opaque(image)
        orientation = _orientation(image)
        if opaque.size != reduced:
            opaque = opaque.resize(reduced, Image.Resampling.BILINEAR)
        if orientation in UPRIGHT:
            opaque = opaque.transpose(Image.Transpose[UPRIGHT[orientation]])
            notes.append(TURNED)
        pixels = np.asarray(opaque if opaque.mode == "RGB" else opaque.convert("RGB"))
        if kind != "JPEG" and _is_animated(image):
            notes.insert(0, ANIMATED)
    return pixels, (height, width) if orientation >= 5 else (width, height), tuple(notes)


def _opaque(image: "Image.Image") -> "tuple[Image.Image, list[str]]":
    """The same image in mode L or RGB, on white where it is transparent; and notes."""
    from PIL import Image

    if image.mode == "I;16":
        grey, notes = _eight_bits(np.asarray(image), image.info.get("transparency"))
        return Image.fromarray(grey), notes
    if image.has_transparency_data:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
        sheet = Image.new("RGB", layer.size, "white")
        sheet.paste(layer, mask=layer)
        return sheet, [ON_WHITE] * (layer.getextrema()[3][0] < 255)
    if image.mode in ("L", "RGB"):
        return image, []  # a copy would be three more bytes a pixel
    return image.convert("L" if image.mode == "1" else "RGB"), [CMYK] * (image.mode == "CMYK")


def _eight_bits(grey: np.ndarray, transparent: int | None) -> tuple[np.ndarray, list[str]]:
    """16-bit grey (h, w) as uint8, and notes.

    White is the full range of the least bit depth that holds the brightest pixel, so
    that scanners' 12 bits show; a narrow range is stretched from black to white. One
    value may be transparent: it counts for neither and becomes white.
    """
    seen, notes = np.zeros(65536, bool), []
    for row in grey:  # all at once would take eight bytes a pixel
        seen[row] = True
    if transparent is not None:
        notes += [ON_WHITE] * bool(seen[transparent])
        seen[transparent] = False
    present = np.flatnonzero(seen)
    black, brightest = (int(present[0]), int(present[-1])) if len(present) else (0, 0)
    white = next(top for top in DEPTHS if brightest <= top)
    if 0 < (brightest - black) * NARROW < white:
        notes.append(f"16-bit grey stretched: {black:,} is black, {brightest:,} is white")
        white = brightest
    else:
        black = 0
    shades = np.rint(np.clip((np.arange(65536) - black) / (white - black), 0.0, 1.0) * 255).astype(np.uint8)
    if transparent is not None:
        shades[transparent] = 255
    return np.stack([shades[row] for row in grey]), notes


def _orientation(image: "Image.Image") -> int:
    """EXIF's orientation, 1–8; 1 (upright) where there is none, or none that can be
    read.
    """
    from PIL import ExifTags

    with suppress(Exception):  # broken metadata break Pillow in as many ways as broken pixels do
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation in UPRIGHT:
            return orientation
    return 1


def _is_animated(image: "Image.Image") -> bool:
    """Whether other frames follow; a broken second one is none."""
    with suppress(Exception):
        return bool(getattr(image, "is_animated", False))
    return False
