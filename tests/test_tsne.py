"""Exact t-SNE: its neighbours and its loss."""

import numpy as np
import pytest

from mlcv_explore.models import tsne
from mlcv_explore.seeds import numpy_stream


def test_neighbours_of_a_tsne_have_the_given_perplexity_and_its_loss_falls():
    columns = numpy_stream(1, "cloud").standard_normal((40, 3))
    joint = tsne.neighbour_probabilities(columns, 8.0)
    assert joint.sum() == pytest.approx(1) and np.allclose(joint, joint.T)
    conditional = joint / joint.sum(1, keepdims=True)  # symmetric, so near the asked 8 alone
    assert np.exp(-(conditional * np.log(conditional)).sum(1)).mean() == pytest.approx(8, rel=0.25)
    losses = tsne.tsne_losses(columns, 8.0, 60, 10.0, numpy_stream(1, "places"))
    assert losses[-1] < 0.7 * losses[0] and (losses > 0).all()
