"""The networks of idea 17: a U-Net from mask to picture, with or without a code for
what the mask leaves open, and what trains beside it.
"""

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.unet import UNet

PATCH = 2  # the U-Net works on patches of 2 × 2 pixels: a quarter of the work, and every pixel still its own
CODES = 8  # numbers in the code of the arms that sample
# standard deviation of a pixel round the CVAE's mean, in shares of the full range: what its error
# is divided by
SPREAD = 0.15


class OnPatches(nn.Module):
    """A U-Net that reads and writes patches: (B, inputs, h, w) and codes (B, codes) →
    (B, outputs, h, w).
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, codes: int = 0, normalise: bool = False
    ) -> None:
        super().__init__()
        self.net = UNet(PATCH**2 * inputs + codes, PATCH**2 * outputs, width, normalise=normalise)

    def forward(self, given: torch.Tensor, code: torch.Tensor | None = None) -> torch.Tensor:
        """The code, where there is one, is laid under every patch."""
        patches = functional.pixel_unshuffle(given, PATCH)
        if code is not None:
            patches = torch.cat([patches, code[:, :, None, None].expand(-1, -1, *patches.shape[2:])], dim=1)
        return functional.pixel_shuffle(
            self.net(patches.contiguous(memory_format=torch.channels_last)), PATCH
        )


class Inverter(nn.Module):
    """What is told of a picture → the picture, (B, 3, h, w) with the range [0, 1],
    which it may leave by a little.
    """

    def __init__(self, inputs: int, width: int, codes: int = 0) -> None:
        super().__init__()
        self.drawn = OnPatches(inputs, 3, width, codes)
        nn.init.zeros_(self.drawn.net.decoder.last.weight)
        nn.init.zeros_(self.drawn.net.decoder.last.bias)

    def forward(self, told: torch.Tensor, code: torch.Tensor | None = None) -> torch.Tensor:
        """Before any training the middle grey."""
        return self.drawn(told, code) + 0.5


class Posterior(nn.Module):
    """Of a CVAE: a picture and what is told of it → mean and log variance of its code,
    (B, 2·codes) (Sohn, Lee, Yan, NIPS 2015).
    """

    def __init__(self, inputs: int, width: int, codes: int = CODES) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs + 3, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, 2 * width, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 2 * codes),
        )  # fmt: skip

    def forward(self, told: torch.Tensor, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance, (B, codes) each."""
        mean, log_variance = self.layers(torch.cat([told, pictures], dim=1)).chunk(2, dim=1)
        return mean, log_variance


class Critic(nn.Module):
    """Tells true pictures from made ones patch by patch, given what is told: (B,
    inputs, h, w), (B, 3, h, w) → logits (B, 1, h/4, w/4).

    PatchGAN of Isola et al. (1611.07004).
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs + 3, width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, 1, 1),
        )  # fmt: skip

    def forward(self, told: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
        """Above zero: true."""
        return self.layers(torch.cat([told, pictures], dim=1))


def squared(outputs: torch.Tensor, pictures: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean squared error of each picture, (B,); `weights` (B, 1, h, w)."""
    return ((outputs - pictures) ** 2 * weights).mean(dim=(1, 2, 3))


def absolute(outputs: torch.Tensor, pictures: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean absolute error of each picture, (B,): its best guess is the median,
    not the mean.
    """
    return ((outputs - pictures).abs() * weights).mean(dim=(1, 2, 3))


def best_code(
    network: Inverter, told: torch.Tensor, pictures: torch.Tensor, weights: torch.Tensor, codes: torch.Tensor
) -> torch.Tensor:
    """Of codes (k, B, codes) the one with which the network comes nearest to each
    picture, (B, codes). Guzmán-Rivera et al., NIPS 2012.
    """
    with torch.no_grad():
        tries, count = codes.shape[:2]
        outputs = network(told.repeat(tries, 1, 1, 1), codes.flatten(0, 1))
        errors = squared(outputs, pictures.repeat(tries, 1, 1, 1), weights.repeat(tries, 1, 1, 1)).view(
            tries, count
        )
        return codes[errors.argmin(0), torch.arange(count)]


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Kullback–Leibler divergence of N(mean, variance) from N(0, 1) in nats, (B,)."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
