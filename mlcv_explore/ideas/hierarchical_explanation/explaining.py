"""What the page asks of what ships: explain one item, as a tree from the item down to
first principles, and say what f finds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import nn

from mlcv_explore.ideas.hierarchical_explanation import (
    HierarchicalExplanationConfig,
    soft_tree,
    strokes,
    worlds,
)
from mlcv_explore.ideas.hierarchical_explanation.checking import Check, Checker, Rules
from mlcv_explore.ideas.hierarchical_explanation.contextual import decompose
from mlcv_explore.ideas.hierarchical_explanation.networks import logits_of
from mlcv_explore.ideas.hierarchical_explanation.pursuit import coefficients, pictured, pursue, quantised
from mlcv_explore.ideas.hierarchical_explanation.rivals import nearest
from mlcv_explore.ideas.hierarchical_explanation.shipping import PREFIX, Shelf
from mlcv_explore.ideas.hierarchical_explanation.soft_tree import SoftTree
from mlcv_explore.ideas.hierarchical_explanation.training import RETOLD, atom_bits, unit_random_sets
from mlcv_explore.ideas.hierarchical_explanation.vocabulary import Level, Vocabulary
from mlcv_explore.models import checkpoints

EXPLAINERS = ("pursuit", "prototypes", "path")  # g, as the link names them
BITS = HierarchicalExplanationConfig().coefficient_bits
FEWEST, MOST = 1, 24  # atoms in an explanation
INSIDE = 6  # atoms that a prototype is itself explained by


@dataclass(frozen=True, eq=False)
class Mind:
    """What explains the items of one world."""

    vocabulary: Vocabulary
    judge: nn.Module
    tree: SoftTree
    prototypes: np.ndarray  # float32 (p, d), unit rows
    items: np.ndarray  # float32 (g, d): test items at hand
    labels: np.ndarray  # int64 (g,)
    classes: tuple[str, ...]
    columns: tuple[str, ...]  # of a table
    limit: float  # up to which a coefficient can be written
    card: dict[str, Any]

    @cached_property
    def words(self) -> soft_tree.Retold:
        """The tree's filters in first principles."""
        return soft_tree.retold(self.tree, self.vocabulary.first, RETOLD)

    @cached_property
    def random(self) -> np.ndarray:
        """Random sets that removals are held against, (draws, 1, d)."""
        return unit_random_sets(self.vocabulary.first, 1, 0, "page")

    @cached_property
    def depths(self) -> tuple[Vocabulary, ...]:
        """The vocabulary up to each of its levels, with atoms and compositions made
        once.
        """
        found = tuple(self.vocabulary.up_to(level) for level in range(len(self.vocabulary.levels) + 1))
        for each in found:
            each.in_first, each.atoms  # noqa: B018  the first explanation need not wait for them
        return found


def joined(mind: Mind, accepted: Sequence[tuple[np.ndarray, np.ndarray]]) -> Mind:
    """The same mind with accepted explanations, each atoms (m,) and coefficients (m,)
    of `mind`'s whole vocabulary, as new atoms of its last level.

    What in them is of that level already is taken as its pieces, for a level is made of
    those below.
    """
    base = mind.depths[-1]
    if not accepted or not base.levels:
        return mind
    below, last = base.starts[-2], base.levels[-1]
    rows = np.zeros((len(accepted), below), np.float32)
    for row, (atoms, weights) in zip(rows, accepted, strict=True):
        for atom, weight in zip(atoms.tolist(), weights.tolist(), strict=True):
            pieces = base.pieces_of(atom) if atom >= below else [(atom, 1.0)]
            for piece, part in pieces:
                row[piece] += weight * part
    pictures = rows @ base.atoms[:below]
    rows /= np.maximum(np.linalg.norm(pictures, axis=1, keepdims=True), 1e-9)
    most = max(int((rows != 0).sum(1).max()), last.pieces.shape[1])
    pieces, weights = np.full((len(rows), most), -1), np.zeros((len(rows), most), np.float32)
    for place, row in enumerate(rows):
        used = np.flatnonzero(row)
        pieces[place, : len(used)], weights[place, : len(used)] = used, row[used]
    widened = [
        np.pad(each, ((0, 0), (0, most - each.shape[1])), constant_values=fill)
        for each, fill in ((last.pieces, -1), (last.weights, 0))
    ]
    level = Level(np.concatenate([widened[0], pieces]), np.concatenate([widened[1], weights]), last.placed)
    grown = Vocabulary(base.first, (*base.levels[:-1], level), base.side)
    new = sparse.csr_matrix(rows)
    # what is known of the vocabulary that ships need not be made again: that would cost a tenth of a second
    grown.__dict__["composition"] = (
        *base.composition[:-1],
        sparse.vstack([base.composition[-1], new], format="csr"),
    )
    grown.__dict__["in_first"] = sparse.vstack([base.in_first, new @ base.in_first[:below]], format="csr")
    grown.__dict__["atoms"] = np.concatenate([base.atoms, rows @ base.atoms[:below]])
    extended = replace(mind, vocabulary=grown)
    extended.__dict__["depths"] = (*mind.depths[:-1], grown)
    extended.__dict__["words"], extended.__dict__["random"] = mind.words, mind.random
    return extended


