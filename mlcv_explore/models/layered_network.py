"""Networks with a classifier at each of four layers, trained beside outliers."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.seeds import seeded, stream

LAYERS = 4
HIDDEN = 64  # units of a layer's classifier
GROUPS = 4  # of channels normalised together
RATE, BATCH = 0.003, 50

# places of a batch's images → features (B, d) of as many outliers at every layer that is asked for
Outliers = Callable[[torch.Tensor], Mapping[int, torch.Tensor] | Sequence[torch.Tensor]]


class LayeredNetwork(nn.Module):
    """Four blocks, each averaged over places, with a classifier on every average; the
    last is the network's. Without channels, on stored features of `sizes` side by side.
    """

    def __init__(self, sizes: Sequence[int], classes: int, channels: int = 0, side: int = 0) -> None:
        super().__init__()
        self.arguments = {"sizes": list(sizes), "classes": classes, "channels": channels, "side": side}
        self.sizes, strides = tuple(sizes), (1 if side <= 8 else 2, 2, 2, 1)
        before = (channels, *self.sizes[:-1])
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(first, last, 3, stride, 1), nn.GroupNorm(GROUPS, last), nn.ReLU())
            for first, last, stride in zip(before, self.sizes, strides, strict=True)
            if channels
        )
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(size, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
            for size in self.sizes
        )
        self.slopes, self.offsets = nn.Parameter(torch.ones(LAYERS)), nn.Parameter(torch.zeros(LAYERS))

    def features(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        """(n, d) of every layer."""
        if not self.blocks:
            return list(inputs.split(self.sizes, 1))
        found = []
        for block in self.blocks:
            inputs = block(inputs)
            found.append(inputs.mean((2, 3)))
        return found

    def log_odds(self, features: torch.Tensor, layer: int) -> torch.Tensor:
        """Log-odds (n,) of real against virtual: a line in log Σ exp(logits), the negative
        energy. Its order is the energy's, so VOS's class weights are left at 1.
        """
        return self.slopes[layer] * self.heads[layer](features).logsumexp(1) + self.offsets[layer]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes)."""
        return self.heads[-1](self.features(inputs)[-1])


def build(shape: Sequence[int], width: int, classes: int, seed: int) -> LayeredNetwork:
    """A network for images of a shape (C, h, w), or for stored features of these sizes where
    there are four.
    """
    if len(shape) == LAYERS:
        return seeded(seed, lambda: LayeredNetwork(shape, classes))
    sizes = (width, 2 * width, 4 * width, 4 * width)
    return seeded(seed, lambda: LayeredNetwork(sizes, classes, shape[0], shape[1]))


def train(
    network: LayeredNetwork,
    images: torch.Tensor,
    labels: torch.Tensor,
    epochs: int,
    seed: int,
    outliers: Callable[[], Outliers] | None = None,
    layers: Sequence[int] = (),
    weight: float = 0.0,
    start: float = 0.0,
    validation: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> None:
    """Adam on cross-entropy, in place, in the same order of batches for every network of a
    seed; from the share `start` of the epochs on, at least in the last, `weight` times the
    logistic loss of real against outliers is added, averaged over some layers. `outliers()`
    prepares those of an epoch. With validation images the state of the epoch with the lowest
    such loss on them is kept, of those with outliers where there are any.

    Classifiers below the last layer learn without changing its blocks.
    """
    optimiser = torch.optim.Adam(network.parameters(), RATE, fused=True)
    order, best, state = stream(seed, "order"), math.inf, {}
    first = min(start * epochs, epochs - 1) if outliers and weight else 0
    for epoch in range(epochs):
        drawn = outliers() if outliers and weight and epoch >= first else None
        for chosen in torch.randperm(len(images), generator=order).split(BATCH):
            features, own = network.features(images[chosen]), labels[chosen]
            loss = functional.cross_entropy(network.heads[-1](features[-1]), own)
            for layer in range(LAYERS - 1):
                loss = loss + functional.cross_entropy(network.heads[layer](features[layer].detach()), own)
            if drawn:
                loss = loss + weight * _against(network, features, drawn(chosen), layers)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if validation and epoch >= first:
            with torch.no_grad():
                features = network.features(validation[0])
                loss = functional.cross_entropy(network.heads[-1](features[-1]), validation[1])
                if drawn:  # those of as many training images
                    some = torch.arange(len(validation[0])) % len(images)
                    loss = loss + weight * _against(network, features, drawn(some), layers)
            if loss < best:
                best, state = float(loss), copy.deepcopy(network.state_dict())
    network.load_state_dict(state or network.state_dict())
    network.requires_grad_(False)


def _against(
    network: LayeredNetwork,
    features: Sequence[torch.Tensor],
    others: Mapping[int, torch.Tensor] | Sequence[torch.Tensor],
    layers: Sequence[int],
) -> torch.Tensor:
    """Logistic loss of real features against outliers, averaged over layers."""
    losses = [
        functional.softplus(-network.log_odds(features[layer], layer)).mean()
        + functional.softplus(network.log_odds(others[layer], layer)).mean()
        for layer in layers
    ]
    return torch.stack(losses).mean() / 2
