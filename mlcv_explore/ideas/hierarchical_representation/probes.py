"""One seed's data, and what linear probes with few labels find in the codes of a level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data.coarse import coarse
from mlcv_explore.ideas.hierarchical_representation import HierarchicalRepresentationConfig, held_out
from mlcv_explore.metrics import linear_probe
from mlcv_explore.seeds import numpy_stream

MOST_FITTED = 1000  # training codes from which the leading components are computed
SCALING_ROUNDS = 100  # of the fit of a bias alone; it converges in about ten


@dataclass(frozen=True, eq=False)
class Dataset:
    """One seed's images, standardised by the training part, and the labels of probes."""

    train: torch.Tensor  # (n, …) float32, mean 0 and variance 1 in every channel over the part
    labels: torch.Tensor  # (n,) int64; no learner but the supervised bound uses them
    labelled: np.ndarray  # (K · labels,) places in the training part whose labels a probe is given
    validation: torch.Tensor
    validation_labels: np.ndarray
    test: torch.Tensor
    test_labels: np.ndarray
    groups: np.ndarray  # (K,) int64, the coarse class of each class
    mean: torch.Tensor  # (channels, 1, 1) of the training part's pixels in [0, 1]
    std: torch.Tensor

    def parts(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """What a probe needs: training images for the components, the labelled ones,
        validation and test images.
        """
        return self.train[:MOST_FITTED], self.train[self.labelled], self.validation, self.test


def datasets(config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> list[Dataset]:
    """Every seed's data: one split for all, or one a seed; which training images have a
    label is drawn for every seed.
    """
    whole, groups = data.load(config.dataset), coarse(config.dataset)[1]
    own = {seed: seed if config.split == "redrawn" else 0 for seed in seeds}
    parts = {
        split: data.split(whole, config.train_size, *held_out(config.dataset), split)
        for split in dict.fromkeys(own.values())
    }
    images = {split: standardised(part, config.network == "dense") for split, part in parts.items()}
    return [
        Dataset(
            labels=torch.from_numpy(part.train.labels),
            labelled=some_of_each(part.train.labels, config.labels, numpy_stream(seed, "labelled")),
            validation_labels=part.validation.labels,
            test_labels=part.test.labels,
            groups=groups,
            **images[own[seed]],
        )
        for seed, part in ((seed, parts[own[seed]]) for seed in seeds)
    ]


def standardised(part: data.Split, flat: bool) -> Mapping[str, torch.Tensor]:
    """The three parts' images, with mean and standard deviation of each channel over
    the training part alone.
    """
    train = part.train.as_float()
    mean, std = (of(train.transpose(0, 1).flatten(1), 1).view(-1, 1, 1) for of in (torch.mean, torch.std))
    parts = {"train": train, "validation": part.validation.as_float(), "test": part.test.as_float()}
    images = {name: (values - mean) / std for name, values in parts.items()}
    return {name: values.flatten(1) if flat else values for name, values in images.items()} | {
        "mean": mean,
        "std": std,
    }


def some_of_each(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Places of `count` images of every class, drawn without replacement."""
    return np.concatenate(
        [rng.choice(np.flatnonzero(labels == each), count, replace=False) for each in np.unique(labels)]
    )


@dataclass(frozen=True, eq=False)
class ProbeFeatures:
    """One level's codes, projected on the leading components of its training codes."""

    labelled: np.ndarray  # (m, k)
    validation: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, train: np.ndarray, *parts: np.ndarray) -> "ProbeFeatures":
        """Components of the training codes; labelled, validation and test codes are
        only projected.
        """
        return cls(*map(linear_probe.principal_components(train).transform, parts))

    def accuracy(self, dataset: Dataset) -> float:
        """Test accuracy of a linear probe on the labelled codes, its penalty chosen on
        validation codes.
        """
        labels = dataset.labels.numpy()[dataset.labelled]
        return self._accuracy(labels, dataset.validation_labels, dataset.test_labels)

    def coarse_accuracy(self, dataset: Dataset) -> float:
        """The same for coarse classes."""
        labels = dataset.labels.numpy()[dataset.labelled], dataset.validation_labels, dataset.test_labels
        return self._accuracy(*(dataset.groups[own] for own in labels))

    def _accuracy(self, labels: np.ndarray, validation_labels: np.ndarray, test_labels: np.ndarray) -> float:
        scores = linear_probe.probe(self.labelled, labels, self.validation, validation_labels, self.test)
        return float((scores.argmax(1) == test_labels).mean())

    def frozen_accuracy(self, dataset: Dataset, rng: np.random.Generator) -> float:
        """The probe of the author's code: a linear layer whose weight stays as it was
        drawn, and only the bias is trained.
        """
        labels = dataset.labels.numpy()[dataset.labelled]
        size = self.labelled.shape[1]
        weight = rng.uniform(-1, 1, (size, len(dataset.groups))) / np.sqrt(size)
        bias = fitted_bias(self.labelled @ weight, labels)
        return float(((self.test @ weight + bias).argmax(1) == dataset.test_labels).mean())


def fitted_bias(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The maximum-likelihood bias (K,) for fixed logits (n, K), by iterative scaling:
    predicted classes become as frequent as true ones.
    """
    frequencies = np.bincount(labels, minlength=logits.shape[1]) / len(labels)
    bias = np.zeros(logits.shape[1])
    for _ in range(SCALING_ROUNDS):
        shares = np.exp(logits + bias - (logits + bias).max(1, keepdims=True))
        predicted = (shares / shares.sum(1, keepdims=True)).mean(0)
        bias += np.log(frequencies + 1e-12) - np.log(predicted + 1e-12)
    return bias
