"""How differently networks of one training procedure behave on the same images.

Networks share their test images, so the noise that finite images add to the variance of
their accuracies is no binomial p(1 − p)/n. It is what remains where their mistakes are
independent of each other, image by image: the *excess* variance is what lies beyond, the
mean covariance of being correct over pairs of different images.

Source: A. D'Amour et al., Underspecification Presents Challenges for Credibility in Modern
Machine Learning, 2020, https://arxiv.org/abs/2011.03395. A bootstrap for such
networks is that of T. Sellam et al., The MultiBERTs, 2021, https://arxiv.org/abs/2106.16163; the
line of agreements C. Baek et al., Agreement-on-the-Line, 2022,
https://arxiv.org/abs/2206.13089.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlcv_explore.statistics.intervals import Interval

DRAWS = 500


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
    """Interval of the excess standard deviation, signed: the variance of accuracies by t on
    its logarithm, less the noise of images, as a root.

    Networks are drawn with replacement, and with them their mistakes on every image. To
    draw images as well, as MultiBERTs do for means, would count their noise again: the
    variance of this statistic came out up to 8 times as large as it is. Raises ValueError
    for fewer than two networks.
    """
    from scipy.stats import t

    values = checked(correct)
    excess, count = excess_variance(values), len(values)
    accuracies = values.mean(1)
    drawn = accuracies[draws.integers(count, size=(DRAWS, count))].var(1)
    if not (drawn := drawn[drawn > 0]).size:  # all networks are equally accurate
        return Interval(signed_root(excess), signed_root(excess), 0.0, level, count, "bootstrap")
    factor = float(np.exp(t.ppf((1 + level) / 2, count - 1) * np.log(drawn).std()))
    whole = float(accuracies.var(ddof=1))
    low, middle, high = (signed_root(excess + whole * (scale - 1)) for scale in (1 / factor, 1.0, factor))
    return Interval(low, middle, high, level, count, "bootstrap")


def summary(predictions: Mapping[str, np.ndarray], truth: np.ndarray) -> dict[str, float]:
    """How accurate networks are and how they differ, from their classes (S, n) on clean images,
    the first entry, and on images of every other kind.

    Accuracies "clean" and "corrupted"; excess SDs "iid" (clean), "excess" (root of the mean
    variance over kinds), "logit" (likewise, of logits) and one a kind; "disagreement" and
    "line" as means over kinds.
    """
    clean, *kinds = predictions
    correct = {name: classes == truth for name, classes in predictions.items()}
    variances = {name: excess_variance(each) for name, each in correct.items()}
    accuracy = {name: float(each.mean()) for name, each in correct.items()}
    roots = {name: signed_root(each) for name, each in variances.items()}
    logits = [on_logit_scale(roots[kind], accuracy[kind]) for kind in kinds]
    values = {
        "clean": accuracy[clean],
        "corrupted": np.mean([accuracy[kind] for kind in kinds]),
        "iid": roots[clean],
        "excess": signed_root(np.mean([variances[kind] for kind in kinds])),
        "logit": signed_root(np.mean([value * abs(value) for value in logits])),
        "disagreement": np.mean([disagreement(predictions[kind]) for kind in kinds]),
        "line": np.mean([agreement_line(predictions[clean], predictions[kind]) for kind in kinds]),
        **{kind: roots[kind] for kind in kinds},
    }
    return {name: float(value) for name, value in values.items()}


@dataclass(frozen=True, eq=False)
class Spread:
    """How differently some networks behave on labelled images."""

    accuracy: float
    disagreement: float  # share of pairs that disagree
    excess: Interval  # SD of accuracies beyond what images cause
    outvoted: np.ndarray  # (n,) share of networks off an image's most frequent prediction


def spread(classes: np.ndarray, truth: np.ndarray, draws: np.random.Generator) -> Spread:
    """That of predictions (S, n). Raises ValueError for fewer than two networks."""
    correct = classes == truth
    counts = [(classes == label).sum(0) for label in np.unique(classes)]
    outvoted = 1 - np.max(counts, axis=0) / len(classes)
    return Spread(float(correct.mean()), disagreement(classes), bootstrap(correct, draws), outvoted)


def sorted_by_class(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(K, m): a row a class, its images' values from high to low, as many as the rarest has."""
    rows = [np.sort(values[labels == label])[::-1] for label in np.unique(labels)]
    return np.stack([row[: min(map(len, rows))] for row in rows])


def checked(values: np.ndarray) -> np.ndarray:
    """The same; raises ValueError, one sentence, for fewer than two networks."""
    if len(values) < 2:
        raise ValueError(f"A spread between networks needs at least two, got {len(values)}.")
    return values
