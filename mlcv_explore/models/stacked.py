"""Training all seeds as one model: stacked dense networks, gradient steps, evaluation.

The weights of a stacked model have the seed axis S first, and one batched product
computes all seeds.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn

from mlcv_explore.seeds import seeded


class StackedDense(nn.Module):
    """S fully connected ReLU networks of equal size as one: (S, B, sizes[0]) → (S, B,
    sizes[-1]).

    Seed s has the initial weights of `nn.Sequential(nn.Linear(…), nn.ReLU(), …)` built
    by `seeded(s, …)`.
    """

    def __init__(self, sizes: Sequence[int], seeds: Sequence[int]) -> None:
        super().__init__()
        layers = [
            seeded(seed, lambda: [nn.Linear(one, other) for one, other in itertools.pairwise(sizes)])
            for seed in seeds
        ]
        levels = list(zip(*layers, strict=True))
        # (S, out, in)
        self.weights = nn.ParameterList(
            torch.stack([linear.weight.detach() for linear in level]) for level in levels
        )
        # (S, out, 1)
        self.biases = nn.ParameterList(
            torch.stack([linear.bias.detach()[:, None] for linear in level]) for level in levels
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(S, B, sizes[0]) → (S, B, sizes[-1])."""
        values = inputs.mT  # (S, in, B): with features first the few rows of the last layer cost a quarter
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = torch.baddbmm(bias, weight, values.relu_() if depth else values)
        return values.mT


class SeparateModels(nn.Module):
    """S separate networks with the interface of a stack, where stacking does not pay
    (convolutions: about 1.3 times).
    """

    def __init__(self, build: Callable[[], nn.Module], seeds: Sequence[int]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(seeded(seed, build) for seed in seeds)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(S, B, …) → (S, B, K)."""
        return torch.stack([network(batch) for network, batch in zip(self.networks, inputs, strict=True)])


def gradient_step(
    optimiser: torch.optim.Optimizer, output: torch.Tensor, gradient: torch.Tensor | None = None
) -> None:
    """One optimiser step on a loss, given as the loss itself or as its gradient at
    `output`.
    """
    optimiser.zero_grad(set_to_none=True)
    output.backward(gradient)
    optimiser.step()


@torch.no_grad()
def evaluate(
    stack: nn.Module, inputs: Sequence[torch.Tensor], shared: bool, batch: int = 250
) -> torch.Tensor:
    """Logits (S, n, K) for one tensor (n, …) a seed, without gradients, in evaluation
    mode; `shared` when all seeds have the same one.
    """
    stack.eval()
    parts = zip(*(image.split(batch) for image in (inputs[:1] if shared else inputs)), strict=True)
    batches = (torch.stack(part) for part in parts)
    logits = torch.cat([stack(part.expand(len(inputs), *part.shape[1:])) for part in batches], dim=1)
    stack.train()
    return logits
