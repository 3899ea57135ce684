"""Dictionaries in levels: strokes, parts made of strokes, whole images made of parts;
and the bits each costs.

Every learned atom is a short list of atoms of the levels below with a coefficient each.
A part may stand at any place of an image; a whole fills it. In a table level 0 is the
columns, and atoms have no place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from mlcv_explore.ideas.hierarchical_explanation import strokes
from mlcv_explore.ideas.hierarchical_explanation.datasets import WINDOW, Dataset, Items
from mlcv_explore.models.sparse_coding import (
    coefficients,
    explained_energy,
    matching_pursuit,
    quantise,
    reconstruct,
    unit_rows,
)
from mlcv_explore.seeds import numpy_stream, stream_seed

PIECES = (3, 6)  # atoms of lower levels in one of level 1, of level 2, at most
ACCEPTED = 0.6  # share of energy from which an explanation is a candidate for its level
EXAMPLES = 4000  # candidates that a level is learned from, at most
# pixels that a window's centre of light may be off its middle, so that one part is not learned at
# many places
CENTRED = 1.0


@dataclass(frozen=True, eq=False)
class Level:
    """Atoms of one level, each made of atoms below."""

    # int64 (K, q): indexes into the placed atoms of all levels below, −1 for none; of a part at its
    # first place
    pieces: np.ndarray
    weights: np.ndarray  # float32 (K, q), up to a common factor: an atom is scaled to a unit vector
    placed: bool  # whether an atom may stand at any place of an image: a part

    def __len__(self) -> int:
        return len(self.pieces)


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Levels over level 0. Placed atoms are numbered level by level, kind by kind,
    place by place.
    """

    first: np.ndarray  # float32 (n₀, d), unit rows: level 0
    levels: tuple[Level, ...] = ()
    side: int = 0  # of the images, 0 for tables

    @cached_property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Where a part may stand: the top left corner of its window."""
        reach = range(self.side - WINDOW + 1)
        return tuple((row, column) for row in reach for column in reach)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Placed atoms of each level."""
        learned = (len(level) * (len(self.places) if level.placed else 1) for level in self.levels)
        return (len(self.first), *learned)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The number of each level's first placed atom, and of the one after the last."""
        return tuple(int(end) for end in np.cumsum((0, *self.sizes)))

    @cached_property
    def composition(self) -> tuple[sparse.csr_matrix, ...]:
        """For each learned level C: (its placed atoms, all placed atoms below), so that
        a level's atoms are C times those below.
        """
        return tuple(self._composed(number, level) for number, level in enumerate(self.levels, start=1))

    @cached_property
    def in_first(self) -> sparse.csr_matrix:
        """Every placed atom in strokes (or columns), (placed atoms, n₀): atoms are
        in_first · first.
        """
        matrix = sparse.identity(len(self.first), dtype=np.float32, format="csr")
        for level in self.composition:
            matrix = sparse.vstack([matrix, level @ matrix], format="csr")
        return matrix

    @cached_property
    def atoms(self) -> np.ndarray:
        """Every placed atom, float32 (placed atoms, d), unit rows."""
        learned = np.asarray(self.in_first[len(self.first) :] @ self.first)
        return np.concatenate([self.first, learned]).astype(np.float32)

    def level_of(self, atom: int) -> int:
        """The level of a placed atom."""
        return int(np.searchsorted(self.starts, atom, side="right")) - 1

    def kind_of(self, atom: int) -> int:
        """Which atom of its level a placed atom is, wherever it stands."""
        level = self.level_of(atom)
        if level == 0:
            return atom // self.side**2 if self.side else atom
        return (atom - self.starts[level]) // (len(self.places) if self.levels[level - 1].placed else 1)

    def pieces_of(self, atom: int) -> list[tuple[int, float]]:
        """The placed atoms that an atom is made of directly, with their coefficients."""
        level = self.level_of(atom)
        if level == 0:
            return []
        row = self.composition[level - 1][atom - self.starts[level]]
        return [(int(piece), float(weight)) for piece, weight in zip(row.indices, row.data, strict=True)]

    def up_to(self, level: int) -> "Dictionary":
        """The levels 0…level."""
        return Dictionary(self.first, self.levels[:level], self.side)

    def bits(self, coefficient_bits: int) -> float:
        """To store all learned atoms: for every piece its index among the atoms below,
        and its coefficient. Level 0 is free.
        """
        below = self.starts[1:]
        return sum(
            (level.pieces >= 0).sum() * (math.log2(under) + coefficient_bits)
            for level, under in zip(self.levels, below, strict=False)
        )

    def bits_as_strokes(self, coefficient_bits: int) -> float:
        """To store the same atoms without levels, each in atoms of level 0."""
        learned = sum(self._first_places(number).getnnz() for number in range(1, len(self.levels) + 1))
        return learned * (math.log2(len(self.first)) + coefficient_bits)

    def _first_places(self, number: int) -> sparse.csr_matrix:
        """The atoms of a level at their first place, in level 0, (K, n₀)."""
        level = self.levels[number - 1]
        step = len(self.places) if level.placed else 1
        return self.in_first[self.starts[number] : self.starts[number + 1]][::step]

    def canonical(self, number: int) -> np.ndarray:
        """The atoms of a level at their first place, float32 (K, d)."""
        return np.asarray(self._first_places(number) @ self.first, dtype=np.float32)

    def _composed(self, number: int, level: Level) -> sparse.csr_matrix:
        below = Dictionary(self.first, self.levels[: number - 1], self.side)
        present = level.pieces >= 0
        kinds, _ = np.nonzero(present)
        pieces, weights, count = level.pieces[present], level.weights[present], len(level)
        if level.placed:
            # a part moved by (row, column) has its strokes moved by as much; strokes are numbered
            # by row, then column
            moves = np.array([row * self.side + column for row, column in self.places])
            kinds = (kinds[:, None] * len(moves) + np.arange(len(moves))).ravel()
            pieces, weights = (pieces[:, None] + moves).ravel(), np.repeat(weights, len(moves))
            count = count * len(moves)
        matrix = sparse.csr_matrix((weights, (kinds, pieces)), shape=(count, below.starts[-1]))
        # at an edge strokes are cut off, so lengths are computed place by place
        lengths = np.linalg.norm(matrix @ below.in_first @ self.first, axis=1)
        return sparse.diags((1 / np.maximum(lengths, 1e-9)).astype(np.float32)) @ matrix


