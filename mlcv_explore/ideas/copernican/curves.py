"""Real curves that grow to an end: boosting, training, principal components, feature
importances, t-SNE, and epochs until the best.

Each draws a sub-sample of scikit-learn's bundled data and its own hyperparameters. Two
thirds train, one third is held out. The future at a step is the importance still to
come until the curve's last gain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

KINDS = ("boosting", "training", "variance", "features", "tsne", "epochs")
IMPORTANCE_KINDS = KINDS[:5]  # the clock of "epochs" is time, that of the others importance
DATA = ("digits", "wine", "breast_cancer", "diabetes", "iris")
WIDE = DATA[:4]  # those with ten columns or more
LONGEST = 150  # steps of a curve, at most
ROWS = 150  # of a sub-sample, at most
VARIANCE = 0.999  # share at which a spectrum ends
SMOOTH = 5  # epochs over which validation loss is averaged before its minimum is taken
POINTS = 60  # of a t-SNE
TRIES = 20  # draws a requested curve before a kind is given up


@dataclass(frozen=True, eq=False)
class Curve:
    """Importance so far at each of T steps, T ≥ 2; the last step gained something."""

    importance: np.ndarray  # (T + 1,) float64, from 0, never falling
    signal: np.ndarray  # (T + 1,) gain so far, likewise: the importance, or the fall of validation loss
    horizon: int  # the last step, known beforehand: budget of rounds, number of columns


@dataclass(frozen=True, eq=False)
class TabularData:
    """One of the bundled data sets."""

    columns: np.ndarray  # (n, d) float64, mean 0, deviation 1 a column (digits: over all pixels)
    target: np.ndarray  # (n,) int64 classes, or float64 of mean 0 and deviation 1
    classes: int  # 0 for regression


@cache
def tabular_data(name: str) -> TabularData:
    """A data set by its name, one of DATA."""
    from sklearn import datasets

    raw, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "diabetes":
        return TabularData((raw - raw.mean(0)) / raw.std(0), (target - target.mean()) / target.std(), 0)
    centred = raw - raw.mean(0)
    # a pixel that is hardly ever inked must not count like the others
    scale = centred.std() if name == "digits" else centred.std(0)
    return TabularData(centred / scale, target.astype(np.int64), int(target.max()) + 1)


def draw_curves(kind: str, count: int, rounds: int, rng: np.random.Generator) -> tuple[list[Curve], int]:
    """`count` curves of a kind, and how many draws were unusable: no growth, or a best
    epoch at the end of the budget. Raises FloatingPointError when too few are usable.
    """
    drawn: list[Curve] = []
    unused = 0
    while len(drawn) < count:
        curve = GENERATORS[kind](rounds, rng)
        if curve is None:
            unused += 1
        else:
            drawn.append(curve)
        if unused > TRIES * count:
            raise FloatingPointError(
                f"Only {len(drawn)} of {unused + len(drawn)} curves of the kind {kind} were usable: more"
                " rounds may help."
            )
    return drawn, unused


def falling_loss(losses: np.ndarray, horizon: int) -> Curve | None:
    """How far a loss has fallen so far, until its last gain; None when that is not
    after the first step.
    """
    fallen = losses[0] - np.minimum.accumulate(losses)
    last = int(np.searchsorted(fallen, fallen[-1]))
    return Curve(fallen[: last + 1], fallen[: last + 1], horizon) if last > 1 else None


def cumulated(shares: np.ndarray, horizon: int) -> Curve | None:
    """Cumulative sum of shares, largest first; None when fewer than two are above 0."""
    total = np.concatenate([[0.0], np.cumsum(shares[shares > 0])])
    return Curve(total, total, horizon) if len(total) > 2 else None


def sub_sample(
    names: tuple[str, ...], rng: np.random.Generator
) -> tuple[TabularData, np.ndarray, np.ndarray]:
    """A drawn data set, and rows of a sub-sample: training and held-out."""
    dataset = tabular_data(names[rng.integers(len(names))])
    rows = rng.permutation(len(dataset.target))[:ROWS]
    cut = 2 * len(rows) // 3
    return dataset, rows[:cut], rows[cut:]


def boosting(rounds: int, rng: np.random.Generator) -> Curve | None:
    """Held-out loss of gradient boosting over rounds; one class against the others."""
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    dataset, train, held = sub_sample(DATA, rng)
    settings = {
        "n_estimators": rounds,
        "learning_rate": float(10 ** rng.uniform(-1.5, -0.5)),
        "max_depth": int(rng.integers(1, 4)),
        "subsample": float(rng.uniform(0.5, 1)),
        "random_state": int(rng.integers(2**31)),
    }
    columns, target = dataset.columns, dataset.target
    if not dataset.classes:
        model = GradientBoostingRegressor(**settings).fit(columns[train], target[train])
        losses = [((target[held] - output) ** 2).mean() for output in model.staged_predict(columns[held])]
        return falling_loss(np.array([((target[held] - target[train].mean()) ** 2).mean(), *losses]), rounds)
    target = (target == rng.integers(dataset.classes)).astype(int)
    share = target[train].mean()
    if not 0 < share < 1:
        return None
    model = GradientBoostingClassifier(**settings).fit(columns[train], target[train])
    staged = (output[:, 1] for output in model.staged_predict_proba(columns[held]))
    losses = [
        -np.log(np.clip(np.where(target[held] == 1, output, 1 - output), 1e-9, 1)).mean()
        for output in (np.full(len(held), share), *staged)
    ]
    return falling_loss(np.array(losses), rounds)


def perceptron_losses(rounds: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation loss of a perceptron, (rounds + 1,) each, nats or half
    squared deviations; the first is that of a constant prediction.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    dataset, train, held = sub_sample(DATA, rng)
    settings = {
        "hidden_layer_sizes": (int(rng.integers(8, 49)),),
        "learning_rate_init": float(10 ** rng.uniform(-2.3, -1.2)),
        "alpha": float(10 ** rng.uniform(-5, -2)),
        "batch_size": 50,
        "random_state": int(rng.integers(2**31)),
    }
    columns, target = dataset.columns, dataset.target
    model = MLPClassifier(**settings) if dataset.classes else MLPRegressor(**settings)
    more = {"classes": np.arange(dataset.classes)} if dataset.classes else {}
    constant = float(np.log(dataset.classes)) if dataset.classes else 0.5 * float((target[train] ** 2).mean())
    training, validation = [constant], [constant]
    for _ in range(rounds):
        model.partial_fit(columns[train], target[train], **more)
        training.append(model.loss_)
        if dataset.classes:
            probability = model.predict_proba(columns[held])[np.arange(len(held)), target[held]]
            validation.append(-np.log(np.maximum(probability, 1e-9)).mean())
        else:
            validation.append(0.5 * ((target[held] - model.predict(columns[held])) ** 2).mean())
    return np.array(training), np.array(validation)


def training(rounds: int, rng: np.random.Generator) -> Curve | None:
    """Training loss of a perceptron over epochs."""
    return falling_loss(perceptron_losses(rounds, rng)[0], rounds)


def epochs(rounds: int, rng: np.random.Generator) -> Curve | None:
    """Epochs until the smoothed validation loss of a perceptron is lowest; None when
    that is the last of the budget, since the best may come later.
    """
    losses = perceptron_losses(rounds, rng)[1]
    smooth = np.convolve(np.pad(losses, SMOOTH // 2, mode="edge"), np.full(SMOOTH, 1 / SMOOTH), mode="valid")
    best = int(smooth.argmin())
    # at 0 or 1 nothing was learned; near the end the mean has fewer epochs behind it
    if best < 2 or best >= rounds - SMOOTH // 2:
        return None
    return Curve(np.arange(best + 1.0), losses[0] - np.minimum.accumulate(losses[: best + 1]), rounds)


def variance(_: int, rng: np.random.Generator) -> Curve | None:
    """Variance explained by principal components of a bootstrap sample."""
    columns = tabular_data(WIDE[rng.integers(len(WIDE))]).columns
    return spectrum(columns[rng.integers(len(columns), size=int(rng.integers(60, 400)))])


def spectrum(columns: np.ndarray) -> Curve | None:
    """Cumulative variance explained by principal components of (n, d), up to 99.9 %."""
    singular = np.linalg.svd(columns - columns.mean(0), compute_uv=False)
    shares = singular**2 / (singular**2).sum()
    count = int(np.searchsorted(np.cumsum(shares), VARIANCE)) + 1
    return cumulated(shares[:count], len(shares))


def features(_: int, rng: np.random.Generator) -> Curve | None:
    """Feature importances of a random forest, largest first."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    dataset, train, _ = sub_sample(WIDE, rng)
    settings = {
        "n_estimators": int(rng.integers(10, 40)),
        "max_features": float(rng.uniform(0.1, 0.8)),
        "max_depth": int(rng.integers(2, 9)),
        "random_state": int(rng.integers(2**31)),
    }
    forest = RandomForestClassifier(**settings) if dataset.classes else RandomForestRegressor(**settings)
    importances = np.sort(forest.fit(dataset.columns[train], dataset.target[train]).feature_importances_)
    return cumulated(importances[::-1], len(importances))


