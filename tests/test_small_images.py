"""Small images of any source have an image in [0, 1] and the mask of their object."""

import numpy as np
import pytest

from mlcv_explore.data import small_images
from mlcv_explore.data.dataset import Images


@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 8)])
def test_photographs_of_any_shape_fit_and_their_object_differs_from_the_border(channels: int, side: int):
    pixels = np.full((90, 40, 3), 200, np.uint8)
    pixels[30:60, 10:30] = (30, 60, 90)
    chosen = small_images.from_photograph(pixels, channels, side)
    assert chosen.image.shape == (channels, side, side) and chosen.label is None
    assert chosen.image.min() >= 0 and chosen.image.max() <= 1 and chosen.image.dtype == np.float32
    assert chosen.mask[side // 2, side // 2] == 1 and not chosen.mask[:, 0].any()
    if channels == 3:
        assert not chosen.mask[0].any()
        assert chosen.notes == ("the whole image resized to 32 × 32 pixels, which changes its shape",)
    else:  # ink is bright, cropped, as large as fits; none gives an empty digit
        assert chosen.image[0, :, 4].min() > 0.5
        assert chosen.notes[0] == "cropped to its ink" and chosen.notes[-1] == "reduced to 8 × 8 pixels"
        empty = small_images.from_photograph(np.full((8, 8, 3), 7, np.uint8), 1, 8)
        assert not empty.image.any() and empty.notes == ("it has one colour, so no ink",)


def test_an_image_of_a_set_keeps_mask_and_label():
    images = Images(
        np.arange(32, dtype=np.uint8).reshape(2, 1, 4, 4),
        np.array([1, 0]),
        ("a", "b"),
        np.eye(4, dtype=np.uint8)[None].repeat(2, 0),
    )
    chosen = small_images.from_images(images, 1)
    np.testing.assert_allclose(chosen.image * 255, images.images[1], rtol=1e-6)
    assert chosen.label == 0 and chosen.mask.tolist() == np.eye(4).tolist()
