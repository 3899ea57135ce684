"""Adaptation to unlabelled images, of one network and of a stack."""

import copy

import pytest
import torch
from torch import nn

from mlcv_explore.models import test_time_adaptation as adaptation
from mlcv_explore.models.normalised_networks import NormalisedNetworks, joined, repeated
from mlcv_explore.seeds import seeded


def convolutional() -> nn.Module:
    def build() -> nn.Module:
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), *head)

    network = seeded(0, build)
    network(torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0)))  # statistics of its own
    return network.eval().requires_grad_(False)


def stack(count: int = 3) -> NormalisedNetworks:
    networks = NormalisedNetworks((5, 8, 8, 3), range(count))
    networks.train()(torch.randn(count, 40, 5, generator=torch.Generator().manual_seed(1)))
    return networks.eval().requires_grad_(False)


def images(count: int = 30) -> torch.Tensor:
    return 2 + 3 * torch.randn(count, 5, generator=torch.Generator().manual_seed(2))


def labelled(networks: NormalisedNetworks) -> adaptation.Labelled:
    inputs = torch.randn(networks.count, 20, 5, generator=torch.Generator().manual_seed(3))
    return lambda _: (inputs, torch.arange(20).expand(networks.count, -1) % 3)


def test_batch_statistics_are_those_of_training_mode_and_nothing_is_kept() -> None:
    network, batch = convolutional(), torch.randn(10, 1, 8, 8)
    before = copy.deepcopy(network.state_dict())
    expected = copy.deepcopy(network).train()(batch)
    torch.testing.assert_close(adaptation.reestimated(network, [batch]), expected)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.training and torch.equal(network(batch[:1]), network(batch[:1]))


def test_stored_statistics_become_those_of_the_images() -> None:
    network, batch = stack(), images().expand(3, -1, -1)
    expected = adaptation.reestimated(network, [batch], axis=1)
    adaptation.store_statistics(network, batch, axis=1)
    found = network(batch)  # the stored variance is the unbiased one
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)
    assert not network.norms[0].training and network.norms[0].momentum == 0.1


def test_tent_lowers_the_entropy_by_scales_and_shifts_alone() -> None:
    network, batch = convolutional(), torch.randn(30, 1, 8, 8)
    before = copy.deepcopy(network.state_dict())
    start = adaptation.entropy(adaptation.reestimated(network, [batch]))
    adaptation.tent(network, lambda _: batch, 20, rate=0.01)
    assert adaptation.entropy(adaptation.reestimated(network, [batch])) < start
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"1.weight", "1.bias"}
    assert not any(value.requires_grad for value in network.parameters())


def test_tent_takes_the_steps_of_adam_by_hand() -> None:
    network, batch = stack(1), images().expand(1, -1, -1)
    slow = copy.deepcopy(network)
    adaptation.tent(network, lambda _: batch, 1, axis=1)
    scales = [norm.weight.requires_grad_() for norm in slow.norms]
    with adaptation.batch_statistics(slow):
        logs = slow(batch).log_softmax(-1)
    gradients = torch.autograd.grad(-(logs.exp() * logs).sum(-1).mean(), scales)
    for norm, scale, gradient in zip(network.norms, scales, gradients, strict=True):
        torch.testing.assert_close(norm.weight, (scale - 1e-3 * gradient.sign()).detach(), atol=2e-5, rtol=0)


@pytest.mark.parametrize("method", ["none", "bn", "tent", "coral", "mme"])
def test_no_steps_are_the_source_bit_for_bit(method: str) -> None:
    network = stack()
    batches = [part.expand(3, -1, -1) for part in images().split(15)]
    found = adaptation.adapted(method, network, batches, labelled(network), 0, axis=1)
    assert torch.equal(found, torch.cat([network(part) for part in batches], 1))
    moved = adaptation.adapted(method, network, batches, labelled(network), 3, axis=1)
    assert torch.equal(found, moved) == (method == "none")


@pytest.mark.parametrize("method", ["bn", "tent", "coral", "mme"])
def test_networks_of_a_stack_adapt_as_if_alone(method: str) -> None:
    networks = stack()
    batches = [part.expand(3, -1, -1) for part in images().split(15)]
    together = adaptation.adapted(method, networks, batches, labelled(networks), 4, axis=1)
    for place in range(3):
        single, own = repeated(networks, place, 1), [batch[:1] for batch in batches]
        alone = adaptation.adapted(method, single, own, labelled(single), 4, axis=1)
        inputs, labels = labelled(networks)(0)
        source = (inputs[place : place + 1], labels[place : place + 1])
        alone = adaptation.adapted(method, single, own, lambda _, source=source: source, 4, axis=1)
        torch.testing.assert_close(alone[0], together[place], atol=1e-5, rtol=1e-4)


