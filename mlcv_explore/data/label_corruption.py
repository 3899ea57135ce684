"""Wrong labels for a data set: an exact share of them, of symmetric or pair noise."""

import numpy as np


def corrupt_labels(
    labels: np.ndarray, corruption: float, kind: str, classes: int, rng: np.random.Generator
) -> np.ndarray:
    """Labels (n,) int64 of which exactly round(corruption · n) are wrong; with the same
    generator state a larger share keeps the wrong labels of a smaller one.

    "symmetric": uniform over the other classes; "pair": always the next class, 3 → 4.
    """
    order = rng.permutation(len(labels))
    shift = (
        rng.integers(1, classes, len(labels)) if kind == "symmetric" else np.ones(len(labels), dtype=np.int64)
    )
    wrong = order[: round(corruption * len(labels))]
    given = labels.copy()
    given[wrong] = (labels[wrong] + shift[wrong]) % classes
    return given
