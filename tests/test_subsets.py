"""Metrics of chosen examples, by hand."""

import numpy as np
import torch

from mlcv_explore.metrics import subsets

HIT = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 1]]).bool()
AMONG = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0]]).bool()


def test_shares_count_the_chosen_alone():
    np.testing.assert_allclose(subsets.share(HIT), [0.75, 0.25])
    np.testing.assert_allclose(subsets.share(HIT, AMONG), [2 / 3, np.nan])
    assert subsets.share(HIT).dtype == np.float32


def test_histograms_are_shares_of_the_chosen_and_hold_both_ends():
    values = torch.tensor([[0.0, 0.04, 1.0, 0.5], [0.1, 0.2, 0.3, 0.4]])
    chosen = subsets.histograms(values, AMONG)
    assert chosen.shape == (2, subsets.BINS) and not chosen[1].any()
    assert np.flatnonzero(chosen[0]).tolist() == [0, subsets.BINS - 1]
    np.testing.assert_allclose(chosen[0][[0, -1]], [2 / 3, 1 / 3], rtol=1e-6)
    assert (
        subsets.histograms(values, ~AMONG)[1].sum() == 1 and subsets.histograms(values, ~AMONG)[1][2] == 0.25
    )
