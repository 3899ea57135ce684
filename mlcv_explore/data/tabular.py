"""Tables bundled with scikit-learn or of photographs, standardised, and random parts of
them for small experiments on the CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from mlcv_explore import data
from mlcv_explore.data.vectors import grey_vectors

NAMES = ("cifar10_features", "digits", "wine", "breast_cancer", "diabetes", "iris")
WIDE = NAMES[:5]  # those with ten columns or more
# name → data set of images or features, labels that are kept; three are of grey pixels
PHOTOGRAPHS = {
    "animal features": ("cifar10_features", (2, 3, 4, 5, 6, 7)),
    "vehicle features": ("cifar10_features", (0, 1, 8, 9)),
    "animal pixels": ("cifar10", (2, 3, 4, 5, 6, 7)),
    "vehicle pixels": ("cifar10", (0, 1, 8, 9)),
    "clothing pixels": ("fashion_mnist", tuple(range(10))),
}
SIDE, MOST = 12, 2000  # pixels a side, and photographs, of a table


@dataclass(frozen=True, eq=False)
class TabularData:
    """A data set, or rows of one."""

    columns: np.ndarray  # (n, d) float64; of a whole set mean 0, deviation 1 (of images over all columns)
    target: np.ndarray  # (n,) int64 classes, or float64 of mean 0 and deviation 1
    classes: int  # 0 for regression


@dataclass(frozen=True, eq=False)
class Problem:
    """Training, validation and test part of a table."""

    columns: tuple[np.ndarray, np.ndarray, np.ndarray]  # (n, d), centred by the training part
    target: tuple[np.ndarray, np.ndarray, np.ndarray]  # (n,) numbers of training mean 0, or classes


@cache
def load(name: str) -> TabularData:
    """A data set by its name, one of NAMES or PHOTOGRAPHS. Raises DataError where its
    photographs are not here.
    """
    if name in PHOTOGRAPHS or name == "cifar10_features":
        return _photographs(*PHOTOGRAPHS.get(name, (name, tuple(range(10)))))
    from sklearn import datasets

    raw, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "diabetes":
        return TabularData((raw - raw.mean(0)) / raw.std(0), (target - target.mean()) / target.std(), 0)
    centred = raw - raw.mean(0)
    # a pixel that is hardly ever inked must not count like the others
    scale = centred.std() if name == "digits" else centred.std(0)
    return TabularData(centred / scale, target.astype(np.int64), int(target.max()) + 1)


def _photographs(name: str, labels: Sequence[int]) -> TabularData:
    """Photographs of these classes, evenly spaced in a training part: features, or pixels."""
    images = data.load(name).train
    kept = np.flatnonzero(np.isin(images.labels, labels))
    kept = kept[np.unique(np.linspace(0, len(kept) - 1, MOST).astype(int))]  # it may be sorted by class
    values = np.asarray(images.images[kept])
    columns = (values if values.ndim == 2 else grey_vectors(values, SIDE)).astype(float)
    centred = columns - columns.mean(0)
    return TabularData(centred / centred.std(), np.searchsorted(labels, images.labels[kept]), len(labels))


def draw_parts(
    names: Sequence[str], most: int, shares: Sequence[int], rng: np.random.Generator
) -> list[TabularData]:
    """Disjoint parts, in the proportion of `shares`, of at most `most` rows of a data
    set drawn from `names`.
    """
    table, parts = _draw_rows(names, most, shares, rng)
    return [TabularData(table.columns[part], table.target[part], table.classes) for part in parts]


def draw_problem(names: Sequence[str], most: int, rng: np.random.Generator, classes: bool = False) -> Problem:
    """Half, a quarter and a quarter of at most `most` rows of a drawn data set, without
    columns that are constant in training. Without `classes` the target is a number: of
    a classification, a drawn class against the others.
    """
    table, parts = _draw_rows(names, most, (2, 1, 1), rng)
    target = table.target
    if not classes:
        target = (target == rng.integers(table.classes)).astype(float) if table.classes else target
        target = target - target[parts[0]].mean()
    columns = table.columns[:, table.columns[parts[0]].std(0) > 0]
    centre = columns[parts[0]].mean(0)
    return Problem(tuple(columns[part] - centre for part in parts), tuple(target[part] for part in parts))


def _draw_rows(
    names: Sequence[str], most: int, shares: Sequence[int], rng: np.random.Generator
) -> tuple[TabularData, list[np.ndarray]]:
    """A drawn data set, and rows (n,) for each part."""
    table = load(names[rng.integers(len(names))])
    rows = rng.permutation(len(table.target))[:most]
    return table, np.split(rows, np.cumsum(shares)[:-1] * len(rows) // sum(shares))
