"""Who is mixed with whom: drawn once an epoch for every training picture, alike for all
arms of a seed.
"""

import numpy as np

PARTNERS = ("any", "same", "other")  # of any class, of the same, of others that all differ


def partners(kind: str, labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(n, count) places of each picture's partners, all different and none itself; with
    "other" they are of different classes, none its own.

    Needs more than `count` pictures, in each class with "same", and more than `count`
    classes with "other".
    """
    size = len(labels)
    if kind == "any":
        return _shifted(rng.permutation(size), count, rng)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    found = np.empty((size, count), dtype=np.int64)
    if kind == "same":
        for own in members:
            found[own] = _shifted(rng.permutation(len(own)), count, rng)
            found[own] = own[found[own]]
        return found
    place = np.searchsorted(np.unique(labels), labels)
    steps = rng.permuted(np.tile(np.arange(1, len(members)), (size, 1)), axis=1)[:, :count]
    classes = (place[:, None] + steps) % len(members)
    sizes = np.array([len(own) for own in members])
    chosen = (rng.random((size, count)) * sizes[classes]).astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    return np.concatenate(members)[starts[classes] + chosen]


def _shifted(order: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(n, count) partners in a ring of random order: those at `count` different steps
    ahead.
    """
    size = len(order)
    steps = 1 + rng.permutation(size - 1)[:count]
    place = np.empty(size, dtype=np.int64)
    place[order] = np.arange(size)
    return order[(place[:, None] + steps) % size]
