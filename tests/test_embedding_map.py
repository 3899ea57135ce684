"""A fitted map: a point lies where its nearest features say, by hand and against
scikit-learn, and hangs on nothing beside it.
"""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsRegressor

from mlcv_explore.metrics.embedding_map import NEIGHBOURS, FittedMap, errors
from mlcv_explore.seeds import numpy_stream

ROOT = Path(__file__).parent.parent


def some_map(count: int = 200, offset: float = 0.0) -> FittedMap:
    rng = numpy_stream(0, "a map")
    features = rng.normal(offset, 1, (count, 7)).astype(np.float32)
    return FittedMap(features, rng.normal(0, 5, (count, 2)).astype(np.float32))


def tiny_map() -> FittedMap:
    """Features on a line at 0, 1, 2, 4, 8 and 100, laid out on a parabola."""
    features = np.array([[0.0], [1.0], [2.0], [4.0], [8.0], [100.0]], dtype=np.float32)
    return FittedMap(features, np.concatenate([features, features**2], axis=1))


def test_a_feature_of_the_map_lies_on_itself():
    for subject in (some_map(), some_map(offset=1000.0), tiny_map()):
        np.testing.assert_array_equal(subject.transform(subject.features), subject.coordinates)


def test_features_in_one_place_are_met_in_the_middle_of_their_coordinates():
    coordinates = np.array([[0, 0], [2, 6], [50, 50], [60, 60], [70, 70]], dtype=np.float32)
    subject = FittedMap(np.array([[1.0], [1.0], [2.0], [3.0], [4.0]], dtype=np.float32), coordinates)
    np.testing.assert_array_equal(subject.transform(np.array([[1.0]])), [[1, 3]])


def test_a_point_halfway_between_two_features_with_the_others_far_lies_halfway_between_them():
    features = np.array([[0, 0], [2, 0], [1e6, 0], [0, 1e6], [1e6, 1e6], [-1e6, 0]], dtype=np.float32)
    coordinates = np.array([[0, 4], [6, 0], [9, 9], [9, -9], [-9, 9], [-9, -9]], dtype=np.float32)
    place = FittedMap(features, coordinates).transform(np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(place, [[3, 2]], atol=1e-4)


def test_weights_by_hand():
    """From 3 the distances to 0, 1, 2, 4, 8 are 3, 2, 1, 1, 5; 100 is the sixth and
    does not count.
    """
    weights = np.array([1 / 3, 1 / 2, 1, 1, 1 / 5])
    x = (weights * [0, 1, 2, 4, 8]).sum() / weights.sum()
    y = (weights * [0, 1, 4, 16, 64]).sum() / weights.sum()
    np.testing.assert_allclose(tiny_map().transform(np.array([[3.0]])), [[x, y]], rtol=1e-6)
    distances, places = tiny_map().nearest(np.array([[3.0], [7.0]]))
    np.testing.assert_array_equal(distances, [[1, 1, 2, 3, 5], [1, 3, 5, 6, 7]])
    assert (
        set(places[0][:2]) == {2, 3}
        and list(places[0][2:]) == [1, 0, 4]
        and list(places[1]) == [4, 3, 2, 1, 0]
    )


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_places_are_those_of_scikit_learn(offset: float):
    subject, points = some_map(offset=offset), numpy_stream(1, "points").normal(offset, 2, (50, 7))
    wide = KNeighborsRegressor(NEIGHBOURS, weights="distance", algorithm="kd_tree").fit(
        subject.features.astype(float), subject.coordinates
    )
    np.testing.assert_allclose(subject.transform(points), wide.predict(points), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(subject.nearest(points)[1], wide.kneighbors(points)[1])


@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 2**32 - 1))
def test_a_position_and_a_novelty_percentile_do_not_depend_on_the_batch(count: int, which: int, seed: int):
    subject = some_map()
    points = np.random.default_rng(seed).normal(0, 2, (count, 7)).astype(np.float32)
    which %= count
    np.testing.assert_array_equal(
        subject.transform(points)[which], subject.transform(points[which : which + 1])[0]
    )
    np.testing.assert_array_equal(
        subject.novelty_percentile(points)[which], subject.novelty_percentile(points[which : which + 1])[0]
    )


def test_novelty_is_low_in_the_dense_middle_and_one_far_away():
    subject = some_map()
    middle, away, further = subject.novelty_percentile(np.array([[0.0] * 7, [3.0] * 7, [1e4] * 7]))
    assert middle < 0.05 < 0.9 < away <= further == 1


def test_novelty_by_hand():
    """With six on the line the fifth neighbour of each is its furthest: 100, 99, 98,
    96, 92 and 100 away.
    """
    subject = tiny_map()
    np.testing.assert_array_equal(subject.novelty_percentile(np.array([[3.0]])), [0])  # its fifth is 5 away
    # fifths 95.5, 97, 115
    np.testing.assert_allclose(
        subject.novelty_percentile(np.array([[-87.5], [-89.0], [-107.0]])), [1 / 6, 2 / 6, 1]
    )


def test_novelty_is_the_share_of_smaller_fifth_distances_of_the_others():
    subject, points = some_map(60), numpy_stream(2, "points").normal(0, 1.5, (20, 7))
    features = subject.features.astype(float)
    own = [
        sorted(np.linalg.norm(features - one, axis=1)[np.arange(60) != place])[4]
        for place, one in enumerate(features)
    ]
    fifth = [sorted(np.linalg.norm(features - one, axis=1))[4] for one in points]
    np.testing.assert_allclose(
        subject.novelty_percentile(points), [np.mean([other < one for other in own]) for one in fifth]
    )


def test_a_map_of_fewer_features_than_five_uses_all():
    subject = FittedMap(
        np.array([[0.0], [3.0]], dtype=np.float32), np.array([[0, 0], [9, 0]], dtype=np.float32)
    )
    np.testing.assert_allclose(subject.transform(np.array([[1.0]])), [[3, 0]])
    assert subject.nearest(np.array([[1.0]]))[0].shape == (1, 2)


def test_errors_by_hand():
    coordinates = np.array([[0, 0], [10, 4], [5, -1]], dtype=np.float32)
    assert FittedMap(coordinates, coordinates).width == 10  # 10 by 5
    measured = errors(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[3.0, 4.0], [1.0, 1.0]]), 10.0)
    np.testing.assert_allclose(measured, [0.5, 0])


def test_placing_needs_neither_umap_nor_what_it_brings():
    script = f"""
import sys
import numpy as np
from mlcv_explore.metrics.embedding_map import FittedMap
grid = np.array({list(itertools.product((0.0, 1.0), repeat=3))})
fitted = FittedMap(grid, grid[:, :2])
fitted.transform(grid), fitted.novelty_percentile(grid)
sys.exit(", ".join({{"umap", "numba", "sklearn", "torch"}} & set(sys.modules)) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
