"""Idea 13: data, dictionaries in levels, f, top-down paths, and the cost of explanations."""

import dataclasses
import itertools
import math
from functools import cache

import numpy as np
import pytest
import torch

from mlcv_explore import idea
from mlcv_explore.config import SettingError
from mlcv_explore.ideas.hierarchical_explanation import (
    ARMS,
    BUDGETS,
    MEASURES,
    STAGES,
    HierarchicalExplanationConfig,
    agreement,
    baselines,
    datasets,
    networks,
    strokes,
    top_down,
    training,
)
from mlcv_explore.ideas.hierarchical_explanation.checking import Checker, Rules, unit_random_sets
from mlcv_explore.ideas.hierarchical_explanation.dictionary import (
    Dictionary,
    Level,
    learn,
    level_zero,
    shuffled,
)
from mlcv_explore.ideas.hierarchical_explanation.networks import logits_of
from mlcv_explore.models.decision_trees import SoftTree
from mlcv_explore.models.sparse_coding import coefficients, matching_pursuit, reconstruct
from mlcv_explore.seeds import numpy_stream, seeded, stream

SIZES = (120, 60, 20, 40)
SUBJECT = idea.load("hierarchical_explanation")
PARTS = ("train", "classifier_train", "validation", "test")


@cache
def glyphs() -> datasets.Dataset:
    return datasets.load("glyphs", SIZES, 0)


@cache
def three() -> Dictionary:
    return learn(glyphs(), glyphs().train, ((12, 16),), 5, 0)[0]


@cache
def classifier() -> torch.nn.Sequential:
    return networks.train(glyphs(), glyphs().classifier_train, 4, 0, "judge", first())


def first() -> np.ndarray:
    return level_zero(glyphs()).first


def check(images: np.ndarray, *rules: object, empty: bool = False):
    """f of these reconstructions of the test glyphs."""
    values = glyphs().test.values
    checker = Checker(classifier(), values, unit_random_sets(first(), len(values), 0, "test"), Rules(*rules))
    return checker(images, np.full(len(values), empty))


def trained(**parts: datasets.Items) -> training.Trainer:
    """A trainer after all stages, with some parts of its data exchanged."""
    made = training.Trainer(SUBJECT.quick, 0)
    made.dataset = dataclasses.replace(made.dataset, **parts)
    for stage in STAGES:
        made.advance(stage)
    return made


own = cache(trained)


def others(count: int) -> datasets.Items:
    """Items of another grammar."""
    return datasets.draw_glyphs(datasets.grammar(9), count, 9, "others")


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def test_strokes_are_unit_vectors_and_stand_at_their_place() -> None:
    atoms = strokes.placed()
    assert atoms.shape == (strokes.KINDS * 256, 256)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-5)
    upright = strokes.stroke(8, 8, 8)  # the first of the long ones
    assert upright.sum(0).argmax() == 8 and (upright > 0.5 * upright.max()).sum(0).max() >= 5
    np.testing.assert_allclose(strokes.stroke(12, 8, 8), upright.T, atol=1e-6)  # four times 22.5° further
    atom = 5 * 256 + 3 * 16 + 7
    assert strokes.place_of(atom) == (5, 3, 7)
    np.testing.assert_allclose(atoms[atom].reshape(16, 16), strokes.stroke(5, 3, 7), atol=1e-6)


def test_every_level_is_its_composition_of_the_levels_below() -> None:
    dictionary = three()
    below = dictionary.first
    for number, matrix in enumerate(dictionary.composition, start=1):
        atoms = matrix @ below
        stored = dictionary.atoms[dictionary.starts[number] : dictionary.starts[number + 1]]
        np.testing.assert_allclose(atoms, stored, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-4)
        below = np.concatenate([below, atoms])
    whole = dictionary.starts[2] + 3
    rebuilt = sum(weight * dictionary.atoms[piece] for piece, weight in dictionary.pieces_of(whole))
    np.testing.assert_allclose(rebuilt, dictionary.atoms[whole], atol=1e-5)
    part = dictionary.starts[1] + 81
    assert [dictionary.level_of(atom) for atom in (whole, part)] == [2, 1]
    assert [dictionary.kind_of(atom) for atom in (whole, part)] == [3, 1]


def test_a_part_that_is_moved_is_the_same_image_elsewhere() -> None:
    dictionary = three()
    parts = dictionary.atoms[dictionary.starts[1] :][: len(dictionary.places)].reshape(-1, 16, 16)
    one, other = (parts[dictionary.places.index(place)] for place in ((3, 3), (4, 5)))
    # but for what an edge cuts off
    assert np.abs(np.roll(one, (1, 2), (0, 1)) - other).max() < 0.05 * parts.max()


