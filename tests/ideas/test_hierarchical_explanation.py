"""Idea 13: data, codes at equal bits, and what an explanation costs."""

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
    CODED,
    HierarchicalExplanationConfig,
    claims,
    codes,
    datasets,
    stages,
    training,
)
from mlcv_explore.ideas.hierarchical_explanation.codes import POOLED
from mlcv_explore.models.item_codes import BUDGETS
from mlcv_explore.models.sparse_coding import explained_energy
from mlcv_explore.seeds import numpy_stream

SIZES = (120, 60, 20, 40)
SUBJECT = idea.load("hierarchical_explanation")
PARTS = ("train", "classifier_train", "validation", "test")


def trained(monkeypatch: pytest.MonkeyPatch | None = None, **parts: Vectors) -> training.Trainer:
    """A trainer after all stages, with some parts of its data exchanged."""
    load = datasets.load
    if monkeypatch is not None:
        changed = lambda *given: dataclasses.replace(load(*given), **parts)  # noqa: E731
        monkeypatch.setattr(datasets, "load", changed)
    made = training.Trainer(SUBJECT.quick, 0)
    for stage in stages(SUBJECT.quick):
        made.advance(stage)
    return made


@cache
def own() -> training.Trainer:
    return trained()


def others(count: int) -> Vectors:
    """Items of another kind."""
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
        HierarchicalExplanationConfig(train_items=1150)


def test_a_patch_is_cut_from_its_photograph_and_has_no_mean() -> None:
    images = numpy_stream(0, "photographs").integers(0, 256, (6, 3, 32, 32)).astype(np.uint8)
    cut = datasets.patches(images, numpy_stream(0, "patches"))
    np.testing.assert_allclose(cut.mean(1), 0, atol=1e-6)
    corners = set()
    for image, patch in zip(images.mean(1) / 255, cut.reshape(-1, 16, 16), strict=True):
        places = np.lib.stride_tricks.sliding_window_view(image, (16, 16))
        off = np.abs(places - places.mean((2, 3), keepdims=True) - patch).max((2, 3))
        assert off.min() < 1e-6
        corners.add(np.unravel_index(off.argmin(), off.shape))
    assert len(corners) > 3


def test_settings_are_known_by_their_earlier_names() -> None:
    assert HierarchicalExplanationConfig(taught=500) == HierarchicalExplanationConfig(train_items=500)
    options = arguments.read(["run", SUBJECT.slug, "--judged", "300"])
    assert options.changes == {"classifier_items": 300}
    assert len(HierarchicalExplanationConfig.settings()) <= 12 and len(claims.CLAIMS) <= 8


def test_arms_spend_equal_bits_and_networks_change_no_energy() -> None:
    config = SUBJECT.quick.replace(items=10_000)
    film = list(SUBJECT.run(config, (0,)))
    assert [frame.bits for frame in film if frame.bits] == list(map(float, BUDGETS))
    columns = SUBJECT.metrics(config, film)
    assert all(columns[f"{arm}_bits"][0] == pytest.approx(100, abs=1e-4) for arm in (*CODED, "soft"))
    accepted = [columns[f"levels_passes{percent}"][0] for percent in codes.THRESHOLDS]
    assert accepted == sorted(accepted, reverse=True)
    assert columns["levels_passes"] == columns["levels_passes85"]
    alone = SUBJECT.metrics(config.replace(epochs=0), list(SUBJECT.run(config.replace(epochs=0), (0,))))
    assert all(alone[name] == columns[name] for name in alone) and "levels_passes" not in alone
    dear = config.replace(epochs=0, items=100)
    rerun = SUBJECT.metrics(dear, list(SUBJECT.run(dear, (0,))))
    other = SUBJECT.metrics(dear, list(SUBJECT.run(dear, (1,))))
    assert all(other[f"{arm}_energy"] != rerun[f"{arm}_energy"] for arm in ("levels", "baseline", "shuffled"))
    training._kept.cache_clear()
    fresh = SUBJECT.metrics(dear, list(SUBJECT.run(dear, (0,))))
    assert rerun == fresh and rerun["flat_energy"] < alone["flat_energy"]


def test_some_items_have_one_atom_more_so_that_the_mean_is_exact() -> None:
    trainer, code = own(), own().code("strokes")
    values = trainer.dataset.test.values
    chosen, images = code.choose(values), []
    for atoms in (2.0, 2.3, 3.0):
        check = trainer._checked(code, chosen, atoms)
        images.append(check.energy)
    two, some, three = images
    exact = explained_energy(values, code.reconstruct(values, chosen[:, :2]))
    np.testing.assert_allclose(two, exact, atol=1e-6)
    assert (np.isclose(some, three) & ~np.isclose(two, three)).sum() == 3 and np.isclose(some, two).sum() == 7


def test_nothing_is_trained_or_chosen_on_test_items(monkeypatch: pytest.MonkeyPatch) -> None:
    exchanged = trained(monkeypatch, test=others(10))
    assert equal(own().classifier, exchanged.classifier)
    assert not np.array_equal(exchanged.dataset.test.values, own().dataset.test.values)
    for name in own().codes:
        for one, other in zip(own().codes[name], exchanged.codes[name], strict=True):
            np.testing.assert_array_equal(one.atoms, other.atoms, err_msg=name)
            np.testing.assert_array_equal(one.limits, other.limits, err_msg=name)
            assert one.dictionary == other.dictionary
        assert own()._best(name) == exchanged._best(name)
    np.testing.assert_array_equal(own().filters.atoms, exchanged.filters.atoms)


def test_classifier_and_dictionaries_are_trained_on_different_items(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        assert equal(own().classifier, trained(patch, train=others(20)).classifier)
    exchanged = trained(monkeypatch, classifier_train=others(20))
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
    assert {arm: len(own().codes[arm]) for arm in POOLED} == {
        arm: sum(len(own().codes[name]) for name in names) for arm, names in POOLED.items()
    }
    assert set(own().codes) == set(CODED)


def test_pools_hold_the_best_of_their_arms_and_the_control_is_another_hierarchy() -> None:
    def explained(arm: str) -> float:
        curve = own().curves[arm][own()._best(arm)]
        return curve.energy(curve.validation, own().config.bits, own().config.items)

    assert explained("baseline") == max(map(explained, ("strokes", "flat", "components", "cosines")))
    assert explained("levels") == max(map(explained, ("two", "three")))
    for one, other in zip(
        own().codes["three"], own().codes["shuffled"][len(own().codes["two"]) :], strict=True
    ):
        assert one.atoms.shape == other.atoms.shape and not np.allclose(one.atoms, other.atoms)


def test_strangers_are_other_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all test items are the same, a different item has the same strokes."""
    same = own().dataset.test.take(np.zeros(10, np.int64))
    overlaps = trained(monkeypatch, test=same)._overlaps()
    assert overlaps["strangers"] == pytest.approx(overlaps["directions"], abs=1e-6)
    overlaps = own()._overlaps()
    assert abs(overlaps["strangers"] - overlaps["directions"]) > 1e-3
