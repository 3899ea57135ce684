"""The pictures of a run: few with labels, the others of the training part without."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data.coarse import coarse
from mlcv_explore.ideas.feature_mixing import FeatureMixingConfig, sizes
from mlcv_explore.seeds import numpy_stream


@dataclass(frozen=True, eq=False)
class Material:
    """One fixed split for all seeds; which training pictures have labels is drawn for
    every seed.
    """

    split: data.Split
    labelled: np.ndarray  # (S, n) places in the training part, in random order
    groups: tuple[str, ...]  # coarse classes
    group: np.ndarray  # (K,) of each class

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.split.train.classes)

    @cached_property
    def pictures(self) -> torch.Tensor:
        """(N, C, h, w) in [0, 1], the whole training part."""
        return self.split.train.as_float()

    @cached_property
    def validated(self) -> torch.Tensor:
        """(V, C, h, w) in [0, 1]."""
        return self.split.validation.as_float()

    @cached_property
    def tested(self) -> torch.Tensor:
        """(T, C, h, w) in [0, 1]."""
        return self.split.test.as_float()

    def own_labels(self) -> np.ndarray:
        """(S, n) of the labelled pictures."""
        return self.split.train.labels[self.labelled]


def material(config: FeatureMixingConfig, seeds: list[int]) -> Material:
    """Raises SettingError when the set has one class, or a class has fewer training
    pictures than labels are asked for; DataError.
    """
    dataset = data.load(config.dataset)
    if len(dataset.train.classes) < 2:
        raise SettingError(
            f"dataset must have at least 2 classes, {config.dataset} has {len(dataset.train.classes)}."
        )
    split = data.split(dataset, *sizes(config.dataset), 0)
    labels = split.train.labels
    counts = np.bincount(labels, minlength=len(dataset.train.classes))
    if counts.min() < config.labels:
        least = split.train.classes[int(counts.argmin())]
        raise SettingError(
            f"labels must be at most {counts.min()} on {config.dataset} (training pictures of class"
            f" {least!r}), got {config.labels}."
        )
    return Material(
        split, np.stack([_labelled(labels, config.labels, seed) for seed in seeds]), *coarse(config.dataset)
    )


def _labelled(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` places of every class; those of a smaller count are among those of a
    larger.
    """
    rng = numpy_stream(seed, "labelled")
    return np.concatenate(
        [rng.permutation(np.flatnonzero(labels == label))[:count] for label in np.unique(labels)]
    )
