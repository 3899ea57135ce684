"""Captum's own methods: what each has to add up to, what is refused, and how one is ended."""

import copy
import itertools
import math
import threading

import numpy as np
import pytest
import torch
from captum import attr
from torch import nn

from mlcv_explore.models.classifiers import Normalise
from mlcv_explore.saliency import SaliencyError, captum_maps
from mlcv_explore.saliency.captum_maps import MORE, CaptumSettings, largest_difference
from mlcv_explore.saliency.lrp import relevance
from mlcv_explore.saliency.methods import baseline
from mlcv_explore.saliency.superpixels import superpixels
from mlcv_explore.saliency.supported import Map, Refused, attribute, attribute_each
from mlcv_explore.seeds import seeded

SIDE = 16
IMAGE = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
SETTINGS = CaptumSettings(baseline="blur", superpixels=6, coalitions=80, steps=20)


def linear() -> nn.Sequential:
    return seeded(0, lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 4))).eval()


class Branches(nn.Module):
    """Two convolutions, a functional sum of two branches, and functional pooling."""

    def __init__(self, activation: nn.Module, bias: bool = False) -> None:
        super().__init__()
        self.first, self.activation = nn.Conv2d(3, 6, 3, padding=1, bias=bias), activation
        self.second = nn.Conv2d(6, 6, 3, padding=1, bias=bias)
        self.classes = nn.Linear(6, 4, bias=bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, 4)."""
        features = self.activation(self.first(images))
        features = features + torch.relu(self.second(features))
        return self.classes(features.mean((2, 3)))


def branches(activation: nn.Module, bias: bool = False) -> nn.Module:
    return seeded(0, lambda: Branches(activation, bias)).eval()


def made(network: nn.Module, name: str, target: object = 1, **given: object) -> Map:
    (result,) = attribute(network, IMAGE, target, [f"captum:{name}"], SETTINGS.replace(**given), 0)
    return result


def change(network: nn.Module, target: int = 1) -> float:
    with torch.no_grad():
        ends = network(torch.stack([IMAGE, baseline(IMAGE, SETTINGS.baseline)]))[:, target]
    return float(ends[0] - ends[1])


def weights_by_region(network: nn.Sequential, target: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Superpixels, and weight × (x − baseline) of a linear network summed over each."""
    regions = superpixels(IMAGE, SETTINGS.superpixels).numpy()
    weights = network[1].weight.detach()[target].view_as(IMAGE)
    pixels = (weights * (IMAGE - baseline(IMAGE, SETTINGS.baseline))).sum(0).numpy()
    return regions, np.bincount(regions.ravel(), pixels.ravel())


@pytest.mark.parametrize("name", ["feature_ablation", "kernel_shap"])
def test_of_a_linear_network_a_superpixel_has_its_weights_times_its_change(name: str) -> None:
    """Exact Shapley values of a linear function are just that, and so is what ablation takes."""
    network = linear()
    regions, expected = weights_by_region(network)
    assert len(expected) > 3
    values = made(network, name).values
    np.testing.assert_allclose(np.bincount(regions.ravel(), values.ravel()), expected, atol=2e-4)
    assert all(np.ptp(values[regions == region]) == 0 for region in range(len(expected)))


def test_kernel_shap_of_a_network_that_bends_approaches_its_shapley_values() -> None:
    """By definition: the mean over all orders of what a superpixel adds to those before it."""
    network, start = branches(nn.ReLU(), bias=True), baseline(IMAGE, SETTINGS.baseline)
    regions = superpixels(IMAGE, 6)
    count = int(regions.max()) + 1
    shown = torch.tensor(list(itertools.product([False, True], repeat=count)))
    with torch.no_grad():
        scores = network(torch.where(shown[:, regions][:, None], IMAGE, start))[:, 1].double().numpy()
    places = 2 ** np.arange(count)[::-1]  # of a superpixel in the number of a coalition
    expected = np.zeros(count)
    for order in itertools.permutations(range(count)):
        reached = np.cumsum([0, *places[list(order)]])
        expected[list(order)] += np.diff(scores[reached]) / math.factorial(count)
    result = made(network, "kernel_shap", coalitions=1500)
    values = np.bincount(regions.ravel(), result.values.ravel())
    assert count > 3 and expected.sum() == pytest.approx(change(network), abs=1e-5)
    np.testing.assert_allclose(values, expected, atol=0.05 * np.abs(expected).max())
    assert result.checks["completeness_gap"] < 1e-3


