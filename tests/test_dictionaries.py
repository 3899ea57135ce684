"""Similarity of dictionaries, of explanations, and recovered patterns: by hand."""

import numpy as np

from mlcv_explore.data import glyphs
from mlcv_explore.metrics import dictionaries
from mlcv_explore.seeds import numpy_stream


def test_orientation_histograms_by_hand() -> None:
    atoms, weights = np.array([[8 * 256 + 5, 3], [3, -1]]), np.array([[1.0, -3.0], [2.0, 9.0]])
    one = dictionaries.orientation_histogram(atoms, weights, 16, 4096)
    np.testing.assert_allclose(one.sum(1), 1)
    np.testing.assert_allclose(dictionaries.intersection(one, one), 1)
    # long and short strokes of one orientation in one cell count as the same: kind 8 at (0, 5)
    # stands a cell further than kind 0 at (0, 3)
    np.testing.assert_allclose(dictionaries.intersection(one[:1], one[1:]), 0.75)
    column = dictionaries.orientation_histogram(np.array([[2, -1]]), np.array([[-4.0, 1.0]]), 0, 5)
    np.testing.assert_allclose(column, [[0, 0, 1, 0, 0]])


def test_patterns_are_recovered_by_themselves_also_when_moved_and_not_by_noise() -> None:
    parts = glyphs.grammar(0).unit_parts()
    canvas = np.zeros((len(parts), 16, 16), np.float32)
    canvas[:, :8, :8] = parts.reshape(-1, 8, 8)
    assert dictionaries.recovered_share(parts, canvas.reshape(len(parts), -1), 16) == 1
    assert dictionaries.recovered_share(parts, -2 * canvas[:6].reshape(6, -1), 16) >= 0.5
    moved = np.roll(canvas, 1, 2)
    moved[:, :, 8:] = 0
    assert dictionaries.recovered_share(parts, moved.reshape(len(parts), -1), 16) > 0.7
    noise = np.abs(numpy_stream(20, "noise").standard_normal((20, 256)))
    assert dictionaries.recovered_share(parts, noise, 16) == 0
    assert dictionaries.recovered_share(parts, noise[:0], 16) == 0
