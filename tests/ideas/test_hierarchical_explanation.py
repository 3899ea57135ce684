"""Idea 13: pursuit, vocabularies in levels, f, the tree's paths, and what explanations
cost.
"""

import dataclasses
import itertools
import math
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.linear_model import orthogonal_mp

from mlcv_explore import idea
from mlcv_explore.config import SettingError
from mlcv_explore.ideas.hierarchical_explanation import (
    ARMS,
    MEASURES,
    STAGES,
    HierarchicalExplanationConfig,
    agreement,
    budgets,
    rivals,
    soft_tree,
    strokes,
    training,
    vocabulary,
    worlds,
)
from mlcv_explore.ideas.hierarchical_explanation.checking import Checker, Rules
from mlcv_explore.ideas.hierarchical_explanation.networks import (
    classifier,
    log_odds,
    logits_of,
    random_sets,
    trained,
)
from mlcv_explore.ideas.hierarchical_explanation.pursuit import (
    coefficients,
    explained,
    pictured,
    pursue,
    quantised,
)
from mlcv_explore.ideas.hierarchical_explanation.vocabulary import (
    Level,
    Vocabulary,
    first_principles,
    learned,
    learned_sizes,
    shuffled,
)
from mlcv_explore.seeds import numpy_stream, seeded, stream

SIZES = (120, 60, 20, 40)


@cache
def glyphs() -> worlds.World:
    return worlds.world("glyphs", SIZES, 0)


@cache
def three() -> Vocabulary:
    return learned(glyphs(), glyphs().taught, (12, 16), 5, 0)


@cache
def judge() -> torch.nn.Sequential:
    return trained(glyphs(), glyphs().judged, 4, 0, "judge", glyphs_first())


def glyphs_first() -> np.ndarray:
    return first_principles(glyphs()).first


def checker(rules: Rules = Rules()) -> Checker:  # noqa: B008  frozen
    values = glyphs().tested.values
    return Checker(judge(), values, training.unit_random_sets(glyphs_first(), len(values), 0, "test"), rules)


