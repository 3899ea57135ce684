"""Attacks from any site, against what a linear network makes exact."""

import math

import pytest
import torch
from captum.robust import PGD

from mlcv_explore.models.attacks import Attack, margins, search, smallest
from mlcv_explore.seeds import stream

CLASSES, SIZE, COUNT = 5, 20, 120


def linear() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights (K, d), inputs (n, d) and the classes that they are given."""
    draws = stream(0, "linear")
    weights, inputs = torch.randn(CLASSES, SIZE, generator=draws), torch.randn(COUNT, SIZE, generator=draws)
    return weights, inputs, (inputs @ weights.T).argmax(1)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_smallest_radius_of_a_linear_network_is_its_closed_form(norm: str) -> None:
    """min over j of (z_y − z_j)/‖w_y − w_j‖, in the dual norm; 0 where it is wrong already."""
    weights, inputs, labels = linear()
    labels = torch.where(torch.arange(COUNT) < 3, (labels + 1) % CLASSES, labels)
    found = smallest(lambda values: values @ weights.T, inputs, labels, Attack(norm), stream(0, "attack"))
    logits, apart = inputs @ weights.T, weights[labels][:, None] - weights
    lengths = apart.norm(dim=2) if norm == "l2" else apart.abs().sum(2)
    ratios = (logits.gather(1, labels[:, None]) - logits) / lengths
    exact = ratios.scatter(1, labels[:, None], math.inf).amin(1)
    assert (found[:3] == 0).all()
    excess = found[3:] / exact[3:]
    assert excess.min() > 0.999 and excess.median() < 1.03 and excess.max() < 1.25


def test_at_the_logits_the_smallest_radius_is_the_lead_over_the_square_root_of_two() -> None:
    weights, inputs, labels = linear()
    logits = inputs @ weights.T
    found = smallest(lambda values: values, logits, labels, Attack(), stream(0, "attack"))
    assert torch.allclose(found, margins(logits, labels) / math.sqrt(2), rtol=0.04)


def curved(values: torch.Tensor) -> torch.Tensor:
    """A small network whose margin is not linear."""
    weights, _, _ = linear()
    return torch.sin(2 * values) @ weights.T + values @ weights.T


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_search_beats_one_step_which_beats_noise_and_never_leaves_the_radius(norm: str) -> None:
    _, inputs, _ = linear()
    labels, radius = curved(inputs).argmax(1), torch.full((COUNT,), 0.5 if norm == "l2" else 0.1)
    attack, none = Attack(norm), Attack(norm, steps=1, restarts=1)
    lowest, units = search(curved, inputs, labels, radius, attack, stream(1, "search"))
    one, _ = search(curved, inputs, labels, radius, none, stream(1, "search"))
    noisy = attack.perturbed(inputs, attack.noise(inputs, radius, stream(1, "noise")))
    assert (lowest <= one + 1e-6).all() and lowest.mean() < one.mean()
    assert one.mean() < margins(curved(noisy), labels).mean()
    assert (attack.sizes(units) <= radius * (1 + 1e-5)).all()
    assert torch.allclose(margins(curved(attack.perturbed(inputs, units)), labels), lowest, atol=1e-5)


def test_radius_0_is_the_network_itself_and_a_larger_one_is_never_weaker() -> None:
    _, inputs, _ = linear()
    labels = curved(inputs).argmax(1)
    curve: list[float] = []
    for size in (0.0, 0.1, 0.3, 0.6, 1.2):
        radius = torch.full((COUNT,), size)
        lowest, units = search(curved, inputs, labels, radius, Attack(), stream(0, "search"))
        if not size:
            assert torch.equal(lowest, margins(curved(inputs), labels)) and not units.any()
        curve.append(float((lowest > 0).float().mean()))
    assert curve[0] == 1 and curve == sorted(curve, reverse=True) and curve[-1] < 0.5


def test_bounds_hold_and_a_scale_changes_units_alone() -> None:
    """Twice the scale halves the smallest radius; values stay within their bounds."""
    weights, inputs, labels = linear()
    twice = Attack(scale=2 * torch.eye(SIZE))
    tail = lambda values: values @ weights.T  # noqa: E731
    first, second = (smallest(tail, inputs, labels, each, stream(0, "a")) for each in (Attack(), twice))
    assert torch.allclose(first, 2 * second, rtol=0.05)
    bounded = Attack(low=-0.2, high=0.2)
    moved = bounded.perturbed(inputs, torch.randn(COUNT, SIZE, generator=stream(0, "b")))
    assert moved.min() >= -0.2 and moved.max() <= 0.2


def test_captums_search_with_as_many_steps_finds_no_lower_margin() -> None:
    """Its loss is the margin too; ours keeps the best point and begins with a full step."""
    _, inputs, _ = linear()
    labels, radius = curved(inputs).argmax(1), 0.4
    theirs = PGD(curved, loss_func=lambda logits, target: -margins(logits, target))
    theirs.fgsm.loss_func = theirs.loss_func if hasattr(theirs, "loss_func") else theirs.fgsm.loss_func
    moved = theirs.perturb(inputs, radius, radius * 2.5 / 20, 20, labels, norm="L2")
    lowest, _ = search(
        curved, inputs, labels, torch.full((COUNT,), radius), Attack(restarts=1), stream(0, "search")
    )
    assert float(lowest.mean()) <= float(margins(curved(moved), labels).mean()) + 1e-3
