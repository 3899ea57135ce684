"""Maps of networks with other activations than ReLU: right, or refused by name."""

import copy

import numpy as np
import pytest
import torch
from captum import attr
from torch import nn
from torch.overrides import TorchFunctionMode

from mlcv_explore.models import checkpoints
from mlcv_explore.models.classifiers import residual_classifier
from mlcv_explore.saliency import SaliencyError, SaliencySettings, attribute_all, large_images, rules
from mlcv_explore.saliency.captum_deeplift import RESCALED
from mlcv_explore.saliency.memory import OutOfMemory
from mlcv_explore.saliency.methods import baseline
from mlcv_explore.saliency.rules import ActivationNames
from mlcv_explore.saliency.supported import QUICK, Refused, attribute, attribute_each, quick
from mlcv_explore.saliency.uncertainty import over_draws
from mlcv_explore.seeds import seeded
from mlcv_explore.ui import attributions

SETTINGS = SaliencySettings(baseline="blur", steps=50)
IMAGE = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))


def network(activation: nn.Module, side: int = 16) -> nn.Sequential:
    """Two convolutions and a linear layer; large weights, so that ReLU6 saturates."""
    return seeded(
        0,
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), activation, nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 8, 3, padding=1), activation),
            *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4)),
        ),
    ).eval()


def scaled(activation: nn.Module) -> nn.Sequential:
    model = network(activation)
    model[0].weight.data *= 20
    return model


def results(model: nn.Module, *names: str, image: torch.Tensor = IMAGE) -> dict:
    return {result.method: result for result in attribute_each(model, image, 1, names, SETTINGS, 0)}


@pytest.mark.parametrize("inplace", [False, True])
def test_guided_backprop_of_relu6_is_the_rule_by_hand(inplace: bool) -> None:
    model = scaled(nn.ReLU6(inplace))
    image = IMAGE.clone().requires_grad_()
    first = model[0](image[None])
    assert (first > 6).any() and (first < 0).any() and ((first > 0) & (first < 6)).any()
    second = model[3](model[2](first.clamp(0, 6)))
    logit = model[7](model[6](model[5](second.clamp(0, 6))))[0, 1]
    (after,) = torch.autograd.grad(logit, second, retain_graph=True)
    slope = ((second > 0) & (second < 6)).float()
    # the gradient at the output of the activation, of which the positive part passes
    (at_output,) = torch.autograd.grad(
        model[7](model[6](model[5](leaf := second.detach().clamp(0, 6).requires_grad_())))[0, 1], leaf
    )
    assert torch.allclose(after, at_output * slope)
    (back,) = torch.autograd.grad(second, first, at_output.clamp(min=0) * slope, retain_graph=True)
    (unclamped,) = torch.autograd.grad(
        model[3](model[2](rectified := first.detach().clamp(0, 6).requires_grad_())),
        rectified,
        at_output.clamp(min=0) * slope,
    )
    inner = unclamped.clamp(min=0) * ((first > 0) & (first < 6))
    assert not torch.allclose(inner, back)  # the rule changes something here
    (expected,) = torch.autograd.grad(first, image, inner)
    values = results(model, "guided_backprop")["guided_backprop"].values
    np.testing.assert_allclose(values, expected.sum(0).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "name"), [(nn.Hardswish(), "hard-swish"), (nn.SiLU(), "SiLU"), (nn.GELU(), "GELU")]
)
def test_guided_backprop_refuses_other_activations_by_name_and_the_others_are_computed(
    activation: nn.Module, name: str
) -> None:
    outcomes = results(network(activation), "guided_backprop", "gradient", "gradcam")
    refused = outcomes["guided_backprop"]
    assert isinstance(refused, Refused) and refused.reason.endswith(f"this network has {name}.")
    assert outcomes["gradient"].values.any() and set(outcomes) == {"guided_backprop", "gradient", "gradcam"}
    with pytest.raises(SaliencyError, match=name):
        list(attribute(network(activation), IMAGE, 1, ["guided_backprop"], SETTINGS, 0))


@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.Hardswish(inplace=True), nn.SiLU(), nn.GELU()])
def test_deeplift_is_complete_for_each_activation(activation: nn.Module) -> None:
    """The rescale rule is that of any function of one number: nothing is missing."""
    assert results(scaled(activation), "deeplift")["deeplift"].checks["completeness_gap"] < 1e-3


