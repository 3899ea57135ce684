"""The networks of the demo."""

import numpy as np

from mlcv_explore import data
from mlcv_explore.ideas.virtual_outliers import IMAGENET, LIVE, PHOTOGRAPHS, VirtualOutliersConfig, training
from mlcv_explore.ideas.virtual_outliers.claims import LEFT_OUT
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.seeds import numpy_stream

PREFIX = "virtual_outliers_"


def class_names(config: VirtualOutliersConfig, seed: int) -> tuple[list[str], list[str]]:
    """The classes that a seed learns, in the order of its labels, and those left out."""
    known = data.CATALOGUE["cifar10" if config.dataset == PHOTOGRAPHS else config.dataset].classes
    out = numpy_stream(seed, "classes left out").choice(len(known), LEFT_OUT, replace=False)
    inside = np.setdiff1d(np.arange(len(known)), out)
    return [known[each] for each in inside], [known[each] for each in sorted(out)]


def make(seed: int, config: VirtualOutliersConfig, report: ProgressCallback | None) -> TrainedCheckpoint:
    """The network that a run trains with virtual outliers at every layer."""
    parts = training.prepare(config, seed)
    network = training.trained(config, parts, "several", seed)
    own = training.opened(network, parts)
    accuracy = training.accuracy("several", own, parts)["several", "accuracy"]
    inside, out = class_names(config, seed)
    shape = parts.train[0].shape[1:] if config.dataset != PHOTOGRAPHS else (0, 0)
    if report is not None:
        report(config.epochs, config.epochs, 0.0, accuracy)
    about = {
        "kind": "layered network",
        "architecture": "LayeredNetwork",
        "arguments": {
            "sizes": list(network.sizes),
            "classes": len(inside),
            "channels": shape[0],
            "side": shape[1],
        },
        "classes": inside,
        "left_out": out,
        "data": {"name": config.dataset},
        "steps": config.epochs,
        "metrics": {"test_accuracy": accuracy, "test_size": len(parts.test[0])},
    }
    return TrainedCheckpoint(network, about)


CHECKPOINTS = {**{f"{PREFIX}{config.dataset}": CheckpointSpec(config, make) for config in (LIVE, IMAGENET)}}
