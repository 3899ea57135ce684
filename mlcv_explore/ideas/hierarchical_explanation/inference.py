"""The demo: explain one item with the shipped weights, as a tree down to level 0, and
apply f to the explanation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import nn

from mlcv_explore.config import Config, setting
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.hierarchical_explanation import (
    HierarchicalExplanationConfig,
    datasets,
    pieces,
    strokes,
    top_down,
)
from mlcv_explore.ideas.hierarchical_explanation.baselines import nearest
from mlcv_explore.ideas.hierarchical_explanation.checking import Check, Checker, Rules, unit_random_sets
from mlcv_explore.ideas.hierarchical_explanation.dictionary import Dictionary, Level
from mlcv_explore.ideas.hierarchical_explanation.networks import logits_of
from mlcv_explore.ideas.hierarchical_explanation.pieces import Piece
from mlcv_explore.ideas.hierarchical_explanation.pretrain import PREFIX, ExplainerWeights
from mlcv_explore.ideas.hierarchical_explanation.training import FILTER_ATOMS, atom_bits
from mlcv_explore.models import checkpoints
from mlcv_explore.models.decision_trees import SoftTree
from mlcv_explore.models.sparse_coding import coefficients, matching_pursuit, quantise, reconstruct

METHODS = ("pursuit", "prototypes", "path")  # g, as in the link
BITS = HierarchicalExplanationConfig().coefficient_bits
Accepted = tuple[np.ndarray, np.ndarray]  # an accepted explanation: atoms (m,), coefficients (m,)
MOST_ADDED = 12  # accepted explanations of a visitor that become atoms
ADDING_NOTE = f"An accepted E with all levels becomes an atom, for you alone; at most {MOST_ADDED}."
PHOTOGRAPH_NOTE = "Explained as 16 × 16 grey pixels minus their mean, by energy alone."
TREE_NOTE = (
    "Orange adds, blue subtracts. Bars: share of X's energy. Logit: part of the classifier's logit of X's"
    " class, by contextual decomposition; parts need not add up."
)


class HierarchicalExplanationView(Config):
    """Settings of the demo; nothing of it is trained."""

    item: int = setting(3, "Test row", low=1, high=40, step=1)
    atoms: int = setting(4, "Atoms in E, at most", low=1, high=24, step=1)
    depth: int = setting(2, "Highest level", low=0, high=2, step=1, help="0: strokes, 1: parts, 2: wholes.")
    residual: bool = setting(False, "E may hold the remainder", help="One vector outside S, at its price.")


@dataclass(frozen=True, eq=False)
class Explainer:
    """Everything that explains the items of one data set."""

    dictionary: Dictionary
    classifier: nn.Module
    tree: SoftTree
    prototypes: np.ndarray  # float32 (p, d), unit rows
    items: np.ndarray  # float32 (g, d): shipped test items
    labels: np.ndarray  # int64 (g,)
    classes: tuple[str, ...]
    columns: tuple[str, ...]  # of a table
    limit: float  # up to which a coefficient can be stored
    card: dict[str, Any]

    @cached_property
    def filters(self) -> top_down.Filters:
        """The tree's filters in level 0."""
        return top_down.sparse_filters(self.tree, self.dictionary.first, FILTER_ATOMS)

    @cached_property
    def random(self) -> np.ndarray:
        """Random sets that removals are compared with, (draws, 1, d)."""
        return unit_random_sets(self.dictionary.first, 1, 0, "page")


@cache
def explainer(name: str) -> Explainer:
    """The shipped explainer of a bundled data set. Raises CheckpointError."""
    weights, card = checkpoints.load_network(
        f"{PREFIX}{name}/0", lambda card: ExplainerWeights(**card["arguments"])
    )
    side = strokes.SIDE if card["arguments"]["pictures"] else 0
    first = strokes.placed() if side else np.eye(card["arguments"]["size"], dtype=np.float32)
    arrays = (getattr(weights, each).numpy() for each in ("prototypes", "items", "labels"))
    names = tuple(card["arguments"]["classes"]), tuple(card["columns"])
    classifier = weights.judge.to(memory_format=torch.contiguous_format)
    dictionary = Dictionary(first, weights.levels(), side)
    dictionary.atoms  # noqa: B018  computed here, so that the first explanation need not wait
    return Explainer(dictionary, classifier, weights.tree, *arrays, *names, card["limit"], card)


