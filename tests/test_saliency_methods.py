"""Attribution maps: equal to Captum's or to a slow reference, exact where a formula is
known, alone in their thread, the same when run again.
"""

import copy
import itertools
import threading
import warnings

import numpy as np
import pytest
import torch
from captum import attr
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional

from mlcv_explore import environment, saliency
from mlcv_explore.config import SettingError
from mlcv_explore.models.classifiers import residual_classifier
from mlcv_explore.saliency import controls, methods, perturbation
from mlcv_explore.saliency.methods import SaliencyError, SaliencySettings
from mlcv_explore.seeds import seeded, stream
from mlcv_explore.torchvision_compat import models

SETTINGS = SaliencySettings(samples=6, shap_samples=6, masks=64, steps=20)
CLASSES, TARGET = 5, 3


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Not trained, but with running statistics and biases away from their start, so
    that no term of a rule vanishes.
    """
    built = seeded(0, lambda: residual_classifier(6, CLASSES, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)))
    chance = stream(0, "a test")
    for _ in range(20):
        built(torch.rand(32, 3, 16, 16, generator=chance))
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, 0.1, 0.3, generator=chance)
    return built.eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    """Soft spots and some noise, not square."""
    coarse = functional.interpolate(
        torch.rand(1, 3, 5, 4, generator=stream(1, "a test")), (20, 16), mode="bilinear"
    )[0]
    return (coarse + 0.2 * torch.rand(3, 20, 16, generator=stream(2, "a test"))).clamp(0, 1)


def maps(
    network, image, *names, target=TARGET, settings=SETTINGS, seed=0, layer=None
) -> dict[str, np.ndarray]:
    return {
        attributions.method: attributions.values
        for attributions in saliency.attribute_all(
            network, image, target, names or list(saliency.METHODS), settings, seed, layer
        )
    }


def summed(attributed: torch.Tensor) -> np.ndarray:
    return attributed.detach()[0].sum(0).numpy()


def captums(network: nn.Module, image: torch.Tensor, name: str) -> np.ndarray:
    batch = image[None].clone().requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it sets hooks
        match name:
            case "gradient":
                return summed(attr.Saliency(network).attribute(batch, target=TARGET, abs=False))
            case "input_x_gradient":
                return summed(attr.InputXGradient(network).attribute(batch, target=TARGET))
            case "guided_backprop":
                return summed(attr.GuidedBackprop(network).attribute(batch, target=TARGET))
            case "deeplift":
                return summed(attr.DeepLift(network).attribute(batch, target=TARGET))
            case "occlusion":
                return (
                    attr.Occlusion(network)
                    .attribute(batch, (3, 5, 5), (3, 2, 2), target=TARGET)
                    .detach()[0, 0]
                    .numpy()
                )
            case "gradcam":
                attributions = attr.LayerGradCam(network, network.shortcut2.second[2]).attribute(
                    batch, TARGET, relu_attributions=True
                )
                return (
                    functional.interpolate(attributions, image.shape[1:], mode="bilinear")[0, 0]
                    .detach()
                    .numpy()
                )


def close(one: np.ndarray, other: np.ndarray, tolerance: float = 1e-4) -> bool:
    return np.abs(one - other).max() <= tolerance * np.abs(other).max() and np.abs(other).max() > 0


@pytest.mark.parametrize("name", ["gradient", "input_x_gradient", "guided_backprop", "occlusion", "gradcam"])
def test_the_panels_map_is_captums(network, image, name):
    # of 32: 5 and 2 of 16 pixels, so that the last squares reach over the border
    square = SETTINGS.replace(window=10, stride=4)
    assert close(maps(network, image, settings=square)[name], captums(network, image, name))


class Apart(nn.Module):
    """Nothing but a step between a ReLU and the pooling after it."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * 1


