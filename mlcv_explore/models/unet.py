"""A U-Net (Ronneberger et al., 1505.04597) of a separate encoder and decoder.

Skip connections are plain, gated or absent. The decoder's features may come from a
classifier instead of the encoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.classifiers import Normalise, convolution

SKIPS = ("none", "plain", "gated")
GATE_BIAS = 2.0  # initial bias of gates: sigmoid(2) = 0.88 of a feature passes


@dataclass(frozen=True, eq=False)
class DecoderOutput:
    """The decoder's values and its gates."""

    values: torch.Tensor  # (B, outputs, h, w)
    # one per concatenation, the finest last: (B, 1, h', w') in [0, 1]; none where skips are not gated
    gates: tuple[torch.Tensor, ...]


def unnormalised_convolution(inputs: int, outputs: int) -> nn.Sequential:
    """3×3 convolution and leaky ReLU: a mask is constant over its regions, which
    normalisation can wash away (Park et al., 1903.07291).
    """
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1), nn.LeakyReLU(0.1))


class Encoder(nn.Module):
    """Images (B, inputs, h, w) → features of `levels` sides, the finest first: (B,
    width, h, w), (B, 2·width, h/2, w/2), …
    """

    def __init__(self, inputs: int, width: int, levels: int = 3, normalise: bool = True) -> None:
        super().__init__()
        self.channels = tuple(width * 2**level for level in range(levels))
        before = (inputs, *self.channels[:-1])
        layer = convolution if normalise else unnormalised_convolution
        self.blocks = nn.ModuleList(
            nn.Sequential(layer(given, own), layer(own, own))
            for given, own in zip(before, self.channels, strict=True)
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """One tensor a level; every level but the first halves the side of the one
        before.
        """
        features = [self.blocks[0](images)]
        for block in self.blocks[1:]:
            features.append(block(functional.max_pool2d(features[-1], 2)))
        return features


class Decoder(nn.Module):
    """Features of rising side → (B, outputs, h, w), at the side of the finest ones.

    `channels` are those of the features, the finest first. `skips`: features other than
    the coarsest are ignored ("none"), concatenated ("plain"), or concatenated after
    multiplication with a gate in [0, 1] per pixel ("gated"; Oktay et al., 1804.03999).
    """

    def __init__(
        self,
        channels: Sequence[int],
        outputs: int,
        skips: str = "plain",
        widest: int = 64,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        layer = convolution if normalise else unnormalised_convolution
        if skips not in SKIPS:
            raise ValueError(f"skips must be one of {', '.join(SKIPS)}, got {skips!r}.")
        self.skips = skips
        coarse, *finer = reversed(channels)
        self.blocks, self.gates = nn.ModuleList(), nn.ModuleList()
        for own in finer:
            inner = min(own, widest)
            if skips == "gated":
                self.gates.append(nn.Conv2d(coarse + own, 1, 1))
                nn.init.constant_(self.gates[-1].bias, GATE_BIAS)
            self.blocks.append(layer(coarse + (0 if skips == "none" else own), inner))
            coarse = inner
        self.last = nn.Conv2d(coarse, outputs, 1)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """The values alone."""
        return self.decode(features).values

    def decode(self, features: Sequence[torch.Tensor]) -> DecoderOutput:
        """The values with the gates they passed; `features` as an Encoder gives them,
        of any sides.
        """
        values, *finer = reversed(features)
        gates = []
        for level, feature in enumerate(finer):
            values = functional.interpolate(values, feature.shape[-2:], mode="bilinear", align_corners=False)
            if self.skips == "gated":
                gates.append(self.gates[level](torch.cat([values, feature], dim=1)).sigmoid())
                feature = gates[-1] * feature
            values = self.blocks[level](
                values if self.skips == "none" else torch.cat([values, feature], dim=1)
            )
        return DecoderOutput(self.last(values), tuple(gates))


class UNet(nn.Module):
    """Images (B, inputs, h, w) → (B, outputs, h, w); without normalisation where its
    inputs are masks.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        levels: int = 3,
        skips: str = "plain",
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(inputs, width, levels, normalise)
        self.decoder = Decoder(self.encoder.channels, outputs, skips, normalise=normalise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Outputs (B, outputs, h, w), such as logits."""
        return self.decoder(self.encoder(images))


def backbone_features(
    network: nn.Sequential, images: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Features of a classifier at every side, the finest first, and its logits (B,
    classes), in one pass.

    For the classifiers of this project: layers in a row, the first of which normalises,
    and a global pooling after the last features. Raises ValueError on a network that is
    not built so.
    """
    if not isinstance(network, nn.Sequential) or not any(
        isinstance(layer, nn.AdaptiveAvgPool2d) for layer in network
    ):
        raise ValueError("The network must be layers in a row with a global pooling after its last features.")
    features: list[torch.Tensor] = []
    values, pooled = images, False
    for layer in network:
        values = layer(values)
        pooled = pooled or isinstance(layer, nn.AdaptiveAvgPool2d)
        if not pooled and not isinstance(layer, Normalise):
            if features and features[-1].shape[-1] == values.shape[-1]:
                features.pop()
            features.append(values)
    return features, values


def backbone_channels(network: nn.Sequential, side: int) -> tuple[int, ...]:
    """How many channels the features of `trunk` have, the finest first. Running
    statistics stay as they are.
    """
    training = network.training
    network.eval()
    with torch.no_grad():
        channels = tuple(
            feature.shape[1] for feature in backbone_features(network, torch.zeros(1, 3, side, side))[0]
        )
    network.train(training)
    return channels
