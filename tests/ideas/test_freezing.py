"""Freezing: equal budgets, choices on validation images, controls, networks that ship."""

import copy

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data import gallery, target_shifts
from mlcv_explore.ideas.freezing import (
    AXES,
    BASE,
    HALVES,
    MOVED,
    PHOTOGRAPHS,
    UNTRAINED,
    VALIDATION,
    FreezingConfig,
    idea,
    inference,
    measures_of,
    training,
)
from mlcv_explore.ideas.freezing.claims import PATTERNS
from mlcv_explore.models import block_network, fine_tuning, tuning_search
from mlcv_explore.models.block_network import BLOCKS
from mlcv_explore.models.fine_tuning import Examples
from mlcv_explore.models.tuned_networks import ALL
from mlcv_explore.models.tuning_search import HEAD_ONLY
from tests.calls import recorded

SHORT = FreezingConfig(updates=3, rates=2, source_size=150, test_size=60, target_size=40, width=4)


def measured(config: FreezingConfig, seed: int = 0) -> dict[str, float]:
    (*_, last) = idea.run(config, (seed,))
    return {name: float(values[0]) for name, values in idea.metrics(config, [last]).items()}


@pytest.mark.parametrize("shift", target_shifts.SHIFTS)
def test_without_updates_every_pattern_has_the_accuracy_of_the_source(shift: str) -> None:
    found = measured(SHORT.replace(updates=0, shift=shift))
    untrained = found.pop("scratch_accuracy"), found.pop("random_first_accuracy")
    assert untrained[0] == untrained[1] == found.pop("random_second_accuracy")
    found.pop("reordered_accuracy", None)  # changes the head without an update
    assert {value for name, value in found.items() if name.endswith("accuracy")} == {found["source_accuracy"]}
    assert not any(value for name, value in found.items() if name[-6:-1] == "moved" or "updates" in name)


def test_the_order_of_the_heads_rows_undoes_permuted_labels_without_an_update() -> None:
    config = SHORT.replace(source_size=700, test_size=300, target_size=200, severity=0)
    found, plain = measured(config.replace(shift="permuted_labels")), measured(config)
    assert found["reordered_accuracy"] == pytest.approx(plain["source_accuracy"], abs=0.02)
    assert found["source_accuracy"] < 0.1 and "reordered_accuracy" not in plain


def test_every_arm_is_measured_as_declared_and_best_is_the_best_of_the_patterns() -> None:
    found = measured(SHORT.replace(shift="new_classes"))
    assert found["best_accuracy"] == max(found[f"{arm}_accuracy"] for arm in PATTERNS)
    for arm, pattern in PATTERNS.items():
        assert [found[f"{arm}_{name}"] > 0 for name in MOVED] == list(pattern)
        assert found[f"{arm}_updates"] == 6
    assert found["greedy_updates"] >= 5 * 6 and found["head_then_all_updates"] == 6
    assert found["full_parameters"] > found["first_half_parameters"] > found["head_parameters"] == 85
    short = measured(SHORT.replace(shift="new_classes", compared="halves"))
    declared = measures_of(SHORT.replace(compared="halves"))
    assert set(short) == {f"{arm}_{name}" for arm, names in declared.items() for name in names}
    assert all(short[name] == found[name] for name in short if "best" not in name)
    assert short["best_accuracy"] == max(short[f"{arm}_accuracy"] for arm in HALVES)


def test_all_arms_have_the_same_images_and_none_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    target = training.prepare(SHORT, 0)[0]
    tunings = recorded(monkeypatch, fine_tuning, "tuned")
    sources = recorded(monkeypatch, fine_tuning, "pretrained")
    searches = recorded(monkeypatch, training, "TuningSearch")
    measured(SHORT)
    (source,) = sources
    trained = {each[2].inputs[0].numpy().tobytes() for each in tunings}
    assert len(trained) == 1 and len({each[2].labels.numpy().tobytes() for each in tunings}) == 1
    seen = {image.tobytes() for part in (source[1], tunings[0][2].inputs[0]) for image in part.numpy()}
    assert not seen & {image.tobytes() for image in target.test.as_float().numpy()}
    assert not seen & {image.tobytes() for image in target.validation.as_float().numpy()}
    for _, parts, *about in searches:
        expected = (target.train, target.validation, target.test)
        for given, part in zip(parts, expected, strict=True):
            assert torch.equal(given.inputs[0], part.as_float())
            assert np.array_equal(given.labels.numpy(), part.labels)
        assert about[0] == 3 and about[2:] == [1, 0]
        assert about[1] == pytest.approx([SHORT.rate / 3**0.5, SHORT.rate * 3**0.5])
    assert len(searches) == 2 and len(target.validation) == VALIDATION


def test_controls_have_the_same_start_without_pretraining() -> None:
    target, (network, untrained) = training.prepare(SHORT, 2)
    start = block_network.small(1, 8, SHORT.width, 10, 2)
    own = block_network.merged(block_network.with_statistics(start, target.source.as_float()))
    for name, value in untrained.state_dict().items():
        assert torch.equal(value, own.state_dict()[name])
    assert not torch.equal(network.blocks[0][0].weight, untrained.blocks[0][0].weight)
    found = measured(SHORT.replace(updates=60, rates=1, source_size=700), 2)
    assert found["first_half_accuracy"] > found["random_first_accuracy"] + 0.1


