"""Images pixel by pixel."""

import io

import numpy as np
import pytest
from PIL import Image

from mlcv_explore.charts import PALETTES, images
from mlcv_explore.charts.palette import rgb
from mlcv_explore.seeds import numpy_stream

LIGHT = PALETTES["light"]
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


def test_every_pixel_becomes_a_square_of_its_own_colour() -> None:
    pixels = numpy_stream(0, "image").integers(0, 256, (3, 4, 3)).astype(np.uint8)
    large = images.enlarged(pixels, 5)
    assert large.shape == (15, 20, 3)
    for row in range(15):
        for column in range(20):
            assert tuple(large[row, column]) == tuple(pixels[row // 5, column // 5])
    with pytest.raises(ValueError, match="whole number"):
        images.enlarged(pixels, 0)


def test_a_grid_puts_every_image_in_its_place_and_paper_between() -> None:
    tiles = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3)
    sheet = images.grid(tiles, 3, scale=2, gap=1, paper="#010203")
    assert sheet.shape == (1 + 2 * (4 + 1), 1 + 3 * (6 + 1), 3)
    used = np.zeros(sheet.shape[:2], dtype=bool)
    for index, tile in enumerate(tiles):
        top, left = 1 + index // 3 * 5, 1 + index % 3 * 7
        np.testing.assert_array_equal(sheet[top : top + 4 : 2, left : left + 6 : 2, 0], tile)
        used[top : top + 4, left : left + 6] = True
    assert (sheet[~used] == (1, 2, 3)).all()


def test_floats_are_shown_in_the_range_that_was_stated() -> None:
    values = np.array([[[-5.0, 0.0, 8.0, 16.0, 99.0, np.nan]]])
    row = images.grid(values, 1, gap=0, low=0.0, high=16.0)[0, :, 0]
    np.testing.assert_array_equal(row, [0, 0, 128, 255, 255, 0])


def test_no_images_make_an_empty_image_and_no_error() -> None:
    assert images.grid(np.empty((0, 8, 8)), 4).shape[2] == 3
    with pytest.raises(ValueError, match="shape"):
        images.grid(np.ones((2, 3, 3, 4)), 2)
    with pytest.raises(ValueError, match="column"):
        images.grid(np.ones((2, 3, 3)), 0)


def test_an_image_survives_as_png() -> None:
    pixels = numpy_stream(0, "png").integers(0, 256, (20, 30, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(images.png(pixels)))), pixels)
    digits = images.grid(np.tile(np.eye(8), (16, 1, 1)), 8, scale=6)
    assert len(images.png(digits)) < 4_000


@SCHEMES
def test_a_signed_map_shows_zero_as_paper_and_its_ends_alike_far(scheme: str) -> None:
    palette = PALETTES[scheme]
    pixels = images.signed(np.array([[-2.0, 0.0], [np.nan, 1.0]]), palette)
    assert tuple(pixels[0, 1]) == tuple(pixels[1, 0]) == rgb(palette.background)
    assert tuple(pixels[0, 0]) == rgb(palette.signed[0])
    assert tuple(pixels[1, 1]) != rgb(palette.signed[9]), "the limit is the same on both sides"
    assert tuple(images.signed(np.array([[1.0]]), palette, limit=0.5)[0, 0]) == rgb(palette.signed[9])
    assert (images.signed(np.zeros((2, 2)), palette) == rgb(palette.background)).all()


@SCHEMES
def test_amounts_run_from_the_first_step_to_the_last(scheme: str) -> None:
    palette = PALETTES[scheme]
    pixels = images.amounts(np.array([[0.0, 3.0, 9.0, np.nan]]), palette, 0.0, 3.0)
    assert [tuple(pixel) for pixel in pixels[0]] == [
        rgb(palette.amounts[0]),
        rgb(palette.amounts[9]),
        rgb(palette.amounts[9]),
        rgb(palette.background),
    ]
    with pytest.raises(ValueError, match="rise"):
        images.amounts(np.zeros((1, 1)), palette, 1.0, 1.0)


