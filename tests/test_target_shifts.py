"""Source and target: no image in both, classes moved, labels permuted, images corrupted."""

import numpy as np
import pytest

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data import corruptions, target_shifts
from mlcv_explore.data.target_shifts import SHIFTS, transfer

DIGITS, SIZES = data.load("digits"), (60, 40, 50)


def rows(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


@pytest.mark.parametrize("shift", SHIFTS)
def test_parts_have_their_sizes_and_share_no_image(shift: str) -> None:
    found = transfer(DIGITS, shift, 100, SIZES, 3, severity=0)
    parts = (found.source, found.train, found.validation, found.test)
    assert [len(part) for part in parts] == [100, *SIZES]
    together = [rows(part.images) for part in parts]
    assert len(set.union(*together)) == sum(map(len, together))
    other = transfer(DIGITS, shift, 100, SIZES, 4, severity=0)
    assert rows(other.test.images) != rows(found.test.images)


def test_the_source_is_clean_and_each_target_part_has_draws_of_its_own() -> None:
    clean, found = (transfer(DIGITS, "corruption", 100, (50, 50, 50), 3, "noise", level) for level in (0, 5))
    assert np.array_equal(found.source.images, clean.source.images)
    noises = []
    for place, name in enumerate(("train", "validation", "test")):
        before, after = getattr(clean, name), getattr(found, name)
        assert np.array_equal(before.labels, after.labels)
        assert np.array_equal(after.images, corruptions.corrupted(before.images, "noise", 5, 9 + place))
        noises.append(after.images.astype(int) - before.images)
    assert not np.array_equal(noises[0], noises[1]) and not np.array_equal(noises[1], noises[2])


def test_new_classes_are_the_other_half_numbered_anew() -> None:
    found = transfer(DIGITS, "new_classes", 300, SIZES, 3)
    old, new = set(found.source.classes), set(found.test.classes)
    assert len(old) == len(new) == 5 and old | new == set(DIGITS.train.classes)
    truth = {
        image.tobytes(): DIGITS.train.classes[k]
        for image, k in zip(DIGITS.train.images, DIGITS.train.labels, strict=True)
    }
    for part in (found.source, found.train, found.test):
        named = [part.classes[label] for label in part.labels]
        assert named == [truth[image.tobytes()] for image in part.images]
    assert set(transfer(DIGITS, "new_classes", 300, SIZES, 4).test.classes) != new


def test_permuted_labels_leave_no_class_and_no_image_changed() -> None:
    clean, found = (transfer(DIGITS, shift, 100, SIZES, 3, severity=0) for shift in ("corruption", SHIFTS[2]))
    assert sorted(found.permutation) == list(range(10)) and (found.permutation != np.arange(10)).all()
    for name in ("train", "validation", "test"):
        before, after = getattr(clean, name), getattr(found, name)
        assert np.array_equal(after.labels, found.permutation[before.labels])
        assert np.array_equal(after.images, before.images)
    assert np.array_equal(found.source.labels, clean.source.labels)


@pytest.mark.parametrize(
    ("shift", "source", "sizes", "rule"),
    [
        (
            "corruption",
            1000,
            (400, 100, 300),
            "source_size, target_size and test_size together must be at most 1,697 on digits, got 1,700",
        ),
        ("new_classes", 1000, (200, 100, 300), "source_size must be at most 862 on digits, half of whose"),
        (
            "new_classes",
            700,
            (600, 100, 300),
            "target_size and test_size together must be at most 762 on digits, half of whose",
        ),
    ],
)
def test_too_few_images_are_one_sentence(shift: str, source: int, sizes: tuple, rule: str) -> None:
    with pytest.raises(SettingError, match=rule):
        target_shifts.check_sizes("digits", shift, source, sizes)


def test_the_largest_sizes_that_are_allowed_can_be_drawn() -> None:
    for seed in range(5):
        target_shifts.check_sizes("digits", "new_classes", 862, (462, 100, 300))
        transfer(DIGITS, "new_classes", 862, (462, 100, 300), seed)
    target_shifts.check_sizes("digits", "corruption", 997, (400, 100, 300))
    transfer(DIGITS, "corruption", 997, (400, 100, 300), 0)
    with pytest.raises(SettingError, match="target_size must be at most 23,900 on cifar10, half"):
        target_shifts.check_sizes("cifar10", "new_classes", 100, (24_000, 100, 500))
    with pytest.raises(SettingError, match="test_size must be at most 4,800 on cifar10"):
        target_shifts.check_sizes("cifar10", "new_classes", 100, (100, 100, 5000))
