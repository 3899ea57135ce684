"""Masks and boxes, by hand."""

import numpy as np
import pytest

from mlcv_explore.metrics import overlap


def test_masks_cover_each_other_by_the_share_of_what_either_covers() -> None:
    one, other = np.zeros((2, 4, 4))
    one[:2], other[1:3] = 1, 5  # two rows each, one of them common
    assert overlap.intersection_over_union(one, other) == pytest.approx(1 / 3)
    assert overlap.intersection_over_union(np.stack([one, one]), np.stack([one, 0 * one])) == pytest.approx(
        [1, 0]
    )
    assert overlap.intersection_over_union(0 * one, 0 * one) == 1


def test_boxes_overlap_by_the_share_of_what_either_covers() -> None:
    box = np.array([0, 0, 2, 4])
    others = np.array([[0, 0, 2, 4], [1, 0, 3, 4], [2, 0, 4, 4], [0, 0, 1, 1], [3, 3, 3, 3]])
    assert overlap.box_overlap(box, others) == pytest.approx([1, 4 / 12, 0, 1 / 8, 0])
    assert overlap.box_overlap(others[4], others[4]) == 0


def test_the_box_lies_round_the_largest_piece_of_what_exceeds_half_of_the_most() -> None:
    saliency = np.zeros((6, 8))
    saliency[1:3, 1:3] = 1.0  # four pixels
    saliency[4, 2:8] = 0.6  # six, and a corner apart from them
    saliency[0, 5:8] = 0.4  # below half
    assert overlap.largest_box(saliency).tolist() == [4, 2, 5, 8]
    assert overlap.largest_box(saliency, 0.7).tolist() == [1, 1, 3, 3]
    assert overlap.largest_box(10 * saliency).tolist() == [4, 2, 5, 8]
    assert overlap.largest_box(np.zeros((3, 5))).tolist() == [0, 0, 3, 5]
    assert overlap.largest_box(np.ones((3, 5))).tolist() == [0, 0, 3, 5]


def test_boxes_are_found_from_half_an_overlap_on() -> None:
    truth = np.array([[0, 0, 2, 2]] * 4)
    boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1], [0, 0, 1, 1], [3, 3, 4, 4]])
    assert overlap.box_scores(boxes, truth) == {"overlap": pytest.approx(1.75 / 4), "found": 0.5}


def test_the_nearest_mask_overlaps_most_and_of_equal_objects_the_rest_decides() -> None:
    square, query = np.zeros((3, 4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    square[0, :2], square[1, :3], square[2, 3], query[:2, :3] = 1, 1, 1, 1
    index = overlap.MaskIndex(square, (1,))
    assert index.nearest(query, 3).tolist() == [0, 1, 2] and np.array_equal(index.mask(1), square[1])
    assert [index.nearest(mask, 1)[0] for mask in square] == [0, 1, 2]  # itself first
    tagged = np.stack([square[0], square[0]])
    tagged[1, 3, 3] = query[3, 3] = 2
    assert overlap.MaskIndex(tagged, (1,)).nearest(query, 2).tolist() == [1, 0]
    assert overlap.MaskIndex(tagged, (1, 2)).nearest(square[0], 2).tolist() == [0, 1]
