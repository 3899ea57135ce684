"""The demo: explain one item with pretrained weights, as a tree down to level 0, and
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
from mlcv_explore.data.vectors import as_image
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.hierarchical_explanation import HierarchicalExplanationConfig
from mlcv_explore.ideas.hierarchical_explanation.pretrain import PREFIX, ExplainerWeights
from mlcv_explore.ideas.hierarchical_explanation.training import FILTER_ATOMS
from mlcv_explore.metrics.classification import log_probabilities
from mlcv_explore.models import checkpoints, sparse_coding
from mlcv_explore.models.decision_trees import SoftTree
from mlcv_explore.models.hierarchical_dictionary import Dictionary
from mlcv_explore.models.prototypes import most_similar
from mlcv_explore.models.sparse_coding import bits_per_atom, matching_pursuit, quantise
from mlcv_explore.models.vector_classifiers import predict_logits
from mlcv_explore.models.vector_sets import level_zero
from mlcv_explore.saliency.acceptance import Check, Checker, Rules, unit_random_sets
from mlcv_explore.saliency.contribution_trees import REMAINDER, Composer, Piece, add_logits, growth, ordered
from mlcv_explore.saliency.tree_paths import SparseFilters, sparse_filters, strongest_atoms

METHODS = ("pursuit", "prototypes", "path")  # g, as in the link
BITS = HierarchicalExplanationConfig().coefficient_bits
Accepted = tuple[np.ndarray, np.ndarray]  # an accepted explanation: atoms (m,), coefficients (m,)
MOST_ADDED = 12  # accepted explanations of a visitor that become atoms


class HierarchicalExplanationView(Config):
    """Settings of the demo; nothing of it is trained."""

    item: int = setting(3, "Test row", low=1, high=40, step=1)
    atoms: int = setting(4, "Atoms in E, at most", low=1, high=24, step=1)
    depth: int = setting(2, "Highest level", low=0, high=2, step=1, help="0: strokes, 1: parts, 2: wholes.")
    energy_test: bool = setting(True, "Energy test")
    label_test: bool = setting(True, "Label test")
    removal_test: bool = setting(True, "Removal test")
    residual: bool = setting(False, "E may hold the remainder", help="One vector outside S, at its price.")


@dataclass(frozen=True, eq=False)
class Explainer:
    """Everything that explains the items of one data set."""

    dictionary: Dictionary
    classifier: nn.Module
    tree: SoftTree
    prototypes: np.ndarray  # float32 (p, d), unit rows
    items: np.ndarray  # float32 (g, d): test items of the checkpoint
    labels: np.ndarray  # int64 (g,)
    classes: tuple[str, ...]  # their names
    card: dict[str, Any]

    @cached_property
    def filters(self) -> SparseFilters:
        """The tree's filters in level 0."""
        return sparse_filters(self.tree, self.dictionary.first, FILTER_ATOMS)

    @cached_property
    def random(self) -> np.ndarray:
        """Random sets that removals are compared with, (draws, 1, d)."""
        return unit_random_sets(self.dictionary.first, 1, 0, "page")


@cache
def explainer(name: str) -> Explainer:
    """The pretrained explainer of a bundled data set. Raises CheckpointError."""
    own = f"{PREFIX}{name}/0"
    weights, card = checkpoints.load_network(own, lambda card: ExplainerWeights(**card["arguments"]))
    side, size, classes = (card["arguments"][name] for name in ("side", "size", "classes"))
    dictionary = Dictionary(level_zero(side, size).first, weights.levels(), side)
    dictionary.atoms  # noqa: B018  computed here, so that the first explanation need not wait
    classifier = weights.classifier.to(memory_format=torch.contiguous_format)
    arrays = (getattr(weights, name).numpy() for name in ("prototypes", "items", "labels"))
    return Explainer(dictionary, classifier, weights.tree, *arrays, tuple(classes), card)


def extended(base: Explainer, accepted: Sequence[Accepted]) -> Explainer:
    """The explainer with accepted explanations over its whole dictionary as new atoms of
    its last level.
    """
    if not accepted or not base.dictionary.levels:
        return base
    codes = np.zeros((len(accepted), base.dictionary.starts[-1]), np.float32)
    for row, (atoms, weights) in zip(codes, accepted, strict=True):
        row[atoms] = weights
    larger = replace(base, dictionary=base.dictionary.with_wholes(sparse.csr_matrix(codes)))
    larger.__dict__.update(filters=base.filters, random=base.random)
    return larger


