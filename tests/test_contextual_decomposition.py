"""Contextual decomposition: its parts add up to the logits, all or nothing stays so,
and every rule is what a slow loop over units gives.
"""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.models.classifiers import Normalise, residual_classifier, whitened_classifier
from mlcv_explore.saliency.contextual_decomposition import decompose
from mlcv_explore.seeds import seeded, stream

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def trained_a_little(build) -> nn.Sequential:
    """Running statistics, biases and filters away from their start, so that no term of
    a rule vanishes.
    """
    chance = stream(0, "a test")
    built = seeded(0, lambda: build(4, 5, MEAN, STD))
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d | nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias, 0.1, 0.3, generator=chance)
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, 0.2, generator=chance)
    for _ in range(20):
        built(torch.rand(32, 3, 16, 16, generator=chance))
    return built.eval()


@pytest.fixture(scope="module", params=[residual_classifier, whitened_classifier])
def network(request) -> nn.Sequential:
    return trained_a_little(request.param)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(6, 3, 16, 16, generator=stream(1, "a test")).clamp(0.01)


@pytest.fixture(scope="module")
def masks() -> torch.Tensor:
    return (torch.rand(6, 1, 16, 16, generator=stream(2, "a test")) < 0.4).float()


def test_the_parts_add_up_to_the_logits(network, images, masks):
    relevant, irrelevant = decompose(network, images, images * masks)
    assert relevant.shape == irrelevant.shape == (6, 5)
    torch.testing.assert_close(relevant + irrelevant, network(images), atol=1e-4, rtol=0)
    assert relevant.abs().min() > 1e-4 and irrelevant.abs().min() > 1e-4


def test_everything_relevant_leaves_nothing_and_nothing_relevant_gives_nothing(network, images):
    relevant, irrelevant = decompose(network, images, images)
    torch.testing.assert_close(relevant, network(images), atol=1e-4, rtol=0)
    assert irrelevant.abs().max() < 1e-4
    relevant, irrelevant = decompose(network, images, torch.zeros_like(images))
    assert (relevant == 0).all()
    torch.testing.assert_close(irrelevant, network(images), atol=1e-4, rtol=0)


def test_a_batch_equals_one_by_one_and_one_image_may_be_shared(network, images, masks):
    for together, alone in zip(
        decompose(network, images, images * masks),
        zip(
            *(decompose(network, images[[row]], images[[row]] * masks[[row]]) for row in range(6)),
            strict=True,
        ),
        strict=True,
    ):
        torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)
    parts = images[:1] * masks
    for shared, repeated in zip(
        decompose(network, images[:1], parts),
        decompose(network, images[:1].expand(6, -1, -1, -1), parts),
        strict=True,
    ):
        torch.testing.assert_close(shared, repeated, atol=1e-5, rtol=1e-4)


def test_black_pixels_are_better_masked_behind_the_normalisation():
    network = seeded(0, lambda: nn.Sequential(Normalise(MEAN, STD), nn.Conv2d(3, 2, 3), nn.Flatten())).eval()
    black = torch.zeros(1, 3, 4, 4)
    relevant, irrelevant = decompose(network, black, black)
    assert irrelevant.abs().max() > 0.1  # the bias of the normalisation counts as irrelevant
    relevant, irrelevant = decompose(network[1:], network[0](black), network[0](black))
    torch.testing.assert_close(relevant, network(black))
    assert (irrelevant == 0).all()


def test_one_unit_by_hand():
    network = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1)).eval()
    with torch.no_grad():
        for parameter, value in zip(
            network.parameters(), ([[2.0, -1.0]], [0.8], [[3.0]], [-1.0]), strict=True
        ):
            parameter.copy_(torch.tensor(value))
    whole = torch.tensor([[1.0, 0.5]])  # Wβ = 2, Wγ = −0.5: β gets 4/5 of 0.8
    relevant, irrelevant = decompose(network, whole, torch.tensor([[1.0, 0.0]]))
    hidden, rest = 2.64, 2.3 - 2.64
    share = 3 * hidden / (3 * hidden + 3 * abs(rest))
    assert float(relevant) == pytest.approx(3 * hidden - share, abs=1e-5)
    assert float(irrelevant) == pytest.approx(3 * rest - (1 - share), abs=1e-5)
    # β = −0.5 + 0.16 is cut by the ReLU
    relevant, irrelevant = decompose(network, whole, torch.tensor([[0.0, 0.5]]))
    assert (float(relevant), float(irrelevant)) == pytest.approx((0, 3 * 2.3 - 1), abs=1e-5)


