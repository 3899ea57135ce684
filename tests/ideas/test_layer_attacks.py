"""Layer attacks: the invariants of sizes, what is trained on what, and the demo."""

import functools

import numpy as np
import pytest
import torch

from mlcv_explore.config import SettingError
from mlcv_explore.ideas.layer_attacks import (
    ARMS,
    IMAGENET,
    MEASURES,
    VALIDATION,
    LayerAttacksConfig,
    claims,
    idea,
    inference,
    training,
)
from mlcv_explore.ideas.layer_attacks.claims import MEANINGS, NETWORKS, SITES
from mlcv_explore.models import available_models
from mlcv_explore.models.layers import Chain
from tests.calls import recorded

SHORT = LayerAttacksConfig(attacked=10, steps=4, restarts=1, train_size=200, epochs=4, width=4)


@functools.cache
def trained_network(trained: bool = True) -> training.OpenedNetwork:
    """A network trained once for all tests; none changes it."""
    return training.prepare(SHORT, 0, trained)


def test_the_names_of_arms_and_measures_are_those_of_their_tables() -> None:
    assert tuple(arm.name for arm in claims.ARM_TABLE) == ARMS
    assert tuple(measure.name for measure in claims.MEASURE_TABLE) == MEASURES


def rescaled(one: training.OpenedNetwork, site: int, factor: float) -> training.OpenedNetwork:
    """The same function with everything at a site multiplied by a factor."""
    blocks, at = list(one.chain.blocks), one.sites[site]
    before, after = blocks[site - 1], blocks[site]
    blocks[site - 1], blocks[site] = (
        lambda values: factor * before(values),
        lambda values: after(values / factor),
    )
    scales = {name: factor * scale for name, scale in at.scales.items()}
    sites = list(one.sites)
    sites[site] = training.Site(factor * at.attacked, scales, at.dimension, factor * at.others)
    return training.OpenedNetwork(Chain(tuple(blocks), SITES), sites, one.labels)


def test_multiplying_a_layer_changes_its_raw_size_alone() -> None:
    """c and 1/c before and after a site leave the function, and every relative size."""
    reference = training.sizes(SHORT, trained_network(), 0, 0, 0.0)[0]["raw"]
    one, noise = training.sizes(SHORT, trained_network(), 2, 0, reference)
    other, other_noise = training.sizes(SHORT, rescaled(trained_network(), 2, 10.0), 2, 0, reference)
    assert other["raw"] == pytest.approx(10 * one["raw"], rel=0.02)
    for meaning in MEANINGS[1:]:
        assert other[meaning] == pytest.approx(one[meaning], rel=0.03), meaning
    assert noise == other_noise


def test_at_the_input_the_noise_shift_is_one_and_wrong_predictions_need_nothing() -> None:
    one = trained_network()
    found, _ = training.sizes(SHORT, one, 0, 0, 0.0)
    assert found["shift"] == pytest.approx(1.0, rel=1e-3)
    radii = training.smallest(SHORT, one, 0, 0, "raw")
    right = one.sites[-1].attacked.argmax(1) == one.labels
    assert torch.equal(radii > 0, right) and float(radii[right].median()) == pytest.approx(found["raw"])
    deviation = float(one.sites[0].scales["unit"])  # one channel of 64 pixels: units are a matter of division
    assert found["unit"] == pytest.approx(found["raw"] / (8 * deviation), rel=0.05)


def test_behind_the_last_block_the_smallest_size_is_the_closed_form_of_a_linear_layer() -> None:
    """The late block is averaged over places: (z_y − z_j)/‖w_y − w_j‖·√(h·w), smallest j."""
    exact_search = SHORT.replace(steps=30, restarts=3)
    one = trained_network()
    network = training._network(SHORT, one.sites[0].attacked, 0)
    values = one.sites[3].attacked
    places = values[0, 0].numel()
    weights = torch.stack(
        [
            one.chain.tail(3)(
                torch.eye(values.shape[1])[[row]][:, :, None, None].expand(-1, -1, *values.shape[2:])
            )[0]
            for row in range(values.shape[1])
        ]
    ).T
    weights = weights - one.chain.tail(3)(torch.zeros_like(values[:1])).T
    assert weights.shape == network.last.weight.shape
    logits, apart = one.sites[-1].attacked, weights[one.labels][:, None] - weights
    ratios = (logits.gather(1, one.labels[:, None]) - logits) / apart.norm(dim=2) * places**0.5
    exact = ratios.scatter(1, one.labels[:, None], np.inf).amin(1).clamp_min(0)
    found = training.smallest(exact_search, one, 3, 0, "raw")
    excess = found[exact > 0] / exact[exact > 0]  # the nearest class by margin may not be the nearest
    assert excess.min() > 0.99 and excess.median() < 1.03 and excess.max() < 1.5


