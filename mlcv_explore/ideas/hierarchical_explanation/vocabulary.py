"""Vocabularies built in levels: strokes, parts made of strokes, wholes made of parts;
and what each costs to write down.

Every learned atom is a short list of atoms of the levels below with a coefficient each.
A part may stand at any place of a picture; a whole fills it. In a table level 0 is the
columns, and nothing has a place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from mlcv_explore.ideas.hierarchical_explanation import strokes
from mlcv_explore.ideas.hierarchical_explanation.pursuit import (
    coefficients,
    explained,
    pictured,
    pursue,
    quantised,
)
from mlcv_explore.ideas.hierarchical_explanation.worlds import WINDOW, Items, World
from mlcv_explore.seeds import numpy_stream, stream_seed

PIECES = (3, 6)  # atoms of lower levels in one of level 1, of level 2, at most
ACCEPTED = 0.6  # share of energy from which an explanation is accepted into its level
EXAMPLES = 4000  # accepted explanations that a level is learned from, at most
# pixels that a window's centre of light may be off its middle, so that one part is not learned at
# many places
CENTRED = 1.0


@dataclass(frozen=True, eq=False)
class Level:
    """Atoms of one level, each made of atoms below."""

    # int64 (K, q): indexes into the placed atoms of all levels below, −1 for none; a part's are
    # those at its first place
    pieces: np.ndarray
    weights: np.ndarray  # float32 (K, q), up to a common factor: an atom is made a unit vector
    # whether an atom may stand at any place of a picture: a part; wholes and what is made of
    # columns may not
    placed: bool

    def __len__(self) -> int:
        return len(self.pieces)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Levels over first principles. Placed atoms are numbered level by level, kind by
    kind, place by place.
    """

    first: np.ndarray  # float32 (n₀, d), unit rows: level 0
    levels: tuple[Level, ...] = ()
    side: int = 0  # of the pictures, 0 for tables

    @cached_property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Where a part may stand: the top left corner of its window."""
        reach = range(self.side - WINDOW + 1)
        return tuple((row, column) for row in reach for column in reach)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Placed atoms of each level."""
        return (
            len(self.first),
            *(len(level) * (len(self.places) if level.placed else 1) for level in self.levels),
        )

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
        """Every placed atom in strokes (or columns), (placed atoms, n₀): D = in_first ·
        first.
        """
        found = sparse.identity(len(self.first), dtype=np.float32, format="csr")
        for matrix in self.composition:
            found = sparse.vstack([found, matrix @ found], format="csr")
        return found

    @cached_property
    def atoms(self) -> np.ndarray:
        """Every placed atom, float32 (placed atoms, d), unit rows."""
        return np.concatenate([self.first, np.asarray(self.in_first[len(self.first) :] @ self.first)]).astype(
            np.float32
        )

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
        """The placed atoms that one is made of directly, with their coefficients."""
        level = self.level_of(atom)
        if level == 0:
            return []
        row = self.composition[level - 1][atom - self.starts[level]]
        return [(int(piece), float(weight)) for piece, weight in zip(row.indices, row.data, strict=True)]

    def up_to(self, level: int) -> "Vocabulary":
        """The levels 0…level."""
        return Vocabulary(self.first, self.levels[:level], self.side)

    def bits(self, coefficient_bits: int) -> float:
        """To write all learned atoms down: for every piece which atom of those below it
        is, and its coefficient. First principles are known.
        """
        below = self.starts[1:]
        return sum(
            (level.pieces >= 0).sum() * (math.log2(under) + coefficient_bits)
            for level, under in zip(self.levels, below, strict=False)
        )

    def bits_spelled(self, coefficient_bits: int) -> float:
        """To write the same atoms down without levels, every one in first principles."""
        learned = sum(self._first_places(number).getnnz() for number in range(1, len(self.levels) + 1))
        return learned * (math.log2(len(self.first)) + coefficient_bits)

    def _first_places(self, number: int) -> sparse.csr_matrix:
        """The atoms of a level at their first place, in first principles, (K, n₀)."""
        level = self.levels[number - 1]
        step = len(self.places) if level.placed else 1
        return self.in_first[self.starts[number] : self.starts[number + 1]][::step]

    def canonical(self, number: int) -> np.ndarray:
        """The atoms of a level at their first place, float32 (K, d)."""
        return np.asarray(self._first_places(number) @ self.first, dtype=np.float32)

    def _composed(self, number: int, level: Level) -> sparse.csr_matrix:
        below = Vocabulary(self.first, self.levels[: number - 1], self.side)
        present = level.pieces >= 0
        kinds, _ = np.nonzero(present)
        pieces, weights = level.pieces[present], level.weights[present]
        count = len(level)
        if level.placed:
            # a part moved by (row, column) has its strokes moved by as much; strokes are numbered
            # by row, then column
            moves = np.array([row * self.side + column for row, column in self.places])
            kinds = (kinds[:, None] * len(moves) + np.arange(len(moves))).ravel()
            pieces, weights, count = (
                (pieces[:, None] + moves).ravel(),
                np.repeat(weights, len(moves)),
                count * len(moves),
            )
        matrix = sparse.csr_matrix((weights, (kinds, pieces)), shape=(count, below.starts[-1]))
        # at an edge what reaches beyond it is cut off
        lengths = np.linalg.norm(matrix @ below.in_first @ self.first, axis=1)
        return sparse.diags((1 / np.maximum(lengths, 1e-9)).astype(np.float32)) @ matrix