def test_new_classes_begin_with_a_new_head_and_permuted_labels_with_the_sources() -> None:
    config = SHORT.replace(source_size=600)
    target, (network, _) = training.prepare(config.replace(shift="new_classes"), 1)
    assert torch.equal(network.head.weight, block_network.new_head(16, 5, 1).weight)
    assert not set(target.source.classes) & set(target.test.classes)
    target, (network, _) = training.prepare(config.replace(shift="permuted_labels"), 1)
    tested = Examples([target.test.as_float()], torch.from_numpy(target.test.labels))
    assert fine_tuning.accuracy(network, tested) < 0.2
    restored, order = copy.deepcopy(network), torch.from_numpy(target.permutation)
    restored.head.weight.data[order] = network.head.weight.data.clone()
    restored.head.bias.data[order] = network.head.bias.data.clone()
    assert fine_tuning.accuracy(restored, tested) > 0.75


def test_claims_are_measured_at_the_settings_that_they_name() -> None:
    for study in idea.studies:
        cells = {cell.claim: cell.config.model_dump() for cell in study.cells if cell.claim != "table"}
        for claim in idea.claims:
            if claim.name in cells:
                assert dict(claim.when).items() <= cells[claim.name].items()
        assert {"input", "classes", "labels", "cheap"} <= cells.keys()
    seen = [cell.config.key() for cell in idea.studies[0].cells if cell.claim == "table"]
    assert len(seen) == len(set(seen)) == 10


def test_impossible_settings_are_refused_in_a_sentence() -> None:
    with pytest.raises(SettingError, match="target_size must be "):
        FreezingConfig(target_size=5)
    with pytest.raises(
        SettingError, match=r"FreezingConfig\.source_size, target_size and test_size together must be"
    ):
        FreezingConfig(source_size=1500)
    with pytest.raises(SettingError, match="severity must be"):
        FreezingConfig(severity=6)


@pytest.mark.real_data
def test_the_imagenet_network_is_tuned_on_photographs_of_64_pixels() -> None:
    if not data.available()["cifar10"].present:
        pytest.skip("needs CIFAR-10 under MLCV_DATA")
    sizes = {"source_size": 100, "target_size": 20, "test_size": 50, "updates": 1, "rates": 1}
    config = BASE.replace(shift="new_classes", **sizes)
    target, (network, untrained) = training.prepare(config, 0)
    search = training.search(config, network, target, 0)
    assert search.train.inputs[0].shape == (20, 3, 64, 64) and search.head_factor == 10
    assert search.train.inputs[BLOCKS].shape == (20, 1280, 2, 2)
    outcome = search.pattern(PATTERNS["second_half"])
    assert [change > 0 for change in outcome.moved] == [True, True, False, False]
    assert config.dataset == PHOTOGRAPHS and not torch.equal(
        next(network.blocks[0][1].parameters()), next(untrained.blocks[0][1].parameters())
    )


@pytest.mark.parametrize("name", list(inference.CONFIGS))
def test_networks_that_ship_are_as_good_as_recorded_before_and_after(name: str) -> None:
    networks, about = inference.load(name)
    assert networks.accuracy.shape == (3, 3, 16) and list(about) == list(target_shifts.SHIFTS)
    assert bool((networks.accuracy > 0).all() and (networks.seconds > 0).all())
    for place, shift in enumerate(target_shifts.SHIFTS):
        for row in range(3):
            moved = networks.moved[place, row] > 0
            assert torch.equal(moved, torch.tensor(ALL))
        assert networks.accuracy[place, 1, ALL.index(HEAD_ONLY)] < networks.accuracy[place].max() + 1e-6
        assert len(about[shift]["classes"]) == (5 if shift == "new_classes" else 10)


def test_the_digits_that_ship_are_recognised_after_tuning() -> None:
    config = inference.CONFIGS["Digits"]
    for place, shift in enumerate(target_shifts.SHIFTS):
        target = training.prepare(config.replace(shift=shift), 0)[0]
        networks, about = inference.load("Digits")
        tested = Examples([target.test.as_float()], torch.from_numpy(target.test.labels))
        after = fine_tuning.accuracy(networks.tuned(shift, (True,) * BLOCKS), tested)
        assert after == pytest.approx(float(networks.accuracy[place, 1, -1]), abs=0.06)
        assert fine_tuning.accuracy(networks.before[shift], tested) < after - 0.3
        image, right = inference.examples(shift)[3]
        assert np.array_equal(image, target.test.images[inference.EXAMPLES[3]])
        before, tuned = networks.before_and_after(shift, (True,) * BLOCKS, image)
        assert before.sum() == pytest.approx(1) and about[shift]["classes"][tuned.argmax()] == right


def test_an_image_is_read_as_the_target_has_it() -> None:
    pixels = gallery.photographs()["cat"].read().pixels
    shifts = "new_classes", "corruption"
    clean, noisy = (inference.at_target("Photographs", shift, pixels) for shift in shifts)
    assert clean.shape == noisy.shape == (3, 32, 32) and np.abs(noisy.astype(int) - clean).mean() > 10
    digit = inference.at_target("Digits", "permuted_labels", np.eye(8))
    assert np.array_equal(digit[0], np.eye(8) * 255)


def test_the_picture_has_what_is_frozen_on_its_axis() -> None:
    config = SHORT.replace(compared="halves")
    film = list(idea.run(config, (0, 1)))
    found, accuracies = idea.picture(film), idea.metrics(config, film)
    assert np.allclose(found.lines["idea"][:, 1], accuracies["first_half_accuracy"])
    assert np.allclose(found.lines["baseline"], accuracies["full_accuracy"][:, None])
    assert [line.shape for line in found.lines.values()] == [(2, 4)] * 4 and len(AXES.arms) == 18
    assert PATTERNS["full"] == tuning_search.EVERYTHING and UNTRAINED[0] == "scratch"