def test_reachable_perturbations_stay_among_pixels_and_rectified_features_and_cost_more() -> None:
    reachable = SHORT.replace(reachable=True)
    for site, (low, high) in enumerate(((0, 1), (0, np.inf), (0, np.inf), (0, np.inf), (-np.inf, np.inf))):
        attack = trained_network().attack(reachable, site)
        assert (attack.low, attack.high) == (low, high)
    free, bounded = (
        training.smallest(config, trained_network(), 0, 0, "raw") for config in (SHORT, reachable)
    )
    right = free > 0
    assert bounded[right].median() >= 0.97 * free[right].median()


def test_a_run_has_every_metric_and_test_images_describe_and_train_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scales, distances and dimensions are those of training images."""
    trained, told = (recorded(monkeypatch, training, name) for name in ("train", "described"))
    both = SHORT.replace(experiment="all", epochs=1)
    film = list(training.run(both, (0,)))
    columns = idea.metrics(both, film)
    assert len(film) == 17 and all(columns[f"{site}_raw"] > 0 for site in SITES)
    assert columns["depth_ranks"] == abs(columns["whitened_trend"]) and columns["flat_trend"] == 0
    images = trained[0][1]
    held_out = [call for call in told if len(call[3]) == VALIDATION]
    assert len(held_out) == 1  # the sizes of robust training are those of validation images
    for _, references, _, attacked, *_ in told:
        assert torch.equal(references, images) and len(attacked) in (SHORT.attacked, VALIDATION)
        assert not {image.numpy().tobytes() for image in images} & {
            image.numpy().tobytes() for image in attacked
        }
    shown = {image.numpy().tobytes() for call in told if call is not held_out[0] for image in call[3]}
    assert not shown & {image.numpy().tobytes() for image in held_out[0][3]}


def test_every_network_of_robust_training_has_equal_updates_and_the_right_parts_frozen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = SHORT.replace(experiment="training", epochs=1)
    calls = recorded(monkeypatch, training, "train")
    (*_, last) = training.run(short, (0,))
    assert len(calls) == len(NETWORKS) and all(call[3] == 1 for call in calls)
    assert [call[6] if len(call) > 6 else None for call in calls] == [None, 0, 1, 2, 3, *[None] * 4]
    networks = dict(zip(NETWORKS, (call[0] for call in calls), strict=True))
    first = {name: network.blocks[0][0].weight for name, network in networks.items()}
    later = {name: network.last.weight for name, network in networks.items()}
    assert torch.equal(first["early_block"], first["at_input"]) and torch.equal(
        first["own_block"], first["plain"]
    )
    assert torch.equal(later["late_blocks"], later["at_input"]) and not torch.equal(
        first["late_blocks"], first["plain"]
    )
    assert torch.equal(later["own_blocks"], later["plain"]) and not torch.equal(
        first["own_blocks"], first["plain"]
    )
    assert not torch.equal(later["early_block"], later["plain"])
    values = last.measured[0][[ARMS.index(name) for name in NETWORKS]]
    assert values[:, -5].all() and not values[:, :5].any()


def test_a_median_that_does_not_exist_is_a_sentence() -> None:
    assert (
        training.half(torch.tensor([0.0, 1, 2, 3])) == 2
    )  # wrong predictions need nothing, and do not count
    with pytest.raises(ValueError, match="No attacked image is classified correctly"):
        training.half(torch.zeros(3))
    with pytest.raises(ValueError, match="No perturbation that is tried changes half"):
        training.half(torch.tensor([1.0, torch.inf, torch.inf]))


def test_ranks_are_spearmans_and_a_trend_needs_no_network() -> None:
    assert training.trend(np.arange(5), np.array([1.0, 0.5, 2, 3, 4])) == pytest.approx(0.9)
    assert (
        training.trend(np.arange(5), np.arange(5)[::-1]) == pytest.approx(-1)
        and training.trend(np.arange(5), np.ones(5)) == 0
    )


def test_impossible_settings_are_refused_in_a_sentence() -> None:
    with pytest.raises(SettingError, match="dataset photographs, whose ImageNet network is not trained"):
        LayerAttacksConfig(dataset=IMAGENET, experiment="training")
    with pytest.raises(ValueError, match="attacked must be"):
        LayerAttacksConfig(attacked=501)


def test_the_demo_spends_a_share_of_the_spread_and_0_changes_nothing() -> None:
    model, array = (
        available_models.load("cifar10/0"),
        np.random.default_rng(0).random((3, 32, 32), np.float32),
    )
    none = inference.attacked(model, array, 3, 0.0, "l2")
    assert np.allclose(none.probabilities[0], none.probabilities[1]) and np.ptp(none.confidence) < 1e-6
    chain = inference.opened(model)
    start = chain.between(0, 3)(torch.from_numpy(array)[None]).detach()
    some = inference.attacked(model, array, 3, 0.2, "l2")
    about = (start - start.mean((2, 3), keepdim=True)).norm()
    assert some.size <= 0.2 * float(about) * (1 + 1e-4) and some.size == pytest.approx(
        0.2 * float(about), rel=0.05
    )
    best = some.probabilities[0].argmax()
    assert some.probabilities[1][best] < some.probabilities[2][best]
    pixels = inference.attacked(model, array, 0, 0.5, "linf").maps[1]
    assert pixels.min() >= 0 and pixels.max() <= 1
