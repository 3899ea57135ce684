"""A soft decision tree distilled from a classifier, and its paths told in first
principles: the way down from the data.

Source: Frosst and Hinton, Distilling a Neural Network Into a Soft Decision Tree, 2017,
https://arxiv.org/abs/1711.09784
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.ideas.hierarchical_explanation.pursuit import coefficients, pictured, pursue
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import seeded, stream

DEPTH = 4
RATE = 0.02
BATCH = 100
BALANCE = 0.1  # weight of the penalty on a node that sends everything to one side
FADES = 0.5  # of that penalty, a level


class SoftTree(nn.Module):
    """Inner nodes 0…2^depth − 2 in the order of a heap, children 2i + 1 and 2i + 2;
    leaves from left to right.
    """

    def __init__(self, size: int, classes: int, depth: int = DEPTH) -> None:
        super().__init__()
        self.depth = depth
        self.gates = nn.Linear(size, 2**depth - 1)
        self.leaves = nn.Parameter(torch.zeros(2**depth, classes))
        nn.init.normal_(self.leaves, std=0.1)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, d) → the probability of turning right at each node (B, nodes), and of
        arriving at each leaf (B, leaves).
        """
        right = torch.sigmoid(self.gates(values))
        arriving = torch.ones(len(values), 1, dtype=values.dtype)
        for level in range(self.depth):
            here = right[:, 2**level - 1 : 2 ** (level + 1) - 1]
            arriving = torch.stack([arriving * (1 - here), arriving * here], dim=2).flatten(1)
        return right, arriving

    @torch.inference_mode()
    def arrive(self, values: np.ndarray) -> np.ndarray:
        """The probability of arriving at each leaf, float32 (n, leaves); rows sum to 1."""
        return self(torch.from_numpy(np.ascontiguousarray(values, np.float32)))[1].numpy()

    def classes_of(self, values: np.ndarray) -> np.ndarray:
        """The class that the likeliest leaf names, int64 (n,)."""
        return self.leaves.detach().numpy()[self.arrive(values).argmax(1)].argmax(1)

    def path(self, leaf: int) -> list[tuple[int, bool]]:
        """The nodes on the way to a leaf, and whether it turns right there."""
        steps, node = [], 0
        for level in reversed(range(self.depth)):
            turn = bool(leaf >> level & 1)
            steps.append((node, turn))
            node = 2 * node + 1 + turn
        return steps


def distilled(values: np.ndarray, taught: np.ndarray, epochs: int, seed: int) -> SoftTree:
    """A tree that learns the probabilities `taught` (n, K) of values (n, d)."""
    tree = seeded(seed, lambda: SoftTree(values.shape[1], taught.shape[1]), "soft tree")
    optimiser = torch.optim.Adam(tree.parameters(), RATE)
    inputs, targets = torch.from_numpy(values), torch.from_numpy(taught.astype(np.float32))
    order = stream(seed, "soft tree, order")
    for _ in range(epochs):
        for places in torch.randperm(len(inputs), generator=order).split(BATCH):
            gradient_step(optimiser, loss_of(tree, inputs[places], targets[places]))
    return tree.eval().requires_grad_(False)


def loss_of(tree: SoftTree, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each leaf's answer weighed by the probability of arriving there,
    and the penalty on unbalanced nodes.
    """
    right, arriving = tree(inputs)
    said = functional.log_softmax(tree.leaves, dim=1)  # (leaves, K)
    loss = -(arriving * (targets @ said.T)).sum(1).mean()
    reaching = torch.ones(len(inputs), 1)
    for level in range(tree.depth):
        here = right[:, 2**level - 1 : 2 ** (level + 1) - 1]
        share = ((reaching * here).sum(0) / reaching.sum(0).clamp_min(1e-6)).clamp(1e-4, 1 - 1e-4)
        loss = loss - BALANCE * FADES**level * 0.5 * (share.log() + (1 - share).log()).mean()
        reaching = torch.stack([reaching * (1 - here), reaching * here], dim=2).flatten(1)
    return loss


@dataclass(frozen=True, eq=False)
class Retold:
    """The nodes' filters in first principles: for each the atoms (nodes, q), −1 for
    none, and their coefficients.
    """

    atoms: np.ndarray
    weights: np.ndarray


def retold(tree: SoftTree, first: np.ndarray, most: int) -> Retold:
    """Every node's filter written in at most `most` atoms of level 0."""
    filters = tree.gates.weight.detach().numpy()
    chosen = pursue(filters, first, most)
    return Retold(chosen, coefficients(filters, first, chosen))


def looked_at(
    tree: SoftTree, words: Retold, values: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What each item's likeliest path looks at: its nodes' atoms int64 (n, depth·q),
    and how far each turns the decision, |coefficient · product|.
    """
    leaves = tree.arrive(values).argmax(1)
    # (n, depth)
    nodes = np.array([[node for node, _ in tree.path(leaf)] for leaf in range(2**tree.depth)])[leaves]
    atoms = words.atoms[nodes].reshape(len(values), -1)
    products = np.einsum("nmd,nd->nm", first[atoms], values)
    return atoms, np.where(atoms >= 0, np.abs(words.weights[nodes].reshape(len(values), -1) * products), 0)


def top_down(tree: SoftTree, words: Retold, values: np.ndarray, first: np.ndarray, most: int) -> np.ndarray:
    """The atoms of level 0 that turn each item's path most, int64 (n, most), the
    strongest first, none twice, −1 where there are no more.
    """
    atoms, turns = looked_at(tree, words, values, first)
    chosen = np.full((len(values), most), -1, np.int64)
    for row, (own, strength) in enumerate(zip(atoms, turns, strict=True)):
        kept = list(
            dict.fromkeys(own[place] for place in np.argsort(-strength, kind="stable") if strength[place] > 0)
        )[:most]
        chosen[row, : len(kept)] = kept
    return chosen


def as_picture(words: Retold, first: np.ndarray) -> np.ndarray:
    """What the retold filters look like, float32 (nodes, d)."""
    return pictured(first, words.atoms, words.weights)
