"""Conditioning levels: what a network is given of an image, as channels, and its size
in bytes.

Every level keeps the channels of those below it. Nothing is interpolated, since a grey
border carries grey levels of the image; only the last level, the thumbnail, holds
colours.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from mlcv_explore.data.image_summaries import TILES, edge_maps, thumbnails
from mlcv_explore.data.masked_images import Categories, MaskedImages

LEVELS = ("binary", "class", "label", "edges", "thumbnail")
EDGES = ("sides", "lines")


def includes(level: str, detail: str) -> bool:
    """Whether a level has the channels of `detail`, itself or a lower level."""
    return LEVELS.index(level) >= LEVELS.index(detail)


def channel_count(categories: Categories, level: str) -> int:
    """How many channels a level has."""
    own = {
        "binary": 1,
        "class": len(categories.regions),
        "label": len(categories.labels),
        "edges": 2,
        "thumbnail": 3,
    }
    return sum(count for detail, count in own.items() if includes(level, detail))


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The network inputs of n images at one level, compact: channels are made in
    batches.
    """

    categories: Categories
    level: str
    regions: np.ndarray  # (n, h, w) uint8
    labels: np.ndarray  # (n,) int64
    edges: np.ndarray | None = None  # (n, 2, h, w) bool, from the level "edges" on
    thumbnails: np.ndarray | None = None  # (n, 3, 4, 4) uint8, at the level "thumbnail"

    def inputs(self, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The channels of some images, float32 (n, channels, h, w) in [0, 1]; all but
        the thumbnail's are 0 or 1.
        """
        regions = self.regions[indices]
        objects = np.isin(regions, self.categories.objects)
        channels = [objects[:, None]]
        if includes(self.level, "class"):
            channels.append(regions[:, None] == np.arange(len(self.categories.regions))[:, None, None])
        if includes(self.level, "label"):
            named = self.labels[indices][:, None] == np.arange(len(self.categories.labels))
            channels.append(objects[:, None] & named[:, :, None, None])
        if includes(self.level, "edges"):
            channels.append(self.edges[indices])
        if includes(self.level, "thumbnail"):
            scale = regions.shape[-1] // TILES
            colours = self.thumbnails[indices].repeat(scale, 2).repeat(scale, 3)
            channels.append(colours.astype(np.float32) / 255)
        return np.concatenate(channels, axis=1, dtype=np.float32)

    def sizes(self) -> np.ndarray:
        """Bytes of each image's input after zlib, int64 (n,): mask codes or bits,
        label, edge bits, colours.
        """
        return np.array([len(zlib.compress(self._encoded(index), 9)) for index in range(len(self.labels))])

    def _encoded(self, index: int) -> bytes:
        regions = self.regions[index]
        objects = np.packbits(np.isin(regions, self.categories.objects))
        parts = [regions.tobytes() if includes(self.level, "class") else objects.tobytes()]
        if includes(self.level, "label"):
            parts.append(bytes([self.labels[index]]))
        if includes(self.level, "edges"):
            edges = self.edges[index]
            parts.append(np.packbits(edges if not np.array_equal(*edges) else edges[:1]).tobytes())
        if includes(self.level, "thumbnail"):
            parts.append(self.thumbnails[index].tobytes())
        return b"".join(parts)


def condition(images: MaskedImages, level: str, edges: str = "sides") -> Conditioning:
    """The inputs of these images at a level."""
    maps = edge_maps(images.images, edges) if includes(level, "edges") else None
    colours = thumbnails(images.images) if includes(level, "thumbnail") else None
    return Conditioning(images.categories, level, images.regions, images.labels, maps, colours)
