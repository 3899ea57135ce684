"""The demo: twelve networks of each pipeline on one image and on a test set, corrupted."""

from functools import lru_cache

import numpy as np

from mlcv_explore.config import Config, setting
from mlcv_explore.data.corrupted_photographs import PHOTOGRAPHS
from mlcv_explore.data.corruptions import KINDS, corrupted
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.underspecification.pretrain import NETWORKS, PREFIX
from mlcv_explore.metrics.between_networks import sorted_by_class
from mlcv_explore.models import checkpoints, corrupted_splits
from mlcv_explore.models.corrupted_demo import CorruptedDemo
from mlcv_explore.models.normalised_networks import NormalisedNetworks

SEED = 3  # of the networks that ship
EXAMPLES = {"7": 0, "2": 4, "0": 6, "5": 11, "4": 20, "6": 21}  # name → place in the test


class UnderspecificationView(Config):
    """Settings of the demo; nothing of it is trained."""

    corruption: str = setting("fog", "Corruption", choices=KINDS)
    strength: int = setting(4, "Severity", low=0, high=5, step=1)


@lru_cache(maxsize=2)
def load(name: str) -> CorruptedDemo:
    """The demo on "digits" or "photographs". Raises CheckpointError."""
    networks, card = checkpoints.load_network(
        f"{PREFIX}{name}/{SEED}", lambda card: NormalisedNetworks(**card["arguments"])
    )
    config, known = NETWORKS[name], (tuple(card["pipelines"]), tuple(card["classes"]))
    split = corrupted_splits.draw(*config.parts, config.severity, SEED)
    return CorruptedDemo(networks, *known, split, name == PHOTOGRAPHS)


def example(name: str) -> np.ndarray:
    """A digit of the test, uint8 (1, 8, 8)."""
    return load("digits").images[EXAMPLES[name]]


def tiles() -> tuple[Tile, ...]:
    """For home: a digit ever more corrupted, and where two pipelines' networks disagree."""
    demo, image = load("digits"), example("7")[None]
    shown = [corrupted(image, "fog", severity)[0, 0] / 255 for severity in (0, 3, 5)]
    cells = [sorted_by_class(each.outvoted, demo.truth) for each in demo.spreads("fog", 5)[:2]]
    return (*map(Tile, shown), *(Tile(each, "amount") for each in cells))
