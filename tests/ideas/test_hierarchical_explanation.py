"""Idea 13: data, and what an explanation costs."""

import dataclasses
import itertools
import math
from functools import cache

import numpy as np
import pytest
import torch

from mlcv_explore import idea
from mlcv_explore.command import arguments
from mlcv_explore.config import SettingError
from mlcv_explore.data import glyphs
from mlcv_explore.data.vectors import Vectors
from mlcv_explore.ideas.hierarchical_explanation import (
    ARMS,
    BUDGETS,
    MEASURES,
    STAGES,
    HierarchicalExplanationConfig,
    datasets,
    training,
)

SIZES = (120, 60, 20, 40)
SUBJECT = idea.load("hierarchical_explanation")
PARTS = ("train", "classifier_train", "validation", "test")


def trained(**parts: Vectors) -> training.Trainer:
    """A trainer after all stages, with some parts of its data exchanged."""
    made = training.Trainer(SUBJECT.quick, 0)
    made.dataset = dataclasses.replace(made.dataset, **parts)
    for stage in STAGES:
        made.advance(stage)
    return made


own = cache(trained)


def others(count: int) -> Vectors:
    """Items of another grammar."""
    return glyphs.generate(glyphs.grammar(9), count, 9, "others")


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("name", ["glyphs", "digits", "wine", "breast_cancer"])
def test_the_parts_of_a_data_set_share_no_item(name: str) -> None:
    dataset = datasets.load(name, SIZES, 0)
    parts = [getattr(dataset, part) for part in PARTS]
    size = parts[0].values.shape[1]
    assert [len(part) for part in parts] == list(SIZES) or len(dataset.columns) == size
    assert len(datasets.level_zero(dataset.side, size).first) == (size if dataset.columns else 4096)
    rows = [{row.tobytes() for row in part.values} for part in parts]
    assert all(not one & other for one, other in itertools.combinations(rows, 2))
    with pytest.raises(SettingError, match="at most 1750 digits in all, got 1950"):
        HierarchicalExplanationConfig(dataset="digits", train_items=1000)


def test_settings_are_known_by_their_earlier_names() -> None:
    assert HierarchicalExplanationConfig(taught=500) == HierarchicalExplanationConfig(train_items=500)
    options = arguments.read(["run", SUBJECT.slug, "--judged", "300"])
    assert options.changes == {"classifier_items": 300}


def test_arms_stay_within_their_bits() -> None:
    config = SUBJECT.quick
    assert [training.affordable(config, bits, 1024, 20_000) for bits in (100, 30)] == [(100 - 20) // 15, 0]
    film = list(SUBJECT.run(config, (0,)))
    places = [MEASURES.index(name) for name in ("bits", "atoms", "passes")]
    bits, atoms, passes = film[-1].measured[0][:, places].T
    for name in ("pixels", "flat", "prototypes", "two", "three", "spelled", "shuffled", "soft"):
        assert bits[ARMS.index(name)] <= config.bits or atoms[ARMS.index(name)] == 0
    assert passes[ARMS.index("spanned")] == 1
    assert [frame.bits for frame in film if frame.bits] == list(map(float, BUDGETS))


def test_nothing_is_trained_or_chosen_on_test_items() -> None:
    exchanged = trained(test=others(10))
    assert equal(own().classifier, exchanged.classifier)
    for name, arm in own().arms.items():
        np.testing.assert_array_equal(arm.atoms, exchanged.arms[name].atoms, err_msg=name)
        assert arm.dictionary == exchanged.arms[name].dictionary
    np.testing.assert_array_equal(own().filters.atoms, exchanged.filters.atoms)
    assert own().fixed["cart"][2] == exchanged.fixed["cart"][2]


def test_classifier_and_dictionaries_are_trained_on_different_items() -> None:
    assert equal(own().classifier, trained(train=others(20)).classifier)
    exchanged = trained(classifier_train=others(20))
    assert not torch.equal(own().classifier[-1].weight, exchanged.classifier[-1].weight)
    assert equal(own().teacher, exchanged.teacher)
    np.testing.assert_array_equal(own().filters.atoms, exchanged.filters.atoms)


def test_dictionaries_are_chosen_on_validation_items() -> None:
    parts = {name: getattr(own().dataset, name).values for name in ("test", "validation")}
    units = {name: items / np.linalg.norm(items, axis=1, keepdims=True) for name, items in parts.items()}
    assert own()._best([(name, atoms, 0.0) for name, atoms in units.items()]) == "validation"


def test_every_arm_pays_for_its_dictionary() -> None:
    paid = {name: arm.dictionary for name, arm in own().arms.items()}
    assert paid["three"] == own().three.bits(5) > own().three.up_to(1).bits(5) > 0
    assert paid["spelled"] == own().three.bits_in_first(5) > paid["three"] == paid["shuffled"]
    for name in ("flat", "prototypes"):
        assert paid[name] == len(own().arms[name].atoms) * 256 * 5
    assert paid["soft"] == pytest.approx((own().filters.atoms >= 0).sum() * (math.log2(4096) + 5))
    assert paid["pixels"] == 0
    for _, count, spent in own().explain(100).values():
        assert count == 0 or spent <= 100 or spent == 1280  # the item itself


def test_strangers_are_other_items() -> None:
    """Where all test items are the same, a different item has the same strokes."""
    overlaps = trained(test=own().dataset.test.take(np.zeros(10, np.int64)))._overlaps()
    assert overlaps["strangers"] == pytest.approx(overlaps["directions"], abs=1e-6)
    overlaps = own()._overlaps()
    assert abs(overlaps["strangers"] - overlaps["directions"]) > 1e-3
