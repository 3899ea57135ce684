"""The pictures of idea 17 with what every pixel is: generated scenes, or Oxford-IIIT
pets. Arrays only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlcv_explore.config import SettingError
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import OUTLINE
from mlcv_explore.data.scenes import SILHOUETTES, TAG_SIDE, TEXTURES, ScenesConfig
from mlcv_explore.seeds import numpy_stream

if TYPE_CHECKING:
    from mlcv_explore.ideas.inverted_unet import InvertedUnetConfig

REGIONS = ("background", *SILHOUETTES, "distractor", "tag")  # what a pixel of a scene can be
DISTRACTOR, TAG = REGIONS.index("distractor"), REGIONS.index("tag")


@dataclass(frozen=True)
class World:
    """What can be seen in the pictures of a data set."""

    regions: tuple[str, ...]  # names of the codes that a pixel can have
    objects: tuple[int, ...]  # those that are the object
    ignored: tuple[int, ...]  # those that belong to neither object nor background
    labels: tuple[str, ...]  # what the object can be


@dataclass(frozen=True, eq=False)
class Pictures:
    """n pictures and what every pixel of them is."""

    world: World
    images: np.ndarray  # (n, 3, h, w) uint8, 0–255
    regions: np.ndarray  # (n, h, w) uint8, index into the world's regions
    labels: np.ndarray  # (n,) int64, index into the world's labels
    # (n, h, w) float32 grey levels: what the mask determines of the object's pixels, where that is
    # known
    determined: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def objects(self) -> np.ndarray:
        """bool (n, h, w), true on the object."""
        return np.isin(self.regions, self.world.objects)

    @property
    def backgrounds(self) -> np.ndarray:
        """bool (n, h, w), true outside the object."""
        return ~np.isin(self.regions, (*self.world.objects, *self.world.ignored))

    def chosen(self, places: np.ndarray | slice) -> "Pictures":
        """Some of them."""
        determined = None if self.determined is None else self.determined[places]
        return replace(
            self,
            images=self.images[places],
            regions=self.regions[places],
            labels=self.labels[places],
            determined=determined,
        )


SCENES = World(REGIONS, tuple(REGIONS.index(name) for name in SILHOUETTES), (), TEXTURES)


def of_scenes(dependence: float, count: int, seed: int, purpose: str, side: int = 32) -> Pictures:
    """Generated scenes with large objects, whose class is the texture."""
    config = ScenesConfig(side=side, label="texture", smallest=0.35, largest=0.5, dependence=dependence)
    made = scenes.generate(config, count, seed, purpose)
    regions = made.masks * (1 + made.silhouettes[:, None, None]).astype(np.uint8)
    regions[made.distractor_masks > 0] = DISTRACTOR
    for place, (top, left, _, _) in enumerate(made.tag_boxes):
        regions[place, top : top + TAG_SIDE, left : left + TAG_SIDE] = TAG
    return Pictures(SCENES, made.images, regions, made.textures, scenes.determined_part(made))


def parts(config: "InvertedUnetConfig", seed: int) -> tuple[Pictures, Pictures, Pictures]:
    """What is taught, validated and tested; the three never share a picture, and each
    is drawn from streams of its own.

    Raises DataError when the pets are not on this machine, SettingError when there are
    too few of them.
    """
    if config.dataset == "scenes":
        sizes = {"taught": config.scenes, "validated": config.validated, "tested": config.tested}
        taught, validated, tested = (
            of_scenes(config.dependence, count, seed, part) for part, count in sizes.items()
        )
        return taught, validated, tested
    return _of_pets(config, seed)


def _of_pets(config: "InvertedUnetConfig", seed: int) -> tuple[Pictures, Pictures, Pictures]:
    from mlcv_explore import data

    dataset = data.load("oxford_pets")
    if (
        dataset.test is None
        or config.scenes + config.validated > len(dataset.train)
        or config.tested > len(dataset.test)
    ):
        had, asked = (
            (len(dataset.train), 0 if dataset.test is None else len(dataset.test)),
            (config.scenes + config.validated, config.tested),
        )
        raise SettingError(
            f"InvertedUnetConfig.scenes and .tested ask for {asked[0]:,} and {asked[1]:,} pets, there are"
            f" {had[0]:,} for training and {had[1]:,}."
        )
    world = World(("background", "pet", "outline"), (1,), (2,), tuple(dataset.train.classes))
    order = numpy_stream(seed, "which pets").permutation(len(dataset.train))
    chosen = (
        order[: config.scenes],
        order[config.scenes : config.scenes + config.validated],
        np.arange(config.tested),
    )
    sources: Sequence = (dataset.train, dataset.train, dataset.test)
    return tuple(
        Pictures(
            world,
            source.images[places],
            np.where(source.masks[places] == OUTLINE, 2, source.masks[places]),
            source.labels[places],
        )
        for source, places in zip(sources, chosen, strict=True)
    )
