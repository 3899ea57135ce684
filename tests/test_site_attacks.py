"""Smallest perturbations at the sites of a small network: what rescaling a layer changes,
closed forms, bounds, and accuracy under attack.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.models import site_attacks
from mlcv_explore.models.attacks import Attack
from mlcv_explore.models.encoders import ConvolutionalNetwork
from mlcv_explore.models.layers import Chain
from mlcv_explore.models.robust_training import train
from mlcv_explore.models.site_attacks import OpenedNetwork, Site
from mlcv_explore.seeds import seeded
from tests.calls import recorded

NAMES = ("input", "early", "middle", "late", "logits")


@cache
def digits_network() -> OpenedNetwork:
    """Trained once for all tests; none changes it."""
    parts = data.split(data.load("digits"), 200, 100, 10, 0)
    images, test = parts.train.as_float(), parts.test.as_float()
    labels, truth = (torch.from_numpy(part.labels).long() for part in (parts.train, parts.test))
    network = seeded(0, lambda: ConvolutionalNetwork(1, 8, 4, 10))
    train(network, images, labels, 4, 0)
    chain = Chain((*network.blocks, lambda values: network.last(values.mean((2, 3)))), NAMES)
    return site_attacks.opened(chain, images, labels, test, truth, Attack(steps=4, restarts=1))


def rescaled(one: OpenedNetwork, site: int, factor: float) -> OpenedNetwork:
    """The same function with everything at a site multiplied by a factor."""
    blocks, at, sites = list(one.chain.blocks), one.sites[site], list(one.sites)
    before, after = blocks[site - 1], blocks[site]
    blocks[site - 1 : site + 1] = (
        lambda values: factor * before(values),
        lambda values: after(values / factor),
    )
    scales = {name: factor * scale for name, scale in at.scales.items()}
    sites[site] = Site(factor * at.attacked, scales, at.dimension, factor * at.others)
    return replace(one, chain=Chain(tuple(blocks), NAMES), sites=sites)


def test_multiplying_a_layer_changes_its_raw_size_alone() -> None:
    """c and 1/c before and after a site leave the function, and every relative size."""
    reference = site_attacks.sizes(digits_network(), 0, 0, 0.0)["raw"]
    one = site_attacks.sizes(digits_network(), 2, 0, reference)
    other = site_attacks.sizes(rescaled(digits_network(), 2, 10.0), 2, 0, reference)
    assert other["raw"] == pytest.approx(10 * one["raw"], rel=0.02)
    for unit in ("whitened", "unit", "distance", "shift"):
        assert other[unit] == pytest.approx(one[unit], rel=0.03), unit
    assert (one["noise"], one["dimension"]) == (other["noise"], other["dimension"])


def test_at_the_input_the_noise_shift_is_one_and_wrong_predictions_need_nothing() -> None:
    one = digits_network()
    found, radii = site_attacks.sizes(one, 0, 0, 0.0), site_attacks.smallest(one, 0, 0, "raw")
    assert found["shift"] == pytest.approx(1.0, rel=1e-3)
    right = one.sites[-1].attacked.argmax(1) == one.labels
    assert torch.equal(radii > 0, right) and float(radii[right].median()) == pytest.approx(found["raw"])
    assert site_attacks.accuracy(one) == pytest.approx(float(right.float().mean()))
    deviation = float(one.sites[0].scales["unit"])  # one channel of 64 pixels: units are a matter of division
    assert found["unit"] == pytest.approx(found["raw"] / (8 * deviation), rel=0.05)


def test_behind_the_last_block_the_smallest_size_is_the_closed_form_of_a_linear_layer() -> None:
    """The late block is averaged over places: (z_y − z_j)/‖w_y − w_j‖·√(h·w), smallest j."""
    one = replace(digits_network(), search=Attack(steps=30, restarts=3))
    values, tail = one.sites[3].attacked, one.chain.tail(3)
    channels, places = values.shape[1], values[0, 0].numel()
    one_each = torch.eye(channels)[:, :, None, None].expand(-1, -1, *values.shape[2:])
    weights = (tail(one_each) - tail(torch.zeros_like(values[:1]))).T
    assert weights.shape == (10, 16)
    logits, apart = one.sites[-1].attacked, weights[one.labels][:, None] - weights
    ratios = (logits.gather(1, one.labels[:, None]) - logits) / apart.norm(dim=2) * places**0.5
    exact = ratios.scatter(1, one.labels[:, None], np.inf).amin(1).clamp_min(0)
    found = site_attacks.smallest(one, 3, 0, "raw")
    excess = found[exact > 0] / exact[exact > 0]  # the nearest class by margin may not be the nearest
    assert excess.min() > 0.99 and excess.median() < 1.03 and excess.max() < 1.5


def test_reachable_perturbations_stay_among_pixels_and_rectified_features_and_cost_more() -> None:
    one, reachable = digits_network(), replace(digits_network(), reachable=True)
    for site, bounds in enumerate(((0, 1), (0, np.inf), (0, np.inf), (0, np.inf), (-np.inf, np.inf))):
        attack, unbounded = reachable.attack(site), one.attack(site)
        assert (attack.low, attack.high) == bounds and (unbounded.low, unbounded.high) == (-np.inf, np.inf)
    free, bounded = (site_attacks.smallest(network, 0, 0, "raw") for network in (one, reachable))
    right = free > 0
    assert bounded[right].median() >= 0.97 * free[right].median()


def test_every_site_is_compared_with_one_noise_at_the_input_and_searched_with_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls, one = recorded(monkeypatch, Attack, "noise"), digits_network()
    own, shared = [], set()
    for site in (1, 2):
        calls.clear()
        site_attacks.sizes(one, site, 0, 0.5)
        (at_input,) = [call for call in calls if call[1] is one.sites[0].attacked]
        assert (at_input[2] == 0.5).all()
        shared.add(at_input[3].initial_seed())
        own.append({call[3].initial_seed() for call in calls} - shared)
    assert len(shared) == 1 and not own[0] & own[1]
    assert len(own[0]) == len(own[1]) == 4  # three searches, and noise at the site itself


@pytest.mark.parametrize("site", [0, 2])
def test_as_many_withstand_an_attack_of_a_size_as_need_more_than_it(site: int) -> None:
    one = replace(digits_network(), search=Attack(steps=20, restarts=3))
    assert site_attacks.robust_accuracy(one, site, 0.0, 0) == pytest.approx(site_attacks.accuracy(one))
    radii = site_attacks.smallest(one, site, 0, "unit") * one.sites[site].attacked[0].numel() ** 0.5
    for size in (0.8, 1.25):  # a tenth is one image, near whose own size the search may fail
        radius = size * float(site_attacks.median_size(radii))
        withstood = site_attacks.robust_accuracy(one, site, radius, 0)
        assert withstood == pytest.approx(float((radii > radius).float().mean()), abs=0.11)


def test_a_median_that_does_not_exist_is_a_sentence() -> None:
    # wrong predictions need nothing, and do not count
    assert site_attacks.median_size(torch.tensor([0.0, 1, 2, 3])) == 2
    with pytest.raises(ValueError, match="No attacked image is classified correctly"):
        site_attacks.median_size(torch.zeros(3))
    with pytest.raises(ValueError, match="No perturbation that is tried changes half"):
        site_attacks.median_size(torch.tensor([1.0, torch.inf, torch.inf]))
