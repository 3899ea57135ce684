"""What is explained: glyphs with a known grammar, handwritten digits, photographs as
small grey images, and rows of tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore import data
from mlcv_explore.ideas.hierarchical_explanation.strokes import KINDS, SIDE, stroke
from mlcv_explore.seeds import numpy_stream, stream_seed

TABLES = ("wine", "breast_cancer")
GLYPHS = tuple("ABCDEFGHIJ")  # the ten classes of glyphs
PARTS = 12  # of the grammar
WINDOW = 8  # pixels a side of a part
CORNERS = ((0, 0), (0, 8), (8, 0), (8, 8))  # where the parts of a glyph stand


@dataclass(frozen=True, eq=False)
class Items:
    """Images or rows to explain, as vectors."""

    values: np.ndarray  # float32 (n, d): brightness 0…1 of 16 × 16 pixels, or standardised columns of a table
    labels: np.ndarray  # int64 (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: np.ndarray) -> "Items":
        """The items at these places."""
        return Items(self.values[places], self.labels[places])


@dataclass(frozen=True, eq=False)
class Dataset:
    """One seed's items, in parts that share none."""

    name: str
    classes: tuple[str, ...]
    train: Items  # for dictionaries and trees
    classifier_train: Items  # for the classifier that judges explanations
    validation: Items
    test: Items
    # float32 (PARTS, WINDOW²), unit rows: the grammar's parts, where there is a grammar
    parts: np.ndarray | None = None
    columns: tuple[str, ...] = ()  # of a table

    @property
    def has_images(self) -> bool:
        """Whether items are images, 16 × 16."""
        return not self.columns


@dataclass(frozen=True, eq=False)
class Grammar:
    """Strokes make parts, parts make glyphs."""

    # of each part its strokes: kind, row, column in the window
    parts: tuple[tuple[tuple[int, float, float], ...], ...]
    glyphs: np.ndarray  # int64 (10, 4): the part at each corner, −1 for none

    def image_of(self, part: int) -> np.ndarray:
        """A part in the middle of its window, (WINDOW, WINDOW), brightest pixel 1."""
        whole = sum(stroke(kind, row, column, WINDOW) for kind, row, column in self.parts[part])
        return whole / whole.max()


def grammar(seed: int) -> Grammar:
    """Twelve parts of two or three strokes, and ten glyphs of three or four parts;
    every seed has its own.
    """
    draw = numpy_stream(seed, "grammar")
    parts = []
    for _ in range(PARTS):
        kinds = draw.choice(KINDS, size=draw.integers(2, 4), replace=False)
        parts.append(tuple((int(kind), *draw.uniform(2.0, 5.0, size=2)) for kind in kinds))
    glyphs = np.full((len(GLYPHS), len(CORNERS)), -1)
    for row in glyphs:
        corners = draw.choice(len(CORNERS), size=draw.integers(3, 5), replace=False)
        row[corners] = draw.choice(PARTS, size=len(corners), replace=False)
    return Grammar(tuple(parts), glyphs)


def draw_glyphs(rules: Grammar, count: int, seed: int, purpose: str) -> Items:
    """New glyphs: every part up to a pixel off its corner and fainter by up to a third,
    one stray stroke, a little noise.
    """
    draw = numpy_stream(seed, f"glyphs {purpose}")
    labels = draw.permutation(np.arange(count) % len(GLYPHS))
    images = np.zeros((count, SIDE, SIDE))
    drawn = [rules.image_of(part) for part in range(PARTS)]
    for image, label in zip(images, labels, strict=True):
        for (top, left), part in zip(CORNERS, rules.glyphs[label], strict=True):
            if part >= 0:
                row, column = np.clip(np.array([top, left]) + draw.integers(-1, 2, size=2), 0, SIDE - WINDOW)
                image[row : row + WINDOW, column : column + WINDOW] += draw.uniform(2 / 3, 1) * drawn[part]
        stray = stroke(draw.integers(KINDS), *draw.uniform(2, SIDE - 2, size=2))
        image += 0.5 * stray / stray.max()
    images += 0.03 * draw.standard_normal(images.shape)
    return Items(np.clip(images, 0, 1).reshape(count, -1).astype(np.float32), labels.astype(np.int64))


def true_parts(rules: Grammar) -> np.ndarray:
    """The grammar's parts as unit rows, float32 (PARTS, WINDOW²)."""
    images = np.stack([rules.image_of(part).ravel() for part in range(PARTS)])
    return (images / np.linalg.norm(images, axis=1, keepdims=True)).astype(np.float32)


def load(name: str, sizes: Sequence[int], seed: int) -> Dataset:
    """One seed's data set; `sizes` counts the items of its four parts. Raises
    DataError, SettingError.
    """
    if name == "glyphs":
        rules = grammar(seed)
        parts = (
            draw_glyphs(rules, size, seed, purpose)
            for size, purpose in zip(sizes, ("taught", "judged", "validated", "tested"), strict=True)
        )
        return Dataset(name, GLYPHS, *parts, parts=true_parts(rules))
    if name in TABLES:
        return _table(name, sizes, seed)
    train, classifier_train, validation, test = sizes
    parts = data.split(data.load(name), train + classifier_train, validation, test, seed)
    both = Items(as_vectors(parts.train.images), parts.train.labels)
    order = numpy_stream(seed, "two halves").permutation(len(both))
    rest = (Items(as_vectors(part.images), part.labels) for part in (parts.validation, parts.test))
    return Dataset(name, parts.train.classes, both.take(order[:train]), both.take(order[train:]), *rest)


def as_vectors(images: np.ndarray) -> np.ndarray:
    """Images uint8 (n, channels, h, w) as float32 (n, 256): grey, 16 × 16, 0…1."""
    import torch
    from torch.nn import functional

    grey = torch.from_numpy(np.ascontiguousarray(images)).float().mean(1, keepdim=True) / 255
    smaller = grey.shape[-1] > SIDE
    small = functional.interpolate(
        grey, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=smaller
    )
    return small.reshape(len(images), -1).numpy()


def _table(name: str, sizes: Sequence[int], seed: int) -> Dataset:
    """A table of scikit-learn's in four stratified parts in the proportion of `sizes`,
    columns standardised by the first.
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
    parts = (Items(values[cut], table.target[cut].astype(np.int64)) for cut in cuts)
    classes, columns = (tuple(map(str, names)) for names in (table.target_names, table.feature_names))
    return Dataset(name, classes, *parts, columns=columns)
