"""Three learners that use Gott's rule, each against validation, shuffled ages, rates
without ages and a plain rule, at equal fits.

Every learner divides fits, or places, among things that began at unequal times. The
predicted future of each is its past: rate times age. *Shuffled* multiplies each rate by
another's age, *ageblind* uses the rate alone. The constants were fixed beforehand,
three of the cut's on seeds 100 to 103, which no study uses.
"""

from collections.abc import Sequence

import numpy as np

from mlcv_explore.data.tabular import Problem, draw_problem
from mlcv_explore.ideas.copernican.intervals import ranking
from mlcv_explore.models.boosting import GroupedBoosting, componentwise_gains
from mlcv_explore.models.linear import (
    component_scores,
    cross_validated_components,
    ridge_score,
    single_column_gains,
)

LEARNERS = ("groups", "adding", "cut")
RULES = ("copernican", "validated", "shuffled", "ageblind", "default")
ROWS = 240  # of a sub-sample, at most: half trains, a quarter validates, a quarter tests
FOLDS = 3
# boosting: groups of columns, weak learners in all, and those a group has when it starts
GROUPS, FITS, INTRODUCED = 5, 60, 2
SELECTIONS = 4  # problems of feature selection for each of boosting: they cost a twentieth
KEPT = 0.25  # of the columns
CUT_FITS = 9  # a problem, shared by the problems of a cut
CUTS = 2  # for each problem of boosting, and one more: they share fits
Result = tuple[np.ndarray, np.ndarray]  # (RULES,) each: regrets, fits


def regrets(learner: str, name: str, count: int, rng: np.random.Generator) -> Result:
    """Regret of every rule on a data set, its distance below the best at equal fits as a fraction of
    1, and its fits a problem.

    Means over `count` problems of boosting, four times as many of feature selection, or
    twice as many cuts and one. The score is the explained variance of the test part; of
    the cut, its test accuracy.
    """
    if learner == "cut":
        problems = [draw_problem((name,), ROWS, rng, classes=True) for _ in range(CUTS * count + 1)]
        return pca_cut(problems, rng)
    solve, times = (feature_selection, SELECTIONS) if learner == "adding" else (grouped_boosting, 1)
    results = [solve(draw_problem((name,), ROWS, rng), rng) for _ in range(times * count)]
    regret, fits = zip(*results, strict=True)
    return np.mean(regret, axis=0), np.mean(fits, axis=0)


def grouped_boosting(problem: Problem, rng: np.random.Generator) -> Result:
    """Five groups of columns, the k-th from fit 6·k of 60 on; each fit is for one.

    A group starts with two fits. Then: copernican – the group with the largest gain so
    far, which is its predicted future; shuffled – gain per fit of age, times another
    group's age; ageblind – gain per fit of age; default – in turn; validated – all are
    fitted, which counts, and the best on validation data is added. Every rule ends
    where validation loss was lowest. The best is of all rules and an oracle that uses
    the test part and whose trials are free.
    """
    width = problem.columns[0].shape[1]
    count = min(GROUPS, width)
    groups = np.array_split(rng.permutation(width), count)
    starts = np.arange(count) * (FITS // 2 // count)
    scores, fits = [], []
    for rule in (*RULES, "oracle"):
        model, introduced, spent = GroupedBoosting(problem, groups), np.zeros(count, int), 0
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


def feature_selection(problem: Problem, rng: np.random.Generator) -> Result:
    """Columns become available one by one in the first two thirds of 3·d rounds of
    componentwise boosting; a quarter is then kept and fitted by ridge regression.

    A round is one fit: the available column that lowers training loss most takes a
    step. Kept are those with the largest – copernican: importance so far, which is the
    predicted future; shuffled: importance per round of age, times another column's age;
    ageblind: importance per round; default: age; validated: gain in three-fold
    cross-validation of each column alone, 3·d fits. The best is of all rules and
    forward selection on the test part.
    """
    columns, target, width = problem.columns[0], problem.target[0], problem.columns[0].shape[1]
    rounds = FOLDS * width
    starts = rng.permutation(np.arange(width) * 2 * rounds // (3 * width))
    ages = (rounds - starts).astype(float)
    rates = componentwise_gains(columns, target, rounds, starts) / ages
    orders = {
        "copernican": ranking(rates, ages),
        "validated": np.argsort(-single_column_gains(columns, target, FOLDS), kind="stable"),
        "shuffled": ranking(rates, rng.permutation(ages)),
        "ageblind": np.argsort(-rates, kind="stable"),
        "default": np.argsort(-ages, kind="stable"),
    }
    selected = max(2, round(KEPT * width))
    scores = np.array([ridge_score(problem, orders[rule][:selected]) for rule in RULES])
    chosen: list[int] = []
    for _ in range(selected):
        left = set(range(width)) - set(chosen)
        chosen.append(max(left, key=lambda column: ridge_score(problem, np.array([*chosen, column]))))
    # cross-validation too has FOLDS · width fits
    return max(*scores, ridge_score(problem, np.array(chosen))) - scores, np.full(len(RULES), float(rounds))


def pca_cut(problems: Sequence[Problem], rng: np.random.Generator) -> Result:
    """How many principal components to keep before linear discriminant analysis:
    problems try k = 1, 2, … and share 9 fits each.

    The next fit goes to – copernican: the problem with the fewest steps since
    improvement relative to the age of its best, for P(Y times as long without) = 1/(1 +
    Y); shuffled: relative to another's age; ageblind: the fewest steps; default: in
    turn. The k with the best validation log-likelihood is kept. Validated: three-fold
    cross-validation of three k each. The best is the best k on the test part.
    """
    tables = [component_scores(problem) for problem in problems]
    limits = np.array([len(validation) for validation, _ in tables])
    total = CUT_FITS * len(problems)
    regret, fits = [], []
    for rule in RULES:
        tried, best = np.ones(len(problems), int), np.ones(len(problems), int)
        if rule == "validated":
            pairs, fits_each = zip(problems, limits, strict=True), CUT_FITS // FOLDS
            best[:] = [cross_validated_components(*pair, fits_each, FOLDS) for pair in pairs]
            tried[:] = CUT_FITS
        while tried.sum() < total and (tried < limits).any():
            unfinished = np.flatnonzero(tried < limits)
            stalled, ages = (tried - best)[unfinished].astype(float), best[unfinished].astype(float)
            if rule == "shuffled":
                ages = rng.permutation(ages)
            if rule == "default":
                order = np.roll(np.arange(len(unfinished)), (tried.sum() - len(problems)) % len(unfinished))
            else:
                order = stalled if rule == "ageblind" else stalled / ages
            place = int(unfinished[np.lexsort((tried[unfinished], order))[0]])
            tried[place] += 1
            if tables[place][0][tried[place] - 1] > tables[place][0][best[place] - 1]:
                best[place] = tried[place]
        lost = [test.max() - test[k - 1] for (_, test), k in zip(tables, best, strict=True)]
        regret.append(np.mean(lost))
        fits.append(tried.mean())
    return np.array(regret), np.array(fits)
