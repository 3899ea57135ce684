"""What hierarchies are held against: single pixels, a flat dictionary, prototypes, a
hard decision tree.
"""

import math
from dataclasses import dataclass

import numpy as np

from mlcv_explore.ideas.hierarchical_explanation.pursuit import coefficients, pursue, quantised
from mlcv_explore.ideas.hierarchical_explanation.worlds import Items
from mlcv_explore.seeds import numpy_stream, stream_seed

ROUNDS = 12  # of the flat dictionary
SPARSITY = 4  # atoms an item while it is learned
THRESHOLD_BITS = 8  # of a hard tree's node


def flat_dictionary(
    values: np.ndarray, size: int, bits: int, seed: int, purpose: str = "flat dictionary"
) -> np.ndarray:
    """Atoms as large as an item, float32 (size, d), unit rows, each entry written in
    `bits`.

    The method of optimal directions: pursuit, then the least-squares dictionary for
    what was chosen, in turns. Source: Engan, Aase, Hakon Husøy, Method of optimal
    directions for frame design, ICASSP 1999.
    """
    draw = numpy_stream(seed, purpose)
    atoms = _unit(values[draw.permutation(len(values))[:size]])
    for _ in range(ROUNDS):
        chosen = pursue(values, atoms, min(SPARSITY, len(atoms)))
        weights = coefficients(values, atoms, chosen)
        table = np.zeros((len(values), len(atoms)), np.float32)
        rows, steps = np.nonzero(chosen >= 0)
        table[rows, chosen[rows, steps]] = weights[rows, steps]
        unused = (table != 0).sum(0) < 2
        better = np.linalg.lstsq(table, values, rcond=1e-4)[0]
        better[unused] = values[draw.integers(len(values), size=int(unused.sum()))]
        atoms = _unit(better)
    return _unit(np.stack([quantised(atom, bits) for atom in atoms]))


def prototypes(values: np.ndarray, size: int, bits: int, seed: int) -> np.ndarray:
    """Items that stand for the others: nearest to the centres of k-means, unit rows (≤
    size, d), each entry written in `bits`.
    """
    from sklearn.cluster import KMeans

    unit = _unit(values)
    centres = (
        KMeans(
            min(size, len(unit)), n_init=1, max_iter=30, random_state=stream_seed(seed, "prototypes") % 2**32
        )
        .fit(unit)
        .cluster_centers_
    )
    return _unit(
        np.stack([quantised(unit[place], bits) for place in np.unique((unit @ centres.T).argmax(0))])
    )


def nearest(values: np.ndarray, atoms: np.ndarray, most: int) -> np.ndarray:
    """The prototypes most alike to each item, int64 (n, most), the nearest first."""
    most = min(most, len(atoms))
    return np.argsort(-np.abs(values @ atoms.T), axis=1, kind="stable")[:, :most]


@dataclass(frozen=True, eq=False)
class HardTree:
    """CART: an item is explained by the mean of its leaf."""

    tree: object  # scikit-learn's
    means: dict[int, np.ndarray]  # leaf → (d,)
    bits: float  # to write down nodes and leaves' means

    def pictures_of(self, values: np.ndarray) -> np.ndarray:
        """Each item's leaf mean, float32 (n, d)."""
        return np.stack([self.means[leaf] for leaf in self.tree.apply(values)])


def hard_tree(items: Items, leaves: int, bits: int, seed: int) -> HardTree:
    """scikit-learn's decision tree with at most so many leaves."""
    from sklearn.tree import DecisionTreeClassifier

    state = stream_seed(seed, "hard tree") % 2**32
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=state).fit(items.values, items.labels)
    at = tree.apply(items.values)
    means = {int(leaf): quantised(items.values[at == leaf].mean(0), bits) for leaf in np.unique(at)}
    size = items.values.shape[1]
    return HardTree(
        tree, means, (len(means) - 1) * (math.log2(size) + THRESHOLD_BITS) + len(means) * size * bits
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)
