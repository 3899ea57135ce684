"""Features of corrupted photographs: the test part of `cifar10_features` once more, every
photograph corrupted in its 32 pixels before the ImageNet network reads it.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from mlcv_explore.config import Config, setting
from mlcv_explore.data import features as stored
from mlcv_explore.data.corruptions import KINDS, corrupted
from mlcv_explore.models import checkpoints, photograph_features
from mlcv_explore.models.checkpoints import CheckpointSpec, TrainedCheckpoint
from mlcv_explore.seeds import stream_seed

NAME, SOURCE = "corrupted_photographs", "cifar10_features"
SHIPPED = (5,)  # severities


class CorruptedFeaturesHyperparameters(Config):
    """How strongly photographs are corrupted."""

    severity: int = setting(5, "Severity", low=1, high=5, step=1)


class CorruptedFeatures(nn.Module):
    """Features (n, d) of every kind of corruption, as one set of weights."""

    def __init__(self, count: int, components: int) -> None:
        super().__init__()
        for kind in KINDS:
            self.register_buffer(kind, torch.zeros(count, components))


@lru_cache(maxsize=len(SHIPPED))
def load(severity: int) -> dict[str, torch.Tensor]:
    """Kind → features (n, d), in the order of the test part. Raises CheckpointError."""
    found, _ = checkpoints.load_network(
        f"{NAME}_{severity}/0", lambda card: CorruptedFeatures(**card["arguments"])
    )
    return {kind: getattr(found, kind) for kind in KINDS}


def projected(images: np.ndarray) -> torch.Tensor:
    """Images (n, 3, h, w) uint8 as the features (n, d) of `cifar10_features`. Raises
    DataError, CheckpointError.
    """
    projection, _ = stored.read(stored.file(SOURCE))
    features = photograph_features.project(photograph_features.penultimate(images), projection)
    return torch.from_numpy(features).float()


def make(seed: int, config: CorruptedFeaturesHyperparameters, report: Any) -> TrainedCheckpoint:
    """Compute them from CIFAR-10. Raises DataError, CheckpointError."""
    photographs = photograph_features.originals(SOURCE)
    part = stored.load(SOURCE).test
    images = photographs.test.images[part.rows_in(photographs.test)]
    found = CorruptedFeatures(len(images), part.images.shape[1])
    for done, kind in enumerate(KINDS):
        changed = corrupted(images, kind, config.severity, stream_seed(seed, "corrupted photographs"))
        getattr(found, kind).copy_(projected(changed))
        if report is not None:
            report(done + 1, len(KINDS), 0.0, 0.0)
    about = {
        "kind": "features",
        "architecture": "CorruptedFeatures",
        "arguments": {"count": len(images), "components": part.images.shape[1]},
        "data": {"name": SOURCE, "fingerprint": photographs.fingerprint},
        "steps": len(KINDS) * len(images),
        "metrics": {"severity": config.severity},
    }
    return TrainedCheckpoint(found, about)


CHECKPOINTS = {
    f"{NAME}_{severity}": CheckpointSpec(CorruptedFeaturesHyperparameters(severity=severity), make)
    for severity in SHIPPED
}
