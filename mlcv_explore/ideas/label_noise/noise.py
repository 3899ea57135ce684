"""What a noisy target is, for every noise type, and what its noise does to the gradient.

All types transform the same Gaussian draws. For L = −Σ t log p the logit gradient is
p·Σt − t; with t = y + z its noise is (p1ᵀ − I)z.
"""

from functools import cache

import numpy as np

from mlcv_explore.data.standard_noise import GRID, standard_noise

FIXED = "fixed_gaussian"  # Gaussian noise that is drawn once for every training image
INDEPENDENT = ("gaussian", FIXED, "laplace", "uniform", "rademacher", "student_t")
ADDITIVE = (*INDEPENDENT, "zero_sum", "zero_sum_equal_trace")
MIXING = ("static_smoothing", "fresh_smoothing", "fresh_strength", "fresh_flips")
SHAPES = ADDITIVE + MIXING


def noisy_targets(shape: str, sigma: float, labels: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Target vectors (…, K) float32 for labels (…) int64 from standard Gaussian draws
    (…, K); exactly one-hot at σ = 0.

    `zero_sum_equal_trace` is given at equal σ; its scale depends on the prediction. What
    makes `fixed_gaussian` fixed is that the same draws are given at every step.
    """
    classes = draws.shape[-1]
    one_hot = np.eye(classes, dtype=np.float32)[labels]
    if shape in ADDITIVE:
        return one_hot + np.float32(sigma) * standard_noise(shape.removeprefix("fixed_"), draws)
    share, direction = mixture(shape, smoothing_strength(sigma), draws)
    return (1 - share) * one_hot + share * direction


def mixture(shape: str, epsilon: float, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much of the label is replaced, (…, 1), and by what distribution over classes,
    (…, K) or (…, 1); float32.

    In the mean over draws all four shapes are label smoothing of strength ε.
    """
    from scipy.special import ndtr

    classes = draws.shape[-1]
    fixed = np.full((*draws.shape[:-1], 1), epsilon, dtype=np.float32)
    even = np.full_like(fixed, 1 / classes)
    if shape == "static_smoothing" or epsilon == 0:
        return fixed, even
    if shape == "fresh_smoothing":  # Dirichlet(1, …, 1): exponential draws over their sum
        waiting = -np.log(np.clip(ndtr(draws), 1e-30, 1))
        return fixed, (waiting / waiting.sum(-1, keepdims=True)).astype(np.float32)
    first = ndtr(draws[..., :1])
    if shape == "fresh_strength":
        return np.interp(draws[..., :1], GRID, _strengths(epsilon)).astype(np.float32), even
    drawn = np.minimum((classes * ndtr(draws[..., 1])).astype(np.int64), classes - 1)
    return (first < epsilon).astype(np.float32), np.eye(classes, dtype=np.float32)[drawn]


def smoothing_strength(sigma: float) -> float:
    """ε of the mixing shapes: half of σ, so that σ = 2 leaves nothing of the label."""
    return sigma / 2


@cache
def _strengths(epsilon: float) -> np.ndarray:
    """Quantiles of Beta(2ε, 2(1 − ε)), mean ε, at the probabilities of GRID: uniform on
    [0, 1] at ε = ½, certain at 0 and 1.
    """
    from scipy.special import betaincinv, ndtr

    return np.ones_like(GRID) if epsilon == 1 else betaincinv(2 * epsilon, 2 * (1 - epsilon), ndtr(GRID))


def gradient_covariance(sigma: float, probability: np.ndarray, zero_sum: bool = False) -> np.ndarray:
    """Covariance (K, K) of the noise in the logit gradient at the prediction (K,):
    σ²(I − p1ᵀ − 1pᵀ + K ppᵀ) for independent noise, σ²(I − 11ᵀ/K) for zero-sum noise,
    whatever the prediction.
    """
    classes = len(probability)
    if zero_sum:
        return sigma**2 * (np.eye(classes) - 1 / classes)
    rows = np.repeat(probability[:, None], classes, axis=1)
    return sigma**2 * (np.eye(classes) - rows - rows.T + classes * np.outer(probability, probability))


def gradient_trace(sigma: float, probability: np.ndarray) -> np.ndarray:
    """Trace of that covariance, σ²(K − 2 + K Σp²), for predictions (…, K): from (K −
    1)σ² when all are alike to 2(K − 1)σ² when one is certain.
    """
    classes = probability.shape[-1]
    return sigma**2 * (classes - 2 + classes * (probability**2).sum(-1))


def prediction(confidence: np.ndarray | float, classes: int = 10) -> np.ndarray:
    """Predictions (…, K) of `confidence` (…) for class 0 and equal shares for the others."""
    rest = (1 - np.asarray(confidence, dtype=float)) / (classes - 1)
    return np.where(np.arange(classes) == 0, np.asarray(confidence)[..., None], rest[..., None])
