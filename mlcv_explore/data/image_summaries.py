"""What is left of an image in a few bits: the sides of its edges, mean colours of
tiles.
"""

import numpy as np
from scipy import ndimage

EDGE_STEP = 12  # grey levels above or below the mean of the surrounding pixels
EDGE_WINDOW = 5  # pixels a side of the surrounding window
TILES = 4  # mean colours a side of a thumbnail
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def edge_sides(images: np.ndarray) -> np.ndarray:
    """The two sides of the edges of images uint8 (n, 3, h, w), as bool (n, 2, h, w).

    First the pixels more than 12 grey levels brighter than the mean of the 5 × 5 pixels
    around them, then those more than 12 darker.
    """
    grey = np.tensordot(LUMA, images.astype(np.float32), axes=(0, 1))  # (n, h, w)
    above = grey - ndimage.uniform_filter(grey, (0, EDGE_WINDOW, EDGE_WINDOW), mode="nearest")
    return np.stack([above > EDGE_STEP, above < -EDGE_STEP], axis=1)


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Mean colours of 4 × 4 tiles of images uint8 (n, 3, h, w), uint8 (n, 3, 4, 4)."""
    count, _, height, width = images.shape
    tiles = images.reshape(count, 3, TILES, height // TILES, TILES, width // TILES)
    return np.rint(tiles.mean(axis=(3, 5))).astype(np.uint8)
