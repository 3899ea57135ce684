"""Boosting on tables: held-out loss by round, one column a round, and one sequence of
trees for each group of columns.

Source: Friedman, Greedy function approximation: a gradient boosting machine, Annals of
Statistics 29, 2001; Bühlmann and Yu, Boosting with the L2 loss, JASA 98, 2003.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcv_explore.data.tabular import Problem
from mlcv_explore.metrics.regression import explained_variance

STEP_SIZE = 0.3  # of a round, in componentwise and grouped boosting


def held_out_losses(
    columns: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray], settings: Mapping[str, Any]
) -> np.ndarray:
    """Held-out loss (rounds + 1,) of scikit-learn's gradient boosting with these
    settings, from a constant prediction on. `columns` and `target` are of training and
    held-out part; whole numbers are the classes 0 and 1, and the loss is nats, else a
    squared deviation.
    """
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    (train, held), mean = target, target[0].mean()
    if train.dtype.kind == "f":
        model = GradientBoostingRegressor(**settings).fit(columns[0], train)
        outputs = (np.full(len(held), mean), *model.staged_predict(columns[1]))
        return np.array([((held - output) ** 2).mean() for output in outputs])
    model = GradientBoostingClassifier(**settings).fit(columns[0], train)
    second = (
        np.full(len(held), mean),
        *(probabilities[:, 1] for probabilities in model.staged_predict_proba(columns[1])),
    )
    own = (np.where(held == 1, output, 1 - output) for output in second)
    return np.array([-np.log(np.clip(probability, 1e-9, 1)).mean() for probability in own])


def componentwise_gains(
    columns: np.ndarray, target: np.ndarray, rounds: int, starts: np.ndarray | int = 0
) -> np.ndarray:
    """How far each of d columns (n, d) lowers the squared error in componentwise
    boosting: a round takes a step on the column that lowers it most, of those that
    `starts` (d,), their first rounds, make available.
    """
    gains, residual, lengths = np.zeros(columns.shape[1]), target.copy(), (columns**2).sum(0)
    for turn in range(rounds):
        products = np.where(starts <= turn, columns.T @ residual, 0.0)
        best = int((products**2 / lengths).argmax())
        before = residual @ residual
        residual = residual - STEP_SIZE * products[best] / lengths[best] * columns[:, best]
        gains[best] += before - residual @ residual
    return gains


class GroupedBoosting:
    """Boosting sequences, one a group of columns, that sum to one prediction; its score
    is the explained variance of the test part where validation loss is lowest.
    """

    def __init__(self, problem: Problem, groups: Sequence[np.ndarray]) -> None:
        self.problem = problem
        self.inputs = [[part[:, group].astype(np.float32) for part in problem.columns] for group in groups]
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

    def add(self, group: int, added: Sequence[np.ndarray]) -> None:
        """Add a weak learner."""
        self.gains[group] += self.loss(0) - self.loss(0, added[0])
        self.outputs = [output + more for output, more in zip(self.outputs, added, strict=True)]
        if self.loss(1) < self.least:
            self.least = self.loss(1)
            self.score = explained_variance(self.problem.target[2], self.outputs[2])
