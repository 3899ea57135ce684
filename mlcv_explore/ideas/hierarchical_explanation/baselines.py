"""What hierarchies are compared with, beside the flat dictionary: prototypes and CART."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlcv_explore.ideas.hierarchical_explanation.datasets import Items
from mlcv_explore.models.sparse_coding import quantise, unit_rows
from mlcv_explore.seeds import stream_seed

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeClassifier

THRESHOLD_BITS = 8  # of a node of CART


def prototypes(values: np.ndarray, size: int, bits: int, seed: int) -> np.ndarray:
    """The items nearest to the centres of k-means, unit rows (≤ size, d), each entry
    quantised to `bits`.
    """
    from sklearn.cluster import KMeans

    unit, state = unit_rows(values), stream_seed(seed, "prototypes") % 2**32
    clusters = KMeans(min(size, len(unit)), n_init=1, max_iter=30, random_state=state).fit(unit)
    places = np.unique((unit @ clusters.cluster_centers_.T).argmax(0))
    return unit_rows(np.stack([quantise(unit[place], bits) for place in places]))


def nearest(values: np.ndarray, atoms: np.ndarray, most: int) -> np.ndarray:
    """The prototypes most similar to each item, int64 (n, most), the nearest first."""
    most = min(most, len(atoms))
    return np.argsort(-np.abs(values @ atoms.T), axis=1, kind="stable")[:, :most]


@dataclass(frozen=True, eq=False)
class Cart:
    """A decision tree that explains an item by the mean of its leaf."""

    tree: "DecisionTreeClassifier"
    means: dict[int, np.ndarray]  # leaf → (d,)
    bits: float  # of nodes and leaves' means

    def reconstruct(self, values: np.ndarray) -> np.ndarray:
        """Each item's leaf mean, float32 (n, d)."""
        return np.stack([self.means[leaf] for leaf in self.tree.apply(values)])


def cart(items: Items, leaves: int, bits: int, seed: int) -> Cart:
    """scikit-learn's decision tree with at most so many leaves."""
    from sklearn.tree import DecisionTreeClassifier

    state, size = stream_seed(seed, "hard tree") % 2**32, items.values.shape[1]
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=state).fit(items.values, items.labels)
    at = tree.apply(items.values)
    means = {int(leaf): quantise(items.values[at == leaf].mean(0), bits) for leaf in np.unique(at)}
    nodes = (len(means) - 1) * (math.log2(size) + THRESHOLD_BITS)
    return Cart(tree, means, nodes + len(means) * size * bits)