def test_deeplift_is_complete_where_captums_is_not_and_equal_where_captums_is(network, image):
    """A ReLU directly before a maximum reads its gradient before Captum has corrected
    the maximum's; a step between them gives it time.
    """
    apart = copy.deepcopy(network)
    for name in ("halve1", "halve2", "halve3"):
        apart.add_module(name, nn.Sequential(*getattr(apart, name)[:3], Apart(), getattr(apart, name)[3]))
    ours = maps(network, image, "deeplift")["deeplift"]
    assert close(ours, captums(apart, image, "deeplift"), 1e-3) and not close(
        ours, captums(network, image, "deeplift"), 0.05
    )
    with torch.no_grad():
        logits = network(torch.stack([image, torch.zeros_like(image)]))[:, TARGET]
    assert ours.sum() == pytest.approx(float(logits[0] - logits[1]), rel=1e-3)


@pytest.mark.parametrize("baseline", ["zero", "blur", "mean"])
def test_integrated_gradients_are_captums_of_as_many_steps(network, image, baseline, monkeypatch):
    """Steps are doubled while the gap is too large, but never beyond the most."""
    start = methods.baseline(image, baseline)
    for most, expected in ((8, 8), (39, 32), (64, 64)):
        monkeypatch.setattr(methods, "MAX_GAP", 0.0)
        monkeypatch.setattr(methods, "MAX_STEPS", most)
        (attributions,) = saliency.attribute_all(
            network, image, TARGET, ["integrated_gradients"], SETTINGS.replace(baseline=baseline, steps=8), 0
        )
        theirs = attr.IntegratedGradients(network).attribute(
            image[None], start[None], TARGET, n_steps=expected, method="riemann_middle"
        )
        assert attributions.checks["steps"] == expected and close(attributions.values, summed(theirs.float()))
        assert attributions.backwards == 2 * expected - 8 == attributions.forwards - 2


def test_steps_are_doubled_until_the_map_is_complete(network, image):
    attributions = [
        methods.integrated_gradients(network, image, target, SETTINGS.replace(baseline="blur", steps=2))
        for target in range(CLASSES)
    ]
    gaps, steps = ([one.checks[name] for one in attributions] for name in ("completeness_gap", "steps"))
    assert min(gaps) <= methods.MAX_GAP and 2 < min(steps) < 1024
    assert all(gap <= methods.MAX_GAP or count == 1024 for gap, count in zip(gaps, steps, strict=True))


def test_the_completeness_gap_shrinks_with_the_steps_and_is_as_defined(network, image, monkeypatch):
    monkeypatch.setattr(methods, "MAX_GAP", float("inf"))
    gaps = [
        methods.integrated_gradients(network, image, TARGET, SETTINGS.replace(steps=steps)).checks[
            "completeness_gap"
        ]
        for steps in (1, 8, 256)
    ]
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2] and gaps[2] < 0.01
    with torch.no_grad():
        change = float(network(torch.stack([image, 0 * image]))[:, TARGET].diff().neg())
    attributions = methods.integrated_gradients(network, image, TARGET, SETTINGS.replace(steps=1))
    assert attributions.checks["completeness_gap"] == pytest.approx(
        abs(float(attributions.values.sum()) - change) / abs(change), rel=1e-3
    )
    assert (
        methods.completeness_gap(torch.ones(2), 0.0) == float("inf")
        and methods.completeness_gap(torch.zeros(2), 0.0) == 0
    )


def test_of_a_linear_model_every_path_gives_weight_times_change(image):
    """And what is left out of the image changes the logit by what its map holds."""
    linear = seeded(1, lambda: nn.Sequential(nn.Flatten(), nn.Linear(image.numel(), CLASSES))).eval()
    weights = linear[1].weight[TARGET].detach().view_as(image)
    attributions = maps(
        linear,
        image,
        "gradient",
        "input_x_gradient",
        "integrated_gradients",
        "smoothgrad",
        "vargrad",
        settings=SETTINGS.replace(steps=1),
    )
    product = (weights * image).sum(0).numpy()
    assert close(attributions["integrated_gradients"], product, 1e-5) and close(
        attributions["input_x_gradient"], product, 1e-6
    )
    assert close(attributions["gradient"], weights.sum(0).numpy(), 1e-6) and close(
        attributions["smoothgrad"], weights.sum(0).numpy(), 1e-5
    )
    assert np.abs(attributions["vargrad"]).max() < 1e-9
    hidden = image.clone()
    hidden[:, 3:9, 2:7] = 0
    fall = (linear(image[None]) - linear(hidden[None]))[0, TARGET].item()
    assert attributions["integrated_gradients"][3:9, 2:7].sum() == pytest.approx(fall, rel=1e-4)


