"""Mask networks: fills, loss and training by hand, the optimised mask, the leak test."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.data import annotated_images, scenes
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.models import classifiers
from mlcv_explore.models.multitask import MultitaskSettings, MultitaskTrainer, Phase
from mlcv_explore.saliency import mask_network as masks
from mlcv_explore.saliency.leak import leak
from mlcv_explore.saliency.mask_network import FORMS, MaskSettings
from mlcv_explore.saliency.measures import mass_in_mask, mass_on_tag
from mlcv_explore.seeds import numpy_stream, seeded, stream

LARGE = {"smallest": 0.35, "largest": 0.5}
MEAN, STD = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)


@cache
def untrained() -> nn.Sequential:
    return seeded(0, lambda: classifiers.residual_classifier(4, 4, MEAN, STD)).eval()


@cache
def images(count: int = 16) -> torch.Tensor:
    return scenes.generate(ScenesConfig(**LARGE), count, 0, "pictures of a test").as_images().as_float()


def equal_weights(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_mask_of_one_gives_the_clean_logits_and_a_mask_of_zero_those_of_the_fill() -> None:
    given, network = images(), untrained()
    fill = masks.random_fill(given, stream(0, "fill"))
    whole, none = (torch.full((16, 32, 32), value) for value in (1.0, 0.0))
    assert torch.equal(network(masks.blend(given, whole, fill)), network(given))
    assert torch.equal(network(masks.blend(given, none, fill)), network(fill))
    torch.testing.assert_close(masks.blend(given, 0.5 * whole, fill), (given + fill) / 2)


def test_fills_are_noisy_colours_or_blurs_and_no_image_keeps_its_pixels() -> None:
    given = images(64)
    fill, again = (masks.random_fill(given, stream(1, "fill")) for _ in range(2))
    assert fill.min() >= 0 and fill.max() <= 1 and torch.equal(fill, again)
    steps = (fill[:, :, 1:] - fill[:, :, :-1]).abs().mean((1, 2, 3))
    blurred = steps < 0.05
    assert 16 <= int(blurred.sum()) <= 48 and float(steps[~blurred].min()) > 0.1
    torch.testing.assert_close(fill[blurred].mean((2, 3)), given[blurred].mean((2, 3)), atol=0.1, rtol=0)


def test_the_loss_by_hand() -> None:
    def classifier(given: torch.Tensor) -> torch.Tensor:  # class 0 with 0.8, whatever the image
        return torch.tensor([0.8, 0.2]).log().expand(len(given), 2)

    given = torch.zeros(2, 3, 2, 2)
    shown = torch.tensor([[[0.0, 1.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    area, targets = torch.tensor([2.0, 4.0]), torch.tensor([0, 0])
    size, steps = (2 * 0.5 + 4 * 0.5) / 2, 0.0 + (1 + 1) / 4  # no step down, two of four across
    rest, kept, left = size + 3 * steps, -np.log(0.8), -np.log1p(-0.999 * 0.8)
    other = -np.log(0.2) - np.log1p(-0.999 * 0.2)
    for objective, named, expected in (
        ("both", targets, kept + left),
        ("preserve", targets, kept),
        ("destroy", targets, left),
        ("both", 1 - targets, other),
    ):
        settings = MaskSettings(objective=objective, smoothness=3.0)
        value = masks.mask_loss(classifier, given, shown, given, area, settings, named)
        assert float(value) == pytest.approx(expected + rest, rel=1e-5), objective


@pytest.mark.parametrize("form", FORMS)
def test_one_pass_gives_the_classifiers_logits_a_mask_and_gates(form: str) -> None:
    network = masks.build(untrained(), 32, MaskSettings(form, widest=4), 0).eval()
    output = masks.predict(network, untrained(), images(), 4.0)
    torch.testing.assert_close(output.logits, untrained()(images()))
    assert output.masks.shape == output.gates.shape == (16, 32, 32)
    assert output.masks.min() > 0 and output.masks.max() < 1 and output.gates.max() <= 1
    assert bool(output.gates.any()) == (form == "gated")
    blocks = network.decoder.blocks  # only one form reads the image beside the features
    inputs = blocks[-1][0].in_channels - blocks[-2][0].out_channels
    assert inputs == {"none": 0, "plain": 4, "gated": 4, "image": 7}[form]
    with pytest.raises(ValueError, match="form must be one of none, plain, image, gated, got 'half'"):
        masks.build(untrained(), 32, MaskSettings("half"), 0)


def test_agreement_counts_kept_classes_and_averages_masks() -> None:
    class Half(nn.Module):  # a mask that is 1 on the left quarter
        def forward(self, network: nn.Module, given: torch.Tensor, area: torch.Tensor) -> masks.MaskOutput:
            shown = torch.zeros(len(given), 32, 32)
            shown[:, :, :8] = 1
            return masks.MaskOutput(network(given), shown, shown)

    class Left(nn.Module):  # class 0 where the left quarter is bright
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            bright = given[:, 0, :, :8].mean((1, 2)) - 0.5
            return torch.stack([bright, -bright], dim=1)

    given = torch.cat([torch.ones(3, 3, 32, 32), torch.zeros(2, 3, 32, 32)])
    shares = masks.agreement(Half(), Left(), given, torch.zeros_like(given), 4.0, batch=2)
    assert shares == {"kept": 1.0, "complement": pytest.approx(0.4), "area": 0.25}


def test_the_classifier_is_frozen_running_statistics_too_and_equal_seeds_train_alike() -> None:
    network = copy.deepcopy(untrained()).train()
    before, settings = copy.deepcopy(network), MaskSettings(updates=3, batch_size=8, widest=4)
    made = [masks.build(network, 32, settings, 0) for _ in range(3)]
    first, second = (list(masks.train(maker, network, images(), settings, 0)) for maker in made[:2])
    assert first == second and len(first) == 3 and equal_weights(network, before)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert equal_weights(made[0], made[1]) and not equal_weights(made[0], made[2])
    assert next(masks.train(made[2], network, images(), settings, 1)) != first[0]


def test_a_constant_classifier_needs_no_pixel() -> None:
    network = copy.deepcopy(untrained())
    nn.init.zeros_(network.linear.weight)
    settings = MaskSettings(updates=60, batch_size=8, rate=0.03, widest=4)
    made = masks.build(network, 32, settings, 0)
    list(masks.train(made, network, images(), settings, 0))
    assert float(masks.predict(made, network, images(), 4.0).masks.mean()) < 0.02


def achievable(background: float, side: int = 32, tag: int = 4) -> float:
    """Share on the tag of a mask that is 1 there and `background` on every other pixel."""
    return tag**2 / (tag**2 + (side**2 - tag**2) * background)


def test_the_mask_of_a_classifier_that_reads_the_tag_lies_on_the_tag() -> None:
    assert achievable(0.0018) == pytest.approx(0.9, abs=0.002) and achievable(1.0) == 16 / 1024
    tagged = scenes.generate(ScenesConfig(rho=1.0, **LARGE), 400, 0, "taught")
    training, given = (
        annotated_images.of_scenes(tagged),
        scenes.generate(ScenesConfig(**LARGE), 60, 0, "explained"),
    )
    trainer = MultitaskTrainer((Phase(("classify",), 200),), MultitaskSettings(8, 16), training, 0)
    list(trainer.train(training))
    network, explained = trainer.network.eval().requires_grad_(False), annotated_images.of_scenes(given)
    with torch.no_grad():
        predicted = network(explained.images).argmax(1).numpy()
    assert (predicted == given.tags).mean() > 0.9 and (predicted == given.labels).mean() < 0.5
    settings = MaskSettings(low_area=10.0, high_area=10.0, updates=90, batch_size=16, rate=0.02, widest=8)
    made = masks.build(network, 32, settings, 0)
    list(masks.train(made, network, training.images, settings, 0))
    shown = masks.predict(made, network, explained.images, 10.0).masks.numpy()
    assert mass_on_tag(shown, given.tag_boxes).mean() > achievable(0.05) > 15 * achievable(1.0)
    assert mass_in_mask(shown, given.masks).mean() < 0.1 < given.masks.mean()  # not on the object


def test_an_optimised_mask_covers_the_half_that_the_classifier_reads() -> None:
    class LeftHalf(nn.Module):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            left = 20 * (given[:, :, :, :16].mean((1, 2, 3)) - 0.5)
            return torch.stack([left, -left], dim=1)

    settings = MaskSettings(low_area=1.0, high_area=1.0, smoothness=0.1)
    optimised = masks.optimise_masks(LeftHalf(), torch.full((2, 3, 32, 32), 0.9), settings, 0, steps=40)
    assert optimised.shape == (2, 32, 32) and float(optimised[:, :, :12].mean()) > 3 * float(
        optimised[:, :, 20:].mean()
    )


def test_the_leak_is_high_for_masks_that_encode_the_class_and_zero_for_others() -> None:
    draws = numpy_stream(0, "labels of a test")
    labels = draws.integers(0, 4, 450)
    shapes = draws.random((450, 16, 16)) * 0.2
    encoding = shapes.copy()
    for index, label in enumerate(labels):
        encoding[index, 4 * label : 4 * label + 4] += 0.5
    high, low, none = (
        leak(torch.from_numpy(values), torch.from_numpy(labels), 4, 0)
        for values in (encoding, shapes, np.ones((450, 16, 16)))
    )
    assert high > 0.65 and abs(low) < 0.1 and abs(none) < 0.1
