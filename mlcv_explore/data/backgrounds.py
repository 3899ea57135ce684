"""Backgrounds of the scenes: crops of scikit-learn's two photographs."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from mlcv_explore.data.shapes import pick

ZOOMS = (1, 2, 3)  # the photographs as they are, and at a half and a third of their size
MIN_DEVIATION = 20  # grey levels; where a crop deviates less it is sky or blur, no texture


@dataclass(frozen=True)
class Photograph:
    """One of the photographs that backgrounds are cut from, to be named where scenes
    are shown.
    """

    file: str
    author: str
    address: str
    licence: str = "CC BY 2.0"


# scikit-learn's README repeats the first author's name above the second photograph, but gives the
# address of its true author.
PHOTOGRAPHS = (
    Photograph(
        "china.jpg", "danielbuechele (Flickr)", "https://www.flickr.com/photos/danielbuechele/6061409035/"
    ),
    Photograph("flower.jpg", "vultilion (Flickr)", "https://www.flickr.com/photos/vultilion/6056698931/"),
)


def crop_photographs(side: int, draws: dict[str, np.ndarray]) -> np.ndarray:
    """Crops of the photographs, uint8 (n, 3, side, side): either photograph and every
    zoom equally often, half of them mirrored.
    """
    pixels, crops = _photograph_pixels(side)
    chosen = pick(draws["cutting"], len(crops))
    widths = np.array([width for width, _ in crops])[chosen]
    counts = np.array([len(places) for _, places in crops])
    firsts = (np.cumsum(counts) - counts)[chosen] + pick(draws["plate place"], counts[chosen])
    corners = np.concatenate([places for _, places in crops])[firsts]
    columns = np.where(draws["mirrored"][:, None] < 0.5, np.arange(side), np.arange(side)[::-1])  # (n, side)
    rows = corners[:, None] + np.arange(side) * widths[:, None]
    return np.ascontiguousarray(pixels[rows[:, :, None] + columns[:, None, :]].transpose(0, 3, 1, 2))


@cache
def _photograph_pixels(side: int) -> tuple[np.ndarray, tuple[tuple[int, np.ndarray], ...]]:
    """All pixels of the photographs at all zooms, uint8 (pixels, 3), and for each its
    width and the pixels that a crop can begin with.
    """
    from sklearn.datasets import load_sample_image

    pixels, crops, before = [], [], 0
    for photograph in PHOTOGRAPHS:
        whole = load_sample_image(photograph.file)
        for zoom in ZOOMS:
            height, width = (length // zoom for length in whole.shape[:2])
            parts = whole[: height * zoom, : width * zoom].reshape(height, zoom, width, zoom, 3)
            view = np.rint(parts.mean(axis=(1, 3))).astype(np.uint8)
            tops, lefts = np.nonzero(_deviations(view.mean(axis=2), side) >= MIN_DEVIATION)
            crops.append((width, before + tops * width + lefts))
            pixels.append(view.reshape(-1, 3))
            before += height * width
    return np.concatenate(pixels), tuple(crops)


def _deviations(grey: np.ndarray, side: int) -> np.ndarray:
    """The standard deviation of every side × side window of an image, by its top left
    corner.
    """
    sums = []
    for values in (grey, grey**2):
        total = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
        sums.append(
            (total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side])
            / side**2
        )
    mean, mean_of_squares = sums
    return np.sqrt(np.maximum(mean_of_squares - mean**2, 0))
