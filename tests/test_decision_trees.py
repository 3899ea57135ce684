"""Decision trees beside networks: probabilities by hand, the hierarchy of plain cases,
paths and maps consistent with the network.
"""

import copy
import threading

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.models import checkpoints
from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.models.classifiers import Normalise
from mlcv_explore.models.decision_trees import (
    NeuralBackedTree,
    SoftTree,
    backed_by,
    distil,
    fork_saliency,
    shuffled_merges,
    soft_tree_loss,
)
from mlcv_explore.seeds import numpy_stream, seeded, stream

FOUR = ("cat", "dog", "car", "van")
MERGES = np.array([[0, 1], [2, 3], [4, 5]])
CHAIN = np.array([[0, 1], *([step, 7 + step] for step in range(2, 9))])  # nine classes, one a fork
TEN = np.array([*([2 * pair, 2 * pair + 1] for pair in range(5)), [10, 11], [12, 13], [14, 15], [16, 17]])


def random_tree(
    classes: int, merges: np.ndarray | None = None, count: int = 7
) -> tuple[NeuralBackedTree, np.ndarray]:
    """A tree over random rows, and random features."""
    draw = numpy_stream(classes, "a test")
    names = [f"class {index}" for index in range(classes)]
    tree = NeuralBackedTree(draw.normal(size=(classes, 5)), draw.normal(size=classes), names, merges)
    return tree, draw.normal(size=(count, 5))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return checkpoints.load("cifar10/0")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(4, 3, 32, 32, generator=stream(0, "a test"))


def test_a_soft_trees_leaf_probabilities_are_products_of_its_gates() -> None:
    tree = seeded(0, lambda: SoftTree(6, 3, depth=3))
    values = numpy_stream(4, "values").standard_normal((10, 6)).astype(np.float32)
    reached = tree.leaf_probabilities(values)
    np.testing.assert_allclose(reached.sum(1), 1, atol=1e-6)
    right = torch.sigmoid(tree.gates(torch.from_numpy(values))).detach().numpy()
    for leaf in range(8):
        steps = tree.path(leaf)
        assert len(steps) == 3
        by_hand = np.prod([right[:, node] if turn else 1 - right[:, node] for node, turn in steps], axis=0)
        np.testing.assert_allclose(reached[:, leaf], by_hand, atol=1e-6)


def test_a_soft_tree_learns_and_its_loss_penalises_one_sided_nodes() -> None:
    values = np.repeat(np.array([[2.0, 0], [0, 2], [-2, 0], [0, -2]], np.float32), 30, axis=0)
    targets = np.repeat(np.eye(4, dtype=np.float32), 30, axis=0)
    assert (distil(values, targets, 60, 0).predict(values) == targets.argmax(1)).all()
    losses = []
    for bias in (9.0, 0.0):
        tree = seeded(0, lambda: SoftTree(2, 4))
        with torch.no_grad():
            tree.gates.weight.zero_()
            tree.gates.bias.fill_(bias)
            tree.leaves.zero_()
        losses.append(soft_tree_loss(tree, torch.from_numpy(values), torch.from_numpy(targets)).item())
    assert losses[0] > losses[1] + 0.1


def test_leaf_probabilities_are_the_products_along_the_paths() -> None:
    tree, features = random_tree(4, MERGES)
    shares = tree.leaf_probabilities(features)
    np.testing.assert_allclose(shares.sum(1), 1)
    for row, x in zip(shares, features, strict=True):
        scores = tree.weight @ x + tree.bias
        left, first, third = (
            1 / (1 + np.exp(other - one))
            for one, other in ((scores[:2].mean(), scores[2:].mean()), scores[:2], scores[2:])
        )
        by_hand = [left * first, left * (1 - first), (1 - left) * third, (1 - left) * (1 - third)]
        np.testing.assert_allclose(row, by_hand, rtol=1e-6)
    root = tree.fork(tree.root)
    np.testing.assert_allclose(root.vector, tree.weight.mean(0), rtol=1e-5)
    assert root.bias == pytest.approx(tree.bias.mean()) and root.classes == (0, 1, 2, 3)
    assert tree.name(5) == "class 2, class 3"


def test_two_classes_give_the_softmax_of_the_layer() -> None:
    tree, features = random_tree(2)
    scores = np.exp(features @ tree.weight.T + tree.bias)
    shares = tree.leaf_probabilities(features)
    np.testing.assert_allclose(shares, scores / scores.sum(1, keepdims=True), rtol=1e-5)
    assert (tree.hard_leaves(features) == shares.argmax(1)).all()


def test_near_rows_are_joined_first() -> None:
    centres = 10 * np.eye(4, 6).repeat(2, 0)[[0, 2, 4, 6, 1, 3, 5, 7]]  # class i belongs with class i + 4
    weight = centres + 0.1 * numpy_stream(0, "a test").normal(size=(8, 6))
    tree = NeuralBackedTree(weight, np.zeros(8), [str(index) for index in range(8)])
    assert {fork.classes for fork in tree.forks[:4]} == {(0, 4), (1, 5), (2, 6), (3, 7)}


