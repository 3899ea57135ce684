"""The arms that train nothing: means, training pictures of the nearest masks, and a
small WebP of the same bytes.
"""

import io
from collections.abc import Sequence

import numpy as np

from mlcv_explore.ideas.inverted_unet.worlds import Pictures

NEAREST = 5  # as many nearest masks as the sampling arms may try
SIDES = (2, 4, 6, 8, 12, 16, 24, 32)  # of the WebP pictures
QUALITIES = (0, 40, 80)


def mean_picture(taught: Pictures, count: int) -> np.ndarray:
    """The mean of all training pictures, `count` times: float32 (count, 3, h, w) in [0,
    1].
    """
    mean = taught.images.mean(axis=0, dtype=np.float64).astype(np.float32) / 255
    return np.broadcast_to(mean, (count, *mean.shape))


def region_colours(taught: Pictures, codes: Sequence[np.ndarray]) -> np.ndarray:
    """The mean colour of the training pixels of each group, float32 (groups, 3) in [0,
    1]; grey where there is none. Groups hold region codes.
    """
    pixels = taught.images.transpose(0, 2, 3, 1)
    inside = [np.isin(taught.regions, group) for group in codes]
    return (
        np.stack([pixels[where].mean(0) if where.any() else np.full(3, 127.5) for where in inside]).astype(
            np.float32
        )
        / 255
    )


def region_means(taught: Pictures, asked: Pictures, binary: bool) -> np.ndarray:
    """Every region filled with its mean colour in training: float32 (n, 3, h, w). Where
    only the object is told, it is one of two regions.
    """
    every = range(len(taught.world.regions))
    objects = np.array(taught.world.objects)
    groups = (
        [objects, np.setdiff1d(np.arange(len(every)), objects)]
        if binary
        else [np.array([code]) for code in every]
    )
    colours = np.empty((len(every), 3), np.float32)
    for group, colour in zip(groups, region_colours(taught, groups), strict=True):
        colours[group] = colour
    return np.ascontiguousarray(colours[asked.regions].transpose(0, 3, 1, 2))


class Masks:
    """Masks to search for the nearest one."""

    def __init__(self, regions: np.ndarray, objects: Sequence[int]) -> None:
        """`regions` uint8 (n, h, w): codes, of which `objects` are the object."""
        # (h·w, n): a pixel of all masks is one row
        self.pixels = np.ascontiguousarray(regions.reshape(len(regions), -1).T)
        self.inside = np.isin(self.pixels, objects)
        self.areas = self.inside.sum(0, dtype=np.int32)  # (n,)
        self.objects = objects

    def nearest(self, asked: np.ndarray, count: int) -> np.ndarray:
        """The places of the `count` masks nearest to the one asked for, uint8 (h, w);
        int64 (count,), nearest first.

        Near is intersection over union of the objects; among equals, the share of
        pixels that are alike.
        """
        given = asked.ravel()
        mine = np.flatnonzero(np.isin(given, self.objects))
        common = self.inside[mine].sum(0, dtype=np.int32)
        overlap = common / np.maximum(len(mine) + self.areas - common, 1)
        alike = (self.pixels == given[:, None]).mean(0)
        return np.lexsort((-alike, -overlap))[:count]


def nearest(taught: Pictures, asked: np.ndarray, binary: bool) -> np.ndarray:
    """The training pictures with the five masks nearest to each that is asked for,
    uint8 (n, h, w): places int64 (n, 5), nearest first.

    Where masks only mark the object, they are told apart by that alone.
    """
    objects = taught.world.objects
    known, given = (
        np.isin(codes, objects).astype(np.uint8) if binary else codes for codes in (taught.regions, asked)
    )
    masks = Masks(known, (1,) if binary else objects)
    return np.stack([masks.nearest(each, NEAREST) for each in given])


def webp(images: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """WebP pictures of at most so many bytes (n,): float32 (n, 3, h, w) enlarged again,
    and their bytes int64 (n,).

    Of every side and quality the one with the least error; where none is small enough,
    the smallest there is, with the bytes it takes.
    """
    found = [_webp(image, int(size)) for image, size in zip(images, sizes, strict=True)]
    return np.stack([picture for picture, _ in found]), np.array([size for _, size in found])


def _webp(image: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    from PIL import Image

    whole = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    full = image.astype(np.float32) / 255
    smallest, chosen = None, None
    for side in (side for side in SIDES if side <= whole.width):
        small = whole.resize((side, side), Image.Resampling.BOX)
        fitted = False
        for quality in QUALITIES:
            file = io.BytesIO()
            small.save(file, "WEBP", quality=quality, method=0)
            size = file.tell()
            if smallest is not None and size > most:
                break
            decoded = Image.open(file).convert("RGB").resize(whole.size, Image.Resampling.BILINEAR)
            picture = np.asarray(decoded, np.float32).transpose(2, 0, 1) / 255
            error = float(np.mean((picture - full) ** 2))
            smallest = smallest if smallest is not None and smallest[1] <= size else (picture, size)
            if size <= most:
                fitted = True
                chosen = chosen if chosen is not None and chosen[2] <= error else (picture, size, error)
        if not fitted:
            break  # larger sides need more bytes
    return chosen[:2] if chosen is not None else smallest
