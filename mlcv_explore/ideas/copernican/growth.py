"""Real curves that grow to an end: boosting, training, principal components,
importances of features, t-SNE, and epochs until the best.

Every curve is of scikit-learn's bundled data, a sub-sample and hyper-parameters drawn
anew for each. Two thirds of a sub-sample train, one third is held out. What is
predicted at a step is the importance still to come until the curve's own end, which is
its last gain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

KINDS = ("boosting", "training", "variance", "features", "tsne", "epochs")
IMPORTANCE_KINDS = KINDS[:5]  # their clock is importance; that of "epochs" is time
DATA = ("digits", "wine", "breast_cancer", "diabetes", "iris")
WIDE = DATA[:4]  # those with ten columns or more
LONGEST = 150  # steps of a curve
ROWS = 150  # of a sub-sample, at most
VARIANCE = 0.999  # share at which a spectrum ends
SMOOTH = 5  # epochs over which the validation loss is averaged before its minimum is looked for
POINTS = 60  # of a t-SNE
TRIES = 20  # draws for each curve wanted, before a kind is given up


@dataclass(frozen=True, eq=False)
class Curve:
    """Importance so far at every step; T steps, two or more, and the last brought
    something.
    """

    importance: np.ndarray  # (T + 1,) float64, from 0, never falling
    # (T + 1,) what has been gained so far, from 0, never falling: the importance, or the fall of
    # the validation loss
    signal: np.ndarray
    horizon: int  # steps that are known beforehand to be the last: rounds, columns


@dataclass(frozen=True, eq=False)
class Table:
    """One of the bundled data sets."""

    # (n, d) float64 of mean 0 and deviation 1: each column, or in digits all pixels together
    columns: np.ndarray
    target: np.ndarray  # (n,) int64 classes, or float64 of mean 0 and deviation 1
    classes: int  # 0 where the target is a number


@cache
def table(name: str) -> Table:
    """A data set by its name, one of DATA."""
    from sklearn import datasets

    raw, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "diabetes":
        return Table((raw - raw.mean(0)) / raw.std(0), (target - target.mean()) / target.std(), 0)
    centred = raw - raw.mean(0)
    # a pixel that is hardly ever inked must not count like the others
    scale = centred.std() if name == "digits" else centred.std(0)
    return Table(centred / scale, target.astype(np.int64), int(target.max()) + 1)


def curves(kind: str, count: int, rounds: int, luck: np.random.Generator) -> tuple[list[Curve], int]:
    """`count` curves of a kind, and how many draws were not used: those without any
    growth, and for "epochs" those whose best epoch is the budget's last.

    Raises FloatingPointError with a sentence when too few draws can be used.
    """
    made, unused = [], 0
    while len(made) < count:
        curve = MAKERS[kind](rounds, luck)
        if curve is None:
            unused += 1
        else:
            made.append(curve)
        if unused > TRIES * count:
            raise FloatingPointError(
                f"Of {unused + len(made)} curves of the kind {kind} only {len(made)} could be used: more"
                " rounds may help."
            )
    return made, unused


def grown(losses: np.ndarray, horizon: int) -> Curve | None:
    """The curve of what a loss has fallen so far, its running minimum, until its last
    gain; None when that is not after the first step.
    """
    fallen = losses[0] - np.minimum.accumulate(losses)
    last = int(np.searchsorted(fallen, fallen[-1]))
    return Curve(fallen[: last + 1], fallen[: last + 1], horizon) if last > 1 else None


def cumulated(shares: np.ndarray, horizon: int) -> Curve | None:
    """The curve of shares added one by one, the largest first; None when fewer than two
    are above 0.
    """
    total = np.concatenate([[0.0], np.cumsum(shares[shares > 0])])
    return Curve(total, total, horizon) if len(total) > 2 else None


def sampled(names: tuple[str, ...], luck: np.random.Generator) -> tuple[Table, np.ndarray, np.ndarray]:
    """A data set drawn, and the rows of a sub-sample that train and that are held out."""
    chosen = table(names[luck.integers(len(names))])
    rows = luck.permutation(len(chosen.target))[:ROWS]
    cut = 2 * len(rows) // 3
    return chosen, rows[:cut], rows[cut:]


def boosting(rounds: int, luck: np.random.Generator) -> Curve | None:
    """Held-out loss over the rounds of gradient boosting; classes are asked one against
    the others.
    """
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    chosen, train, held = sampled(DATA, luck)
    settings = {
        "n_estimators": rounds,
        "learning_rate": float(10 ** luck.uniform(-1.5, -0.5)),
        "max_depth": int(luck.integers(1, 4)),
        "subsample": float(luck.uniform(0.5, 1)),
        "random_state": int(luck.integers(2**31)),
    }
    columns, target = chosen.columns, chosen.target
    if not chosen.classes:
        model = GradientBoostingRegressor(**settings).fit(columns[train], target[train])
        losses = [((target[held] - made) ** 2).mean() for made in model.staged_predict(columns[held])]
        return grown(np.array([((target[held] - target[train].mean()) ** 2).mean(), *losses]), rounds)
    target = (target == luck.integers(chosen.classes)).astype(int)
    share = target[train].mean()
    if not 0 < share < 1:
        return None
    model = GradientBoostingClassifier(**settings).fit(columns[train], target[train])
    chances = [np.full(len(held), share), *(made[:, 1] for made in model.staged_predict_proba(columns[held]))]
    losses = [
        -np.log(np.clip(np.where(target[held] == 1, chance, 1 - chance), 1e-9, 1)).mean()
        for chance in chances
    ]
    return grown(np.array(losses), rounds)


def perceptron(rounds: int, luck: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation loss of a perceptron, (rounds + 1,) each, nats or half
    squared deviations; the first is that of knowing nothing.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    chosen, train, held = sampled(DATA, luck)
    settings = {
        "hidden_layer_sizes": (int(luck.integers(8, 49)),),
        "learning_rate_init": float(10 ** luck.uniform(-2.3, -1.2)),
        "alpha": float(10 ** luck.uniform(-5, -2)),
        "batch_size": 50,
        "random_state": int(luck.integers(2**31)),
    }
    columns, target = chosen.columns, chosen.target
    model = MLPClassifier(**settings) if chosen.classes else MLPRegressor(**settings)
    more = {"classes": np.arange(chosen.classes)} if chosen.classes else {}
    blank = float(np.log(chosen.classes)) if chosen.classes else 0.5 * float((target[train] ** 2).mean())
    training, validation = [blank], [blank]
    for _ in range(rounds):
        model.partial_fit(columns[train], target[train], **more)
        training.append(model.loss_)
        if chosen.classes:
            chance = model.predict_proba(columns[held])[np.arange(len(held)), target[held]]
            validation.append(-np.log(np.maximum(chance, 1e-9)).mean())
        else:
            validation.append(0.5 * ((target[held] - model.predict(columns[held])) ** 2).mean())
    return np.array(training), np.array(validation)


def training(rounds: int, luck: np.random.Generator) -> Curve | None:
    """Training loss over the epochs of a perceptron."""
    return grown(perceptron(rounds, luck)[0], rounds)


def epochs(rounds: int, luck: np.random.Generator) -> Curve | None:
    """Epochs until the smoothed validation loss of a perceptron is least; None when
    that is the last of the budget: the best may come later.
    """
    losses = perceptron(rounds, luck)[1]
    smooth = np.convolve(np.pad(losses, SMOOTH // 2, mode="edge"), np.full(SMOOTH, 1 / SMOOTH), mode="valid")
    best = int(smooth.argmin())
    # at 0 or 1 nothing was learned; near the end the mean has fewer epochs behind it
    if best < 2 or best >= rounds - SMOOTH // 2:
        return None
    fallen = losses[0] - np.minimum.accumulate(losses[: best + 1])
    return Curve(np.arange(best + 1.0), fallen, rounds)


def variance(_: int, luck: np.random.Generator) -> Curve | None:
    """Variance explained by principal components of a bootstrap sample, to 99.9 %."""
    columns = table(WIDE[luck.integers(len(WIDE))]).columns
    return spectrum(columns[luck.integers(len(columns), size=int(luck.integers(60, 400)))])


def spectrum(columns: np.ndarray) -> Curve | None:
    """The variance that principal components of (n, d) explain one after the other,
    until 99.9 % of it.
    """
    singular = np.linalg.svd(columns - columns.mean(0), compute_uv=False)
    shares = singular**2 / (singular**2).sum()
    count = int(np.searchsorted(np.cumsum(shares), VARIANCE)) + 1
    return cumulated(shares[:count], len(shares))


def features(_: int, luck: np.random.Generator) -> Curve | None:
    """Importances of the columns to a random forest, from the largest to the least."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    chosen, train, _ = sampled(WIDE, luck)
    settings = {
        "n_estimators": int(luck.integers(10, 40)),
        "max_features": float(luck.uniform(0.1, 0.8)),
        "max_depth": int(luck.integers(2, 9)),
        "random_state": int(luck.integers(2**31)),
    }
    forest = RandomForestClassifier(**settings) if chosen.classes else RandomForestRegressor(**settings)
    importances = np.sort(forest.fit(chosen.columns[train], chosen.target[train]).feature_importances_)[::-1]
    return cumulated(importances, len(importances))


