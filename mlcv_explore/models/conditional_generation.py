"""Networks that generate an image from a condition of the same size, such as a mask: a
U-Net, with or without a latent code.

Under squared error the output is the mean of all images of a condition. With a code
there is an image for each code, trained by a best-of-k loss.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.unet import UNet
from mlcv_explore.seeds import seeded, stream

LOSSES = ("l2", "sampled")
TRIES = 5  # codes the best-of-k loss draws for each image
# largest norm of a gradient; without normalisation one steep step can end in a constant image
MAX_GRADIENT_NORM = 0.1
PATCH = 2  # the U-Net works on patches of 2 × 2 pixels: a quarter of the work at full resolution
CODES = 8  # dimensions of the latent code
BATCH = 50  # images predicted at once


class PatchUNet(nn.Module):
    """A U-Net on patches: (B, inputs, h, w) and codes (B, codes) → (B, outputs, h, w)."""

    def __init__(self, inputs: int, outputs: int, width: int, codes: int = 0) -> None:
        super().__init__()
        self.net = UNet(PATCH**2 * inputs + codes, PATCH**2 * outputs, width, normalise=False)

    def forward(self, given: torch.Tensor, code: torch.Tensor | None = None) -> torch.Tensor:
        """The code, where there is one, is appended to every patch."""
        patches = functional.pixel_unshuffle(given, PATCH)
        if code is not None:
            patches = torch.cat([patches, code[:, :, None, None].expand(-1, -1, *patches.shape[2:])], dim=1)
        outputs = self.net(patches.contiguous(memory_format=torch.channels_last))
        return functional.pixel_shuffle(outputs, PATCH)


class Generator(nn.Module):
    """Condition (B, inputs, h, w) → image (B, 3, h, w), about [0, 1] and not clipped."""

    def __init__(self, inputs: int, width: int, codes: int = 0, base: int | None = None) -> None:
        """The output is added to the three channels of the condition from `base` on, a
        first estimate of the image; to middle grey where that is None.
        """
        super().__init__()
        self.codes, self.base = codes, base
        self.drawn = PatchUNet(inputs, 3, width, codes)
        nn.init.zeros_(self.drawn.net.decoder.last.weight)
        nn.init.zeros_(self.drawn.net.decoder.last.bias)

    def forward(self, given: torch.Tensor, code: torch.Tensor | None = None) -> torch.Tensor:
        """The first estimate before training."""
        estimate = 0.5 if self.base is None else given[:, self.base : self.base + 3]
        return self.drawn(given, code) + estimate


def squared_error(outputs: torch.Tensor, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean squared error of each image, (B,); `weights` (B, 1, h, w)."""
    return ((outputs - images) ** 2 * weights).mean(dim=(1, 2, 3))


def best_code(
    network: Generator, given: torch.Tensor, images: torch.Tensor, weights: torch.Tensor, codes: torch.Tensor
) -> torch.Tensor:
    """Of codes (k, B, codes) the one with the least error for each image, (B, codes).
    Guzmán-Rivera et al., NIPS 2012.
    """
    with torch.no_grad():
        tries, count = codes.shape[:2]
        outputs = network(given.repeat(tries, 1, 1, 1), codes.flatten(0, 1))
        errors = squared_error(outputs, images.repeat(tries, 1, 1, 1), weights.repeat(tries, 1, 1, 1))
        return codes[errors.view(tries, count).argmin(0), torch.arange(count)]


def one_cycle(
    parameters: list[nn.Parameter], rate: float, updates: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam under one cycle of the learning rate (Smith, 1708.07120)."""
    adam = torch.optim.Adam(parameters, lr=rate, fused=True)
    return adam, torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=updates)


class GeneratorTrainer:
    """A generator, its optimiser and one of LOSSES; networks of a seed and loss start
    with equal weights.
    """

    def __init__(
        self,
        loss: str,
        inputs: int,
        width: int,
        rate: float,
        updates: int,
        seed: int,
        base: int | None = None,
    ) -> None:
        codes = CODES if loss == "sampled" else 0
        self.network = seeded(seed, lambda: Generator(inputs, width, codes, base))
        self.generator = stream(seed, f"codes of {loss}")
        self.optimiser, self.schedule = one_cycle(list(self.network.parameters()), rate, updates)

    def step(self, given: torch.Tensor, images: torch.Tensor, weights: torch.Tensor) -> float:
        """One update on conditions (B, inputs, h, w), images (B, 3, h, w) and weights of
        their pixels (B, 1, h, w); returns the loss.
        """
        self.network.train()
        loss = self._loss(given, images, weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimiser.step()
        self.schedule.step()
        return float(loss.detach())

    def _loss(self, given: torch.Tensor, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        code = None
        if self.network.codes:
            codes = torch.randn(TRIES, len(given), CODES, generator=self.generator)
            code = best_code(self.network, given, images, weights, codes)
        return squared_error(self.network(given, code), images, weights).mean()


@torch.no_grad()
def predict(
    network: Generator, inputs: Callable[[slice], np.ndarray], count: int, codes: torch.Tensor | None = None
) -> np.ndarray:
    """A network's images of `count` conditions, float32 (count, 3, h, w) clipped to [0,
    1]; `inputs(part)` gives the conditions of a part, `codes` are (count, CODES).
    """
    network.eval()
    outputs = []
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        given = torch.from_numpy(inputs(part))
        outputs.append(network(given, None if codes is None else codes[part]))
    return torch.cat(outputs).clamp_(0, 1).numpy()
