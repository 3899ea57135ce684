"""How the classifiers of this project are trained: one-cycle Nesterov SGD, small images
first.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore import environment
from mlcv_explore.config import Config, setting
from mlcv_explore.models.classifiers import ARCHITECTURES, whiten
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import seeded, stream


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
        0, "Epochs on small images", low=0, high=200, help="The first ones, at three quarters of the side."
    )
    batch_size: int = setting(128, "Batch size", low=8, high=1024)
    peak_rate: float = setting(0.2, "Peak learning rate", low=0.0001, high=2)
    bias_rate: float = setting(
        1,
        "Bias rate factor",
        low=0.1,
        high=100,
        help="Learning rate of biases and normalisation, as a multiple of that of weights.",
    )
    warm_share: float = setting(0.25, "Warm-up share", low=0.01, high=0.9)
    weight_decay: float = setting(0.0005, "Weight decay", low=0, high=0.1)
    smoothing: float = setting(0.1, "Label smoothing", low=0, high=0.9)
    shift: int = setting(
        4, "Shift", low=0, high=16, unit="pixels", help="Largest random translation of a training image."
    )
    flip: bool = setting(True, "Mirror half of the images")
    bfloat16: bool = setting(
        True,
        "Half precision",
        help="Products in bfloat16 while training, where the processor has them; weights stay in float32.",
    )


@dataclass
class ClassifierTrainer:
    """State of a training: network, optimiser and epoch, as needed to resume it."""

    network: nn.Sequential
    optimiser: torch.optim.Optimizer
    epoch: int = 0  # epochs done

    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights, buffers and momenta by name."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            if "momentum_buffer" in self.optimiser.state[parameter]:
                tensors[f"momentum.{name}"] = self.optimiser.state[parameter]["momentum_buffer"]
        return {
            name: value.clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
        } | {"epoch": torch.tensor(self.epoch)}

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Restore the state that `tensors()` returned."""
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
    images: np.ndarray | None = None,
) -> ClassifierTrainer:
    """A network with this seed's weights, before its first step; one that whitens takes
    its filters from the `images` (uint8) it is to learn.
    """
    network = seeded(
        seed, lambda: ARCHITECTURES[hyperparameters.architecture](hyperparameters.width, classes, mean, std)
    ).to(memory_format=torch.channels_last)
    if hyperparameters.architecture == "whitened_classifier":
        whiten(network, images)
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = {
        "params": [parameter for parameter in trainable if parameter.ndim > 1],
        "weight_decay": hyperparameters.weight_decay,
        "share": 1.0,
    }
    free = {
        "params": [parameter for parameter in trainable if parameter.ndim <= 1],
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
    images: np.ndarray,
    labels: np.ndarray,
    seed: int,
) -> Iterator[tuple[int, float, float]]:
    """Train on: (epochs done, mean loss, accuracy on the training images as they
    passed) after each epoch.

    `images` are uint8 (n, 3, h, w). Every epoch draws from streams of its own, so that
    one that is taken up again ends as one that never stopped.
    """
    steps = math.ceil(len(labels) / hyperparameters.batch_size)
    padded, targets = torch.from_numpy(np.array(images)), torch.from_numpy(np.array(labels))
    padded = (
        functional.pad(padded, [hyperparameters.shift] * 4, mode="reflect")
        if hyperparameters.shift
        else padded
    )
    side = images.shape[-1]
    for epoch in range(state.epoch, hyperparameters.epochs):
        state.network.train()
        order = torch.randperm(len(labels), generator=stream(seed, f"order {epoch}"))
        generator = stream(seed, f"shifts and mirrors {epoch}")
        small = round(side * 0.75) if epoch < hyperparameters.small_epochs else side
        loss_sum, correct = 0.0, 0
        for step, chosen in enumerate(order.split(hyperparameters.batch_size)):
            for group in state.optimiser.param_groups:
                group["lr"] = group["share"] * rate(
                    hyperparameters, epoch * steps + step, hyperparameters.epochs * steps
                )
            batch = augmented(padded[chosen].float().div_(255), hyperparameters, side, generator)
            if small != side:
                batch = functional.interpolate(batch, (small, small), mode="bilinear", antialias=True)
            with torch.autocast(
                "cpu", torch.bfloat16, enabled=hyperparameters.bfloat16 and environment.has_bfloat16()
            ):
                logits = state.network(batch.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(
                logits.float(), targets[chosen], label_smoothing=hyperparameters.smoothing
            )
            gradient_step(state.optimiser, loss)
            loss_sum += float(loss.detach()) * len(chosen)
            correct += int((logits.argmax(1) == targets[chosen]).sum())
        state.epoch = epoch + 1
        yield state.epoch, loss_sum / len(labels), correct / len(labels)


def rate(hyperparameters: Hyperparameters, step: int, steps: int) -> float:
    """The learning rate of a step: linear warm-up to the peak, linear decay to 0
    (Smith, 1708.07120).
    """
    warm = max(1.0, hyperparameters.warm_share * steps)
    return hyperparameters.peak_rate * min((step + 1) / warm, (steps - step) / (steps - warm + 1))


def augmented(
    padded: torch.Tensor, hyperparameters: Hyperparameters, side: int, generator: torch.Generator
) -> torch.Tensor:
    """Each image cropped at a random offset, and mirrored or not: (B, 3, side +
    2·shift, …) → (B, 3, side, side).
    """
    count, room = len(padded), 2 * hyperparameters.shift + 1
    corners = torch.randint(room, (2, count), generator=generator)
    mirrored = torch.rand(count, generator=generator) < (0.5 if hyperparameters.flip else 0.0)
    rows = corners[0, :, None] + torch.arange(side)
    columns = corners[1, :, None] + torch.arange(side)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    return padded.permute(0, 2, 3, 1)[
        torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]
    ].permute(0, 3, 1, 2)
