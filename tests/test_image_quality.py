"""Measures of images by hand and against scikit-image."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from mlcv_explore.metrics import image_quality as quality
from mlcv_explore.seeds import numpy_stream


def noise(name: str) -> np.ndarray:
    return numpy_stream(0, f"test {name}").random((2, 3, 16, 16)).astype(np.float32)


TRUTH, OTHER = noise("truth"), noise("other")
TOP = np.zeros((2, 16, 16), bool)
TOP[:, :4] = True


def test_variance_is_explained_up_to_one_and_not_by_the_mean() -> None:
    assert quality.explained_variance(TRUTH, TRUTH, TOP) == 1
    mean = np.full_like(TRUTH, TRUTH.transpose(0, 2, 3, 1)[TOP].mean())
    assert quality.explained_variance(mean, TRUTH, TOP) == pytest.approx(0, abs=1e-6)
    elsewhere = np.where(TOP[:, None], TRUTH, OTHER)
    assert (
        quality.explained_variance(elsewhere, TRUTH, TOP)
        == 1
        > quality.explained_variance(elsewhere, TRUTH, ~TOP)
    )


def test_signal_to_noise_in_decibels_up_to_the_error_of_rounding() -> None:
    assert quality.psnr(TRUTH + 0.1, TRUTH) == pytest.approx(20, abs=1e-3)
    assert quality.psnr(TRUTH, TRUTH) == pytest.approx(58.9, abs=0.1)


def test_structural_similarity_is_that_of_scikit_image() -> None:
    slow = [structural_similarity(OTHER[n], TRUTH[n], channel_axis=0, data_range=1.0) for n in (0, 1)]
    assert quality.ssim(OTHER, TRUTH) == pytest.approx(np.mean(slow), abs=1e-6)


def test_blur_has_less_gradient_energy() -> None:
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32) / 16, (1, 3, 16, 16))
    assert quality.gradient_energy(ramp / 2, ramp) == pytest.approx(0.25)
    assert quality.gradient_energy(TRUTH * 0, TRUTH) == 0
