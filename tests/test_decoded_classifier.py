"""A classifier with decoders and maps: what is stored of a map, and that training
lowers both errors.
"""

from unittest import mock

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.metrics import embedding_map
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.models import decoded_classifier, decoded_demo
from mlcv_explore.models.decoded_classifier import DecodedClassifier
from mlcv_explore.seeds import seeded, stream


@pytest.fixture(scope="module")
def model() -> DecodedClassifier:
    """Trained on digits, with maps of two leading components instead of UMAP's."""
    train, test = (data.load("digits").train.take(np.arange(*ends)) for ends in ((0, 1000), (1000, 1100)))
    made = seeded(0, lambda: DecodedClassifier(1, 8, 8, 10, mapped=200, test_size=100))

    def plane(features: np.ndarray, held_out: np.ndarray, _: int) -> tuple[FittedMap, np.ndarray]:
        return FittedMap(features, features[:, :2]), held_out[:, :2]

    with mock.patch.object(embedding_map, "fit", plane):
        decoded_classifier.fit_maps(made, train, test, 0)
        before = decoded_classifier.measured(made, test)
        decoded_classifier.train(made, train, 150, 32, 0.005, 0)
        decoded_classifier.fit_maps(made, train, test, 0)
    after = decoded_classifier.measured(made, test)
    assert after["test_accuracy"] > 0.7 > before["test_accuracy"] + 0.3 and after["test_size"] == 100
    assert all(after[f"test_psnr{depth}"] > before[f"test_psnr{depth}"] + 3 for depth in (1, 2, 3))
    return made


def test_weights_and_maps_are_those_that_ship_in_half_precision(model: DecodedClassifier):
    for name, values in model.state_dict().items():
        assert torch.equal(values, values.half().float()), name


def test_a_map_shows_the_first_images_and_its_errors_are_those_on_test_images(model: DecodedClassifier):
    images = data.load("digits").train.as_float()
    with torch.no_grad():
        for depth in range(4):
            shown = model.map(depth)
            own = model.components(model.features(images[:200], depth), depth).numpy()
            np.testing.assert_allclose(own, shown.fitted.features, atol=0.02)
            test_features = model.components(model.features(images[1000:1100], depth), depth).numpy()
            placed = shown.fitted.transform(test_features)
            errors = np.linalg.norm(placed - test_features[:, :2], axis=1) / shown.fitted.width
            np.testing.assert_allclose(shown.errors, errors, atol=0.02)
            far = np.median(shown.fitted.nearest(test_features)[0][:, -1])
            assert shown.usual_distance == pytest.approx(float(far), rel=0.05)


def test_components_keep_the_distance_from_the_maps_space(model: DecodedClassifier):
    for network in (model, decoded_demo.load("feature_mixing_digits/0").model):
        mean, basis = network.mean0, network.basis0
        scale = float(basis.square().sum(0).mean().sqrt())
        off = torch.randn(64, generator=stream(0, "test"))
        off -= basis @ torch.linalg.lstsq(basis, off[:, None]).solution[:, 0]
        components = network.components((mean + off)[None], 0)[0]
        assert float(components[-1]) == pytest.approx(scale * float(off.norm()), rel=0.05)
        assert float(components[:-1].norm()) < 0.05 * float(components[-1])
