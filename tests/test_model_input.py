"""What part of an image a model reads: the published crop, and a map of it at its place."""

import numpy as np
import pytest
from PIL import Image

from mlcv_explore.data import uploads
from mlcv_explore.data.model_input import WHOLE, Crop, ModelInput, crops, of_card

PUBLISHED = ModelInput(224, 224 / 256, bicubic=True)


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((600, 400), (125, 25, 475, 375)),  # 350 = int(400 · 0.875)
        ((400, 601), (25, 126, 375, 476)),  # an odd margin: further down by the half pixel
        ((256, 256), (16, 16, 240, 240)),
        ((4000, 300), (1869, 19, 2131, 281)),
        ((1, 1), (0, 0, 1, 1)),
    ],
)
def test_the_crop_is_the_published_one_in_whole_pixels(size: tuple[int, int], box: tuple[int, ...]) -> None:
    assert PUBLISHED.crop(size).pixels(size) == box


def test_the_input_is_that_part_of_the_image_resized() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    part = Image.fromarray(pixels).crop((119, 19, 381, 281)).resize((224, 224), Image.Resampling.BICUBIC)
    expected = np.asarray(part, np.float32).transpose(2, 0, 1) / 255
    np.testing.assert_array_equal(PUBLISHED.array(pixels), expected)
    whole = ModelInput(224)
    np.testing.assert_array_equal(whole.array(pixels), uploads.resized_to_square(pixels, 224))


def test_a_map_of_the_crop_lies_over_what_it_explains() -> None:
    """A bright square in a dark photograph is found in the input; its map, put back, is
    bright at the square.
    """
    pixels = np.zeros((300, 500, 3), np.uint8)
    pixels[60:100, 300:340] = 255
    grey = PUBLISHED.array(pixels).mean(0)
    for size in ((500, 300), (250, 150), (1000, 600)):
        placed = PUBLISHED.crop((500, 300)).placed(grey, size)
        assert placed.shape == size[::-1]
        scale = size[0] / 500
        rows, columns = np.nonzero(placed > 0.5)
        edges = np.array([rows.min(), rows.max() + 1, columns.min(), columns.max() + 1]) / scale
        np.testing.assert_allclose(edges, (60, 100, 300, 340), atol=2.5)
    left, top, right, bottom = PUBLISHED.crop((500, 300)).pixels((500, 300))
    ones = PUBLISHED.crop((500, 300)).placed(np.ones((7, 7)), (500, 300))
    assert ones[top:bottom, left:right].all() and ones.sum() == (bottom - top) * (right - left)


def test_the_whole_image_is_what_was_read_before() -> None:
    values = np.random.default_rng(1).random((7, 7), np.float32)
    np.testing.assert_array_equal(WHOLE.placed(values, (50, 30)), uploads.upsampled(values, (50, 30)))
    assert ModelInput(32).crop((50, 30)) == WHOLE and WHOLE.pixels((50, 30)) == (0, 0, 50, 30)


def test_a_card_states_the_crop_and_the_whole_image_can_be_chosen() -> None:
    card = {"input": {"size": 224, "crop": 0.875, "resampling": "bicubic"}}
    assert of_card(card) == PUBLISHED and crops(card)
    assert of_card(card, whole=True) == of_card({"input": {"size": 224}}) == ModelInput(224)
    assert not crops({"input": {"size": 224}})


def test_the_text_states_which_part_is_read() -> None:
    assert PUBLISHED.text((600, 400)) == (
        "centre crop of 350 × 350 from 600 × 400 pixels, resized to 224 × 224"
    )
    assert ModelInput(32).text((600, 400)) == "whole image of 600 × 400 pixels, resized to 32 × 32"
    assert Crop(0.999, 0.999, 1.0, 1.0).pixels((10, 10)) == (9, 9, 10, 10)


@pytest.mark.parametrize(
    ("given", "size", "box", "expected"),
    [
        (ModelInput(64), (64, 64), (3, 5, 20, 30), (3, 5, 20, 30)),
        (ModelInput(32), (64, 128), (8, 4, 24, 32), (2, 2, 6, 16)),  # each axis for itself
        # of the same shape as the input, and still not of its coordinates: the crop is 196 pixels
        (PUBLISHED, (224, 224), (14, 112, 63, 161), (0, 112, 56, 168)),
        (PUBLISHED, (224, 224), (0, 0, 14, 14), (0, 0, 0, 0)),  # outside the crop
        (PUBLISHED, (224, 224), (0, 0, 63, 224), (0, 0, 56, 224)),
    ],
)
def test_a_mask_and_a_box_lie_in_the_input_where_the_image_does(
    given: ModelInput, size: tuple[int, int], box: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    mask = np.zeros(size[::-1], np.uint8)
    mask[box[0] : box[2], box[1] : box[3]] = 1
    inside = np.zeros((given.side, given.side), bool)
    inside[expected[0] : expected[2], expected[1] : expected[3]] = True
    assert tuple(given.box(np.array(box), size)) == expected
    assert np.array_equal(given.mask(mask), inside)
