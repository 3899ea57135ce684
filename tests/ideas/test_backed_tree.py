"""The tree on a classifier: its probabilities by hand, its hierarchy where that is
plain, its paths and pictures consistent with the network.
"""

import copy
import threading

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.ideas.hierarchical_explanation.backed_tree import (
    BackedTree,
    fork_saliency,
    of_classifier,
    random_merges,
    shuffled_merges,
)
from mlcv_explore.models import checkpoints
from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.models.classifiers import Normalise
from mlcv_explore.seeds import numpy_stream, seeded, stream

FOUR = ("cat", "dog", "car", "van")
MERGES = np.array([[0, 1], [2, 3], [4, 5]])


def drawn(classes: int, features: int = 5, count: int = 7, **options) -> tuple[BackedTree, np.ndarray]:
    """A tree over random rows, and random features."""
    chance = numpy_stream(classes, "a test")
    names = [f"class {index}" for index in range(classes)]
    return BackedTree(
        chance.normal(size=(classes, features)), chance.normal(size=classes), names, **options
    ), chance.normal(size=(count, features))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return checkpoints.load("cifar10/0")


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.rand(4, 3, 32, 32, generator=stream(0, "a test"))


def test_leaf_probabilities_are_the_products_along_the_paths():
    tree, features = drawn(4, merges=MERGES)
    found = tree.leaf_probabilities(features)
    np.testing.assert_allclose(found.sum(1), 1)
    for row, x in enumerate(features):
        scores = tree.weight @ x + tree.bias
        left, first, third = (
            1 / (1 + np.exp(other - one))
            for one, other in ((scores[:2].mean(), scores[2:].mean()), scores[:2], scores[2:])
        )
        np.testing.assert_allclose(
            found[row],
            [left * first, left * (1 - first), (1 - left) * third, (1 - left) * (1 - third)],
            rtol=1e-6,
        )
    root = tree.fork(tree.root)
    np.testing.assert_allclose(root.vector, tree.weight.mean(0), rtol=1e-5)
    assert root.bias == pytest.approx(tree.bias.mean()) and root.classes == (0, 1, 2, 3)
    assert tree.name(5) == "class 2, class 3"


def test_two_classes_give_the_softmax_of_the_layer():
    tree, features = drawn(2)
    scores = np.exp(features @ tree.weight.T + tree.bias)
    found = tree.leaf_probabilities(features)
    np.testing.assert_allclose(found, scores / scores.sum(1, keepdims=True), rtol=1e-5)
    assert (tree.hard_leaves(features) == found.argmax(1)).all()


def test_pairs_that_lie_apart_are_joined_first():
    centres = 10 * np.eye(4, 6).repeat(2, 0)[[0, 2, 4, 6, 1, 3, 5, 7]]  # class i belongs with class i + 4
    tree = BackedTree(
        centres + 0.1 * numpy_stream(0, "a test").normal(size=(8, 6)),
        np.zeros(8),
        [str(index) for index in range(8)],
    )
    assert {fork.classes for fork in tree.forks[:4]} == {(0, 4), (1, 5), (2, 6), (3, 7)}


@pytest.mark.parametrize("merges", [None, random_merges(9, 0)], ids=["Ward's", "random"])
def test_paths_go_from_the_root_to_a_leaf(merges):
    tree, features = drawn(9, merges=merges, count=40)
    for x, leaf, shares in zip(
        features, tree.hard_leaves(features), tree.leaf_probabilities(features), strict=True
    ):
        for path, end in ((tree.hard_path(x), leaf), (tree.soft_path(x), shares.argmax())):
            assert path[0].node == tree.root and path[-1].taken == end
            assert [step.taken for step in path[:-1]] == [step.node for step in path[1:]]
            for step in path:
                fork = tree.fork(step.node)
                assert sum(step.probabilities) == pytest.approx(1)
                assert step.taken in (fork.left, fork.right) and sorted(step.left + step.right) == list(
                    fork.classes
                )
        assert all(
            step.probabilities[step.taken == tree.fork(step.node).right] >= 0.5 for step in tree.hard_path(x)
        )
        along = [step.probabilities[step.taken == tree.fork(step.node).right] for step in tree.soft_path(x)]
        assert np.prod(along) == pytest.approx(shares.max())


