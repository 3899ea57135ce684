"""What is measured on the photographs of CIFAR-10, under MLCV_DATA. All of it in one file,
so that 60,000 images are decoded once.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from mlcv_explore import data
from mlcv_explore.data import features
from mlcv_explore.ideas.feature_mixing import idea, settings
from mlcv_explore.models import checkpoint_training, checkpoints, novelty, photograph_features

pytestmark = pytest.mark.real_data
REAL_DATA = os.environ.get("MLCV_DATA")


@pytest.fixture(scope="module")
def cifar10() -> data.Dataset:
    if not data.available()["cifar10"].present:
        pytest.skip("needs CIFAR-10 under MLCV_DATA")
    return data.load("cifar10")


@pytest.mark.skipif(
    not REAL_DATA or not (Path(REAL_DATA).expanduser() / "cifar10").exists(),
    reason="needs CIFAR-10 under MLCV_DATA",
)
def test_cifar10_of_mlcv_data(cifar10: data.Dataset) -> None:
    assert cifar10.train.images.shape == (50_000, 3, 32, 32)
    assert cifar10.test.images.shape == (10_000, 3, 32, 32)
    assert np.bincount(cifar10.train.labels).tolist() == [5_000] * 10
    assert np.bincount(cifar10.test.labels).tolist() == [1_000] * 10
    means = cifar10.train.images.mean(axis=(0, 2, 3)) / 255
    # the channel means everybody normalises CIFAR-10 with
    assert np.allclose(means, (0.491, 0.482, 0.447), atol=0.003)
    split = data.split(cifar10, 500, 100, 1000, seed=0)
    assert np.bincount(split.train.labels).tolist() == [50] * 10
    assert np.bincount(split.test.labels).tolist() == [100] * 10


@pytest.mark.skipif(
    not REAL_DATA or not (Path(REAL_DATA).expanduser() / "cifar10/train").is_dir(),
    reason="needs CIFAR-10 as class folders under MLCV_DATA",
)
def test_rows_that_ship_come_out_of_their_photographs_again(cifar10: data.Dataset) -> None:
    arrays, _ = features.read(features.file("cifar10_features"))
    shipped = data.load("cifar10_features")
    for part, images in ((shipped.train, cifar10.train), (shipped.test, cifar10.test)):
        chosen = np.linspace(0, len(part) - 1, 4).astype(int)
        rows = part.rows_in(images)[chosen]
        again = photograph_features.project(photograph_features.penultimate(images.images[rows]), arrays)
        assert again.astype(float) == pytest.approx(part.images[chosen].astype(float), abs=0.02)


@pytest.mark.slow
def test_a_shipped_classifier_is_as_good_on_photographs_as_its_card_states(cifar10: data.Dataset) -> None:
    model = checkpoints.load("cifar10/0")
    assert checkpoint_training.accuracy_of(model.network, cifar10.test) == pytest.approx(
        model.card["metrics"]["test_accuracy"], abs=0.002
    )


def test_a_twentieth_of_cifar10s_test_images_is_below_each_limit(cifar10: data.Dataset) -> None:
    model = checkpoints.load("cifar10/0")
    images = cifar10.test.images[::20]
    rows = [novelty.of_input(model, image.astype(np.float32) / 255) for image in images]
    assert np.mean([row.probability < novelty.UNUSUAL for row in rows]) == pytest.approx(0.05, abs=0.03)
    assert np.mean([row.energy < novelty.UNUSUAL for row in rows]) == pytest.approx(0.05, abs=0.03)


@pytest.mark.usefixtures("cifar10")
def test_a_convolutional_network_runs_on_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    # eleven arms predict them ten times
    monkeypatch.setattr(settings, "split_sizes", lambda dataset: (1000, 100, 1000))
    config = settings.FeatureMixingConfig(
        dataset="cifar10", network="convolutional", steps=10, width=8, labels=5, batch_size=20
    )
    assert np.isfinite(list(idea.run(config, (0,)))[-1].measured).all()
