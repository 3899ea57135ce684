"""Data sets of vectors in four parts, for what is learned from some items, judged by a
classifier of others, chosen on a third and measured on a fourth part: digits as small
grey images, patches of photographs, glyphs with a known grammar, rows of tables. What
the seeds of a run on them draw; and level 0 of dictionaries over them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore import data
from mlcv_explore.data import glyphs, strokes, vectors
from mlcv_explore.data.glyphs import SIDE
from mlcv_explore.data.vectors import Vectors
from mlcv_explore.models.hierarchical_dictionary import Dictionary
from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics import Split
from mlcv_explore.statistics.estimands import OWN_DATA

PATCHES = "cifar10"  # photographs, of which patches are cut


@dataclass(frozen=True, eq=False)
class VectorSet:
    """One seed's items, in parts that share none."""

    classes: tuple[str, ...]
    train: Vectors
    classifier_train: Vectors  # for the classifier that judges what was learned from the others
    validation: Vectors
    test: Vectors
    parts: np.ndarray | None = None  # float32 (P, w²), unit rows: of the grammar, where there is one
    columns: tuple[str, ...] = ()  # of a table

    @property
    def side(self) -> int:
        """Pixels of an image's side, 0 for tables."""
        return 0 if self.columns else SIDE


def load(name: str, sizes: Sequence[int], seed: int) -> VectorSet:
    """One seed's data set; `sizes` counts the items of its four parts. Raises
    DataError, SettingError.
    """
    if name == "glyphs":
        rules, purposes = glyphs.grammar(seed), ("taught", "judged", "validated", "tested")
        pairs = zip(sizes, purposes, strict=True)
        drawn = (glyphs.generate(rules, size, seed, purpose) for size, purpose in pairs)
        return VectorSet(glyphs.CLASSES, *drawn, parts=rules.unit_parts())
    if name in vectors.TABLES:
        parts, classes, columns = vectors.table_parts(name, sizes, seed)
        return VectorSet(classes, *parts, columns=columns)
    train, classifier_train, *held_out = sizes
    split = data.split(data.load(name), train + classifier_train, *held_out, seed)
    parts, draw = (split.train, split.validation, split.test), numpy_stream(seed, "patches")
    both, *rest = (
        Vectors(
            patches(part.images, draw) if name == PATCHES else vectors.grey_vectors(part.images, SIDE),
            part.labels,
        )
        for part in parts
    )
    order = numpy_stream(seed, "two halves").permutation(len(both))
    return VectorSet(split.train.classes, both.take(order[:train]), both.take(order[train:]), *rest)


def patches(images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A square of SIDE pixels at a random place of each image uint8 (n, channels, h, w),
    grey in 0…1 minus its mean, float32 (n, SIDE²).
    """
    height, width = (length - SIDE + 1 for length in images.shape[2:])
    corners = draw.integers((height, width), size=(len(images), 2))
    cut = np.stack(
        [
            image[:, row : row + SIDE, column : column + SIDE]
            for image, (row, column) in zip(images, corners, strict=True)
        ]
    )
    grey = vectors.grey_vectors(cut, SIDE)
    return grey - grey.mean(1, keepdims=True)


def split_sizes(config: Any) -> Split | None:
    """Sizes of the training and the test part of a run with the settings dataset,
    train_items and test_items, where every seed has a split of its own of one data set;
    None for glyphs, which are generated anew.
    """
    return None if config.dataset == "glyphs" else Split(config.train_items, config.test_items)


def estimand(config: Any) -> str:
    """What differences between runs with the setting dataset are taken over, where the
    split does not imply it.
    """
    return OWN_DATA if config.dataset == "glyphs" else ""


def level_zero(side: int, size: int) -> Dictionary:
    """Strokes at every pixel of images of this side, or (0) the columns of a table."""
    return Dictionary(strokes.placed(side) if side else np.eye(size, dtype=np.float32), side=side)
