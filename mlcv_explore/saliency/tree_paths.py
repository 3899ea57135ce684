"""Explanations by the path through a decision tree: a soft tree's in a few atoms of a
dictionary, a neural-backed tree's fork by fork with a saliency map each.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore.data import uploads
from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.models.decision_trees import NeuralBackedTree, SoftTree, backed_by, fork_saliency
from mlcv_explore.models.sparse_coding import coefficients, matching_pursuit


@dataclass(frozen=True, eq=False)
class SparseFilters:
    """The filters of a soft tree's nodes in atoms (n₀, d): (nodes, q), −1 for none, and
    coefficients.
    """

    atoms: np.ndarray
    weights: np.ndarray


def sparse_filters(tree: SoftTree, first: np.ndarray, most: int) -> SparseFilters:
    """Every node's filter in at most `most` atoms."""
    filters = tree.gates.weight.detach().numpy()
    chosen = matching_pursuit(filters, first, most)
    return SparseFilters(chosen, coefficients(filters, first, chosen))


def path_atoms(
    tree: SoftTree, filters: SparseFilters, values: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The atoms of the nodes on each item's likeliest path, int64 (n, depth·q), and
    their effect on the decisions, |coefficient · product|.
    """
    leaves = tree.leaf_probabilities(values).argmax(1)
    paths = np.array([[node for node, _ in tree.path(leaf)] for leaf in range(2**tree.depth)])
    nodes = paths[leaves]  # (n, depth)
    atoms = filters.atoms[nodes].reshape(len(values), -1)
    products = np.einsum("nmd,nd->nm", first[atoms], values)
    return atoms, np.where(atoms >= 0, np.abs(filters.weights[nodes].reshape(len(values), -1) * products), 0)


def strongest_atoms(
    tree: SoftTree, filters: SparseFilters, values: np.ndarray, first: np.ndarray, most: int
) -> np.ndarray:
    """The atoms with the largest effect on each item's path, int64 (n, most), the
    strongest first, none twice, −1 where there are no more.
    """
    chosen = np.full((len(values), most), -1, np.int64)
    for row, own, effect in zip(chosen, *path_atoms(tree, filters, values, first), strict=True):
        order = (place for place in np.argsort(-effect, kind="stable") if effect[place] > 0)
        kept = list(dict.fromkeys(own[place] for place in order))[:most]
        row[: len(kept)] = kept
    return chosen


@dataclass(frozen=True, eq=False)
class DecisionPath:
    """The predictions of a network and of the tree backed by it for one image."""

    tree: NeuralBackedTree
    at_forks: np.ndarray  # (K − 1, 2): of left and right at every fork, given that it is reached
    leaves: np.ndarray  # (K,): class probabilities of the tree
    network: np.ndarray  # (K,): class probabilities of the network
    path: frozenset[int]  # nodes on the way to the likeliest class, the root included
    # fork on that way → (s, s) float32: evidence for its left side (positive) or its right
    maps: Mapping[int, np.ndarray]

    def branches(self, place: int) -> tuple[tuple[int, float], ...]:
        """Left and right of a fork, each with its probability; nothing under a leaf."""
        leaves = len(self.tree.classes)
        if place < leaves:
            return ()
        fork, (left, right) = self.tree.fork(place), self.at_forks[place - leaves].tolist()
        return (fork.left, left), (fork.right, right)

    @property
    def predictions(self) -> str:
        """The likeliest classes of both, with their probabilities."""
        pairs = ("Tree", self.leaves), ("Network", self.network)
        named = (f"{name}: {self.tree.classes[at.argmax()]} ({at.max():.0%})." for name, at in pairs)
        return " ".join(named)


def decision_path(classifier: Classifier, pixels: np.ndarray) -> DecisionPath:
    """An image (h, w, 3) uint8, resized to the network's square, fork by fork."""
    tree, features_of = backed_by(classifier)
    square = torch.from_numpy(uploads.resized_to_square(pixels, classifier.side))
    with torch.inference_mode():
        features = features_of(square[None]).numpy()
        network = torch.softmax(classifier.network(square[None]), 1)[0].numpy()
    steps = tree.path(features[0])
    return DecisionPath(
        tree,
        tree.fork_probabilities(features)[0],
        tree.leaf_probabilities(features)[0],
        network,
        frozenset({tree.root, *(step.taken for step in steps)}),
        {step.node: fork_saliency(classifier, square, step.node, tree) for step in steps},
    )