def some_atoms(count: int, size: int) -> np.ndarray:
    atoms = numpy_stream(count, "atoms").standard_normal((count, size))
    return (atoms / np.linalg.norm(atoms, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("most", [1, 3, 6])
def test_pursuit_leaves_the_residuals_of_scikit_learns(most: int) -> None:
    atoms, items = some_atoms(40, 16), numpy_stream(1, "items").standard_normal((25, 16)).astype(np.float32)
    chosen = pursue(items, atoms, most)
    own = items - pictured(atoms, chosen, coefficients(items, atoms, chosen))
    reference = (
        items
        - (
            atoms.T.astype(float)
            @ orthogonal_mp(atoms.T.astype(float), items.T.astype(float), n_nonzero_coefs=most)
        ).T
    )
    np.testing.assert_allclose(np.linalg.norm(own, axis=1), np.linalg.norm(reference, axis=1), atol=1e-4)


def test_the_residual_never_rises_with_more_atoms() -> None:
    items, atoms = glyphs().tested.values, three().atoms
    chosen = pursue(items, atoms, 16)
    energies = np.stack(
        [
            explained(items, pictured(atoms, chosen[:, :m], coefficients(items, atoms, chosen[:, :m])))
            for m in range(1, 17)
        ]
    )
    assert (np.diff(energies, axis=0) >= -1e-5).all()
    assert energies[-1].mean() > energies[0].mean() + 0.1


def test_pursuit_stops_when_nothing_is_left_and_never_takes_an_atom_twice() -> None:
    atoms = some_atoms(5, 30)
    item = (2 * atoms[1] - 3 * atoms[4])[None]
    chosen = pursue(item, atoms, 4)
    assert set(chosen[0, :2]) == {1, 4}
    assert (chosen[0, 2:] == -1).all()
    np.testing.assert_allclose(sorted(coefficients(item, atoms, chosen)[0]), [-3, 0, 0, 2], atol=1e-4)
    twins = np.concatenate([atoms, atoms])
    for row in pursue(numpy_stream(2, "items").standard_normal((9, 30)).astype(np.float32), twins, 5):
        assert len({place % 5 for place in row}) == 5
    assert (pursue(np.zeros((2, 30), np.float32), atoms, 3) == -1).all()


def test_written_numbers_are_evenly_spaced_and_as_near_as_can_be() -> None:
    values = np.linspace(-1, 1, 101)
    written = quantised(values, 4)
    assert len(np.unique(written)) == 15
    assert np.abs(written - values).max() <= 1 / 14 + 1e-6
    np.testing.assert_allclose(quantised(np.array([5.0, -9.0, 0.0]), 5, limit=3.0), [3, -3, 0], atol=1e-6)
    assert not quantised(np.zeros(3), 5).any()


def test_strokes_are_unit_vectors_and_lie_where_they_say() -> None:
    atoms = strokes.placed()
    assert atoms.shape == (strokes.KINDS * 256, 256)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-5)
    upright = strokes.stroke(8, 8, 8)  # the first of the long ones
    assert upright.sum(0).argmax() == 8
    assert (upright > 0.5 * upright.max()).sum(0).max() >= 5
    across = strokes.stroke(12, 8, 8)  # four orientations of 22.5° further
    np.testing.assert_allclose(across, upright.T, atol=1e-6)
    kind, row, column = strokes.place_of(5 * 256 + 3 * 16 + 7)
    np.testing.assert_allclose(
        atoms[5 * 256 + 3 * 16 + 7].reshape(16, 16), strokes.stroke(kind, row, column), atol=1e-6
    )


def test_every_level_is_its_composition_of_the_levels_below() -> None:
    """D_t = C_t ⋯ C_1 · D_0, and every learned atom a unit vector, wherever it stands."""
    words = three()
    below = words.first
    for number, matrix in enumerate(words.composition, start=1):
        atoms = matrix @ below
        np.testing.assert_allclose(
            atoms, words.atoms[words.starts[number] : words.starts[number + 1]], atol=1e-5
        )
        np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-4)
        below = np.concatenate([below, atoms])
    whole = words.starts[2] + 3
    rebuilt = sum(weight * words.atoms[piece] for piece, weight in words.pieces_of(whole))
    np.testing.assert_allclose(rebuilt, words.atoms[whole], atol=1e-5)
    assert words.level_of(whole) == 2
    assert words.kind_of(whole) == 3
    assert words.level_of(words.starts[1] + 81) == 1
    assert words.kind_of(words.starts[1] + 81) == 1


def test_a_part_that_is_moved_is_the_same_picture_elsewhere() -> None:
    words = three()
    parts = words.atoms[words.starts[1] :][: len(words.places)].reshape(-1, 16, 16)
    middle, further = words.places.index((3, 3)), words.places.index((4, 5))
    moved = np.roll(parts[middle], (1, 2), (0, 1))
    assert np.abs(moved - parts[further]).max() < 0.05 * parts.max()  # but for what an edge cuts off


def test_bits_of_a_dictionary_by_hand() -> None:
    first = np.eye(8, dtype=np.float32)
    one = Level(np.array([[0, 1], [2, -1]]), np.array([[1, 1], [1, 0]], np.float32), False)
    two = Level(np.array([[8, 9]]), np.array([[1, 1]], np.float32), False)
    words = Vocabulary(first, (one, two))
    assert words.bits(5) == pytest.approx(3 * (math.log2(8) + 5) + 2 * (math.log2(10) + 5))
    # the last is made of columns 0, 1 and 2
    assert words.bits_spelled(5) == pytest.approx((3 + 3) * (math.log2(8) + 5))
    np.testing.assert_allclose(words.atoms[10], [0.5, 0.5, math.sqrt(0.5), 0, 0, 0, 0, 0], atol=1e-6)


def test_learned_atoms_hold_few_pieces_of_the_levels_below() -> None:
    words = three()
    assert words.levels[0].pieces.shape == (12, 3)
    assert words.levels[1].pieces.shape == (16, 6)
    assert words.levels[0].pieces.max() < len(words.first)
    assert words.levels[1].pieces.max() < words.starts[2]
    many = learned_sizes(glyphs(), glyphs().taught, ((12, 16), (6, 8)), 5, 0)
    np.testing.assert_array_equal(many[0].levels[1].pieces, words.levels[1].pieces)
    assert len(many[1].levels[0]) == 6


