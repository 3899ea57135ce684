"""Three learners that use Gott's rule, each against validation, shuffled ages, rates
without ages and a plain rule, at equal fits.

Every learner divides fits, or places, among things that began at unequal times. The
predicted future of each is its past: rate times age. *Shuffled* multiplies each rate by
another's age, *ageblind* uses the rate alone. The constants were fixed beforehand,
three of the cut's on seeds 100 to 103, which no study uses.
"""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.ideas.copernican.curves import VARIANCE, WIDE, tabular_data
from mlcv_explore.ideas.copernican.intervals import ranking

LEARNERS = ("groups", "adding", "cut")
RULES = ("copernican", "validated", "shuffled", "ageblind", "default")
ROWS = 240  # of a sub-sample, at most: half trains, a quarter validates, a quarter tests
FOLDS = 3
# boosting: groups of columns, weak learners in all, and those a group has when it starts
GROUPS, FITS, INTRODUCED = 5, 60, 2
STEP_SIZE = 0.3  # of a boosting step
SELECTIONS = 4  # problems of feature selection for each of boosting: they cost a twentieth
KEPT = 0.25  # of the columns
RIDGE = 1.0
SHRINKAGE = 0.01  # of the covariance in discriminant analysis
CUT_FITS = 9  # a problem, shared by the problems of a cut
MAX_COMPONENTS = 24
SHARING = 2  # cuts for each problem of boosting, and one more: they share fits


@dataclass(frozen=True, eq=False)
class Problem:
    """A sub-sample of a data set: training, validation, test."""

    columns: tuple[np.ndarray, np.ndarray, np.ndarray]  # (n, d), centred by the training part
    target: tuple[np.ndarray, np.ndarray, np.ndarray]  # (n,) numbers of training mean 0, or classes


