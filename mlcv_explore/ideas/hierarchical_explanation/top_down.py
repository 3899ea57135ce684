"""Explanations from the top down: the path of a soft decision tree, its filters written
in atoms of level 0.
"""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.models.decision_trees import SoftTree
from mlcv_explore.models.sparse_coding import coefficients, matching_pursuit


@dataclass(frozen=True, eq=False)
class Filters:
    """The nodes' filters in level 0: atoms (nodes, q), −1 for none, and coefficients."""

    atoms: np.ndarray
    weights: np.ndarray


def sparse_filters(tree: SoftTree, first: np.ndarray, most: int) -> Filters:
    """Every node's filter in at most `most` atoms of level 0."""
    filters = tree.gates.weight.detach().numpy()
    chosen = matching_pursuit(filters, first, most)
    return Filters(chosen, coefficients(filters, first, chosen))


def path_atoms(
    tree: SoftTree, filters: Filters, values: np.ndarray, first: np.ndarray
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


def strongest(
    tree: SoftTree, filters: Filters, values: np.ndarray, first: np.ndarray, most: int
) -> np.ndarray:
    """The atoms of level 0 with the largest effect on each item's path, int64 (n,
    most), the strongest first, none twice, −1 where there are no more.
    """
    chosen = np.full((len(values), most), -1, np.int64)
    for row, own, effect in zip(chosen, *path_atoms(tree, filters, values, first), strict=True):
        order = (place for place in np.argsort(-effect, kind="stable") if effect[place] > 0)
        kept = list(dict.fromkeys(own[place] for place in order))[:most]
        row[: len(kept)] = kept
    return chosen
