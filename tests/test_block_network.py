"""Networks as four blocks: the same logits merged, by blocks and behind scales."""

import pytest
import torch
from torch import nn

from mlcv_explore.models import block_network, imagenet
from mlcv_explore.models.block_network import BLOCKS

IMAGES = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def trained_norms() -> block_network.BlockNetwork:
    """A small network whose batch norms have statistics and weights of their own."""
    network = block_network.small(1, 8, 4, 10, 0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return block_network.with_statistics(network, IMAGES)


def test_merged_batch_norms_leave_the_logits_and_the_original() -> None:
    network = trained_norms()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    merged = block_network.merged(network)
    assert torch.allclose(merged(IMAGES), network(IMAGES), atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in merged.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_logits_from_any_block_are_those_of_the_whole() -> None:
    network = trained_norms()
    for place in range(BLOCKS + 1):
        values = network.between(IMAGES, 0, place)
        assert torch.equal(network.logits(values, place), network(IMAGES))


def test_statistics_are_those_of_the_images() -> None:
    network = trained_norms()
    values = network.blocks[0][0](IMAGES)
    norm = network.blocks[0][1]
    assert torch.allclose(norm.running_mean, values.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(norm.running_var, values.var((0, 2, 3)), rtol=1e-4)
    assert not network.training


def test_scales_do_nothing_yet_and_then_act_as_a_batch_norm_would() -> None:
    network = block_network.merged(trained_norms())
    scaled = block_network.with_scales(network)
    assert torch.equal(scaled(IMAGES), network(IMAGES))
    block = scaled.blocks[0][0]
    with torch.no_grad():
        block.scale.mul_(2)
        block.shift.add_(1)
    assert torch.allclose(block(IMAGES), 2 * network.blocks[0][0](IMAGES) + 1)


@pytest.mark.skipif(not imagenet.present(), reason="the ImageNet network is not installed")
def test_the_imagenet_network_as_blocks_has_its_features_and_a_random_one_others() -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    normalise, whole = imagenet.load().network
    network = block_network.imagenet_blocks(5, 0)
    features = network.between(images, 0).mean((2, 3))
    assert torch.allclose(features, whole.features(normalise(images)), atol=1e-4)
    assert network(images).shape == (2, 5)
    random = block_network.imagenet_blocks(5, 0, images)
    own = random.between(images, 0)
    assert own.isfinite().all() and not torch.allclose(own.mean((2, 3)), features, atol=0.1)
    assert sum(value.numel() for value in random.parameters()) == sum(
        value.numel() for value in network.parameters()
    )
    assert torch.equal(random.head.weight, network.head.weight)
