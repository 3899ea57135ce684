"""A split as tensors, standardised by its training part alone."""

from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore.data.splits import Split


@dataclass(frozen=True, eq=False)
class StandardisedSplit:
    """Inputs and labels of the three parts; every channel has mean 0 and variance 1 over
    the training part, vectors of features all their numbers together.
    """

    train: torch.Tensor  # (n, channels, height, width) float32, or (n, d)
    labels: np.ndarray  # (n,) int64, of the training part
    validation: torch.Tensor
    validation_labels: np.ndarray
    test: torch.Tensor
    test_labels: np.ndarray
    # (channels, 1, 1) of the training part's pixels in [0, 1], (1,) of its features
    mean: torch.Tensor
    std: torch.Tensor


def standardise(part: Split, flat: bool = False) -> StandardisedSplit:
    """A split with mean and standard deviation of each channel taken from the training
    part; `flat`: every image as one vector.

    The numbers of a vector share one scale: with one each, the last principal component
    of a set of features would be as large as the first.
    """
    train = part.train.as_float()
    channels = train.flatten()[None] if train.ndim == 2 else train.transpose(0, 1).flatten(1)
    shape = (-1,) if train.ndim == 2 else (-1, 1, 1)
    mean, std = (of(channels, 1).view(shape) for of in (torch.mean, torch.std))
    parts = [(values - mean) / std for values in (train, part.validation.as_float(), part.test.as_float())]
    train, validation, test = (values.flatten(1) if flat else values for values in parts)
    others = validation, part.validation.labels, test, part.test.labels
    return StandardisedSplit(train, part.train.labels, *others, mean, std)
