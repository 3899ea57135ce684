"""A reconstruction as a tree of its pieces, each with what it is made of and its share
of the item's energy and of a classifier's logit.

A piece is an atom of a hierarchical dictionary, a prototype, or a fork of a soft tree's
path with its atoms.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mlcv_explore.models.decision_trees import SoftTree
from mlcv_explore.models.hierarchical_dictionary import Dictionary
from mlcv_explore.models.sparse_coding import coefficients, matching_pursuit
from mlcv_explore.saliency.contextual_decomposition import decompose
from mlcv_explore.saliency.tree_paths import SparseFilters

INSIDE = 6  # atoms that a prototype is itself explained by
REMAINDER = "remainder, outside S"  # the name of what is left of an item beside a dictionary S


@dataclass(eq=False)
class Piece:
    """A node of the tree."""

    level: int  # of the dictionary; −1 for what is no atom of it
    name: str
    weight: float
    image: np.ndarray  # (d,): the atom times its coefficient, signed
    share: float  # of the item's energy; shares add up to what the reconstruction explains
    pieces: tuple["Piece", ...] = ()  # that it is made of, the largest share first
    # its part of the classifier's logit of a class, by contextual decomposition; NaN where unknown
    logit: float = math.nan

    def walk(self) -> "Iterator[Piece]":
        """The piece and all it is made of."""
        yield self
        for inner in self.pieces:
            yield from inner.walk()


def describe(piece: Piece) -> tuple[str, str, str, float]:
    """A piece's title, its coefficient with its part of the logit, an alternative text
    for its image, and its share within [0, 1].
    """
    title = piece.name if piece.level < 0 else f"level {piece.level}: {piece.name}"
    logit = "" if np.isnan(piece.logit) else f", logit {piece.logit:+.1f}"
    alt = f"{title}, {piece.share:.0%} of the energy, made of {len(piece.pieces)} pieces"
    return title, f"× {piece.weight:.2f}{logit}".replace("-", "−"), alt, min(1.0, max(0.0, piece.share))


def ordered(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The pieces with the largest share first."""
    return tuple(sorted(pieces, key=lambda piece: -abs(piece.share)))


@dataclass(frozen=True, eq=False)
class Composer:
    """Makes the pieces of one reconstruction x̂ of an item x, (d,)."""

    dictionary: Dictionary
    towards: np.ndarray  # (d,): (2x − x̂) / ‖x‖², whose product with a piece is the share of it
    columns: Sequence[str] = ()  # of a table

    def piece(
        self, level: int, name: str, weight: float, image: np.ndarray, inside: Iterable[Piece] = ()
    ) -> Piece:
        """A piece with its share and what it is made of."""
        return Piece(level, name, weight, image, float(image @ self.towards), ordered(inside))

    def atom(self, atom: int, weight: float) -> Piece:
        """An atom times its coefficient, with all it is made of."""
        level, kind = self.dictionary.level_of(atom), self.dictionary.kind_of(atom)
        inside = (self.atom(piece, weight * part) for piece, part in self.dictionary.pieces_of(atom))
        noun = "group" if self.columns else ("stroke", "part", "whole")[level]
        name = self.columns[atom] if self.columns and level == 0 else f"{noun} {kind + 1}"
        return self.piece(level, name, weight, weight * self.dictionary.atoms[atom], inside)

    def prototype(self, place: int, weight: float, prototype: np.ndarray) -> Piece:
        """A prototype (d,) times its coefficient, itself explained by the dictionary."""
        image, atoms = weight * prototype, self.dictionary.atoms
        chosen = matching_pursuit(image[None], atoms, INSIDE)
        pairs = zip(chosen[0].tolist(), coefficients(image[None], atoms, chosen)[0].tolist(), strict=True)
        inside = (self.atom(*pair) for pair in pairs if pair[0] >= 0)
        return self.piece(-1, f"prototype {place + 1}", weight, image, inside)

    def path(
        self, tree: SoftTree, filters: SparseFilters, item: np.ndarray, weights: Mapping[int, float]
    ) -> list[Piece]:
        """The forks of an item's (1, d) likeliest path, in order, each with those of its
        atoms that {atom: coefficient} names; an atom of two forks stands at the first.
        """
        leaf, left = int(tree.leaf_probabilities(item)[0].argmax()), dict(weights)
        with torch.inference_mode():
            right = tree(torch.from_numpy(item))[0][0].numpy()
        forks = []
        for number, (node, turn) in enumerate(tree.path(leaf), start=1):
            own = [atom for atom in filters.atoms[node].tolist() if atom in left]
            inside = [self.atom(atom, left.pop(atom)) for atom in own]
            probability = right[node] if turn else 1 - right[node]
            image = sum((piece.image for piece in inside), np.zeros(item.shape[1], np.float32))
            name = f"fork {number}: {'right' if turn else 'left'}, p = {probability:.2f}"
            forks.append(self.piece(-1, name, 1.0, image, inside))
        return forks


def add_logits(classifier: nn.Module, item: np.ndarray, pieces: Sequence[Piece], label: int) -> None:
    """Compute what each piece and its own pieces contribute to the classifier's logit
    of a class for an item (1, d), in one batch.
    """
    every = [inner for piece in pieces for inner in piece.walk()]
    if every:
        relevant = torch.from_numpy(np.stack([piece.image for piece in every]).astype(np.float32))
        with torch.inference_mode():
            whole = torch.from_numpy(item).expand(len(relevant), -1)
            logits = decompose(classifier, whole, relevant)[0][:, label].tolist()
        for piece, logit in zip(every, logits, strict=True):
            piece.logit = logit


def growth(pieces: Sequence[Piece], item: np.ndarray) -> list[tuple[str, np.ndarray, float]]:
    """The reconstruction as its pieces are added, the highest level first: name, sum
    (d,) and share of the energy of the item (d,).
    """
    outside = [(piece.name, [piece]) for piece in pieces if piece.level < 0]
    levels = [(f"level {level}", [piece for piece in pieces if piece.level == level]) for level in (2, 1, 0)]
    shown, image = [], np.zeros_like(item)
    # the remainder comes last
    for name, own in sorted([*outside, *levels], key=lambda step: step[0] == REMAINDER):
        if own:
            image = image + sum(piece.image for piece in own)
            missed = float(((item - image) ** 2).sum() / max(float(item @ item), 1e-12))
            shown.append((name, image, 1 - missed))
    return shown
