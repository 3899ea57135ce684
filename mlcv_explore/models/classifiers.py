"""The convolutional classifiers that ship, and how they are trained: one-cycle Nesterov
SGD, small pictures first.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore import environment
from mlcv_explore.config import Config, setting
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import seeded, stream

PATCH = 2  # side of the patches that are whitened
FILTERS = 2 * 3 * PATCH**2  # every direction of a patch, and its negative
WHITENED = 5000  # pictures whose patches are looked at


class Normalise(nn.Module):
    """Pictures in [0, 1] to zero mean and unit deviation a channel, as the first layer,
    so that a gradient is one of the pixels.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) → the same shape."""
        return (pictures - self.mean) / self.std


class TwoConvResidual(nn.Module):
    """Two convolutions whose result is added to what went in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = convolution(channels, channels), convolution(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) → the same shape."""
        return features + self.second(self.first(features))


def convolution(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    """3×3 convolution, batch normalisation, ReLU; the ReLU is a module of its own and
    not in place, as attribution hooks need it.
    """
    layers = [nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))


class OneConvResidual(nn.Module):
    """One convolution whose result is added to what went in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.only = pool_then_normalise(channels, channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) → the same shape."""
        return features + self.only(features)


def pool_then_normalise(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    """As `convolution`, but normalised and rectified after pooling, and with no scale
    of its own: the rates then fit all layers alike.
    """
    normalise = nn.BatchNorm2d(outputs)
    normalise.weight.requires_grad_(False)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
        *([nn.MaxPool2d(2)] if pool else []),
        normalise,
        nn.ReLU(),
    )


def residual_classifier(
    width: int, classes: int, mean: Sequence[float], std: Sequence[float]
) -> nn.Sequential:
    """(B, 3, h, w) in [0, 1] → logits (B, classes): five convolutions and two shortcuts
    (after D. Page's ResNet-9), sides halved three times.
    """
    layers = OrderedDict(
        normalise=Normalise(mean, std),
        stem=convolution(3, width),
        halve1=convolution(width, 2 * width, pool=True),
        shortcut1=TwoConvResidual(2 * width),
        halve2=convolution(2 * width, 4 * width, pool=True),
        halve3=convolution(4 * width, 8 * width, pool=True),
        shortcut2=TwoConvResidual(8 * width),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear=nn.Linear(8 * width, classes),
    )
    return nn.Sequential(layers)


def whitened_classifier(
    width: int, classes: int, mean: Sequence[float], std: Sequence[float]
) -> nn.Sequential:
    """(B, 3, h, w) in [0, 1] → logits (B, classes): fixed whitening filters, three
    halvings, each with a shortcut (after K. Jordan, 2404.00498).

    The filters are zeros until `whiten` or a checkpoint fills them.
    """
    filters = nn.Conv2d(3, FILTERS, PATCH)
    filters.weight.requires_grad_(False)
    nn.init.zeros_(filters.weight)
    nn.init.zeros_(filters.bias)
    layers = OrderedDict(
        normalise=Normalise(mean, std),
        whiten=nn.Sequential(filters, nn.ReLU()),
        halve1=pool_then_normalise(FILTERS, width, pool=True),
        shortcut1=OneConvResidual(width),
        halve2=pool_then_normalise(width, 3 * width, pool=True),
        shortcut2=OneConvResidual(3 * width),
        halve3=pool_then_normalise(3 * width, 4 * width, pool=True),
        shortcut3=OneConvResidual(4 * width),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        linear=nn.Linear(4 * width, classes),
    )
    for name in ("halve1", "halve2", "halve3"):
        initialise_identity(layers[name][0])
    return nn.Sequential(layers)


def whiten(network: nn.Sequential, pictures: np.ndarray) -> None:
    """Fill the first filters with those that make patches of these pictures (uint8)
    uncorrelated and of one variance, and their negatives.
    """
    normalised = network.normalise(torch.from_numpy(pictures[:WHITENED].copy()).float().div_(255))
    patches = functional.unfold(normalised, PATCH).transpose(1, 2).flatten(0, 1)  # (n, 3·PATCH²)
    variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
    found = (directions / (variances + 5e-4).sqrt()).T.reshape(FILTERS // 2, 3, PATCH, PATCH)
    network.whiten[0].weight.data.copy_(torch.cat([found, -found]))


def initialise_identity(layer: nn.Conv2d) -> None:
    """Let the first channels that come out be those that go in; the others start at
    random.
    """
    handed = layer.weight.data[: layer.in_channels]
    nn.init.dirac_(handed)


ARCHITECTURES = {"residual_classifier": residual_classifier, "whitened_classifier": whitened_classifier}


class Hyperparameters(Config):
    """How a classifier is trained."""

    architecture: str = setting("residual_classifier", "Architecture", choices=tuple(ARCHITECTURES))
    width: int = setting(
        24,
        "Width",
        low=4,
        high=64,
        help="Channels of the first convolution; the last have eight times as many.",
    )
    epochs: int = setting(12, "Epochs", low=1, high=200)
    small_epochs: int = setting(
        0, "Epochs on small pictures", low=0, high=200, help="The first ones, at three quarters of the side."
    )
    batch_size: int = setting(128, "Batch size", low=8, high=1024)
    peak_rate: float = setting(0.2, "Peak learning rate", low=0.0001, high=2)
    bias_rate: float = setting(
        1,
        "Rate of offsets",
        low=0.1,
        high=100,
        help="As a multiple of the rate of the weights; for biases and what normalises.",
    )
    warm_share: float = setting(0.25, "Share of steps before the peak", low=0.01, high=0.9)
    weight_decay: float = setting(0.0005, "Weight decay", low=0, high=0.1)
    smoothing: float = setting(0.1, "Label smoothing", low=0, high=0.9)
    shift: int = setting(
        4,
        "Shift",
        low=0,
        high=16,
        unit="pixels",
        help="Pictures are moved by up to so much, each by its own.",
    )
    flip: bool = setting(True, "Mirror half of the pictures")
    bfloat16: bool = setting(
        True,
        "Half precision",
        help="Products in bfloat16 while training, where the processor has them; weights stay in float32.",
    )


@dataclass
class ClassifierTrainer:
    """A training under way: all that the next epoch needs, and all that is kept to go
    on with it later.
    """

    network: nn.Sequential
    optimiser: torch.optim.Optimizer
    epoch: int = 0  # epochs done

    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights, buffers and momenta by name."""
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            if "momentum_buffer" in self.optimiser.state[parameter]:
                found[f"momentum.{name}"] = self.optimiser.state[parameter]["momentum_buffer"]
        return {name: value.clone(memory_format=torch.contiguous_format) for name, value in found.items()} | {
            "epoch": torch.tensor(self.epoch)
        }

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Stand where `tensors()` was called."""
        own = {
            name.removeprefix("network."): value
            for name, value in tensors.items()
            if name.startswith("network.")
        }
        self.network.load_state_dict(own)
        for name, parameter in self.network.named_parameters():
            if f"momentum.{name}" in tensors:
                self.optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(
                    tensors[f"momentum.{name}"]
                )
        self.epoch = int(tensors["epoch"])


def trainer(
    hyperparameters: Hyperparameters,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
    pictures: np.ndarray | None = None,
) -> ClassifierTrainer:
    """A network with this seed's weights, before its first step; one that whitens takes
    its filters from the `pictures` (uint8) it is to learn.
    """
    network = seeded(
        seed, lambda: ARCHITECTURES[hyperparameters.architecture](hyperparameters.width, classes, mean, std)
    ).to(memory_format=torch.channels_last)
    if hyperparameters.architecture == "whitened_classifier":
        whiten(network, pictures)
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = {
        "params": [parameter for parameter in learned if parameter.ndim > 1],
        "weight_decay": hyperparameters.weight_decay,
        "share": 1.0,
    }
    free = {
        "params": [parameter for parameter in learned if parameter.ndim <= 1],
        "weight_decay": 0.0,
        "share": hyperparameters.bias_rate,
    }
    groups: list[dict[str, Any]] = [decayed, free]
    return ClassifierTrainer(
        network,
        torch.optim.SGD(groups, lr=hyperparameters.peak_rate, momentum=0.9, nesterov=True, fused=True),
    )


def epochs(
    hyperparameters: Hyperparameters,
    state: ClassifierTrainer,
    pictures: np.ndarray,
    labels: np.ndarray,
    seed: int,
) -> Iterator[tuple[int, float, float]]:
    """Train on: (epochs done, mean loss, accuracy on the training pictures as they
    passed) after each epoch.

    `pictures` are uint8 (n, 3, h, w). Every epoch draws from streams of its own, so
    that one that is taken up again ends as one that never stopped.
    """
    steps = math.ceil(len(labels) / hyperparameters.batch_size)
    given, wanted = torch.from_numpy(np.array(pictures)), torch.from_numpy(np.array(labels))
    given = (
        functional.pad(given, [hyperparameters.shift] * 4, mode="reflect") if hyperparameters.shift else given
    )
    side = pictures.shape[-1]
    for epoch in range(state.epoch, hyperparameters.epochs):
        state.network.train()
        order = torch.randperm(len(labels), generator=stream(seed, f"order {epoch}"))
        chance = stream(seed, f"shifts and mirrors {epoch}")
        small = round(side * 0.75) if epoch < hyperparameters.small_epochs else side
        loss_sum, right = 0.0, 0
        for step, chosen in enumerate(order.split(hyperparameters.batch_size)):
            for group in state.optimiser.param_groups:
                group["lr"] = group["share"] * rate(
                    hyperparameters, epoch * steps + step, hyperparameters.epochs * steps
                )
            batch = augmented(given[chosen].float().div_(255), hyperparameters, side, chance)
            if small != side:
                batch = functional.interpolate(batch, (small, small), mode="bilinear", antialias=True)
            with torch.autocast(
                "cpu", torch.bfloat16, enabled=hyperparameters.bfloat16 and environment.has_bfloat16()
            ):
                logits = state.network(batch.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(
                logits.float(), wanted[chosen], label_smoothing=hyperparameters.smoothing
            )
            gradient_step(state.optimiser, loss)
            loss_sum += float(loss.detach()) * len(chosen)
            right += int((logits.argmax(1) == wanted[chosen]).sum())
        state.epoch = epoch + 1
        yield state.epoch, loss_sum / len(labels), right / len(labels)


def rate(hyperparameters: Hyperparameters, step: int, steps: int) -> float:
    """The learning rate of a step: linearly up to the peak, linearly down to nothing
    (Smith, 1708.07120).
    """
    warm = max(1.0, hyperparameters.warm_share * steps)
    return hyperparameters.peak_rate * min((step + 1) / warm, (steps - step) / (steps - warm + 1))


def augmented(
    padded: torch.Tensor, hyperparameters: Hyperparameters, side: int, chance: torch.Generator
) -> torch.Tensor:
    """Each picture cut out at its own place, and mirrored or not: (B, 3, side +
    2·shift, …) → (B, 3, side, side).
    """
    count, room = len(padded), 2 * hyperparameters.shift + 1
    places = torch.randint(room, (2, count), generator=chance)
    mirrored = torch.rand(count, generator=chance) < (0.5 if hyperparameters.flip else 0.0)
    rows = places[0, :, None] + torch.arange(side)
    columns = places[1, :, None] + torch.arange(side)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    return padded.permute(0, 2, 3, 1)[
        torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]
    ].permute(0, 3, 1, 2)


@torch.no_grad()
def predict_logits(network: nn.Module, pictures: np.ndarray, batch: int = 250) -> torch.Tensor:
    """Logits (n, classes) of uint8 pictures (n, 3, h, w), in evaluation mode."""
    network.eval()
    return torch.cat(
        [network(part.float().div_(255)) for part in torch.from_numpy(np.array(pictures)).split(batch)]
    )


def predict_probabilities(network: nn.Module, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Probabilities (n, classes) of float32 pictures (3, h, w) in [0, 1]."""
    with torch.inference_mode():
        parts = torch.from_numpy(np.stack(pictures)).split(250)
        return torch.cat([network(part).softmax(1) for part in parts]).numpy()
