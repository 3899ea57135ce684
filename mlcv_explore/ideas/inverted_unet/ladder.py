"""The ladder of detail: what a network is told of a picture at each rung, as hard
channels, and how many bytes that takes.

Every rung holds the channels of those below it. Nothing is resized smoothly, for a grey
border carries grey levels of the picture; only the last rung, the thumbnail, holds
colours, and that is its point.
"""

import zlib

import numpy as np
from scipy import ndimage

from mlcv_explore.ideas.inverted_unet.worlds import Pictures, World

RUNGS = ("binary", "class", "label", "edges", "thumbnail")
EDGES = ("sides", "lines")
EDGE_STEP = 12  # grey levels above or below the mean of the pixels around
EDGE_WINDOW = 5  # pixels a side of what counts as around
TILES = 4  # a thumbnail has so many mean colours a side
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def has(rung: str, detail: str) -> bool:
    """Whether a rung holds the channels of `detail`, itself or a lower one."""
    return RUNGS.index(rung) >= RUNGS.index(detail)


def channels(world: World, rung: str) -> int:
    """How many channels a rung has."""
    own = {"binary": 1, "class": len(world.regions), "label": len(world.labels), "edges": 2, "thumbnail": 3}
    return sum(count for detail, count in own.items() if has(rung, detail))


def sides_of_edges(images: np.ndarray) -> np.ndarray:
    """The two sides of the edges of pictures uint8 (n, 3, h, w), as bool (n, 2, h, w).

    First the pixels whose brightness is more than 12 grey levels above the mean of the
    5 × 5 pixels around them, then those more than 12 below.
    """
    grey = np.tensordot(LUMA, images.astype(np.float32), axes=(0, 1))  # (n, h, w)
    above = grey - ndimage.uniform_filter(grey, (0, EDGE_WINDOW, EDGE_WINDOW), mode="nearest")
    return np.stack([above > EDGE_STEP, above < -EDGE_STEP], axis=1)


def edges_of(images: np.ndarray, kind: str) -> np.ndarray:
    """bool (n, 2, h, w): both sides apart ("sides"), or twice the same line drawing,
    which does not say what is bright ("lines").
    """
    sides = sides_of_edges(images)
    return sides if kind == "sides" else np.repeat(sides.any(1, keepdims=True), 2, axis=1)


def thumbnails_of(images: np.ndarray) -> np.ndarray:
    """The mean colours of 4 × 4 tiles of pictures uint8 (n, 3, h, w), as uint8 (n, 3,
    4, 4).
    """
    count, _, height, width = images.shape
    tiles = images.reshape(count, 3, TILES, height // TILES, TILES, width // TILES)
    return np.rint(tiles.mean(axis=(3, 5))).astype(np.uint8)


class Told:
    """What is told of n pictures at one rung, kept small: channels are made of it a few
    pictures at a time.
    """

    def __init__(
        self,
        world: World,
        rung: str,
        regions: np.ndarray,
        labels: np.ndarray,
        edges: np.ndarray | None = None,
        thumbnails: np.ndarray | None = None,
    ) -> None:
        """`regions` uint8 (n, h, w), `labels` int64 (n,); from their rungs on `edges`
        bool (n, 2, h, w) and `thumbnails` uint8 (n, 3, 4, 4).
        """
        self.world, self.rung, self.regions, self.labels, self.edges, self.thumbnails = (
            world,
            rung,
            regions,
            labels,
            edges,
            thumbnails,
        )

    def inputs(self, places: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The channels of some of them, float32 (n, channels, h, w) in [0, 1]; all but
        the thumbnail's are 0 or 1.
        """
        regions = self.regions[places]
        objects = np.isin(regions, self.world.objects)
        found = [objects[:, None]]
        if has(self.rung, "class"):
            found.append(regions[:, None] == np.arange(len(self.world.regions))[:, None, None])
        if has(self.rung, "label"):
            named = self.labels[places][:, None] == np.arange(len(self.world.labels))
            found.append(objects[:, None] & named[:, :, None, None])
        if has(self.rung, "edges"):
            found.append(self.edges[places])
        if has(self.rung, "thumbnail"):
            scale = regions.shape[-1] // TILES
            found.append(self.thumbnails[places].repeat(scale, 2).repeat(scale, 3).astype(np.float32) / 255)
        return np.concatenate(found, axis=1, dtype=np.float32)

    def sizes(self) -> np.ndarray:
        """Bytes that zlib needs for what each picture's network is told, int64 (n,):
        codes or bits of the mask, label, bits of the edges, colours.
        """
        return np.array([len(zlib.compress(self._written(place), 9)) for place in range(len(self.labels))])

    def _written(self, place: int) -> bytes:
        regions = self.regions[place]
        told = [
            (
                regions.tobytes()
                if has(self.rung, "class")
                else np.packbits(np.isin(regions, self.world.objects)).tobytes()
            )
        ]
        if has(self.rung, "label"):
            told.append(bytes([self.labels[place]]))
        if has(self.rung, "edges"):
            kinds = self.edges[place] if not np.array_equal(*self.edges[place]) else self.edges[place, :1]
            told.append(np.packbits(kinds).tobytes())
        if has(self.rung, "thumbnail"):
            told.append(self.thumbnails[place].tobytes())
        return b"".join(told)


def told(pictures: Pictures, rung: str, edges: str = "sides") -> Told:
    """What a rung tells of these pictures."""
    sketched = edges_of(pictures.images, edges) if has(rung, "edges") else None
    small = thumbnails_of(pictures.images) if has(rung, "thumbnail") else None
    return Told(pictures.world, rung, pictures.regions, pictures.labels, sketched, small)