def test_a_level_that_nothing_joins_has_no_atoms() -> None:
    dots = np.zeros((40, 16, 16), np.float32)
    dots[:, ::3, ::3] = numpy_stream(3, "dots").uniform(0.8, 1, (40, 6, 6))
    assert (
        learned(glyphs(), worlds.Items(dots.reshape(40, -1), np.zeros(40, np.int64)), (4, 4), 5, 0).levels
        == ()
    )
    assert Vocabulary(glyphs_first(), side=16).bits(5) == 0


def test_a_shuffled_hierarchy_costs_the_same_and_holds_other_pieces() -> None:
    control = shuffled(three(), 0)
    assert control.bits(5) == three().bits(5)
    assert control.sizes == three().sizes
    for own, other in zip(control.levels, three().levels, strict=True):
        np.testing.assert_array_equal(own.pieces >= 0, other.pieces >= 0)
        assert (own.pieces != other.pieces).mean() > 0.5


def test_nothing_explains_nothing_whatever_is_asked() -> None:
    values = glyphs().tested.values
    for tests in (
        (True, True, True),
        (True, False, False),
        (False, True, False),
        (False, False, True),
        (False, False, False),
    ):
        found = checker(Rules(0, 0, tests))(np.zeros_like(values), np.ones(len(values), bool))
        assert not found.passed.any()


@pytest.mark.parametrize("drop", [0.0, 1.0, 10.0])
def test_what_spans_an_item_explains_it(drop: float) -> None:
    """f(X, S) is True when S spans X, blanks and doubtful items included: no more can
    be lost than by removing X.
    """
    values = glyphs().tested.values
    found = checker(Rules(1.0, drop))(values.copy(), np.zeros(len(values), bool))
    assert found.passed.all()
    assert (found.wanted <= drop).all()


def test_each_test_of_f_fails_what_it_should() -> None:
    values = glyphs().tested.values
    none = np.zeros(len(values), bool)
    half = checker(Rules(0.9, 1, (True, False, False)))(0.5 * values, none)
    np.testing.assert_allclose(half.energy, 0.75, atol=1e-5)
    assert not half.passed.any()
    assert checker(Rules(0.7, 1, (True, False, False)))(0.5 * values, none).passed.all()
    others = values[np.roll(np.arange(len(values)), 1)]
    found = checker(Rules(0, 0, (False, True, False)))(others, none)
    np.testing.assert_array_equal(
        found.passed, logits_of(judge(), others).argmax(1) == logits_of(judge(), values).argmax(1)
    )
    random = training.unit_random_sets(glyphs_first(), len(values), 0, "test")
    beside = checker(Rules(0, 0.5, (False, False, True)))(
        random[0] * np.linalg.norm(values, axis=1, keepdims=True), none
    )
    assert beside.passed.mean() < 0.5  # a random set is no better than random sets
    assert checker(Rules(0, 0.5, (False, False, True)))(values.copy(), none).passed.all()


def test_log_odds_by_hand() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]]))
    np.testing.assert_allclose(
        log_odds(logits, np.array([0, 1])), np.log([0.7 / 0.3, 0.25 / 0.75]), atol=1e-6
    )


def test_a_judge_says_nothing_of_a_blank() -> None:
    blank = logits_of(judge(), np.zeros((1, 256)))[0]
    shares = np.exp(blank - blank.max()) / np.exp(blank - blank.max()).sum()
    assert np.abs(shares - 0.1).max() < 0.05
    sets = random_sets(torch.from_numpy(np.array(glyphs_first())), 7, stream(0, "sets"))
    np.testing.assert_allclose(sets.norm(dim=1), 1, atol=1e-5)


def test_a_soft_trees_arrivals_sum_to_one_and_follow_its_gates() -> None:
    tree = seeded(0, lambda: soft_tree.SoftTree(6, 3, depth=3))
    values = numpy_stream(4, "values").standard_normal((10, 6)).astype(np.float32)
    arriving = tree.arrive(values)
    np.testing.assert_allclose(arriving.sum(1), 1, atol=1e-6)
    right = torch.sigmoid(tree.gates(torch.from_numpy(values))).detach().numpy()
    for leaf in range(8):
        steps = tree.path(leaf)
        assert len(steps) == 3
        by_hand = np.prod([right[:, node] if turn else 1 - right[:, node] for node, turn in steps], axis=0)
        np.testing.assert_allclose(arriving[:, leaf], by_hand, atol=1e-6)


