"""Adversarial perturbations of what any part of a network reads: projected gradient descent
on the margin, and the smallest size that changes a prediction.

`tail` is that part, as a function of its input: at a hidden site the rest of the network.
A perturbation is start + scale · u with ‖u‖ at most the radius, so that a scale measures
sizes in other units, such as standard deviations.

Source: A. Madry et al., 2018, https://arxiv.org/abs/1706.06083; the sign or gradient step:
I. Goodfellow et al., 2015, https://arxiv.org/abs/1412.6572.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

Tail = Callable[[torch.Tensor], torch.Tensor]
STEP = 2.5  # the steps together are this many radii long
TRIES, TOLERANCE = 24, 0.03  # of a bisection: radii tried, and the error it ends at
MOST = 1e6  # a radius at which no attack is expected any more


@dataclass(frozen=True)
class Attack:
    """How perturbations are searched."""

    norm: str = "l2"  # or "linf"
    steps: int = 20
    restarts: int = 3
    scale: torch.Tensor | None = None  # (C, C) over channels
    low: float = -math.inf  # what a perturbed value may be: pixels end at 0 and 1
    high: float = math.inf

    def perturbed(self, start: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
        """Start (B, C, …) moved by units u of the same shape, within the bounds."""
        moved = units if self.scale is None else torch.einsum("cd,bd...->bc...", self.scale, units)
        return (start + moved).clamp(self.low, self.high)

    def sizes(self, values: torch.Tensor) -> torch.Tensor:
        """The norm of each of (B, …): (B,)."""
        flat = values.flatten(1)
        return flat.norm(dim=1) if self.norm == "l2" else flat.abs().amax(1)

    def projected(self, units: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
        """(B, …) with norms at most the radii (B,)."""
        if self.norm == "linf":
            bound = _like(radius, units)
            return units.clamp(-bound, bound)
        return units * _like((radius / self.sizes(units).clamp_min(1e-12)).clamp_max(1), units)

    def steepest(self, gradient: torch.Tensor) -> torch.Tensor:
        """The direction of norm 1 that climbs fastest; 0 where the gradient is 0."""
        if self.norm == "linf":
            return gradient.sign()
        return gradient / _like(self.sizes(gradient).clamp_min(1e-30), gradient)

    def noise(self, start: torch.Tensor, radius: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Random units of norm `radius`: Gaussian directions, or random signs."""
        draws = torch.randn(start.shape, generator=generator)
        return self.steepest(draws) * _like(radius, draws)


def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(B, K), (B,) → the class's logit minus the largest other one (B,): negative where
    the prediction is another.
    """
    own = logits.gather(1, labels[:, None])
    return own[:, 0] - logits.scatter(1, labels[:, None], -math.inf).amax(1)


def search(
    tail: Tail,
    start: torch.Tensor,
    labels: torch.Tensor,
    radius: torch.Tensor,
    attack: Attack,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The lowest margins found (B,) and their units (B, …) among all points tried: no
    perturbation, the full step from there, random ones of full size, and every step.
    """
    count = len(start)
    starts = torch.cat([start] * attack.restarts)
    targets, bounds = labels.repeat(attack.restarts), radius.repeat(attack.restarts)
    units = attack.noise(starts, bounds, generator)
    units[:count] = 0  # the first restart begins at the example itself
    best, chosen = torch.full_like(bounds, math.inf), units
    for step in range(attack.steps + 1):
        units = units.detach().requires_grad_(step < attack.steps)
        values = margins(tail(attack.perturbed(starts, units)), targets)
        better = values.detach() < best
        best = torch.where(better, values.detach(), best)
        chosen = torch.where(_like(better, units), units.detach(), chosen)
        if step < attack.steps:
            (gradient,) = torch.autograd.grad(values.sum(), units)
            length = bounds * (STEP / attack.steps if step else 1.0)
            units = attack.projected(units - attack.steepest(gradient) * _like(length, units), bounds)
    lowest, place = best.view(attack.restarts, count).min(0)
    return lowest, chosen.view(attack.restarts, count, *start.shape[1:])[place, torch.arange(count)]


def smallest(
    tail: Tail, start: torch.Tensor, labels: torch.Tensor, attack: Attack, generator: torch.Generator
) -> torch.Tensor:
    """The smallest radius (B,) found that changes each prediction, by bisection: 0 where
    it is wrong already, infinite where no attack succeeds.
    """
    units = torch.zeros_like(start).requires_grad_()
    values = margins(tail(attack.perturbed(start, units)), labels)
    (gradient,) = torch.autograd.grad(values.sum(), units)
    slope = gradient.flatten(1).norm(dim=1) if attack.norm == "l2" else gradient.flatten(1).abs().sum(1)
    wrong = values.detach() <= 0
    low, high = torch.zeros_like(slope), torch.full_like(slope, math.inf)
    tried = (1.5 * values.detach() / slope.clamp_min(1e-12)).clamp(1e-6, 1e6)
    for _ in range(TRIES):
        undecided = ~wrong & ((high - low) >= TOLERANCE * high) & (tried < MOST)
        if not undecided.any():
            break
        radius = torch.where(high.isfinite(), (low + high) / 2, tried)[undecided]
        lowest, units = search(tail, start[undecided], labels[undecided], radius, attack, generator)
        hit = lowest <= 0
        high[undecided] = torch.where(
            hit, torch.minimum(high[undecided], attack.sizes(units)), high[undecided]
        )
        low[undecided] = torch.where(hit, low[undecided], radius)
        tried[undecided] = torch.where(hit, tried[undecided], 2 * radius)
    return torch.where(wrong, 0.0, high)


def _like(values: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(B,) as (B, 1, …), to be multiplied with (B, …)."""
    return values.view(-1, *[1] * (other.ndim - 1))