def test_the_three_noise_maps_are_mean_square_and_variance_of_the_same_gradients(network, image):
    attributions = maps(
        network, image, "smoothgrad", "smoothgrad_squared", "vargrad", settings=SETTINGS.replace(noise=0.2)
    )
    chance = stream(0, "noise of the picture")
    drawn = [image + 0.2 * torch.randn(image.shape, generator=chance) for _ in range(SETTINGS.samples)]
    along = torch.stack(
        [attr.Saliency(network).attribute(one[None].requires_grad_(), TARGET, abs=False)[0] for one in drawn]
    )
    assert close(attributions["smoothgrad"], along.mean(0).sum(0).numpy())
    assert close(attributions["smoothgrad_squared"], along.square().mean(0).sum(0).numpy())
    assert close(attributions["vargrad"], along.var(0, correction=0).sum(0).numpy())


def test_gradient_shap_nears_integrated_gradients_averaged_over_its_baselines(network, image):
    ours = maps(network, image, "gradient_shap", settings=SETTINGS.replace(shap_samples=500))["gradient_shap"]
    limits = [
        maps(network, image, "integrated_gradients", settings=SETTINGS.replace(baseline=kind))
        for kind in ("zero", "blur", "mean")
    ]
    mean = sum(attributions["integrated_gradients"] for attributions in limits) / 3
    assert np.corrcoef(ours.ravel(), mean.ravel())[0, 1] > 0.98
    assert 0.9 < ours.std() / mean.std() < 1.1


def test_rise_is_the_covariance_of_score_and_mask(network, image):
    settings = SETTINGS.replace(half_precision=False, mask_share=0.3)
    masks = torch.stack(list(perturbation.random_masks(image, settings, stream(0, "masks"))))
    assert masks.min() >= 0 and masks.max() <= 1 and abs(float(masks.mean()) - 0.3) < 0.03
    with torch.no_grad():
        scores = torch.cat([network(image[None] * mask) for mask in masks])[:, TARGET]
    expected = sum((one - scores.mean()) * mask[0] for one, mask in zip(scores, masks, strict=True)) / (
        len(masks) * 0.3
    )
    assert close(maps(network, image, "rise", settings=settings)["rise"], expected.numpy())


def test_a_constant_added_to_all_logits_changes_no_map(network, image):
    """A softmax does not see it, so no map may."""
    moved = nn.Sequential(copy.deepcopy(network), nn.Linear(CLASSES, CLASSES)).eval()
    with torch.no_grad():
        moved[1].weight.copy_(torch.eye(CLASSES))
        moved[1].bias.fill_(10)
    settings = SETTINGS.replace(half_precision=False)
    before, after = (maps(one, image, settings=settings) for one in (network, moved))
    assert all(
        close(after[name], before[name], 1e-2) for name in before if name != "gradcam" or before[name].any()
    )


def test_rise_in_half_precision_ranks_the_pixels_as_in_single(network, image, monkeypatch):
    # where there is none it is imitated: slower, and the same numbers
    monkeypatch.setattr(environment, "has_bfloat16", lambda: True)
    single, half = (
        maps(network, image, "rise", settings=SETTINGS.replace(masks=300, half_precision=on))["rise"]
        for on in (False, True)
    )
    assert spearmanr(single.ravel(), half.ravel()).statistic >= 0.99 and not np.array_equal(single, half)


def test_without_bfloat16_in_the_processor_rise_keeps_to_single_precision(network, image, monkeypatch):
    monkeypatch.setattr(environment, "has_bfloat16", lambda: False)
    single, half = (
        maps(network, image, "rise", settings=SETTINGS.replace(masks=20, half_precision=on))["rise"]
        for on in (False, True)
    )
    assert np.array_equal(single, half)


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("layer", ["stem.0", "shortcut1.first.0", "shortcut2.second.0"])
def test_grad_cam_reads_any_convolution_before_or_after_its_relu(network, image, layer, rectified):
    settings = SETTINGS.replace(cam_positive=False, cam_rectified=rectified)
    (ours,) = saliency.attribute_all(network, image, TARGET, ["gradcam"], settings, 0, layer)
    module = network.get_submodule(layer[:-1] + ("2" if rectified else "0"))
    theirs = attr.LayerGradCam(network, module).attribute(image[None].requires_grad_(), TARGET)
    expected = functional.interpolate(theirs, image.shape[1:], mode="bilinear")[0, 0].detach().numpy()
    assert ours.signed and close(ours.values, expected)


