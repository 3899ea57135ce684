"""One image attacked at a layer: the size that is spent, and what it is near to."""

import numpy as np
import pytest
import torch

from mlcv_explore.data import gallery, uploads
from mlcv_explore.models import attacked_image, available_models
from mlcv_explore.models.checkpoints import Classifier


@pytest.fixture(scope="module")
def model() -> Classifier:
    return available_models.load("cifar10/0")


def test_a_share_of_the_spread_is_spent_and_0_changes_nothing(model: Classifier) -> None:
    array = np.random.default_rng(0).random((3, 32, 32), np.float32)
    none = attacked_image.attacked(model, array, 3, 0.0, "l2")
    assert np.allclose(none.probabilities[0], none.probabilities[1]) and np.ptp(none.confidence) < 1e-6
    start = attacked_image.opened(model).between(0, 3)(torch.from_numpy(array)[None]).detach()
    some = attacked_image.attacked(model, array, 3, 0.2, "l2")
    about = float((start - start.mean((2, 3), keepdim=True)).norm())
    assert some.size <= 0.2 * about * (1 + 1e-4) and some.size == pytest.approx(0.2 * about, rel=0.05)
    best = some.probabilities[0].argmax()
    assert some.first == best and some.of_first == tuple(each[best] for each in some.probabilities)
    assert some.probabilities[1][best] < some.probabilities[2][best]
    pixels = attacked_image.attacked(model, array, 0, 0.5, "linf").maps[1]
    assert pixels.min() >= 0 and pixels.max() <= 1


@pytest.mark.parametrize("name", ["cat", "coffee"])
def test_a_photograph_of_the_gallery_is_nearest_to_itself(model: Classifier, name: str) -> None:
    photograph = gallery.photographs()[name]
    array = uploads.resized_to_square(photograph.read().pixels, model.side)
    before = attacked_image.attacked(model, array, 5, 0.1, "l2").maps[0]
    assert attacked_image.nearest_photograph(model, before, 5) == photograph.title