def test_superpixels_are_numbered_without_gaps_and_follow_an_edge() -> None:
    image = torch.zeros(3, SIDE, SIDE)
    image[:, :, SIDE // 2 :] = 1
    regions = superpixels(image, 4)
    assert regions.shape == (SIDE, SIDE) and regions.unique().tolist() == list(range(int(regions.max()) + 1))
    assert not set(regions[:, : SIDE // 2].unique().tolist()) & set(regions[:, SIDE // 2 :].unique().tolist())


def test_integrated_gradients_are_captums_and_state_its_own_delta() -> None:
    network = branches(nn.ReLU(), bias=True)
    result = made(network, "integrated_gradients")
    start = baseline(IMAGE, SETTINGS.baseline)[None]
    values, delta = attr.IntegratedGradients(copy.deepcopy(network)).attribute(
        IMAGE[None], start, target=1, n_steps=20, return_convergence_delta=True
    )
    np.testing.assert_allclose(result.values, values[0].sum(0).detach(), atol=1e-6)
    total = change(network)
    gap = abs(float(delta)) / abs(total)
    assert 1e-4 < gap < 0.1
    assert result.checks["completeness_gap"] == pytest.approx(gap, abs=1e-4)
    assert (result.forwards, result.backwards) == (20, 20)


def test_layer_conductance_adds_up_to_the_change_of_the_logit_where_no_branch_leads_past() -> None:
    network = branches(nn.ReLU(inplace=True), bias=True)
    halved = nn.Sequential(nn.AvgPool2d(2), copy.deepcopy(network)).eval()
    for model, layer in ((network, "first"), (halved, "1.first")):
        (result,) = attribute(model, IMAGE, 1, ["captum:layer_conductance"], SETTINGS, 0, layer)
        assert result.values.sum() == pytest.approx(change(model), rel=0.02)
        assert result.checks["share_through_layer"] == pytest.approx(1, abs=0.02)
    past = made(network, "layer_conductance")  # of the second, which a branch leads past
    share = float(past.values.sum()) / change(network)
    assert past.checks["share_through_layer"] == pytest.approx(share, rel=1e-4) and abs(share - 1) > 0.1


def test_internal_influence_of_a_linear_head_is_its_gradient_at_the_layer() -> None:
    """Behind the last convolution there is only a mean and a matrix, whose gradient is the
    same all along the path.
    """
    network = seeded(
        0, lambda: nn.Sequential(nn.Conv2d(3, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))
    ).eval()
    values = made(network, "internal_influence").values
    np.testing.assert_allclose(values, network[3].weight[1].sum().item() / SIDE**2, rtol=1e-4)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()])
@pytest.mark.parametrize("target", [1, (1, 2)])
def test_lrp_conserves_the_logit_across_branches_where_there_are_no_biases(
    activation: nn.Module, target: object
) -> None:
    """Also where ReLU6 saturates, and behind a normalisation."""
    network = nn.Sequential(Normalise([0.1] * 3, [0.02] * 3), branches(activation)).eval()
    assert (network[1].first(network[0](IMAGE[None])) > 6).any()
    with torch.no_grad():
        logits = network(IMAGE[None])[0]
    total = float(logits[1] - logits[2] if isinstance(target, tuple) else logits[1])
    result = made(network, "lrp", target)
    assert result.values.sum() == pytest.approx(total, rel=1e-3)
    assert result.checks["share_of_logit"] == pytest.approx(1, abs=1e-3)
    assert network[1].activation is activation and not hasattr(network[1].first, "rule")


def test_lrp_of_a_network_of_relus_is_the_gradient_times_what_the_first_layer_reads() -> None:
    """Ancona et al. (1711.06104): the ε rule with ReLUs and without biases."""
    network = branches(nn.ReLU())
    image = IMAGE[None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(image)[0, 1], image)
    values, total = relevance(copy.deepcopy(network), IMAGE[None].clone().requires_grad_(), 1)
    torch.testing.assert_close(values.detach(), (gradient * image).detach(), atol=1e-5, rtol=1e-3)
    assert total == pytest.approx(float(network(IMAGE[None])[0, 1].detach()))


def test_lrp_of_one_thread_leaves_the_networks_of_others_alone() -> None:
    """As a server needs it: another thread's network runs while operations are listed."""
    network, other, results = branches(nn.ReLU()), branches(nn.ReLU(), bias=True), []
    expected = other(IMAGE[None])

    class Visited(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            thread = threading.Thread(target=lambda: results.append(other(IMAGE[None])))
            thread.start()
            thread.join()
            return images.flatten(0, 0)

    assert made(nn.Sequential(Visited(), network).eval(), "lrp").values.any()
    assert len(results) > 2 and all(torch.equal(result, expected) for result in results)


class Gated(nn.Module):
    """A convolution times its own gate."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, 4)."""
        features = self.convolution(images)
        return (features * features.mean((2, 3), keepdim=True)).mean((2, 3))


class Undecided(nn.Module):
    """Its operations depend on the values."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, 4)."""
        return images.flatten(1)[:, :4] if images.mean() > 0 else images.flatten(1)[:, 4:8]


@pytest.mark.parametrize(
    ("network", "sentence"),
    [(branches(nn.SiLU()), "LRP (Captum) has no rule for SiLU in this network."),
     (Gated().eval(), "no rule for a product of activations"),
     (Undecided().eval(), "no rule for gt and bool in this network")],
)  # fmt: skip
def test_what_lrp_has_no_rule_for_is_refused_by_name_and_the_others_go_on(
    network: nn.Module, sentence: str
) -> None:
    names = ["captum:lrp", "captum:feature_ablation"]
    found = {one.method: one for one in attribute_each(network, IMAGE, 1, names, SETTINGS, 0)}
    assert isinstance(found["captum:lrp"], Refused) and sentence in found["captum:lrp"].reason
    assert isinstance(found["captum:feature_ablation"], Map)


def test_methods_of_a_convolution_are_refused_where_there_is_none() -> None:
    names = ["captum:layer_conductance", "captum:internal_influence", "captum:lrp"]
    found = {one.method: one for one in attribute_each(linear(), IMAGE, 1, names, SETTINGS, 0)}
    for name in names[:2]:
        assert isinstance(found[name], Refused) and "needs a convolution" in found[name].reason
    assert isinstance(found["captum:lrp"], Map)


class Enough(Exception):
    """Ends a computation."""


@pytest.mark.parametrize("name", [name for name in MORE if name != "captum:lrp"])
def test_what_progress_raises_ends_a_computation_before_all_evaluations(name: str) -> None:
    network, reports = branches(nn.ReLU()), []
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(2))  # eight in a batch
    settings = SETTINGS.replace(coalitions=80, superpixels=40, steps=80)

    def stop_halfway(done: int, total: int) -> None:
        reports.append((done, total))
        if done > total / 2:
            raise Enough

    with pytest.raises(Enough):
        list(attribute_each(network, image, 1, [name], settings, 0, None, stop_halfway))
    total = reports[-1][1]
    assert reports[0][0] == 0 and reports == sorted(reports) and total / 2 < reports[-1][0] < total
    (after,) = attribute(network, IMAGE, 1, [name], SETTINGS, 0)  # has its turn
    assert after.values.any()


def test_the_same_seed_draws_the_same_coalitions() -> None:
    network = branches(nn.ReLU(), bias=True)
    first, again = made(network, "kernel_shap").values, made(network, "kernel_shap").values
    (other,) = attribute(network, IMAGE, 1, ["captum:kernel_shap"], SETTINGS, 1)
    assert np.array_equal(first, again) and not np.array_equal(first, other.values)


def test_network_and_global_generators_are_as_they_were() -> None:
    network = branches(nn.ReLU(inplace=True), bias=True)
    state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    assert len(list(attribute(network, IMAGE, 1, MORE, SETTINGS, 0))) == len(MORE) == 6
    assert torch.equal(torch.get_rng_state(), state) and np.array_equal(np.random.get_state()[1], legacy)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert network.activation.inplace and not any(
        module._forward_hooks or module._forward_pre_hooks or hasattr(module, "rule")
        for module in network.modules()
    )


def test_kernel_shap_needs_two_superpixels() -> None:
    with pytest.raises(SaliencyError, match="needs two superpixels, and this image has one"):
        list(attribute(linear_of(1), IMAGE[:, :1, :1], 0, ["captum:kernel_shap"], SETTINGS, 0))


def linear_of(pixels: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * pixels, 2)).eval()


def test_the_largest_difference_is_a_share_of_the_references_largest_value() -> None:
    reference = np.array([[1.0, -4.0]])
    assert largest_difference(np.array([[1.5, -4.0]]), reference) == 0.125
    assert largest_difference(reference, reference) == largest_difference(0 * reference, 0 * reference) == 0
    assert largest_difference(reference, 0 * reference) == float("inf")
    assert captum_maps.counterpart("gradcam") == "captum:gradcam" and captum_maps.counterpart("rise") is None
