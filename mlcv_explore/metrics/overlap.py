"""Overlap of masks and boxes, and the bounding box of the largest connected component
of a map.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

DETECTION_IOU = 0.5  # intersection over union from which a box counts as found (PASCAL VOC)


def intersection_over_union(masks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of masks (…, h, w), true or above 0 where they are: (…) in [0, 1]. Two empty
    masks have 1.
    """
    one, other = np.asarray(masks) > 0, np.asarray(others) > 0
    union = (one | other).sum((-2, -1))
    return np.where(union, (one & other).sum((-2, -1)) / np.maximum(union, 1), 1.0)


def box_overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (…, 4) of top, left, bottom, right, the last two
    exclusive: (…) in [0, 1]; 0 for two empty ones.
    """
    one, other = np.asarray(boxes, dtype=float), np.asarray(others, dtype=float)
    sides = np.clip(
        np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2]), 0, None
    )
    common = sides.prod(-1)
    union = (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def largest_box(saliency: np.ndarray, share: float = 0.5) -> np.ndarray:
    """The bounding box int64 (4,) of the largest connected component of a map (h, w)
    where it exceeds `share` of its maximum.

    Of components of equal size the first from the top; neighbours share a side. Where
    no value is above 0, the whole map.
    """
    values = np.asarray(saliency, dtype=float)
    components, count = ndimage.label(values > max(share * values.max(initial=0.0), 0.0))
    if not count:
        return np.array([0, 0, *values.shape])
    largest = 1 + int(np.argmax(np.bincount(components.ravel())[1:]))
    rows, columns = ndimage.find_objects(components)[largest - 1]
    return np.array([rows.start, columns.start, rows.stop, columns.stop])


def box_scores(boxes: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """The mean "overlap" of boxes (n, 4) with the true ones, and the share "found", of
    at least DETECTION_IOU.
    """
    shares = box_overlap(boxes, others)
    return {"overlap": float(shares.mean()), "found": float((shares >= DETECTION_IOU).mean())}


class MaskIndex:
    """Masks to search for the nearest one, a byte a pixel."""

    def __init__(self, regions: np.ndarray, objects: Sequence[int]) -> None:
        """`regions` uint8 (n, h, w): codes, of which `objects` are the object."""
        # (h·w, n): a pixel of all masks is one row
        self.pixels = np.ascontiguousarray(regions.reshape(len(regions), -1).T)
        self.shape = regions.shape[1:]
        self.is_object = np.isin(np.arange(256), objects)
        self.areas = self.is_object[self.pixels].sum(0, dtype=np.int32)  # (n,)

    def nearest(self, query: np.ndarray, count: int) -> np.ndarray:
        """Indices of the `count` masks nearest to one mask uint8 (h, w): int64
        (count,), nearest first.

        By intersection over union of the objects; ties by the share of equal pixels.
        """
        given = query.ravel()
        own = np.flatnonzero(self.is_object[given])
        common = self.is_object[self.pixels[own]].sum(0, dtype=np.int32)
        overlap = common / np.maximum(len(own) + self.areas - common, 1)
        equal = (self.pixels == given[:, None]).mean(0)
        return np.lexsort((-equal, -overlap))[:count]

    def mask(self, index: int) -> np.ndarray:
        """A mask of those indexed, uint8 (h, w)."""
        return self.pixels[:, index].reshape(self.shape)
