"""Baselines of a mask's appearance: by hand, and on images that follow their rule."""

import numpy as np
import pytest

from mlcv_explore.data.dataset import to_float
from mlcv_explore.data.masked_images import Categories, MaskedImages, generate
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.metrics.image_quality import explained_variance
from mlcv_explore.models import mask_baselines as baselines

TWO = Categories(("background", "object"), (1,), (), ("thing",))


def boxes(*corners: tuple[int, int, int, int], colours: np.ndarray | None = None) -> MaskedImages:
    """Rectangles of 10 × 10 images in these colours (n, 3), on grey."""
    regions = np.zeros((len(corners), 10, 10), np.uint8)
    images = np.full((len(corners), 3, 10, 10), 128, np.uint8)
    for index, (top, left, bottom, right) in enumerate(corners):
        regions[index, top:bottom, left:right] = 1
        if colours is not None:
            images[index, :, top:bottom, left:right] = colours[index][:, None, None]
    return MaskedImages(TWO, images, regions, np.zeros(len(corners), np.int64))


def test_features_of_a_box_by_hand() -> None:
    features = baselines.box_features(boxes((2, 1, 6, 10)).objects)
    assert features.shape == (1, 10, 10, 2) and features[0, :, :, 0] == pytest.approx(0.6)
    assert features[0, 2:6, 0, 1] == pytest.approx([0.125, 0.375, 0.625, 0.875])


def test_regression_reads_size_and_row_and_object_pixels_alone() -> None:
    images = boxes((0, 0, 4, 4), (2, 2, 8, 8), (1, 0, 9, 8))
    size, row = np.moveaxis(baselines.box_features(images.objects), -1, 0)
    images.images[:] = np.where(images.objects, np.rint(255 * (0.2 + 0.5 * size - 0.1 * row)), 255)[:, None]
    new = boxes((3, 1, 8, 6)).objects
    (size, row), output = np.moveaxis(baselines.box_features(new), -1, 0), baselines.regression(images, new)
    assert output.shape == (1, 3, 10, 10) and output.dtype == np.float32
    assert output[0, 1][new[0]] == pytest.approx((0.2 + 0.5 * size - 0.1 * row)[new], abs=0.005)


def test_regression_finds_what_the_mask_determines_of_scenes() -> None:
    """Up to noise: the generator's rule is linear in the two features."""
    config = ScenesConfig(label="texture", smallest=0.35, largest=0.5, dependence=1)
    training, test = generate(config, 1500, 0, "a"), generate(config, 200, 0, "b")
    values, truths = baselines.regression(training, test.objects), to_float(test.images)
    best = test.determined[:, None].repeat(3, 1) / 255
    reached, ceiling = (explained_variance(image, truths, test.objects) for image in (values, best))
    assert reached == pytest.approx(ceiling, abs=0.01) and ceiling > 0.8


def test_known_colours_are_shaded_around_themselves() -> None:
    training = boxes((0, 0, 8, 8), (2, 0, 10, 4))
    row = baselines.box_features(training.objects)[..., 1]
    drop = np.array([0.4, 0.2, 0.0])[None, :, None, None]
    lightness = np.array([0.8, 0.5])[:, None, None, None] - drop * row[:, None]
    training.images[:] = np.rint(255 * np.where(training.objects[:, None], lightness, 1)).astype(np.uint8)
    given, colours = boxes((1, 1, 5, 9)).objects, np.array([[0.6, 0.5, 0.4]], np.float32)
    output = baselines.shaded(training, given, colours)[0]
    assert output[:, given[0]].mean(1) == pytest.approx(colours[0], abs=1e-5)
    assert output[:, 1, 2] - output[:, 4, 2] == pytest.approx(0.75 * drop.ravel(), abs=0.01)


def test_neighbours_count_where_they_agree_with_the_mask() -> None:
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]])
    training = boxes((0, 0, 6, 6), (0, 0, 6, 8), (8, 8, 10, 10), colours=colours)
    given = boxes((0, 0, 6, 7))
    nearest, mean = baselines.neighbours(training, given, 2)
    assert np.array_equal(nearest[0], to_float(training.images[1]))  # 42 of 48, not 36 of 42
    area = training.objects.sum((1, 2))
    prior = (colours * area[:, None]).sum(0) / area.sum() / 255
    both, one = (colours[0] + colours[1]) / 255, colours[1] / 255  # the first ends at column 6
    assert mean[0, :, 2, 2] == pytest.approx((both + prior) / 3, abs=1e-5)
    assert mean[0, :, 2, 6] == pytest.approx((one + prior) / 2, abs=1e-5)
    assert mean[0, :, 9, 0] == pytest.approx(128 / 255, abs=1e-5)


def test_the_objects_colour_is_three_bytes() -> None:
    images = boxes(
        (0, 0, 4, 4), (1, 1, 3, 3), (0, 0, 0, 0), colours=np.array([[9, 8, 7], [1, 2, 3], [0, 0, 0]])
    )
    own = baselines.object_colours(images)
    assert own.dtype == np.uint8 and own.tolist() == [[9, 8, 7], [1, 2, 3], [128, 128, 128]]
