"""Exact t-SNE of some dozens of points, for what happens on the way; to embed a data
set use scikit-learn's.

Source: van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 9, 2008.
"""

import numpy as np

SLOW, MOMENTUM = 20, (0.5, 0.8)  # iterations with the first momentum, before the second
SMALLEST = 1e-12  # probability


def neighbour_probabilities(columns: np.ndarray, perplexity: float) -> np.ndarray:
    """Symmetric probabilities (n, n), sum 1, that two points of (n, d) are neighbours;
    each point's bandwidth is found by bisection on the entropy.
    """
    distances = _squared_distances(columns)
    np.fill_diagonal(distances, np.inf)
    distances = distances - distances.min(1, keepdims=True)
    low, high = np.full(len(columns), -30.0), np.full(len(columns), 30.0)
    for _ in range(40):
        middle = (low + high) / 2
        weights = np.exp(-distances * np.exp(middle)[:, None])
        probabilities = weights / weights.sum(1, keepdims=True)
        entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    joint = probabilities + probabilities.T
    return np.maximum(joint / joint.sum(), SMALLEST)


def tsne_losses(
    columns: np.ndarray, perplexity: float, iterations: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Kullback–Leibler divergences (iterations + 1,), nats, of points (n, d) embedded in
    the plane by gradient descent with momentum, without exaggeration.
    """
    joint = neighbour_probabilities(columns, perplexity)
    entropy = (joint * np.log(joint)).sum()
    places = 0.01 * rng.standard_normal((len(columns), 2))
    step, divergences = np.zeros_like(places), []
    for iteration in range(iterations + 1):
        near = 1 / (1 + _squared_distances(places))
        np.fill_diagonal(near, 0)
        total = near.sum()
        divergences.append(entropy - (joint * np.log(np.maximum(near / total, SMALLEST))).sum())
        pulls = (joint - near / total) * near
        gradient = 4 * (pulls.sum(1)[:, None] * places - pulls @ places)
        step = MOMENTUM[iteration >= SLOW] * step - rate * gradient
        places = places + step
    return np.array(divergences)


def _squared_distances(points: np.ndarray) -> np.ndarray:
    squares = (points**2).sum(1)
    return np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
