"""The demo: networks that ship, tuned in all patterns, before and after."""

from functools import lru_cache
from typing import Any

import numpy as np

from mlcv_explore import data
from mlcv_explore.data import corruptions, target_shifts, uploads
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.freezing import VALIDATION
from mlcv_explore.ideas.freezing.pretrain import DIGITS, PREFIX, SMALL, TRIED
from mlcv_explore.models import tuned_networks
from mlcv_explore.models.tuned_networks import TunedNetworks

CONFIGS = {"Digits": DIGITS, "Photographs": SMALL}
SIZES = {name: TRIED[config.dataset] for name, config in CONFIGS.items()}  # numbers of target images
EXAMPLES = (17, 6, 5, 13, 21, 19)  # places of digits in the test


def load(name: str) -> tuple[TunedNetworks, dict[str, Any]]:
    """The networks of "Digits" or "Photographs", and their targets. Raises CheckpointError."""
    return tuned_networks.load(f"{PREFIX}{CONFIGS[name].dataset}/0")


@lru_cache(maxsize=3)
def examples(shift: str) -> list[tuple[np.ndarray, str]]:
    """Digits of the test as the target has them, uint8 (1, 8, 8), and their classes there."""
    about = DIGITS.source_size, (DIGITS.target_size, VALIDATION, DIGITS.test_size), 0
    target = target_shifts.transfer(data.load("digits"), shift, *about, DIGITS.corruption, DIGITS.severity)
    test = target.test
    return [(test.images[place], test.classes[test.labels[place]]) for place in EXAMPLES]


def at_target(name: str, shift: str, pixels: np.ndarray) -> np.ndarray:
    """A photograph uint8 (h, w, 3), or a digit (8, 8) in [0, 1], as a network reads it at a
    target, uint8 (C, h, w).
    """
    config = CONFIGS[name]
    values = pixels[None] if pixels.ndim == 2 else uploads.resized_to_square(pixels, 32)
    image = (values * 255).round().astype(np.uint8)
    return corruptions.corrupted(image[None], config.corruption, config.severity * (shift == "corruption"))[0]


def tiles() -> tuple[Tile, ...]:
    """For home: digits of lower contrast."""
    return tuple(Tile(image[0] / 255) for image, _ in examples("corruption")[:5])
