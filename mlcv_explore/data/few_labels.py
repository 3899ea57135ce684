"""A split of which each seed draws a few labelled training images a class: for learning
with few labels, with or without the unlabelled rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data.partners import Batch, partner_batches
from mlcv_explore.seeds import numpy_stream


@dataclass(frozen=True, eq=False)
class FewLabels:
    """One fixed split for all seeds, and the labelled places of each."""

    split: data.Split
    labelled: np.ndarray  # (S, n) places in the training part, class by class

    @property
    def classes(self) -> int:
        """Their number."""
        return len(self.split.train.classes)

    @property
    def labels(self) -> np.ndarray:
        """(S, n) of the labelled images."""
        return self.split.train.labels[self.labelled]

    def all_labelled(self) -> "FewLabels":
        """The same split with every training image labelled."""
        return FewLabels(self.split, np.tile(np.arange(len(self.split.train)), (len(self.labelled), 1)))

    def batches(
        self, seeds: Sequence[int], size: int, partners: int = 0, kind: str = "any"
    ) -> Iterator[Batch]:
        """Batches of the labelled images without end, with so many partners each."""
        one_hot = functional.one_hot(torch.from_numpy(self.labels), self.classes).float()
        about = self.labelled, self.labels, one_hot, seeds, size, partners, kind
        return partner_batches(self.images["train"], *about)

    @cached_property
    def images(self) -> dict[str, torch.Tensor]:
        """(N, C, h, w) in [0, 1], or (N, d) of features, of the whole "train", "validation"
        and "test" part.
        """
        return {name: getattr(self.split, name).as_float() for name in ("train", "validation", "test")}


def load(name: str, sizes: tuple[int, int, int], labels: int, seeds: Sequence[int]) -> FewLabels:
    """The data set `name` in parts of these sizes, `labels` images of every class
    labelled; a smaller number gives a subset.

    Raises DataError, and SettingError when there is one class, or a class has fewer
    training images than labels.
    """
    dataset = data.load(name)
    if len(dataset.train.classes) < 2:
        raise SettingError(f"dataset must have at least 2 classes, {name} has {len(dataset.train.classes)}.")
    split = data.split_own(dataset, *sizes, 0)
    given, classes = split.train.labels, split.train.classes
    counts = np.bincount(given, minlength=len(classes))
    if counts.min() < labels:
        raise SettingError(
            f"labels must be at most {counts.min()} on {name} (training images of class"
            f" {classes[int(counts.argmin())]!r}), got {labels}."
        )
    return FewLabels(split, np.stack([draw_labelled(given, labels, seed) for seed in seeds]))


def draw_labelled(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Places of `count` random examples of every class of labels (N,), class by class."""
    rng = numpy_stream(seed, "labelled")
    return np.concatenate(
        [rng.permutation(np.flatnonzero(labels == label))[:count] for label in np.unique(labels)]
    )
