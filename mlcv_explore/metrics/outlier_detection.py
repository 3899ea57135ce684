"""How well scores tell real examples from outliers, and scores of several layers as one.

Scores are higher for real examples throughout, which count as the positives.
"""

import numpy as np

RIDGE = 1e-3  # on the weights of a combination


def auroc(real: np.ndarray, outliers: np.ndarray) -> float:
    """The probability that a real example's score exceeds an outlier's; ties count half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([real, outliers]))
    count = len(real)
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * len(outliers)))


def fpr95(real: np.ndarray, outliers: np.ndarray) -> float:
    """The share of outliers taken for real at the threshold that keeps 95 % of the real."""
    return float((outliers >= np.quantile(real, 0.05, method="lower")).mean())


def standardised(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Scores (L, n) in standard deviations of every layer's reference scores (L, m)."""
    spread = np.maximum(reference.std(1, keepdims=True), 1e-9)
    return (scores - reference.mean(1, keepdims=True)) / spread


def fisher(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Σ log p over layers (n,), p the share of real reference scores (L, m) that are at most
    as high as a score (L, n), counted with itself: Fisher's method but for the factor −2.

    Source: J. Li et al., 2024, https://arxiv.org/abs/2403.10803.
    """
    total = np.zeros(scores.shape[1])
    for own, others in zip(scores, np.sort(reference, axis=1), strict=True):
        total += np.log((1 + np.searchsorted(others, own, side="right")) / (1 + len(others)))
    return total


def fitted_weights(real: np.ndarray, outliers: np.ndarray) -> np.ndarray:
    """Weights (L,), none negative, of a logistic regression that tells standardised scores
    (L, n) of real examples from those (L, m) of outliers; both count as much.

    A layer whose score tells nothing gets 0; equal weights where all get that.
    """
    from scipy.optimize import minimize

    rows = np.concatenate([real, outliers], axis=1).T
    sides = np.repeat([1.0, -1.0], [real.shape[1], outliers.shape[1]])
    shares = np.repeat([0.5 / real.shape[1], 0.5 / outliers.shape[1]], [real.shape[1], outliers.shape[1]])

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, offset = parameters[:-1], parameters[-1]
        margins = sides * (rows @ weights + offset)
        slopes = -sides * shares * np.exp(-np.logaddexp(0, margins))
        total = shares @ np.logaddexp(0, -margins) + RIDGE / 2 * weights @ weights
        return total, np.append(rows.T @ slopes + RIDGE * weights, slopes.sum())

    count = len(real)
    bounds = [(0, None)] * count + [(None, None)]
    found = minimize(loss, np.append(np.ones(count), 0), jac=True, bounds=bounds).x[:count]
    return found if found.any() else np.ones(count)