def level_zero(dataset: Dataset) -> Dictionary:
    """Level 0 alone: strokes at every pixel, or the columns of a table."""
    if dataset.has_images:
        return Dictionary(strokes.placed(), side=strokes.SIDE)
    return Dictionary(np.eye(len(dataset.columns), dtype=np.float32))


def learn(
    dataset: Dataset,
    items: Items,
    grid: Sequence[Sequence[int]],
    coefficient_bits: int,
    seed: int,
    purpose: str = "vocabulary",
) -> list[Dictionary]:
    """One dictionary for each sizes of the grid, its levels learned one on the other.

    Level 1 explains windows of images (rows of a table), level 2 whole images.
    Explanations over the levels below with ACCEPTED of the energy are candidates; the
    centres of their spherical k-means become atoms, each in at most PIECES atoms of the
    levels below. With fewer than two candidates there is no such level, nor any above.
    """
    first = level_zero(dataset)
    lowest = _candidates(first, items, dataset.has_images)  # computed once for all sizes
    learned = []
    for sizes in grid:
        dictionary = first
        for number, size in enumerate(sizes):
            placed = dataset.has_images and number == 0
            candidates = lowest if number == 0 else _candidates(dictionary, items, placed)
            if len(candidates) < 2:
                break
            centres = _centres(candidates, min(size, len(candidates)), seed, f"{purpose}, level {number + 1}")
            allowed = _allowed(dictionary, placed)
            atoms = dictionary.atoms[allowed]
            chosen = matching_pursuit(centres, atoms, PIECES[number])
            weights = quantise(coefficients(centres, atoms, chosen), coefficient_bits)
            level = Level(np.where(chosen >= 0, allowed[chosen], -1), weights, placed)
            dictionary = Dictionary(dictionary.first, (*dictionary.levels, level), dictionary.side)
        learned.append(dictionary)
    return learned