def test_a_soft_tree_learns_and_its_loss_punishes_one_sided_nodes() -> None:
    values = np.repeat(np.array([[2.0, 0], [0, 2], [-2, 0], [0, -2]], np.float32), 30, axis=0)
    taught = np.repeat(np.eye(4, dtype=np.float32), 30, axis=0)
    tree = soft_tree.distilled(values, taught, 60, 0)
    assert (tree.classes_of(values) == taught.argmax(1)).mean() == 1
    one_sided = seeded(0, lambda: soft_tree.SoftTree(2, 4))
    even = seeded(0, lambda: soft_tree.SoftTree(2, 4))
    with torch.no_grad():
        for network, bias in ((one_sided, 9.0), (even, 0.0)):
            network.gates.weight.zero_()
            network.gates.bias.fill_(bias)
            network.leaves.zero_()
    losses = [
        soft_tree.loss_of(network, torch.from_numpy(values), torch.from_numpy(taught)).item()
        for network in (one_sided, even)
    ]
    assert losses[0] > losses[1] + 0.1


def test_the_way_down_takes_the_strokes_that_turn_the_path_most() -> None:
    tree = seeded(1, lambda: soft_tree.SoftTree(256, 10))
    words = soft_tree.retold(tree, glyphs_first(), 4)
    values = glyphs().tested.values[:5]
    chosen = soft_tree.top_down(tree, words, values, glyphs_first(), 6)
    atoms, turns = soft_tree.looked_at(tree, words, values, glyphs_first())
    for row, own, strength in zip(chosen, atoms, turns, strict=True):
        kept = row[row >= 0]
        assert len(set(kept)) == len(kept)
        assert kept[0] == own[strength.argmax()]
    assert (
        explained(tree.gates.weight.detach().numpy(), soft_tree.as_picture(words, glyphs_first())).min() >= 0
    )


def test_overlap_of_spectra() -> None:
    atoms = np.array([[8 * 256 + 5, 3], [3, -1]])
    weights = np.array([[1.0, -3.0], [2.0, 9.0]])
    spectra = agreement.spectrum(atoms, weights, 16, 4096)
    np.testing.assert_allclose(spectra.sum(1), 1)
    np.testing.assert_allclose(agreement.overlap(spectra, spectra), 1)
    # long and short strokes of one orientation in one cell count as the same: kind 8 at (0, 5)
    # stands a cell further than kind 0 at (0, 3)
    np.testing.assert_allclose(agreement.overlap(spectra[:1], spectra[1:]), 0.75)
    np.testing.assert_allclose(
        agreement.spectrum(np.array([[2, -1]]), np.array([[-4.0, 1.0]]), 0, 5), [[0, 0, 1, 0, 0]]
    )


def test_explanations_are_told_in_first_principles_without_loss() -> None:
    words, values = three(), glyphs().tested.values[:6]
    chosen = pursue(values, words.atoms, 5)
    weights = coefficients(values, words.atoms, chosen)
    atoms, strengths = agreement.in_first(words, chosen, weights)
    np.testing.assert_allclose(
        pictured(words.first, atoms, strengths), pictured(words.atoms, chosen, weights), atol=1e-4
    )


def test_true_parts_are_recovered_by_themselves_and_not_by_noise() -> None:
    parts = glyphs().parts
    canvas = np.zeros((len(parts), 16, 16), np.float32)
    canvas[:, :8, :8] = parts.reshape(-1, 8, 8)
    assert agreement.recovered(parts, canvas.reshape(len(parts), -1), 16) == 1
    assert agreement.recovered(parts, canvas[:6].reshape(6, -1), 16) >= 0.5
    noise = np.abs(some_atoms(20, 256))
    assert agreement.recovered(parts, noise, 16) == 0
    assert agreement.matched(some_atoms(6, 9), some_atoms(6, 9)[::-1]) == pytest.approx(1, abs=1e-6)


