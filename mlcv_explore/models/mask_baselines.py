"""What a mask says of its object's colours without a network: regression on the mask's
box, means over the nearest masks, and shading of a known mean colour.

Masks of objects are bool (n, h, w), images float32 (n, 3, h, w) in [0, 1].
"""

import numpy as np

from mlcv_explore.data.dataset import to_float
from mlcv_explore.data.masked_images import MaskedImages, bounding_boxes, fill_regions, mean_colours
from mlcv_explore.metrics.overlap import MaskIndex


def box_features(objects: np.ndarray) -> np.ndarray:
    """The size of each mask's box, the root of its area as a share of the side, and the
    row of every pixel in it, 0 at the top and 1 at the bottom: float32 (n, h, w, 2).
    """
    boxes, rows = bounding_boxes(objects), np.arange(objects.shape[1])
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    size = np.sqrt(heights * widths) / objects.shape[1]
    row = (rows + 0.5 - boxes[:, :1]) / heights[:, None]  # (n, h)
    pairs = np.broadcast_arrays(size[:, None, None], row[:, :, None], objects)[:2]
    return np.stack(pairs, axis=-1).astype(np.float32)


def regression(training: MaskedImages, objects: np.ndarray) -> np.ndarray:
    """Least squares of an object's colours on the two features of its box, fitted on the
    objects' pixels of the training images: images for other masks.
    """
    colours = _colours(training)
    features = box_features(training.objects)[training.objects]
    slopes, *_ = np.linalg.lstsq(_with_one(features), colours, rcond=None)
    values = _with_one(box_features(objects)) @ slopes
    return values.transpose(0, 3, 1, 2).astype(np.float32)


def shaded(training: MaskedImages, objects: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Known mean colours (n, 3) in [0, 1] of objects, lighter or darker by the row in the
    box as the training objects are on average around their own means.
    """
    slope_parts = []
    for image, mask, row in zip(
        to_float(training.images), training.objects, box_features(training.objects)[..., 1], strict=True
    ):
        if mask.any():
            inside, rows = image[:, mask], row[mask] - row[mask].mean()
            slope_parts.append(((inside - inside.mean(1, keepdims=True)) @ rows, rows @ rows))
    slope = sum(part for part, _ in slope_parts) / max(sum(part for _, part in slope_parts), 1e-9)
    rows = box_features(objects)[..., 1]
    areas = np.maximum(objects.sum((1, 2)), 1)
    centred = rows - ((rows * objects).sum((1, 2)) / areas)[:, None, None]
    return (colours[:, :, None, None] + slope[None, :, None, None] * centred[:, None]).astype(np.float32)


def neighbours(training: MaskedImages, given: MaskedImages, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The training image of the nearest mask, and the mean of the `count` nearest ones:
    for each pixel of those that are object there as the given mask is, or not as it is
    not, and of the mean colour of such pixels once.
    """
    index, inside = MaskIndex(training.regions, training.categories.objects), training.objects
    fill = fill_regions(given.objects.astype(np.uint8), mean_colours([training.binary()]))
    first, means = [], []
    for regions, own, prior in zip(given.regions, given.objects, fill, strict=True):
        nearest = index.nearest(regions, count)
        images, agree = to_float(training.images[nearest]), (inside[nearest] == own)[:, None]
        first.append(images[0])
        means.append(((images * agree).sum(0) + prior) / (agree.sum(0) + 1))
    return np.stack(first), np.stack(means).astype(np.float32)


def object_colours(images: MaskedImages) -> np.ndarray:
    """Mean colour of each image's object, three bytes: uint8 (n, 3); middle grey without
    an object.
    """
    areas = images.objects.sum((1, 2))
    sums = (images.images * images.objects[:, None]).sum((2, 3), dtype=np.float64)
    return np.rint(np.where(areas[:, None], sums / np.maximum(areas, 1)[:, None], 127.5)).astype(np.uint8)


def _colours(images: MaskedImages) -> np.ndarray:
    """Colours of all object pixels, float32 (pixels, 3)."""
    return to_float(images.images).transpose(0, 2, 3, 1)[images.objects]


def _with_one(features: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones_like(features[..., :1]), features], axis=-1)
