"""Linear learners of small tables in NumPy: ridge regression, columns alone, principal
axes, and linear discriminant analysis on the first of them.
"""

from collections.abc import Sequence

import numpy as np

from mlcv_explore.data.tabular import Problem
from mlcv_explore.metrics.regression import explained_variance

RIDGE = 1.0
SHRINKAGE = 0.01  # of the covariance in discriminant analysis
VARIANCE, MAX_COMPONENTS = 0.999, 24  # before discriminant analysis: share of the variance, at most


def ridge_score(problem: Problem, kept: Sequence[int] | np.ndarray) -> float:
    """Explained variance of the test part by ridge regression, without intercept, on
    the columns kept of the training part.
    """
    train, _, test = (columns[:, kept] for columns in problem.columns)
    slopes = np.linalg.solve(train.T @ train + RIDGE * np.eye(len(kept)), train.T @ problem.target[0])
    return explained_variance(problem.target[2], test @ slopes)


def single_column_gains(columns: np.ndarray, target: np.ndarray, folds: int) -> np.ndarray:
    """How far each of (n, d) columns alone lowers the squared error of (n,), by
    cross-validated least squares without intercept; folds · d fits.
    """
    fold_of, gains = np.arange(len(target)) % folds, np.zeros(columns.shape[1])
    for fold in range(folds):
        train, held = columns[fold_of != fold], columns[fold_of == fold]
        slopes = (train * target[fold_of != fold, None]).sum(0) / np.maximum((train**2).sum(0), 1e-12)
        held_target = target[fold_of == fold, None]
        gains += (held_target**2 - (held_target - held * slopes) ** 2).sum(0)
    return gains


def variance_shares(columns: np.ndarray) -> np.ndarray:
    """Share of the variance of (n, d) along each principal axis, largest first."""
    singular = np.linalg.svd(columns - columns.mean(0), compute_uv=False)
    return singular**2 / (singular**2).sum()


def principal_axes(columns: np.ndarray) -> np.ndarray:
    """Principal axes (d, K) of (n, d) that hold 99.9 % of its variance, 24 at most."""
    _, singular, axes = np.linalg.svd(columns - columns.mean(0), full_matrices=False)
    shares = np.cumsum(singular**2) / (singular**2).sum()
    return axes[: min(MAX_COMPONENTS, int(np.searchsorted(shares, VARIANCE)) + 1)].T


def component_scores(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Discriminant analysis on the first k principal components, for every k, (K,)
    each: validation log-likelihood after training, and test accuracy after training
    with the validation part too.
    """
    known, labels = np.concatenate(problem.columns[:2]), np.concatenate(problem.target[:2])
    axes, truth = principal_axes(known), problem.target
    train, validation, test = (columns @ axes for columns in problem.columns)
    cuts = range(1, axes.shape[1] + 1)
    held = [discriminant_scores(train[:, :k], truth[0], validation[:, :k], truth[1])[0] for k in cuts]
    test_scores = [discriminant_scores(known @ axes[:, :k], labels, test[:, :k], truth[2])[1] for k in cuts]
    return np.array(held), np.array(test_scores)


def cross_validated_components(problem: Problem, limit: int, tried: int, folds: int) -> int:
    """The best of some numbers of components from 2 to a limit, evenly spaced in their
    logarithm, by cross-validation on training and validation part; tried · folds fits.
    """
    known, labels = np.concatenate(problem.columns[:2]), np.concatenate(problem.target[:2])
    places, fold_of = known @ principal_axes(known), np.arange(len(labels)) % folds
    cuts = [int(k) for k in np.geomspace(2, limit, tried).round()]
    parts = [(fold_of != fold, fold_of == fold) for fold in range(folds)]
    likelihoods = [
        [
            discriminant_scores(places[train, :k], labels[train], places[held, :k], labels[held])[0]
            for train, held in parts
        ]
        for k in cuts
    ]
    return cuts[int(np.argmax(np.mean(likelihoods, axis=1)))]


def discriminant_scores(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray
) -> tuple[float, float]:
    """Mean log-likelihood, nats, and accuracy on a test part of linear discriminant
    analysis with shrinkage: scikit-learn's numbers without its checks, a quarter of the
    time.
    """
    from scipy.linalg import lstsq
    from scipy.special import expit

    classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means, within = np.zeros((len(classes), train.shape[1])), np.zeros((train.shape[1], train.shape[1]))
    np.add.at(means, index, train)
    means /= counts[:, None]
    priors = counts / len(labels)
    for place, prior in enumerate(priors):
        covariance = np.atleast_2d(np.cov(train[index == place].T, bias=True))
        diagonal = SHRINKAGE * (np.trace(covariance) / len(covariance)) * np.eye(len(covariance))
        within += prior * ((1 - SHRINKAGE) * covariance + diagonal)
    slopes = lstsq(within, means.T)[0].T
    offsets = -0.5 * np.diag(means @ slopes.T) + np.log(priors)
    if len(classes) == 2:
        second = expit(test @ (slopes[1] - slopes[0]) + (offsets[1] - offsets[0]))
        probabilities = np.stack([1 - second, second], axis=1)
    else:
        scores = test @ slopes.T + offsets
        probabilities = np.exp(scores - scores.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
    own = probabilities[np.arange(len(truth)), np.minimum(np.searchsorted(classes, truth), len(classes) - 1)]
    likelihood = np.log(np.maximum(np.where(np.isin(truth, classes), own, 0), 1e-6)).mean()
    return float(likelihood), float((classes[probabilities.argmax(1)] == truth).mean())
