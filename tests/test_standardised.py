"""A split standardised by its training part, and few labels of every class."""

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.data.splits import some_of_each
from mlcv_explore.data.standardised import standardise


@pytest.mark.parametrize("flat", [False, True])
def test_mean_and_deviation_are_those_of_the_training_part(flat):
    part = data.split(data.load("digits"), 300, 100, 200, 0)
    own = standardise(part, flat)
    shape = (64,) if flat else (1, 8, 8)
    assert own.train.shape == (300, *shape) and own.test.shape == (200, *shape)
    assert float(own.train.mean()) == pytest.approx(0, abs=1e-4)
    assert float(own.train.std()) == pytest.approx(1, abs=1e-3)
    for name in ("train", "validation", "test"):
        pixels, values = getattr(part, name).as_float(), getattr(own, name).view(-1, 1, 8, 8)
        torch.testing.assert_close(values * own.std + own.mean, pixels)
    for name, labels in (("test", own.test_labels), ("validation", own.validation_labels)):
        assert np.array_equal(labels, getattr(part, name).labels)
    assert np.array_equal(own.labels, part.train.labels) and len(own.validation_labels) == 100


def test_channels_are_standardised_by_themselves():
    images = np.random.default_rng(0).integers(0, 99, (20, 2, 3, 3)).astype(np.uint8)
    images[:, 1] //= 9
    one = data.Images(images, np.arange(20) % 2, ("a", "b"))
    own = standardise(data.Split(one, one, one))
    torch.testing.assert_close(own.train.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(own.train.std((0, 2, 3)), torch.ones(2))


def test_the_numbers_of_a_vector_share_one_mean_and_one_scale():
    """Or the last component would be as large as the first."""
    values = (np.random.default_rng(0).normal(2, 1, (50, 3)) * [4, 2, 1]).astype(np.float16)
    labels = np.arange(50) % 2
    one = data.Features(values, labels, ("a", "b"), places=labels)
    own = standardise(data.Split(one, one, one), flat=True)
    assert float(own.train.mean()) == pytest.approx(0, abs=1e-5)
    assert float(own.train.std()) == pytest.approx(1, abs=1e-5)
    ratios = own.train.std(0) / own.train.std(0)[0]
    assert ratios.tolist() == pytest.approx(list(values.std(0) / values.std(0)[0]), rel=2e-2)
    torch.testing.assert_close(own.test * own.std + own.mean, one.as_float())


def test_some_of_each_class_are_drawn_without_replacement():
    labels = np.random.default_rng(0).integers(0, 4, 200)
    chosen = some_of_each(labels, 7, np.random.default_rng(1))
    assert np.bincount(labels[chosen]).tolist() == [7] * 4 and len(set(chosen)) == 28
    assert not np.array_equal(chosen, some_of_each(labels, 7, np.random.default_rng(2)))
