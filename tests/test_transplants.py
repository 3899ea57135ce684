"""Blocks of one network in another: whose weights they are, and which of them train."""

import pytest
import torch

from mlcv_explore.models.encoders import ConvolutionalNetwork
from mlcv_explore.models.robust_training import train
from mlcv_explore.models.transplants import transplanted
from mlcv_explore.seeds import seeded, stream


@pytest.mark.parametrize("parts", [("blocks.0.",), ("blocks.1.", "blocks.2.", "last.")])
@pytest.mark.parametrize("trained", [False, True])
def test_what_is_donated_stays_as_it_is_and_the_rest_trains_on(parts: tuple[str, ...], trained: bool) -> None:
    receiver, donor = (seeded(seed, lambda: ConvolutionalNetwork(1, 8, 4, 3)) for seed in (0, 1))
    for network in (receiver, donor):
        network.requires_grad_(not trained)  # as a training leaves them
    before = {name: value.clone() for name, value in receiver.state_dict().items()}
    given = {name: value.clone() for name, value in donor.state_dict().items()}
    network, free = transplanted(receiver, donor, parts)
    donated = {name for name in given if name.startswith(parts)}
    assert 0 < len(donated) < len(given) == len(donated) + len(free)
    for name, value in network.named_parameters():
        assert torch.equal(value, (given if name in donated else before)[name])
        assert value.requires_grad == (name not in donated) == any(value is each for each in free)
    images, labels = torch.rand(60, 1, 8, 8, generator=stream(0, "images")), torch.arange(60) % 3
    train(network, images, labels, 1, 0, parameters=free)
    for name, value in network.state_dict().items():
        assert torch.equal(value, given[name]) if name in donated else not torch.equal(value, before[name])
    assert all(torch.equal(value, before[name]) for name, value in receiver.state_dict().items())
    assert all(torch.equal(value, given[name]) for name, value in donor.state_dict().items())
