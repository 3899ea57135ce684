"""Explanations by the path through a tree."""

import numpy as np
import pytest
import torch

from mlcv_explore.data import gallery, glyphs, strokes, uploads
from mlcv_explore.models import checkpoints
from mlcv_explore.models.decision_trees import SoftTree, fork_saliency
from mlcv_explore.saliency.tree_paths import decision_path, path_atoms, sparse_filters, strongest_atoms
from mlcv_explore.seeds import seeded


def test_the_atoms_with_the_largest_effect_on_the_path_come_first() -> None:
    first, values = strokes.placed(16), glyphs.generate(glyphs.grammar(0), 5, 0, "test").values
    tree = seeded(1, lambda: SoftTree(256, 10))
    filters = sparse_filters(tree, first, 4)
    chosen = strongest_atoms(tree, filters, values, first, 6)
    for row, atoms, effect in zip(chosen, *path_atoms(tree, filters, values, first), strict=True):
        kept = row[row >= 0]
        assert len(set(kept)) == len(kept) and kept[0] == atoms[effect.argmax()]
    leaf = tree.leaf_probabilities(values)[0].argmax()
    atoms, effects = path_atoms(tree, filters, values[:1], first)
    nodes = [node for node, _ in tree.path(leaf)]
    np.testing.assert_array_equal(atoms[0], filters.atoms[nodes].ravel())
    products = np.abs(filters.weights[nodes].ravel() * (first[atoms[0]] @ values[0]))
    np.testing.assert_allclose(effects[0], products, rtol=1e-4)


def test_a_photograph_goes_through_the_tree_fork_by_fork() -> None:
    classifier = checkpoints.load("cifar10/0")
    pixels = gallery.photographs()["cat"].read().pixels
    result = decision_path(classifier, pixels)
    best = int(result.leaves.argmax())
    assert result.leaves.sum() == pytest.approx(1, abs=1e-5) == result.network.sum()
    assert {result.tree.root, best} <= result.path and result.maps.keys() == result.path - {best}
    assert result.branches(best) == ()
    reached, node = 1.0, result.tree.root
    while branches := result.branches(node):
        (child, share), *_ = [pair for pair in branches if pair[0] in result.path]
        assert sum(part for _, part in branches) == pytest.approx(1)
        reached, node = reached * share, child
    assert node == best and reached == pytest.approx(result.leaves[best], abs=1e-5)
    square = torch.from_numpy(uploads.resized_to_square(pixels, classifier.side))
    root = fork_saliency(classifier, square, result.tree.root)
    np.testing.assert_allclose(result.maps[result.tree.root], root, atol=1e-5)
    assert f"Tree: {classifier.classes[best]} ({result.leaves[best]:.0%})." in result.predictions
    assert "Network: " in result.predictions