def draw_problem(rng: np.random.Generator, names: tuple[str, ...] = WIDE, classes: bool = False) -> Problem:
    """A drawn data set; without `classes` a drawn class against the others is a number."""
    dataset = tabular_data(names[rng.integers(len(names))])
    rows = rng.permutation(len(dataset.target))[:ROWS]
    parts = np.split(rows, [len(rows) // 2, 3 * len(rows) // 4])
    target = dataset.target
    if not classes:
        target = (target == rng.integers(dataset.classes)).astype(float) if dataset.classes else target
        target = target - target[parts[0]].mean()
    columns = dataset.columns[:, dataset.columns[parts[0]].std(0) > 0]
    centre = columns[parts[0]].mean(0)
    return Problem(tuple(columns[part] - centre for part in parts), tuple(target[part] for part in parts))


def explained_variance(target: np.ndarray, output: np.ndarray) -> float:
    """Share of a target's variance that is explained; negative if worse than a
    constant.
    """
    return float(1 - ((target - output) ** 2).mean() / target.var()) if target.var() > 0 else 0.0


def regrets(learner: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Regret of every rule, its distance below the best at equal fits as a fraction of
    1, and its fits a problem; (RULES,) float64 each.

    Means over `count` problems of boosting, four times as many of feature selection, or
    twice as many cuts and one. The score is the explained variance of the test part; of
    the cut, its test accuracy.
    """
    if learner == "cut":
        names = ("digits", "wine", "breast_cancer")
        return pca_cut([draw_problem(rng, names, classes=True) for _ in range(SHARING * count + 1)], rng)
    if learner == "adding":
        results = [feature_selection(draw_problem(rng), rng) for _ in range(SELECTIONS * count)]
    else:
        results = [grouped_boosting(draw_problem(rng), rng) for _ in range(count)]
    return np.mean([result[0] for result in results], axis=0), np.mean(
        [result[1] for result in results], axis=0
    )


class BoostedGroups:
    """Boosting sequences, one a group of columns, that sum to one prediction; its score
    is taken where validation loss is lowest.
    """

    def __init__(self, problem: Problem, groups: list[np.ndarray]) -> None:
        self.problem = problem
        self.inputs = [
            [columns[:, group].astype(np.float32) for columns in problem.columns] for group in groups
        ]
        self.outputs = [np.zeros(len(target)) for target in problem.target]
        self.gains = np.zeros(len(groups))  # of the training loss, so far
        self.fits = 0
        self.least, self.score = self.loss(1), explained_variance(problem.target[2], self.outputs[2])

    def candidate(self, group: int) -> list[np.ndarray]:
        """What one more weak learner of a group would add to each part; one fit."""
        from sklearn.tree import DecisionTreeRegressor

        self.fits += 1
        tree = DecisionTreeRegressor(max_depth=2, random_state=0).fit(
            self.inputs[group][0], self.problem.target[0] - self.outputs[0], check_input=False
        )
        return [STEP_SIZE * tree.tree_.predict(inputs)[:, 0] for inputs in self.inputs[group]]

    def loss(self, part: int, added: np.ndarray | float = 0.0) -> float:
        """Mean squared error of a part."""
        return float(((self.problem.target[part] - self.outputs[part] - added) ** 2).mean())

    def add(self, group: int, added: list[np.ndarray]) -> None:
        """Add a weak learner."""
        self.gains[group] += self.loss(0) - self.loss(0, added[0])
        self.outputs = [output + more for output, more in zip(self.outputs, added, strict=True)]
        if self.loss(1) < self.least:
            self.least = self.loss(1)
            self.score = explained_variance(self.problem.target[2], self.outputs[2])


def grouped_boosting(problem: Problem, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Five groups of columns, the k-th available from fit 6·k of 60 on; each fit goes
    to one of them.

    A group starts with two fits. Then: copernican – the group with the largest gain so
    far, which is its predicted future; shuffled – gain per fit of age, times another
    group's age; ageblind – gain per fit of age; default – in turn; validated – all are
    fitted, which counts, and the best on validation data is added. Every rule ends
    where validation loss was lowest. The best is of all rules and an oracle that uses
    the test part and whose trials are free.
    """
    count = min(GROUPS, problem.columns[0].shape[1])
    groups = np.array_split(rng.permutation(problem.columns[0].shape[1]), count)
    starts = np.arange(count) * (FITS // 2 // count)
    scores, fits = [], []
    for rule in (*RULES, "oracle"):
        model, introduced, spent = BoostedGroups(problem, groups), np.zeros(count, int), 0
        while spent < FITS:
            available = np.flatnonzero(starts <= spent)
            if rule in ("validated", "oracle"):
                part = 1 if rule == "validated" else 2
                tried = available[: FITS - spent] if rule == "validated" else available
                candidates = {group: model.candidate(group) for group in tried}
                best = min(candidates, key=lambda group: model.loss(part, candidates[group][part]))
                model.add(best, candidates[best])
                spent += len(tried) if rule == "validated" else 1
                continue
            waiting = available[introduced[available] < INTRODUCED]
            if len(waiting):
                group = int(waiting[0])
            else:
                ages = (spent - starts[available]).astype(float)
                group = int(available[choose(rule, model.gains[available] / ages, ages, spent, rng)])
            introduced[group] += 1
            model.add(group, model.candidate(group))
            spent += 1
        scores.append(model.score)
        fits.append(model.fits)
    return max(scores) - np.array(scores[:-1]), np.array(fits[:-1], dtype=float)


def choose(rule: str, rates: np.ndarray, ages: np.ndarray, turn: int, rng: np.random.Generator) -> int:
    """Which of several a rule takes next, from their rates and ages."""
    if rule == "copernican":
        return int(ranking(rates, ages)[0])
    if rule == "shuffled":
        return int(ranking(rates, rng.permutation(ages))[0])
    return int(rates.argmax()) if rule == "ageblind" else turn % len(rates)


def feature_selection(problem: Problem, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Columns become available one by one in the first two thirds of 3·d rounds of
    componentwise boosting; a quarter is then kept and fitted by ridge regression.

    A round is one fit: the available column that lowers training loss most takes a
    step. Kept are those with the largest – copernican: importance so far, which is the
    predicted future; shuffled: importance per round of age, times another column's age;
    ageblind: importance per round; default: age; validated: gain in three-fold
    cross-validation of each column alone, 3·d fits. The best is of all rules and
    forward selection on the test part.
    """
    columns, target = problem.columns[0], problem.target[0]
    width = columns.shape[1]
    rounds = FOLDS * width
    starts = rng.permutation(np.arange(width) * 2 * rounds // (3 * width))
    gains, residual, lengths = np.zeros(width), target.copy(), (columns**2).sum(0)
    for step in range(rounds):
        products = np.where(starts <= step, columns.T @ residual, 0.0)
        best = int((products**2 / lengths).argmax())
        before = residual @ residual
        residual = residual - STEP_SIZE * products[best] / lengths[best] * columns[:, best]
        gains[best] += before - residual @ residual
    ages = (rounds - starts).astype(float)
    folds = np.arange(len(target)) % FOLDS
    alone, fits = np.zeros(width), 0
    for fold in range(FOLDS):
        train, held = columns[folds != fold], columns[folds == fold]
        slopes = (train * target[folds != fold, None]).sum(0) / np.maximum((train**2).sum(0), 1e-12)
        held_target = target[folds == fold, None]
        alone += (held_target**2 - (held_target - held * slopes) ** 2).sum(0)
        fits += width
    orders = {
        "copernican": ranking(gains / ages, ages),
        "validated": np.argsort(-alone, kind="stable"),
        "shuffled": ranking(gains / ages, rng.permutation(ages)),
        "ageblind": np.argsort(-gains / ages, kind="stable"),
        "default": np.argsort(-ages, kind="stable"),
    }
    kept = max(2, round(KEPT * width))
    scores = [ridge_score(problem, orders[rule][:kept]) for rule in RULES]
    chosen: list[int] = []
    for _ in range(kept):
        left = set(range(width)) - set(chosen)
        chosen.append(max(left, key=lambda column: ridge_score(problem, np.array([*chosen, column]))))
    best_score = max(*scores, ridge_score(problem, np.array(chosen)))
    spent = [fits if rule == "validated" else rounds for rule in RULES]
    return best_score - np.array(scores), np.array(spent, dtype=float)


def ridge_score(problem: Problem, kept: np.ndarray) -> float:
    """Explained variance of the test part by ridge regression on the columns kept."""
    columns = problem.columns[0][:, kept]
    slopes = np.linalg.solve(columns.T @ columns + RIDGE * np.eye(len(kept)), columns.T @ problem.target[0])
    return explained_variance(problem.target[2], problem.columns[2][:, kept] @ slopes)


def pca_cut(problems: list[Problem], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """How many principal components to keep before linear discriminant analysis:
    problems try k = 1, 2, … and share 9 fits each.

    The next fit goes to – copernican: the problem with the fewest steps since
    improvement relative to the age of its best, for P(Y times as long without) = 1/(1 +
    Y); shuffled: relative to another's age; ageblind: the fewest steps; default: in
    turn. The k with the best validation log-likelihood is kept. Validated: three-fold
    cross-validation of three k each. The best is the best k on the test part.
    """
    tables = [cut_scores(problem) for problem in problems]
    limits = np.array([len(validation) for validation, _ in tables])
    total = CUT_FITS * len(problems)
    pairs = zip(problems, limits, strict=True)
    chosen = {"validated": [cross_validated_cut(problem, limit) for problem, limit in pairs]}
    spent = {"validated": total}
    for rule in (rule for rule in RULES if rule != "validated"):
        tried, best = np.ones(len(problems), int), np.ones(len(problems), int)
        for turn in range(total - len(problems)):
            unfinished = np.flatnonzero(tried < limits)
            if not len(unfinished):
                break
            stalled = (tried - best)[unfinished].astype(float)
            ages = best[unfinished].astype(float)
            if rule == "copernican":
                order = stalled / ages
            elif rule == "shuffled":
                order = stalled / rng.permutation(ages)
            elif rule == "ageblind":
                order = stalled
            else:
                order = np.roll(np.arange(len(unfinished)), turn % len(unfinished))
            place = int(unfinished[np.lexsort((tried[unfinished], order))[0]])
            tried[place] += 1
            validation = tables[place][0]
            if validation[tried[place] - 1] > validation[best[place] - 1]:
                best[place] = tried[place]
        chosen[rule], spent[rule] = best.tolist(), int(tried.sum())
    regret = [
        np.mean([test.max() - test[k - 1] for (_, test), k in zip(tables, chosen[rule], strict=True)])
        for rule in RULES
    ]
    return np.array(regret), np.array([spent[rule] / len(problems) for rule in RULES])


def cut_scores(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Validation log-likelihood after training, and test accuracy after training with
    the validation part too, at every k, (K,) each.
    """
    known, labels = np.concatenate(problem.columns[:2]), np.concatenate(problem.target[:2])
    axes = principal_axes(known)
    train, validation, test = (columns @ axes for columns in problem.columns)
    truth = problem.target
    cuts = range(1, axes.shape[1] + 1)
    held = [discriminant_scores(train[:, :k], truth[0], validation[:, :k], truth[1])[0] for k in cuts]
    tested = [discriminant_scores(known @ axes[:, :k], labels, test[:, :k], truth[2])[1] for k in cuts]
    return np.array(held), np.array(tested)


def principal_axes(columns: np.ndarray) -> np.ndarray:
    """Principal axes (d, K) of (n, d) that hold 99.9 % of its variance, 24 at most."""
    _, singular, axes = np.linalg.svd(columns - columns.mean(0), full_matrices=False)
    shares = np.cumsum(singular**2) / (singular**2).sum()
    return axes[: min(MAX_COMPONENTS, int(np.searchsorted(shares, VARIANCE)) + 1)].T


def cross_validated_cut(problem: Problem, limit: int) -> int:
    """The best of three numbers of components, evenly spaced in their logarithm, by
    three-fold cross-validation; nine fits.
    """
    known, labels = np.concatenate(problem.columns[:2]), np.concatenate(problem.target[:2])
    places = known @ principal_axes(known)
    folds = np.arange(len(labels)) % FOLDS
    cuts = [int(k) for k in np.geomspace(2, limit, CUT_FITS // FOLDS).round()]
    parts = [(folds != fold, folds == fold) for fold in range(FOLDS)]
    likelihoods = [
        [
            discriminant_scores(places[train, :k], labels[train], places[held, :k], labels[held])[0]
            for train, held in parts
        ]
        for k in cuts
    ]
    return cuts[int(np.argmax([np.mean(values) for values in likelihoods]))]


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
