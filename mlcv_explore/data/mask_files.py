"""Masks in image files: the region of every pixel by a palette, or an object in white on
black.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.data import uploads
from mlcv_explore.data.uploads import BadImage

MAX_DISTANCE = 60.0  # from a palette colour, in grey levels, of a pixel still taken as meant
MAX_COLOURS = 48  # at four bits a channel; a mask saved as JPEG has about a dozen
MAX_UNKNOWN = 0.25  # share of pixels near no palette colour; many colours and more is a photograph
SHADES = (64, 192)  # between these grey levels a pixel is neither black nor white


@dataclass(frozen=True, eq=False)
class Mask:
    """The region of every pixel, and how the file was converted."""

    regions: np.ndarray  # (side, side) uint8, index into the regions
    notes: tuple[str, ...] = ()  # sentences for the visitor


def read_mask(
    content: bytes, name: str, white: str, *, regions: Sequence[str], palette: np.ndarray, side: int
) -> Mask:
    """A mask from the bytes of an image file, in the colours of `palette`, uint8
    (regions, 3); in black and white the object is white, a region `white`, and black is
    the first region.

    Resized to `side` by nearest pixel, colours mapped to the nearest of the palette;
    `notes` report both. Raises BadImage for an unreadable file and for a photograph.
    """
    called = uploads.shown_name(name)
    image = uploads.read(content, name, side=None)
    width, height = image.size
    small, notes = nearest_pixels(image.pixels, side), [f"{called}: {note}." for note in image.notes]
    if (height, width) != (side, side):
        stretched = "" if height == width else ", each axis by itself"
        notes.append(
            f"{called} has {width:,} × {height:,} pixels: resized to {side} × {side} by nearest"
            f" pixel{stretched}."
        )
    grey = bool((np.ptp(small.astype(int), axis=-1) <= 8).all())
    shades = small.mean(axis=-1)
    distances = np.sqrt(((small[..., None, :].astype(float) - palette) ** 2).sum(-1))  # (side, side, regions)
    if grey:
        unknown, colours = (shades > SHADES[0]) & (shades < SHADES[1]), np.unique(small[..., 0] >> 2)
    else:
        unknown = distances.min(-1) > MAX_DISTANCE
        colours = np.unique((small >> 4).reshape(-1, 3), axis=0)
    if len(colours) > (MAX_COLOURS // 2 if grey else MAX_COLOURS) and unknown.mean() > MAX_UNKNOWN:
        raise BadImage(
            f"{called} is a photograph, not a mask: {unknown.mean():.0%} of its pixels are near no colour of"
            " the palette. Paint its regions in the palette's colours, or mark its object in white on black."
        )
    if not grey:
        if share := float((distances.min(-1) > 0).mean()):
            notes.append(f"{share:.0%} of its pixels were mapped to the nearest colour of the palette.")
        return Mask(distances.argmin(-1).astype(np.uint8), tuple(notes))
    notes.append(f"{called} has no colours: white is the object, a {white}.")
    if share := float(((shades > 8) & (shades < 247)).mean()):
        notes.append(f"{share:.0%} of its pixels were grey: those above middle grey are the object.")
    return Mask(np.where(shades >= 128, regions.index(white), 0).astype(np.uint8), tuple(notes))


def nearest_pixels(pixels: np.ndarray, side: int) -> np.ndarray:
    """An image (h, w, …) resized to (side, side, …) by nearest pixel: no new colours."""
    rows, columns = (((np.arange(side) + 0.5) * length / side).astype(int) for length in pixels.shape[:2])
    return pixels[rows[:, None], columns]