def first_principles(world: World) -> Vocabulary:
    """Level 0 alone: strokes at every pixel, or the columns of a table."""
    if world.of_pictures:
        return Vocabulary(strokes.placed(), side=strokes.SIDE)
    return Vocabulary(np.eye(len(world.columns), dtype=np.float32))


def learned(
    world: World,
    items: Items,
    sizes: Sequence[int],
    coefficient_bits: int,
    seed: int,
    purpose: str = "vocabulary",
) -> Vocabulary:
    """Levels of these sizes learned one on the other: explanations over the levels
    below that are accepted, and of those the typical ones.

    Level 1 explains windows of pictures (rows of a table), level 2 whole pictures. An
    explanation is accepted from 60 % of the energy on; the typical ones are the centres
    of spherical k-means, each written in at most three (level 1) or six atoms of the
    levels below. Where less than two are accepted there is no such level, nor any
    above.
    """
    return learned_sizes(world, items, (sizes,), coefficient_bits, seed, purpose)[0]


def learned_sizes(
    world: World,
    items: Items,
    grid: Sequence[Sequence[int]],
    coefficient_bits: int,
    seed: int,
    purpose: str = "vocabulary",
) -> list[Vocabulary]:
    """One vocabulary for each of several sizes, as `learned` makes it; what they have
    in common is done once.
    """
    first = first_principles(world)
    explained_below = _accepted(first, items, world.of_pictures)
    found = []
    for sizes in grid:
        vocabulary = first
        for number, size in enumerate(sizes):
            placed = world.of_pictures and number == 0
            accepted = explained_below if number == 0 else _accepted(vocabulary, items, placed)
            if len(accepted) < 2:
                break
            centres = _typical(accepted, min(size, len(accepted)), seed, f"{purpose}, level {number + 1}")
            allowed = _allowed(vocabulary, placed)
            atoms = vocabulary.atoms[allowed]
            chosen = pursue(centres, atoms, PIECES[number])
            weights = quantised(coefficients(centres, atoms, chosen), coefficient_bits)
            level = Level(np.where(chosen >= 0, allowed[chosen], -1), weights, placed)
            vocabulary = Vocabulary(vocabulary.first, (*vocabulary.levels, level), vocabulary.side)
        found.append(vocabulary)
    return found


