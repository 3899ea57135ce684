"""Baselines without training: means, training images with the nearest masks, and a WebP
image of equal bytes.
"""

import io
from collections.abc import Sequence

import numpy as np

from mlcv_explore.ideas.inverted_unet.masked_images import MaskedImages

NEAREST = 5  # nearest masks, as many as the codes a sampling arm tries
SIDES = (2, 4, 6, 8, 12, 16, 24, 32)  # of the WebP images
QUALITIES = (0, 40, 80)


def mean_image(training: MaskedImages, count: int) -> np.ndarray:
    """The mean training image, `count` times: float32 (count, 3, h, w) in [0, 1]."""
    mean = training.images.mean(axis=0, dtype=np.float64).astype(np.float32) / 255
    return np.broadcast_to(mean, (count, *mean.shape))


def region_colours(training: MaskedImages, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Mean colour of the training pixels of each group of region codes, float32
    (groups, 3) in [0, 1]; grey where there are none.
    """
    pixels = training.images.transpose(0, 2, 3, 1)
    inside = [np.isin(training.regions, group) for group in groups]
    means = [pixels[where].mean(0) if where.any() else np.full(3, 127.5) for where in inside]
    return np.stack(means).astype(np.float32) / 255


def region_means(training: MaskedImages, asked: MaskedImages, binary: bool) -> np.ndarray:
    """Every region filled with its mean training colour, float32 (n, 3, h, w); two
    regions, object and the rest, for a `binary` mask.
    """
    codes, objects = range(len(training.categories.regions)), np.array(training.categories.objects)
    rest = np.setdiff1d(np.arange(len(codes)), objects)
    groups = [objects, rest] if binary else [np.array([code]) for code in codes]
    colours = np.empty((len(codes), 3), np.float32)
    for group, colour in zip(groups, region_colours(training, groups), strict=True):
        colours[group] = colour
    return np.ascontiguousarray(colours[asked.regions].transpose(0, 3, 1, 2))


class MaskIndex:
    """Masks to search for the nearest one."""

    def __init__(self, regions: np.ndarray, objects: Sequence[int]) -> None:
        """`regions` uint8 (n, h, w): codes, of which `objects` are the object."""
        # (h·w, n): a pixel of all masks is one row
        self.pixels = np.ascontiguousarray(regions.reshape(len(regions), -1).T)
        self.inside = np.isin(self.pixels, objects)
        self.areas = self.inside.sum(0, dtype=np.int32)  # (n,)
        self.objects = objects

    def nearest(self, asked: np.ndarray, count: int) -> np.ndarray:
        """Indices of the `count` masks nearest to one mask uint8 (h, w): int64
        (count,), nearest first.

        By intersection over union of the objects; ties by the share of equal pixels.
        """
        given = asked.ravel()
        own = np.flatnonzero(np.isin(given, self.objects))
        common = self.inside[own].sum(0, dtype=np.int32)
        overlap = common / np.maximum(len(own) + self.areas - common, 1)
        equal = (self.pixels == given[:, None]).mean(0)
        return np.lexsort((-equal, -overlap))[:count]


def nearest(training: MaskedImages, asked: np.ndarray, binary: bool) -> np.ndarray:
    """Indices of the training images with the five masks nearest to each of uint8
    (n, h, w): int64 (n, 5), nearest first; by the object alone for a `binary` mask.
    """
    objects = training.categories.objects
    known, given = (
        np.isin(codes, objects).astype(np.uint8) if binary else codes for codes in (training.regions, asked)
    )
    index = MaskIndex(known, (1,) if binary else objects)
    return np.stack([index.nearest(mask, NEAREST) for mask in given])


def webp(images: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """WebP images of at most `sizes` bytes (n,), enlarged again: float32 (n, 3, h, w),
    and their bytes int64 (n,).

    Side and quality with the least error; where none is small enough, the smallest.
    """
    pairs = [_webp(image, int(size)) for image, size in zip(images, sizes, strict=True)]
    return np.stack([image for image, _ in pairs]), np.array([size for _, size in pairs])


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
            values = np.asarray(decoded, np.float32).transpose(2, 0, 1) / 255
            error = float(np.mean((values - full) ** 2))
            smallest = smallest if smallest is not None and smallest[1] <= size else (values, size)
            if size <= most:
                fitted = True
                chosen = chosen if chosen is not None and chosen[2] <= error else (values, size, error)
        if not fitted:
            break  # larger sides need more bytes
    return chosen[:2] if chosen is not None else smallest
