"""The codes that every arm chooses from, and their pools."""

from collections.abc import Iterable

import numpy as np

from mlcv_explore.models import sparse_coding
from mlcv_explore.models.hierarchical_dictionary import Dictionary, learn, shuffled
from mlcv_explore.models.item_codes import BOUND, Code, components, cosines

THRESHOLDS = tuple(range(50, 100, 5))  # of the energy, per cent, at which f is applied too
# parts and wholes to choose from, and atoms of a dictionary without levels: for images, for tables
LEVELS = {True: ((8, 8), (32, 64), (80, 160)), False: ((6, 8), (12, 16))}
FLAT = {True: (4, 8, 16, 32, 64, 128, 256), False: (4, 8, 16)}
POOLED = {"levels": ("two", "three"), "baseline": ("strokes", "flat", "components", "cosines")}


def pooled(by_arm: dict[str, list]) -> dict[str, list]:
    """Codes or curves by arm, with those arms that choose among all of several others."""
    return by_arm | {arm: [one for name in names for one in by_arm[name]] for arm, names in POOLED.items()}


def offered(first: Dictionary, train: np.ndarray, bits: int, seed: int) -> dict[str, list[Code]]:
    """Arm → the codes it chooses from, learned from items (n, d)."""
    limit = np.array([np.percentile(np.linalg.norm(train, axis=1), BOUND)], np.float32)
    images = bool(first.side)
    learned = {levels.sizes: levels for levels in learn(first, train, LEVELS[images], bits, seed)}.values()
    mixed = [shuffled(levels, seed) for levels in learned]

    def in_levels(dictionaries: Iterable[Dictionary]) -> list[Code]:
        return [Code(levels.atoms, levels.bits(bits), limit, bits, source=levels) for levels in dictionaries]

    sizes, purpose = [size for size in FLAT[images] if size <= len(train)], "flat dictionary"
    flat = (sparse_coding.learn_dictionary(train, size, bits, seed, purpose) for size in sizes)
    return {
        "two": in_levels([levels.up_to(1) for levels in learned]),
        "three": in_levels(learned),
        "shuffled": in_levels([levels.up_to(top) for top in (1, 2) for levels in mixed]),
        "strokes": in_levels([first]),
        "flat": [Code(atoms, float(atoms.size * bits), limit, bits) for atoms in flat],
        "components": components(train, [2 * size for size in sizes], bits),
        "cosines": cosines(train, first.side, limit, bits),
    }