def with_bias(beta, gamma, bias):
    """A unit's two products and its bias, split."""
    share = abs(beta) / (abs(beta) + abs(gamma)) if beta else 0.0
    return beta + share * bias, gamma + (1 - share) * bias


def slowly(network, beta, gamma):
    """The rules one unit at a time on arrays (C, h, w): normalise, convolution with
    padding 1, batch norm, ReLU, maximum of 2×2, mean, linear.
    """
    normalise, convolution, norm, _, _, _, _, linear = network.requires_grad_(False)
    mean, std = normalise.mean.flatten(), normalise.std.flatten()
    for channel, row, column in np.ndindex(beta.shape):
        m, s, at = float(mean[channel]), float(std[channel]), (channel, row, column)
        beta[at], gamma[at] = with_bias(beta[at] / s, gamma[at] / s, -m / s)
    weight, bias = convolution.weight.detach().numpy(), convolution.bias.detach().numpy()
    wide = [np.pad(part, ((0, 0), (1, 1), (1, 1))) for part in (beta, gamma)]
    outputs = np.zeros((2, len(weight), *beta.shape[1:]))
    for unit, row, column in np.ndindex(outputs.shape[1:]):
        products = [(weight[unit] * part[:, row : row + 3, column : column + 3]).sum() for part in wide]
        scale = float(norm.weight[unit] / torch.sqrt(norm.running_var[unit] + norm.eps))
        one, other = with_bias(*products, bias[unit])
        one, other = with_bias(
            scale * one, scale * other, float(norm.bias[unit]) - scale * float(norm.running_mean[unit])
        )
        outputs[:, unit, row, column] = max(one, 0), max(one + other, 0) - max(one, 0)
    pooled = np.zeros((2, len(weight)))
    height, width = outputs.shape[2] // 2, outputs.shape[3] // 2
    for unit, row, column in np.ndindex(len(weight), height, width):
        window = outputs[:, unit, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(2, 4)
        pooled[:, unit] += window[:, window.sum(0).argmax()] / (height * width)
    rows, biases = linear.weight.detach().numpy(), linear.bias.detach().numpy()
    return np.array(
        [with_bias(row @ pooled[0], row @ pooled[1], b) for row, b in zip(rows, biases, strict=True)]
    ).T


def test_every_rule_is_what_a_loop_over_units_gives(images, masks):
    chance = stream(3, "a test")
    layers = [Normalise(MEAN, STD), nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()]
    network = nn.Sequential(*layers, nn.MaxPool2d(2), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4, 3))
    for module in network:
        for tensor in (getattr(module, name, None) for name in ("weight", "bias", "running_mean")):
            if tensor is not None:
                nn.init.normal_(tensor, 0.1, 0.5, generator=chance)
    network.eval()
    whole, relevant = images[:2, :, :8, :8], (images * masks)[:2, :, :8, :8]
    contributions = torch.stack(decompose(network, whole, relevant)).numpy()
    for row in range(2):
        beta, gamma = relevant[row].double().numpy().copy(), (whole - relevant)[row].double().numpy().copy()
        np.testing.assert_allclose(contributions[:, row], slowly(network, beta, gamma), atol=1e-4)


def test_a_module_without_a_rule_and_a_network_in_training_are_refused(network, images):
    with pytest.raises(TypeError, match="no rule for GELU"):
        decompose(nn.Sequential(nn.Flatten(), nn.GELU()).eval(), images, images)
    with pytest.raises(ValueError, match="evaluation mode"):
        decompose(copy.deepcopy(network).train(), images, images)