def test_predictions_come_back_in_the_order_of_the_images() -> None:
    networks = stack()
    orders = torch.stack([torch.randperm(30, generator=torch.Generator().manual_seed(n)) for n in range(3)])
    found = adaptation.predictions("none", networks, images(), orders, 7, None, 0)
    assert torch.equal(found, networks.predict(images()).argmax(-1))


def test_aligned_features_have_no_distance_and_coral_reduces_it(monkeypatch) -> None:
    monkeypatch.setattr(adaptation, "ALIGNMENT", 1e3)  # the labels count for little
    one, other = torch.randn(2, 50, 4), 3 + 2 * torch.randn(2, 50, 4)
    assert adaptation.alignment(one, one) == 0
    means = (one.mean(1) - other.mean(1)).square().mean(1)
    covariances = torch.stack([torch.cov(a.T) - torch.cov(b.T) for a, b in zip(one, other, strict=True)])
    expected = (means + covariances.square().mean((1, 2))).sum()
    torch.testing.assert_close(adaptation.alignment(one, other), expected)
    networks, target = stack(1), images()[None]
    source = labelled(networks)

    def distance() -> torch.Tensor:
        with adaptation.batch_statistics(networks), torch.no_grad():
            return adaptation.alignment(networks.features(source(0)[0]), networks.features(target))

    before = distance()
    adaptation.coral(networks, source, lambda _: target, 50, rate=0.01, axis=1)
    assert distance() < before


def test_mme_raises_the_entropy_by_the_classifier_and_lowers_it_by_the_features(monkeypatch) -> None:
    monkeypatch.setattr(adaptation, "ENTROPY", 1e4)  # the labels count for nothing
    target = images()[None]

    def moved(part: str) -> float:
        networks = stack(1)
        fixed = copy.deepcopy(networks.state_dict())
        adaptation.mme(networks, labelled(networks), lambda _: target, 3, rate=1e-3, axis=1)
        kept = {name for name in fixed if name.startswith(("head", "bias")) == (part == "features")}
        networks.load_state_dict({**networks.state_dict(), **{name: fixed[name] for name in kept}})
        before, after = stack(1), networks
        entropies = [
            adaptation.entropy(adaptation.reestimated(each, [target], 1)) for each in (before, after)
        ]
        return float(entropies[1] - entropies[0])

    assert moved("classifier") > 0 > moved("features")


def test_a_batch_of_one_and_a_network_without_statistics_are_refused_in_a_sentence() -> None:
    networks = stack()
    for adapt in (
        lambda: adaptation.reestimated(networks, [images(1).expand(3, -1, -1)], axis=1),
        lambda: adaptation.tent(networks, lambda _: images(1).expand(3, -1, -1), 1, axis=1),
        lambda: adaptation.tent(convolutional(), lambda _: torch.randn(1, 1, 8, 8), 1),
    ):
        with pytest.raises(ValueError, match=r"needs at least two images, .*; got 1"):
            adapt()
    with pytest.raises(ValueError, match="without batch normalisation"):
        adaptation.tent(nn.Linear(3, 2), lambda _: torch.randn(4, 3), 1)


def test_copies_and_joined_stacks_predict_as_their_networks_do() -> None:
    networks, inputs = stack(), images()
    whole = joined([networks, repeated(networks, 2, 2)])
    expected = networks.predict(inputs)
    torch.testing.assert_close(whole.predict(inputs)[:3], expected)
    torch.testing.assert_close(whole.predict(inputs)[3:], expected[2:].expand(2, -1, -1))


def test_a_stack_is_pytorchs_own_networks_side_by_side() -> None:
    networks, inputs = stack(2), torch.randn(2, 12, 5)
    for place in range(2):
        layers: list[nn.Module] = []
        for weight, norm in zip(networks.weights, networks.norms, strict=True):
            linear, own = nn.Linear(weight.shape[2], weight.shape[1], bias=False), nn.BatchNorm1d(8)
            linear.weight.data = weight[place].data
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(own, name).data = getattr(norm, name).data.view(2, 8)[place]
            layers += [linear, own, nn.ReLU()]
        last = nn.Linear(8, 3)
        last.weight.data, last.bias.data = networks.head[place].data, networks.bias[place, :, 0].data
        single = nn.Sequential(*layers, last)
        for mode in (False, True):
            torch.testing.assert_close(networks.train(mode)(inputs)[place], single.train(mode)(inputs[place]))
            networks.load_state_dict(stack(2).state_dict())
