"""Strokes and the glyphs that are made of them."""

import numpy as np

from mlcv_explore.data import glyphs, strokes


def test_strokes_are_unit_vectors_and_stand_at_their_place() -> None:
    atoms = strokes.placed(16)
    assert atoms.shape == (strokes.KINDS * 256, 256)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-5)
    upright = strokes.stroke(8, 8, 8, 16)  # the first of the long ones
    assert upright.sum(0).argmax() == 8 and (upright > 0.5 * upright.max()).sum(0).max() >= 5
    # four times 22.5° further
    np.testing.assert_allclose(strokes.stroke(12, 8, 8, 16), upright.T, atol=1e-6)
    atom = 5 * 256 + 3 * 16 + 7
    assert strokes.place_of(atom, 16) == (5, 3, 7)
    np.testing.assert_allclose(atoms[atom].reshape(16, 16), strokes.stroke(5, 3, 7, 16), atol=1e-6)


def test_glyphs_follow_their_grammar_and_seeds_have_their_own() -> None:
    rules = glyphs.grammar(0)
    assert len(rules.parts) == glyphs.PARTS and ((rules.glyphs >= 0).sum(1) >= 3).all()
    assert not np.array_equal(rules.glyphs, glyphs.grammar(1).glyphs)
    items = glyphs.generate(rules, 60, 0, "test")
    assert np.bincount(items.labels).tolist() == [6] * 10
    assert items.values.shape == (60, 256) and items.values.min() == 0 and items.values.max() <= 1
    mean = items.values[items.labels == 2].mean(0).reshape(16, 16)
    for (top, left), part in zip(glyphs.CORNERS, rules.glyphs[2], strict=True):
        assert (mean[top : top + 8, left : left + 8].mean() > 0.12) == (part >= 0)
    same, other = (glyphs.generate(rules, 60, 0, purpose).values for purpose in ("test", "train"))
    np.testing.assert_array_equal(same, items.values)
    assert not np.array_equal(other, items.values)


def test_the_parts_of_a_grammar_are_unit_vectors() -> None:
    rules = glyphs.grammar(0)
    parts = rules.unit_parts()
    np.testing.assert_allclose(np.linalg.norm(parts, axis=1), 1, atol=1e-6)
    image = rules.image_of(3)
    assert image.shape == (8, 8) and image.max() == 1
    np.testing.assert_allclose(parts[3] / parts[3].max(), image.ravel(), atol=1e-6)
