"""Attribution by a learned network: activations and gradients of all layers of a
classifier in, a map out.

It is trained on classifiers that use the object, with the object's mask as target. The
test is on classifiers that do not: a map that still covers the object was derived from
the image, not from the model. The controls are the best single input and the same
network trained on images alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.config import Config, setting
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.saliency.measures import mass_in_mask
from mlcv_explore.seeds import seeded, stream

QUANTITIES = ("gradient", "gradient × activation")
SUMMARIES = ("mean", "mean absolute", "largest absolute")  # over the channels of a layer
BATCH = 125  # images whose activations are held at once


class GenerationConfig(Config):
    """How the network that generates maps is built and trained."""

    width: int = setting(12, "Width", low=2, high=64, help="Channels of every hidden layer.")
    epochs: int = setting(10, "Epochs", low=1, high=200)
    batch_size: int = setting(10, "Batch size", low=1, high=500)
    rate: float = setting(
        0.01,
        "Learning rate",
        low=0.00001,
        high=0.1,
        help="Adam's, at the start; it falls to nothing in a straight line.",
    )


class MapNetwork(nn.Module):
    """Inputs (B, channels, h, w) → logits of the map (B, h, w); five convolutions that
    see 15 pixels around.

    Every input channel of every image is divided by its root mean square: classifiers
    differ in the size of their gradients, not in the meaning.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 1), nn.ReLU()]
        for dilation in (1, 2, 4):
            layers += [nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) of any scale → (B, h, w)."""
        size = inputs.square().mean((2, 3), keepdim=True).sqrt()
        return self.layers(inputs / torch.where(size > 0, size, 1.0)).squeeze(1)


def layer_inputs(network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Inputs of the map network, float32 (B, C, h, w): six channels of the image and of
    every ReLU's output, resized to the image's side.

    Images are (B, channels, h, w) in [0, 1], targets int64 (B,); gradients are those of
    the target's logit. Three summaries over a layer's channels of the gradient come
    first, then three of gradient × activation, layers from the image on, as
    `input_names` lists. One pass forward and one back. Raises ValueError when the
    network has no ReLU module whose output is an image.
    """
    network.eval()
    parts = zip(images.split(BATCH), targets.split(BATCH), strict=True)
    return torch.cat([_inputs(network, *part) for part in parts])


def input_names(network: nn.Module, images: torch.Tensor) -> tuple[str, ...]:
    """The names of the C channels, as "stem.2: mean absolute gradient × activation",
    found with the first of the images (B, channels, h, w).
    """
    network.eval()
    with torch.no_grad(), _recorded(network) as layers:
        network(images[:1])
    return tuple(
        f"{name}: {summary} {quantity}"
        for name in ("image", *_names(layers))
        for quantity in QUANTITIES
        for summary in SUMMARIES
    )


def train(inputs: torch.Tensor, masks: np.ndarray, config: GenerationConfig, seed: int) -> MapNetwork:
    """A network with this seed's weights, trained to predict masks (n, h, w) of 0 and 1
    from inputs (n, C, h, w), by the cross-entropy of every pixel.

    Trained on the images themselves instead, it is the control without access to the
    model.
    """
    network = seeded(seed, lambda: MapNetwork(inputs.shape[1], config.width), "weights of the map network")
    optimiser = torch.optim.Adam(network.parameters(), lr=config.rate, fused=True)
    targets, order = torch.from_numpy(np.asarray(masks)).float(), stream(seed, "order of the map network")
    inputs = inputs.contiguous(memory_format=torch.channels_last)  # a third less time
    batches = -(-len(inputs) // config.batch_size)
    rates = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, config.epochs * batches)
    for _ in range(config.epochs):
        for chosen in torch.randperm(len(inputs), generator=order).split(config.batch_size):
            gradient_step(
                optimiser,
                functional.binary_cross_entropy_with_logits(network(inputs[chosen]), targets[chosen]),
            )
            rates.step()
    return network.eval()


@torch.no_grad()
def generate(network: MapNetwork, inputs: torch.Tensor) -> np.ndarray:
    """Maps float32 (B, h, w) in [0, 1] from inputs (B, C, h, w) as the network was
    trained on.
    """
    return torch.cat([network(part).sigmoid() for part in inputs.split(BATCH)]).numpy()


def best_single(inputs: torch.Tensor, masks: np.ndarray) -> int:
    """The channel of inputs (n, C, h, w) that has most of its absolute values in masks
    (n, h, w), on average: what a generated map has to beat.
    """
    return int(mass_in_mask(inputs.numpy(), np.asarray(masks)[:, None]).mean(0).argmax())


def _inputs(network: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    images = images.detach().requires_grad_()
    with torch.enable_grad(), _recorded(network) as layers:
        chosen = network(images).gather(1, targets[:, None]).sum()
    activations = [images, *(output for _, output in layers)]
    gradients = torch.autograd.grad(chosen, activations)
    summaries = []
    for activation, gradient in zip(activations, gradients, strict=True):
        for values in (gradient, gradient * activation.detach()):
            # (B, 3, h, w) of the layer
            summary = torch.stack([values.mean(1), values.abs().mean(1), values.abs().amax(1)], dim=1)
            same = summary.shape[2:] == images.shape[2:]
            summaries.append(
                summary if same else functional.interpolate(summary, images.shape[2:], mode="bilinear")
            )
    return torch.cat(summaries, dim=1)


@contextmanager
def _recorded(network: nn.Module) -> Iterator[list[tuple[str, torch.Tensor]]]:
    """Name and output of every ReLU whose output is an image, in the order in which
    they run inside the block.
    """
    outputs: list[tuple[str, torch.Tensor]] = []

    def record(name: str, output: torch.Tensor) -> None:
        if output.ndim == 4:
            outputs.append((name, output))

    hooks = [
        module.register_forward_hook(lambda _module, _given, output, name=name: record(name, output))
        for name, module in network.named_modules()
        if isinstance(module, nn.ReLU)
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
    if not outputs:
        raise ValueError(
            "The network has no ReLU module whose output is an image, so there are no layers to read."
        )


def _names(layers: list[tuple[str, torch.Tensor]]) -> list[str]:
    """Names in order; a ReLU that runs more than once is numbered from its second run
    on.
    """
    names = [name for name, _ in layers]
    return [
        f"{name}#{names[: place + 1].count(name)}" if name in names[:place] else name
        for place, name in enumerate(names)
    ]
