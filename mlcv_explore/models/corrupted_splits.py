"""A split of a data set whose test images come clean and under every corruption: small
images, or features of photographs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data.corrupted_photographs import PHOTOGRAPHS
from mlcv_explore.data.corruptions import KINDS, corrupted
from mlcv_explore.data.splits import stratified_parts
from mlcv_explore.models import corrupted_features
from mlcv_explore.seeds import numpy_stream, stream_seed

CLEAN = "clean"
Labelled = tuple[torch.Tensor, torch.Tensor]  # inputs (n, …) float32, labels (n,)


@dataclass(frozen=True, eq=False)
class CorruptedSplit:
    """The parts of one split, as networks read them."""

    train: Labelled
    validation: Labelled
    tests: dict[str, torch.Tensor]  # "clean" first, then every kind of corruption
    truth: np.ndarray  # (n,) of the test images
    known: Callable[[], Labelled]  # corrupted images, none of the test, with labels

    def classes(self, predicted: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, np.ndarray]:
        """What is predicted for the test images (n, …), by kind, "clean" first."""
        return {name: predicted(inputs).numpy() for name, inputs in self.tests.items()}


def draw(dataset: str, train: int, validation: int, test: int, severity: int, seed: int) -> CorruptedSplit:
    """The split of a seed. Raises SettingError, DataError, CheckpointError."""
    if dataset == PHOTOGRAPHS:
        return _photographs(train, validation, test, severity, seed)
    split = data.split(data.load(dataset), train, validation, test, seed)
    draws = stream_seed(seed, "corruptions")
    tests = {kind: corrupted(split.test.images, kind, severity, draws) for kind in KINDS}

    def known() -> Labelled:
        others = stream_seed(seed, "known")
        changed = [corrupted(split.train.images, kind, severity, others) for kind in KINDS]
        return _as_float(np.concatenate(changed)), torch.from_numpy(split.train.labels).repeat(len(KINDS))

    return CorruptedSplit(
        *((part.as_float(), torch.from_numpy(part.labels)) for part in (split.train, split.validation)),
        {CLEAN: split.test.as_float()} | {kind: _as_float(images) for kind, images in tests.items()},
        split.test.labels,
        known,
    )


def _photographs(train: int, validation: int, test: int, severity: int, seed: int) -> CorruptedSplit:
    whole, draws = data.load(corrupted_features.SOURCE), numpy_stream(seed, "split")
    rows = stratified_parts(whole.train.labels, (train, validation), draws)
    labels = whole.test.labels
    tested, others = stratified_parts(labels, (test, len(labels) - test), numpy_stream(seed, "split test"))
    changed = corrupted_features.load(severity)
    parts = [whole.train.take(own) for own in rows]
    known = torch.cat([each[others] for each in changed.values()])
    return CorruptedSplit(
        *((part.as_float(), torch.from_numpy(part.labels)) for part in parts),
        {CLEAN: whole.test.take(tested).as_float()} | {kind: each[tested] for kind, each in changed.items()},
        labels[tested],
        lambda: (known, torch.from_numpy(labels[others]).repeat(len(KINDS))),
    )


def _as_float(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).float() / 255
