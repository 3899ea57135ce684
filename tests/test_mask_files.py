"""Masks from image files: palettes, black and white, and what is no mask."""

import io

import numpy as np
import pytest
from PIL import Image

from mlcv_explore.data.gallery import photographs
from mlcv_explore.data.mask_files import Mask, read_mask
from mlcv_explore.data.masked_images import SCENE_COLOURS, SCENE_REGIONS, generate
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.data.uploads import BadImage

CIRCLE, CROSS = SCENE_REGIONS.index("circle"), SCENE_REGIONS.index("cross")
PALETTE = {"regions": SCENE_REGIONS, "palette": SCENE_COLOURS, "side": 32}


def file(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def parsed(pixels: np.ndarray, kind: str = "PNG", white: str = "circle", **options: object) -> Mask:
    return read_mask(file(pixels, kind, **options), "mask.png", white, **PALETTE)


def test_a_mask_in_the_palettes_colours_comes_back_whatever_its_size() -> None:
    regions = generate(ScenesConfig(), 1, 0, "of a test").regions[0]
    colours = SCENE_COLOURS[regions]
    sizes = ((1, 1), (5, 5), (1, 3))
    exact, large, wide = (parsed(colours.repeat(down, 0).repeat(across, 1)) for down, across in sizes)
    assert all(np.array_equal(mask.regions, regions) for mask in (exact, large, wide))
    assert exact.notes == () and "160 × 160" in large.notes[0] and "each axis by itself" in wide.notes[0]
    jpeg = parsed(colours.repeat(8, 0).repeat(8, 1), "JPEG", quality=60)
    assert (jpeg.regions == regions).mean() > 0.97
    near = colours.copy()
    near[:4] = [60, 140, 210]  # nearly the circle's
    mask = parsed(near)
    assert (mask.regions[:4] == CIRCLE).all()
    assert "%" in mask.notes[0] and "nearest colour" in mask.notes[0]


def test_black_and_white_and_grey_levels() -> None:
    white = np.zeros((32, 32), np.uint8)
    white[8:20, 8:20] = 255
    mask = parsed(white, white="cross")
    assert (mask.regions[8:20, 8:20] == CROSS).all() and mask.regions.sum() == 144 * CROSS
    assert "white is the object, a cross" in mask.notes[0] and len(mask.notes) == 1
    soft = parsed(np.asarray(Image.fromarray(white).resize((90, 90), Image.Resampling.BILINEAR)))
    assert set(np.unique(soft.regions)) == {0, CIRCLE} and "above middle grey" in soft.notes[-1]
    for shade in (0, 255):
        assert set(np.unique(parsed(np.full((10, 10), shade, np.uint8)).regions)) == {CIRCLE * (shade > 0)}


def test_a_photograph_is_no_mask() -> None:
    photograph = next(iter(photographs().values())).path.read_bytes()
    grey = file(np.asarray(Image.open(io.BytesIO(photograph)).convert("L")))
    for content in (photograph, grey):
        with pytest.raises(BadImage, match="is a photograph, not a mask"):
            read_mask(content, "cat.jpg", "circle", **PALETTE)
    with pytest.raises(BadImage, match="only JPEG, PNG, WebP and GIF"):
        read_mask(b"<svg onload='alert(1)'/>", "../<b>x</b>.svg", "circle", **PALETTE)
