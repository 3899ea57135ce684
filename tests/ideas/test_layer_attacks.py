"""Layer attacks: what is trained on what, which images describe and are attacked, which
blocks are frozen, and how a run's settings become an attack.
"""

import pytest
import torch

from mlcv_explore.config import SettingError
from mlcv_explore.ideas.layer_attacks import (
    AXES,
    IMAGENET,
    VALIDATION,
    LayerAttacksConfig,
    claims,
    idea,
    training,
)
from mlcv_explore.ideas.layer_attacks.claims import NETWORKS, SITES
from mlcv_explore.models import site_attacks
from mlcv_explore.models.attacks import Attack
from tests.calls import recorded

SHORT = LayerAttacksConfig(attacked=10, steps=4, restarts=1, train_size=200, epochs=1, width=4)


def bytes_of(*batches: torch.Tensor) -> set[bytes]:
    """Every image of some batches."""
    return {image.numpy().tobytes() for images in batches for image in images}


def test_the_names_of_arms_and_measures_are_those_of_their_tables() -> None:
    assert tuple(arm.name for arm in claims.ARM_TABLE) == AXES.arms
    assert tuple(measure.name for measure in claims.MEASURE_TABLE) == AXES.measures


def test_a_run_has_every_metric_and_test_images_describe_and_train_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scales, distances and dimensions are those of training images."""
    trained, told = recorded(monkeypatch, training, "train"), recorded(monkeypatch, site_attacks, "opened")
    both = SHORT.replace(experiment="all")
    film = list(training.run(both, (0,)))
    columns = idea.metrics(both, film)
    assert len(film) == 17 and all(columns[f"{site}_raw"] > 0 for site in SITES)
    assert columns["depth_ranks"] == abs(columns["whitened_trend"]) and columns["flat_trend"] == 0
    images = trained[0][1]
    held_out = [call for call in told if len(call[3]) == VALIDATION]
    assert len(held_out) == 1  # the sizes of robust training are those of validation images
    for _, references, _, attacked, *_ in told:
        assert torch.equal(references, images) and len(attacked) in (SHORT.attacked, VALIDATION)
        assert not bytes_of(images) & bytes_of(attacked)
    others = [call[3] for call in told if call is not held_out[0]]
    assert not bytes_of(*others) & bytes_of(held_out[0][3])


def test_every_network_of_robust_training_has_equal_updates_and_the_right_parts_frozen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = SHORT.replace(experiment="training")
    calls = recorded(monkeypatch, training, "train")
    attacked = recorded(monkeypatch, site_attacks, "robust_accuracy")
    (*_, last) = training.run(short, (0,))
    assert len(calls) == len(NETWORKS) and all(call[3] == 1 for call in calls)
    assert [call[6] if len(call) > 6 else None for call in calls] == [None, 0, 1, 2, 3, *[None] * 4]
    # every network is attacked at each site with the size that was trained with there
    assert [call[1:3] for call in attacked] == len(NETWORKS) * [call[6:8] for call in calls[1:5]]
    networks = dict(zip(NETWORKS, (call[0] for call in calls), strict=True))
    first = {name: network.blocks[0][0].weight for name, network in networks.items()}
    later = {name: network.last.weight for name, network in networks.items()}
    assert torch.equal(first["early_block"], first["at_input"])
    assert torch.equal(first["own_block"], first["plain"])
    assert torch.equal(later["late_blocks"], later["at_input"])
    assert not torch.equal(first["late_blocks"], first["plain"])
    assert torch.equal(later["own_blocks"], later["plain"])
    assert not torch.equal(first["own_blocks"], first["plain"])
    assert not torch.equal(later["early_block"], later["plain"])
    values = last.measured[0][[AXES.arms.index(name) for name in NETWORKS]]
    assert values[:, -5].all() and not values[:, :5].any()


def test_settings_become_the_attack_and_an_untrained_network_has_its_own_predictions() -> None:
    one = training.prepare(SHORT.replace(norm="linf", reachable=True), 0, trained=False)
    assert (one.search, one.reachable, one.chain.names) == (Attack("linf", 4, 1), True, SITES)
    assert site_attacks.accuracy(one) == 1 > site_attacks.accuracy(training.prepare(SHORT, 0))
    assert not training.prepare(SHORT, 0).reachable


def test_impossible_settings_are_refused_in_a_sentence() -> None:
    with pytest.raises(SettingError, match="dataset photographs, whose ImageNet network is not trained"):
        LayerAttacksConfig(dataset=IMAGENET, experiment="training")
    with pytest.raises(ValueError, match="attacked must be"):
        LayerAttacksConfig(attacked=501)
