"""Three learners that trust the principle, each against cross-validation, shuffled
ages, rates without ages and a plain rule, at equal fits.

Every learner divides fits, or places, among things that began at unequal times. The
principle says: what is still to come of each is what came so far, its rate times its
age. *Shuffled* multiplies each rate by another's age, *ageblind* takes the rate alone.
The constants below were set beforehand but for three of the cut, which were set on
seeds 100 to 103, in no study: with 12 fits a problem, four problems and validation
accuracy in place of its log-likelihood, all rules but cross-validation chose the same
cuts.
"""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.ideas.copernican.growth import VARIANCE, WIDE, table
from mlcv_explore.ideas.copernican.intervals import ranking

LEARNERS = ("groups", "adding", "cut")
RULES = ("copernican", "validated", "shuffled", "ageblind", "default")
ROWS = 240  # of a sub-sample, at most: half trains, a quarter validates, a quarter tests
FOLDS = 3
# boosting in groups: groups of columns, weak learners in all, and those each group has when it
# comes
GROUPS, FITS, INTRODUCED = 5, 60, 2
BOOSTING_RATE = 0.3
ADDING_RATE = 0.3
ADDINGS = 4  # problems of adding for each of the others': they cost a twentieth
KEPT = 0.25  # of the columns
RIDGE = 1.0
CUT_FITS = 9  # for each of the problems that share them
MOST_COMPONENTS = 24  # that a cut may leave
SHARING = 2  # cuts for each problem of the other learners, and one more: they share fits


@dataclass(frozen=True, eq=False)
class Problem:
    """A sub-sample of a data set in three parts, its columns centred by the first."""

    columns: tuple[np.ndarray, np.ndarray, np.ndarray]  # (n, d) of training, validation, test
    target: tuple[np.ndarray, np.ndarray, np.ndarray]  # (n,) numbers, of mean 0 in training; or classes


