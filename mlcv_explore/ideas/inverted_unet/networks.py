"""Networks: a U-Net from mask to image, with or without a latent code, a CVAE's
posterior and a discriminator; their losses.
"""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.ideas.inverted_unet.conditioning import Conditioning
from mlcv_explore.models.unet import UNet

PATCH = 2  # the U-Net works on patches of 2 × 2 pixels: a quarter of the work at full resolution
CODES = 8  # dimensions of the latent code
SPREAD = 0.15  # standard deviation of the CVAE's pixel likelihood, in shares of the full range
BATCH = 50  # images predicted at once


class PatchUNet(nn.Module):
    """A U-Net on patches: (B, inputs, h, w) and codes (B, codes) → (B, outputs, h, w)."""

    def __init__(
        self, inputs: int, outputs: int, width: int, codes: int = 0, normalise: bool = False
    ) -> None:
        super().__init__()
        self.net = UNet(PATCH**2 * inputs + codes, PATCH**2 * outputs, width, normalise=normalise)

    def forward(self, given: torch.Tensor, code: torch.Tensor | None = None) -> torch.Tensor:
        """The code, where there is one, is appended to every patch."""
        patches = functional.pixel_unshuffle(given, PATCH)
        if code is not None:
            patches = torch.cat([patches, code[:, :, None, None].expand(-1, -1, *patches.shape[2:])], dim=1)
        outputs = self.net(patches.contiguous(memory_format=torch.channels_last))
        return functional.pixel_shuffle(outputs, PATCH)


class Inverter(nn.Module):
    """Conditioning channels → image (B, 3, h, w), about [0, 1] and not clipped."""

    def __init__(self, inputs: int, width: int, codes: int = 0) -> None:
        super().__init__()
        self.drawn = PatchUNet(inputs, 3, width, codes)
        nn.init.zeros_(self.drawn.net.decoder.last.weight)
        nn.init.zeros_(self.drawn.net.decoder.last.bias)

    def forward(self, given: torch.Tensor, code: torch.Tensor | None = None) -> torch.Tensor:
        """Middle grey before training."""
        return self.drawn(given, code) + 0.5


def _downsampling(inputs: int, width: int, count: int, activation: nn.Module) -> list[nn.Module]:
    """Strided convolutions, each of which halves the side and doubles the width."""
    widths = [inputs, *(width * 2**index for index in range(count))]
    return [
        layer
        for before, after in itertools.pairwise(widths)
        for layer in (nn.Conv2d(before, after, 4, 2, 1), activation)
    ]


class Posterior(nn.Module):
    """Of a CVAE (Sohn, Lee, Yan, NIPS 2015): conditioning and image → mean and log
    variance of the code, (B, codes) each.
    """

    def __init__(self, inputs: int, width: int, codes: int = CODES) -> None:
        super().__init__()
        layers = _downsampling(inputs + 3, width, 3, nn.ReLU())  # first: the order of the initial draws
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 2 * codes))
        self.layers = nn.Sequential(*layers, *head)

    def forward(self, given: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance, (B, codes) each."""
        mean, log_variance = self.layers(torch.cat([given, images], dim=1)).chunk(2, dim=1)
        return mean, log_variance


class Discriminator(nn.Module):
    """PatchGAN of Isola et al. (1611.07004): conditioning (B, inputs, h, w) and image
    (B, 3, h, w) → logits (B, 1, h/4, w/4), positive for true images.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        layers = _downsampling(inputs + 3, width, 2, nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, nn.Conv2d(2 * width, 1, 3, 1, 1))

    def forward(self, given: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.layers(torch.cat([given, images], dim=1))


def squared_error(outputs: torch.Tensor, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean squared error of each image, (B,); `weights` (B, 1, h, w)."""
    return ((outputs - images) ** 2 * weights).mean(dim=(1, 2, 3))


def absolute_error(outputs: torch.Tensor, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean absolute error of each image, (B,): minimised by the median."""
    return ((outputs - images).abs() * weights).mean(dim=(1, 2, 3))


def best_code(
    network: Inverter, given: torch.Tensor, images: torch.Tensor, weights: torch.Tensor, codes: torch.Tensor
) -> torch.Tensor:
    """Of codes (k, B, codes) the one with the least error for each image, (B, codes).
    Guzmán-Rivera et al., NIPS 2012.
    """
    with torch.no_grad():
        tries, count = codes.shape[:2]
        outputs = network(given.repeat(tries, 1, 1, 1), codes.flatten(0, 1))
        errors = squared_error(outputs, images.repeat(tries, 1, 1, 1), weights.repeat(tries, 1, 1, 1))
        return codes[errors.view(tries, count).argmin(0), torch.arange(count)]


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Kullback–Leibler divergence of N(mean, variance) from N(0, 1) in nats, (B,)."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)


def one_cycle(
    parameters: list[nn.Parameter], rate: float, updates: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam under one cycle of the learning rate (Smith, 1708.07120)."""
    adam = torch.optim.Adam(parameters, lr=rate, fused=True)
    return adam, torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=updates)


@torch.no_grad()
def predict(network: Inverter, conditioning: Conditioning, codes: torch.Tensor | None = None) -> np.ndarray:
    """A network's images, float32 (n, 3, h, w) clipped to [0, 1]."""
    network.eval()
    outputs = []
    for start in range(0, len(conditioning.labels), BATCH):
        part = slice(start, start + BATCH)
        given = torch.from_numpy(conditioning.inputs(part))
        outputs.append(network(given, None if codes is None else codes[part]))
    return torch.cat(outputs).clamp_(0, 1).numpy()