def test_bits_of_a_dictionary_by_hand() -> None:
    one = Level(np.array([[0, 1], [2, -1]]), np.array([[1, 1], [1, 0]], np.float32), False)
    two = Level(np.array([[8, 9]]), np.array([[1, 1]], np.float32), False)
    dictionary = Dictionary(np.eye(8, dtype=np.float32), (one, two))
    assert dictionary.bits(5) == pytest.approx(3 * (math.log2(8) + 5) + 2 * (math.log2(10) + 5))
    # the last is made of columns 0, 1 and 2
    assert dictionary.bits_as_strokes(5) == pytest.approx((3 + 3) * (math.log2(8) + 5))
    np.testing.assert_allclose(dictionary.atoms[10], [0.5, 0.5, math.sqrt(0.5), 0, 0, 0, 0, 0], atol=1e-6)


def test_learned_atoms_hold_few_pieces_of_the_levels_below() -> None:
    parts, wholes = three().levels
    assert parts.pieces.shape == (12, 3) and wholes.pieces.shape == (16, 6)
    assert parts.pieces.max() < len(three().first) and wholes.pieces.max() < three().starts[2]
    both = learn(glyphs(), glyphs().train, ((12, 16), (6, 8)), 5, 0)
    np.testing.assert_array_equal(both[0].levels[1].pieces, wholes.pieces)
    assert len(both[1].levels[0]) == 6


def test_a_level_without_candidates_has_no_atoms() -> None:
    dots = np.zeros((40, 16, 16), np.float32)
    dots[:, ::3, ::3] = numpy_stream(3, "dots").uniform(0.8, 1, (40, 6, 6))
    items = datasets.Items(dots.reshape(40, -1), np.zeros(40, np.int64))
    assert learn(glyphs(), items, ((4, 4),), 5, 0)[0].levels == ()
    assert Dictionary(first(), side=16).bits(5) == 0


def test_a_shuffled_hierarchy_costs_the_same_and_holds_other_pieces() -> None:
    control = shuffled(three(), 0)
    assert control.bits(5) == three().bits(5) and control.sizes == three().sizes
    for one, other in zip(control.levels, three().levels, strict=True):
        np.testing.assert_array_equal(one.pieces >= 0, other.pieces >= 0)
        assert (one.pieces != other.pieces).mean() > 0.5


@pytest.mark.parametrize("tests", [(True,) * 3, *np.eye(3, dtype=bool).tolist(), (False,) * 3])
def test_an_empty_explanation_never_passes(tests: tuple[bool, ...]) -> None:
    assert not check(np.zeros((40, 256)), 0, 0, tuple(tests), empty=True).passed.any()


@pytest.mark.parametrize("drop", [0.0, 1.0, 10.0])
def test_an_item_explains_itself(drop: float) -> None:
    """No more log-odds can be lost than by removing X."""
    result = check(glyphs().test.values.copy(), 1.0, drop)
    assert result.passed.all() and result.results.all() and (result.required <= drop).all()


def test_each_test_of_f_rejects_what_it_should() -> None:
    values = glyphs().test.values
    half = check(0.5 * values, 0.9, 1, (True, False, False))
    np.testing.assert_allclose(half.energy, 0.75, atol=1e-5)
    assert not half.passed.any() and check(0.5 * values, 0.7, 1, (True, False, False)).passed.all()
    other = values[np.roll(np.arange(len(values)), 1)]
    same = logits_of(classifier(), other).argmax(1) == logits_of(classifier(), values).argmax(1)
    np.testing.assert_array_equal(check(other, 0, 0, (False, True, False)).passed, same)
    random = unit_random_sets(first(), len(values), 0, "test")[0] * np.linalg.norm(values, axis=1)[:, None]
    removal = 0, 0.5, (False, False, True)
    assert check(random, *removal).passed.mean() < 0.5  # a random set is no better than random sets
    assert check(values.copy(), *removal).passed.all()


def test_log_odds_by_hand() -> None:
    odds = networks.log_odds(np.log([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]]), np.array([0, 1]))
    np.testing.assert_allclose(odds, np.log([0.7 / 0.3, 0.25 / 0.75]), atol=1e-6)


