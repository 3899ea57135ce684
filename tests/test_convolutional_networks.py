"""Stacks of small convolutional networks, their training, and views of photographs."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data import photograph_views
from mlcv_explore.data.augmentation import jitter
from mlcv_explore.models import normalised_networks, pipelines, test_time_adaptation
from mlcv_explore.models.convolutional_networks import ConvolutionalNetworks
from mlcv_explore.models.normalised_networks import joined, repeated
from mlcv_explore.models.pipelines import Examples, Randomness, Training

SIZES = (3, 4, 6, 8, 5)
SHORT = Training(3, 16, 30, 0.05, "convolutional")


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def stack(count: int = 3) -> ConvolutionalNetworks:
    """Networks whose stored statistics are their own."""
    networks = ConvolutionalNetworks(SIZES, range(count)).train()
    networks(drawn(count, 20, 3, 16, 16, seed=1))
    return networks.eval().requires_grad_(False)


def examples(count: int = 3) -> Examples:
    """Photographs of 16 pixels whose red, green or blue is bright in stripes."""
    labels, images = torch.arange(150) % 3, drawn(150, 3, 16, 16)
    images[torch.arange(150), labels, ::2] += 0.8
    return Examples.shared(images, labels, count)


def generators(count: int = 2) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in range(count)]


def test_a_stack_is_pytorchs_own_networks_side_by_side() -> None:
    inputs = drawn(2, 12, 3, 16, 16)
    for place in range(2):
        networks, layers = stack(2), []
        for weight, norm in zip(networks.weights, networks.norms, strict=True):
            outputs, channels = weight.shape[1:3]
            layer, own = nn.Conv2d(channels, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs)
            layer.weight.data = weight[place].data
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(own, name).data = getattr(norm, name).data.view(2, -1)[place].clone()
            layers += [layer, own, nn.ReLU()]
        last = nn.Linear(8, 5)
        last.weight.data, last.bias.data = networks.head[place].data, networks.bias[place, :, 0].data
        single = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
        for training in (False, True):
            found = networks.train(training)(inputs)[place]
            torch.testing.assert_close(found, single.train(training)(inputs[place]), atol=1e-5, rtol=1e-5)
            means = [norm.running_mean.view(2, -1)[place] for norm in networks.norms]
            for mean, own in zip(means, layers[1::3], strict=True):
                torch.testing.assert_close(mean, own.running_mean)


def test_networks_of_equal_numbers_are_equal_and_no_other() -> None:
    networks = ConvolutionalNetworks(SIZES, (4, 4, 5), (1, 2, 1))
    one, same, other = networks.weights[0]
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(networks.head[0], networks.head[2])
    assert not torch.equal(networks.head[0], networks.head[1])
    assert torch.equal(ConvolutionalNetworks(SIZES, (5,)).weights[1][0], networks.weights[1][2])


def test_a_network_neither_reads_nor_normalises_by_the_images_of_another() -> None:
    networks, inputs = stack().train(), drawn(3, 10, 3, 16, 16)
    before = networks(inputs)
    inputs[1] = 5 * inputs[1]
    after = networks(inputs)
    assert torch.equal(before[0], after[0]) and torch.equal(before[2], after[2])
    assert not torch.equal(before[1], after[1])


def test_copies_and_joined_stacks_are_convolutional_and_predict_as_their_networks_do() -> None:
    networks, inputs = stack(), drawn(9, 3, 16, 16, seed=2)
    copies = repeated(networks, 2, 2)
    whole, expected = joined([networks, copies]), networks.predict(inputs)
    assert type(copies) is type(whole) is ConvolutionalNetworks and whole.count == 5
    torch.testing.assert_close(whole.predict(inputs), expected[[0, 1, 2, 2, 2]], atol=1e-6, rtol=1e-5)


def test_many_images_are_predicted_in_parts(monkeypatch) -> None:
    networks, inputs = stack(), drawn(9, 3, 16, 16, seed=2)
    whole = networks.predict(inputs)
    monkeypatch.setattr(normalised_networks, "AT_ONCE", 2 * 3 * 16 * 16)
    assert normalised_networks.at_once(inputs) == 2
    torch.testing.assert_close(networks.predict(inputs), whole, atol=1e-6, rtol=1e-5)
    monkeypatch.setattr(normalised_networks, "AT_ONCE", 1)
    assert normalised_networks.at_once(inputs) == 1


@pytest.mark.parametrize("pipeline", ["supervised", "views", "contrastive", "autoencoder"])
def test_a_pipeline_learns_and_comes_out_equal_twice(pipeline: str) -> None:
    given, numbers = examples(), Randomness.of(1, 3, ("weights", "order", "head"))
    networks, again = (pipelines.train(pipeline, SHORT, given, numbers) for _ in range(2))
    logits = networks.predict(given.images)
    assert type(networks) is ConvolutionalNetworks and networks.sizes == (3, 4, 8, 16, 3)
    assert torch.equal(logits, again.predict(given.images)) and not torch.equal(logits[0], logits[1])
    assert pipelines.accuracy(networks, given.images, given.labels) > 0.8
    mean = functional.conv2d(given.images, networks.weights[0][1], stride=2, padding=1).mean((0, 2, 3))
    torch.testing.assert_close(networks.norms[0].running_mean.view(3, -1)[1], mean, atol=1e-4, rtol=1e-3)


def test_networks_of_a_stack_are_trained_as_if_alone() -> None:
    numbers = Randomness.of(1, 2, ("weights", "order", "head"))
    short = Training(3, 16, 4, 0.05, "convolutional")
    both = pipelines.train("contrastive", short, examples(2), numbers)
    alone = Randomness(*([own[1]] for own in (numbers.weights, numbers.order, numbers.head, numbers.split)))
    single = pipelines.train("contrastive", short, examples(1), alone)
    for found, expected in zip(both.weights, single.weights, strict=True):
        torch.testing.assert_close(found[1], expected[0], atol=2e-4, rtol=1e-3)


def test_tent_changes_the_normalisations_alone_and_no_steps_nothing() -> None:
    networks, images = stack(), 2 * drawn(30, 3, 16, 16, seed=3)
    orders = torch.arange(30).expand(3, -1)
    found = test_time_adaptation.predictions("tent", networks, images, orders, 10, None, 0)
    assert torch.equal(found, networks.predict(images).argmax(-1))
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    test_time_adaptation.tent(networks, lambda _: images.expand(3, *images.shape), 2, axis=1)
    changed = {name for name, value in networks.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"norms.{level}.{name}" for level in range(3) for name in ("weight", "bias")}


def test_an_autoencoder_of_photographs_returns_means_of_parts_and_of_digits_their_pixels() -> None:
    images = drawn(2, 4, 3, 16, 16)
    found = SHORT.reconstructed(images)
    assert found.shape == (2, 4, 3 * 64)
    parts = images.unfold(3, 2, 2).unfold(4, 2, 2).mean((-1, -2))
    torch.testing.assert_close(found, parts.flatten(2))
    digits = drawn(2, 4, 1, 8, 8)
    assert torch.equal(SHORT.reconstructed(digits), digits.flatten(2))
    assert torch.equal(Training(3, 16, 2, 0.0).reconstructed(images), images.flatten(2))


def test_views_of_digits_are_shifted_by_a_pixel_and_photographs_have_views_of_their_own() -> None:
    digits = drawn(2, 5, 1, 8, 8)
    draws = generators()
    expected = torch.cat([jitter(digits, 0.2, 1, draws) for _ in range(2)], 1)
    assert torch.equal(pipelines.two_views(digits, 0.2, generators()), expected)
    photographs, draws = drawn(2, 5, 3, 16, 16), generators()
    expected = torch.cat([photograph_views.view(photographs, 0.2, draws) for _ in range(2)], 1)
    found = pipelines.two_views(photographs, 0.2, generators())
    assert torch.equal(found, expected) and not torch.equal(found[:, :5], found[:, 5:])


def test_a_view_is_a_crop_perhaps_mirrored_of_another_contrast_and_colour() -> None:
    images = drawn(2, 40, 3, 16, 16)
    before = images.clone()
    found = photograph_views.view(images, 0.0, generators())
    assert torch.equal(images, before)
    padded, mirrored, places = functional.pad(images[1], (2,) * 4), 0, set()
    for image, view in zip(padded, found[1], strict=True):
        errors = {}
        for down in range(5):
            for right in range(5):
                crop = image[:, down : down + 16, right : right + 16]
                for flipped in (False, True):
                    pixels = (crop.flip(-1) if flipped else crop).flatten(1)
                    centred, own = (each - each.mean(1, keepdim=True) for each in (pixels, view.flatten(1)))
                    scale = (centred * own).sum() / centred.square().sum()
                    moved = (view.flatten(1).mean(1) - scale * pixels.mean(1)).abs().max()
                    errors[down, right, flipped] = ((own - scale * centred).abs().max(), scale, moved)
        place = min(errors, key=lambda each: errors[each][0])
        error, scale, moved = errors[place]
        assert error < 1e-5 and abs(scale - 1) <= 0.3 and moved <= 0.3 + 1e-5
        mirrored += place[2]
        places.add(place[:2])
    assert 10 < mirrored < 30 and len(places) > 12


def test_noise_of_views_has_its_standard_deviation_and_equal_generators_draw_alike() -> None:
    images = drawn(2, 40, 3, 16, 16)
    plain, noisy = (photograph_views.view(images, noise, generators()) for noise in (0.0, 0.1))
    assert (noisy - plain).std() == pytest.approx(0.1, rel=0.02)
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    same = photograph_views.view(images[:1].expand(2, -1, -1, -1, -1), 0.1, [one, other])
    assert torch.equal(same[0], same[1])