@pytest.mark.filterwarnings("ignore")  # of Captum's hooks
@pytest.mark.parametrize(
    ("activation", "name"),
    [(nn.ReLU6(), "ReLU6"), (nn.GELU(), "GELU"), (nn.Hardsigmoid(), "hard sigmoid"), (nn.ELU(), None)],
)
def test_captums_deeplift_is_refused_where_its_map_would_be_gradient_times_difference(
    activation: nn.Module, name: str | None
) -> None:
    """What is refused is what Captum returns; for ELU, of which it has a rule, it is not that."""
    model = scaled(activation)
    model[2], model[4] = nn.AvgPool2d(2), nn.Sequential()  # no maximum, and each module used once
    start = baseline(IMAGE, "blur")
    both = torch.stack([IMAGE, start]).requires_grad_()
    (gradient,) = torch.autograd.grad(model(both)[:, 1].sum(), both)
    plain = (gradient[0] * (IMAGE - start)).sum(0).numpy()
    theirs = attr.DeepLift(copy.deepcopy(model)).attribute(IMAGE[None], start[None], target=1)
    theirs = theirs[0].sum(0).detach().numpy()
    names = ["captum:deeplift", "deeplift"]
    found = {
        result.method: result for result in large_images.attribute_each(model, IMAGE, 1, names, SETTINGS, 0)
    }
    assert found["deeplift"].checks["completeness_gap"] < 1e-3
    if name:
        np.testing.assert_allclose(theirs, plain, rtol=1e-4, atol=1e-5)
        assert isinstance(found["captum:deeplift"], Refused)
        assert f"has no rule for {name}, which this network has" in found["captum:deeplift"].reason
    else:
        assert not np.allclose(theirs, plain, rtol=1e-2, atol=1e-3)
        np.testing.assert_allclose(found["captum:deeplift"].values, theirs, rtol=1e-4, atol=1e-5)
        assert found["captum:deeplift"].checks["completeness_gap"] < 1e-3


@pytest.mark.filterwarnings("ignore")  # of softmax without a dimension
def test_activations_that_captums_deeplift_has_no_rule_for_are_those_its_table_lacks() -> None:
    from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR

    for kind in (getattr(nn, name) for name in nn.modules.activation.__all__):
        called = ActivationNames()
        try:
            with called:
                kind()(torch.zeros(1, 4))
        except (TypeError, RuntimeError, ValueError, NotImplementedError):
            continue  # it takes arguments
        if called.names:
            assert (called.names <= set(RESCALED)) == (kind in SUPPORTED_NON_LINEAR), kind


def test_captums_deeplift_states_what_a_functional_activation_leaves_out() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = scaled(nn.Identity())

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.layers[1:](torch.relu(self.layers[0](images)))

    model = Functional().eval()
    (result,) = large_images.attribute_each(model, IMAGE, 1, ["captum:deeplift"], SETTINGS, 0)
    with torch.no_grad():
        ends = model(torch.stack([IMAGE, baseline(IMAGE, "blur")]))[:, 1]
    change = float(ends[0] - ends[1])
    gap = abs(float(result.values.sum(dtype=float)) - change) / abs(change)
    assert result.checks["completeness_gap"] == pytest.approx(gap, rel=1e-3) and gap > 0.05


@pytest.mark.parametrize("name", checkpoints.names())
def test_shipped_classifiers_call_each_activation_once_and_as_a_module(name: str) -> None:
    """What Captum's hooks see: an activation that they miss would have the gradient's rule."""
    model = checkpoints.load(name)
    called, reached = [], []

    class Calls(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            called.extend(filter(None, [rules.activation(func)]))
            return func(*args, **(kwargs or {}))

    modules = [one for one in model.network.modules() if isinstance(one, nn.ReLU)]
    hooks = [one.register_forward_hook(lambda module, *_: reached.append(id(module))) for one in modules]
    try:
        with torch.no_grad(), Calls():
            model.network(torch.zeros(1, 3, model.side, model.side))
    finally:
        for hook in hooks:
            hook.remove()
    assert sorted(reached) == sorted(map(id, modules)) and called == ["relu"] * len(modules)


def test_a_network_of_relus_has_the_maps_it_had() -> None:
    statistics = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)
    model = seeded(0, lambda: residual_classifier(4, 4, *statistics)).eval()
    names = ("guided_backprop", "deeplift", "smoothgrad", "vargrad", "integrated_gradients", "edges")
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(2))
    before = {
        attribution.method: attribution.values
        for attribution in attribute_all(model, image, 1, names, SETTINGS, 0)
    }
    after = results(model, *names, image=image)
    assert list(before) == list(after)
    assert all(np.array_equal(values, after[name].values) for name, values in before.items())