def test_target_bars_reach_as_far_as_their_values() -> None:
    target = np.array([[1.0, -0.5, 0.0, 3.0]])
    pixels = images.target_bars(target, np.array([1]), LIGHT, columns=1, limit=2.0, bar=5, height=20)
    panel = pixels[10:, 10:]  # the gap around it
    above, below, text = (rgb(colour) for colour in (LIGHT.signed[7], LIGHT.signed[2], LIGHT.text))

    def column(index: int) -> list[tuple[int, ...]]:
        return [tuple(pixel) for pixel in panel[:41, 1 + index * 6 + 2]]

    assert column(0).count(above) == 10 and column(0)[10] == above and column(0)[9] != above
    assert column(1).count(below) == 5 and column(1)[25] == below and column(1)[26] != below
    assert above not in column(2) and below not in column(2)
    assert column(3)[0] == text and column(3).count(above) == 19  # cut at the limit, and marked
    assert all(column(index)[20] == rgb(LIGHT.muted) for index in range(4)), "the zero line"
    mark = np.argwhere((panel[41:] == text).all(axis=-1))
    assert mark.size and (abs(mark[:, 1] - (1 + 6 + 2)) <= 2).all(), "the true class is the second"


def test_one_panel_a_target() -> None:
    with pytest.raises(ValueError):
        images.target_bars(np.zeros((3, 4)), np.zeros(2, dtype=int), LIGHT)


def test_a_map_lies_over_a_grey_photograph_as_strong_as_it_is() -> None:
    photograph = np.full((2, 2, 3), 100, np.uint8)
    photograph[0, 0] = (255, 0, 0)
    painted = np.full((2, 2, 3), (0, 200, 0), np.uint8)
    strength = np.array([[0.0, 0.25], [1.0, 7.0]])
    over = images.overlaid(photograph, painted, strength, 0.5)  # shares 0, ½·√¼, ½, ½
    assert over[0, 0].tolist() == [76, 76, 76] and over[0, 1].tolist() == [75, 125, 75]
    assert over[1, 0].tolist() == over[1, 1].tolist() == [50, 150, 50]
    assert np.array_equal(images.overlaid(photograph, painted, strength, 1.0), painted)
    assert images.overlaid(photograph, painted, strength, 0.0).tolist() == [
        [[76] * 3, [100] * 3],
        [[100] * 3, [100] * 3],
    ]


def test_only_uncertain_pixels_are_hatched() -> None:
    pixels = np.full((12, 12, 3), 50, np.uint8)
    unsure = np.zeros((12, 12), bool)
    unsure[:6] = True
    drawn = images.hatched(pixels, unsure, PALETTES["light"], spacing=3)
    changed = (drawn != pixels).any(-1)
    assert changed[:6].mean() == pytest.approx(1 / 3) and not changed[6:].any() and (pixels == 50).all()
    with pytest.raises(ValueError, match="must be"):
        images.hatched(pixels, unsure[:3], PALETTES["light"])


def test_boxes_are_drawn_as_outlines_in_their_roles_colours() -> None:
    image, both = np.full((20, 20, 3), 7, np.uint8), {"other": (0, 0, 20, 20), "idea": (5, 6, 15, 18)}
    drawn = images.boxed(image, both, LIGHT, width=1)
    outline = np.zeros((20, 20), bool)
    outline[[0, 19]] = outline[:, [0, 19]] = True
    outline[[5, 14], 6:18] = outline[5:15, [6, 17]] = True
    assert np.array_equal((drawn != 7).any(-1), outline) and not (image != 7).any()
    assert drawn[5, 6].tolist() == [0x2E, 0x84, 0xCC] and drawn[0, 0].tolist() == [0xD6, 0x76, 0x32]
    outside = images.boxed(image, {"idea": (-5, -5, 3, 40)}, LIGHT, width=1)
    assert (outside != 7).any(-1).sum() == 20 + 20 + 2
