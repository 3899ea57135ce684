"""Two small networks of one architecture: the classifier that judges explanations,
which no dictionary is fitted to, and the teacher that trees learn from.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.ideas.hierarchical_explanation.datasets import Dataset, Items
from mlcv_explore.ideas.hierarchical_explanation.strokes import SIDE
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import seeded, stream

BATCH = 50
RATE = 0.003
HIDDEN = 64  # units for the row of a table
SET = 6  # atoms in a random set
DISTURBED = 0.5  # share of the items of a batch from which a random set is subtracted


def build(has_images: bool, size: int, classes: int) -> nn.Sequential:
    """Vectors (B, d) → logits (B, classes): two convolutions for images of 16 × 16, one
    hidden layer for rows of tables.
    """
    if not has_images:
        return nn.Sequential(nn.Linear(size, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
    first = nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    last = nn.Flatten(), nn.Linear(32 * (SIDE // 4) ** 2, classes)
    return nn.Sequential(nn.Unflatten(1, (1, SIDE, SIDE)), *first, *second, *last)


def train(
    dataset: Dataset, items: Items, epochs: int, seed: int, purpose: str, first: np.ndarray | None = None
) -> nn.Sequential:
    """A network trained on these items; given atoms `first` (n₀, d) also on disturbed
    items and blanks, so that a blank has no class and removals count.

    Half of each batch has random atoms subtracted, up to its own energy, under the same
    label; as many blanks, with the same subtracted, have a uniform target.
    """
    size, classes = items.values.shape[1], len(dataset.classes)
    network = seeded(seed, lambda: build(dataset.has_images, size, classes), purpose)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    values, labels = torch.from_numpy(items.values), torch.from_numpy(items.labels)
    orders, disturb = stream(seed, f"{purpose}, order"), stream(seed, f"{purpose}, disturbed")
    atoms = None if first is None else torch.from_numpy(np.array(first))
    targets = functional.one_hot(labels, classes).float()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * -(-len(items) // BATCH))
    for _ in range(epochs):
        for places in torch.randperm(len(items), generator=orders).split(BATCH):
            batch, target = values[places], targets[places]
            if atoms is not None:
                batch, target = _disturbed(batch, target, atoms, disturb)
            gradient_step(optimiser, functional.cross_entropy(network(batch), target))
            schedule.step()
    return network.eval().requires_grad_(False)


def _disturbed(
    batch: torch.Tensor, target: torch.Tensor, atoms: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch, half of it disturbed, and as many disturbed blanks with uniform
    targets.
    """
    taken = random_sets(atoms, 2 * len(batch), generator) * batch.norm(dim=1).repeat(2)[:, None]
    taken *= torch.rand(len(taken), 1, generator=generator).sqrt()
    taken[: len(batch)] *= (torch.rand(len(batch), 1, generator=generator) < DISTURBED).float()
    uniform = torch.full_like(target, 1 / target.shape[1])
    return torch.cat([batch, torch.zeros_like(batch)]) - taken, torch.cat([target, uniform])


def random_sets(atoms: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """Sums of random sets of atoms (n₀, d), unit rows (count, d)."""
    chosen = torch.randint(len(atoms), (count, min(SET, len(atoms))), generator=generator)
    weights = 0.25 + torch.rand(chosen.shape, generator=generator)
    added = torch.einsum("nm,nmd->nd", weights, atoms[chosen])
    return added / added.norm(dim=1, keepdim=True).clamp_min(1e-9)


@torch.inference_mode()
def logits_of(network: nn.Module, values: np.ndarray) -> np.ndarray:
    """Logits float32 (n, K) of vectors (n, d)."""
    return network(torch.from_numpy(np.ascontiguousarray(values, np.float32))).numpy()


def log_odds(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """log p/(1 − p) of one class a row, (n,)."""
    rows = np.arange(len(logits))
    others = logits.astype(float).copy()
    others[rows, classes] = -np.inf
    top = others.max(1)
    return logits[rows, classes] - (top + np.log(np.exp(others - top[:, None]).sum(1)))
