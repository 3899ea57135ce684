"""Captum as the second implementation: where it equals ours, and that it leaves no trace."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from captum import attr
from torch import nn

from mlcv_explore.models.classifiers import residual_classifier
from mlcv_explore.saliency import SaliencyError, SaliencySettings, attribute_all, captum_maps
from mlcv_explore.saliency.captum_calls import NOISE
from mlcv_explore.saliency.captum_maps import PREFIX
from mlcv_explore.saliency.supported import attribute
from mlcv_explore.seeds import seeded

EQUAL = ("gradient", "input_x_gradient", "guided_backprop", "occlusion")
SETTINGS = SaliencySettings(baseline="blur", steps=400, complete=False)
STATISTICS = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)
NETWORK = seeded(0, lambda: residual_classifier(4, 4, *STATISTICS), "network").eval()
IMAGE = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))


def maps(compute: object, *names: str, target: object = (1, 2), seed: int = 0) -> dict[str, np.ndarray]:
    computed = compute(NETWORK, IMAGE, target, names, SETTINGS, seed, None)
    return {attribution.method.removeprefix(PREFIX): attribution.values for attribution in computed}


def theirs(*names: str, **given: object) -> dict[str, np.ndarray]:
    """The maps of these methods by Captum, where it has them."""
    return maps(attribute, *(captum_maps.counterpart(name) or name for name in names), **given)


@pytest.mark.parametrize("target", [1, (1, 2)])
def test_both_implementations_agree_on_a_class_and_on_a_difference(target: object) -> None:
    ours, other = maps(attribute_all, *EQUAL, target=target), theirs(*EQUAL, target=target)
    for name in EQUAL:
        np.testing.assert_allclose(other[name], ours[name], atol=1e-4 * np.abs(ours[name]).max())
    name = "integrated_gradients"  # other steps of the same path
    ours, other = maps(attribute_all, name, target=target)[name], theirs(name, target=target)[name]
    assert np.corrcoef(ours.ravel(), other.ravel())[0, 1] > 0.99


def test_captum_leaves_network_and_generators_as_they_were() -> None:
    generator, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = theirs(*captum_maps.AVAILABLE, "rise", "gradient_shap", "edges")
    again = theirs(*captum_maps.AVAILABLE, "rise", "gradient_shap", "edges")
    other = theirs("smoothgrad", seed=1)["smoothgrad"]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert set(first) == {*captum_maps.AVAILABLE, "rise", "gradient_shap", "edges"} and not np.array_equal(
        other, first["smoothgrad"]
    )
    assert torch.equal(torch.get_rng_state(), generator)
    assert np.array_equal(np.random.get_state()[1], legacy)
    assert not any(module._forward_hooks or module._backward_hooks for module in NETWORK.modules())


def test_threads_that_share_a_network_get_the_same_maps() -> None:
    names = ("guided_backprop", "deeplift", "smoothgrad")
    alone = theirs(*names)
    with ThreadPoolExecutor(4) as pool:
        for together in pool.map(lambda _: theirs(*names), range(8)):
            assert all(np.array_equal(alone[name], together[name]) for name in names)


@pytest.mark.parametrize("name", list(NOISE))
def test_noisy_maps_are_captums_own_and_no_other_waits_for_the_generator_meanwhile(name: str) -> None:
    """Lent, the global generator would be seeded while the network computes."""
    seeds, ambient = [], torch.initial_seed()

    class Noted(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seeds.append(torch.initial_seed())
            return images.flatten(0, 0)

    network, settings = nn.Sequential(Noted(), NETWORK).eval(), SETTINGS.replace(samples=70)  # three batches
    (ours,) = attribute(network, IMAGE, 1, [PREFIX + name], settings, 3)
    assert len(seeds) > 3 and set(seeds) == {ambient}
    tunnel = attr.NoiseTunnel(attr.Saliency(copy.deepcopy(NETWORK)))
    given = {"nt_type": NOISE[name], "nt_samples": 70, "nt_samples_batch_size": 32, "stdevs": settings.noise}
    expected = seeded(
        3, lambda: tunnel.attribute(IMAGE[None], target=1, abs=False, **given), f"Captum's {name}"
    )[0].sum(0)
    np.testing.assert_allclose(ours.values, expected, atol=1e-5 * float(expected.abs().max()))


def test_a_network_without_relus_is_refused_in_a_sentence() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)).eval()
    with pytest.raises(SaliencyError, match="has none"):
        list(attribute(network, IMAGE, 1, ["captum:guided_backprop"], SETTINGS, 0))
