"""Curves of small models that grow to an end, drawn at random: boosting, training,
principal components, feature importances and t-SNE.

Each draws a sub-sample of a table and its own hyperparameters.
Two thirds train, one third is held out. A curve ends at its last gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.data import tabular
from mlcv_explore.models.boosting import held_out_losses
from mlcv_explore.models.linear import variance_shares
from mlcv_explore.models.perceptron import perceptron_losses
from mlcv_explore.models.tsne import tsne_losses

KINDS = ("boosting", "training", "variance", "features", "tsne")
LONGEST = 150  # steps of a curve, at most
ROWS, SHARES = 150, (2, 1)  # of a sub-sample, at most, and of its parts
VARIANCE = 0.999  # share at which a spectrum ends
POINTS = 60  # of a t-SNE
TRIES = 20  # draws a requested curve before a kind is given up


@dataclass(frozen=True, eq=False)
class Curve:
    """Progress so far at each of T steps, T ≥ 2; the last step gained something."""

    progress: np.ndarray  # (T + 1,) float64, from 0, never falling
    horizon: int  # the last step, known beforehand: budget of rounds, number of columns

    @property
    def past(self) -> np.ndarray:
        """(T,), progress at the steps 1…T."""
        return self.progress[1:]

    @property
    def future(self) -> np.ndarray:
        """(T,), what is still to come at the steps 1…T."""
        return self.progress[-1] - self.progress[1:]


def draw_curves(
    kind: str, names: Sequence[str], count: int, rounds: int, rng: np.random.Generator
) -> list[Curve]:
    """`count` curves of a kind, on data sets drawn from `names`. Raises
    FloatingPointError when too few draws grow.
    """
    draw = dict(zip(KINDS, (boosting, training, variance, features, tsne), strict=True))[kind]
    drawn: list[Curve] = []
    for _ in range(TRIES * count):
        curve = draw(names, rounds, rng)
        # one that grows at its last step alone is nowhere stopped
        drawn += [curve] if curve and curve.past[:-1].any() else []
        if len(drawn) == count:
            return drawn
    raise FloatingPointError(
        f"Only {len(drawn)} of {TRIES * count} curves of the kind {kind} were usable: more rounds may help."
    )


def falling_loss(losses: np.ndarray, horizon: int) -> Curve | None:
    """How far a loss has fallen so far, until its last gain; None when that is not
    after the first step.
    """
    fallen = losses[0] - np.minimum.accumulate(losses)
    last = int(np.searchsorted(fallen, fallen[-1]))
    return Curve(fallen[: last + 1], horizon) if last > 1 else None


def cumulated(shares: np.ndarray, horizon: int) -> Curve | None:
    """Cumulative sum of shares, largest first; None when fewer than two are above 0."""
    total = np.concatenate([[0.0], np.cumsum(shares[shares > 0])])
    return Curve(total, horizon) if len(total) > 2 else None


def boosting(names: Sequence[str], rounds: int, rng: np.random.Generator) -> Curve | None:
    """Held-out loss of gradient boosting over rounds; one class against the others."""
    train, held = tabular.draw_parts(names, ROWS, SHARES, rng)
    settings = {
        "n_estimators": rounds,
        "learning_rate": float(10 ** rng.uniform(-1.5, -0.5)),
        "max_depth": int(rng.integers(1, 4)),
        "subsample": float(rng.uniform(0.5, 1)),
        "random_state": int(rng.integers(2**31)),
    }
    target = train.target, held.target
    if train.classes:
        one = rng.integers(train.classes)
        target = (train.target == one).astype(int), (held.target == one).astype(int)
    if np.ptp(target[0]) == 0:
        return None
    return falling_loss(held_out_losses((train.columns, held.columns), target, settings), rounds)


def training(names: Sequence[str], rounds: int, rng: np.random.Generator) -> Curve | None:
    """Training loss of a perceptron of drawn width and optimiser over epochs."""
    train, held = tabular.draw_parts(names, ROWS, SHARES, rng)
    settings = {
        "hidden_layer_sizes": (int(rng.integers(8, 49)),),
        "solver": ("adam", "sgd")[rng.integers(2)],
        "learning_rate_init": float(10 ** rng.uniform(-2.3, -1.2)),
        "alpha": float(10 ** rng.uniform(-5, -2)),
        "batch_size": 50,
        "random_state": int(rng.integers(2**31)),
    }
    return falling_loss(perceptron_losses(train, held, rounds, settings)[0], rounds)


def variance(names: Sequence[str], _: int, rng: np.random.Generator) -> Curve | None:
    """Variance explained by principal components of a bootstrap sample."""
    columns = tabular.load(names[rng.integers(len(names))]).columns
    return spectrum(columns[rng.integers(len(columns), size=int(rng.integers(60, 400)))])


def spectrum(columns: np.ndarray) -> Curve | None:
    """Cumulative variance explained by principal components of (n, d), up to 99.9 %."""
    shares = variance_shares(columns)
    count = int(np.searchsorted(np.cumsum(shares), VARIANCE)) + 1
    return cumulated(shares[:count], len(shares))


def features(names: Sequence[str], _: int, rng: np.random.Generator) -> Curve | None:
    """Feature importances of a random forest, largest first."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    train, _ = tabular.draw_parts(names, ROWS, SHARES, rng)
    forest = (RandomForestClassifier if train.classes else RandomForestRegressor)(
        n_estimators=int(rng.integers(10, 40)),
        max_features=float(rng.uniform(0.1, 0.8)),
        max_depth=int(rng.integers(2, 9)),
        random_state=int(rng.integers(2**31)),
    )
    importances = np.sort(forest.fit(train.columns, train.target).feature_importances_)[::-1]
    return cumulated(importances, len(importances))


def tsne(names: Sequence[str], rounds: int, rng: np.random.Generator) -> Curve | None:
    """Divergence of an exact t-SNE over iterations."""
    (points,) = tabular.draw_parts(names, POINTS, (1,), rng)
    rate, perplexity = float(10 ** rng.uniform(0.5, 1.3)), float(rng.uniform(4, 15))
    return falling_loss(tsne_losses(points.columns, perplexity, rounds, rate, rng), rounds)
