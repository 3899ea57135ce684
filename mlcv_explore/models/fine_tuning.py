"""Fine-tuning chosen blocks of a network: what frozen blocks put out is computed once."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.nn import functional

from mlcv_explore.models.block_network import BLOCKS, BlockNetwork, ScaledConvolution, with_scales
from mlcv_explore.seeds import stream

BATCH = 25
PRETRAINING_RATE, PRETRAINING_BATCH = 0.003, 50
Pattern = tuple[bool, ...]  # of every block: whether it is trained


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled images as every block of a network receives them."""

    inputs: list[torch.Tensor]  # (n, …) of every block, then of the head
    labels: torch.Tensor  # (n,)


@torch.no_grad()
def examples(network: BlockNetwork, images: torch.Tensor, labels: torch.Tensor) -> Examples:
    """Images (n, C, h, w) at every block, computed once."""
    inputs = [images]
    for block in network.blocks:
        inputs.append(torch.cat([block(part) for part in inputs[-1].split(50)]))
    return Examples(inputs, labels)


def first_trained(pattern: Pattern) -> int:
    """The number of blocks that stay frozen before the first trained one, BLOCKS where all do."""
    return next((place for place, trained in enumerate(pattern) if trained), BLOCKS)


def tuned(
    network: BlockNetwork,
    pattern: Pattern,
    given: Examples,
    updates: int,
    rate: float,
    head_rate: float,
    draws: torch.Generator,
) -> BlockNetwork:
    """A copy after some updates of Adam on batches of `given`, examples of this network,
    drawn with replacement. The head is always trained, of the blocks those of the pattern;
    all others stay bit for bit as they are, batch norms' statistics included.
    """
    own, start = copy.deepcopy(network).eval().requires_grad_(False), first_trained(pattern)
    chosen = [block for block, trained in zip(own.blocks, pattern, strict=True) if trained]
    weights = [value for block in chosen for value in block.parameters()]
    _train(own, weights, start, given, updates, rate, head_rate, draws)
    return own


def with_tuned_scales(
    network: BlockNetwork,
    given: Examples,
    updates: int,
    rate: float,
    head_rate: float,
    draws: torch.Generator,
) -> BlockNetwork:
    """The same where every channel's scale and shift is trained and no convolution."""
    own = with_scales(network.eval())
    weights = [value for name, value in own.blocks.named_parameters() if name.endswith(("scale", "shift"))]
    _train(own, weights, 0, given, updates, rate, head_rate, draws)
    return own


def _train(
    own: BlockNetwork,
    weights: Sequence[nn.Parameter],
    start: int,
    given: Examples,
    updates: int,
    rate: float,
    head_rate: float,
    draws: torch.Generator,
) -> None:
    groups = [{"params": list(own.head.parameters()), "lr": head_rate}]
    groups += [{"params": list(weights), "lr": rate}] if weights else []
    for value in (*own.head.parameters(), *weights):
        value.requires_grad_(True)
    optimiser, count = torch.optim.Adam(groups, fused=True), len(given.labels)
    for _ in range(updates):
        batch = torch.randint(count, (BATCH,), generator=draws)
        loss = functional.cross_entropy(own.logits(given.inputs[start][batch], start), given.labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    own.requires_grad_(False)


def pretrained(
    network: BlockNetwork, images: torch.Tensor, labels: torch.Tensor, epochs: int, seed: int
) -> BlockNetwork:
    """The network itself after some epochs of Adam on all its parameters, batch norms in
    training mode.
    """
    optimiser = torch.optim.Adam(network.train().parameters(), PRETRAINING_RATE, fused=True)
    order = stream(seed, "pretraining order")
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=order).split(PRETRAINING_BATCH):
            optimiser.zero_grad()
            functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimiser.step()
    return network.eval().requires_grad_(False)


@torch.no_grad()
def reordered(network: BlockNetwork, given: Examples) -> BlockNetwork:
    """A copy that differs in the order of its head's rows: the one with which most of `given`,
    examples of this network, are classified correctly (by the Hungarian algorithm).
    """
    own = copy.deepcopy(network)
    predicted, classes = own.logits(given.inputs[-1], BLOCKS).argmax(1), own.head.out_features
    pairs = torch.bincount(predicted * classes + given.labels, minlength=classes**2).view(classes, classes)
    rows, labels = map(torch.from_numpy, linear_sum_assignment(pairs.numpy(), maximize=True))
    for values, before in zip(own.head.parameters(), network.head.parameters(), strict=True):
        values[labels] = before[rows]
    return own


@torch.no_grad()
def accuracy(network: BlockNetwork, tested: Examples, start: int = 0) -> float:
    """The share of examples that are classified correctly; their inputs at block `start`
    must be those of this network.
    """
    parts = tested.inputs[start].split(100)
    predicted = torch.cat([network.logits(part, start).argmax(1) for part in parts])
    return float((predicted == tested.labels).float().mean())


@torch.no_grad()
def moved(before: BlockNetwork, after: BlockNetwork) -> list[float]:
    """How far every block's parameters moved: the norm of the change over their norm before."""
    if any(isinstance(module, ScaledConvolution) for module in after.modules()):
        before = with_scales(before)
    return [
        float((_flat(last) - _flat(first)).norm() / _flat(first).norm())
        for first, last in zip(before.blocks, after.blocks, strict=True)
    ]


def count(network: BlockNetwork, pattern: Pattern) -> int:
    """How many parameters a pattern trains, the head's included."""
    chosen = [block for block, trained in zip(network.blocks, pattern, strict=True) if trained]
    return sum(value.numel() for part in (*chosen, network.head) for value in part.parameters())


def _flat(module: nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten() for value in module.parameters()])
