"""Linear learners against scikit-learn's."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge

from mlcv_explore.data.tabular import Problem, draw_problem, load
from mlcv_explore.models import linear
from mlcv_explore.seeds import numpy_stream


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_discriminant_analysis_is_scikit_learns(name):
    problem = draw_problem((name,), 240, numpy_stream(6, name), classes=True)
    (train, test, _), (labels, truth, _) = problem.columns, problem.target
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01).fit(train, labels)
    places = np.searchsorted(model.classes_, truth)
    own = model.predict_proba(test)[np.arange(len(truth)), places]
    expected = np.log(np.maximum(own, 1e-6)).mean(), model.score(test, truth)
    assert linear.discriminant_scores(train, labels, test, truth) == pytest.approx(expected, rel=1e-12)


def test_ridge_regression_is_scikit_learns():
    problem = draw_problem(("breast_cancer",), 240, numpy_stream(5, "ridge"))
    kept = [4, 0, 7]
    (train, _, test), (target, _, truth) = problem.columns, problem.target
    model = Ridge(alpha=linear.RIDGE, fit_intercept=False).fit(train[:, kept], target)
    output = model.predict(test[:, kept])
    assert linear.ridge_score(problem, kept) == pytest.approx(
        1 - ((truth - output) ** 2).mean() / truth.var()
    )


def test_a_columns_gain_is_measured_on_rows_that_did_not_fit_it():
    columns, target = np.array([[1.0, 1], [1, -1], [2, 1], [2, -1]]), np.array([1.0, 1, 2, 2])
    # the first column is the target; the second has slope ±1.5 in one half, and the other sign in the other
    expected = [10, 2 * (1 + 4 - 2.5**2 - 3.5**2)]
    assert linear.single_column_gains(columns, target, 2).tolist() == pytest.approx(expected)


def test_principal_components_are_scikit_learns():
    columns = load("wine").columns
    pca = PCA().fit(columns)
    np.testing.assert_allclose(linear.variance_shares(columns), pca.explained_variance_ratio_, rtol=1e-9)
    axes = linear.principal_axes(columns)
    assert axes.shape == (13, 13) and linear.principal_axes(load("digits").columns).shape == (64, 24)
    np.testing.assert_allclose(np.abs(pca.components_ @ axes), np.eye(13), atol=1e-6)
    narrow = columns * [1000.0, *[1] * 12]  # one axis holds nearly all
    assert linear.principal_axes(narrow).shape == (13, 1)


def test_component_scores_before_the_test_do_not_depend_on_it():
    problem = draw_problem(("wine",), 240, numpy_stream(4, "blind cut"), classes=True)
    columns, target = problem.columns, problem.target
    other = Problem((*columns[:2], columns[2][::-1] + 1), (*target[:2], target[2][::-1].copy()))
    (held, test_scores), (same, apart) = linear.component_scores(problem), linear.component_scores(other)
    np.testing.assert_array_equal(held, same)
    assert not np.array_equal(test_scores, apart)
    cuts = [linear.cross_validated_components(given, len(held), 3, 3) for given in (problem, other)]
    assert cuts[0] == cuts[1]