def _accepted(vocabulary: Vocabulary, items: Items, placed: bool) -> np.ndarray:
    """What accepted explanations of all items, or of all their windows, picture, (a,
    d).
    """
    values = windows(items.values, vocabulary.side) if placed else items.values
    atoms = vocabulary.atoms[_allowed(vocabulary, placed)]
    chosen = pursue(values, atoms, PIECES[len(vocabulary.levels)])
    pictures = pictured(atoms, chosen, coefficients(values, atoms, chosen))
    return pictures[explained(values, pictures) >= ACCEPTED]


def _allowed(vocabulary: Vocabulary, placed: bool) -> np.ndarray:
    return _within_window(vocabulary) if placed else np.arange(vocabulary.starts[-1])


def shuffled(vocabulary: Vocabulary, seed: int) -> Vocabulary:
    """The control: as many atoms of as many pieces with the same coefficients, but the
    pieces drawn from those below at random.
    """
    draw = numpy_stream(seed, "shuffled hierarchy")
    control = Vocabulary(vocabulary.first, (), vocabulary.side)
    for number, level in enumerate(vocabulary.levels):
        pool = _within_window(control) if level.placed else _used(vocabulary, number + 1)
        pieces = np.where(level.pieces >= 0, draw.choice(pool, size=level.pieces.shape), -1)
        for row in pieces:  # a piece twice would be one
            row[row >= 0] = draw.choice(pool, size=(row >= 0).sum(), replace=False)
        control = Vocabulary(
            control.first, (*control.levels, Level(pieces, level.weights, level.placed)), control.side
        )
    return control


def _used(vocabulary: Vocabulary, number: int) -> np.ndarray:
    """The placed atoms that the atoms of a level are made of: what a shuffled level
    draws from.
    """
    pieces = vocabulary.levels[number - 1].pieces
    return np.unique(pieces[pieces >= 0])


def windows(values: np.ndarray, side: int) -> np.ndarray:
    """Windows of pictures (n, side²), moved to the top left corner with nothing around,
    (w, side²): those with light in their middle.
    """
    pictures = values.reshape(-1, side, side)
    cuts = np.lib.stride_tricks.sliding_window_view(pictures, (WINDOW, WINDOW), axis=(1, 2))[
        :, ::2, ::2
    ].reshape(-1, WINDOW, WINDOW)
    light = cuts.sum((1, 2))
    axis = np.arange(WINDOW) - (WINDOW - 1) / 2
    off = np.maximum(np.abs(cuts.sum(2) @ axis), np.abs(cuts.sum(1) @ axis)) / np.maximum(light, 1e-9)
    kept = cuts[(off <= CENTRED) & (light > 0.25 * light.mean())]
    canvas = np.zeros((len(kept), side, side), np.float32)
    canvas[:, :WINDOW, :WINDOW] = kept
    return canvas.reshape(len(kept), -1)


def _within_window(vocabulary: Vocabulary) -> np.ndarray:
    """Strokes whose middle lies in the first window."""
    every = np.arange(len(vocabulary.first))
    _, rows, columns = strokes.place_of(every, vocabulary.side)
    return every[(rows < WINDOW) & (columns < WINDOW)]


def _typical(pictures: np.ndarray, count: int, seed: int, purpose: str) -> np.ndarray:
    """Centres of spherical k-means, unit rows (count, d)."""
    from sklearn.cluster import KMeans

    unit = pictures / np.maximum(np.linalg.norm(pictures, axis=1, keepdims=True), 1e-9)
    some = unit[numpy_stream(seed, f"{purpose}, examples").permutation(len(unit))[:EXAMPLES]]
    centres = (
        KMeans(count, n_init=1, max_iter=30, random_state=stream_seed(seed, purpose) % 2**32)
        .fit(some)
        .cluster_centers_
    )
    return (centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)).astype(np.float32)
