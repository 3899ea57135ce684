"""What is to be explained: glyphs whose grammar is known, handwritten digits,
photographs made small and grey, and rows of tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore import data
from mlcv_explore.ideas.hierarchical_explanation.strokes import KINDS, SIDE, stroke
from mlcv_explore.seeds import numpy_stream, stream_seed

TABLES = ("wine", "breast_cancer")
PICTURES = ("glyphs", "digits", "fashion_mnist", "cifar10")
GLYPHS = tuple("ABCDEFGHIJ")  # what the ten glyphs are called
PARTS = 12  # of the grammar
WINDOW = 8  # pixels a side of what a part fills
CORNERS = ((0, 0), (0, 8), (8, 0), (8, 8))  # where the parts of a glyph stand


@dataclass(frozen=True, eq=False)
class Items:
    """Things to explain, as vectors."""

    values: np.ndarray  # float32 (n, d): brightness 0…1 of 16 × 16 pixels, or standardised columns of a table
    labels: np.ndarray  # int64 (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: np.ndarray) -> "Items":
        """Some of them."""
        return Items(self.values[places], self.labels[places])


@dataclass(frozen=True, eq=False)
class World:
    """One seed's items, in parts that share none."""

    name: str
    classes: tuple[str, ...]
    taught: Items  # what vocabularies and trees learn from
    judged: Items  # what the independent classifier learns from
    validated: Items
    tested: Items
    # float32 (PARTS, WINDOW²), unit rows: the true ones, where there is a grammar
    parts: np.ndarray | None = None
    columns: tuple[str, ...] = ()  # of a table

    @property
    def of_pictures(self) -> bool:
        """Whether items are pictures, 16 × 16."""
        return not self.columns


@dataclass(frozen=True, eq=False)
class Grammar:
    """Strokes make parts, parts make glyphs."""

    # of each part its strokes: kind, row, column in the window
    parts: tuple[tuple[tuple[int, float, float], ...], ...]
    glyphs: np.ndarray  # int64 (10, 4): the part at each corner, −1 for none

    def picture_of(self, part: int) -> np.ndarray:
        """A part in the middle of its window, (WINDOW, WINDOW), brightest pixel 1."""
        whole = sum(stroke(kind, row, column, WINDOW) for kind, row, column in self.parts[part])
        return whole / whole.max()


def grammar(seed: int) -> Grammar:
    """Twelve parts of two or three strokes, and ten glyphs of three or four of them;
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
    """Fresh glyphs: every part up to a pixel off its corner and fainter by up to a
    third, one stray stroke, a little noise.
    """
    draw = numpy_stream(seed, f"glyphs {purpose}")
    labels = draw.permutation(np.arange(count) % len(GLYPHS))
    pictures = np.zeros((count, SIDE, SIDE))
    drawn = [rules.picture_of(part) for part in range(PARTS)]
    for picture, label in zip(pictures, labels, strict=True):
        for (top, left), part in zip(CORNERS, rules.glyphs[label], strict=True):
            if part >= 0:
                row, column = np.clip(np.array([top, left]) + draw.integers(-1, 2, size=2), 0, SIDE - WINDOW)
                picture[row : row + WINDOW, column : column + WINDOW] += draw.uniform(2 / 3, 1) * drawn[part]
        stray = stroke(draw.integers(KINDS), *draw.uniform(2, SIDE - 2, size=2))
        picture += 0.5 * stray / stray.max()
    pictures += 0.03 * draw.standard_normal(pictures.shape)
    return Items(np.clip(pictures, 0, 1).reshape(count, -1).astype(np.float32), labels.astype(np.int64))


def true_parts(rules: Grammar) -> np.ndarray:
    """The parts themselves as unit rows, float32 (PARTS, WINDOW²)."""
    pictures = np.stack([rules.picture_of(part).ravel() for part in range(PARTS)])
    return (pictures / np.linalg.norm(pictures, axis=1, keepdims=True)).astype(np.float32)


def world(name: str, sizes: Sequence[int], seed: int) -> World:
    """One seed's world: numbers of items taught, judged, validated, tested. Raises
    DataError, SettingError.
    """
    if name == "glyphs":
        rules = grammar(seed)
        parts = (
            draw_glyphs(rules, size, seed, purpose)
            for size, purpose in zip(sizes, ("taught", "judged", "validated", "tested"), strict=True)
        )
        return World(name, GLYPHS, *parts, parts=true_parts(rules))
    if name in TABLES:
        return _table(name, sizes, seed)
    taught, judged, validated, tested = sizes
    parts = data.split(data.load(name), taught + judged, validated, tested, seed)
    train = Items(as_vectors(parts.train.images), parts.train.labels)
    order = numpy_stream(seed, "two halves").permutation(len(train))
    rest = (Items(as_vectors(part.images), part.labels) for part in (parts.validation, parts.test))
    return World(name, parts.train.classes, train.take(order[:taught]), train.take(order[taught:]), *rest)


def as_vectors(images: np.ndarray) -> np.ndarray:
    """Pictures uint8 (n, channels, h, w) as float32 (n, 256): grey, 16 × 16, 0…1."""
    import torch
    from torch.nn import functional

    grey = torch.from_numpy(np.ascontiguousarray(images)).float().mean(1, keepdim=True) / 255
    smaller = grey.shape[-1] > SIDE
    small = functional.interpolate(
        grey, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=smaller
    )
    return small.reshape(len(images), -1).numpy()


def _table(name: str, sizes: Sequence[int], seed: int) -> World:
    """A table of scikit-learn's, drawn into four stratified parts in the proportion of
    `sizes`, columns standardised by what is taught.
    """
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    found = getattr(datasets, f"load_{name}")()
    rest, cuts, places = sum(sizes), [], np.arange(len(found.target))
    for order, size in enumerate(sizes[:-1]):
        state = stream_seed(seed, f"part {order} of a table") % 2**32
        one, places = train_test_split(
            places, train_size=size / rest, stratify=found.target[places], random_state=state
        )
        cuts.append(one)
        rest -= size
    cuts.append(places)
    mean, deviation = found.data[cuts[0]].mean(0), found.data[cuts[0]].std(0)
    values = ((found.data - mean) / np.maximum(deviation, 1e-9)).astype(np.float32)
    items = (Items(values[cut], found.target[cut].astype(np.int64)) for cut in cuts)
    return World(
        name, tuple(map(str, found.target_names)), *items, columns=tuple(map(str, found.feature_names))
    )
