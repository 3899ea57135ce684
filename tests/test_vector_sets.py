"""Data sets of vectors in four parts."""

import itertools

import numpy as np
import pytest

from mlcv_explore.models import vector_sets
from mlcv_explore.seeds import numpy_stream

SIZES = (120, 60, 20, 40)


@pytest.mark.parametrize("name", ["glyphs", "digits", "wine", "breast_cancer"])
def test_the_parts_of_a_data_set_share_no_item(name: str) -> None:
    dataset = vector_sets.load(name, SIZES, 0)
    parts = [dataset.train, dataset.classifier_train, dataset.validation, dataset.test]
    size = parts[0].values.shape[1]
    assert [len(part) for part in parts] == list(SIZES) or len(dataset.columns) == size
    assert len(vector_sets.level_zero(dataset.side, size).first) == (size if dataset.columns else 4096)
    rows = [{row.tobytes() for row in part.values} for part in parts]
    assert all(not one & other for one, other in itertools.combinations(rows, 2))
    again = vector_sets.load(name, SIZES, 0)
    np.testing.assert_array_equal(again.train.values, dataset.train.values)


def test_a_patch_is_cut_from_its_photograph_and_has_no_mean() -> None:
    images = numpy_stream(0, "photographs").integers(0, 256, (6, 3, 32, 32)).astype(np.uint8)
    cut = vector_sets.patches(images, numpy_stream(0, "patches"))
    np.testing.assert_allclose(cut.mean(1), 0, atol=1e-6)
    corners = set()
    for image, patch in zip(images.mean(1) / 255, cut.reshape(-1, 16, 16), strict=True):
        places = np.lib.stride_tricks.sliding_window_view(image, (16, 16))
        off = np.abs(places - places.mean((2, 3), keepdims=True) - patch).max((2, 3))
        assert off.min() < 1e-6
        corners.add(np.unravel_index(off.argmin(), off.shape))
    assert len(corners) > 3
