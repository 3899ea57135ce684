"""Adapting a trained network to images of another kind, without their labels: by their own
batch statistics, by entropy, by aligned features.

Everything works on a network with PyTorch's batch normalisation, or on a stack of them:
images lie along `axis` of the inputs, 0, or 1 behind the network axis. Networks of a stack
share no parameter, so each adapts as if alone.

Sources: Z. Nado et al., Evaluating Prediction-Time Batch Normalization, 2020,
https://arxiv.org/abs/2006.10963; D. Wang et al., Tent, 2021,
https://arxiv.org/abs/2006.10726; B. Sun and K. Saenko, Deep CORAL, 2016,
https://arxiv.org/abs/1607.01719, means and covariances as in DomainBed; K. Saito et al.,
Semi-supervised Domain Adaptation via Minimax Entropy, 2019,
https://arxiv.org/abs/1904.06487, here without labels of the target.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

RATE = 1e-3  # Adam's, as in Tent
ALIGNMENT = 1.0  # CORAL's weight beside the cross-entropy
ENTROPY = 0.1  # MME's
Batch = Callable[[int], torch.Tensor]  # step → unlabelled inputs
Labelled = Callable[[int], tuple[torch.Tensor, torch.Tensor]]  # step → inputs and labels (…, B)


class Network(Protocol):
    """What CORAL and MME need: features and the classifier on them."""

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Features (…, B, d)."""

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (…, B, K)."""


def normalisations(network: nn.Module) -> list[_BatchNorm]:
    """Its batch normalisations. Raises ValueError where it has none."""
    found = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not found:
        raise ValueError("A network without batch normalisation has no statistics to adapt.")
    return found


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Normalise by the statistics of every batch itself; the stored ones stay as they are."""
    norms = normalisations(network)
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    try:
        for norm in norms:
            norm.training, norm.track_running_stats = True, False
        yield
    finally:
        for norm, (training, tracked) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, tracked


@torch.no_grad()
def reestimated(network: nn.Module, batches: Sequence[torch.Tensor], axis: int = 0) -> torch.Tensor:
    """Logits of all batches, each normalised by its own statistics. Raises ValueError for a
    batch of one image.
    """
    with batch_statistics(network):
        return torch.cat([network(_checked(batch, axis)) for batch in batches], axis)


@torch.no_grad()
def store_statistics(network: nn.Module, inputs: torch.Tensor, axis: int = 0) -> None:
    """Make the statistics of these inputs, as one batch, those that the network keeps."""
    norms = normalisations(network)
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.training, norm.momentum = True, None
    network(_checked(inputs, axis))
    for norm, (training, momentum) in zip(norms, before, strict=True):
        norm.training, norm.momentum = training, momentum


def tent(network: nn.Module, batches: Batch, steps: int, rate: float = RATE, axis: int = 0) -> None:
    """Lower the entropy of the predictions, in place, by the normalisations' scales and
    shifts alone; no steps leave the network as it is. Raises ValueError for a batch of one.
    """
    trained = [value for norm in normalisations(network) for value in norm.parameters()]
    with _free(network, trained), batch_statistics(network):
        optimiser = torch.optim.Adam(trained, lr=rate)
        for step in range(steps):
            loss = entropy(network(_checked(batches(step), axis)))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()


def coral(
    network: "Network", source: Labelled, target: Batch, steps: int, rate: float = RATE, axis: int = 0
) -> None:
    """Align means and covariances of the features of target and source while the source's
    labels are kept, in place.
    """

    def loss(features: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return ALIGNMENT * alignment(features, others)

    _adapt(network, source, target, steps, rate, axis, loss)


def mme(
    network: "Network", source: Labelled, target: Batch, steps: int, rate: float = RATE, axis: int = 0
) -> None:
    """Minimax entropy on the target while the source's labels are kept, in place: the
    classifier raises it, the features lower it.
    """

    def loss(_: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        reversed_features = 2 * others.detach() - others  # the same values, the opposite gradient
        return -ENTROPY * entropy(network.classify(reversed_features))

    _adapt(network, source, target, steps, rate, axis, loss)


def adapted(
    method: str,
    network: nn.Module,
    batches: Sequence[torch.Tensor],
    source: Labelled,
    steps: int,
    axis: int = 0,
) -> torch.Tensor:
    """Logits of all batches by a copy of the network that is adapted to them: "bn" by
    `reestimated` alone, "tent", "coral" and "mme" after so many steps on batches in turn.
    Without steps, or by "none", those of the network as it is, bit for bit.
    """
    if not steps or method == "none":
        with torch.no_grad():
            return torch.cat([network(batch) for batch in batches], axis)
    own = copy.deepcopy(network)

    def target(step: int) -> torch.Tensor:
        return batches[step % len(batches)]

    if method == "tent":
        tent(own, target, steps, axis=axis)
    elif method in ("coral", "mme"):
        {"coral": coral, "mme": mme}[method](own, source, target, steps, axis=axis)
    return reestimated(own, batches, axis)


def predictions(
    method: str,
    network: nn.Module,
    inputs: torch.Tensor,
    orders: torch.Tensor,
    batch: int,
    source: Labelled,
    steps: int,
) -> torch.Tensor:
    """Classes (S, n) of inputs (n, …) by a stack of networks, each `adapted` to batches of them
    in its own order (S, n).
    """
    batches = [inputs[part] for part in orders.split(batch, 1)]
    logits = adapted(method, network, batches, source, steps, axis=1)
    return torch.empty_like(orders).scatter_(1, orders, logits.argmax(-1))


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """Of the predictions (…, B, K), mean over a batch, summed over networks."""
    logs = logits.log_softmax(-1)
    return -(logs.exp() * logs).sum(-1).mean(-1).sum()


def alignment(features: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Mean squared differences of means and of covariances of features (…, B, d), summed over
    networks.
    """
    means, covariances = [], []
    for values in (features, others):
        mean = values.mean(-2, keepdim=True)
        centred = values - mean
        means.append(mean)
        covariances.append(centred.mT @ centred / (values.shape[-2] - 1))
    pairs = ((means[0] - means[1]), (covariances[0] - covariances[1]))
    return sum(pair.square().mean((-2, -1)).sum() for pair in pairs)


def _adapt(
    network: "Network",
    source: Labelled,
    target: Batch,
    steps: int,
    rate: float,
    axis: int,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    trained = list(network.parameters())
    with _free(network, trained), batch_statistics(network):
        optimiser = torch.optim.Adam(trained, lr=rate)
        for step in range(steps):
            inputs, labels = source(step)
            features, others = (network.features(_checked(batch, axis)) for batch in (inputs, target(step)))
            logits = network.classify(features)
            error = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
            total = error.view(labels.shape).mean(-1).sum() + loss(features, others)
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            optimiser.step()


@contextmanager
def _free(network: nn.Module, trained: Sequence[nn.Parameter]) -> Iterator[None]:
    """Gradients for these parameters alone."""
    before = [(value, value.requires_grad) for value in network.parameters()]
    try:
        network.requires_grad_(False)
        for value in trained:
            value.requires_grad_(True)
        yield
    finally:
        for value, needed in before:
            value.requires_grad_(needed)
            value.grad = None


def _checked(batch: torch.Tensor, axis: int) -> torch.Tensor:
    if batch.shape[axis] < 2:
        raise ValueError(
            "A batch to adapt to needs at least two images, since one has no statistics; got"
            f" {batch.shape[axis]}."
        )
    return batch
