"""Batches in which every example has partners: other examples to mix, paste or compare
it with, of any class, the same, or others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore.seeds import numpy_stream


def sample_partners(kind: str, labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(n, count) places of each example's partners, all different and never itself, of
    "any" class, the "same", or "other" classes that all differ.

    Needs more than `count` examples, in each class with "same", and more than `count`
    classes with "other".
    """
    if kind == "any":
        return _ring(rng.permutation(len(labels)), count, rng)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if kind == "same":
        partners = np.empty((len(labels), count), dtype=np.int64)
        for own in members:
            partners[own] = own[_ring(rng.permutation(len(own)), count, rng)]
        return partners
    place = np.searchsorted(np.unique(labels), labels)
    steps = rng.permuted(np.tile(np.arange(1, len(members)), (len(labels), 1)), axis=1)[:, :count]
    classes = (place[:, None] + steps) % len(members)
    sizes = np.array([len(own) for own in members])
    chosen = (rng.random((len(labels), count)) * sizes[classes]).astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    return np.concatenate(members)[starts[classes] + chosen]


def _ring(order: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(n, count) partners in a ring of this order, at `count` different steps ahead."""
    size = len(order)
    steps = 1 + rng.permutation(size - 1)[:count]
    place = np.empty(size, dtype=np.int64)
    place[order] = np.arange(size)
    return order[(place[:, None] + steps) % size]


@dataclass(frozen=True)
class Batch:
    """Examples of a step, a row a seed, and their partners."""

    inputs: torch.Tensor  # (S, B, …)
    labels: torch.Tensor  # (S, B, K)
    partners: torch.Tensor  # (S, count·B, …), partner after partner
    partner_labels: torch.Tensor  # (S, count, B, K)
    unrelated_labels: torch.Tensor  # (S, B, K) mean label of another example's partners


def partner_batches(
    inputs: torch.Tensor,
    places: np.ndarray,
    classes: np.ndarray,
    labels: torch.Tensor,
    seeds: Sequence[int],
    size: int,
    count: int = 1,
    kind: str = "any",
) -> Iterator[Batch]:
    """Batches without end of the examples `inputs[places]`, places (S, n), with classes
    (S, n) and labels (S, n, K); `count` partners of a kind each, drawn anew every epoch.

    Order and partners come from streams of their own. An epoch's incomplete last batch
    is dropped.
    """
    orders, pairs = ([numpy_stream(seed, purpose) for seed in seeds] for purpose in ("batches", "partners"))
    rows, examples = torch.arange(len(seeds))[:, None], classes.shape[1]
    size, places = min(size, examples), torch.from_numpy(places)
    while True:
        order = np.stack([rng.permutation(examples) for rng in orders])
        table = np.zeros((len(seeds), examples, 0), np.int64)
        if count:
            drawn = zip(classes, pairs, strict=True)
            table = np.stack([sample_partners(kind, own, count, rng) for own, rng in drawn])
        order, table = torch.from_numpy(order), torch.from_numpy(table)
        for start in range(0, examples - size + 1, size):
            span = torch.arange(start, start + size)
            own, others = order[:, span], order[:, (span + 1) % examples]
            partners = table[rows, own].mT  # (S, count, B)
            yield Batch(
                inputs[places[rows, own]],
                labels[rows, own],
                inputs[places[rows, partners.flatten(1)]],
                labels[rows[..., None], partners],
                labels[rows[..., None], table[rows, others]].mean(2),
            )
