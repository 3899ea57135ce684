"""The images of a run, few of them labelled, who is mixed with whom, and the batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data.coarse import coarse
from mlcv_explore.ideas.feature_mixing.settings import FeatureMixingConfig, split_sizes
from mlcv_explore.seeds import numpy_stream


@dataclass(frozen=True, eq=False)
class MixingDataset:
    """One fixed split for all seeds; each seed draws which training images are
    labelled.
    """

    split: data.Split
    labelled: np.ndarray  # (S, n) places in the training part, class by class
    coarse_names: tuple[str, ...]
    coarse_classes: np.ndarray  # (K,) coarse class of each class
    network: str  # "dense" or "convolutional"

    @property
    def classes(self) -> int:
        """Their number."""
        return len(self.split.train.classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, h, w) of an image."""
        return tuple(self.images.shape[1:])

    @cached_property
    def images(self) -> torch.Tensor:
        """(N, C, h, w) in [0, 1], the whole training part."""
        return self.split.train.as_float()

    @cached_property
    def inputs(self) -> dict[str, torch.Tensor]:
        """Of training, validation and test part, as the network takes them."""
        parts = {"train": self.images, "validation": self.split.validation.as_float()}
        parts["test"] = self.split.test.as_float()
        return {name: as_inputs(images, self.network) for name, images in parts.items()}

    @property
    def labels(self) -> np.ndarray:
        """(S, n) of the labelled images."""
        return self.split.train.labels[self.labelled]


def as_inputs(images: torch.Tensor, network: str) -> torch.Tensor:
    """Images (…, C, h, w) as a network takes them: flat for a dense one."""
    return images.flatten(-3) if network == "dense" else images


def load(config: FeatureMixingConfig, seeds: Sequence[int]) -> MixingDataset:
    """Raises DataError, and SettingError when there is one class, or a class has fewer
    training images than labels.
    """
    dataset = data.load(config.dataset)
    if len(dataset.train.classes) < 2:
        raise SettingError(
            f"dataset must have at least 2 classes, {config.dataset} has {len(dataset.train.classes)}."
        )
    split = data.split(dataset, *split_sizes(config.dataset), 0)
    labels = split.train.labels
    counts = np.bincount(labels, minlength=len(dataset.train.classes))
    if counts.min() < config.labels:
        least = split.train.classes[int(counts.argmin())]
        raise SettingError(
            f"labels must be at most {counts.min()} on {config.dataset} (training images of class"
            f" {least!r}), got {config.labels}."
        )
    labelled = np.stack([_labelled(labels, config.labels, seed) for seed in seeds])
    return MixingDataset(split, labelled, *coarse(config.dataset), config.network)


def _labelled(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` places of every class; a smaller count gives a subset."""
    rng = numpy_stream(seed, "labelled")
    return np.concatenate(
        [rng.permutation(np.flatnonzero(labels == label))[:count] for label in np.unique(labels)]
    )


def sample_partners(kind: str, labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(n, count) places of each image's partners, all different and never itself, of
    "any" class, the "same", or "other" classes that all differ.

    Needs more than `count` images, in each class with "same", and more than `count`
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
    """What all arms of a step train on."""

    inputs: torch.Tensor  # (S, B, …)
    labels: torch.Tensor  # (S, B, K) one-hot
    partners: torch.Tensor  # (S, (m − 1)·B, …), partner after partner
    partner_labels: torch.Tensor  # (S, m − 1, B, K) one-hot
    unrelated_labels: torch.Tensor  # (S, B, K) mean label of another image's partners

    @property
    def mean_partner_labels(self) -> torch.Tensor:
        """(S, B, K)."""
        return self.partner_labels.mean(1)


class BatchSampler:
    """Batches of the labelled images of `inputs` (N, …), order and partners from
    streams of their own. Other `labelled` places or one-hot `labels` may be set.
    """

    def __init__(
        self, config: FeatureMixingConfig, dataset: MixingDataset, seeds: Sequence[int], inputs: torch.Tensor
    ) -> None:
        self.config, self.inputs, self.classes = config, inputs, dataset.labels
        self.labelled = torch.from_numpy(dataset.labelled)
        self.labels = functional.one_hot(torch.from_numpy(self.classes), dataset.classes).float()  # (S, n, K)
        self.orders = [numpy_stream(seed, "batches") for seed in seeds]
        self.pairs = [numpy_stream(seed, "partners") for seed in seeds]
        self.size = min(config.batch_size, self.classes.shape[1])

    def batches(self) -> Iterator[Batch]:
        """Without end; an epoch's incomplete last batch is dropped."""
        partners, (seeds, count) = self.config.images - 1, self.classes.shape
        rows = torch.arange(seeds)[:, None]
        while True:
            order = np.stack([rng.permutation(count) for rng in self.orders])
            table = np.zeros((seeds, count, 0), np.int64)  # (S, n, m − 1)
            if partners:
                pairs = zip(self.classes, self.pairs, strict=True)
                table = np.stack(
                    [sample_partners(self.config.partners, own, partners, rng) for own, rng in pairs]
                )
            for start in range(0, count - self.size + 1, self.size):
                span = np.arange(start, start + self.size)
                yield self._batch(rows, table, order[:, span], order[:, (span + 1) % count])

    def _batch(self, rows: torch.Tensor, table: np.ndarray, own: np.ndarray, others: np.ndarray) -> Batch:
        """Images `own` (S, B) with their partners, and the partners' labels of
        `others`.
        """
        mates = table[rows.numpy(), own].transpose(0, 2, 1)  # (S, m − 1, B)
        own, flat = torch.from_numpy(own), torch.from_numpy(mates.reshape(len(mates), -1))
        if mates.shape[1]:
            partner_labels = self.labels[rows, flat].unflatten(1, mates.shape[1:])
            unrelated = self.labels[rows[..., None], torch.from_numpy(table[rows.numpy(), others])].mean(2)
        else:
            partner_labels, unrelated = self.labels[:, :0, None], self.labels[:, :0]
        inputs, partners = (self.inputs[self.labelled[rows, places]] for places in (own, flat))
        return Batch(inputs, self.labels[rows, own], partners, partner_labels, unrelated)