@pytest.mark.parametrize("merges", [None, CHAIN], ids=["Ward's", "chain"])
def test_paths_go_from_the_root_to_a_leaf(merges: np.ndarray | None) -> None:
    tree, features = random_tree(9, merges, 40)
    for x, hard, shares in zip(
        features, tree.hard_leaves(features), tree.leaf_probabilities(features), strict=True
    ):
        path = tree.path(x)
        assert path[0].node == tree.root and path[-1].taken == shares.argmax()
        assert [step.taken for step in path[:-1]] == [step.node for step in path[1:]]
        for step in path:
            fork = tree.fork(step.node)
            assert sum(step.probabilities) == pytest.approx(1)
            assert step.taken in (fork.left, fork.right)
            assert sorted(step.left + step.right) == list(fork.classes)
        along = [step.probabilities[step.taken == tree.fork(step.node).right] for step in path]
        assert np.prod(along) == pytest.approx(shares.max())
        node = tree.root
        while node >= 9:  # the likelier side of every fork
            sides = tree.fork_probabilities(x[None])[0, node - 9]
            node = (tree.fork(node).left, tree.fork(node).right)[int(sides.argmax())]
        assert node == hard


def test_a_shuffled_tree_has_the_same_shape_and_other_leaves() -> None:
    shuffled = [shuffled_merges(TEN, seed) for seed in range(5)]
    for other in shuffled:
        assert ((other >= 10) == (TEN >= 10)).all() and (other[other >= 10] == TEN[TEN >= 10]).all()
        assert sorted(other[other < 10]) == list(range(10))
    assert (shuffled_merges(TEN, 3) == shuffled[3]).all()
    assert len({other.tobytes() for other in shuffled}) == 5


@pytest.mark.parametrize("merges", [[[0, 1], [2, 3]], [[0, 1], [1, 3], [4, 5]], [[0, 5], [1, 2], [3, 4]]])
def test_merges_that_are_no_tree_are_refused(merges: list[list[int]]) -> None:
    with pytest.raises(ValueError):
        NeuralBackedTree(np.zeros((4, 2)), np.zeros(4), FOUR, np.array(merges))


def test_shapes_and_nodes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="a row and a bias each"):
        NeuralBackedTree(np.zeros((3, 2)), np.zeros(4), FOUR)
    with pytest.raises(ValueError, match="forks are the nodes 4 to 6, got 3"):
        NeuralBackedTree(np.eye(4), np.zeros(4), FOUR).fork(3)
    headless = Classifier("headless", nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()), ("a", "b"), 8, {})
    with pytest.raises(ValueError, match="headless has none"):
        backed_by(headless)


@pytest.mark.parametrize("name", ["cifar10/0", "cifar10"])
def test_features_are_the_input_of_the_last_layer(name: str, images: torch.Tensor) -> None:
    loaded = checkpoints.load(name)
    tree, features_of = backed_by(loaded)
    logits = features_of(images).numpy() @ tree.weight.T + tree.bias
    np.testing.assert_allclose(logits, loaded.network(images).numpy(), atol=1e-4)


class Wrapped(nn.Module):
    """Two linear layers, the last of them not the last operation."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(images.mean((2, 3))).relu()) * 1.0


def test_features_are_found_behind_a_wrapper_and_in_many_threads_at_once(images: torch.Tensor) -> None:
    network = seeded(0, lambda: nn.Sequential(Normalise((0.5,) * 3, (0.2,) * 3), Wrapped()))
    network.eval().requires_grad_(False)
    tree, features_of = backed_by(Classifier("wrapped", network, ("a", "b"), 32, {}))
    wrong = []

    def visit(part: torch.Tensor) -> None:
        for _ in range(30):
            logits = features_of(part).numpy() @ tree.weight.T + tree.bias
            if not np.allclose(logits, network(part).numpy(), atol=1e-5):
                wrong.append(part)

    threads = [threading.Thread(target=visit, args=(part,)) for part in images.split(1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and features_of(images).shape == (4, 6)


@pytest.mark.parametrize("merges", [None, TEN], ids=["Ward's", "pairs"])
def test_the_saliency_of_a_fork_sums_to_the_slope_towards_the_image(
    classifier: Classifier, images: torch.Tensor, merges: np.ndarray | None
) -> None:
    wards, _ = backed_by(classifier)
    tree = NeuralBackedTree(wards.weight, wards.bias, wards.classes, merges)
    network = copy.deepcopy(classifier.network).double()
    exact = Classifier("exact", network, classifier.classes, classifier.side, {})
    image, step = images[0].double(), 1e-6
    features = backed_by(exact)[1](torch.stack([image * (1 + step), image * (1 - step)])).numpy()
    for node in (tree.root, 10, 14):
        children = [tree.fork(node).left, tree.fork(node).right]
        scores = (features @ tree.weight.T + tree.bias) @ tree.means[children].T
        contrast = scores[:, 0] - scores[:, 1]
        saliency = fork_saliency(exact, image, node, tree)
        assert saliency.shape == (32, 32) and saliency.dtype == np.float32
        assert saliency.sum() == pytest.approx((contrast[0] - contrast[1]) / (2 * step), rel=1e-2)
    own = fork_saliency(classifier, images[0], 12)
    np.testing.assert_array_equal(own, fork_saliency(classifier, images[0], 12, wards))
    with pytest.raises(ValueError, match="forks are"):
        fork_saliency(classifier, images[0], 3)
