"""Classification metrics of logits: accuracy, likelihood, calibration. All over the
last two axes, (…, n, K) → (…).
"""

import numpy as np

BINS = 15  # of equal width, as usual for the calibration error


def accuracy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of (…, n, K) logits whose largest is at the label (n,) or (…, n), in [0,
    1].
    """
    return (logits.argmax(-1) == labels).mean(-1)


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of −log p(label), nats."""
    chosen = np.take_along_axis(
        log_probabilities(logits), np.broadcast_to(labels, logits.shape[:-1])[..., None], axis=-1
    )
    return -chosen[..., 0].mean(-1)


def calibration_error(logits: np.ndarray, labels: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Expected calibration error in [0, 1]: |accuracy − confidence| in bins of equal
    width, weighted by how many fall in each.

    Source: Naeini, Cooper, Hauskrecht, Obtaining Well Calibrated Probabilities Using
    Bayesian Binning, AAAI 2015; Guo et al., 1706.04599.
    """
    confidence = np.exp(log_probabilities(logits).max(-1))  # (…, n)
    correct = (logits.argmax(-1) == labels).astype(float)
    bin_index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [np.abs(((correct - confidence) * (bin_index == index)).sum(-1)) for index in range(bins)]
    return np.sum(gaps, axis=0) / confidence.shape[-1]


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """(…, K) → (…, K), float64; finite however far the logits are apart."""
    shifted = logits.astype(float) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def log_odds(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """log p/(1 − p) of one class a row (n,), of logits (n, K), (n,)."""
    rows = np.arange(len(logits))
    others = logits.astype(float).copy()
    others[rows, classes] = -np.inf
    top = others.max(1)
    return logits[rows, classes] - (top + np.log(np.exp(others - top[:, None]).sum(1)))
