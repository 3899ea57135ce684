"""Small classifiers of vectors: two convolutions where the vector is a square grey
image, one hidden layer where it is the row of a table.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data.vectors import Vectors
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import seeded, stream

BATCH = 50
RATE = 0.003
HIDDEN = 64  # units for the row of a table
SUMMANDS = 6  # atoms in a random sum
DISTURBED = 0.5  # share of the items of a batch from which a random sum is subtracted
# batch (B, d), targets (B, classes) → what is trained on instead
Augmentation = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def build(size: int, classes: int, side: int = 0) -> nn.Sequential:
    """Vectors (B, size) → logits (B, classes); `side` of the images, a multiple of 4,
    or 0 for rows of tables.
    """
    if not side:
        return nn.Sequential(nn.Linear(size, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
    first = nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    last = nn.Flatten(), nn.Linear(32 * (side // 4) ** 2, classes)
    return nn.Sequential(nn.Unflatten(1, (1, side, side)), *first, *second, *last)


def train(
    items: Vectors,
    classes: int,
    side: int,
    epochs: int,
    seed: int,
    purpose: str,
    augment: Augmentation | None = None,
) -> nn.Sequential:
    """A classifier trained on these items by Adam with a cosine schedule, every batch
    through `augment` where given; `purpose` names the streams of weights and order.
    """
    network = seeded(seed, lambda: build(items.values.shape[1], classes, side), purpose)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    values, labels = torch.from_numpy(items.values), torch.from_numpy(items.labels)
    orders, targets = stream(seed, f"{purpose}, order"), functional.one_hot(labels, classes).float()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * -(-len(items) // BATCH))
    for _ in range(epochs):
        for places in torch.randperm(len(items), generator=orders).split(BATCH):
            batch, target = values[places], targets[places]
            if augment is not None:
                batch, target = augment(batch, target)
            gradient_step(optimiser, functional.cross_entropy(network(batch), target))
            schedule.step()
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def predict_logits(network: nn.Module, values: np.ndarray) -> np.ndarray:
    """Logits float32 (n, K) of vectors (n, d)."""
    return network(torch.from_numpy(np.ascontiguousarray(values, np.float32))).numpy()


def random_sums(atoms: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """Sums of random atoms (n₀, d) with random positive weights, unit rows (count, d)."""
    chosen = torch.randint(len(atoms), (count, min(SUMMANDS, len(atoms))), generator=generator)
    weights = 0.25 + torch.rand(chosen.shape, generator=generator)
    added = torch.einsum("nm,nmd->nd", weights, atoms[chosen])
    return added / added.norm(dim=1, keepdim=True).clamp_min(1e-9)


def with_removals(
    batch: torch.Tensor, target: torch.Tensor, atoms: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """An augmentation after which removals count and a blank has no class: random sums
    of atoms (n₀, d), up to its own energy, are subtracted from half of a batch under
    the same labels, and from as many blanks with uniform targets.
    """
    taken = random_sums(atoms, 2 * len(batch), generator) * batch.norm(dim=1).repeat(2)[:, None]
    taken *= torch.rand(len(taken), 1, generator=generator).sqrt()
    taken[: len(batch)] *= (torch.rand(len(batch), 1, generator=generator) < DISTURBED).float()
    uniform = torch.full_like(target, 1 / target.shape[1])
    return torch.cat([batch, torch.zeros_like(batch)]) - taken, torch.cat([target, uniform])
