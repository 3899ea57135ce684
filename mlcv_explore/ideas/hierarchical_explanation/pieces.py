"""An explanation as a tree: its pieces, what they are made of, and each one's share of
the energy and of the classifier's logit.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mlcv_explore.ideas.hierarchical_explanation.contextual import decompose
from mlcv_explore.ideas.hierarchical_explanation.dictionary import Dictionary
from mlcv_explore.ideas.hierarchical_explanation.top_down import Filters
from mlcv_explore.models.decision_trees import SoftTree
from mlcv_explore.models.sparse_coding import coefficients, matching_pursuit

INSIDE = 6  # atoms that a prototype is itself explained by
REMAINDER = "remainder, outside S"


@dataclass(eq=False)
class Piece:
    """A node of the tree: an atom, a fork, a prototype or the remainder."""

    level: int  # of the dictionary; −1 for what is no atom of it
    name: str
    weight: float
    image: np.ndarray  # (d,): the atom times its coefficient, signed
    share: float  # of X's energy, ⟨image, 2X − E⟩ / ‖X‖²: shares add up to what E explains
    pieces: tuple["Piece", ...] = ()  # that it is made of
    # its part of the classifier's logit of X's class, by contextual decomposition; NaN where unknown
    logit: float = math.nan

    def walk(self) -> "Iterator[Piece]":
        """The piece and all it is made of."""
        yield self
        for inner in self.pieces:
            yield from inner.walk()


def ordered(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The pieces with the largest share first."""
    return tuple(sorted(pieces, key=lambda piece: -abs(piece.share)))


def of_atom(
    dictionary: Dictionary, atom: int, weight: float, towards: np.ndarray, columns: Sequence[str] = ()
) -> Piece:
    """An atom with all it is made of; `towards` (d,) is (2X − E) / ‖X‖²."""
    level, kind = dictionary.level_of(atom), dictionary.kind_of(atom)
    inside = (
        of_atom(dictionary, piece, weight * part, towards, columns)
        for piece, part in dictionary.pieces_of(atom)
    )
    image = weight * dictionary.atoms[atom]
    noun = "group" if columns else ("stroke", "part", "whole")[level]
    name = columns[atom] if columns and level == 0 else f"{noun} {kind + 1}"
    return Piece(level, name, weight, image, float(image @ towards), ordered(inside))


def of_atoms(
    dictionary: Dictionary,
    chosen: np.ndarray,
    weights: np.ndarray,
    towards: np.ndarray,
    columns: Sequence[str] = (),
) -> list[Piece]:
    """The pieces of atoms (m,) that were chosen, −1 for none."""
    pairs = zip(chosen.tolist(), weights.tolist(), strict=True)
    return [of_atom(dictionary, atom, weight, towards, columns) for atom, weight in pairs if atom >= 0]


def of_prototype(
    dictionary: Dictionary, place: int, image: np.ndarray, weight: float, towards: np.ndarray, columns
) -> Piece:
    """A prototype times its coefficient (d,), itself explained by the dictionary."""
    chosen = matching_pursuit(image[None], dictionary.atoms, INSIDE)
    weights = coefficients(image[None], dictionary.atoms, chosen)
    inside = of_atoms(dictionary, chosen[0], weights[0], towards, columns)
    return Piece(-1, f"prototype {place + 1}", weight, image, float(image @ towards), ordered(inside))


def of_path(
    strokes: Dictionary,
    tree: SoftTree,
    filters: Filters,
    item: np.ndarray,
    weights: dict[int, float],
    towards: np.ndarray,
    columns: Sequence[str],
) -> list[Piece]:
    """The forks of an item's (1, d) likeliest path, in order, each with its atoms that
    are in E, {atom: coefficient}; an atom of two forks stands at the first.
    """
    leaf = int(tree.leaf_probabilities(item)[0].argmax())
    with torch.inference_mode():
        right = tree(torch.from_numpy(item))[0][0].numpy()
    forks = []
    for number, (node, turn) in enumerate(tree.path(leaf), start=1):
        own = [atom for atom in filters.atoms[node].tolist() if atom in weights]
        inside = [of_atom(strokes, atom, weights.pop(atom), towards, columns) for atom in own]
        probability = right[node] if turn else 1 - right[node]
        image = sum((piece.image for piece in inside), np.zeros(item.shape[1], np.float32))
        name = f"fork {number}: {'right' if turn else 'left'}, p = {probability:.2f}"
        forks.append(Piece(-1, name, 1.0, image, float(image @ towards), ordered(inside)))
    return forks


def add_logits(classifier: nn.Module, item: np.ndarray, pieces: Sequence[Piece], label: int) -> None:
    """Compute what each piece and its own pieces contribute to the classifier's logit
    of a class, in one batch.
    """
    every = [inner for piece in pieces for inner in piece.walk()]
    if every:
        relevant = torch.from_numpy(np.stack([piece.image for piece in every]).astype(np.float32))
        with torch.inference_mode():
            whole = torch.from_numpy(item).expand(len(relevant), -1)
            logits = decompose(classifier, whole, relevant)[0][:, label].tolist()
        for piece, logit in zip(every, logits, strict=True):
            piece.logit = logit


def growth(pieces: Sequence[Piece], item: np.ndarray) -> tuple[tuple[str, np.ndarray, float], ...]:
    """E as its pieces are added, the highest level first: name, reconstruction (d,) and
    share of the energy of the item (d,).
    """
    outside = [piece for piece in pieces if piece.level < 0]
    steps = [(piece.name, [piece]) for piece in outside if piece.name != REMAINDER]
    steps += [(f"level {level}", [piece for piece in pieces if piece.level == level]) for level in (2, 1, 0)]
    steps += [(piece.name, [piece]) for piece in outside if piece.name == REMAINDER]
    shown, image = [], np.zeros_like(item)
    for name, own in steps:
        if own:
            image = image + sum(piece.image for piece in own)
            missed = float(((item - image) ** 2).sum() / max(float(item @ item), 1e-12))
            shown.append((name, image, 1 - missed))
    return tuple(shown)
