"""A photograph's way through the tree that a shipped network's last layer is read as."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore.data import uploads
from mlcv_explore.ideas.hierarchical_explanation.backed_tree import BackedTree, fork_saliency, of_classifier
from mlcv_explore.models import checkpoints

NETWORK = "cifar10/0"


@dataclass(frozen=True, eq=False)
class Way:
    """What the tree and the network make of one photograph."""

    tree: BackedTree
    at_forks: np.ndarray  # (K − 1, 2): of left and right at every fork, given that it is reached
    leaves: np.ndarray  # (K,): of every class by the tree
    network: np.ndarray  # (K,): of every class by the network itself
    path: frozenset[int]  # nodes on the way to the likeliest class, the root included
    # fork on that way → (s, s) float32: pixels that speak for its left side (positive) or its right
    maps: Mapping[int, np.ndarray]


def way(pixels: np.ndarray) -> Way:
    """A photograph (h, w, 3) uint8, squeezed to the network's square, fork by fork.
    Raises CheckpointError.
    """
    classifier = checkpoints.load(NETWORK)
    tree, features_of = of_classifier(classifier)
    square = torch.from_numpy(uploads.resized_to_square(pixels, classifier.side))
    with torch.inference_mode():
        features = features_of(square[None]).numpy()
        network = torch.softmax(classifier.network(square[None]), 1)[0].numpy()
    steps = tree.soft_path(features[0])
    return Way(
        tree,
        tree.fork_probabilities(features)[0],
        tree.leaf_probabilities(features)[0],
        network,
        frozenset({tree.root, *(step.taken for step in steps)}),
        {step.node: fork_saliency(classifier, square, step.node, tree) for step in steps},
    )
