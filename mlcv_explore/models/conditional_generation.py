"""Networks that generate an image from a condition of the same size, such as a mask: a
U-Net, with or without a latent code, and five losses to train it.

Under squared error the output is the mean of all images of a condition, under absolute
error their median. With a code there is an image for each code: of a best-of-k loss, or
of a conditional variational autoencoder.
"""

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.models.unet import UNet
from mlcv_explore.seeds import seeded, stream

LOSSES = ("l2", "l1", "sampled", "cvae", "adversarial")
SAMPLING = ("sampled", "cvae")  # losses of a network with a code
TRIES = 5  # codes the best-of-k loss draws for each image
# largest norm of a gradient; without normalisation one steep step can end in a constant image
MAX_GRADIENT_NORM = 0.1
PIXEL_WEIGHT = 100.0  # of the absolute error beside the discriminator (Isola et al., 1611.07004)
PATCH = 2  # the U-Net works on patches of 2 × 2 pixels: a quarter of the work at full resolution
CODES = 8  # dimensions of the latent code
PIXEL_STD = 0.15  # standard deviation of the CVAE's pixel likelihood, in shares of the full range
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


class Generator(nn.Module):
    """Condition (B, inputs, h, w) → image (B, 3, h, w), about [0, 1] and not clipped."""

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
    """Of a CVAE (Sohn, Lee, Yan, NIPS 2015): condition and image → mean and log
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
    """PatchGAN of Isola et al. (1611.07004): condition (B, inputs, h, w) and image
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


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Kullback–Leibler divergence of N(mean, variance) from N(0, 1) in nats, (B,)."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)


def one_cycle(
    parameters: list[nn.Parameter], rate: float, updates: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam under one cycle of the learning rate (Smith, 1708.07120)."""
    adam = torch.optim.Adam(parameters, lr=rate, fused=True)
    return adam, torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=updates)


class GeneratorTrainer:
    """A generator, its optimiser and one of LOSSES; networks of a seed without a code
    start with equal weights.
    """

    def __init__(self, loss: str, inputs: int, width: int, rate: float, updates: int, seed: int) -> None:
        self.loss_name = loss
        codes = CODES if loss in SAMPLING else 0
        self.network = seeded(seed, lambda: Generator(inputs, width, codes))
        parameters = list(self.network.parameters())
        if loss == "cvae":
            self.posterior = seeded(seed, lambda: Posterior(inputs, width), "posterior")
            parameters += self.posterior.parameters()
        if loss == "adversarial":
            self.critic = seeded(seed, lambda: Discriminator(inputs, 2 * width), "critic")
            self.critic_optimiser, self.critic_schedule = one_cycle(
                list(self.critic.parameters()), rate, updates
            )
        self.generator = stream(seed, f"codes of {loss}")
        self.optimiser, self.schedule = one_cycle(parameters, rate, updates)

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
        if self.loss_name == "l2":
            return squared_error(self.network(given), images, weights).mean()
        if self.loss_name == "l1":
            return absolute_error(self.network(given), images, weights).mean()
        if self.loss_name == "sampled":
            codes = torch.randn(TRIES, len(given), CODES, generator=self.generator)
            code = best_code(self.network, given, images, weights, codes)
            return squared_error(self.network(given, code), images, weights).mean()
        if self.loss_name == "cvae":
            mean, log_variance = self.posterior(given, images)
            code = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=self.generator)
            errors = squared_error(self.network(given, code), images, weights)
            errors = errors * images[0].numel() / (2 * PIXEL_STD**2)
            return (errors + kl_divergence(mean, log_variance)).mean() / images[0].numel()
        # of the generator, after one step of the discriminator on the same batch
        outputs = self.network(given)
        true, false = self.critic(given, images), self.critic(given, outputs.detach())
        gradient_step(
            self.critic_optimiser, functional.softplus(-true).mean() + functional.softplus(false).mean()
        )
        self.critic_schedule.step()
        fooled = functional.softplus(-self.critic(given, outputs)).mean()
        return fooled + PIXEL_WEIGHT * absolute_error(outputs, images, weights).mean()


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
