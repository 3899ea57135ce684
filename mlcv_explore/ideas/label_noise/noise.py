"""The idea itself: what a noisy target is, for every shape, and what its noise does to
the gradient.

Every shape pushes the same Gaussian draws through its own quantile function, so that
runs of two shapes share their luck. For L = −Σ t log p the logit gradient is p·Σt − t;
with t = y + z its noise is (p1ᵀ − I)z.
"""

from functools import cache

import numpy as np

from mlcv_explore.seeds import numpy_stream

ADDITIVE = ("gaussian", "laplace", "uniform", "rademacher", "student_t", "zero_sum", "zero_sum_equal_trace")
MIXING = ("static_smoothing", "fresh_smoothing", "fresh_strength", "fresh_flips")
SHAPES = ADDITIVE + MIXING
FREEDOM = 5  # of Student's t
CONCENTRATION = 1.0  # of fresh smoothing's Dirichlet: uniform on the simplex
GRID = np.linspace(-8.0, 8.0, 8_001)  # Gaussian draws between which quantiles are interpolated


def noisy_targets(shape: str, sigma: float, labels: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Target vectors (…, K) float32 for labels (…) int64 from standard Gaussian draws
    (…, K); exactly one-hot at σ = 0.

    `zero_sum_equal_trace` is given at equal σ; its scale depends on the prediction
    (`equal_trace_scale`).
    """
    classes = draws.shape[-1]
    one_hot = np.eye(classes, dtype=np.float32)[labels]
    if shape in ADDITIVE:
        return one_hot + np.float32(sigma) * standard_noise(shape, draws)
    share, direction = mixture(shape, smoothing_strength(sigma), draws)
    return (1 - share) * one_hot + share * direction


def standard_noise(shape: str, draws: np.ndarray) -> np.ndarray:
    """The draws pushed through the shape's quantile function: mean 0, variance 1, in
    the same order; float32.

    The zero-sum shapes take the mean over classes off, which leaves variance 1 − 1/K.
    """
    if shape.startswith("zero_sum"):
        return draws - draws.mean(-1, keepdims=True)
    if shape == "gaussian":
        return draws
    if shape == "rademacher":
        return np.where(draws < 0, np.float32(-1), np.float32(1))
    return np.interp(draws, GRID, _quantiles(shape)).astype(np.float32)


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
    """ε of the mixing shapes for the slider's σ: half of it, so that σ = 2 leaves
    nothing of the label.
    """
    return sigma / 2


def equivalent_sigma(epsilon: float, classes: int, concentration: float = CONCENTRATION) -> float:
    """σ of the zero-sum noise that fresh Dirichlet smoothing equals in covariance:
    ε/√(K(Kα + 1)). At most 0.32 ε for K = 10.
    """
    return epsilon / np.sqrt(classes * (classes * concentration + 1))


def gradient_covariance(sigma: float, probability: np.ndarray, zero_sum: bool = False) -> np.ndarray:
    """Covariance (K, K) of the noise in the logit gradient when the network predicts
    `probability` (K,).

    Independent noise: σ²(I − p1ᵀ − 1pᵀ + K ppᵀ); zero-sum noise: σ²(I − 11ᵀ/K),
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


def gallery(
    shape: str, sigma: float, count: int, classes: int = 10, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """`count` labels and one noisy target (count, K) for each: what the network is
    asked for in one step.
    """
    labels = np.arange(count) % classes
    return labels, noisy_targets(
        shape,
        sigma,
        labels,
        numpy_stream(seed, "gallery").standard_normal((count, classes), dtype=np.float32),
    )


def prediction(confidence: np.ndarray | float, classes: int = 10) -> np.ndarray:
    """A prediction (…, K) that gives `confidence` to class 0 and the rest to the others
    alike.
    """
    confidence = np.asarray(confidence, dtype=float)[..., None]
    return np.concatenate(
        [confidence, np.repeat((1 - confidence) / (classes - 1), classes - 1, axis=-1)], axis=-1
    )


@cache
def _quantiles(shape: str) -> np.ndarray:
    """Quantiles of a shape of variance 1 at the probabilities of GRID; tails by
    symmetry, where ndtr keeps its digits.
    """
    from scipy.special import ndtr, stdtrit

    lower = ndtr(-np.abs(GRID))  # ≤ ½
    if shape == "laplace":
        size = -np.log(2 * lower) / np.sqrt(2)
    elif shape == "uniform":
        size = np.sqrt(3) * (1 - 2 * lower)
    else:
        size = -stdtrit(FREEDOM, lower) * np.sqrt((FREEDOM - 2) / FREEDOM)
    return np.sign(GRID) * size


@cache
def _strengths(epsilon: float) -> np.ndarray:
    """Quantiles of Beta(2ε, 2(1 − ε)), mean ε, at the probabilities of GRID: uniform on
    [0, 1] at ε = ½, certain at 0 and 1.
    """
    from scipy.special import betaincinv, ndtr

    return np.ones_like(GRID) if epsilon == 1 else betaincinv(2 * epsilon, 2 * (1 - epsilon), ndtr(GRID))