def test_networks_with_functional_and_in_place_relus_are_explained_and_left_as_they_were():
    """torchvision's blocks use one in-place ReLU twice; of a network without ReLUs
    Guided Backprop would be the gradient, and is refused.
    """
    resnet = seeded(2, lambda: models.resnet18(num_classes=4)).eval()
    image = torch.rand(3, 64, 64, generator=stream(3, "a test"))
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    settings = SETTINGS.replace(
        masks=2, samples=2, shap_samples=2, steps=2, window=16, stride=16, half_precision=False
    )
    attributions = {
        one.method: one
        for one in saliency.attribute_all(resnet, image, 1, list(saliency.METHODS), settings, 0)
    }
    assert attributions["deeplift"].checks["completeness_gap"] < 1e-3
    assert not close(attributions["guided_backprop"].values, attributions["gradient"].values, 0.1)
    theirs = attr.LayerGradCam(resnet, resnet.layer4).attribute(
        image[None].requires_grad_(), 1, relu_attributions=True
    )
    assert close(
        attributions["gradcam"].values,
        functional.interpolate(theirs, (64, 64), mode="bilinear")[0, 0].detach().numpy(),
    )
    assert all(torch.equal(value, before[name]) for name, value in resnet.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in resnet.modules())
    smooth = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 4), nn.GELU()).eval()
    assert (
        set(saliency.unsupported_methods(smooth, image)) == {"gradcam", "guided_backprop"}
        and saliency.unsupported_methods(resnet, image) == {}
    )
    with pytest.raises(SaliencyError, match="has none"):
        saliency.attribute_all(smooth, image, 1, ["guided_backprop"], SETTINGS, 0)


def test_deeplift_of_overlapping_maxima_and_other_activations_is_complete(image):
    layers = [
        nn.Conv2d(3, 6, 3),
        nn.SiLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(6, 6, 3),
        nn.Hardswish(inplace=True),
        nn.MaxPool2d(2, 2, ceil_mode=True),
    ]
    built = seeded(4, lambda: nn.Sequential(*layers, nn.Flatten(), nn.Linear(72, 3), nn.Sigmoid()))
    built[-2].weight.data *= 30  # so that the outputs change by more than rounding
    for kind in ("zero", "blur", "mean"):
        attributions = methods.deeplift(built.eval(), image, 0, SETTINGS.replace(baseline=kind))
        assert attributions.checks["completeness_gap"] < 1e-3


def test_deeplift_of_what_does_not_change_is_the_gradient():
    """Differences of neighbours are 0 in a flat image as in a black one: no ratio is
    defined, activations and maxima hand back their slope.
    """
    flat = torch.full((3, 8, 9), 0.5)
    for activation in (nn.Identity(), nn.Sigmoid()):
        built = seeded(
            5,
            lambda activation=activation: nn.Sequential(
                nn.Conv2d(3, 2, (1, 2)), activation, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 3)
            ),
        )
        with torch.no_grad():
            built[0].weight[..., 1] = -built[0].weight[..., 0]
        attributions = maps(built.eval(), flat, "deeplift", "input_x_gradient", target=1)
        assert close(attributions["deeplift"], attributions["input_x_gradient"])


def test_guided_backprop_is_not_the_gradient(network, image):
    attributions = maps(network, image, "gradient", "guided_backprop")
    assert (
        abs(spearmanr(attributions["gradient"].ravel(), attributions["guided_backprop"].ravel()).statistic)
        < 0.9
    )


def test_a_difference_of_two_classes_is_the_difference_of_their_maps(network, image):
    names = ("gradient", "integrated_gradients", "smoothgrad", "gradient_shap", "occlusion", "rise")
    settings = SETTINGS.replace(half_precision=False, steps=512)  # at which no steps are doubled any more
    both, one, other = (
        maps(network, image, *names, target=target, settings=settings) for target in ((1, 4), 1, 4)
    )
    assert all(close(both[name], one[name] - other[name], 1e-3) for name in names)


