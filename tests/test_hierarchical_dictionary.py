"""Dictionaries in levels: composition, bits, learning, controls."""

import math
from functools import cache

import numpy as np
import pytest
from scipy import sparse

from mlcv_explore.data import glyphs, strokes
from mlcv_explore.data.vectors import table_parts
from mlcv_explore.models.hierarchical_dictionary import Dictionary, Level, learn, shuffled, windows
from mlcv_explore.models.sparse_coding import coefficients, matching_pursuit, reconstruct
from mlcv_explore.seeds import numpy_stream


@cache
def items(count: int = 120) -> np.ndarray:
    return glyphs.generate(glyphs.grammar(0), count, 0, "taught").values


def level_zero() -> Dictionary:
    return Dictionary(strokes.placed(16), side=16)


@cache
def three() -> Dictionary:
    return learn(level_zero(), items(), ((12, 16),), 5, 0)[0]


def by_hand() -> Dictionary:
    one = Level(np.array([[0, 1], [2, -1]]), np.array([[1, 1], [1, 0]], np.float32), False)
    two = Level(np.array([[8, 9]]), np.array([[1, 1]], np.float32), False)
    return Dictionary(np.eye(8, dtype=np.float32), (one, two))


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
    assert [dictionary.kind_of(atom) for atom in (whole, part, 300)] == [3, 1, 1]


def test_all_levels_share_one_array_of_atoms() -> None:
    atoms = three().atoms
    for level in (1, 2):
        lower = three().up_to(level)
        assert np.shares_memory(lower.atoms, atoms)
        fresh = Dictionary(lower.first, lower.levels, 16)
        np.testing.assert_array_equal(lower.atoms, fresh.atoms)


def test_a_part_that_is_moved_is_the_same_image_elsewhere() -> None:
    dictionary = three()
    parts = dictionary.atoms[dictionary.starts[1] :][: len(dictionary.places)].reshape(-1, 16, 16)
    one, other = (parts[dictionary.places.index(place)] for place in ((3, 3), (4, 5)))
    own = sorted(piece for piece in dictionary.levels[0].pieces[0].tolist() if piece >= 0)
    for place, move in (((0, 0), 0), ((0, 1), 1), ((2, 5), 2 * 16 + 5)):
        moved = dictionary.starts[1] + dictionary.places.index(place)
        assert sorted(piece for piece, _ in dictionary.pieces_of(moved)) == [piece + move for piece in own]
    # but for what an edge cuts off
    assert np.abs(np.roll(one, (1, 2), (0, 1)) - other).max() < 0.05 * parts.max()


def test_bits_by_hand() -> None:
    dictionary = by_hand()
    assert dictionary.bits(5) == pytest.approx(3 * (math.log2(8) + 5) + 2 * (math.log2(10) + 5))
    # the last is made of columns 0, 1 and 2
    assert dictionary.bits_in_first(5) == pytest.approx((3 + 3) * (math.log2(8) + 5))
    np.testing.assert_allclose(dictionary.atoms[10], [0.5, 0.5, math.sqrt(0.5), 0, 0, 0, 0, 0], atol=1e-6)
    assert level_zero().bits(5) == 0


def test_learned_atoms_hold_few_pieces_of_the_levels_below() -> None:
    parts, wholes = three().levels
    assert parts.pieces.shape == (12, 3) and wholes.pieces.shape == (16, 6)
    assert parts.placed and not wholes.placed
    assert parts.pieces.max() < len(three().first) and wholes.pieces.max() < three().starts[2]
    both = learn(level_zero(), items(), ((12, 16), (6, 8)), 5, 0)
    np.testing.assert_array_equal(both[0].levels[1].pieces, wholes.pieces)
    assert len(both[1].levels[0]) == 6


@pytest.mark.parametrize(("name", "columns"), [("wine", 13), ("breast_cancer", 30)])
def test_atoms_over_the_columns_of_a_table_have_no_place(name: str, columns: int) -> None:
    (rows, *_), _, _ = table_parts(name, (3, 1, 1, 1), 0)
    first = Dictionary(np.eye(columns, dtype=np.float32))
    dictionary = learn(first, rows.values, ((6, 8),), 5, 0)[0]
    assert not dictionary.levels[0].placed
    assert dictionary.starts == (0, columns, columns + 6, columns + 14)
    assert dictionary.bits(5) > 0 and dictionary.kind_of(columns + 2) == 2


def test_a_level_without_candidates_has_no_atoms() -> None:
    dots = np.zeros((40, 16, 16), np.float32)
    dots[:, ::3, ::3] = numpy_stream(3, "dots").uniform(0.8, 1, (40, 6, 6))
    assert learn(level_zero(), dots.reshape(40, -1), ((4, 4),), 5, 0)[0].levels == ()


def test_windows_hold_what_stands_in_their_middle() -> None:
    image = np.zeros((1, 16, 16), np.float32)
    image[0, 5:7, 7:9] = 1
    (cut,) = windows(image.reshape(1, -1), 16).reshape(-1, 16, 16)
    assert cut[3:5, 3:5].sum() == cut.sum() == 4


def test_a_shuffled_hierarchy_costs_the_same_and_holds_other_pieces() -> None:
    control = shuffled(three(), 0)
    assert control.bits(5) == three().bits(5) and control.sizes == three().sizes
    for one, other in zip(control.levels, three().levels, strict=True):
        np.testing.assert_array_equal(one.pieces >= 0, other.pieces >= 0)
        assert (one.pieces != other.pieces).mean() > 0.5
        assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in one.pieces)


def test_a_code_in_level_zero_has_the_same_reconstruction() -> None:
    dictionary, values = three(), items()[:6]
    chosen = matching_pursuit(values, dictionary.atoms, 5)
    weights = coefficients(values, dictionary.atoms, chosen)
    alone = reconstruct(dictionary.first, *dictionary.code_in_first(chosen, weights))
    np.testing.assert_allclose(alone, reconstruct(dictionary.atoms, chosen, weights), atol=1e-4)


def test_a_code_becomes_a_whole_and_what_is_carried_over_equals_what_would_be_computed() -> None:
    grown = by_hand().with_wholes(
        sparse.csr_matrix([[2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], [0] * 10 + [3]], dtype=np.float32)
    )
    np.testing.assert_allclose(grown.atoms[11], np.array([2, 0, 1, 0, 0, 0, 0, 0]) / math.sqrt(5), atol=1e-6)
    np.testing.assert_allclose(grown.atoms[12], grown.atoms[10], atol=1e-6)  # an atom of its own level
    assert [piece for piece, _ in grown.pieces_of(12)] == [8, 9]  # by its pieces
    fresh = Dictionary(grown.first, grown.levels)
    for name in ("atoms", "in_first"):
        one, other = (getattr(array, name) for array in (fresh, grown))
        np.testing.assert_allclose(
            *(array.toarray() if sparse.issparse(array) else array for array in (one, other)), atol=1e-6
        )
    np.testing.assert_allclose(fresh.composition[1].toarray(), grown.composition[1].toarray(), atol=1e-6)
    assert grown.bits(5) == pytest.approx(fresh.bits(5)) and len(by_hand().atoms) == 11


def test_windows_are_cut_whatever_the_sign_of_light() -> None:
    cut = windows(items(), 16)
    assert len(cut) and np.array_equal(windows(-items(), 16), -cut)
