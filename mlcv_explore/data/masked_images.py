"""Images with the region of every pixel: generated scenes, and photographs whose object
is outlined.

A region code is what a pixel shows; categories list which codes are the object, and
which are neither object nor background.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlcv_explore.data import scenes, splits
from mlcv_explore.data.dataset import OUTLINE, Images
from mlcv_explore.data.scenes import SILHOUETTES, TAG_SIDE, Scenes, ScenesConfig

if TYPE_CHECKING:
    import torch

SCENE_REGIONS = ("background", *SILHOUETTES, "distractor", "tag")
# RGB, distinct in brightness too, for any colour vision
SCENE_COLOURS = np.array(
    (
        (222, 214, 196),
        (46, 132, 204),
        (214, 118, 50),
        (150, 40, 160),
        (0, 111, 58),
        (250, 220, 60),
        (20, 20, 28),
    ),
    np.uint8,
)
PARTS = ("taught", "validated", "tested")  # names of the streams of generated parts


@dataclass(frozen=True)
class Categories:
    """What a pixel, and an object, of a data set can be."""

    regions: tuple[str, ...]  # names of the region codes
    objects: tuple[int, ...]  # codes that are the object
    ignored: tuple[int, ...]  # codes that are neither object nor background
    labels: tuple[str, ...]  # classes of the object


@dataclass(frozen=True, eq=False)
class MaskedImages:
    """n images with the region of every pixel."""

    categories: Categories
    images: np.ndarray  # (n, 3, h, w) uint8, 0–255
    regions: np.ndarray  # (n, h, w) uint8, index into categories.regions
    labels: np.ndarray  # (n,) int64, index into categories.labels
    # (n, h, w) float32 grey levels: the mean of the object's pixels given the mask, where it is known
    determined: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def objects(self) -> np.ndarray:
        """bool (n, h, w), true on the object."""
        return np.isin(self.regions, self.categories.objects)

    @property
    def backgrounds(self) -> np.ndarray:
        """bool (n, h, w), true outside the object."""
        return ~np.isin(self.regions, (*self.categories.objects, *self.categories.ignored))

    @property
    def masks(self) -> np.ndarray:
        """uint8 (n, h, w): 1 on the object, 0 on the background, OUTLINE on neither."""
        return np.where(self.objects, 1, np.where(self.backgrounds, 0, OUTLINE)).astype(np.uint8)

    @property
    def boxes(self) -> np.ndarray:
        """Bounding boxes of the objects, int64 (n, 4): top, left, bottom, right in
        pixels, the last two exclusive; the whole image where there is no object.
        """
        return bounding_boxes(self.objects)

    def pixel_weights(self, object_weight: float, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Weights of the pixels in a loss, float32 (n, h, w): 1 on the background, 0 on
        what is ignored.
        """
        regions = self.regions[indices]
        weights = np.where(np.isin(regions, self.categories.objects), object_weight, 1.0).astype(np.float32)
        weights[np.isin(regions, self.categories.ignored)] = 0
        return weights

    def binary(self) -> "MaskedImages":
        """The same images with two regions, the object and all else."""
        categories = Categories(("background", "object"), (1,), (), self.categories.labels)
        return replace(self, categories=categories, regions=self.objects.astype(np.uint8))

    def take(self, indices: np.ndarray | slice) -> "MaskedImages":
        """The images at these places, in this order."""
        arrays = ("images", "regions", "labels", "determined")
        chosen = {name: getattr(self, name) for name in arrays if getattr(self, name) is not None}
        return replace(self, **{name: values[indices] for name, values in chosen.items()})

    def as_images(self) -> Images:
        """The same as labelled images whose masks are region codes: to fingerprint."""
        return Images(self.images, self.labels, self.categories.labels, self.regions)

    def as_float(self) -> "torch.Tensor":
        """The images as torch float32 (n, 3, h, w) in [0, 1]."""
        return self.as_images().as_float()


def scene_categories(classes: tuple[str, ...]) -> Categories:
    """Of scenes with these classes."""
    return Categories(SCENE_REGIONS, tuple(range(1, 1 + len(SILHOUETTES))), (), classes)


def from_scenes(made: Scenes) -> MaskedImages:
    """Generated scenes, whatever their class is."""
    regions = made.masks * (1 + made.silhouettes[:, None, None]).astype(np.uint8)
    regions[made.distractor_masks > 0] = SCENE_REGIONS.index("distractor")
    for index, (top, left, _, _) in enumerate(made.tag_boxes):
        regions[index, top : top + TAG_SIDE, left : left + TAG_SIDE] = SCENE_REGIONS.index("tag")
    determined = scenes.determined_part(made)
    return MaskedImages(scene_categories(made.classes), made.images, regions, made.labels, determined)


def generate(config: ScenesConfig, count: int, seed: int, purpose: str) -> MaskedImages:
    """Generated scenes as `scenes.generate` makes them."""
    return from_scenes(scenes.generate(config, count, seed, purpose))


def from_images(given: Images, name: str) -> MaskedImages:
    """Labelled images with masks; `name` is that of the object. Raises ValueError
    without masks.
    """
    if given.masks is None:
        raise ValueError("The images have no masks.")
    categories = Categories(("background", name, "outline"), (1,), (2,), given.classes)
    regions = np.where(given.masks == OUTLINE, 2, given.masks).astype(np.uint8)
    return MaskedImages(categories, given.images, regions, given.labels)


def generated_split(config: ScenesConfig, sizes: tuple[int, int, int], seed: int) -> tuple[MaskedImages, ...]:
    """Training, validation and test scenes of these sizes, from separate streams."""
    return tuple(generate(config, size, seed, part) for part, size in zip(PARTS, sizes, strict=True))


def pets_split(sizes: tuple[int, int, int], seed: int) -> tuple[MaskedImages, ...]:
    """Disjoint training, validation and test images of Oxford-IIIT Pet of these sizes.

    Raises DataError when the set is not on this machine, SettingError when it is too
    small.
    """
    from mlcv_explore.data.loading import load

    parts = splits.split(load("oxford_pets"), *sizes, seed)
    return tuple(from_images(part, "pet") for part in (parts.train, parts.validation, parts.test))


def mean_colours(parts: Iterable[MaskedImages]) -> np.ndarray:
    """Mean colour of the pixels of each region over all parts, float32 (regions, 3) in
    [0, 1]; middle grey where there are none.
    """
    sums, counts = np.zeros(()), np.zeros(())
    for part in parts:
        codes, size = part.regions.ravel(), len(part.categories.regions)
        channels = (part.images[:, channel].ravel() for channel in range(3))
        sums = sums + np.stack([np.bincount(codes, values, size) for values in channels], axis=1)
        counts = counts + np.bincount(codes, minlength=size)[:, None]
    return np.where(counts, sums / np.maximum(counts, 1), 127.5).astype(np.float32) / 255


def fill_regions(regions: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Masks (n, h, w) as images whose regions have these colours (regions, 3): float32
    (n, 3, h, w).
    """
    return np.ascontiguousarray(colours[regions].transpose(0, 3, 1, 2))


def bounding_boxes(masks: np.ndarray) -> np.ndarray:
    """Boxes of masks bool (n, h, w), int64 (n, 4): top, left, bottom, right, the last
    two exclusive; the whole mask where nothing is true.
    """
    boxes = np.tile([0, 0, *masks.shape[1:]], (len(masks), 1))
    for index, mask in enumerate(masks):
        if mask.any():
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            boxes[index] = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    return boxes
