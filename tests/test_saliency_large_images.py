"""Maps of large images: the path's rule by hand, complete in few steps; RISE in batches."""

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.saliency import SaliencySettings, large_images, methods, perturbation
from mlcv_explore.saliency.large_images import attribute_each
from mlcv_explore.seeds import seeded

IMAGE = torch.rand(3, 72, 72, generator=torch.Generator().manual_seed(3))
PATH = SaliencySettings(steps=12, complete=False)


class Score(nn.Module):
    """Two logits: a function of the image's mean brightness, and zero; counts images."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function, self.sizes = function, []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(images))
        value = self.function(images.mean((1, 2, 3)))
        return torch.stack([value, torch.zeros_like(value)], 1)


def small() -> nn.Sequential:
    def made() -> nn.Sequential:
        layers = nn.Conv2d(3, 4, 5, stride=4), nn.ReLU6(), nn.AdaptiveAvgPool2d(3), nn.Flatten()
        return nn.Sequential(*layers, nn.Linear(36, 3))

    return seeded(0, made).eval()


def path(network: nn.Module, settings: SaliencySettings) -> methods.Attribution:
    return large_images.integrated_gradients(network, IMAGE, 0, settings)


def test_a_straight_path_needs_no_further_steps_and_is_exact() -> None:
    made = path(Score(lambda brightness: 5 * brightness), PATH)
    expected = 5 / IMAGE.numel() * IMAGE.sum(0)
    torch.testing.assert_close(made.values, expected, rtol=1e-4, atol=1e-9)
    assert made.checks["steps"] == made.backwards == 8 and made.checks["completeness_gap"] < 1e-5


def test_steps_go_where_the_path_bends() -> None:
    """A kink at nine tenths of the path, where the u³ rule alone has wide intervals."""
    kink = 0.9 * float(IMAGE.mean())
    network = Score(lambda brightness: torch.relu(brightness - kink))
    assert path(network, PATH).checks["steps"] == 12
    complete = path(network, PATH.replace(complete=True))
    steps = int(complete.checks["steps"])
    assert complete.checks["completeness_gap"] <= methods.MAX_GAP and 12 <= steps < 32
    places = np.linspace(0, 1, steps) ** 3
    evenly = np.trapezoid((places > 0.9).astype(float), places)  # of a change of 0.1
    assert abs(evenly / 0.1 - 1) > 5 * methods.MAX_GAP
    # by hand: all of the change lies behind the kink, and every pixel has the same gradient
    change = float(IMAGE.mean()) - kink
    shares = complete.values / complete.values.sum()
    torch.testing.assert_close(shares, IMAGE.sum(0) / IMAGE.sum(), rtol=1e-4, atol=1e-9)
    assert float(complete.values.sum()) == pytest.approx(change, rel=methods.MAX_GAP)


def test_the_map_is_that_of_many_equal_steps() -> None:
    network = small()
    fine = methods.integrated_gradients(network, IMAGE, 0, SaliencySettings(steps=400, complete=False))
    made = path(network, SaliencySettings(steps=50, complete=False))
    assert torch.linalg.norm(made.values - fine.values) < 0.05 * torch.linalg.norm(fine.values)


def test_rise_in_batches_is_rise() -> None:
    settings = SaliencySettings(masks=11, half_precision=False)
    once, batched = (rise(small(), IMAGE, 0, settings, 0) for rise in (perturbation.rise, large_images.rise))
    torch.testing.assert_close(once.values, batched.values, rtol=1e-4, atol=1e-6)
    assert (once.forwards, once.backwards) == (batched.forwards, batched.backwards) == (11, 0)


def test_large_images_have_these_maps_and_a_network_in_parts_its_own_logits() -> None:
    names = ("rise", "integrated_gradients", "gradient", "occlusion")
    settings = SaliencySettings(masks=9, window=16, stride=8)
    settings = settings.replace(half_precision=False)
    results = {result.method: result for result in attribute_each(small(), IMAGE, 0, names, settings, 0)}
    np.testing.assert_array_equal(
        results["rise"].values, large_images.rise(small(), IMAGE, 0, settings, 0).values
    )
    occlusion = large_images.occlusion(small(), IMAGE, 0, settings)
    np.testing.assert_array_equal(results["occlusion"].values, occlusion.values)
    assert list(results) == ["gradient", "occlusion", "integrated_gradients", "rise"]
    assert results["integrated_gradients"].forwards == results["integrated_gradients"].checks["steps"]
    counter = Score(torch.relu)
    images = torch.rand(5, 3, 4, 4)
    parts = large_images.InParts(counter)(images)
    assert counter.sizes == [2, 2, 1] and torch.equal(parts, counter(images))


def test_what_cannot_be_computed_is_one_sentence() -> None:
    class Broken(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if images.requires_grad:
                raise RuntimeError("no gradients here\nand more")
            return images.mean((2, 3))

    (refused,) = attribute_each(Broken().eval(), IMAGE, 0, ["integrated_gradients"], PATH, 0)
    assert refused.reason == "Integrated gradients fails for this network: no gradients here."
    with pytest.raises(methods.SaliencyError, match="between 0 and 2"):
        list(attribute_each(small(), IMAGE, 3, ["rise"], PATH, 0))
    small_image = IMAGE[:, :16, :16]
    (made,) = attribute_each(small(), small_image, 0, ["integrated_gradients"], PATH, 0)
    fixed = methods.integrated_gradients(small(), small_image, 0, PATH)  # as recorded runs have it
    np.testing.assert_array_equal(made.values, fixed.values)
