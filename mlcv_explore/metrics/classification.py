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


def inverse_temperature(logits: np.ndarray, labels: np.ndarray, steps: int = 20) -> np.ndarray:
    """β = 1/T > 0 whose logits β·z (…, n, K) have the least negative log-likelihood:
    temperature scaling, by Newton's method within a factor of two a step.

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017,
    https://arxiv.org/abs/1706.04599
    """
    places = np.broadcast_to(labels, logits.shape[:-1])[..., None]
    lead = logits - np.take_along_axis(logits.astype(float), places, axis=-1)
    scale = np.ones(logits.shape[:-2])
    for _ in range(steps):
        shares = np.exp(log_probabilities(scale[..., None, None] * lead))
        mean = (shares * lead).sum(-1)
        bend = ((shares * lead**2).sum(-1) - mean**2).mean(-1)
        step = mean.mean(-1) / np.maximum(bend, np.finfo(float).tiny)
        scale = np.clip(scale - step, scale / 2, 2 * scale)
    return scale


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
