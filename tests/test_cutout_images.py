"""Cut-outs on grey: centred, whole, and no variant of a held-out object in training."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlcv_explore.config import SettingError
from mlcv_explore.data import cutout_images
from mlcv_explore.data.dataset import DataError

NAMES = ("a__frog-1", "a__frog", "a__frog_2", "b__fox", "b__owl", "c__cup", "c__hat", "c__saw")
COLOURS = {name: (10.0 * number, 200.0, 50.0) for number, name in enumerate(NAMES)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MLCV_DATA with eight objects, three of which are variants of one."""
    (tmp_path / "cutouts").mkdir()
    (tmp_path / "backgrounds").mkdir()
    for name, colour in COLOURS.items():
        pixels = np.zeros((20, 30, 4), np.uint8)
        pixels[4:14, 2:22] = (*colour, 255)
        Image.fromarray(pixels).save(tmp_path / f"cutouts/{name}.webp", lossless=True)
    rows = "".join(f"{name}.webp,\n" for name in NAMES)
    (tmp_path / "cutouts/cutouts.csv").write_text(f"file,imagenet_class\n{rows}")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    return tmp_path


def test_an_object_is_whole_in_the_middle_of_grey() -> None:
    images, names = cutout_images.load(40)
    assert images.images.shape == (8, 3, 40, 40) and images.categories.labels == ("a", "b", "c")
    assert names[1] == "frog" and images.labels.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    for number, (image, inside) in enumerate(zip(images.images, images.objects, strict=True)):
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        assert (rows[0], rows[-1], columns[0], columns[-1]) == (11, 28, 2, 37)  # 18 × 36, of 40
        assert (image[:, ~inside] == cutout_images.GREY).all()
        assert np.abs(image[:, 15:25, 10:30] - np.array(COLOURS[NAMES[number]])[:, None, None]).max() <= 1


def test_parts_share_no_object_and_no_variant_of_one() -> None:
    shares = set()
    for seed in range(12):
        parts = cutout_images.split_indices((2, 1, 2), seed)
        groups = [{NAMES[index].partition("__")[2][:3] for index in part} for part in parts]
        assert [len(part) for part in parts] == [2, 1, 2] and len(set(np.concatenate(parts))) == 5
        assert not groups[0] & groups[1] and not groups[1] & groups[2] and not groups[0] & groups[2]
        shares.add(tuple(parts[2]))
        images = cutout_images.split((2, 1, 2), 20, seed)
        own = cutout_images.load(20)[0]
        assert all(np.array_equal(a.images, own.images[part]) for a, part in zip(images, parts, strict=True))
    assert len(shares) > 6


def test_too_few_objects_and_a_missing_folder_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="Of 8 cut-outs"):
        cutout_images.split((7, 2, 2), 20, 0)
    monkeypatch.delenv("MLCV_DATA")
    with pytest.raises(DataError, match="set MLCV_DATA"):
        cutout_images.load(20)
