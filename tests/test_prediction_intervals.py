"""The interval score and weighted quantiles, by hand."""

import numpy as np
import pytest

from mlcv_explore.statistics.prediction_intervals import interval_score, weighted_quantile


def test_the_score_of_an_interval_by_hand():
    values = np.array([0.5, 2.0, -3.0])
    scores = interval_score(np.zeros(3), np.ones(3), values, 0.9)
    np.testing.assert_allclose(scores, [1.0, 1 + 20 * 1.0, 1 + 20 * 3.0])
    assert interval_score(0.0, 0.0, np.array(0.25), 0.95) == pytest.approx(40 * 0.25)


def test_the_true_quantiles_have_the_lowest_expected_score():
    values = np.linspace(0, 1, 1001)
    scores = {
        ends: interval_score(*ends, values, 0.8).mean()
        for ends in [(0.1, 0.9), (0.05, 0.95), (0.2, 0.8), (0.1, 0.8)]
    }
    assert min(scores, key=scores.get) == (0.1, 0.9)


def test_weighted_quantiles_by_hand():
    values, weights, shares = np.array([3.0, 1, 2]), np.array([0.5, 0.2, 0.3]), [0.1, 0.2, 0.21, 0.5, 0.51, 1]
    assert weighted_quantile(values, weights, np.array(shares)).tolist() == [1, 1, 2, 2, 3, 3]
