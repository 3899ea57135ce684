"""Uncertainty of maps: a common unit, models of another prediction, the requested layer."""

import numpy as np
import pytest
import torch

from mlcv_explore.models.classifiers import residual_classifier
from mlcv_explore.saliency import SaliencySettings, attribute_all, uncertainty


def test_a_map_in_multiples_of_its_mean_has_no_unit() -> None:
    values = np.array([[1.0, -3.0], [0.0, 0.0]])
    scaled = uncertainty.scale_to_mean(values)
    np.testing.assert_allclose(uncertainty.scale_to_mean(1000 * values), scaled)
    assert np.abs(scaled).mean() == pytest.approx(1) and not uncertainty.scale_to_mean(0 * values).any()


class Weighted(torch.nn.Module):
    """Logits (B, 2): the weighted sum of the pixels, and nothing."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = (images * self.weights).sum((1, 2, 3))
        return torch.stack([first, torch.zeros_like(first)], dim=1)


def test_models_of_another_prediction_are_left_out_and_opposite_signs_are_not_stable() -> None:
    steady = torch.ones(3, 8, 8)
    turned = steady.clone()
    turned[:, 0, 0] = -1.0
    networks = [Weighted(weights).eval() for weights in (steady, turned, steady, turned, -steady)]
    given = torch.full((3, 8, 8), 0.5), 0, ["gradient"], SaliencySettings(), 0
    stats = uncertainty.over_models(networks, *given)["gradient"]
    assert stats.count == 4 and stats.stable.sum() == 63 and not stats.stable[0, 0]
    np.testing.assert_allclose(stats.mean[1, 1], 3.0, rtol=1e-5)
    assert uncertainty.over_models(networks[4:], *given) == {}


def test_uncertainty_of_grad_cam_is_that_of_its_layer() -> None:
    network = residual_classifier(4, 4, (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)).eval()
    image, settings = torch.rand(3, 32, 32), SaliencySettings(cam_positive=False)
    given = image, int(network(image[None]).argmax()), ["gradcam"], settings, 0
    early, late = (
        uncertainty.over_models([network, network], *given, layer)["gradcam"].mean
        for layer in ("halve1.0", None)
    )
    expected = next(attribute_all(network, *given, "halve1.0")).values
    np.testing.assert_allclose(early, expected, rtol=1e-5)
    assert np.abs(early - late).max() > 1e-6