@cache
def mind(name: str) -> Mind:
    """The mind of a bundled world that ships. Raises CheckpointError."""
    found, card = checkpoints.load_network(f"{PREFIX}{name}/0", _shelf)
    side = strokes.SIDE if card["arguments"]["pictures"] else 0
    first = strokes.placed() if side else np.eye(card["arguments"]["size"], dtype=np.float32)
    vocabulary = Vocabulary(first, found.levels(), side)
    arrays = (getattr(found, each).numpy() for each in ("prototypes", "items", "labels"))
    names = tuple(card["arguments"]["classes"]), tuple(card["columns"])
    judge = found.judge.to(memory_format=torch.contiguous_format)
    return Mind(vocabulary, judge, found.tree, *arrays, *names, card["limit"], card)


def _shelf(card: dict[str, Any]) -> Shelf:
    return Shelf(**card["arguments"])


@dataclass(frozen=True, eq=False)
class Piece:
    """A node of the tree: an atom, or a fork, as it stands in the explanation of X."""

    level: int  # of the vocabulary; −1 for what is no atom of it: a fork, a prototype, the rest
    name: str
    weight: float
    picture: np.ndarray  # (d,): the atom times its coefficient, signed
    share: float  # of X's energy, ⟨own picture, 2X − E's picture⟩ / ‖X‖²: shares add up to what E explains
    # what it adds to the judge's logit of X's class, by contextual decomposition; NaN where the
    # judge knows no such X
    logit: float
    pieces: tuple["Piece", ...] = ()


@dataclass(frozen=True, eq=False)
class Explanation:
    """E, told in full."""

    pieces: tuple[Piece, ...]
    picture: np.ndarray  # (d,): what E adds up to
    # the picture as levels join from the top: what joined, picture (d,), share of energy
    grown: tuple[tuple[str, np.ndarray, float], ...]
    check: Check  # f's findings, (1,) each
    reasons: tuple[str, ...]  # why f is False, one clause a test that failed
    label: str  # what the judge calls X
    said: str  # what it calls the picture of E
    bits: float  # for E alone
    dictionary: float  # bits of the vocabulary
    atoms: int  # in E
    vocabulary: int  # |S|
    chosen: np.ndarray  # int64 (m,): the atoms of S
    weights: np.ndarray  # float32 (m,)


def explain(
    mind: Mind,
    values: np.ndarray,
    g: str,
    most: int,
    depth: int,
    rules: Rules,
    residual: bool = False,
    foreign: bool = False,
) -> Explanation:
    """g and f for one item (d,): `most` atoms of the levels 0…depth, chosen by `g`, one
    of EXPLAINERS; `residual` adds the rest as one vector.

    An item that is nothing has no explanation, and f is False. A `foreign` one is of
    another world than the mind's: its coefficients are written up to its own length,
    and what its pieces tell the judge is NaN.
    """
    vocabulary = mind.depths[min(depth, len(mind.depths) - 1)]
    item = values[None].astype(np.float32)
    atoms = mind.prototypes if g == "prototypes" else vocabulary.atoms
    chosen = _chosen(mind, item, g, atoms, most) if item.any() else np.full((1, 1), -1)
    limit = float(np.linalg.norm(item)) if foreign else mind.limit
    weights = quantised(coefficients(item, atoms, chosen), BITS, limit)
    chosen = np.where(weights == 0, -1, chosen)  # what is written as nothing is not there
    picture = pictured(atoms, chosen, weights)
    count = int((chosen >= 0).sum())
    bits, size = count * atom_bits(len(atoms), BITS), item.shape[1]
    rest = item - picture
    if residual and item.any():
        rest = quantised(rest, BITS)
        picture, bits = picture + rest, bits + size * BITS
    empty = np.array([count == 0 and not (residual and item.any())])
    found = Checker(mind.judge, item, mind.random, rules)
    check = found(picture, empty)
    label = int(found.classes[0])
    towards = (2 * item - picture)[0] / max(float((item**2).sum()), 1e-12)
    parts = _told(mind, vocabulary, item, towards, g, chosen[0], weights[0], label) if count else ()
    if residual and item.any():
        parts = (*parts, _rest(mind, item, towards, rest[0], label))
    if foreign:
        parts = tuple(_without_logit(piece) for piece in parts)
    dictionary = {
        "pursuit": vocabulary.bits(BITS),
        "prototypes": mind.prototypes.size * BITS,
        "path": _nodes_bits(mind),
    }[g]
    return Explanation(
        parts,
        picture[0],
        _grown(parts, item[0]),
        check,
        _reasons(check, rules, bool(empty[0]), mind.classes, label),
        mind.classes[label],
        mind.classes[int(check.label[0])],
        bits,
        float(dictionary),
        count,
        len(atoms),
        chosen[0][chosen[0] >= 0],
        weights[0][chosen[0] >= 0],
    )