def _candidates(dictionary: Dictionary, items: Items, placed: bool) -> np.ndarray:
    """Reconstructions of all items, or of their windows, that explain ACCEPTED of the
    energy, (a, d).
    """
    values = windows(items.values, dictionary.side) if placed else items.values
    atoms = dictionary.atoms[_allowed(dictionary, placed)]
    chosen = matching_pursuit(values, atoms, PIECES[len(dictionary.levels)])
    images = reconstruct(atoms, chosen, coefficients(values, atoms, chosen))
    return images[explained_energy(values, images) >= ACCEPTED]


def _allowed(dictionary: Dictionary, placed: bool) -> np.ndarray:
    """The atoms a new level may use: for parts, strokes with their middle in the first
    window.
    """
    if not placed:
        return np.arange(dictionary.starts[-1])
    every = np.arange(len(dictionary.first))
    _, rows, columns = strokes.place_of(every, dictionary.side)
    return every[(rows < WINDOW) & (columns < WINDOW)]


def shuffled(dictionary: Dictionary, seed: int) -> Dictionary:
    """The control: as many atoms of as many pieces with the same coefficients, but the
    pieces drawn at random: for parts from the strokes of a window, for wholes from the
    atoms that any whole is made of.
    """
    draw = numpy_stream(seed, "shuffled hierarchy")
    control = Dictionary(dictionary.first, (), dictionary.side)
    for level in dictionary.levels:
        used = np.unique(level.pieces[level.pieces >= 0])
        pool = _allowed(control, True) if level.placed else used
        pieces = np.where(level.pieces >= 0, draw.choice(pool, size=level.pieces.shape), -1)
        for row in pieces:  # a piece twice would be one
            row[row >= 0] = draw.choice(pool, size=(row >= 0).sum(), replace=False)
        levels = (*control.levels, Level(pieces, level.weights, level.placed))
        control = Dictionary(control.first, levels, control.side)
    return control


def windows(values: np.ndarray, side: int) -> np.ndarray:
    """Windows of images (n, side²) with light in their middle, moved to the top left
    corner of an empty image, (w, side²).
    """
    images = values.reshape(-1, side, side)
    cuts = np.lib.stride_tricks.sliding_window_view(images, (WINDOW, WINDOW), axis=(1, 2))
    cuts = cuts[:, ::2, ::2].reshape(-1, WINDOW, WINDOW)
    light = cuts.sum((1, 2))
    axis = np.arange(WINDOW) - (WINDOW - 1) / 2
    off = np.maximum(np.abs(cuts.sum(2) @ axis), np.abs(cuts.sum(1) @ axis)) / np.maximum(light, 1e-9)
    kept = cuts[(off <= CENTRED) & (light > 0.25 * light.mean())]
    canvas = np.zeros((len(kept), side, side), np.float32)
    canvas[:, :WINDOW, :WINDOW] = kept
    return canvas.reshape(len(kept), -1)


def _centres(images: np.ndarray, count: int, seed: int, purpose: str) -> np.ndarray:
    """Centres of spherical k-means, unit rows (count, d)."""
    from sklearn.cluster import KMeans

    unit = images / np.maximum(np.linalg.norm(images, axis=1, keepdims=True), 1e-9)
    some = unit[numpy_stream(seed, f"{purpose}, examples").permutation(len(unit))[:EXAMPLES]]
    state = stream_seed(seed, purpose) % 2**32
    return unit_rows(KMeans(count, n_init=1, max_iter=30, random_state=state).fit(some).cluster_centers_)
