"""Linear probes of features: principal components, a logistic regression whose penalty
is chosen on validation features, and a control whose weight is never trained.

Source: Alain and Bengio, Understanding intermediate layers using linear classifier
probes, 2016, https://arxiv.org/abs/1610.01644
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.metrics.classification import log_probabilities

COMPONENTS = 12  # of every depth, so that a wide code has no advantage
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)  # inverse penalties that are tried, the smallest first
MAX_ITERATIONS = 300
SCALING_ROUNDS = 100  # of the fit of a bias alone; it converges in about ten


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """The leading principal components of some codes, scaled so that all of them
    together have variance one.
    """

    mean: np.ndarray  # (d,) float64
    basis: np.ndarray  # (d, k), k ≤ d; columns of one length

    def transform(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) → (n, k)."""
        return (codes - self.mean) @ self.basis


def principal_components(codes: np.ndarray, count: int = COMPONENTS) -> PrincipalComponents:
    """Of codes (n, d): at most `count` components, fewer where the codes have fewer
    dimensions or images. Signs make the largest entry positive.
    """
    mean = codes.mean(0, dtype=float)
    centred = codes - mean
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    directions, sizes = directions[:count], sizes[:count]
    signs = np.sign(np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], axis=1))
    std = np.sqrt((sizes**2).sum() / len(codes))
    return PrincipalComponents(mean, (directions * signs).T / max(std, 1e-12))


def probe(
    codes: np.ndarray,
    labels: np.ndarray,
    validation_codes: np.ndarray,
    validation_labels: np.ndarray,
    test_codes: np.ndarray,
) -> np.ndarray:
    """Log-probabilities (n, K) of the test codes, from a logistic regression on the
    labelled ones.

    The penalty is that of STRENGTHS with the best validation accuracy, the strongest
    among equals. K is one more than the largest label; a class that no labelled code
    has is given next to nothing.
    """
    from sklearn.linear_model import LogisticRegression

    best, chosen = -1.0, None
    for strength in STRENGTHS:
        fitted = LogisticRegression(C=strength, max_iter=MAX_ITERATIONS).fit(codes, labels)
        accuracy = float((fitted.predict(validation_codes) == validation_labels).mean())
        if accuracy > best:
            best, chosen = accuracy, fitted
    log_p = np.full((len(test_codes), int(labels.max()) + 1), -50.0)
    scores = chosen.decision_function(test_codes)  # its own logarithm of a probability is infinite far out
    logits = scores if scores.ndim == 2 else np.stack([np.zeros_like(scores), scores], axis=1)
    log_p[:, chosen.classes_] = log_probabilities(logits)
    return log_p


def projected(train: np.ndarray, *parts: np.ndarray) -> list[np.ndarray]:
    """Codes (n, d) of some parts on the leading components of the training codes."""
    components = principal_components(train)
    return [components.transform(part) for part in parts]


def probe_accuracy(features: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> float:
    """Test accuracy of a `probe`: features and labels of the labelled, the validation
    and the test part.
    """
    scores = probe(features[0], labels[0], features[1], labels[1], features[2])
    return float((scores.argmax(1) == labels[2]).mean())


def bias_only_accuracy(
    features: Sequence[np.ndarray], labels: Sequence[np.ndarray], rng: np.random.Generator
) -> float:
    """The same of a linear layer whose weight stays as it was drawn, uniform in ±1/√d:
    only its bias is fitted to the labelled part.
    """
    size = features[0].shape[1]
    weight = rng.uniform(-1, 1, (size, int(labels[0].max()) + 1)) / np.sqrt(size)
    bias = fitted_bias(features[0] @ weight, labels[0])
    return float(((features[2] @ weight + bias).argmax(1) == labels[2]).mean())


def fitted_bias(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The maximum-likelihood bias (K,) for fixed logits (n, K), by iterative scaling:
    predicted classes become as frequent as true ones.
    """
    frequencies = np.bincount(labels, minlength=logits.shape[1]) / len(labels)
    bias = np.zeros(logits.shape[1])
    for _ in range(SCALING_ROUNDS):
        shares = np.exp(logits + bias - (logits + bias).max(1, keepdims=True))
        predicted = (shares / shares.sum(1, keepdims=True)).mean(0)
        bias += np.log(frequencies + 1e-12) - np.log(predicted + 1e-12)
    return bias
