"""Boosting by round, by column and by group of columns."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import log_loss

from mlcv_explore.data.tabular import Problem, draw_parts, draw_problem
from mlcv_explore.models.boosting import GroupedBoosting, componentwise_gains, held_out_losses
from mlcv_explore.seeds import numpy_stream

SETTINGS = {"n_estimators": 8, "learning_rate": 0.3, "random_state": 0}


def test_the_held_out_loss_of_a_classification_is_scikit_learns():
    train, held = draw_parts(("breast_cancer",), 150, (2, 1), numpy_stream(1, "loss"))
    losses = held_out_losses((train.columns, held.columns), (train.target, held.target), SETTINGS)
    model = GradientBoostingClassifier(**SETTINGS).fit(train.columns, train.target)
    constant = np.full(len(held.target), train.target.mean())
    assert losses[0] == pytest.approx(log_loss(held.target, constant))
    assert losses[-1] == pytest.approx(log_loss(held.target, model.predict_proba(held.columns)))
    assert len(losses) == 9 and losses[-1] < losses[0]


def test_the_held_out_loss_of_a_regression_begins_at_the_training_mean():
    train, held = draw_parts(("diabetes",), 150, (2, 1), numpy_stream(1, "loss"))
    losses = held_out_losses((train.columns, held.columns), (train.target, held.target), SETTINGS)
    assert losses[0] == pytest.approx(((held.target - train.target.mean()) ** 2).mean())
    assert len(losses) == 9 and losses[-1] < losses[0]


def test_gains_go_to_the_column_that_explains_the_target_once_it_is_available():
    columns = numpy_stream(2, "columns").standard_normal((60, 4))
    gains = componentwise_gains(columns, 2 * columns[:, 1], 30)
    assert gains.argmax() == 1 and gains.sum() == pytest.approx((4 * columns[:, 1] ** 2).sum(), rel=1e-3)
    late = componentwise_gains(columns, 2 * columns[:, 1], 30, np.array([0, 30, 0, 0]))
    assert late[1] == 0 and 0 < late.sum() < gains.sum()
    one = componentwise_gains(columns, 2 * columns[:, 1], 1, np.array([0, 0, 9, 9]))
    assert one[1] == pytest.approx((1 - 0.7**2) * (4 * columns[:, 1] ** 2).sum()) and one.sum() == one[1]


def test_a_group_uses_its_own_columns_and_every_candidate_is_a_fit():
    problem = draw_problem(("wine",), 150, numpy_stream(3, "groups"))
    groups = [np.array([0, 1]), np.array([2, 3])]
    other = Problem(
        tuple(np.concatenate([part[:, :2], part[::-1, 2:]], axis=1) for part in problem.columns),
        problem.target,
    )
    one, two = GroupedBoosting(problem, groups), GroupedBoosting(other, groups)
    for group, same in ((0, True), (1, False)):
        pairs = zip(one.candidate(group), two.candidate(group), strict=True)
        assert all(np.array_equal(first, second) for first, second in pairs) == same
    assert one.fits == 2 and not one.gains.any()


def test_the_score_is_taken_where_validation_loss_was_lowest():
    target = tuple(np.array([1.0, -1.0]) for _ in range(3))
    problem = Problem(tuple(np.ones((2, 1)) for _ in range(3)), target)
    model, step = GroupedBoosting(problem, [np.array([0])]), np.array([0.5, -0.5])
    model.add(0, [step, step, step / 5])
    at_best = model.score
    model.add(0, [step, -step, 1.5 * step])  # worse on validation, better on the test part
    assert model.score == at_best == pytest.approx(1 - 0.9**2)
    assert model.gains[0] == pytest.approx(1.0)
