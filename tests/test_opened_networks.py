"""Sites of networks, the dimension of what is there, and robust training."""

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.metrics.intrinsic_dimension import two_nearest
from mlcv_explore.models import available_models, layers, robust_training
from mlcv_explore.models.encoders import ConvolutionalNetwork
from mlcv_explore.seeds import seeded, stream


@pytest.mark.parametrize(("name", "side", "sites"), [("cifar10/0", 32, 9), ("imagenet", 64, 11)])
def test_every_tail_of_a_chain_continues_its_own_activations(name: str, side: int, sites: int) -> None:
    network = available_models.load(name).network
    chain, images = layers.chain(network, name), torch.rand(2, 3, side, side, generator=stream(0, "images"))
    values = chain.activations(images)
    assert len(values) == len(chain.names) == sites and chain.names[:: sites - 1] == ("input", "logits")
    for site, value in enumerate(values):
        assert torch.allclose(chain.tail(site)(value), network(images), rtol=1e-4, atol=1e-4)
    assert torch.equal(chain.between(1, 3)(values[1]), values[3])
    assert values[-2].ndim == 2  # pooled, before the last linear layer


def test_a_grey_network_is_a_chain_too() -> None:
    grey = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    assert layers.chain(grey).names == ("input", "block 1", "logits")


def test_a_network_of_tokens_is_refused_in_a_sentence() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.last = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.last(self.patch(images).flatten(2).mT).mean(1)

    with pytest.raises(ValueError, match="vit is not one chain of blocks") as refusal:
        layers.chain(Tokens(), "vit")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_dimension_of_a_gaussian_is_found_in_a_larger_space(dimension: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1500, dimension)) @ rng.normal(size=(dimension, 30))
    assert two_nearest(points) == pytest.approx(dimension, rel=0.15)
    assert two_nearest(np.concatenate([points, points[:100]])) > 0  # duplicates are left out
    assert np.isnan(two_nearest(np.zeros((20, 3))))


def test_whitened_activations_have_the_identity_as_covariance() -> None:
    draws = stream(0, "activations")
    values = torch.einsum(
        "cd,ndhw->nchw", torch.randn(4, 4, generator=draws), torch.randn(200, 4, 3, 3, generator=draws)
    )
    flat = values.transpose(0, 1).flatten(1)
    scale = robust_training.channel_scale(values, True)
    assert torch.allclose(torch.cov(torch.linalg.solve(scale, flat)), torch.eye(4), atol=0.1)
    deviations = robust_training.channel_scale(values, False)
    assert (
        torch.allclose(deviations.diagonal(), flat.std(1), rtol=0.05)
        and not (deviations - deviations.diagonal().diag()).any()
    )


def test_robust_training_with_radius_0_is_plain_training_bit_for_bit_and_perturbs_where_it_is_told() -> None:
    draws = stream(0, "images")
    images, labels = torch.rand(60, 1, 8, 8, generator=draws), torch.arange(60) % 3
    networks = {
        name: seeded(0, lambda: ConvolutionalNetwork(1, 8, 4, 3))
        for name in ("plain", "nought", "hidden", "frozen")
    }
    robust_training.train(networks["plain"], images, labels, 2, 0)
    robust_training.train(networks["nought"], images, labels, 2, 0, site=1, radius=0.0)
    robust_training.train(networks["hidden"], images, labels, 2, 0, site=1, radius=2.0)
    before = [value.clone() for value in networks["frozen"].blocks.parameters()]
    robust_training.train(
        networks["frozen"], images, labels, 2, 0, parameters=[*networks["frozen"].last.parameters()]
    )
    weights = {
        name: torch.cat([value.flatten() for value in network.parameters()])
        for name, network in networks.items()
    }
    assert torch.allclose(weights["plain"], weights["nought"], atol=1e-6)
    assert not torch.allclose(weights["plain"], weights["hidden"], atol=1e-3)
    assert all(map(torch.equal, before, networks["frozen"].blocks.parameters()))