def test_a_blank_has_no_class_and_random_sets_are_unit_vectors() -> None:
    shares = torch.softmax(torch.from_numpy(logits_of(classifier(), np.zeros((1, 256)))), 1)
    assert (shares - 0.1).abs().max() < 0.05
    sets = networks.random_sets(torch.from_numpy(np.array(first())), 7, stream(0, "sets"))
    np.testing.assert_allclose(sets.norm(dim=1), 1, atol=1e-5)
    assert networks.build(False, 13, 3)(torch.zeros(2, 13)).shape == (2, 3)


def test_top_down_takes_the_strokes_with_the_largest_effect_on_the_path() -> None:
    tree, values = seeded(1, lambda: SoftTree(256, 10)), glyphs().test.values[:5]
    filters = top_down.sparse_filters(tree, first(), 4)
    chosen = top_down.strongest(tree, filters, values, first(), 6)
    for row, atoms, effect in zip(chosen, *top_down.path_atoms(tree, filters, values, first()), strict=True):
        kept = row[row >= 0]
        assert len(set(kept)) == len(kept) and kept[0] == atoms[effect.argmax()]
    leaf = tree.leaf_probabilities(values)[0].argmax()
    atoms, effects = top_down.path_atoms(tree, filters, values[:1], first())
    nodes = [node for node, _ in tree.path(leaf)]
    np.testing.assert_array_equal(atoms[0], filters.atoms[nodes].ravel())
    by_hand = np.abs(filters.weights[nodes].ravel() * (first()[atoms[0]] @ values[0]))
    np.testing.assert_allclose(effects[0], by_hand, rtol=1e-4)


def test_overlap_of_spectra() -> None:
    atoms, weights = np.array([[8 * 256 + 5, 3], [3, -1]]), np.array([[1.0, -3.0], [2.0, 9.0]])
    spectra = agreement.spectrum(atoms, weights, 16, 4096)
    np.testing.assert_allclose(spectra.sum(1), 1)
    np.testing.assert_allclose(agreement.overlap(spectra, spectra), 1)
    # long and short strokes of one orientation in one cell count as the same: kind 8 at (0, 5)
    # stands a cell further than kind 0 at (0, 3)
    np.testing.assert_allclose(agreement.overlap(spectra[:1], spectra[1:]), 0.75)
    column = agreement.spectrum(np.array([[2, -1]]), np.array([[-4.0, 1.0]]), 0, 5)
    np.testing.assert_allclose(column, [[0, 0, 1, 0, 0]])


def test_an_explanation_in_level_zero_has_the_same_reconstruction() -> None:
    dictionary, values = three(), glyphs().test.values[:6]
    chosen = matching_pursuit(values, dictionary.atoms, 5)
    weights = coefficients(values, dictionary.atoms, chosen)
    strokes_alone = reconstruct(dictionary.first, *agreement.in_first(dictionary, chosen, weights))
    np.testing.assert_allclose(strokes_alone, reconstruct(dictionary.atoms, chosen, weights), atol=1e-4)


def test_true_parts_are_recovered_by_themselves_and_not_by_noise() -> None:
    parts = glyphs().parts
    canvas = np.zeros((len(parts), 16, 16), np.float32)
    canvas[:, :8, :8] = parts.reshape(-1, 8, 8)
    assert agreement.recovered(parts, canvas.reshape(len(parts), -1), 16) == 1
    assert agreement.recovered(parts, canvas[:6].reshape(6, -1), 16) >= 0.5
    noise = numpy_stream(20, "noise").standard_normal((20, 256))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    assert agreement.recovered(parts, np.abs(noise), 16) == 0
    assert agreement.matched(noise, noise[::-1]) == pytest.approx(1, abs=1e-6)


def test_prototypes_are_items_and_a_leaf_is_explained_by_its_mean() -> None:
    train = glyphs().train
    atoms = baselines.prototypes(train.values, 10, 10, 0)
    unit = train.values / np.linalg.norm(train.values, axis=1, keepdims=True)
    assert np.abs(atoms @ unit.T).max(1).min() > 0.999
    np.testing.assert_array_equal(baselines.nearest(atoms[:3], atoms, 4)[:, 0], [0, 1, 2])
    cart = baselines.cart(train, 8, 10, 0)
    leaves = cart.tree.apply(train.values)
    mean = train.values[leaves == leaves[0]].mean(0)
    np.testing.assert_allclose(cart.reconstruct(train.values[:1])[0], mean, atol=0.01)
    assert cart.bits == pytest.approx(7 * (8 + 8) + 8 * 256 * 10)


