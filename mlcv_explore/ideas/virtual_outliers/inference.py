"""The demo's networks: how they are made, and which images they read."""

from functools import cache

import numpy as np
import torch

from mlcv_explore.config import Config, setting
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.virtual_outliers import IMAGENET, LIVE, PHOTOGRAPHS, VirtualOutliersConfig, training
from mlcv_explore.models import layer_features, layered_demo
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.layered_demo import LayeredDemo, Reading

SEED = 3  # of the networks that ship
PREFIX = "virtual_outliers_"
CONFIGS = {config.dataset: config for config in (LIVE, IMAGENET)}
EXAMPLES = {  # name → group of the test, place in it
    "7": (1, 0),
    "2": (1, 2),
    "3": (1, 3),
    "left-out 9": (2, 4),
    "left-out 6": (2, 5),
    "inverted": (3, 3),
    "scene": (4, 1),
    "noise": (5, 0),
}


class VirtualOutliersView(Config):
    """Settings of the demo; nothing of it is trained."""

    layer: int = setting(4, "Layer", low=1, high=4, step=1)
    exponent: int = setting(
        4,
        "Least likely of 10ⁿ",
        low=0,
        high=6,
        step=1,
        help="n: one of so many draws is kept. Scores stay as they are.",
    )


def make(seed: int, config: VirtualOutliersConfig, report: ProgressCallback | None) -> TrainedCheckpoint:
    """The network that a run trains with virtual outliers at every layer."""
    parts = training.prepare(config, seed)
    own = training.trained(config, parts, "several", seed)
    return layered_demo.checkpoint(own, parts, config.dataset, config.epochs, report)


CHECKPOINTS = {f"{PREFIX}{name}": CheckpointSpec(config, make) for name, config in CONFIGS.items()}


@cache
def load(name: str) -> LayeredDemo:
    """The demo on "digits" or "photographs". Raises DataError, CheckpointError."""
    config, parts = CONFIGS[name], training.prepare(CONFIGS[name], SEED)
    return layered_demo.load(f"{PREFIX}{name}/{SEED}", parts, config.neighbours, config.draws, SEED)


@cache
def examples() -> dict[str, np.ndarray]:
    """Name → an image of the test on digits, float32 (1, 8, 8) in [0, 1]."""
    groups = training.prepare(LIVE, SEED).groups
    return {name: groups[group][place].numpy() for name, (group, place) in EXAMPLES.items()}


def read(name: str, image: np.ndarray) -> Reading:
    """An image, as `layer_features.small` returns it or one of `examples`, at every layer."""
    stored = name == PHOTOGRAPHS
    image = layer_features.of_images(image[None]) if stored else torch.from_numpy(image)[None]
    return layered_demo.read(load(name), image)


def tiles() -> tuple[Tile, ...]:
    """For home: a digit, one of a class left out, and three far outliers."""
    return tuple(Tile(examples()[name][0]) for name in ("7", "left-out 9", "inverted", "scene", "noise"))