def test_a_flat_dictionary_explains_better_than_the_items_it_began_with() -> None:
    values = glyphs().taught.values
    atoms = rivals.flat_dictionary(values, 16, 8, 0)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-5)
    begun = values[numpy_stream(0, "flat dictionary").permutation(len(values))[:16]]
    begun = begun / np.linalg.norm(begun, axis=1, keepdims=True)
    shares = []
    for each in (begun, atoms):
        chosen = pursue(values, each, 4)
        shares.append(explained(values, pictured(each, chosen, coefficients(values, each, chosen))).mean())
    assert shares[1] > shares[0] + 0.02


def test_prototypes_are_items_and_the_nearest_come_first() -> None:
    values = glyphs().taught.values
    stands = rivals.prototypes(values, 10, 10, 0)
    assert np.abs(stands @ (values / np.linalg.norm(values, axis=1, keepdims=True)).T).max(1).min() > 0.999
    chosen = rivals.nearest(stands[:3], stands, 4)
    np.testing.assert_array_equal(chosen[:, 0], [0, 1, 2])
    assert chosen.shape == (3, 4)


def test_a_hard_trees_picture_is_the_mean_of_its_leaf() -> None:
    tree = rivals.hard_tree(glyphs().taught, 8, 10, 0)
    at = tree.tree.apply(glyphs().taught.values)
    leaf = at[0]
    np.testing.assert_allclose(tree.means[leaf], glyphs().taught.values[at == leaf].mean(0), atol=0.01)
    assert tree.bits == pytest.approx(7 * (8 + 8) + 8 * 256 * 10)


def test_glyphs_follow_their_grammar_and_seeds_have_their_own() -> None:
    rules = worlds.grammar(0)
    assert len(rules.parts) == worlds.PARTS
    assert ((rules.glyphs >= 0).sum(1) >= 3).all()
    assert not np.array_equal(rules.glyphs, worlds.grammar(1).glyphs)
    items = worlds.draw_glyphs(rules, 60, 0, "test")
    assert np.bincount(items.labels).tolist() == [6] * 10
    mean = items.values[items.labels == 2].mean(0).reshape(16, 16)
    for (top, left), part in zip(worlds.CORNERS, rules.glyphs[2], strict=True):
        light = mean[top : top + 8, left : left + 8].mean()
        assert (light > 0.12) == (part >= 0)


