"""The networks of the demo, twelve of each pipeline in one stack."""

from typing import Any

import torch

from mlcv_explore import data
from mlcv_explore.data.corrupted_photographs import PHOTOGRAPHS
from mlcv_explore.ideas.underspecification import IMAGENET, LIVE, UnderspecificationConfig
from mlcv_explore.ideas.underspecification.training import Replicate
from mlcv_explore.models import corrupted_features, pipelines
from mlcv_explore.models.checkpoints import CheckpointSpec, TrainedCheckpoint
from mlcv_explore.models.corrupted_splits import CLEAN
from mlcv_explore.models.normalised_networks import NormalisedNetworks, joined

PREFIX = "underspecification_"
EACH = 12


def make(seed: int, config: UnderspecificationConfig, report: Any) -> TrainedCheckpoint:
    """Networks as a run of this seed trains them."""
    own = Replicate(config, seed)
    full, contrastive, autoencoder = map(own.trained, ("augmented", "contrastive", "autoencoder"))
    networks = {"matched": own.matched(full, contrastive), "contrastive": contrastive}
    networks["autoencoder"] = autoencoder
    stack, test = joined(list(networks.values())), (own.split.tests[CLEAN], torch.from_numpy(own.split.truth))
    metrics = {f"{name}_test_accuracy": pipelines.accuracy(each, *test) for name, each in networks.items()}
    if report is not None:
        report(config.steps, config.steps, 0.0, metrics["contrastive_test_accuracy"])
    classes = data.CATALOGUE["cifar10" if config.dataset == PHOTOGRAPHS else config.dataset].classes
    about = {
        "kind": "normalised networks",
        "architecture": NormalisedNetworks.__name__,
        "arguments": {"sizes": list(stack.sizes), "seeds": [0] * stack.count},
        "pipelines": list(networks),
        "classes": list(classes),
        "data": {"name": config.dataset},
        "steps": config.steps,
        "metrics": metrics,
    }
    return TrainedCheckpoint(stack, about)


NETWORKS = {config.dataset: config.replace(networks=EACH) for config in (LIVE, IMAGENET)}
CHECKPOINTS = {
    **corrupted_features.CHECKPOINTS,
    **{f"{PREFIX}{name}": CheckpointSpec(config, make) for name, config in NETWORKS.items()},
}
