"""How well scores tell real examples from outliers, and scores of several layers as one.

Scores are higher for real examples throughout, which count as the positives. Those of
several groups of images begin with the reference, real images that are not tested; then
come the real images tested, near outliers, and every kind of far ones.
"""

from collections.abc import Sequence

import numpy as np

from mlcv_explore.seeds import numpy_stream

RIDGE = 1e-3  # on the weights of a combination
DEPTHS = ("shallow", "deep")  # images of prediction depth below DEEP, and from it on
DEEP = 2


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


def layer_weights(real: np.ndarray, outliers: np.ndarray) -> np.ndarray:
    """Weights (L,) of layers, by `fitted_weights`, for scores (L, n) and (L, m) in standard
    deviations of the real ones.
    """
    return fitted_weights(standardised(real, real), standardised(outliers, real))


def combined(scores: Sequence[np.ndarray], outliers: np.ndarray) -> list[np.ndarray]:
    """The scores (L, n) of every group as one (n,): with weights that tell the reference from
    the scores (L, m) of some outliers.
    """
    weights = layer_weights(scores[0], outliers)
    return [weights @ standardised(each, scores[0]) for each in scores]


def averaged(scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The scores (L, n) of every group, standardised by the reference, as their mean (n,)."""
    return [standardised(each, scores[0]).mean(0) for each in scores]


def rates(scores: Sequence[np.ndarray], depths: Sequence[np.ndarray]) -> dict[str, float]:
    """How well the scores (n,) of groups tell real images from outliers: AUROC "near", "far"
    (the mean over kinds), "auroc" (the mean of both), "fpr95" (likewise), and by prediction
    depth (n,), as `by_depth`.
    """
    _, real, *others = scores
    kinds, false = ([measure(real, each) for each in others] for measure in (auroc, fpr95))
    near, far = kinds[0], float(np.mean(kinds[1:]))
    found = {"near": near, "far": far, "auroc": (near + far) / 2}
    found |= {"fpr95": float(false[0] + np.mean(false[1:])) / 2}
    return found | dict(zip(DEPTHS, by_depth(scores, depths), strict=True))


def by_depth(scores: Sequence[np.ndarray], depths: Sequence[np.ndarray]) -> list[float]:
    """AUROC among images of low and of high prediction depth, mean of near and of all far
    outliers; 0.5 where there are none.
    """
    found = []
    for deep in (False, True):
        _, real, near, *far = (each[(at >= DEEP) == deep] for each, at in zip(scores, depths, strict=True))
        kinds = near, np.concatenate(far)
        found.append(np.mean([auroc(real, each) if len(real) and len(each) else 0.5 for each in kinds]))
    return [float(each) for each in found]


def rise(scores: Sequence[np.ndarray], depths: Sequence[np.ndarray]) -> float:
    """By how many layers the most separating one of deep images is later than that of
    shallow images, for scores (L, n) of groups.
    """
    layers = [by_depth([each[layer] for each in scores], depths) for layer in range(len(scores[0]))]
    shallow, deep = np.array(layers).argmax(0)
    return float(deep - shallow)


def shuffled(depths: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """The same depths dealt anew among a group's images."""
    draws = numpy_stream(seed, "shuffled depths")
    return [draws.permutation(each) for each in depths]
