"""A neural-backed decision tree on a classifier that is trained already (Wan et al.,
NBDT, 2004.00221): its last layer asked one fork at a time.

The classes are joined in pairs by how near their rows of the last layer's weights lie;
an inner node's vector is the mean of the rows beneath it, and at a fork the features
choose the child with the greater inner product. Rows are taken as they are, and biases
with them, so that a node's score is the mean logit of the classes beneath it; the
network itself is not trained again (the paper does so, with a loss of the tree's own).

Nodes are numbered: K leaves 0 … K − 1 in the order of the classes, then the K − 1
forks, children before parents, the root last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.cluster.hierarchy import linkage
from scipy.special import softmax
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.seeds import numpy_stream


@dataclass(frozen=True, eq=False)
class Fork:
    """An inner node: its two children, and what it stands for."""

    left: int  # a node
    right: int
    classes: tuple[int, ...]  # beneath it, in ascending order
    vector: np.ndarray  # (features,) float32, the mean of their rows
    bias: float  # and of their biases


@dataclass(frozen=True)
class Step:
    """What was decided at one fork."""

    node: int
    left: tuple[int, ...]  # the classes on either side
    right: tuple[int, ...]
    probabilities: tuple[float, float]  # of left and right, given that the fork is reached
    taken: int  # the node it goes on with, a child of `node`


class BackedTree:
    """The tree over the classes of one linear layer. Threads may share it: nothing
    changes after it is built.
    """

    def __init__(
        self, weight: np.ndarray, bias: np.ndarray, classes: Sequence[str], merges: np.ndarray | None = None
    ) -> None:
        """`weight` (K, F) and `bias` (K,) of the layer, K ≥ 2.

        `merges` (K − 1, 2) gives the two children of every fork in the order of the
        node numbers; without it Ward's clustering of the rows decides. Raises
        ValueError for shapes that do not fit, and for merges that are no binary tree.
        """
        count = len(classes)
        if count < 2 or np.ndim(weight) != 2 or len(weight) != count or np.shape(bias) != (count,):
            raise ValueError(
                f"A tree needs two classes or more, a row and a bias each; got {count}, {np.shape(weight)},"
                f" {np.shape(bias)}."
            )
        self.weight, self.bias, self.classes = (
            np.asarray(weight, np.float32),
            np.asarray(bias, np.float32),
            tuple(classes),
        )
        self.merges = _checked(
            (
                linkage(self.weight.astype(np.float64), "ward")[:, :2].astype(int)
                if merges is None
                else np.asarray(merges)
            ),
            count,
        )
        members = np.eye(2 * count - 1, count)  # node × class
        for node, (left, right) in enumerate(self.merges, count):
            members[node] = members[left] + members[right]
        # (2K − 1, K) float64: a node's score is this times the logits
        self.means = members / members.sum(1, keepdims=True)
        self.beneath = tuple(tuple(np.flatnonzero(row).tolist()) for row in members)  # node → its classes
        vectors, biases = (self.means @ self.weight).astype(np.float32), self.means @ self.bias
        self.forks = tuple(
            Fork(int(left), int(right), self.beneath[node], vectors[node], float(biases[node]))
            for node, (left, right) in enumerate(self.merges, count)
        )

    @property
    def root(self) -> int:
        """The number of the node where every path begins."""
        return 2 * len(self.classes) - 2

    def fork(self, node: int) -> Fork:
        """The fork at an inner node. Raises ValueError for a leaf and for a node that
        does not exist.
        """
        if not len(self.classes) <= node <= self.root:
            raise ValueError(f"The forks are the nodes {len(self.classes)} to {self.root}, got {node}.")
        return self.forks[node - len(self.classes)]

    def name(self, node: int) -> str:
        """The classes beneath a node: "cat, dog"."""
        return ", ".join(self.classes[index] for index in self.beneath[node])

    def fork_probabilities(self, features: np.ndarray) -> np.ndarray:
        """(n, F) → (n, K − 1, 2) float64: of left and right at every fork, given that
        it is reached; the two sum to 1.
        """
        logits = features @ self.weight.T + self.bias
        return softmax((logits @ self.means.T)[:, self.merges], axis=2)

    def leaf_probabilities(self, features: np.ndarray) -> np.ndarray:
        """(n, F) → (n, K) float64: of every class, the product along its path; rows sum
        to 1.
        """
        return self._reached(self.fork_probabilities(features))[:, : len(self.classes)]

    def hard_leaves(self, features: np.ndarray) -> np.ndarray:
        """(n, F) → (n,) int: the class where each ends that takes the likelier side of
        every fork it meets.
        """
        # (n, K − 1) nodes
        likelier = np.take_along_axis(
            self.merges[None], self.fork_probabilities(features).argmax(2)[..., None], 2
        )[..., 0]
        nodes, count = np.full(len(features), self.root), len(self.classes)
        while (inner := nodes >= count).any():
            nodes[inner] = likelier[inner, nodes[inner] - count]
        return nodes

    def hard_path(self, features: np.ndarray) -> list[Step]:
        """(F,) → the forks it meets, from the root, taking the likelier side of each
        (the left one of equals); the last step takes a leaf.
        """
        shares = self.fork_probabilities(features[None])[0]
        return self._steps(shares, lambda node: int(shares[node - len(self.classes)].argmax()))

    def soft_path(self, features: np.ndarray) -> list[Step]:
        """(F,) → the forks from the root towards the class with the greatest leaf
        probability; a step may take the less likely side.
        """
        shares = self.fork_probabilities(features[None])
        leaf = int(self._reached(shares)[0, : len(self.classes)].argmax())
        return self._steps(shares[0], lambda node: int(leaf in self.beneath[self.fork(node).right]))

    def _reached(self, shares: np.ndarray) -> np.ndarray:
        """Of every node, that it is reached: (n, K − 1, 2) → (n, 2K − 1)."""
        reached = np.ones((len(shares), self.root + 1))
        for place in reversed(range(len(self.forks))):
            reached[:, self.merges[place]] = reached[:, [len(self.classes) + place]] * shares[:, place]
        return reached

    def _steps(self, shares: np.ndarray, side: Callable[[int], int]) -> list[Step]:
        steps, node = [], self.root
        while node >= len(self.classes):
            fork, both = self.fork(node), shares[node - len(self.classes)]
            taken = (fork.left, fork.right)[side(node)]
            steps.append(
                Step(
                    node,
                    self.beneath[fork.left],
                    self.beneath[fork.right],
                    (float(both[0]), float(both[1])),
                    taken,
                )
            )
            node = taken
        return steps


def random_merges(count: int, seed: int) -> np.ndarray:
    """A control: a binary tree over `count` classes that knows nothing of them, (count
    − 1, 2) int; two nodes drawn at a time are joined.

    Its shape is random too, and a class that stands against the mean of many is at an
    advantage: see `shuffled_merges`.
    """
    chance, loose, merges = numpy_stream(seed, "hierarchy"), list(range(count)), []
    for node in range(count, 2 * count - 1):
        pair = [loose.pop(int(chance.integers(len(loose)))) for _ in range(2)]
        merges.append(pair)
        loose.append(node)
    return np.array(merges)


def shuffled_merges(merges: np.ndarray, seed: int) -> np.ndarray:
    """A control of the same shape: the tree of these merges (K − 1, 2) with its leaves
    dealt to the classes anew.
    """
    count = len(merges) + 1
    dealt = np.arange(2 * count - 1)
    dealt[:count] = numpy_stream(seed, "leaves of the hierarchy").permutation(count)
    return dealt[merges]


def of_classifier(classifier: Classifier) -> tuple[BackedTree, Callable[[torch.Tensor], torch.Tensor]]:
    """The tree over a classifier's last linear layer, and what gives that layer's
    input: pictures (B, 3, s, s) in [0, 1] → features (B, F).

    Features carry gradients where the pictures do. Threads may share both. Raises
    ValueError for a network whose last linear layer does not give the logits.
    """
    layers = [module for module in classifier.network.modules() if isinstance(module, nn.Linear)]
    if not layers or layers[-1].out_features != len(classifier.classes):
        raise ValueError(
            f"A tree needs a network that ends in a linear layer with a row for each class; {classifier.name}"
            " has none."
        )
    last = layers[-1]
    bias = torch.zeros(last.out_features) if last.bias is None else last.bias
    tree = BackedTree(last.weight.detach().numpy(), bias.detach().numpy(), classifier.classes)

    def features_of(pictures: torch.Tensor) -> torch.Tensor:
        with _Entering(last) as entering:
            classifier.network(pictures)
        if entering.features is None:
            raise ValueError(f"The pictures do not pass through the last linear layer of {classifier.name}.")
        return entering.features

    return tree, features_of


def fork_saliency(
    classifier: Classifier, picture: torch.Tensor, node: int, tree: BackedTree | None = None
) -> np.ndarray:
    """Which pixels of a picture (3, s, s) in [0, 1] speak for the left side of a fork
    (positive) or the right: (s, s) float32, in logits.

    Gradient × input of left score − right score, summed over the channels; one pass
    forwards and one back. `tree` is another than Ward's. Raises ValueError for a node
    that is no fork.
    """
    tree = tree or of_classifier(classifier)[0]
    fork = tree.fork(node)
    contrast = torch.from_numpy(tree.means[fork.left] - tree.means[fork.right]).to(picture.dtype)
    points = picture.detach()[None].clone(memory_format=torch.channels_last).requires_grad_()
    with torch.enable_grad():
        score = (classifier.network(points)[0] * contrast).sum()
    (gradient,) = torch.autograd.grad(score, points)
    return (gradient[0] * picture).sum(0).float().numpy()


class _Entering(TorchFunctionMode):
    """Keeps what enters one linear layer in this thread's pass; a hook on the shared
    layer would see other visitors' too.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = layer.weight
        self.features: torch.Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.linear and args[1] is self.weight:
            self.features = args[0]
        return func(*args, **(kwargs or {}))


def _checked(merges: np.ndarray, count: int) -> np.ndarray:
    """Merges that join every node but the root once, after it exists; else ValueError."""
    if merges.shape != (count - 1, 2) or sorted(merges.flat) != list(range(2 * count - 2)):
        raise ValueError(
            f"The merges of {count} classes are {count - 1} pairs in which every node from 0 to"
            f" {2 * count - 3} stands once."
        )
    if (merges >= np.arange(count, 2 * count - 1)[:, None]).any():
        raise ValueError("A fork can join only nodes that come before it.")
    return merges.astype(int)
