"""Conditioning levels: what a network is given of an image, as channels.

Every level keeps the channels of those below it. Nothing is interpolated, since a grey
border carries grey levels of the image; only colours, of the object or of tiles, have
values between 0 and 1.
"""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.data.image_summaries import TILES, edge_sides, thumbnails
from mlcv_explore.data.masked_images import Categories, MaskedImages
from mlcv_explore.models.mask_baselines import object_colours

LEVELS = ("binary", "class", "colour", "edges", "thumbnail")


def includes(level: str, detail: str) -> bool:
    """Whether a level has the channels of `detail`, itself or a lower level."""
    return LEVELS.index(level) >= LEVELS.index(detail)


def _counts(categories: Categories) -> dict[str, int]:
    return {"binary": 1, "class": len(categories.regions), "colour": 3, "edges": 2, "thumbnail": 3}


def channel_count(categories: Categories, level: str) -> int:
    """How many channels a level has."""
    return sum(count for detail, count in _counts(categories).items() if includes(level, detail))


def colour_channel(categories: Categories, level: str) -> int | None:
    """The first of the three channels of the object's colour; None below that level."""
    counts = _counts(categories)
    return counts["binary"] + counts["class"] if includes(level, "colour") else None


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The network inputs of n images at one level, compact: channels are made in
    batches.
    """

    categories: Categories
    level: str
    regions: np.ndarray  # (n, h, w) uint8
    colours: np.ndarray | None = None  # (n, 3) uint8, from the level "colour" on
    edges: np.ndarray | None = None  # (n, 2, h, w) bool, from the level "edges" on
    thumbnails: np.ndarray | None = None  # (n, 3, 4, 4) uint8, at the level "thumbnail"

    def inputs(self, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The channels of some images, float32 (n, channels, h, w) in [0, 1]; the colour's
        are middle grey outside the object.
        """
        regions = self.regions[indices]
        objects = np.isin(regions, self.categories.objects)[:, None]
        channels = [objects]
        if includes(self.level, "class"):
            channels.append(regions[:, None] == np.arange(len(self.categories.regions))[:, None, None])
        if includes(self.level, "colour"):
            colours = self.colours[indices][:, :, None, None].astype(np.float32) / 255
            channels.append(np.where(objects, colours, np.float32(0.5)))
        if includes(self.level, "edges"):
            channels.append(self.edges[indices])
        if includes(self.level, "thumbnail"):
            scale = regions.shape[-1] // TILES
            tiles = self.thumbnails[indices].repeat(scale, 2).repeat(scale, 3)
            channels.append(tiles.astype(np.float32) / 255)
        return np.concatenate(channels, axis=1, dtype=np.float32)


def condition(images: MaskedImages, level: str) -> Conditioning:
    """The inputs of these images at a level."""
    colours = object_colours(images) if includes(level, "colour") else None
    edges = edge_sides(images.images) if includes(level, "edges") else None
    tiles = thumbnails(images.images) if includes(level, "thumbnail") else None
    return Conditioning(images.categories, level, images.regions, colours, edges, tiles)