def test_integrated_gradients_of_a_large_image_are_complete() -> None:
    image = torch.rand(3, 80, 80, generator=torch.Generator().manual_seed(3))
    for activation in (nn.ReLU6(), nn.SiLU()):
        model = scaled(activation)
        result = results(model, "integrated_gradients", image=image)["integrated_gradients"]
        with torch.no_grad():
            ends = model(torch.stack([image, baseline(image, "blur")]))[:, 1]
        change = float(ends[0] - ends[1])
        assert abs(float(result.values.sum(dtype=float)) - change) <= 0.02 * abs(change)
        assert result.checks["completeness_gap"] <= 0.02 and result.checks["steps"] >= 50


def test_grad_cam_without_a_convolution_and_captums_refusals_leave_the_others() -> None:
    dense = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4), nn.ReLU(), nn.Linear(4, 4)).eval()
    outcomes = results(dense, "gradcam", "gradient")
    assert isinstance(outcomes["gradcam"], Refused) and "needs a convolution" in outcomes["gradcam"].reason
    assert not isinstance(outcomes["gradient"], Refused)
    theirs = results(dense, "captum:gradcam", "captum:gradient", "edges")
    assert isinstance(theirs["captum:gradcam"], Refused) and not isinstance(theirs["edges"], Refused)
    np.testing.assert_allclose(theirs["captum:gradient"].values, outcomes["gradient"].values, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "target", "sentence"),
    [(["magic"], 1, "There is no method"), (["gradient"], 9, "between 0 and 3"), ([], (1, 1), "two classes")],
)
def test_what_no_method_can_do_is_an_error(names: list[str], target: object, sentence: str) -> None:
    with pytest.raises(SaliencyError, match=sentence):
        list(attribute_each(network(nn.ReLU()), IMAGE, target, names, SETTINGS, 0))


class Hungry(nn.Module):
    """A network that needs more memory than any machine has, once there are gradients."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, 4)."""
        if torch.is_grad_enabled():
            torch.empty(1 << 60)
        return self.inner(images)


@pytest.mark.parametrize("side", [16, 80])
def test_a_lack_of_memory_is_not_a_failure_of_the_network(side: int) -> None:
    image = torch.rand(3, side, side, generator=torch.Generator().manual_seed(4))
    names = ("gradient", "integrated_gradients", "captum:gradient", "edges")
    made = large_images.attribute_each(Hungry(network(nn.ReLU())).eval(), image, 1, names, SETTINGS, 0)
    outcomes = {outcome.method: outcome for outcome in made}
    assert outcomes.pop("edges").values.any()
    assert outcomes == {
        "gradient": OutOfMemory("gradient", "Gradient needs more memory than is free now."),
        "integrated_gradients": OutOfMemory(
            "integrated_gradients", "Integrated gradients needs more memory than is free now."
        ),
        "captum:gradient": OutOfMemory(
            "captum:gradient", "Gradient (Captum) needs more memory than is free now."
        ),
    }


@pytest.mark.parametrize(
    ("error", "lacking"),
    [
        (MemoryError(), True),
        (MemoryError("Unable to allocate 8.00 EiB for an array"), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (AssertionError(), False),
    ],
)
def test_which_errors_are_a_lack_of_memory(error: Exception, lacking: bool) -> None:
    class Raising(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            """(B, 3, h, w) → (B, 3), but never with gradients."""
            if images.requires_grad:
                raise error
            return images.mean((2, 3))

    image = torch.rand(3, 80, 80, generator=torch.Generator().manual_seed(5))
    (result,) = large_images.attribute_each(Raising().eval(), image, 0, ["integrated_gradients"], SETTINGS, 0)
    assert isinstance(result, Refused) and isinstance(result, OutOfMemory) is lacking


def test_what_memory_lacked_for_is_known_to_nobody() -> None:
    known: dict = {}
    hungry, names = Hungry(network(nn.GELU())).eval(), ("gradient", "guided_backprop", "edges")
    made = list(attributions.compute_missing(known, hungry, IMAGE.numpy(), 1, names, SETTINGS, None, 0))
    assert {one.method for one in made} == set(names) and set(known) == {"guided_backprop", "edges"}
    assert isinstance(known["guided_backprop"], Refused)  # for good: it has no rule


def test_the_uncertainty_of_maps_is_not_that_of_those_that_memory_sufficed_for() -> None:
    with pytest.raises(SaliencyError, match="more memory"):
        over_draws(Hungry(network(nn.ReLU())).eval(), IMAGE, 1, ("smoothgrad",), SETTINGS, range(2))


def test_a_first_look_at_a_large_image_changes_only_what_was_not_set() -> None:
    asked = SaliencySettings(window=3, steps=80)
    first = quick(asked)
    assert (first.window, first.steps, first.complete) == (3, 80, False)
    assert (first.samples, first.stride) == (QUICK["samples"], QUICK["stride"])