def extended(base: Explainer, accepted: Sequence[Accepted]) -> Explainer:
    """The explainer with accepted explanations over its whole dictionary as new atoms of
    its last level.

    An atom of that level in an explanation is replaced by its pieces, since a level is
    made of those below.
    """
    whole = base.dictionary
    if not accepted or not whole.levels:
        return base
    below, last = whole.starts[-2], whole.levels[-1]
    rows = np.zeros((len(accepted), below), np.float32)
    for row, (atoms, weights) in zip(rows, accepted, strict=True):
        for atom, weight in zip(atoms.tolist(), weights.tolist(), strict=True):
            for piece, part in whole.pieces_of(atom) if atom >= below else [(atom, 1.0)]:
                row[piece] += weight * part
    rows /= np.maximum(np.linalg.norm(rows @ whole.atoms[:below], axis=1, keepdims=True), 1e-9)
    most = max(int((rows != 0).sum(1).max()), last.pieces.shape[1])
    size = len(last), most - last.pieces.shape[1]
    indexes, weights = np.full((len(rows), most), -1), np.zeros((len(rows), most), np.float32)
    for place, row in enumerate(rows):
        used = np.flatnonzero(row)
        indexes[place, : len(used)], weights[place, : len(used)] = used, row[used]
    old = np.hstack([last.pieces, np.full(size, -1)]), np.hstack([last.weights, np.zeros(size, np.float32)])
    level = Level(np.concatenate([old[0], indexes]), np.concatenate([old[1], weights]), last.placed)
    grown, new = whole.below.with_level(level), sparse.csr_matrix(rows)
    # what is known of the shipped dictionary is carried over: to compute it again would take 0.1 s
    composition = sparse.vstack([whole.composition[-1], new], format="csr")
    grown.__dict__.update(
        composition=(*whole.composition[:-1], composition),
        in_first=sparse.vstack([whole.in_first, new @ whole.in_first[:below]], format="csr"),
        atoms=np.concatenate([whole.atoms, rows @ whole.atoms[:below]]),
    )
    larger = replace(base, dictionary=grown)
    larger.__dict__.update(filters=base.filters, random=base.random)
    return larger


