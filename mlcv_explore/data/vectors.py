"""Data sets as vectors with labels: images reduced to small grey ones, and rows of
tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.seeds import stream_seed

TABLES = ("wine", "breast_cancer")  # of scikit-learn
ROW = 15  # columns of a table side by side in an image


@dataclass(frozen=True, eq=False)
class Vectors:
    """Labelled vectors."""

    values: np.ndarray  # float32 (n, d)
    labels: np.ndarray  # int64 (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: np.ndarray) -> "Vectors":
        """The vectors at these places."""
        return Vectors(self.values[places], self.labels[places])


def fingerprint(train: Vectors, test: Vectors, classes: Sequence[str], images: bool) -> str:
    """The content fingerprint of a data set; `images` in 0…1 count by their grey levels,
    so that rounding does not change it.
    """

    def of_rows(part: Vectors) -> Images:
        pixels = np.rint(np.clip(part.values, 0, 1) * 255).astype(np.uint8)
        pixels = pixels if images else part.values.view(np.uint8)
        return Images(pixels.reshape(len(part), 1, 1, -1), part.labels, tuple(classes))

    return content_fingerprint(of_rows(train), of_rows(test))


def grey_vectors(images: np.ndarray, side: int) -> np.ndarray:
    """Images uint8 (n, channels, h, w) as float32 (n, side²): grey, side × side, 0…1."""
    import torch
    from torch.nn import functional

    grey = torch.from_numpy(np.ascontiguousarray(images)).float().mean(1, keepdim=True) / 255
    smaller = grey.shape[-1] > side
    small = functional.interpolate(
        grey, size=(side, side), mode="bilinear", align_corners=False, antialias=smaller
    )
    return small.reshape(len(images), -1).numpy()


def from_photograph(pixels: np.ndarray, side: int) -> np.ndarray:
    """A photograph (h, w, 3) uint8, side × side, grey minus its mean, float32 (side²,);
    differences of less than a grey level count as none.
    """
    grey = grey_vectors(pixels.transpose(2, 0, 1)[None], side)[0]
    around = grey - grey.mean()
    return around if np.abs(around).max() > 1 / 255 else np.zeros_like(around)


def from_digit(digit: np.ndarray, side: int) -> np.ndarray:
    """A drawn digit (h, w) in [0, 1], the share of ink in each pixel, as a vector
    (side²,) like those of the handwritten digits.
    """
    return grey_vectors(np.rint(digit * 255).astype(np.uint8)[None, None], side)[0]


def as_image(values: np.ndarray, side: int) -> np.ndarray:
    """A vector (d,) as an image side × side; where `side` is 0 a table's columns in rows
    of ROW, NaN at the end.
    """
    shape = (side, side) if side else (-(-len(values) // ROW), min(ROW, len(values)))
    return np.append(values, np.full(shape[0] * shape[1] - len(values), np.nan)).reshape(shape)


def table_parts(
    name: str, sizes: Sequence[int], seed: int
) -> tuple[list[Vectors], tuple[str, ...], tuple[str, ...]]:
    """One of TABLES in stratified parts in the proportion of `sizes`, columns
    standardised by the first part; the names of classes and columns.
    """
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    table = getattr(datasets, f"load_{name}")()
    rest, cuts, places = sum(sizes), [], np.arange(len(table.target))
    for order, size in enumerate(sizes[:-1]):
        state = stream_seed(seed, f"part {order} of a table") % 2**32
        one, places = train_test_split(
            places, train_size=size / rest, stratify=table.target[places], random_state=state
        )
        cuts.append(one)
        rest -= size
    cuts.append(places)
    mean, deviation = table.data[cuts[0]].mean(0), table.data[cuts[0]].std(0)
    values = ((table.data - mean) / np.maximum(deviation, 1e-9)).astype(np.float32)
    classes, columns = (tuple(map(str, names)) for names in (table.target_names, table.feature_names))
    return [Vectors(values[cut], table.target[cut].astype(np.int64)) for cut in cuts], classes, columns
