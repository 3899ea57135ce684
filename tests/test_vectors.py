"""Images and tables as vectors."""

import numpy as np
import pytest

from mlcv_explore.data.vectors import (
    Vectors,
    as_image,
    from_digit,
    from_photograph,
    grey_vectors,
    table_parts,
)
from mlcv_explore.seeds import numpy_stream


def test_images_become_small_grey_vectors() -> None:
    images = numpy_stream(0, "images").integers(0, 256, (2, 3, 32, 32)).astype(np.uint8)
    images[1] = 51
    values = grey_vectors(images, 16)
    assert values.shape == (2, 256) and values.dtype == np.float32
    np.testing.assert_allclose(values[1], 0.2, atol=1e-6)
    assert values[0].mean() == pytest.approx(images[0].mean() / 255, abs=0.01)
    np.testing.assert_allclose(grey_vectors(images, 32)[0], images[0].mean(0).ravel() / 255, atol=1e-6)


def test_a_drawn_digit_is_a_vector_like_the_handwritten_ones() -> None:
    digit = np.zeros((8, 8))
    digit[:, 3] = 1
    image = from_digit(digit, 16).reshape(16, 16)
    np.testing.assert_allclose(image[[0, -1], 5:9], [[0.25, 0.75, 0.75, 0.25]] * 2, atol=1e-6)
    assert image[:, 6:8].min() == 0.75 and image[:, 0].max() == 0
    handwritten = np.uint8(255 * digit)[None, None]
    np.testing.assert_array_equal(grey_vectors(handwritten, 16)[0], image.ravel())
    assert not from_digit(np.zeros((8, 8)), 16).any()


def test_a_photograph_is_what_differs_from_its_mean() -> None:
    pixels = numpy_stream(0, "photograph").integers(0, 256, (40, 30, 3)).astype(np.uint8)
    values = from_photograph(pixels, 16)
    assert values.shape == (256,) and abs(values.mean()) < 1e-6 < values.std()
    np.testing.assert_allclose(from_photograph(255 - pixels, 16), -values, atol=1e-5)
    assert not from_photograph(np.full((1, 700, 3), 90, np.uint8), 16).any()


def test_a_vector_is_shown_as_an_image_and_a_row_of_a_table_in_rows() -> None:
    np.testing.assert_array_equal(as_image(np.arange(16.0), 4), np.arange(16.0).reshape(4, 4))
    assert as_image(np.arange(13.0), 0).tolist() == [np.arange(13).tolist()]
    shown = as_image(np.arange(32.0), 0)
    assert shown.shape == (3, 15) and np.isnan(shown).sum() == 13
    np.testing.assert_array_equal(shown.ravel()[:32], np.arange(32))


def test_vectors_are_taken_by_place() -> None:
    items = Vectors(np.eye(4, dtype=np.float32), np.arange(4))
    assert len(items) == 4 and items.take(np.array([2, 0])).labels.tolist() == [2, 0]
    np.testing.assert_array_equal(items.take(np.array([2, 0])).values, items.values[[2, 0]])


@pytest.mark.parametrize(("name", "rows", "columns"), [("wine", 178, 13), ("breast_cancer", 569, 30)])
def test_tables_are_divided_and_standardised_by_the_first_part(name: str, rows: int, columns: int) -> None:
    parts, classes, names = table_parts(name, (600, 600, 150, 200), 0)
    assert sum(map(len, parts)) == rows and len(names) == columns == parts[0].values.shape[1]
    np.testing.assert_allclose(
        [len(part) / rows for part in parts], np.array([600, 600, 150, 200]) / 1550, atol=0.01
    )
    np.testing.assert_allclose(parts[0].values.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(parts[0].values.std(0), 1, atol=1e-4)
    shares = [np.bincount(part.labels, minlength=len(classes)) / len(part) for part in parts]
    assert np.ptp(shares, axis=0).max() < 0.08  # every part holds the classes in proportion
    assert len({row.tobytes() for part in parts for row in part.values}) == rows
    assert not np.array_equal(parts[3].values, table_parts(name, (600, 600, 150, 200), 1)[0][3].values)
