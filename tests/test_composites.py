"""Composites: pasted exactly where the mask is, drawn anew by named streams, and one
sentence for what is not there or cannot be read.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlcv_explore.data import composites
from mlcv_explore.data.dataset import DataError

RED, GREEN, GREY = (200, 0, 0), (0, 200, 0), (90, 100, 110)


def cut_out(height: int, width: int) -> np.ndarray:
    """A red object within a transparent green margin."""
    pixels = np.zeros((height + 6, width + 10, 4), np.uint8)
    pixels[:, :, :3] = GREEN
    pixels[3:-3, 5:-5] = (*RED, 255)
    return pixels


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MLCV_DATA with a wide object that is recognised, another, and two backgrounds."""
    (tmp_path / "cutouts").mkdir()
    (tmp_path / "backgrounds").mkdir()
    Image.fromarray(cut_out(20, 40)).save(tmp_path / "cutouts/animals__sea__red_fish.webp", lossless=True)
    Image.fromarray(cut_out(30, 30)).save(tmp_path / "cutouts/plain.png")
    listed = "file,imagenet_class,votes_of_6\nplain.png,,1\nanimals__sea__red_fish.webp,goldfish,6\n"
    (tmp_path / "cutouts/cutouts.csv").write_text(listed)
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "backgrounds/a.png")
    Image.new("RGB", (80, 64), GREY).save(tmp_path / "backgrounds/b.png")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    return tmp_path


def fish() -> composites.Cutout:
    (cutout,) = composites.recognised()
    return cutout


def test_the_list_names_the_objects_and_their_classes_in_the_order_of_files() -> None:
    assert composites.present() and fish().imagenet_class == "goldfish" and fish().name == "red fish"
    assert [cutout.path.name for cutout in composites.cutouts()] == [fish().path.name, "plain.png"]
    assert fish().pixels().shape == (20, 40, 4) and (fish().pixels() == (*RED, 255)).all()


def test_only_the_pixels_of_the_mask_differ_from_the_background_and_they_are_the_objects() -> None:
    drawn = composites.generate(fish(), 40, 3, side=64)
    assert drawn.images.shape == drawn.backgrounds.shape == (40, 3, 64, 64) and len(drawn) == 40
    inside = drawn.masks.astype(bool)
    pixels, plates = drawn.images.transpose(0, 2, 3, 1), drawn.backgrounds.transpose(0, 2, 3, 1)
    # alpha is 0 or 255 here but for the interpolated rim of enlarged objects
    assert np.array_equal(pixels[~inside], plates[~inside])
    assert (np.abs(pixels[inside].astype(int) - RED) <= 1).all()  # no green from the transparent margin
    for mask in inside:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
        assert mask.sum() == width * height  # whole
        assert round(0.35 * 64) <= width <= round(0.65 * 64) and abs(height - width / 2) <= 1


def test_places_and_backgrounds_vary_and_a_longer_series_begins_with_the_shorter() -> None:
    drawn, few = (composites.generate(fish(), count, 0, side=64) for count in (60, 7))
    assert np.array_equal(drawn.images[:7], few.images) and np.array_equal(drawn.masks[:7], few.masks)
    centres = np.array([np.argwhere(mask).mean(0) for mask in drawn.masks])
    assert (centres.min(0) < 20).all() and (centres.max(0) > 44).all()
    assert 15 < sum((plate == plate[:, :1, :1]).all() for plate in drawn.backgrounds) < 45  # of the grey one
    for other in (
        composites.generate(fish(), 7, 1, side=64),
        composites.generate(fish(), 7, 0, "b", side=64),
    ):
        assert not np.array_equal(other.masks, few.masks)
        assert not np.array_equal(other.backgrounds, few.backgrounds)


def test_pasting_is_the_mean_by_alpha_at_the_place_given() -> None:
    image = np.full((6, 8, 3), 100, np.uint8)
    pasted = np.full((2, 2, 4), 200, np.uint8)
    pasted[0, 0, 3], pasted[0, 1, 3], pasted[1, :, 3] = 0, 51, 255  # 0, 0.2 and 1
    whole, mask = composites.paste(image, pasted, 2, 0.99, 0.0)
    assert whole[4:, :2, 0].tolist() == [[100, 120], [200, 200]] and (whole[:4] == 100).all()
    assert mask.nonzero()[0].tolist() == [5, 5] and mask.nonzero()[1].tolist() == [0, 1]
    assert (image == 100).all()
    with pytest.raises(ValueError, match="9 × 9 pixels do not fit into 8 × 6"):
        composites.paste(image, pasted, 9, 0, 0)


def test_without_the_folders_one_sentence_states_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLCV_DATA", str(tmp_path / "nowhere"))
    assert not composites.present()
    with pytest.raises(DataError, match=r"set MLCV_DATA to a folder that holds cutouts/cutouts\.csv, .*\.$"):
        composites.recognised()
    monkeypatch.setenv("MLCV_PUBLIC", "1")
    with pytest.raises(DataError, match="not on this server") as error:
        composites.cutouts()
    assert "MLCV_DATA" not in str(error.value)


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        ("name,class\na.png,cat\n", "must be a CSV file with the columns file and imagenet_class"),
        ("file,imagenet_class\n../../secret.png,cat\n", "must name files of its own folder, got '../../s"),
        ("file,imagenet_class\nnone.png,cat\n", "cutouts/none.png cannot be read as a PNG or WebP image"),
        ("file,imagenet_class\nbroken.webp,cat\n", "cutouts/broken.webp cannot be read as a PNG or WebP"),
        ("file,imagenet_class\nempty.png,cat\n", "cutouts/empty.png is transparent: replace it"),
    ],
)
def test_what_cannot_be_used_is_named(folder: Path, listed: str, sentence: str) -> None:
    (folder / "cutouts/cutouts.csv").write_text(listed)
    (folder / "cutouts/broken.webp").write_bytes(b"RIFF\x10\0\0\0WEBPVP8L")
    Image.new("RGBA", (4, 4)).save(folder / "cutouts/empty.png")
    with pytest.raises(DataError) as error:
        composites.generate(composites.recognised()[0], 1, 0)
    assert sentence in str(error.value) and "\n" not in str(error.value)
