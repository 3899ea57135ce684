"""The networks of the demo, twelve of each pipeline in one stack; and the features of
corrupted photographs.
"""

from typing import Any

from mlcv_explore import data
from mlcv_explore.ideas.underspecification import (
    IMAGENET,
    LIVE,
    PHOTOGRAPHS,
    UnderspecificationConfig,
    training,
)
from mlcv_explore.models import corrupted_features
from mlcv_explore.models.checkpoints import CheckpointSpec, TrainedCheckpoint
from mlcv_explore.models.normalised_networks import NormalisedNetworks, joined

PREFIX = "underspecification_"
SHOWN = ("matched", "contrastive", "autoencoder")  # pipelines of the demo, in this order
EACH = 12
SOURCES = {PHOTOGRAPHS: "cifar10"}  # where the classes are named


def make(seed: int, config: UnderspecificationConfig, report: Any) -> TrainedCheckpoint:
    """Networks as a run of this seed trains them."""
    parts = training.prepare(config, seed)
    names = ("augmented", "contrastive", "autoencoder")
    networks = {name: training.trained(name, config, parts, seed) for name in names}
    networks["matched"] = training.matched(*list(networks.values())[:2], config, parts, seed)
    stack = joined([networks[name] for name in SHOWN])
    accuracies = (stack.predict(parts.tests["clean"]).argmax(-1).numpy() == parts.truth).mean(1)
    if report is not None:
        report(config.steps, config.steps, 0.0, float(accuracies.mean()))
    about = {
        "kind": "normalised networks",
        "architecture": NormalisedNetworks.__name__,
        "arguments": {"sizes": list(stack.sizes), "seeds": [0] * stack.count},
        "pipelines": list(SHOWN),
        "classes": list(
            data.CATALOGUE["cifar10" if config.dataset == PHOTOGRAPHS else config.dataset].classes
        ),
        "data": {"name": config.dataset},
        "steps": config.steps,
        "metrics": {
            f"{name}_test_accuracy": float(accuracies[EACH * place : EACH * (place + 1)].mean())
            for place, name in enumerate(SHOWN)
        },
    }
    return TrainedCheckpoint(stack, about)


CHECKPOINTS = {
    **corrupted_features.CHECKPOINTS,
    **{
        f"{PREFIX}{config.dataset}": CheckpointSpec(config.replace(networks=EACH), make)
        for config in (LIVE, IMAGENET)
    },
}
