"""Prototypes and the leaf means of a tree."""

import numpy as np
import pytest

from mlcv_explore.data import glyphs
from mlcv_explore.models.prototypes import cluster_centres, leaf_means, most_similar, prototypes
from mlcv_explore.models.sparse_coding import unit_rows

ITEMS = glyphs.generate(glyphs.grammar(0), 120, 0, "taught")


def test_prototypes_are_items_and_the_nearest_comes_first() -> None:
    atoms, unit = prototypes(ITEMS.values, 10, 10, 0), unit_rows(ITEMS.values)
    assert np.abs(atoms @ unit.T).max(1).min() > 0.999
    np.testing.assert_array_equal(most_similar(atoms[:3], atoms, 4)[:, 0], [0, 1, 2])
    assert most_similar(atoms[:3], atoms[:2], 4).shape == (3, 2)
    near, far = np.array([[1.0, 0.1]]), np.array([[0.6, 0.8], [-1, 0]])
    assert most_similar(near, far, 2).tolist() == [[1, 0]]  # opposite atoms fit as well


def test_cluster_centres_are_the_means_of_what_lies_together() -> None:
    points = unit_rows(np.array([[1.0, 0.1], [1, -0.1], [0.1, 1], [-0.1, 1]]))
    centres = cluster_centres(points, 2, 0, "a test")
    expected = [points[2:].mean(0), points[:2].mean(0)]
    np.testing.assert_allclose(sorted(centres.tolist()), sorted(np.array(expected).tolist()), atol=1e-6)


def test_a_leaf_stands_for_its_items_by_its_mean() -> None:
    cart = leaf_means(ITEMS.values, ITEMS.labels, 8, 10, 0)
    leaves = cart.tree.apply(ITEMS.values)
    mean = ITEMS.values[leaves == leaves[0]].mean(0)
    np.testing.assert_allclose(cart.reconstruct(ITEMS.values[:1])[0], mean, atol=0.01)
    assert cart.bits == pytest.approx(7 * (8 + 8) + 8 * 256 * 10)
