"""Images with the region of every pixel: generated scenes, or Oxford-IIIT pets."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlcv_explore.config import SettingError
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import OUTLINE
from mlcv_explore.data.scenes import SILHOUETTES, TAG_SIDE, TEXTURES, ScenesConfig
from mlcv_explore.seeds import numpy_stream

if TYPE_CHECKING:
    from mlcv_explore.ideas.inverted_unet import InvertedUnetConfig

REGIONS = ("background", *SILHOUETTES, "distractor", "tag")  # of a scene
DISTRACTOR, TAG = REGIONS.index("distractor"), REGIONS.index("tag")


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


SCENES = Categories(REGIONS, tuple(REGIONS.index(name) for name in SILHOUETTES), (), TEXTURES)


def generate_scenes(dependence: float, count: int, seed: int, purpose: str, side: int = 32) -> MaskedImages:
    """Generated scenes with large objects, whose class is the texture."""
    config = ScenesConfig(side=side, label="texture", smallest=0.35, largest=0.5, dependence=dependence)
    made = scenes.generate(config, count, seed, purpose)
    regions = made.masks * (1 + made.silhouettes[:, None, None]).astype(np.uint8)
    regions[made.distractor_masks > 0] = DISTRACTOR
    for index, (top, left, _, _) in enumerate(made.tag_boxes):
        regions[index, top : top + TAG_SIDE, left : left + TAG_SIDE] = TAG
    return MaskedImages(SCENES, made.images, regions, made.textures, scenes.determined_part(made))


def splits(config: "InvertedUnetConfig", seed: int) -> tuple[MaskedImages, MaskedImages, MaskedImages]:
    """Training, validation and test images, disjoint and drawn from separate streams.

    Raises DataError when the pets are not on this machine, SettingError when there are
    too few of them.
    """
    if config.dataset == "scenes":
        sizes = {"taught": config.scenes, "validated": config.validation_size, "tested": config.tested}
        return tuple(
            generate_scenes(config.dependence, count, seed, purpose, config.side)
            for purpose, count in sizes.items()
        )
    return _pets(config, seed)


def _pets(config: "InvertedUnetConfig", seed: int) -> tuple[MaskedImages, MaskedImages, MaskedImages]:
    from mlcv_explore import data

    dataset = data.load("oxford_pets")
    asked, tests = config.scenes + config.validation_size, 0 if dataset.test is None else len(dataset.test)
    if asked > len(dataset.train) or config.tested > tests:
        raise SettingError(
            f"InvertedUnetConfig.scenes and .tested ask for {asked:,} and {config.tested:,} pets, there are"
            f" {len(dataset.train):,} for training and {tests:,}."
        )
    categories = Categories(("background", "pet", "outline"), (1,), (2,), tuple(dataset.train.classes))
    order = numpy_stream(seed, "which pets").permutation(len(dataset.train))
    return tuple(
        MaskedImages(
            categories,
            source.images[indices],
            np.where(source.masks[indices] == OUTLINE, 2, source.masks[indices]),
            source.labels[indices],
        )
        for source, indices in (
            (dataset.train, order[: config.scenes]),
            (dataset.train, order[config.scenes : asked]),
            (dataset.test, np.arange(config.tested)),
        )
    )


def to_float(images: np.ndarray) -> np.ndarray:
    """uint8 images as float32 in [0, 1]."""
    return images.astype(np.float32) / 255


def to_bytes(images: np.ndarray) -> np.ndarray:
    """float images in [0, 1] as uint8, clipped."""
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