@dataclass(frozen=True, eq=False)
class Explanation:
    """E for one item, f's result, and the bits."""

    pieces: tuple[Piece, ...]
    image: np.ndarray  # (d,): the reconstruction
    growth: tuple[tuple[str, np.ndarray, float], ...]  # level by level from the top, as `pieces.growth`
    check: Check  # (1,) each
    label: str  # the classifier's prediction for X
    predicted: str  # and for the reconstruction
    bits: float  # of E alone
    dictionary: float  # bits of the dictionary
    atoms: int  # in E
    size: int  # |S|
    remainder: bool  # whether E holds it
    chosen: np.ndarray  # int64 (m,): the atoms of S
    weights: np.ndarray  # float32 (m,)

    @property
    def passed(self) -> bool:
        """f(X, E)."""
        return bool(self.check.passed[0])

    def stages(self, item: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Labels and images: the item (d,), then E as levels are added from the top."""
        added = [(f"+ {name}: {energy:.0%}", image) for name, image, energy in self.growth]
        return [("X, the item", item), *added]

    def report(self, rules: Rules) -> list[str]:
        """One line for each test of f that is on: passed or failed, and by how much."""
        if not self.atoms and not self.remainder:
            return ["E is empty."]
        energy, drop, required = (
            float(getattr(self.check, name)[0]) for name in ("energy", "drop", "required")
        )
        lines = (
            f"E explains {energy:.1%} of X's energy; τ = {rules.energy:.0%}",
            f"the classifier predicts {self.predicted} for E, {self.label} for X",
            f"without E, log-odds fall {drop:.2f} more than without a random set; required {required:.2f}",
        )
        return [
            f"{'✓' if passed else '✗'} **{name}**: {line}."
            for name, line, passed, on in zip(
                ("Energy", "Label", "Removal"), lines, self.check.results[:, 0], rules.tests, strict=True
            )
            if on
        ]


def examples(base: Explainer) -> dict[str, np.ndarray]:
    """Class → its first test item, (d,)."""
    return {name: base.items[(base.labels == index).argmax()] for index, name in enumerate(base.classes)}


def can_be_added(base: Explainer, added: Sequence[Accepted], explained: Explanation, depth: int) -> bool:
    """Whether an explanation by levels 0…depth may become an atom of the last one."""
    whole = depth == len(base.dictionary.levels) and explained.atoms > 1 and not explained.remainder
    return explained.passed and whole and len(added) < MOST_ADDED


def as_image(base: Explainer, values: np.ndarray) -> np.ndarray:
    """A vector (d,) as 16 × 16; a table's columns in rows of 15, NaN at the end."""
    side = base.dictionary.side
    shape = (side, side) if side else (-(-len(values) // 15), min(15, len(values)))
    return np.append(values, np.full(shape[0] * shape[1] - len(values), np.nan)).reshape(shape)


def describe(piece: Piece) -> tuple[str, str, str, float]:
    """A piece's title, its coefficient with its part of the logit, an alternative text
    for its image, and its share within [0, 1].
    """
    title = piece.name if piece.level < 0 else f"level {piece.level}: {piece.name}"
    logit = "" if np.isnan(piece.logit) else f", logit {piece.logit:+.1f}"
    alt = f"{title}, {piece.share:.0%} of the energy, made of {len(piece.pieces)} pieces"
    share = min(1.0, max(0.0, piece.share))
    return title, f"× {piece.weight:.2f}{logit}".replace("-", "−"), alt, share


def summary(base: Explainer, values: np.ndarray, explained: Explanation, rules: Rules) -> str:
    """Size and bits of E, bits of S; with the label test, the likeliest classes."""
    likely = ", ".join(f"{name} {share:.0%}" for name, share in predictions(base, values))
    return (
        f"E: {explained.atoms} of {explained.size:,} atoms{' and the remainder' * explained.remainder},"
        f" {explained.bits:.0f} bits. Dictionary S: {explained.dictionary:,.0f} bits, shared by all items."
        f"{f' Classifier: {likely}.' * rules.tests[1]}"
    )


def explain(
    base: Explainer,
    values: np.ndarray,
    method: str,
    most: int,
    depth: int,
    rules: Rules,
    residual: bool = False,
    foreign: bool = False,
) -> Explanation:
    """Explain one item (d,) by at most `most` atoms of the levels 0…depth, chosen by one
    of METHODS; `residual` adds the remainder as one vector.

    An item of zeros has no explanation, and f is false. A `foreign` one is from another
    data set: its coefficients are stored up to its own length, without logits.
    """
    dictionary = base.dictionary.up_to(depth)
    item = values[None].astype(np.float32)
    atoms = base.prototypes if method == "prototypes" else dictionary.atoms
    chosen = _chosen(base, item, method, atoms, most) if item.any() else np.full((1, 1), -1)
    limit = float(np.linalg.norm(item)) if foreign else base.limit
    weights = quantise(coefficients(item, atoms, chosen), BITS, limit)
    chosen = np.where(weights == 0, -1, chosen)  # a coefficient stored as 0 is no atom
    image = reconstruct(atoms, chosen, weights)
    count = int((chosen >= 0).sum())
    bits, rest = count * atom_bits(len(atoms), BITS), item - image
    residual = residual and bool(item.any())
    if residual:
        rest = quantise(rest, BITS)
        image, bits = image + rest, bits + item.shape[1] * BITS
    empty = count == 0 and not residual
    checker = Checker(base.classifier, item, base.random, rules)
    check, label = checker(image, np.array([empty])), int(checker.classes[0])
    towards = (2 * item - image)[0] / max(float((item**2).sum()), 1e-12)
    parts = _parts(base, dictionary, item, method, chosen[0], weights[0], towards)
    last = [Piece(-1, pieces.REMAINDER, 1.0, rest[0], float(rest[0] @ towards))] if residual else []
    if not foreign:
        pieces.add_logits(base.classifier, item, parts, label)
        pieces.add_logits(base.classifier, item, last, label)
    parts = (*(parts if method == "path" else pieces.ordered(parts)), *last)
    return Explanation(
        parts,
        image[0],
        pieces.growth(parts, item[0]),
        check,
        base.classes[label],
        base.classes[int(check.label[0])],
        bits,
        _dictionary_bits(base, dictionary, method),
        count,
        len(atoms),
        residual,
        chosen[0][chosen[0] >= 0],
        weights[0][chosen[0] >= 0],
    )


def _chosen(base: Explainer, item: np.ndarray, method: str, atoms: np.ndarray, most: int) -> np.ndarray:
    if method == "prototypes":
        return nearest(item, atoms, most)
    if method == "path":
        return top_down.strongest(base.tree, base.filters, item, base.dictionary.first, most)
    return matching_pursuit(item, atoms, most)


def _dictionary_bits(base: Explainer, dictionary: Dictionary, method: str) -> float:
    if method == "prototypes":
        return float(base.prototypes.size * BITS)
    if method == "path":
        return float((base.filters.atoms >= 0).sum() * atom_bits(len(base.dictionary.first), BITS))
    return float(dictionary.bits(BITS))


def _parts(
    base: Explainer,
    dictionary: Dictionary,
    item: np.ndarray,
    method: str,
    chosen: np.ndarray,
    weights: np.ndarray,
    towards: np.ndarray,
) -> list[Piece]:
    """The nodes of an explanation in the order in which they were chosen."""
    known = {int(atom): float(weight) for atom, weight in zip(chosen, weights, strict=True) if atom >= 0}
    if not known:
        return []
    if method == "path":
        return pieces.of_path(
            base.dictionary.up_to(0), base.tree, base.filters, item, known, towards, base.columns
        )
    if method == "prototypes":
        return [
            pieces.of_prototype(
                dictionary, place, weight * base.prototypes[place], weight, towards, base.columns
            )
            for place, weight in known.items()
        ]
    return pieces.of_atoms(dictionary, chosen, weights, towards, base.columns)


def tiles(name: str = "digits", item: int = 5) -> tuple[Tile, ...]:
    """A test item, and its explanation by four atoms as it grows from the highest level
    down.
    """
    base = explainer(name)
    values, side = base.items[item], base.dictionary.side
    growth = explain(base, values, METHODS[0], 4, 2, Rules()).growth
    shown = [values, *(image for _, image, _ in growth)]
    return tuple(Tile(np.maximum(image, 0).reshape(side, side), "amount") for image in shown)


def from_photograph(pixels: np.ndarray) -> np.ndarray:
    """A photograph (h, w, 3) uint8 as 16 × 16 grey minus its mean, float32 (256,);
    differences of less than a grey level count as none.
    """
    grey = datasets.as_vectors(pixels.transpose(2, 0, 1)[None])[0]
    around = grey - grey.mean()
    return around if np.abs(around).max() > 1 / 255 else np.zeros_like(around)


def from_digit(digit: np.ndarray) -> np.ndarray:
    """A drawn digit (8, 8) in [0, 1], the share of ink in each pixel, as a vector
    (256,) like those of the handwritten digits.
    """
    return datasets.as_vectors(np.rint(digit * 255).astype(np.uint8)[None, None])[0]


def predictions(base: Explainer, values: np.ndarray, count: int = 3) -> list[tuple[str, float]]:
    """The classifier's likeliest classes for one item (d,), with their probabilities."""
    logits = logits_of(base.classifier, values[None])[0].astype(float)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return [(base.classes[place], float(shares[place])) for place in np.argsort(-shares)[:count]]
