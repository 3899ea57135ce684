"""Networks in two parts are the network; a decoder gives back an image of its size."""

import pytest
import torch

from mlcv_explore.models.encoders import DEPTHS, ConvolutionalNetwork, build_decoder, build_networks
from mlcv_explore.seeds import stream

SHAPES = [("dense", (1, 8, 8)), ("convolutional", (1, 8, 8)), ("convolutional", (3, 32, 32))]


@pytest.mark.parametrize(("kind", "shape"), SHAPES)
def test_a_network_run_in_two_parts_is_the_network(kind: str, shape: tuple[int, ...]):
    stack = build_networks(kind, shape, 8, 5, [0, 1])
    inputs = torch.randn(2, 3, *shape, generator=stream(0, "test"))
    with torch.no_grad():
        whole = stack(inputs)
        assert whole.shape == (2, 3, 5)
        for depth in range(DEPTHS + 1):
            features = stack.partial_forward(inputs, 0, depth)
            torch.testing.assert_close(stack.partial_forward(features, depth), whole)
            assert depth == 0 or features.shape[2:] == stack.feature_shape(depth)
    assert len(stack.encoder_parameters(0)) == 0 and len(stack.encoder_parameters(2)) > 0


@pytest.mark.parametrize("side", [8, 32])
def test_a_decoder_of_any_depth_gives_an_image_of_the_same_size(side: int):
    network, images = ConvolutionalNetwork(3, side, 4, 5), torch.rand(2, 3, side, side)
    for depth in range(1, DEPTHS + 1):
        decoded = build_decoder(3, network.shapes, depth)(network.partial_forward(images, 0, depth))
        assert decoded.shape == images.shape and decoded.min() >= 0 and decoded.max() <= 1