def _nodes_bits(mind: Mind) -> float:
    """Of the tree's filters, told in first principles."""
    return float((mind.words.atoms >= 0).sum() * atom_bits(len(mind.vocabulary.first), BITS))


def _chosen(mind: Mind, item: np.ndarray, g: str, atoms: np.ndarray, most: int) -> np.ndarray:
    if g == "prototypes":
        return nearest(item, atoms, most)
    if g == "path":
        return soft_tree.top_down(mind.tree, mind.words, item, mind.vocabulary.first, most)
    return pursue(item, atoms, most)


def _told(
    mind: Mind,
    vocabulary: Vocabulary,
    item: np.ndarray,
    towards: np.ndarray,
    g: str,
    chosen: np.ndarray,
    weights: np.ndarray,
    label: int,
) -> tuple[Piece, ...]:
    """The nodes of an explanation, the one with the greatest share first."""
    present = chosen >= 0
    chosen, weights = chosen[present], weights[present]
    if g == "path":
        pieces = _forks(mind, item, towards, dict(zip(chosen.tolist(), weights.tolist(), strict=True)), label)
    elif g == "prototypes":
        pieces = [
            _prototype(mind, vocabulary, towards, int(place), float(weight))
            for place, weight in zip(chosen, weights, strict=True)
        ]
    else:
        pieces = [
            _piece(vocabulary, int(atom), float(weight), towards, mind.columns)
            for atom, weight in zip(chosen, weights, strict=True)
        ]
    return (
        _with_logits(mind, item, pieces, label)
        if g == "path"
        else _ordered(_with_logits(mind, item, pieces, label))
    )


def _piece(
    vocabulary: Vocabulary, atom: int, weight: float, towards: np.ndarray, columns: Sequence[str] = ()
) -> Piece:
    """An atom with all it is made of."""
    level = vocabulary.level_of(atom)
    inside = _ordered(
        _piece(vocabulary, piece, weight * part, towards, columns)
        for piece, part in vocabulary.pieces_of(atom)
    )
    picture = weight * vocabulary.atoms[atom]
    kind = vocabulary.kind_of(atom)
    name = (
        columns[atom]
        if columns and level == 0
        else f"{('stroke', 'part', 'whole')[level] if not columns else 'group'} {kind + 1}"
    )
    return Piece(level, name, weight, picture, float(picture @ towards), 0.0, inside)


def _prototype(mind: Mind, vocabulary: Vocabulary, towards: np.ndarray, place: int, weight: float) -> Piece:
    """A prototype, itself explained."""
    picture = weight * mind.prototypes[place]
    chosen = pursue(picture[None], vocabulary.atoms, INSIDE)
    weights = coefficients(picture[None], vocabulary.atoms, chosen)[0]
    inside = [
        _piece(vocabulary, int(atom), float(own), towards, mind.columns)
        for atom, own in zip(chosen[0], weights, strict=True)
        if atom >= 0
    ]
    return Piece(
        -1, f"prototype {place + 1}", weight, picture, float(picture @ towards), 0.0, _ordered(inside)
    )


def _forks(
    mind: Mind, item: np.ndarray, towards: np.ndarray, weights: dict[int, float], label: int
) -> list[Piece]:
    """The forks of the likeliest path, in order, each with those of its strokes that
    are in E; a stroke of two forks stands at the first.
    """
    first = mind.vocabulary.first
    leaf = int(mind.tree.arrive(item)[0].argmax())
    with torch.inference_mode():
        right = mind.tree(torch.from_numpy(item))[0][0].numpy()
    forks = []
    for number, (node, turn) in enumerate(mind.tree.path(leaf), start=1):
        own = [atom for atom in mind.words.atoms[node].tolist() if atom in weights]
        inside = [_piece(mind.depths[0], atom, weights.pop(atom), towards, mind.columns) for atom in own]
        probability = right[node] if turn else 1 - right[node]
        picture = sum((piece.picture for piece in inside), np.zeros(first.shape[1], np.float32))
        name = f"fork {number}: {'right' if turn else 'left'}, p = {probability:.2f}"
        forks.append(Piece(-1, name, 1.0, picture, float(picture @ towards), 0.0, _ordered(inside)))
    return forks


