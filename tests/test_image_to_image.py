"""The network that changes images: the identity at the start, bounded when trained."""

import pytest
import torch

from mlcv_explore.models.image_to_image import ImageToImage
from mlcv_explore.seeds import stream


@pytest.mark.parametrize("noise", [0, 2])
def test_untrained_it_is_the_identity_and_trained_it_is_bounded(noise: int) -> None:
    draws = stream(0, "test")
    images = torch.rand(5, 3, 8, 8, generator=draws)
    beside = torch.randn(5, noise, 8, 8, generator=draws) if noise else None
    network = ImageToImage(3, 4, 0.2, seed=1, noise=noise)
    assert torch.equal(network(images, beside), images)
    for parameter in network.parameters():
        parameter.data.add_(10)
    change = network.change(images, beside)
    assert float(change.abs().max()) == pytest.approx(0.2)
    assert torch.equal(network(images, beside), (images + change).clamp(0, 1))


def test_its_gradient_reaches_every_layer_after_one_step_and_seeds_differ() -> None:
    images = torch.rand(5, 1, 8, 8, generator=stream(0, "test"))
    network, other = (ImageToImage(1, 4, 0.5, seed) for seed in (1, 2))
    assert not torch.equal(network.layers[0].weight, other.layers[0].weight)
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    for _ in range(2):
        optimiser.zero_grad()
        network(images).square().mean().backward()
        optimiser.step()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in network.parameters())