@dataclass(frozen=True, eq=False)
class Explanation:
    """E for one item X, f's result, and the bits."""

    item: np.ndarray  # (d,)
    image: np.ndarray  # (d,): the reconstruction
    pieces: tuple[Piece, ...]
    check: Check  # (1,) each
    label: str  # the classifier's prediction for X
    predicted: str  # and for the reconstruction
    bits: float  # of E alone
    dictionary: float  # bits of the dictionary
    size: int  # |S|
    remainder: bool  # whether E holds it
    chosen: np.ndarray  # int64 (m,): the atoms of S
    weights: np.ndarray  # float32 (m,)

    @property
    def passed(self) -> bool:
        """f(X, E)."""
        return bool(self.check.passed[0])

    def stages(self) -> list[tuple[str, np.ndarray]]:
        """Labels and images: the item (d,), then E as levels are added from the top."""
        steps = growth(self.pieces, self.item)
        added = [(f"+ {name}: {energy:.0%}", image) for name, image, energy in steps]
        return [("X, the item", self.item), *added]

    def report(self, rules: Rules) -> list[str]:
        """One line for each test of f that is on: passed or failed, and by how much."""
        if not len(self.chosen) and not self.remainder:
            return ["E is empty."]
        check = self.check
        energy, drop, required = (float(values[0]) for values in (check.energy, check.drop, check.required))
        lines = {
            "Energy": f"E explains {energy:.1%} of X's energy; τ = {rules.energy:.0%}",
            "Label": f"the classifier predicts {self.predicted} for E, {self.label} for X",
            "Removal": f"without E, log-odds fall {drop:.2f} more than without a random set; required"
            f" {required:.2f}",
        }
        tests = zip(lines.items(), check.results[:, 0], rules.tests, strict=True)
        return [f"{'✓' if passed else '✗'} **{name}**: {line}." for (name, line), passed, on in tests if on]


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
    dictionary, item = base.dictionary.up_to(depth), values[None].astype(np.float32)
    atoms, chosen, dictionary_bits = _code(base, dictionary, item, method, most)
    limit = float(np.linalg.norm(item)) if foreign else base.card["limit"]
    weights = quantise(sparse_coding.coefficients(item, atoms, chosen), BITS, limit)
    chosen = np.where(weights == 0, -1, chosen)  # a coefficient stored as 0 is no atom
    image, stored = sparse_coding.reconstruct(atoms, chosen, weights), chosen >= 0
    bits, rest = int(stored.sum()) * bits_per_atom(len(atoms), BITS), item - image
    residual = residual and bool(item.any())
    if residual:
        rest = quantise(rest, BITS)
        image, bits = image + rest, bits + item.shape[1] * BITS
    checker = Checker(base.classifier, item, base.random, rules)
    check, label = checker(image, np.array([not (stored.any() or residual)])), int(checker.classes[0])
    towards = (2 * item - image)[0] / max(float((item**2).sum()), 1e-12)
    compose = Composer(dictionary, towards, base.card["columns"])
    known = dict(zip(chosen[stored].tolist(), weights[stored].tolist(), strict=True))
    if method == "path":
        parts = compose.path(base.tree, base.filters, item, known) if known else []
    elif method == "prototypes":
        own = (compose.prototype(place, weight, base.prototypes[place]) for place, weight in known.items())
        parts = ordered(own)
    else:
        parts = ordered(compose.atom(*pair) for pair in known.items())
    parts = (*parts, *([compose.piece(-1, REMAINDER, 1.0, rest[0])] if residual else []))
    if not foreign:
        add_logits(base.classifier, item, parts, label)
    predicted = (base.classes[place] for place in (label, int(check.label[0])))
    about = bits, float(dictionary_bits), len(atoms), residual
    return Explanation(item[0], image[0], parts, check, *predicted, *about, chosen[stored], weights[stored])


def _code(
    base: Explainer, dictionary: Dictionary, item: np.ndarray, method: str, most: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Atoms to choose from, those chosen for an item (1, d), and the bits of what has
    to be stored for the method.
    """
    first, atoms, bits = base.dictionary.first, dictionary.atoms, dictionary.bits(BITS)
    if method == "prototypes":
        atoms, bits = base.prototypes, base.prototypes.size * BITS
        chosen = most_similar(item, atoms, most)
    elif method == "path":
        chosen = strongest_atoms(base.tree, base.filters, item, first, most)
        bits = (base.filters.atoms >= 0).sum() * bits_per_atom(len(first), BITS)
    else:
        chosen = matching_pursuit(item, atoms, most)
    return atoms, chosen if item.any() else np.full((1, 1), -1), bits


def examples(base: Explainer) -> dict[str, np.ndarray]:
    """Class → its first test item, (d,)."""
    return {name: base.items[(base.labels == index).argmax()] for index, name in enumerate(base.classes)}


def can_be_added(base: Explainer, added: Sequence[Accepted], explained: Explanation, depth: int) -> bool:
    """Whether an explanation by levels 0…depth may become an atom of the last one."""
    whole = depth == len(base.dictionary.levels) and len(explained.chosen) > 1 and not explained.remainder
    return explained.passed and whole and len(added) < MOST_ADDED


def summary(base: Explainer, explained: Explanation, rules: Rules) -> str:
    """Size and bits of E, bits of S; with the label test, the likeliest classes."""
    shares = np.exp(log_probabilities(predict_logits(base.classifier, explained.item[None])[0]))
    likely = ", ".join(f"{base.classes[place]} {shares[place]:.0%}" for place in np.argsort(-shares)[:3])
    return (
        f"E: {len(explained.chosen)} of {explained.size:,} atoms{' and the remainder' * explained.remainder},"
        f" {explained.bits:.0f} bits. Dictionary S: {explained.dictionary:,.0f} bits, shared by all items."
        f"{f' Classifier: {likely}.' * rules.tests[1]}"
    )


def tiles() -> tuple[Tile, ...]:
    """A digit, and its explanation by four atoms as it grows from the highest level
    down.
    """
    base = explainer("digits")
    stages = explain(base, base.items[5], METHODS[0], 4, 2, Rules()).stages()
    return tuple(Tile(np.maximum(as_image(image, base.dictionary.side), 0), "amount") for _, image in stages)