def problem(luck: np.random.Generator, names: tuple[str, ...] = WIDE, classes: bool = False) -> Problem:
    """A drawn data set; with `classes` false a drawn class against the others is a
    number.
    """
    chosen = table(names[luck.integers(len(names))])
    rows = luck.permutation(len(chosen.target))[:ROWS]
    parts = np.split(rows, [len(rows) // 2, 3 * len(rows) // 4])
    target = chosen.target
    if not classes:
        target = (target == luck.integers(chosen.classes)).astype(float) if chosen.classes else target
        target = target - target[parts[0]].mean()
    columns = chosen.columns[:, chosen.columns[parts[0]].std(0) > 0]
    centre = columns[parts[0]].mean(0)
    return Problem(tuple(columns[part] - centre for part in parts), tuple(target[part] for part in parts))


def explained(target: np.ndarray, made: np.ndarray) -> float:
    """Share of the variance of a target that is explained, at most 1, below 0 for what
    is worse than a constant.
    """
    return float(1 - ((target - made) ** 2).mean() / target.var()) if target.var() > 0 else 0.0


def regrets(learner: str, count: int, luck: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Regret of every rule, how far it stays below the best at as many fits as a
    fraction of 1, and its fits a problem; (RULES,) float64 each.

    Means over `count` problems of boosting in groups, four times as many of adding,
    twice as many cuts and one more. The score is the share of the test part's variance
    that is explained, of the cut its test accuracy.
    """
    if learner == "cut":
        return cut(
            [
                problem(luck, ("digits", "wine", "breast_cancer"), classes=True)
                for _ in range(SHARING * count + 1)
            ],
            luck,
        )
    if learner == "adding":
        found = [adding(problem(luck), luck) for _ in range(ADDINGS * count)]
    else:
        found = [groups_of_columns(problem(luck), luck) for _ in range(count)]
    return np.mean([item[0] for item in found], axis=0), np.mean([item[1] for item in found], axis=0)


class Sequences:
    """Boosting sequences, one a group of columns, that add up to one prediction; kept
    is that of the least validation loss so far.
    """

    def __init__(self, given: Problem, groups: list[np.ndarray]) -> None:
        self.given, self.groups = given, groups
        self.inputs = [
            [columns[:, group].astype(np.float32) for columns in given.columns] for group in groups
        ]
        self.made = [np.zeros(len(target)) for target in given.target]
        self.gains = np.zeros(len(groups))  # of the training loss, so far
        self.fits = 0
        # where validation loss is least, and the test part there
        self.least, self.score = self.loss(1), explained(given.target[2], self.made[2])

    def candidate(self, group: int) -> list[np.ndarray]:
        """What one more weak learner of a group would add to each part's prediction; a
        fit.
        """
        from sklearn.tree import DecisionTreeRegressor

        self.fits += 1
        tree = DecisionTreeRegressor(max_depth=2, random_state=0).fit(
            self.inputs[group][0], self.given.target[0] - self.made[0], check_input=False
        )
        return [BOOSTING_RATE * tree.predict(inputs, check_input=False) for inputs in self.inputs[group]]

    def loss(self, part: int, added: np.ndarray | float = 0.0) -> float:
        """Mean squared error of a part."""
        return float(((self.given.target[part] - self.made[part] - added) ** 2).mean())

    def add(self, group: int, added: list[np.ndarray]) -> None:
        """Take a weak learner in."""
        self.gains[group] += self.loss(0) - self.loss(0, added[0])
        self.made = [made + more for made, more in zip(self.made, added, strict=True)]
        if self.loss(1) < self.least:
            self.least, self.score = self.loss(1), explained(self.given.target[2], self.made[2])


def groups_of_columns(given: Problem, luck: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Five groups of columns, the k-th there from fit 6·k of 60 on; each fit goes to
    one of them.

    A group has two fits when it comes. Then: copernican – to the group whose gain so
    far is largest, for as much is predicted to come; shuffled – its gain per fit of
    age, times another group's age; ageblind – the gain per fit of age; default – in
    turn; validated – every group there is fitted and the best on validation data taken,
    all of which count. Every rule ends where its validation loss was least. The best is
    of all rules and of one that may look at the test part without paying.
    """
    count = min(GROUPS, given.columns[0].shape[1])
    groups = np.array_split(luck.permutation(given.columns[0].shape[1]), count)
    starts = np.arange(count) * (FITS // 2 // count)
    scores, fits = [], []
    for rule in (*RULES, "oracle"):
        sequences, introduced, spent = Sequences(given, groups), np.zeros(count, int), 0
        while spent < FITS:
            here = np.flatnonzero(starts <= spent)
            if rule in ("validated", "oracle"):
                part = 1 if rule == "validated" else 2
                tried = here[: FITS - spent] if rule == "validated" else here
                candidates = {group: sequences.candidate(group) for group in tried}
                best = min(candidates, key=lambda group: sequences.loss(part, candidates[group][part]))
                sequences.add(best, candidates[best])
                spent += len(tried) if rule == "validated" else 1
                continue
            waiting = here[introduced[here] < INTRODUCED]
            if len(waiting):
                group = int(waiting[0])
            else:
                ages = (spent - starts[here]).astype(float)
                group = int(here[choice(rule, sequences.gains[here] / ages, ages, spent, luck)])
            introduced[group] += 1
            sequences.add(group, sequences.candidate(group))
            spent += 1
        scores.append(sequences.score)
        fits.append(sequences.fits)
    return max(scores) - np.array(scores[:-1]), np.array(fits[:-1], dtype=float)


def choice(rule: str, rates: np.ndarray, ages: np.ndarray, turn: int, luck: np.random.Generator) -> int:
    """Which of several a rule takes next, from their rates and ages."""
    if rule == "copernican":
        return int(ranking(rates, ages)[0])
    if rule == "shuffled":
        return int(ranking(rates, luck.permutation(ages))[0])
    return int(rates.argmax()) if rule == "ageblind" else turn % len(rates)


def adding(given: Problem, luck: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Columns come one by one during the first two thirds of 3·d rounds of
    componentwise boosting; then a quarter of them is kept and fitted by ridge
    regression.

    A round is one fit: the column there that lowers the training loss most takes a
    step. Kept are the columns with the most – copernican: importance so far, for as
    much is predicted to come; shuffled: importance per round of age, times another
    column's age; ageblind: importance per round; default: age. Validated: by three-fold
    cross-validation of each column alone, 3·d fits. The best is of all rules and of
    forward selection on the test part.
    """
    columns, target = given.columns[0], given.target[0]
    width = columns.shape[1]
    rounds = FOLDS * width
    starts = luck.permutation(np.arange(width) * 2 * rounds // (3 * width))
    gains, residual, lengths = np.zeros(width), target.copy(), (columns**2).sum(0)
    for step in range(rounds):
        products = np.where(starts <= step, columns.T @ residual, 0.0)
        best = int((products**2 / lengths).argmax())
        before = residual @ residual
        residual = residual - ADDING_RATE * products[best] / lengths[best] * columns[:, best]
        gains[best] += before - residual @ residual
    ages = (rounds - starts).astype(float)
    folds = np.arange(len(target)) % FOLDS
    alone, fits = np.zeros(width), 0
    for fold in range(FOLDS):
        train, held = columns[folds != fold], columns[folds == fold]
        slopes = (train * target[folds != fold, None]).sum(0) / np.maximum((train**2).sum(0), 1e-12)
        alone += (
            (target[folds == fold] ** 2)[:, None] - (target[folds == fold, None] - held * slopes) ** 2
        ).sum(0)
        fits += width
    orders = {
        "copernican": ranking(gains / ages, ages),
        "validated": np.argsort(-alone, kind="stable"),
        "shuffled": ranking(gains / ages, luck.permutation(ages)),
        "ageblind": np.argsort(-gains / ages, kind="stable"),
        "default": np.argsort(-ages, kind="stable"),
    }
    kept = max(2, round(KEPT * width))
    scores = [ridge_score(given, orders[rule][:kept]) for rule in RULES]
    chosen: list[int] = []
    for _ in range(kept):
        chosen.append(
            max(
                set(range(width)) - set(chosen),
                key=lambda column: ridge_score(given, np.array([*chosen, column])),
            )
        )
    best = max(*scores, ridge_score(given, np.array(chosen)))
    return best - np.array(scores), np.array(
        [fits if rule == "validated" else rounds for rule in RULES], dtype=float
    )


def ridge_score(given: Problem, kept: np.ndarray) -> float:
    """Share of the test part's variance that a ridge regression on the columns kept
    explains.
    """
    columns = given.columns[0][:, kept]
    slopes = np.linalg.solve(columns.T @ columns + RIDGE * np.eye(len(kept)), columns.T @ given.target[0])
    return explained(given.target[2], given.columns[2][:, kept] @ slopes)


def cut(problems: list[Problem], luck: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """At how many principal components to cut, with linear discriminant analysis
    behind: problems try k = 1, 2, … and share 9 fits each.

    The next fit goes to – copernican: the problem whose drought is the shortest for the
    age of its best, for P(a drought goes on Y times as long) = 1/(1 + Y); shuffled: for
    the age of another problem's best; ageblind: the shortest drought; default: in turn.
    The k with the best log-likelihood of the validation part is taken. Validated:
    three-fold cross-validation of three k for each problem. The best is the k that is
    best on the test part.
    """
    tables = [of_cuts(given) for given in problems]
    limits = np.array([len(validation) for validation, _ in tables])
    total = CUT_FITS * len(problems)
    chosen: dict[str, list[int]] = {}
    spent: dict[str, int] = {}
    for rule in RULES:
        if rule == "validated":
            chosen[rule] = [crossed(given, limit) for given, limit in zip(problems, limits, strict=True)]
            spent[rule] = total
            continue
        tried, best = np.ones(len(problems), int), np.ones(len(problems), int)
        for turn in range(total - len(problems)):
            open_ones = np.flatnonzero(tried < limits)
            if not len(open_ones):
                break
            drought = (tried - best)[open_ones].astype(float)
            ages = best[open_ones].astype(float)
            if rule == "copernican":
                order = drought / ages
            elif rule == "shuffled":
                order = drought / luck.permutation(ages)
            else:
                order = (
                    drought
                    if rule == "ageblind"
                    else np.roll(np.arange(len(open_ones)), turn % len(open_ones))
                )
            place = int(open_ones[np.lexsort((tried[open_ones], order))[0]])
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


def of_cuts(given: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood of the validation part after training, and test accuracy after
    training with validation data, at every k, (K,) each.
    """
    known = np.concatenate(given.columns[:2])
    axes = components(known)
    train, validation, test = (columns @ axes for columns in given.columns)
    labels = np.concatenate(given.target[:2])
    cuts = range(1, axes.shape[1] + 1)
    held = [discriminated(train[:, :k], given.target[0], validation[:, :k], given.target[1])[0] for k in cuts]
    return np.array(held), np.array(
        [discriminated(known @ axes[:, :k], labels, test[:, :k], given.target[2])[1] for k in cuts]
    )


def components(columns: np.ndarray) -> np.ndarray:
    """Principal axes (d, K) of (n, d) that hold 99.9 % of its variance, 24 at most."""
    _, singular, axes = np.linalg.svd(columns - columns.mean(0), full_matrices=False)
    shares = np.cumsum(singular**2) / (singular**2).sum()
    return axes[: min(MOST_COMPONENTS, int(np.searchsorted(shares, VARIANCE)) + 1)].T


def crossed(given: Problem, limit: int) -> int:
    """The best of three numbers of components, evenly spaced in their logarithm, by
    three-fold cross-validation; nine fits.
    """
    known, labels = np.concatenate(given.columns[:2]), np.concatenate(given.target[:2])
    places = known @ components(known)
    folds = np.arange(len(labels)) % FOLDS
    cuts = [int(k) for k in np.geomspace(2, limit, CUT_FITS // FOLDS).round()]
    parts = [(folds != fold, folds == fold) for fold in range(FOLDS)]
    right = [
        np.mean(
            [
                discriminated(places[seen, :k], labels[seen], places[held, :k], labels[held])[0]
                for seen, held in parts
            ]
        )
        for k in cuts
    ]
    return cuts[int(np.argmax(right))]


def discriminated(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray
) -> tuple[float, float]:
    """Mean log-likelihood, nats, and accuracy on a test part of linear discriminant
    analysis, its covariance shrunk by a hundredth.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01).fit(train, labels)
    chances = model.predict_proba(test)
    own = chances[
        np.arange(len(truth)), np.minimum(np.searchsorted(model.classes_, truth), len(model.classes_) - 1)
    ]
    known = np.isin(truth, model.classes_)
    return float(np.log(np.maximum(np.where(known, own, 0), 1e-6)).mean()), float(
        (model.classes_[chances.argmax(1)] == truth).mean()
    )
