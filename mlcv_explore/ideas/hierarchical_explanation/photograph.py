"""A photograph's path through the tree read from a shipped network's last layer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore.data import uploads
from mlcv_explore.models import checkpoints
from mlcv_explore.models.decision_trees import NeuralBackedTree, backed_by, fork_saliency

NETWORK = "cifar10/0"
ACCURACIES = (  # `python -m bench.hierarchical_explanation`
    "On 10,000 CIFAR-10 test photographs: network 88.8 %, tree 87.3 %, random tree of equal shape 86.3 %"
    " [86.0, 86.6], 10 draws."
)


@dataclass(frozen=True, eq=False)
class DecisionPath:
    """The predictions of tree and network for one photograph."""

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

    def report(self) -> str:
        """Both predictions, and the accuracies of network and trees."""
        best, network = int(self.leaves.argmax()), int(self.network.argmax())
        return (
            f"Tree: {self.tree.classes[best]} ({self.leaves[best]:.0%}). Network:"
            f" {self.tree.classes[network]} ({self.network[network]:.0%}). {ACCURACIES}"
        )


def classify(pixels: np.ndarray) -> DecisionPath:
    """A photograph (h, w, 3) uint8, resized to the network's square, fork by fork.
    Raises CheckpointError.
    """
    classifier = checkpoints.load(NETWORK)
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
