"""The U-Net: what its way back reads, and a classifier as its encoder."""

import pytest
import torch
from torch import nn

from mlcv_explore.models import checkpoints, classifiers
from mlcv_explore.models.unet import SKIPS, Decoder, Encoder, UNet, backbone_channels, backbone_features
from mlcv_explore.seeds import seeded, stream

IMAGES = torch.rand(3, 3, 24, 24, generator=stream(0, "pictures"))


def features_of(channels: tuple[int, ...] = (4, 8, 16)) -> list[torch.Tensor]:
    sides = [24 // 2**level for level in range(len(channels))]
    return [
        torch.randn(3, count, side, side, generator=stream(level, "features"))
        for level, (count, side) in enumerate(zip(channels, sides, strict=True))
    ]


@pytest.mark.parametrize("skips", SKIPS)
def test_a_image_comes_back_at_its_own_side(skips: str) -> None:
    network = seeded(0, lambda: UNet(3, 2, 4, skips=skips)).eval()
    assert network(IMAGES).shape == (3, 2, 24, 24)
    assert [feature.shape[1:] for feature in network.encoder(IMAGES)] == [
        (4, 24, 24),
        (8, 12, 12),
        (16, 6, 6),
    ]
    assert Encoder(3, 4).channels == (4, 8, 16)


@pytest.mark.parametrize("skips", SKIPS)
def test_only_skips_read_the_finer_features(skips: str) -> None:
    decoder = seeded(0, lambda: Decoder((4, 8, 16), 1, skips)).eval()
    features = features_of()
    changed = [features[0] + 1, *features[1:]]
    assert torch.equal(decoder(features), decoder(changed)) == (skips == "none")


def test_gates_of_one_are_the_plain_network_and_gates_of_nothing_let_nothing_through() -> None:
    plain, gated = (
        seeded(0, lambda skips=skips: Decoder((4, 8, 16), 1, skips)).eval() for skips in ("plain", "gated")
    )
    gated.load_state_dict(plain.state_dict(), strict=False)  # its gates keep their own weights
    features = features_of()
    for bias, gate in ((100.0, 1.0), (-100.0, 0.0)):
        for layer in gated.gates:
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, bias)
        decoded = gated.decode(features)
        assert [tuple(values.shape) for values in decoded.gates] == [(3, 1, 12, 12), (3, 1, 24, 24)]
        assert all(bool((values == gate).all()) for values in decoded.gates)
        finer = [gate * values for values in features[:-1]]
        torch.testing.assert_close(decoded.values, plain([*finer, features[-1]]))


def test_gates_lie_between_nothing_and_one() -> None:
    decoder = seeded(0, lambda: Decoder((4, 8, 16), 1, "gated")).eval()
    gates = torch.cat(
        [gate.flatten() for gate in decoder.decode([5 * values for values in features_of()]).gates]
    )
    assert 0 <= gates.min() < 0.5 < gates.max() <= 1


def test_unknown_skips_are_refused() -> None:
    with pytest.raises(ValueError, match="skips must be one of none, plain, gated, got 'half'"):
        Decoder((4, 8), 1, "half")


@pytest.mark.parametrize("name", ["scenes/0", "cifar10/0"])
def test_a_classifier_read_as_an_encoder_gives_its_own_answer(name: str) -> None:
    network = checkpoints.load(name).network
    images = torch.rand(2, 3, 32, 32, generator=stream(0, "pictures"))
    features, logits = backbone_features(network, images)
    assert torch.equal(logits, network(images))
    assert tuple(feature.shape[1] for feature in features) == backbone_channels(network, 32)
    sides = [feature.shape[-1] for feature in features]
    assert sides == sorted(set(sides), reverse=True) and sides[-1] > 1
    pooled = features[-1].mean((2, 3))
    torch.testing.assert_close(network.linear(pooled), logits)


def test_only_layers_in_a_row_can_be_read_so() -> None:
    with pytest.raises(ValueError, match="layers in a row"):
        backbone_features(nn.Sequential(nn.Conv2d(3, 4, 3)), IMAGES)
    small = classifiers.residual_classifier(4, 4, (0.5,) * 3, (0.2,) * 3).eval()
    with pytest.raises(ValueError, match="layers in a row"):
        backbone_features(nn.ModuleList([small]), IMAGES)