def tsne(rounds: int, luck: np.random.Generator) -> Curve | None:
    """Divergence of an exact t-SNE over its iterations."""
    columns = table(DATA[luck.integers(len(DATA))]).columns
    rows = luck.permutation(len(columns))[:POINTS]
    rate, perplexity = float(10 ** luck.uniform(0.5, 1.3)), float(luck.uniform(4, 15))
    return grown(tsne_losses(columns[rows], perplexity, rounds, rate, luck), rounds)


def neighbour_chances(columns: np.ndarray, perplexity: float) -> np.ndarray:
    """Symmetric chances (n, n), sum 1, that two points are neighbours; each point's
    width is found by bisection on the entropy.
    """
    squares = (columns**2).sum(1)
    distances = np.maximum(squares[:, None] + squares - 2 * columns @ columns.T, 0)
    np.fill_diagonal(distances, np.inf)
    distances = distances - distances.min(1, keepdims=True)
    low, high = np.full(len(columns), -30.0), np.full(len(columns), 30.0)
    for _ in range(40):
        middle = (low + high) / 2
        weights = np.exp(-distances * np.exp(middle)[:, None])
        chances = weights / weights.sum(1, keepdims=True)
        entropy = -(chances * np.log(np.maximum(chances, 1e-300))).sum(1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    joint = chances + chances.T
    return np.maximum(joint / joint.sum(), 1e-12)


def tsne_losses(
    columns: np.ndarray, perplexity: float, iterations: int, rate: float, luck: np.random.Generator
) -> np.ndarray:
    """Kullback–Leibler divergences (iterations + 1,), nats, of exact t-SNE in the
    plane, with momentum and without exaggeration.

    Source: van der Maaten and Hinton, Visualizing Data using t-SNE, JMLR 9, 2008.
    """
    wanted = neighbour_chances(columns, perplexity)
    entropy = (wanted * np.log(wanted)).sum()
    places = 0.01 * luck.standard_normal((len(columns), 2))
    step, losses = np.zeros_like(places), []
    for iteration in range(iterations + 1):
        squares = (places**2).sum(1)
        near = 1 / (1 + np.maximum(squares[:, None] + squares - 2 * places @ places.T, 0))
        np.fill_diagonal(near, 0)
        total = near.sum()
        losses.append(entropy - (wanted * np.log(np.maximum(near / total, 1e-12))).sum())
        pulls = (wanted - near / total) * near
        gradient = 4 * (pulls.sum(1)[:, None] * places - pulls @ places)
        step = (0.5 if iteration < 20 else 0.8) * step - rate * gradient
        places = places + step
    return np.array(losses)


MAKERS: dict[str, Callable[[int, np.random.Generator], Curve | None]] = {
    "boosting": boosting,
    "training": training,
    "variance": variance,
    "features": features,
    "tsne": tsne,
    "epochs": epochs,
}
