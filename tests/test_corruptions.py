"""Corruptions: more severe is farther from the image, and each does what it is called."""

from itertools import pairwise

import numpy as np
import pytest
from skimage import data as photographs
from skimage.transform import resize

from mlcv_explore.data import corruptions


@pytest.fixture(scope="module", params=[(3, 32), (1, 8), (3, 64)], ids=["colour", "digits", "larger"])
def images(request: pytest.FixtureRequest) -> np.ndarray:
    channels, side = request.param
    cat = resize(photographs.chelsea(), (side, side), anti_aliasing=True)
    cup = resize(photographs.coffee(), (side, side), anti_aliasing=True)
    stack = np.rint(255 * np.stack([cat, cup])).astype(np.uint8).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(stack[:, :channels])


@pytest.mark.parametrize("kind", corruptions.KINDS)
def test_every_kind_keeps_shape_and_type_and_grows_with_severity(images: np.ndarray, kind: str) -> None:
    made = [corruptions.corrupted(images, kind, severity, 3) for severity in range(6)]
    assert all(each.shape == images.shape and each.dtype == np.uint8 for each in made)
    assert np.array_equal(made[0], images)
    away = [np.abs(each.astype(float) - images).mean() for each in made]
    assert away[5] > away[1] >= 0 and away[5] > 1
    assert all(later >= 0.9 * earlier for earlier, later in pairwise(away))
    assert np.array_equal(corruptions.corrupted(images, kind, 5, 3), made[5])
    if kind in ("noise", "fog"):
        assert not np.array_equal(corruptions.corrupted(images, kind, 5, 4), made[5])


def test_noise_has_its_standard_deviation_and_one_stream_for_all_severities() -> None:
    grey = np.full((4, 3, 32, 32), 128, np.uint8)
    first, last = (corruptions.corrupted(grey, "noise", severity) / 255 - 128 / 255 for severity in (1, 5))
    assert (first.std(), last.std()) == pytest.approx((0.04, 0.1), rel=0.05)
    assert np.corrcoef(first.ravel(), last.ravel())[0, 1] > 0.99


def test_contrast_keeps_the_mean_and_scales_the_rest(images: np.ndarray) -> None:
    made = corruptions.corrupted(images, "contrast", 5).astype(float)
    assert made.mean((2, 3)) == pytest.approx(images.mean((2, 3)), abs=0.5)
    assert made.std() < images.std()
    apart = images - images.mean((2, 3), keepdims=True)
    assert made - made.mean((2, 3), keepdims=True) == pytest.approx(0.15 * apart, abs=1.1)


def test_blur_keeps_a_flat_image_and_widens_with_the_side() -> None:
    flat = np.full((1, 3, 16, 16), 77, np.uint8)
    assert np.array_equal(corruptions.corrupted(flat, "blur", 5), flat)
    widths = []
    for side in (32, 64):
        point = np.zeros((1, 1, side, side), np.uint8)
        point[0, 0, side // 2, side // 2] = 255
        row = corruptions.corrupted(point, "blur", 5)[0, 0, side // 2].astype(float)
        places = np.arange(side) - side // 2
        widths.append((row @ places**2 / row.sum()) ** 0.5)
    assert widths == pytest.approx([1, 2], rel=0.15)  # faint tails are rounded away


def test_pixelating_repeats_pixels_and_rotation_turns_either_way() -> None:
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (1, 3, 32, 1))
    made = corruptions.corrupted(ramp, "pixelate", 5)[0, 0, 0]
    assert len(np.unique(made)) == 20  # of 32 columns 65 % are left
    turned = corruptions.corrupted(np.repeat(ramp, 40, axis=0), "rotation", 5, 1)
    assert len({image.tobytes() for image in turned}) == 2


def test_fog_brightens_the_dark_and_hides_differences() -> None:
    image = np.zeros((1, 3, 32, 32), np.uint8)
    image[..., 16:] = 200
    foggy = corruptions.corrupted(image, "fog", 5).astype(float)
    assert foggy[..., :16].mean() > 30 and foggy.max() <= 200
    assert foggy[..., 16:].mean() - foggy[..., :16].mean() < 150


def test_other_kinds_and_severities_are_refused_in_a_sentence() -> None:
    image = np.zeros((1, 3, 8, 8), np.uint8)
    with pytest.raises(ValueError, match=r"corruption must be one of noise, blur, .* got 'snow'"):
        corruptions.corrupted(image, "snow", 1)
    with pytest.raises(ValueError, match="severity must be between 0 and 5, got 6"):
        corruptions.corrupted(image, "noise", 6)
    assert len(corruptions.corrupted(image[:0], "jpeg", 3)) == 0
