"""Typical items in place of learned atoms: the items nearest to cluster centres, and
the leaf means of a decision tree. Each can stand for an item, at a cost in bits.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlcv_explore.models.sparse_coding import quantise, unit_rows
from mlcv_explore.seeds import stream_seed

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeClassifier

THRESHOLD_BITS = 8  # of a node of a tree


def cluster_centres(unit: np.ndarray, count: int, seed: int, purpose: str) -> np.ndarray:
    """The means of k-means over unit rows (n, d), (count, d); on unit rows this is
    spherical k-means but for the length of the means.
    """
    from sklearn.cluster import KMeans

    state = stream_seed(seed, purpose) % 2**32
    return KMeans(count, n_init=1, max_iter=30, random_state=state).fit(unit).cluster_centers_


def prototypes(values: np.ndarray, size: int, bits: int, seed: int) -> np.ndarray:
    """The items (n, d) nearest to the centres of k-means, unit rows (≤ size, d), each
    entry quantised to `bits`.
    """
    unit = unit_rows(values)
    centres = cluster_centres(unit, min(size, len(unit)), seed, "prototypes")
    places = np.unique((unit @ centres.T).argmax(0))
    return unit_rows(np.stack([quantise(unit[place], bits) for place in places]))


def most_similar(values: np.ndarray, atoms: np.ndarray, most: int) -> np.ndarray:
    """The prototypes most similar to each item, int64 (n, ≤ most), the nearest first."""
    most = min(most, len(atoms))
    return np.argsort(-np.abs(values @ atoms.T), axis=1, kind="stable")[:, :most]


@dataclass(frozen=True, eq=False)
class LeafMeans:
    """A decision tree in which the mean of a leaf stands for its items."""

    tree: "DecisionTreeClassifier"
    means: dict[int, np.ndarray]  # leaf → (d,)
    bits: float  # of nodes and leaves' means

    def reconstruct(self, values: np.ndarray) -> np.ndarray:
        """Each item's leaf mean, float32 (n, d)."""
        return np.stack([self.means[leaf] for leaf in self.tree.apply(values)])


def leaf_means(values: np.ndarray, labels: np.ndarray, leaves: int, bits: int, seed: int) -> LeafMeans:
    """scikit-learn's CART with at most so many leaves; means are quantised to `bits`."""
    from sklearn.tree import DecisionTreeClassifier

    state, size = stream_seed(seed, "hard tree") % 2**32, values.shape[1]
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=state).fit(values, labels)
    at = tree.apply(values)
    means = {int(leaf): quantise(values[at == leaf].mean(0), bits) for leaf in np.unique(at)}
    nodes = (len(means) - 1) * (math.log2(size) + THRESHOLD_BITS)
    return LeafMeans(tree, means, nodes + len(means) * size * bits)