def test_glyphs_follow_their_grammar_and_seeds_have_their_own() -> None:
    rules = datasets.grammar(0)
    assert len(rules.parts) == datasets.PARTS and ((rules.glyphs >= 0).sum(1) >= 3).all()
    assert not np.array_equal(rules.glyphs, datasets.grammar(1).glyphs)
    items = datasets.draw_glyphs(rules, 60, 0, "test")
    assert np.bincount(items.labels).tolist() == [6] * 10
    mean = items.values[items.labels == 2].mean(0).reshape(16, 16)
    for (top, left), part in zip(datasets.CORNERS, rules.glyphs[2], strict=True):
        assert (mean[top : top + 8, left : left + 8].mean() > 0.12) == (part >= 0)


@pytest.mark.parametrize(("name", "rows"), [("wine", 178), ("breast_cancer", 569)])
def test_tables_are_divided_and_standardised_by_the_training_part(name: str, rows: int) -> None:
    dataset = datasets.load(name, (600, 600, 150, 200), 0)
    assert sum(len(getattr(dataset, part)) for part in PARTS) == rows
    np.testing.assert_allclose(dataset.train.values.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(dataset.train.values.std(0), 1, atol=1e-4)
    dictionary = learn(dataset, dataset.train, ((6, 8),), 5, 0)[0]
    assert dictionary.starts[1] == len(dataset.columns) == dataset.train.values.shape[1]
    assert not dictionary.levels[0].placed and dictionary.bits(5) > 0


@pytest.mark.parametrize("name", ["glyphs", "digits"])
def test_the_parts_of_a_data_set_share_no_item(name: str) -> None:
    dataset = datasets.load(name, SIZES, 0)
    parts = [getattr(dataset, part) for part in PARTS]
    assert [len(part) for part in parts] == list(SIZES)
    rows = [{row.tobytes() for row in part.values} for part in parts]
    assert all(not one & other for one, other in itertools.combinations(rows, 2))
    with pytest.raises(SettingError, match="at most 1750 digits in all, got 1950"):
        HierarchicalExplanationConfig(dataset="digits", taught=1000)


def test_arms_stay_within_their_bits() -> None:
    config = SUBJECT.quick
    coding = training.Coding(np.zeros((1024, 4), np.float32), np.zeros((1, 24), np.int64), 20_000)
    assert coding.affords(config, 100) == (100 - 20) // 15 and coding.affords(config, 30) == 0
    film = list(SUBJECT.run(config, (0,)))
    bits, atoms, passes = (
        film[-1].measured[0][:, MEASURES.index(each)] for each in ("bits", "atoms", "passes")
    )
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
    assert own().fixed["cart"][1] == exchanged.fixed["cart"][1]


def test_classifier_and_dictionaries_are_trained_on_different_items() -> None:
    assert equal(own().classifier, trained(train=others(20)).classifier)
    exchanged = trained(classifier_train=others(20))
    assert not torch.equal(own().classifier[-1].weight, exchanged.classifier[-1].weight)
    assert equal(own().teacher, exchanged.teacher)
    np.testing.assert_array_equal(own().filters.atoms, exchanged.filters.atoms)


def test_dictionaries_are_chosen_on_validation_items() -> None:
    parts = {name: getattr(own().dataset, name).values for name in ("test", "validation")}
    offered = [
        (name, values / np.linalg.norm(values, axis=1, keepdims=True), 0.0) for name, values in parts.items()
    ]
    assert own()._best(offered) == "validation"


def test_every_arm_pays_for_its_dictionary() -> None:
    paid = {name: arm.dictionary for name, arm in own().arms.items()}
    assert paid["three"] == own().three.bits(5) > own().three.up_to(1).bits(5) > 0
    assert paid["spelled"] == own().three.bits_as_strokes(5) > paid["three"] == paid["shuffled"]
    for name in ("flat", "prototypes"):
        assert paid[name] == len(own().arms[name].atoms) * 256 * 5
    assert paid["soft"] == pytest.approx((own().filters.atoms >= 0).sum() * (math.log2(4096) + 5))
    assert paid["pixels"] == 0
    for _, count, spent in own().explain(100).values():
        assert count == 0 or spent <= 100 or spent == 1280  # the item itself


def test_strangers_are_other_items() -> None:
    """Where all test items are the same, a different item has the same strokes."""
    overlaps = trained(test=glyphs().test.take(np.zeros(10, np.int64)))._overlaps()
    assert overlaps["strangers"] == pytest.approx(overlaps["directions"], abs=1e-6)
    overlaps = own()._overlaps()
    assert abs(overlaps["strangers"] - overlaps["directions"]) > 1e-3
