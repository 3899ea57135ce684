"""Few labels: even over classes, nested, another draw a seed; sets too small are
refused in a sentence.
"""

import numpy as np
import pytest
from PIL import Image

from mlcv_explore.config import SettingError
from mlcv_explore.data import DataError, few_labels

SIZES = (600, 297, 900)


def test_labelled_images_are_even_over_classes_and_fewer_are_a_subset():
    few, many = (few_labels.load("digits", SIZES, count, [3]) for count in (5, 9))
    assert set(few.labelled[0]) < set(many.labelled[0])
    assert np.bincount(few.labels[0]).tolist() == [5] * 10 and few.classes == 10
    assert not np.array_equal(few.labelled[0], few_labels.load("digits", SIZES, 5, [4]).labelled[0])
    assert few.all_labelled().labels.shape == (1, 600)
    assert {name: len(images) for name, images in few.images.items()} == dict(
        zip(("train", "validation", "test"), SIZES, strict=True)
    )


@pytest.mark.parametrize(("folders", "count"), [(("train/cat",), 3), (("train/cat", "test/cat"), 1)])
def test_a_folder_with_one_class_or_one_image_is_refused_in_a_sentence(tmp_path, monkeypatch, folders, count):
    for folder in folders:
        place = tmp_path / "cifar10" / folder
        place.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((32, 32, 3), 40 * number, np.uint8)).save(place / f"{number}.png")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    with pytest.raises((DataError, SettingError)) as refusal:
        few_labels.load("cifar10", (5000, 1000, 5000), 10, (0,))
    assert "cifar10" in str(refusal.value) and "\n" not in str(refusal.value)


def test_more_labels_than_the_smallest_class_has_are_refused():
    with pytest.raises(SettingError, match=r"at most \d+ on digits .*, got 60"):
        few_labels.load("digits", SIZES, 60, [0])