def tsne(rounds: int, rng: np.random.Generator) -> Curve | None:
    """Divergence of an exact t-SNE over iterations."""
    columns = tabular_data(DATA[rng.integers(len(DATA))]).columns
    rows = rng.permutation(len(columns))[:POINTS]
    rate, perplexity = float(10 ** rng.uniform(0.5, 1.3)), float(rng.uniform(4, 15))
    return falling_loss(tsne_losses(columns[rows], perplexity, rounds, rate, rng), rounds)


def _squared_distances(points: np.ndarray) -> np.ndarray:
    squares = (points**2).sum(1)
    return np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)


def neighbour_probabilities(columns: np.ndarray, perplexity: float) -> np.ndarray:
    """Symmetric probabilities (n, n), sum 1, that two points are neighbours; each
    point's bandwidth is found by bisection on the entropy.
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
    return np.maximum(joint / joint.sum(), 1e-12)


def tsne_losses(
    columns: np.ndarray, perplexity: float, iterations: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Kullback–Leibler divergences (iterations + 1,), nats, of exact t-SNE in the
    plane, with momentum, without exaggeration.

    Source: van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 9, 2008.
    """
    joint = neighbour_probabilities(columns, perplexity)
    entropy = (joint * np.log(joint)).sum()
    places = 0.01 * rng.standard_normal((len(columns), 2))
    step, losses = np.zeros_like(places), []
    for iteration in range(iterations + 1):
        near = 1 / (1 + _squared_distances(places))
        np.fill_diagonal(near, 0)
        total = near.sum()
        losses.append(entropy - (joint * np.log(np.maximum(near / total, 1e-12))).sum())
        pulls = (joint - near / total) * near
        gradient = 4 * (pulls.sum(1)[:, None] * places - pulls @ places)
        step = (0.5 if iteration < 20 else 0.8) * step - rate * gradient
        places = places + step
    return np.array(losses)


GENERATORS: dict[str, Callable[[int, np.random.Generator], Curve | None]] = {
    "boosting": boosting,
    "training": training,
    "variance": variance,
    "features": features,
    "tsne": tsne,
    "epochs": epochs,
}
