"""Two small classifiers of one architecture: the judge, which f asks and no vocabulary
sees, and the teacher, which trees learn from.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.ideas.hierarchical_explanation.strokes import SIDE
from mlcv_explore.ideas.hierarchical_explanation.worlds import Items, World
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import seeded, stream

BATCH = 50
RATE = 0.003
HIDDEN = 64  # units for the row of a table
SET = 6  # atoms in a random set
DISTURBED = 0.5  # share of the pictures of a batch that are shown with something taken away


def classifier(of_pictures: bool, size: int, classes: int) -> nn.Sequential:
    """Vectors (B, d) → logits (B, classes): two convolutions for pictures of 16 × 16,
    one hidden layer for rows of tables.
    """
    if not of_pictures:
        return nn.Sequential(nn.Linear(size, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
    body = (
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    return nn.Sequential(
        nn.Unflatten(1, (1, SIDE, SIDE)), *body, nn.Flatten(), nn.Linear(32 * (SIDE // 4) ** 2, classes)
    )


def trained(
    world: World, items: Items, epochs: int, seed: int, purpose: str, first: np.ndarray | None = None
) -> nn.Sequential:
    """A classifier of these items; given atoms `first` (n₀, d) a judge, which says
    nothing of nothing and does not mind what is no part of them.

    A judge sees half of the items of every batch with random atoms taken away, up to
    their own energy, under the same label; and as many blanks, from which the same is
    taken, which are to be given every class alike. Without this a blank has a class of
    its own, and to remove any explanation of that class would change nothing.
    """
    network = seeded(
        seed, lambda: classifier(world.of_pictures, items.values.shape[1], len(world.classes)), purpose
    )
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    values, labels = torch.from_numpy(items.values), torch.from_numpy(items.labels)
    orders, disturb = stream(seed, f"{purpose}, order"), stream(seed, f"{purpose}, disturbed")
    atoms = None if first is None else torch.from_numpy(np.array(first))
    targets = functional.one_hot(labels, len(world.classes)).float()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * -(-len(items) // BATCH))
    for _ in range(epochs):
        for places in torch.randperm(len(items), generator=orders).split(BATCH):
            batch, wanted = values[places], targets[places]
            if atoms is not None:
                batch, wanted = _disturbed(batch, wanted, atoms, disturb)
            gradient_step(optimiser, functional.cross_entropy(network(batch), wanted))
            schedule.step()
    return network.eval().requires_grad_(False)


def _disturbed(
    batch: torch.Tensor, wanted: torch.Tensor, atoms: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch with something taken from half of it, and as many blanks with the same
    taken, of which nothing can be said.
    """
    taken = random_sets(atoms, 2 * len(batch), generator) * batch.norm(dim=1).repeat(2)[:, None]
    taken *= torch.rand(len(taken), 1, generator=generator).sqrt()
    taken[: len(batch)] *= (torch.rand(len(batch), 1, generator=generator) < DISTURBED).float()
    return torch.cat([batch, torch.zeros_like(batch)]) - taken, torch.cat(
        [wanted, torch.full_like(wanted, 1 / wanted.shape[1])]
    )


def random_sets(atoms: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """What random sets of atoms (n₀, d) add up to, unit rows (count, d)."""
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
