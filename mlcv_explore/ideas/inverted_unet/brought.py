"""Masks that readers bring: painted on a canvas, or as a picture file. What comes from
outside is checked; nothing of it is trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.data import uploads
from mlcv_explore.data.uploads import BadImage
from mlcv_explore.ideas.inverted_unet.worlds import REGIONS

COLOURS = np.array(  # of the regions, told apart in any colour vision by brightness as well
    [
        [222, 214, 196],
        [46, 132, 204],
        [214, 118, 50],
        [150, 40, 160],
        [0, 111, 58],
        [250, 220, 60],
        [20, 20, 28],
    ],
    np.uint8,
)
# how far from a colour of the palette, in grey levels, a pixel may lie and still be one that was
# meant
NEAR = 60.0
MOST_COLOURS = 48  # at four bits a channel; a mask saved as JPEG has about a dozen
# share of pixels that are near no colour of the palette, above which a picture of many colours is a
# photograph
MOST_STRANGE = 0.25
SHADES = (64, 192)  # between these greys a pixel is neither black nor white
OBJECTS = REGIONS[1:5]


@dataclass(frozen=True, eq=False)
class Mask:
    """What every pixel is, and what had to be done for it."""

    regions: np.ndarray  # (side, side) uint8, index into REGIONS
    notes: tuple[str, ...] = ()  # sentences for the reader


def coloured(regions: np.ndarray) -> np.ndarray:
    """A mask (…, h, w) as a picture uint8 (…, h, w, 3)."""
    return COLOURS[regions]


def from_picture(content: bytes, name: str, side: int, shape: str = OBJECTS[0]) -> Mask:
    """A mask from the bytes of a picture file; in black and white, `shape` says what
    the white object is.

    Sizes are met by taking the nearest pixel, colours by the nearest of the palette;
    both are said. Raises BadImage where the file is none that is read, and where it
    is a photograph.
    """
    called = uploads.shown_name(name)
    pixels = uploads.read(content, name, side=None).pixels
    height, width = pixels.shape[:2]
    notes = []
    small = nearest_pixels(pixels, side)
    if (height, width) != (side, side):
        stretched = "" if height == width else ", each axis by itself"
        notes.append(
            f"{called} has {width:,} × {height:,} pixels: the nearest pixel was taken for each of {side} ×"
            f" {side}{stretched}."
        )
    grey = bool((np.ptp(small.astype(int), axis=-1) <= 8).all())
    shades = small.mean(axis=-1)
    distances = np.sqrt(((small[..., None, :].astype(float) - COLOURS) ** 2).sum(-1))  # (side, side, regions)
    strange = (shades > SHADES[0]) & (shades < SHADES[1]) if grey else distances.min(-1) > NEAR
    count = (
        len(np.unique((small >> 4).reshape(-1, 3), axis=0))
        if not grey
        else len(np.unique(small[..., 0] >> 2))
    )
    if count > (MOST_COLOURS if not grey else MOST_COLOURS // 2) and strange.mean() > MOST_STRANGE:
        raise BadImage(
            f"{called} is a photograph, not a mask: {strange.mean():.0%} of its pixels are near no colour of"
            " the palette. Paint its regions in the palette's colours, or mark its object in white on black."
        )
    if grey:
        notes.extend(_grey_notes(called, small, shades, shape))
        return Mask(np.where(shades >= 128, REGIONS.index(shape), 0).astype(np.uint8), tuple(notes))
    off = float((distances.min(-1) > 0).mean())
    if off:
        notes.append(
            f"{off:.0%} of its pixels had other colours than the palette's: each was taken for the nearest"
            " one."
        )
    return Mask(distances.argmin(-1).astype(np.uint8), tuple(notes))


def nearest_pixels(pixels: np.ndarray, side: int) -> np.ndarray:
    """A picture (h, w, …) at (side, side, …), each pixel the nearest of the old ones:
    no colour arises that was not there.
    """
    rows, columns = (((np.arange(side) + 0.5) * length / side).astype(int) for length in pixels.shape[:2])
    return pixels[rows[:, None], columns]


def _grey_notes(called: str, small: np.ndarray, shades: np.ndarray, shape: str) -> Sequence[str]:
    notes = [f"{called} has no colours: what is white is the object, taken for a {shape}."]
    between = float(((shades > 8) & (shades < 247)).mean())
    if between:
        notes.append(f"{between:.0%} of its pixels were grey: those brighter than the middle are the object.")
    return notes