def test_many_targets_at_once_are_one_by_one(network, image, monkeypatch):
    targets = [0, 1, 2, 3, 4, (0, 1), (4, 2)]
    alone = torch.cat([saliency.gradients(network, image, [target]) for target in targets])
    for pixels in (methods.BATCH_PIXELS, 3 * 320):  # the second: three images a batch
        monkeypatch.setattr(methods, "BATCH_PIXELS", pixels)
        together = saliency.gradients(network, image, targets)
        assert together.shape == (7, 3, 20, 16) and close(together.numpy(), alone.numpy())
    assert close(together[5].numpy(), (alone[0] - alone[1]).numpy())


def test_the_same_seed_gives_the_same_maps_and_another_moves_only_what_is_drawn(network, image):
    first, again, other = (maps(network, image, seed=seed) for seed in (0, 0, 1))
    assert first.keys() == saliency.METHODS.keys()
    for name, method in saliency.METHODS.items():
        assert np.array_equal(first[name], again[name]), name
        assert np.array_equal(first[name], other[name]) != method.stochastic, name
        assert (
            first[name].dtype == np.float32
            and first[name].shape == (20, 16)
            and np.isfinite(first[name]).all()
        )
        assert method.signed or first[name].min() >= 0, name


def test_a_map_does_not_depend_on_the_maps_beside_it(network, image):
    together = maps(network, image)
    assert all(np.array_equal(maps(network, image, name)[name], together[name]) for name in saliency.METHODS)


