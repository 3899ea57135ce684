"""Linear probes of whole codes: ridge regression on one-hot labels, in the space that the
labelled images span, so that a code of any size costs little.

Source: Alain and Bengio, Understanding intermediate layers using linear classifier
probes, 2016, https://arxiv.org/abs/1610.01644
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# times the mean variance of the labelled features' directions; the strongest first
PENALTIES = tuple(10.0**power for power in np.arange(2, -4.5, -0.5))
TINY = 1e-12  # by which a variance is at least divided: that of a dead code is 0


@dataclass(frozen=True, eq=False)
class Projection:
    """Some directions of a code, and the code that is their origin."""

    mean: np.ndarray  # (d,)
    basis: np.ndarray  # (d, k), orthonormal columns

    def transform(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) → (n, k)."""
        return (codes - self.mean) @ self.basis


def span(labelled: np.ndarray) -> Projection:
    """All directions that labelled codes (n, d) differ in: at most n of them. No others
    have a weight in a ridge regression on these codes.
    """
    mean = labelled.mean(0)
    return Projection(mean, np.linalg.qr((labelled - mean).T)[0])


def leading(train: np.ndarray, count: int) -> Projection:
    """The `count` leading principal components of training codes (n, d), fewer where
    these have fewer dimensions or images.
    """
    mean = train.mean(0)
    centred = train - mean
    if len(centred) >= centred.shape[1]:
        return Projection(mean, np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :count])
    values, vectors = (part[..., ::-1][..., :count] for part in np.linalg.eigh(centred @ centred.T))
    return Projection(mean, centred.T @ vectors / np.sqrt(np.maximum(values, TINY)))


def probe_accuracy(features: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> float:
    """Test accuracy in [0, 1]: features (n, k) and labels (n,) of the labelled, the
    validation and the test part.

    The penalty is that of PENALTIES with the best validation accuracy, the strongest
    among equals. A rotation, a shift or another scale of the features changes nothing.
    """
    known, validation, test = (part.astype(float) for part in features)
    mean, classes = known.mean(0), np.unique(labels[0])
    targets = (labels[0][:, None] == classes).astype(float)
    values, directions = np.linalg.eigh((known - mean).T @ (known - mean))
    known, validation, test = ((part - mean) @ directions for part in (known, validation, test))
    values, products = np.maximum(values, 0), known.T @ (targets - targets.mean(0))
    best, chosen = -1.0, products
    for penalty in PENALTIES:
        weights = products / (values + penalty * max(values.mean(), TINY))[:, None]
        accuracy = _accuracy(validation @ weights + targets.mean(0), classes, labels[1])
        if accuracy > best:
            best, chosen = accuracy, weights
    return _accuracy(test @ chosen + targets.mean(0), classes, labels[2])


def _accuracy(scores: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> float:
    return float((classes[scores.argmax(1)] == labels).mean())
