"""Decision trees beside networks: a soft tree distilled from one, and a neural-backed
tree read from its last layer.

Source: Frosst and Hinton, Distilling a Neural Network Into a Soft Decision Tree, 2017,
https://arxiv.org/abs/1711.09784; Wan et al., NBDT: Neural-Backed Decision Trees, 2020,
https://arxiv.org/abs/2004.00221
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
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded, stream

DEPTH = 4
RATE = 0.02
BATCH = 100
BALANCE = 0.1  # weight of the penalty on a node that sends everything to one side
DECAY = 0.5  # of that penalty, a level


class SoftTree(nn.Module):
    """A tree whose inner nodes turn right with a probability, a logistic regression
    each. Nodes 0…2^depth − 2 are in heap order, children 2i + 1 and 2i + 2; leaves from
    left to right.
    """

    def __init__(self, size: int, classes: int, depth: int = DEPTH) -> None:
        super().__init__()
        self.depth = depth
        self.gates = nn.Linear(size, 2**depth - 1)
        self.leaves = nn.Parameter(torch.zeros(2**depth, classes))  # logits
        nn.init.normal_(self.leaves, std=0.1)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, d) → the probability of turning right at each node (B, nodes), and of
        reaching each leaf (B, leaves).
        """
        right = torch.sigmoid(self.gates(values))
        reached = torch.ones(len(values), 1, dtype=values.dtype)
        for level in range(self.depth):
            here = right[:, 2**level - 1 : 2 ** (level + 1) - 1]
            reached = torch.stack([reached * (1 - here), reached * here], dim=2).flatten(1)
        return right, reached

    @torch.inference_mode()
    def leaf_probabilities(self, values: np.ndarray) -> np.ndarray:
        """The probability of reaching each leaf, float32 (n, leaves); rows sum to 1."""
        return self(torch.from_numpy(np.ascontiguousarray(values, np.float32)))[1].numpy()

    def predict(self, values: np.ndarray) -> np.ndarray:
        """The class of the likeliest leaf, int64 (n,)."""
        return self.leaves.detach().numpy()[self.leaf_probabilities(values).argmax(1)].argmax(1)

    def path(self, leaf: int) -> list[tuple[int, bool]]:
        """The nodes on the way to a leaf, and whether it turns right there."""
        steps, node = [], 0
        for level in reversed(range(self.depth)):
            turn = bool(leaf >> level & 1)
            steps.append((node, turn))
            node = 2 * node + 1 + turn
        return steps


def distil(values: np.ndarray, probabilities: np.ndarray, epochs: int, seed: int) -> SoftTree:
    """A soft tree trained on a network's probabilities (n, K) for values (n, d)."""
    tree = seeded(seed, lambda: SoftTree(values.shape[1], probabilities.shape[1]), "soft tree")
    optimiser = torch.optim.Adam(tree.parameters(), RATE)
    inputs, targets = torch.from_numpy(values), torch.from_numpy(probabilities.astype(np.float32))
    order = stream(seed, "soft tree, order")
    for _ in range(epochs):
        for places in torch.randperm(len(inputs), generator=order).split(BATCH):
            gradient_step(optimiser, soft_tree_loss(tree, inputs[places], targets[places]))
    return tree.eval().requires_grad_(False)


