"""Open sets: images of the classes that are learned, and outliers, which are of classes
left out ("near") or of other kinds ("far").
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import Images
from mlcv_explore.data.splits import Split
from mlcv_explore.seeds import numpy_stream, stream

FAR_IMAGES = 200  # of every kind, to know and to test

Pairs = dict[str, tuple[torch.Tensor, torch.Tensor]]  # kind → outliers to know, and to test


@dataclass(frozen=True, eq=False)
class OpenSet:
    """A seed's images: with labels those of classes that are learned, without the outliers."""

    classes: tuple[str, ...]  # in the order of their labels
    left_out: tuple[str, ...]
    train: tuple[torch.Tensor, torch.Tensor]
    validation: tuple[torch.Tensor, torch.Tensor]
    test: tuple[torch.Tensor, torch.Tensor]
    known: dict[str, torch.Tensor]  # kind → outliers to train on where they may be known
    outliers: dict[str, torch.Tensor]  # kind → others of the same kind, of the test; the first are "near"

    @property
    def groups(self) -> list[torch.Tensor]:
        """Validation and test images, and every kind of outlier of the test."""
        return [self.validation[0], self.test[0], *self.outliers.values()]

    @property
    def all_known(self) -> torch.Tensor:
        """The outliers to know of all kinds, one kind after the other."""
        return torch.cat(list(self.known.values()))


def prepare(parts: Split, left_out: int, seed: int, far: Mapping[str, torch.Tensor] | None = None) -> OpenSet:
    """Leave some classes out of a split: their training images are outliers to know, those of
    its test part are tested. Far outliers are halves of those that are given, by kind, or
    `far_images`.
    """
    out = classes_left_out(len(parts.train.classes), left_out, seed)
    inside, outside = zip(
        *(divided(part, out) for part in (parts.train, parts.validation, parts.test)), strict=True
    )
    train, validation, test = ((part.as_float(), torch.from_numpy(part.labels)) for part in inside)
    pairs = {"near": (outside[0].as_float(), outside[2].as_float())}
    pairs |= far_images(train[0], test[0], seed) if far is None else halves(far, seed)
    known, tested = ({name: pair[place] for name, pair in pairs.items()} for place in (0, 1))
    return OpenSet(inside[0].classes, outside[0].classes, train, validation, test, known, tested)


def classes_left_out(count: int, left_out: int, seed: int) -> np.ndarray:
    """Which of `count` classes are left out (left_out,), in ascending order."""
    return np.sort(numpy_stream(seed, "classes left out").choice(count, left_out, replace=False))


def divided(part: Images, left_out: np.ndarray) -> tuple[Images, Images]:
    """The images of all other classes, and of those left out, in the order they had. Labels
    of either are numbered anew, in the order of its classes.
    """
    found = []
    for classes in (np.setdiff1d(np.arange(len(part.classes)), left_out), np.sort(left_out)):
        own = part.take(np.flatnonzero(np.isin(part.labels, classes)))
        labels, names = np.searchsorted(classes, own.labels), tuple(part.classes[each] for each in classes)
        found.append(replace(own, labels=labels, classes=names))
    return tuple(found)


def halves(images: Mapping[str, torch.Tensor], seed: int) -> Pairs:
    """Two halves of the images of every kind, drawn anew in every seed."""
    found = {}
    for name, values in images.items():
        order = torch.randperm(len(values), generator=stream(seed, name))
        found[name] = values[order[0::2]], values[order[1::2]]
    return found


def far_images(train_images: torch.Tensor, test_images: torch.Tensor, seed: int) -> Pairs:
    """Inverted images, generated scenes and noise, of the shape of these images: FAR_IMAGES
    each to know, and to test.
    """
    _, channels, side, _ = train_images.shape
    every = scenes.generate(scenes.ScenesConfig(), 2 * FAR_IMAGES, seed, "far outliers").images
    small = torch.nn.functional.interpolate(
        torch.from_numpy(every).float().div(255), size=(side, side), mode="area"
    )
    small = small if channels == 3 else small.mean(1, keepdim=True)
    noise = torch.rand(2 * FAR_IMAGES, channels, side, side, generator=stream(seed, "noise images"))
    return {
        "inverted": (1 - train_images[:FAR_IMAGES], 1 - test_images[:FAR_IMAGES]),
        "scenes": (small[:FAR_IMAGES], small[FAR_IMAGES:]),
        "noise": (noise[:FAR_IMAGES], noise[FAR_IMAGES:]),
    }