def _rest(mind: Mind, item: np.ndarray, towards: np.ndarray, rest: np.ndarray, label: int) -> Piece:
    piece = Piece(-1, "the rest, outside S", 1.0, rest, float(rest @ towards), 0.0)
    return _with_logits(mind, item, [piece], label)[0]


def _ordered(pieces: Any) -> tuple[Piece, ...]:
    return tuple(sorted(pieces, key=lambda piece: -abs(piece.share)))


def _with_logits(mind: Mind, item: np.ndarray, pieces: Sequence[Piece], label: int) -> tuple[Piece, ...]:
    """The pieces with what each adds to the judge's logit of X's class; one batch for
    all of them, down to first principles.
    """
    every: list[np.ndarray] = []

    def gather(piece: Piece) -> None:
        every.append(piece.picture)
        for inner in piece.pieces:
            gather(inner)

    for piece in pieces:
        gather(piece)
    if not every:
        return ()
    relevant = torch.from_numpy(np.stack(every).astype(np.float32))
    with torch.inference_mode():
        said = decompose(mind.judge, torch.from_numpy(item).expand(len(relevant), -1), relevant)[0][
            :, label
        ].tolist()
    order = iter(said)

    def put(piece: Piece) -> Piece:
        own = next(order)
        return Piece(
            piece.level,
            piece.name,
            piece.weight,
            piece.picture,
            piece.share,
            own,
            tuple(put(inner) for inner in piece.pieces),
        )

    return tuple(put(piece) for piece in pieces)


def _without_logit(piece: Piece) -> Piece:
    return replace(piece, logit=math.nan, pieces=tuple(_without_logit(inner) for inner in piece.pieces))


def _grown(pieces: Sequence[Piece], item: np.ndarray) -> tuple[tuple[str, np.ndarray, float], ...]:
    """The picture of E as its pieces join, the highest level first; what is no atom of
    the vocabulary one by one.
    """
    steps, picture = [], np.zeros_like(item)
    groups = [
        (piece.name, [piece]) for piece in pieces if piece.level < 0 and piece.name != "the rest, outside S"
    ]
    groups += [(f"level {level}", [piece for piece in pieces if piece.level == level]) for level in (2, 1, 0)]
    groups += [(piece.name, [piece]) for piece in pieces if piece.name == "the rest, outside S"]
    for name, own in groups:
        if own:
            picture = picture + sum(piece.picture for piece in own)
            missed = float(((item - picture) ** 2).sum() / max(float(item @ item), 1e-12))
            steps.append((name, picture, 1 - missed))
    return tuple(steps)


def _reasons(check: Check, rules: Rules, empty: bool, classes: Sequence[str], label: int) -> tuple[str, ...]:
    """Why f is False: one clause for each test that failed."""
    if empty:
        return ("E is empty, and nothing explains nothing",)
    energy, drop, wanted = float(check.energy[0]), float(check.drop[0]), float(check.wanted[0])
    failed = []
    if rules.tests[0] and energy < rules.energy - 1e-4:
        failed.append(f"it pictures {energy:.0%} of the energy, and τ asks for {rules.energy:.0%}")
    if rules.tests[1] and not check.same[0]:
        failed.append(f"the judge calls its picture {classes[int(check.label[0])]}, and X {classes[label]}")
    if rules.tests[2] and drop < wanted - 1e-4:
        failed.append(
            f"without it the log-odds fall by {drop:.2f} more than without a random set, and δ asks for"
            f" {wanted:.2f}"
        )
    return tuple(failed)


def from_photograph(pixels: np.ndarray) -> np.ndarray:
    """A photograph (h, w, 3) uint8 as 16 × 16 grey around its mean, float32 (256,);
    what differs by less than a grey level is nothing.
    """
    grey = worlds.as_vectors(pixels.transpose(2, 0, 1)[None])[0]
    around = grey - grey.mean()
    return around if np.abs(around).max() > 1 / 255 else np.zeros_like(around)


def from_digit(digit: np.ndarray) -> np.ndarray:
    """A drawn digit (8, 8) in [0, 1], the share of ink in each pixel, as a vector
    (256,) like those of the handwritten digits.
    """
    return worlds.as_vectors(np.rint(digit * 255).astype(np.uint8)[None, None])[0]


def answers(mind: Mind, values: np.ndarray, count: int = 3) -> list[tuple[str, float]]:
    """The judge's likeliest classes for one item (d,), with their probabilities."""
    logits = logits_of(mind.judge, values[None])[0].astype(float)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return [(mind.classes[place], float(shares[place])) for place in np.argsort(-shares)[:count]]
