"""Dictionaries in levels: level 0, parts made of it, whole images made of parts; and the
bits each costs.

Every learned atom is a short list of atoms of the levels below with a coefficient each.
Level 0 over images of side² pixels holds some kinds of atoms at every pixel: kind by
kind, row by row. A part may stand at any place of an image; a whole fills it. In a table
level 0 is the columns, and atoms have no place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from mlcv_explore.models.prototypes import cluster_centres
from mlcv_explore.models.sparse_coding import (
    codes_of,
    coefficients,
    explained_energy,
    matching_pursuit,
    quantise,
    reconstruct,
    unit_rows,
)
from mlcv_explore.seeds import numpy_stream

WINDOW = 8  # pixels a side of a part
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
        offsets = range(self.side - WINDOW + 1)
        return tuple((row, column) for row in offsets for column in offsets)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Placed atoms of each level."""
        learned = (len(level) * (len(self.places) if level.placed else 1) for level in self.levels)
        return (len(self.first), *learned)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The number of each level's first placed atom, and of the one after the last."""
        return tuple(int(end) for end in np.cumsum((0, *self.sizes)))

    @property
    def next_is_placed(self) -> bool:
        """Whether a level on top of these is one of parts: the first one over images."""
        return bool(self.side) and not self.levels

    @cached_property
    def below(self) -> "Dictionary":
        """The dictionary without its last level."""
        return Dictionary(self.first, self.levels[:-1], self.side)

    def with_level(self, level: Level) -> "Dictionary":
        """The dictionary with one level more; what is known of this one is shared."""
        higher = Dictionary(self.first, (*self.levels, level), self.side)
        higher.__dict__["below"] = self
        return higher

    def with_wholes(self, codes: sparse.csr_matrix) -> "Dictionary":
        """The dictionary with more atoms in its last level, where atoms have no place:
        codes (k, placed atoms), of whatever level. An atom of the last level is
        replaced by its pieces, since a level is made of those below.
        """
        under, last = self.starts[-2], self.levels[-1]
        rows = (codes[:, :under] + codes[:, under:] @ self.composition[-1]).toarray()
        rows /= np.maximum(np.linalg.norm(rows @ self.below.atoms, axis=1, keepdims=True), 1e-9)
        pieces, weights = codes_of(rows.astype(np.float32))
        most = max(pieces.shape[1], last.pieces.shape[1])

        def wide(values: np.ndarray, fill: int) -> np.ndarray:
            return np.pad(values, ((0, 0), (0, most - values.shape[1])), constant_values=fill)

        pieces = np.concatenate([wide(last.pieces, -1), wide(pieces, -1)])
        weights = np.concatenate([wide(last.weights, 0), wide(weights, 0)])
        larger = self.below.with_level(Level(pieces, weights, last.placed))
        # what is known of the smaller one is carried over: to compute it again takes 0.1 s
        new = sparse.csr_matrix(rows, dtype=np.float32)
        larger.__dict__.update(
            composition=(*self.composition[:-1], sparse.vstack([self.composition[-1], new], format="csr")),
            in_first=sparse.vstack([self.in_first, new @ self.below.in_first], format="csr"),
            atoms=np.concatenate([self.atoms, new @ self.below.atoms]),
        )
        return larger

    def up_to(self, level: int) -> "Dictionary":
        """The levels 0…level."""
        return self if level >= len(self.levels) else self.below.up_to(level)

    @cached_property
    def composition(self) -> tuple[sparse.csr_matrix, ...]:
        """For each learned level C: (its placed atoms, all placed atoms below), so that
        a level's atoms are C times those below.
        """
        return (*self.below.composition, self._composed()) if self.levels else ()

    @cached_property
    def in_first(self) -> sparse.csr_matrix:
        """Every placed atom in level 0, (placed atoms, n₀): atoms are
        in_first · first.
        """
        if not self.levels:
            return sparse.identity(len(self.first), dtype=np.float32, format="csr")
        below = self.below.in_first
        return sparse.vstack([below, self.composition[-1] @ below], format="csr")

    @cached_property
    def atoms(self) -> np.ndarray:
        """Every placed atom, float32 (placed atoms, d), unit rows."""
        if not self.levels:
            return self.first
        own = np.asarray(self.in_first[self.starts[-2] :] @ self.first)
        atoms = np.concatenate([self.below.atoms, own]).astype(np.float32)
        if self.below.levels:
            self.below.__dict__["atoms"] = atoms[: self.starts[-2]]  # one array serves all levels
        return atoms

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

    def code_in_first(self, chosen: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A code (n, m) in level 0: atoms int64 (n, most), −1 for none, and
        coefficients; atoms that share a piece add up.
        """
        rows = []
        for own, amounts in zip(chosen, weights, strict=True):
            present = own >= 0
            row = (self.in_first[own[present]].multiply(amounts[present][:, None])).sum(0)
            rows.append(np.asarray(row).ravel())
        return codes_of(np.array(rows))

    def bits(self, coefficient_bits: int) -> float:
        """To store all learned atoms: for every piece its index among the atoms below,
        and its coefficient. Level 0 is free.
        """
        below = self.starts[1:]
        return sum(
            (level.pieces >= 0).sum() * (math.log2(under) + coefficient_bits)
            for level, under in zip(self.levels, below, strict=False)
        )

    def bits_in_first(self, coefficient_bits: int) -> float:
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

    def _composed(self) -> sparse.csr_matrix:
        """The composition of the last level."""
        below, level = self.below, self.levels[-1]
        present = level.pieces >= 0
        kinds, _ = np.nonzero(present)
        pieces, weights, count = level.pieces[present], level.weights[present], len(level)
        if level.placed:
            # a part moved by (row, column) has its pieces moved by as much; level 0 is numbered
            # by row, then column
            moves = np.array([row * self.side + column for row, column in self.places])
            kinds = (kinds[:, None] * len(moves) + np.arange(len(moves))).ravel()
            pieces, weights = (pieces[:, None] + moves).ravel(), np.repeat(weights, len(moves))
            count = count * len(moves)
        matrix = sparse.csr_matrix((weights, (kinds, pieces)), shape=(count, below.starts[-1]))
        # at an edge atoms are cut off, so lengths are computed place by place
        lengths = np.linalg.norm(matrix @ below.in_first @ self.first, axis=1)
        return sparse.diags((1 / np.maximum(lengths, 1e-9)).astype(np.float32)) @ matrix


def learn(
    first: Dictionary,
    values: np.ndarray,
    grid: Sequence[Sequence[int]],
    coefficient_bits: int,
    seed: int,
    purpose: str = "vocabulary",
) -> list[Dictionary]:
    """One dictionary over level 0 alone, `first`, for each sizes of the grid, its levels
    learned one on the other from items (n, d).

    Level 1 explains windows of images (rows of a table), level 2 whole images.
    Explanations over the levels below with ACCEPTED of the energy are candidates; the
    centres of their spherical k-means become atoms, each in at most PIECES atoms of the
    levels below. With fewer than two candidates there is no such level, nor any above.
    """
    lowest = _candidates(first, values)  # computed once for all sizes
    learned = []
    for sizes in grid:
        dictionary = first
        for number, size in enumerate(sizes):
            candidates = _candidates(dictionary, values) if number else lowest
            if len(candidates) < 2:
                break
            centres = _centres(candidates, min(size, len(candidates)), seed, f"{purpose}, level {number + 1}")
            allowed = _allowed(dictionary)
            atoms = dictionary.atoms[allowed]
            chosen = matching_pursuit(centres, atoms, PIECES[number])
            weights = quantise(coefficients(centres, atoms, chosen), coefficient_bits)
            pieces = np.where(chosen >= 0, allowed[chosen], -1)
            dictionary = dictionary.with_level(Level(pieces, weights, dictionary.next_is_placed))
        learned.append(dictionary)
    return learned


def _candidates(dictionary: Dictionary, values: np.ndarray) -> np.ndarray:
    """Reconstructions of all items, or of their windows, that explain ACCEPTED of the
    energy, (a, d).
    """
    values = windows(values, dictionary.side) if dictionary.next_is_placed else values
    atoms = dictionary.atoms[_allowed(dictionary)]
    chosen = matching_pursuit(values, atoms, PIECES[len(dictionary.levels)])
    images = reconstruct(atoms, chosen, coefficients(values, atoms, chosen))
    return images[explained_energy(values, images) >= ACCEPTED]


def _centres(images: np.ndarray, count: int, seed: int, purpose: str) -> np.ndarray:
    """Centres of spherical k-means, unit rows (count, d)."""
    unit = unit_rows(images)
    some = unit[numpy_stream(seed, f"{purpose}, examples").permutation(len(unit))[:EXAMPLES]]
    return unit_rows(cluster_centres(some, count, seed, purpose))


def _allowed(dictionary: Dictionary) -> np.ndarray:
    """The atoms a new level may use: for parts, level 0 with its middle in the first
    window.
    """
    every, side = np.arange(dictionary.starts[-1]), dictionary.side
    if not dictionary.next_is_placed:
        return every
    return every[(every // side % side < WINDOW) & (every % side < WINDOW)]


def shuffled(dictionary: Dictionary, seed: int) -> Dictionary:
    """The control: as many atoms of as many pieces with the same coefficients, but the
    pieces drawn at random: for parts from level 0 in a window, for wholes from the
    atoms that any whole is made of.
    """
    draw = numpy_stream(seed, "shuffled hierarchy")
    control = dictionary.up_to(0)
    for level in dictionary.levels:
        used = np.unique(level.pieces[level.pieces >= 0])
        pool = _allowed(control) if level.placed else used
        pieces = np.where(level.pieces >= 0, draw.choice(pool, size=level.pieces.shape), -1)
        for row in pieces:  # a piece twice would be one
            row[row >= 0] = draw.choice(pool, size=(row >= 0).sum(), replace=False)
        control = control.with_level(Level(pieces, level.weights, level.placed))
    return control


def windows(values: np.ndarray, side: int) -> np.ndarray:
    """Windows of images (n, side²) with light, of either sign, in their middle, moved to
    the top left corner of an empty image, (w, side²).
    """
    images = values.reshape(-1, side, side)
    cuts = np.lib.stride_tricks.sliding_window_view(images, (WINDOW, WINDOW), axis=(1, 2))
    cuts = cuts[:, ::2, ::2].reshape(-1, WINDOW, WINDOW)
    bright = np.abs(cuts)
    light = bright.sum((1, 2))
    axis = np.arange(WINDOW) - (WINDOW - 1) / 2
    off = np.maximum(np.abs(bright.sum(2) @ axis), np.abs(bright.sum(1) @ axis)) / np.maximum(light, 1e-9)
    kept = cuts[(off <= CENTRED) & (light > 0.25 * light.mean())]
    canvas = np.zeros((len(kept), side, side), np.float32)
    canvas[:, :WINDOW, :WINDOW] = kept
    return canvas.reshape(len(kept), -1)