def test_the_control_is_a_tree_drawn_anew_for_every_seed():
    drawings = [random_merges(10, seed) for seed in range(5)]
    assert (random_merges(10, 3) == drawings[3]).all()
    assert len({drawing.tobytes() for drawing in drawings}) == 5


def test_a_shuffled_tree_has_the_shape_of_the_first_and_other_leaves():
    first = random_merges(10, 0)
    shuffled = [shuffled_merges(first, seed) for seed in range(5)]
    assert all(
        ((other >= 10) == (first >= 10)).all() and (other[other >= 10] == first[first >= 10]).all()
        for other in shuffled
    )
    assert all(sorted(other[other < 10]) == list(range(10)) for other in shuffled)
    assert len({other.tobytes() for other in shuffled}) == 5


@pytest.mark.parametrize("merges", [[[0, 1], [2, 3]], [[0, 1], [1, 3], [4, 5]], [[0, 5], [1, 2], [3, 4]]])
def test_what_is_no_tree_is_refused(merges):
    with pytest.raises(ValueError):
        BackedTree(np.zeros((4, 2)), np.zeros(4), FOUR, np.array(merges))


def test_shapes_and_nodes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a row and a bias each"):
        BackedTree(np.zeros((3, 2)), np.zeros(4), FOUR)
    with pytest.raises(ValueError, match="forks are the nodes 4 to 6, got 3"):
        BackedTree(np.eye(4), np.zeros(4), FOUR).fork(3)
    headless = Classifier("headless", nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()), ("a", "b"), 8, {})
    with pytest.raises(ValueError, match="headless has none"):
        of_classifier(headless)


@pytest.mark.parametrize("name", ["cifar10/0", "cifar10"])
def test_features_are_what_the_last_layer_reads(name, pictures):
    asked = checkpoints.load(name)
    tree, features_of = of_classifier(asked)
    np.testing.assert_allclose(
        features_of(pictures).numpy() @ tree.weight.T + tree.bias, asked.network(pictures).numpy(), atol=1e-4
    )


def test_features_are_found_behind_a_wrapper_and_in_many_threads_at_once(pictures):
    class Wrapped(nn.Module):
        """Two linear layers, the last of them not the last thing done."""

        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head = nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.head(self.hidden(pictures.mean((2, 3))).relu()) * 1.0

    network = (
        seeded(0, lambda: nn.Sequential(Normalise((0.5,) * 3, (0.2,) * 3), Wrapped()))
        .eval()
        .requires_grad_(False)
    )
    tree, features_of = of_classifier(Classifier("wrapped", network, ("a", "b"), 32, {}))
    wrong = []

    def visit(part: torch.Tensor) -> None:
        for _ in range(30):
            if not np.allclose(
                features_of(part).numpy() @ tree.weight.T + tree.bias, network(part).numpy(), atol=1e-5
            ):
                wrong.append(part)

    threads = [threading.Thread(target=visit, args=(part,)) for part in pictures.split(1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and features_of(pictures).shape == (4, 6)


@pytest.mark.parametrize("merges", [None, random_merges(10, 1)], ids=["Ward's", "random"])
def test_the_saliency_of_a_fork_sums_to_the_slope_towards_the_picture(classifier, pictures, merges):
    wards, _ = of_classifier(classifier)
    tree = BackedTree(wards.weight, wards.bias, wards.classes, merges)
    exact = Classifier(
        "exact", copy.deepcopy(classifier.network).double(), classifier.classes, classifier.side, {}
    )
    picture, step = pictures[0].double(), 1e-6
    features = of_classifier(exact)[1](torch.stack([picture * (1 + step), picture * (1 - step)])).numpy()
    for node in (tree.root, 10, 14):
        children = tree.fork(node).left, tree.fork(node).right
        scores = (features @ tree.weight.T + tree.bias) @ tree.means[list(children)].T
        contrast = scores[:, 0] - scores[:, 1]
        saliency = fork_saliency(exact, picture, node, tree)
        assert saliency.shape == (32, 32) and saliency.dtype == np.float32
        assert saliency.sum() == pytest.approx((contrast[0] - contrast[1]) / (2 * step), rel=1e-2)
    np.testing.assert_array_equal(
        fork_saliency(classifier, pictures[0], 12), fork_saliency(classifier, pictures[0], 12, wards)
    )
    with pytest.raises(ValueError, match="forks are"):
        fork_saliency(classifier, pictures[0], 3)
