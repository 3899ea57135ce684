"""How differently networks of one training procedure behave on the same images.

Networks share their test images, so the noise that finite images add to the variance of
their accuracies is no binomial p(1 − p)/n. It is what remains where their mistakes are
independent of each other, image by image: the *excess* variance is what lies beyond, the
mean covariance of being correct over pairs of different images.

Source: A. D'Amour et al., Underspecification Presents Challenges for Credibility in Modern
Machine Learning, 2020, https://arxiv.org/abs/2011.03395. The bootstrap over networks and
images follows T. Sellam et al., The MultiBERTs, 2021, https://arxiv.org/abs/2106.16163; the
line of agreements C. Baek et al., Agreement-on-the-Line, 2022,
https://arxiv.org/abs/2206.13089.
"""

import numpy as np

from mlcv_explore.statistics.intervals import Interval

DRAWS = 1000


def excess_variance(correct: np.ndarray) -> float:
    """Of the accuracies of networks (S, n) bool or shares, beyond what images alone cause:
    less the mean of p(1 − p) · S / ((S − 1) n) over images, p the share of networks that
    are correct. Unbiased, so it may be negative. Raises ValueError for fewer than two.
    """
    values = checked(correct)
    count, size = values.shape
    shares = values.mean(0)
    noise = (shares * (1 - shares)).mean() * count / ((count - 1) * size)
    return float(values.sum(1).var(ddof=1) / size**2 - noise)  # of counts: equal ones vary by exactly 0


def signed_root(variance: float) -> float:
    """A standard deviation from a variance that may be estimated below 0, with its sign."""
    return float(np.sign(variance) * np.sqrt(abs(variance)))


def on_logit_scale(deviation: float, accuracy: float) -> float:
    """A standard deviation of accuracies as one of their logits, to first order; accuracies
    nearer than 0.5 % to 0 or 1 count as that.
    """
    share = min(max(accuracy, 0.005), 0.995)
    return deviation / (share * (1 - share))


def agreements(predictions: np.ndarray) -> np.ndarray:
    """(S, S) share of images on which two networks, of predictions (S, n), agree."""
    values = checked(predictions)
    total = sum((values == label).astype(float) @ (values == label).T for label in np.unique(values))
    return total / values.shape[1]


def disagreement(predictions: np.ndarray) -> float:
    """The share of images on which two of these networks disagree, mean over pairs."""
    return float(1 - agreements(predictions)[np.triu_indices(len(predictions), 1)].mean())


def agreement_line(clean: np.ndarray, shifted: np.ndarray) -> float:
    """R² of the line, on the probit scale, of pairs' agreements on shifted images (S, n)
    over those on clean ones (S, m); 0 where one of both does not vary.
    """
    from scipy.stats import norm

    pairs, axes = np.triu_indices(len(clean), 1), []
    for predictions in (clean, shifted):
        nearest = 0.5 / predictions.shape[1]  # probits of 0 and 1 are infinite
        axes.append(norm.ppf(agreements(predictions)[pairs].clip(nearest, 1 - nearest)))
    if len(axes[0]) < 2 or not all(np.ptp(values) > 1e-9 for values in axes):
        return 0.0
    return float(np.corrcoef(*axes)[0, 1] ** 2)


def bootstrap(correct: np.ndarray, draws: np.random.Generator, level: float = 0.95) -> Interval:
    """Interval of the excess standard deviation, signed: networks and images are drawn with
    replacement, together.

    An image drawn twice is no pair of different images, so its weight counts squared in
    what is subtracted. Raises ValueError for fewer than two networks.
    """
    values = checked(correct).astype(float)
    count, size = values.shape
    networks = draws.multinomial(count, np.full(count, 1 / count), DRAWS).astype(float)
    images = draws.multinomial(size, np.full(size, 1 / size), DRAWS).astype(float)
    accuracies = images @ values.T / size  # (DRAWS, S)
    mean = (networks * accuracies).sum(1, keepdims=True) / count
    variance = (networks * (accuracies - mean) ** 2).sum(1) / (count - 1)
    shares = networks @ values / count  # (DRAWS, n)
    noise = (images**2 * shares * (1 - shares)).sum(1) * count / ((count - 1) * size**2)
    excess = (variance - noise) * count / (count - 1)  # networks drawn twice vary less
    tails = np.quantile(np.sign(excess) * np.sqrt(np.abs(excess)), [(1 - level) / 2, (1 + level) / 2])
    low, high = map(float, tails)
    return Interval(low, signed_root(excess_variance(values)), high, level, count, "bootstrap")


def checked(values: np.ndarray) -> np.ndarray:
    """The same; raises ValueError, one sentence, for fewer than two networks."""
    if len(values) < 2:
        raise ValueError(f"A spread between networks needs at least two, got {len(values)}.")
    return values
