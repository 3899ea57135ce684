"""Idea 13: data, codes at equal bits, and what an explanation costs."""

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
import torch

from mlcv_explore.command import arguments
from mlcv_explore.config import Config, SettingError
from mlcv_explore.data import glyphs
from mlcv_explore.data.vectors import Vectors
from mlcv_explore.ideas.hierarchical_explanation import CODED, codes, stages, training
from mlcv_explore.ideas.hierarchical_explanation import idea as subject
from mlcv_explore.models import vector_sets
from mlcv_explore.models.item_codes import BUDGETS
from mlcv_explore.models.sparse_coding import explained_energy

OTHERS = glyphs.generate(glyphs.grammar(9), 20, 9, "others")  # items of another kind


def trained(**parts: Vectors) -> training.Trainer:
    """A trainer after all stages, with some parts of its data exchanged."""
    load, made = vector_sets.load, training.Trainer(subject.quick, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_sets, "load", lambda *given: dataclasses.replace(load(*given), **parts))
        for stage in stages(subject.quick):
            made.advance(stage)
    return made


own = cache(trained)


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def test_settings_are_known_by_their_earlier_names() -> None:
    assert subject.config(taught=500) == subject.config(train_items=500)
    options = arguments.read(["run", subject.slug, "--judged", "300"])
    assert options.changes == {"classifier_items": 300}
    with pytest.raises(SettingError, match="at most 1750 digits in all, got 1950"):
        subject.config(train_items=1150)
    assert len(subject.config.settings()) <= 12 and len(subject.claims) <= 8


def test_arms_spend_equal_bits_and_networks_change_no_energy() -> None:
    def measured(config: Config, seed: int = 0) -> dict[str, np.ndarray]:
        film = list(subject.run(config, (seed,)))
        assert [frame.bits for frame in film if frame.bits] == list(map(float, BUDGETS))
        return subject.metrics(config, film)

    config = subject.quick.replace(items=10_000)
    columns, alone = measured(config), measured(config.replace(epochs=0))
    assert all(columns[f"{arm}_bits"][0] == pytest.approx(100, abs=1e-4) for arm in (*CODED, "soft"))
    accepted = [columns[f"levels_passes{percent}"][0] for percent in codes.THRESHOLDS]
    assert accepted == sorted(accepted, reverse=True)
    assert columns["levels_passes"] == columns["levels_passes85"]
    assert all(alone[name] == columns[name] for name in alone) and "levels_passes" not in alone
    dear = config.replace(epochs=0, items=100)
    rerun, other = measured(dear), measured(dear, 1)
    assert all(other[f"{arm}_energy"] != rerun[f"{arm}_energy"] for arm in ("levels", "baseline", "shuffled"))
    training._kept.cache_clear()
    assert rerun == measured(dear) and rerun["flat_energy"] < alone["flat_energy"]


def test_some_items_have_one_atom_more_so_that_the_mean_is_exact() -> None:
    code, values = own().code("strokes"), own().dataset.test.values
    chosen = code.choose(values)
    two, some, three = (own()._checked(code, chosen, atoms).energy for atoms in (2.0, 2.3, 3.0))
    exact = explained_energy(values, code.reconstruct(values, chosen[:, :2]))
    np.testing.assert_allclose(two, exact, atol=1e-6)
    assert (np.isclose(some, three) & ~np.isclose(two, three)).sum() == 3 and np.isclose(some, two).sum() == 7


def test_nothing_is_trained_or_chosen_on_test_items() -> None:
    exchanged = trained(test=OTHERS)
    assert equal(own().classifier, exchanged.classifier)
    assert not np.array_equal(exchanged.dataset.test.values, own().dataset.test.values)
    for name in own().codes:
        for one, other in zip(own().codes[name], exchanged.codes[name], strict=True):
            np.testing.assert_array_equal(one.atoms, other.atoms, err_msg=name)
            np.testing.assert_array_equal(one.limits, other.limits, err_msg=name)
            assert one.dictionary == other.dictionary
        assert own()._best(name) == exchanged._best(name)
    np.testing.assert_array_equal(own().filters.atoms, exchanged.filters.atoms)


def test_classifier_and_dictionaries_are_trained_on_different_items() -> None:
    assert equal(own().classifier, trained(train=OTHERS).classifier)
    exchanged = trained(classifier_train=OTHERS)
    assert not torch.equal(own().classifier[-1].weight, exchanged.classifier[-1].weight)
    assert equal(own().teacher, exchanged.teacher)
    for name in ("three", "flat", "components"):
        np.testing.assert_array_equal(own().codes[name][0].atoms, exchanged.codes[name][0].atoms)
    np.testing.assert_array_equal(own().filters.atoms, exchanged.filters.atoms)


def test_every_arm_pays_for_its_dictionary() -> None:
    def paid(arm: str) -> list[float]:
        return [code.dictionary for code in own().codes[arm]]

    for code in (*own().codes["three"], *own().codes["two"]):
        assert code.dictionary == code.source.bits(5) > 0 and len(code.source.levels) in (1, 2)
    assert paid("two") < paid("three") and paid("shuffled") == [*paid("two"), *paid("three")]
    assert paid("flat") == [code.atoms.size * 5 for code in own().codes["flat"]]
    assert paid("components") == [len(code.atoms) * (256 + 1) * 5 for code in own().codes["components"]]
    assert paid("strokes") == [0] and paid("cosines")[1] == 0
    assert own().path.dictionary == pytest.approx((own().filters.atoms >= 0).sum() * (math.log2(4096) + 5))
    counts = {arm: len(own().codes[arm]) for arm in CODED}
    assert counts.keys() == own().codes.keys()
    assert all(counts[arm] == sum(counts[name] for name in names) for arm, names in codes.POOLED.items())


def test_pools_hold_the_best_of_their_arms_and_the_control_is_another_hierarchy() -> None:
    def explained(arm: str) -> float:
        curve = own().curves[arm][own()._best(arm)]
        return curve.energy(curve.validation, own().config.bits, own().config.items)

    assert explained("baseline") == max(map(explained, ("strokes", "flat", "components", "cosines")))
    assert explained("levels") == max(map(explained, ("two", "three")))
    wholes = own().codes["three"]
    for one, other in zip(wholes, own().codes["shuffled"][-len(wholes) :], strict=True):
        assert one.atoms.shape == other.atoms.shape and not np.allclose(one.atoms, other.atoms)


def test_strangers_are_other_items() -> None:
    """Where all test items are the same, a different item has the same strokes."""
    same = own().dataset.test.take(np.zeros(10, np.int64))
    overlaps = trained(test=same)._overlaps()
    assert overlaps["strangers"] == pytest.approx(overlaps["directions"], abs=1e-6)
    overlaps = own()._overlaps()
    assert abs(overlaps["strangers"] - overlaps["directions"]) > 1e-3