@pytest.mark.parametrize("name", worlds.TABLES)
def test_tables_are_divided_and_standardised_by_what_is_taught(name: str) -> None:
    world = worlds.world(name, (600, 600, 150, 200), 0)
    parts = (world.taught, world.judged, world.validated, world.tested)
    assert sum(map(len, parts)) == {"wine": 178, "breast_cancer": 569}[name]
    np.testing.assert_allclose(world.taught.values.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(world.taught.values.std(0), 1, atol=1e-4)
    assert len(world.columns) == world.taught.values.shape[1]
    words = learned(world, world.taught, (6, 8), 5, 0)
    assert words.starts[1] == len(world.columns)
    assert not words.levels[0].placed
    assert words.bits(5) > 0


def test_networks_are_of_the_shapes_they_say() -> None:
    assert classifier(True, 256, 10)(torch.zeros(2, 256)).shape == (2, 10)
    assert classifier(False, 13, 3)(torch.zeros(2, 13)).shape == (2, 3)


def test_arms_stay_within_their_bits() -> None:
    config = idea.load("hierarchical_explanation").quick
    arm = training.Arm(np.zeros((1024, 4), np.float32), np.zeros((1, 24), np.int64), 20_000)
    assert arm.affords(config, 100) == (100 - 20) // 15
    assert arm.affords(config, 30) == 0
    film = list(idea.load("hierarchical_explanation").run(config, (0,)))
    table = film[-1].measured[0]
    bits, atoms = (table[:, MEASURES.index(name)] for name in ("bits", "atoms"))
    for name in ("pixels", "flat", "prototypes", "two", "three", "spelled", "shuffled", "soft"):
        place = ARMS.index(name)
        assert bits[place] <= config.bits or atoms[place] == 0
    assert table[ARMS.index("spanned"), 0] == 1
    assert [frame.bits for frame in film if frame.bits] == list(map(float, budgets(config)))


def test_too_many_digits_are_refused_in_one_sentence() -> None:
    with pytest.raises(SettingError, match="at most 1750 digits in all, got 1950"):
        HierarchicalExplanationConfig(dataset="digits", taught=1000)
    assert vocabulary.PIECES == (3, 6)


@pytest.mark.parametrize("name", ["glyphs", "digits"])
def test_what_is_taught_judged_validated_and_tested_share_no_item(name: str) -> None:
    world = worlds.world(name, SIZES, 0)
    parts = [
        {row.tobytes() for row in part.values}
        for part in (world.taught, world.judged, world.validated, world.tested)
    ]
    assert [len(part.labels) for part in (world.taught, world.judged, world.validated, world.tested)] == list(
        SIZES
    )
    assert all(not one & other for one, other in itertools.combinations(parts, 2))


def student(**parts: worlds.Items) -> training.Student:
    """One that has learned everything, with some parts of its world exchanged."""
    made = training.Student(idea.load("hierarchical_explanation").quick, 0)
    made.world = dataclasses.replace(made.world, **parts)
    for stage in STAGES:
        made.advance(stage)
    return made


def others(count: int) -> worlds.Items:
    """Items of another grammar."""
    return worlds.draw_glyphs(worlds.grammar(9), count, 9, "others")


def test_nothing_is_learned_or_chosen_on_what_is_tested() -> None:
    own, exchanged = student(), student(tested=others(20))
    for one, other in zip(
        own.judge.state_dict().values(), exchanged.judge.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
    for name, arm in own.arms.items():
        np.testing.assert_array_equal(arm.atoms, exchanged.arms[name].atoms, err_msg=name)
        assert arm.dictionary == exchanged.arms[name].dictionary
    np.testing.assert_array_equal(own.words.atoms, exchanged.words.atoms)
    assert own.fixed["cart"][1] == exchanged.fixed["cart"][1]


def test_the_judge_knows_nothing_of_what_is_taught_nor_a_candidate_of_what_is_judged() -> None:
    own, exchanged = student(), student(taught=others(80))
    for one, other in zip(
        own.judge.state_dict().values(), exchanged.judge.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
    judged = student(judged=others(60))
    assert not torch.equal(own.judge[-1].weight, judged.judge[-1].weight)
    assert torch.equal(own.teacher[-1].weight, judged.teacher[-1].weight)
    np.testing.assert_array_equal(own.words.atoms, judged.words.atoms)


def test_which_vocabulary_is_chosen_rests_on_validation_items() -> None:
    """The offered one that explains them, not the one that explains what is tested."""
    made = student()
    fits = [
        part.values / np.linalg.norm(part.values, axis=1, keepdims=True)
        for part in (made.world.tested, made.world.validated)
    ]
    assert (
        made._best([(name, atoms, 0.0) for name, atoms in zip(("tested", "validated"), fits, strict=True)])
        == "validated"
    )


def test_every_arm_pays_for_its_dictionary() -> None:
    made = student()
    paid = {name: arm.dictionary for name, arm in made.arms.items()}
    assert paid["three"] == made.three.bits(5) > made.three.up_to(1).bits(5) > 0
    assert paid["spelled"] == made.three.bits_spelled(5) > paid["three"]
    assert paid["shuffled"] == paid["three"]
    assert (paid["flat"], paid["prototypes"]) == tuple(
        len(made.arms[name].atoms) * 256 * 5 for name in ("flat", "prototypes")
    )
    assert paid["soft"] == pytest.approx((made.words.atoms >= 0).sum() * (math.log2(4096) + 5))
    assert paid["pixels"] == 0
    for _, count, spent in made.explain(100).values():
        assert count == 0 or spent <= 100 or spent == 1280  # the item itself


def test_strangers_are_other_items() -> None:
    """Where all that is tested is one and the same item a stranger is nobody else,
    elsewhere he is.
    """
    same = glyphs().tested.take(np.zeros(20, np.int64))
    found = student(tested=same)._overlaps()
    assert found["strangers"] == pytest.approx(found["directions"], abs=1e-6)
    found = student(tested=others(20))._overlaps()
    assert abs(found["strangers"] - found["directions"]) > 1e-3
