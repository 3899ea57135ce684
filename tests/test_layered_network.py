"""A network with a classifier at each layer: its loss, its blocks, and its best epoch."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from mlcv_explore.models import layered_network
from mlcv_explore.models.layered_network import LayeredNetwork, Outliers
from mlcv_explore.seeds import stream

SIZES = (4, 8, 16, 16)


def features(count: int, purpose: str) -> list[torch.Tensor]:
    """(n, d) of every layer."""
    draws = stream(0, purpose)
    return [torch.randn(count, size, generator=draws) for size in SIZES]


def test_the_loss_against_outliers_by_hand_is_a_mean_over_layers() -> None:
    network, real, others = layered_network.build(SIZES, 4, 8, 0), features(9, "real"), features(7, "others")
    network.slopes.data.copy_(torch.tensor([1.0, 2.0, 0.5, 1.5]))
    network.offsets.data.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
    losses = []
    for layer in (1, 3):
        odds = [
            network.slopes[layer] * network.heads[layer](values[layer]).exp().sum(1).log()
            + network.offsets[layer]
            for values in (real, others)
        ]
        losses.append(-(torch.sigmoid(odds[0]).log().mean() + torch.sigmoid(-odds[1]).log().mean()) / 2)
    found = layered_network._against(network, real, others, (1, 3))
    assert found.item() == pytest.approx(sum(losses).item() / 2, rel=1e-4)


def test_classifiers_below_the_last_leave_the_blocks_as_they_are() -> None:
    draws = stream(0, "images")
    images, labels = torch.rand(100, 1, 8, 8, generator=draws), torch.randint(8, (100,), generator=draws)
    networks = [layered_network.build((1, 8, 8), 4, 8, 0) for _ in range(2)]
    for head in networks[1].heads[:3]:
        for parameter in head.parameters():
            parameter.data.zero_()
    for network in networks:
        layered_network.train(network, images, labels, 2, 0)
    pairs = zip(networks[0].blocks.parameters(), networks[1].blocks.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_outliers_come_from_their_epoch_on_and_at_least_in_the_last() -> None:
    data, labels = torch.cat(features(60, "real"), 1), torch.arange(60) % 8
    for epochs, start, expected in ((5, 0.4, 3), (5, 0.0, 5), (1, 0.9, 1), (3, 0.9, 1)):
        calls: list[int] = []
        network = layered_network.build(SIZES, 4, 8, 0)

        def outliers(network: LayeredNetwork = network, calls: list[int] = calls) -> Outliers:
            calls.append(len(calls))
            return lambda chosen: network.features(data[chosen])

        layered_network.train(network, data, labels, epochs, 0, outliers, (3,), 1.0, start)
        assert len(calls) == expected


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_best_epoch_is_that_of_the_networks_own_loss_on_validation_images(weight: float) -> None:
    """Against training for every number of epochs and computing the loss by hand; with
    outliers their loss counts.
    """
    draws = stream(0, "best epoch")
    means = 1.5 * torch.randn(8, sum(SIZES), generator=draws)
    labels = torch.randint(8, (240,), generator=draws)
    data = means[labels] + 4 * torch.randn(240, sum(SIZES), generator=draws)
    train, held_out = (data[:160], labels[:160]), (data[160:], labels[160:])
    others = features(160, "others")

    def outliers() -> Outliers:
        return lambda chosen: {3: others[3][chosen]}

    losses, states, least = [], [], []
    for epochs in range(1, 26):
        network = layered_network.build(SIZES, 4, 8, 0)
        layered_network.train(network, *train, epochs, 0, outliers, (3,), weight)
        values = network.features(held_out[0])
        least.append(float(cross_entropy(network(held_out[0]), held_out[1])))
        against = layered_network._against(network, values, {3: others[3][:80]}, (3,))
        losses.append(least[-1] + weight * float(against))
        states.append(network.state_dict())
    network = layered_network.build(SIZES, 4, 8, 0)
    layered_network.train(network, *train, 25, 0, outliers, (3,), weight, validation=held_out)
    best = int(np.argmin(losses))
    assert 0 < best < 24 and (weight == 0 or best != np.argmin(least))
    assert all(torch.equal(network.state_dict()[key], value) for key, value in states[best].items())