def test_threads_that_share_a_network_do_not_disturb_each_other(network, image):
    """Rules that change ReLUs run beside plain gradients, pulled map by map, and a
    third thread predicts.
    """
    names = ("gradient", "guided_backprop", "deeplift", "gradcam", "smoothgrad")
    images = [image, image.flip(2), image.flip(1)]
    alone = [maps(network, one, *names) for one in images]
    attributions: dict[int, list[dict[str, np.ndarray]]] = {}
    barrier = threading.Barrier(len(images))

    def explain(index: int) -> None:
        barrier.wait(timeout=30)
        attributions[index] = [maps(network, images[index], *names) for _ in range(8)]

    threads = [threading.Thread(target=explain, args=(index,)) for index in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert all(
        np.array_equal(run[name], alone[index][name])
        for index, runs in attributions.items()
        for run in runs
        for name in names
    )
    assert sorted(attributions) == [0, 1, 2]


def test_maps_in_turn_are_maps_alone_and_gradients_stay_as_the_caller_had_them(network, image):
    """A reader may stop pulling: what a panel switches on must not last between two
    maps.
    """
    alone = [maps(network, one) for one in (image, image.flip(2))]
    for one, other in zip(
        *(
            saliency.attribute_all(network, given, TARGET, list(saliency.METHODS), SETTINGS, 0)
            for given in (image, image.flip(2))
        ),
        strict=True,
    ):
        assert torch.is_grad_enabled() and not torch.overrides._get_current_function_mode_stack()
        assert np.array_equal(one.values, alone[0][one.method]) and np.array_equal(
            other.values, alone[1][one.method]
        )
    with torch.no_grad():
        under = maps(network, image)
        assert not torch.is_grad_enabled()
    assert all(np.array_equal(under[name], alone[0][name]) for name in under)


def test_randomised_layers_nest_from_the_top_and_move_the_gradient_not_the_edges(network, image):
    names = list(saliency.layers(network))
    assert (
        names[0] == "stem.0"
        and names[-1] == "linear"
        and len(names) == len(saliency.convolutions(network)) + 1
    )
    assert {name for group in saliency.layers(network).values() for name in group} == {
        name for name, module in network.named_modules() if list(module.parameters(recurse=False))
    }
    copies = [saliency.randomised(network, count, 0) for count in range(len(names) + 1)]
    for count, (one, other) in enumerate(itertools.pairwise(copies)):
        changed = {
            name
            for name, value in one.state_dict().items()
            if not torch.equal(value, other.state_dict()[name])
        }
        layer = names[len(names) - 1 - count]
        assert f"{layer}.weight" in changed and all(
            name.rpartition(".")[0] in saliency.layers(network)[layer] for name in changed
        )
    assert all(
        torch.equal(value, copies[0].state_dict()[name]) for name, value in network.state_dict().items()
    )
    assert torch.equal(saliency.randomised(network, 4, 0)(image[None]), copies[4](image[None]))
    assert not torch.equal(saliency.randomised(network, 4, 1)(image[None]), copies[4](image[None]))
    assert not torch.equal(copies[-1].shortcut1.first[0].weight, copies[-1].shortcut1.second[0].weight)
    before, after = (maps(one, image, "gradient", "edges", "centre") for one in (copies[0], copies[-1]))
    assert np.array_equal(before["edges"], after["edges"]) and np.array_equal(
        before["centre"], after["centre"]
    )
    assert abs(spearmanr(before["gradient"].ravel(), after["gradient"].ravel()).statistic) < 0.5
    with pytest.raises(ValueError, match="between 0 and"):
        saliency.randomised(network, len(names) + 1, 0)


def test_the_controls_are_what_they_are_called():
    step = torch.zeros(3, 6, 8)
    step[:, :, 4:] = 0.5
    attributions = controls.edges(step)
    assert (
        torch.allclose(attributions[:, 3:5], torch.tensor(0.25))
        and attributions[:, [0, 1, 2, 5, 6, 7]].abs().max() < 1e-6
    )
    blob = controls.centre(torch.zeros(3, 9, 5))
    assert (
        blob[4, 2] == 1
        and torch.allclose(blob, blob.flip(0))
        and torch.allclose(blob, blob.flip(1))
        and blob[0, 0] < 0.1
    )


def test_occlusion_finds_the_square_that_counts():
    """A score that is the sum of one square: covering a pixel takes away what the
    covered squares hold of it.
    """

    class Square(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            inside = images[:, :, 8:12, 20:24].sum((1, 2, 3))
            return torch.stack([inside, -inside], dim=1)

    attributions = maps(
        Square().eval(),
        torch.ones(3, 32, 32),
        "occlusion",
        target=0,
        settings=SETTINGS.replace(window=4, stride=4),
    )["occlusion"]
    expected = np.zeros((32, 32))
    expected[8:12, 20:24] = 48
    assert np.allclose(attributions, expected)


def test_baselines_keep_what_they_promise(image):
    assert torch.equal(methods.baseline(image, "zero"), torch.zeros_like(image))
    mean = methods.baseline(image, "mean")
    assert torch.allclose(mean[:, 0, 0], image.mean((1, 2))) and mean.std((1, 2)).max() < 1e-6
    blurred = methods.baseline(image, "blur")
    assert torch.allclose(methods.baseline(mean, "blur"), mean, atol=1e-5)
    assert (
        blurred.std((1, 2)).max() < 0.6 * image.std((1, 2)).min()
        and (blurred.mean((1, 2)) - image.mean((1, 2))).abs().max() < 0.1
    )


def test_what_cannot_be_explained_is_refused_in_one_sentence(network, image):
    def refused(
        words: str, network=network, image=image, target=TARGET, names=("gradient",), layer=None
    ) -> None:
        with pytest.raises(SaliencyError, match=words) as caught:
            list(saliency.attribute_all(network, image, target, names, SETTINGS, 0, layer))
        assert "\n" not in str(caught.value)

    refused("between 0 and 4", target=5)
    refused("between 0 and 4", target=(1, -1))
    refused("two classes", target=(2, 2))
    refused("float32", image=image.double())
    refused("float32", image=image[None])
    refused(r"lie in \[0, 1\]", image=image * 255)
    refused(r"lie in \[0, 1\]", image=image / 0 * 0)
    refused("did you mean 'gradient'", names=("gradients",))
    refused("convolution of this network", names=("gradcam",), layer="linear")
    refused("evaluation mode", network=copy.deepcopy(network).train())
    with pytest.raises(SettingError, match=r"SaliencySettings.noise must be between 0 and 1, got 1.5"):
        SaliencySettings(noise=1.5)
    with pytest.raises(SettingError, match="steps"):
        SaliencySettings(steps=0)
