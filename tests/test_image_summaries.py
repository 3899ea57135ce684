"""Edges and thumbnails by hand."""

import numpy as np

from mlcv_explore.data.image_summaries import edge_sides, thumbnails

STEP = np.full((1, 3, 8, 8), 100, np.uint8)
STEP[..., 4:] = 200  # of the 5 columns around, those beyond the step add 40 or 60 grey levels


def test_an_edge_has_a_bright_and_a_dark_side() -> None:
    bright, dark = edge_sides(STEP)[0]
    assert np.array_equal(bright.any(0), [False] * 4 + [True, True, False, False])
    assert np.array_equal(dark.any(0), [False] * 2 + [True, True] + [False] * 4)
    assert not edge_sides(np.full((1, 3, 8, 8), 90, np.uint8)).any()
    assert np.array_equal(edge_sides(255 - STEP), edge_sides(STEP)[:, ::-1])


def test_a_thumbnail_has_the_mean_of_each_tile() -> None:
    image = np.zeros((1, 3, 8, 8), np.uint8)
    image[0, 0, :2, :2] = [[10, 20], [30, 40]]
    small = thumbnails(image)
    assert small.shape == (1, 3, 4, 4) and small[0, 0, 0, 0] == 25 and small.sum() == 25
