"""Rank correlation."""

import numpy as np
import pytest

from mlcv_explore.metrics.rank_correlation import rank_correlation


def test_ranks_are_spearmans_and_a_constant_has_no_correlation() -> None:
    depth = np.arange(5)
    assert rank_correlation(depth, np.array([1.0, 0.5, 2, 3, 4])) == pytest.approx(0.9)
    assert rank_correlation(depth, depth[::-1]) == pytest.approx(-1)
    assert rank_correlation(depth, np.ones(5)) == 0