def soft_tree_loss(tree: SoftTree, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each leaf's prediction weighed by the probability of reaching
    it, and the penalty on unbalanced nodes.
    """
    right, reached = tree(inputs)
    predicted = functional.log_softmax(tree.leaves, dim=1)  # (leaves, K)
    loss = -(reached * (targets @ predicted.T)).sum(1).mean()
    reaching = torch.ones(len(inputs), 1)
    for level in range(tree.depth):
        here = right[:, 2**level - 1 : 2 ** (level + 1) - 1]
        share = ((reaching * here).sum(0) / reaching.sum(0).clamp_min(1e-6)).clamp(1e-4, 1 - 1e-4)
        loss = loss - BALANCE * DECAY**level * 0.5 * (share.log() + (1 - share).log()).mean()
        reaching = torch.stack([reaching * (1 - here), reaching * here], dim=2).flatten(1)
    return loss


@dataclass(frozen=True, eq=False)
class Fork:
    """An inner node of a neural-backed tree: its two children and its parameters."""

    left: int  # a node
    right: int
    classes: tuple[int, ...]  # beneath it, in ascending order
    vector: np.ndarray  # (features,) float32, the mean of their rows
    bias: float  # and of their biases


@dataclass(frozen=True)
class Step:
    """The decision at one fork of a path."""

    node: int
    left: tuple[int, ...]  # the classes on either side
    right: tuple[int, ...]
    probabilities: tuple[float, float]  # of left and right, given that the fork is reached
    taken: int  # the node it goes on with, a child of `node`


class NeuralBackedTree:
    """A tree over the classes of one trained linear layer. Threads may share it: it
    does not change.

    The classes are joined in pairs by how near their rows of weights lie. A fork's
    vector is the mean of the rows beneath it; the features choose the child with the
    greater inner product. Rows and biases are taken as they are, so a node's score is
    the mean logit of its classes; the network is not fine-tuned, unlike in the paper.

    Nodes: K leaves 0 … K − 1 in the order of the classes, then the K − 1 forks,
    children before parents, the root last.
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
        self.weight, self.bias = np.asarray(weight, np.float32), np.asarray(bias, np.float32)
        self.classes = tuple(classes)
        if merges is None:
            merges = linkage(self.weight.astype(np.float64), "ward")[:, :2].astype(int)
        self.merges = _checked(np.asarray(merges), count)
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
        shares = self.fork_probabilities(features)
        reached = np.ones((len(shares), self.root + 1))
        for place in reversed(range(len(self.forks))):
            reached[:, self.merges[place]] = reached[:, [len(self.classes) + place]] * shares[:, place]
        return reached[:, : len(self.classes)]

    def hard_leaves(self, features: np.ndarray) -> np.ndarray:
        """(n, F) → (n,) int: the class at the end of the path that takes the likelier
        side of every fork.
        """
        likelier = np.take_along_axis(
            self.merges[None], self.fork_probabilities(features).argmax(2)[..., None], 2
        )[..., 0]  # (n, K − 1) nodes
        nodes, count = np.full(len(features), self.root), len(self.classes)
        while (inner := nodes >= count).any():
            nodes[inner] = likelier[inner, nodes[inner] - count]
        return nodes

    def path(self, features: np.ndarray) -> list[Step]:
        """(F,) → the forks from the root to the class with the greatest leaf
        probability; a step may take the less likely side.
        """
        leaf = int(self.leaf_probabilities(features[None])[0].argmax())
        steps, node, count = [], self.root, len(self.classes)
        left_right = self.fork_probabilities(features[None])[0].tolist()
        while node >= count:
            fork = self.fork(node)
            taken = fork.right if leaf in self.beneath[fork.right] else fork.left
            sides = self.beneath[fork.left], self.beneath[fork.right]
            steps.append(Step(node, *sides, tuple(left_right[node - count]), taken))
            node = taken
        return steps


def shuffled_merges(merges: np.ndarray, seed: int) -> np.ndarray:
    """A control: the tree of these merges (K − 1, 2) with its leaves assigned to the
    classes at random. The shape stays, since an unbalanced tree favours some classes.
    """
    count = len(merges) + 1
    permuted = np.arange(2 * count - 1)
    permuted[:count] = numpy_stream(seed, "leaves of the hierarchy").permutation(count)
    return permuted[merges]


def backed_by(classifier: Classifier) -> tuple[NeuralBackedTree, Callable[[torch.Tensor], torch.Tensor]]:
    """The tree over a classifier's last linear layer, and the function that computes
    this layer's input: images (B, 3, s, s) in [0, 1] → features (B, F).

    Features carry gradients where the images do. Threads may share both. Raises
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
    tree = NeuralBackedTree(last.weight.detach().numpy(), bias.detach().numpy(), classifier.classes)

    def features_of(images: torch.Tensor) -> torch.Tensor:
        with _InputOf(last) as recorded:
            classifier.network(images)
        if recorded.features is None:
            raise ValueError(f"The images do not pass through the last linear layer of {classifier.name}.")
        return recorded.features

    return tree, features_of


def fork_saliency(
    classifier: Classifier, image: torch.Tensor, node: int, tree: NeuralBackedTree | None = None
) -> np.ndarray:
    """Which pixels of an image (3, s, s) in [0, 1] are evidence for the left side of a
    fork (positive) or the right: (s, s) float32, in logits.

    Gradient × input of left score − right score, summed over the channels. `tree` is
    another than Ward's. Raises ValueError for a node that is no fork.
    """
    tree = tree or backed_by(classifier)[0]
    fork = tree.fork(node)
    contrast = torch.from_numpy(tree.means[fork.left] - tree.means[fork.right]).to(image.dtype)
    points = image.detach()[None].clone(memory_format=torch.channels_last).requires_grad_()
    with torch.enable_grad():
        score = (classifier.network(points)[0] * contrast).sum()
    (gradient,) = torch.autograd.grad(score, points)
    return (gradient[0] * image).sum(0).float().numpy()


class _InputOf(TorchFunctionMode):
    """Records the input of one linear layer in this thread's pass; a hook on the shared
    layer would record other visitors' too.
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
