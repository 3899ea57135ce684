"""Data sets: what is read is what lies there, splits share nothing, and every fault
gets one sentence.
"""

import gzip
import http.server
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import md5
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data import downloads, published_formats
from mlcv_explore.data.catalogue import class_key
from mlcv_explore.data.coarse import GROUPS, coarse
from mlcv_explore.data.dataset import content_fingerprint
from mlcv_explore.data.splits import proportional_counts, stratified_parts


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MLCV_DATA beside an empty MLCV_HOME."""
    monkeypatch.setenv("MLCV_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLCV_DATA", str(tmp_path / "sets"))
    monkeypatch.delenv("MLCV_PUBLIC", raising=False)
    (tmp_path / "sets").mkdir()
    return tmp_path / "sets"


def paint(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def colours(seed: int, height: int = 5, width: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pets(root: Path, parts: tuple[str, ...] = ("train", "test")) -> Path:
    """A set `pets` of two classes with three PNG a class and part; the image's seed is
    100 part + 10 class + number.
    """
    for p, part in enumerate(parts):
        for k, kind in enumerate(("cat", "dog")):
            for number in range(3):
                paint(root / "pets" / part / kind / f"{number}.png", colours(100 * p + 10 * k + number))
    return root / "pets"


def sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 320, text
    return text


# What is read


def test_importing_the_package_is_light() -> None:
    heavy = "torch", "torchvision", "sklearn", "scipy", "PIL", "streamlit"
    code = (
        "import sys, mlcv_explore.data as d; d.available(); d.largest_train_size('cifar10'); print([m for m"
        f" in {heavy!r} if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_digits_are_those_of_scikit_learn_scaled_to_a_byte() -> None:
    from sklearn.datasets import load_digits

    digits, bundled = data.load("digits"), load_digits()
    assert (
        digits.test is None
        and digits.train.images.shape == (1797, 1, 8, 8)
        and digits.train.images.dtype == np.uint8
    )
    assert (
        np.array_equal(np.rint(digits.train.images[:, 0] * (16 / 255)), bundled.images)
        and digits.train.images.max() == 255
    )
    assert np.array_equal(digits.train.labels, bundled.target) and digits.train.labels.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        digits.train.images[0] = 0


def test_as_float_is_a_fraction_of_full_brightness() -> None:
    tensor = data.load("digits").train.take(np.array([0, 5])).as_float()
    assert tensor.shape == (2, 1, 8, 8) and float(tensor.min()) == 0 and float(tensor.max()) == 1
    assert float(
        data.Images(np.full((1, 1, 1, 1), 51, np.uint8), np.zeros(1, np.int64), ("a",)).as_float()
    ) == pytest.approx(0.2)


def test_a_folder_is_read_pixel_for_pixel(root: Path) -> None:
    pets(root)
    dataset = data.load("pets")
    assert dataset.train.classes == ("cat", "dog") and dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    for images, p in ((dataset.train, 0), (dataset.test, 1)):
        for place, seed in enumerate((0, 1, 2, 10, 11, 12)):
            assert np.array_equal(images.images[place].transpose(1, 2, 0), colours(100 * p + seed))


@pytest.mark.parametrize("parts", [("train",), ("",)])
def test_a_folder_without_a_test_part(root: Path, parts: tuple[str, ...]) -> None:
    pets(root, parts)
    dataset = data.load("pets")
    assert dataset.test is None and len(dataset.train) == 6
    entry = data.entry("pets")
    assert (entry.classes, entry.shape, entry.train_size, entry.test_size) == (
        ("cat", "dog"),
        (3, 5, 4),
        6,
        0,
    )
    assert data.largest_train_size("pets", 2, 1) == 3
    assert len(data.split(dataset, 3, 2, 1, seed=0).train) == 3


def test_train_can_be_a_class(root: Path) -> None:
    for k, kind in enumerate(("bus", "train")):
        paint(root / "vehicles" / kind / "a.png", colours(k))
    assert data.load("vehicles").train.classes == ("bus", "train")


def test_grey_colour_alpha_and_orientation(root: Path) -> None:
    grey = colours(1)[:, :, 0]
    paint(root / "grey/a/1.PNG", grey)
    paint(root / "grey/b/1.jpeg", grey)
    assert data.load("grey").train.images.shape == (2, 1, 5, 4)
    paint(root / "mixed/a/1.png", grey)
    paint(root / "mixed/b/1.png", np.dstack([colours(2), grey]))
    mixed = data.load("mixed").train.images
    assert (
        mixed.shape == (2, 3, 5, 4)
        and np.array_equal(mixed[0], np.stack([grey] * 3))
        and np.array_equal(mixed[1].transpose(1, 2, 0), colours(2))
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    paint(root / "turned/a/1.png", colours(3), exif=exif)
    paint(root / "turned/b/1.png", colours(4, height=4, width=5))
    assert np.array_equal(data.load("turned").train.images[0].transpose(1, 2, 0), np.rot90(colours(3), -1))


def test_one_grey_part_gets_the_channels_of_the_other(root: Path) -> None:
    folder = pets(root)
    for path in folder.glob("test/*/*.png"):
        paint(path, colours(9)[:, :, 0])
    dataset = data.load("pets")
    assert (
        dataset.train.images.shape[1] == dataset.test.images.shape[1] == 3
        and len(np.unique(dataset.test.images[0], axis=0)) == 1
    )


# Kept arrays


def cached_file(root: Path, pattern: str) -> Path:
    (path,) = (root.parent / "home" / "cache" / "pets").glob(f"*/{pattern}")
    return path


def test_the_second_reading_opens_the_kept_arrays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pets(root)
    first = data.load("pets")
    cached = cached_file(root, "train_images.npy").stat()
    second = data.load("pets")
    assert isinstance(second.train.images, np.memmap) and second.fingerprint == first.fingerprint
    assert np.array_equal(first.train.images, second.train.images) and np.array_equal(
        first.test.labels, second.test.labels
    )
    assert cached_file(root, "train_images.npy").stat().st_ino == cached.st_ino

    paint(folder / "train/cat/0.png", colours(77))
    os.utime(folder / "train/cat/0.png", ns=(0, 1))
    third = data.load("pets")
    assert third.fingerprint != first.fingerprint and np.array_equal(
        third.train.images[0].transpose(1, 2, 0), colours(77)
    )
    assert cached_file(root, "train_images.npy").exists()  # one cached copy: the earlier one is gone


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("array", ["train_images.npy", "test_labels.npy", "set.json"])
@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(b"[]"),
        Path.unlink,
    ],
    ids=["flipped", "cut", "rubbish", "gone"],
)
def test_a_damaged_kept_copy_is_made_again(root: Path, array: str, damage: Callable[[Path], None]) -> None:
    pets(root)
    first = data.load("pets")
    damage(cached_file(root, array))
    again = data.load("pets")
    assert np.array_equal(again.train.images, first.train.images) and again.fingerprint == first.fingerprint
    assert isinstance(data.load("pets").train.images, np.memmap)


def test_eight_readers_at_once_all_get_the_set(root: Path) -> None:
    pets(root)
    with ThreadPoolExecutor(8) as readers:
        sets = list(readers.map(data.load, ["pets"] * 32))
    expected = np.stack([colours(seed).transpose(2, 0, 1) for seed in (0, 1, 2, 10, 11, 12)])
    assert all(np.array_equal(dataset.train.images, expected) for dataset in sets)
    assert isinstance(data.load("pets").train.images, np.memmap)


def test_what_a_killed_process_left_half_written_is_removed(root: Path) -> None:
    pets(root)
    cache = root.parent / "home/cache/pets"
    for name in (".old.x1", ".new.x2", "earlier"):
        (cache / name).mkdir(parents=True)
        (cache / name / "train_images.npy").write_bytes(b"half")
    os.utime(cache / ".old.x1", (1, 1))
    data.load("pets")
    assert sorted(path.name for path in cache.iterdir() if len(path.name) != 16) == [".new.x2"]


def test_a_set_that_cannot_be_kept_is_read_all_the_same(root: Path) -> None:
    pets(root)
    (root.parent / "home").write_text("a file where the home should be")
    assert len(data.load("pets").train) == 6


def test_the_fingerprint_is_of_the_content_not_of_the_files(root: Path) -> None:
    folder = pets(root)
    first = data.load("pets").fingerprint
    for path in folder.glob("*/*/*.png"):
        os.utime(path, (1, 1))
    assert data.load("pets").fingerprint == first
    digits = data.load("digits").train
    assert content_fingerprint(digits, None) != content_fingerprint(
        replace(digits, labels=np.roll(digits.labels, 1)), None
    )
    assert content_fingerprint(digits, None) != content_fingerprint(
        replace(digits, classes=tuple(reversed(digits.classes))), None
    )
    assert content_fingerprint(digits, None) != content_fingerprint(digits, digits)


# Splits


def numbered(labels: np.ndarray, first: int = 0) -> data.Images:
    """Images whose two pixels spell their number."""
    numbers = np.arange(first, first + len(labels), dtype="<u2").view(np.uint8).reshape(-1, 1, 1, 2)
    return data.Images(numbers, labels.astype(np.int64), tuple("abcdefgh"))


def numbers(images: data.Images) -> list[int]:
    return np.ascontiguousarray(images.images).view("<u2").ravel().tolist()


class_counts = st.lists(st.integers(1, 40), min_size=1, max_size=8)


@given(class_counts, st.lists(st.integers(0, 60), min_size=1, max_size=3), st.integers(0, 2**31))
def test_parts_are_disjoint_exact_and_stratified_within_one(
    counts: list[int], sizes_given: list[int], seed: int
) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    sizes = tuple(min(size, len(labels) // len(sizes_given)) for size in sizes_given)
    parts = stratified_parts(labels, sizes, np.random.default_rng(seed))
    assert tuple(map(len, parts)) == sizes
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together) and (
        not len(together) or (together.min() >= 0 and together.max() < len(labels))
    )
    for part, size in zip(parts, sizes, strict=True):
        counted = np.bincount(labels[part], minlength=len(counts)) if size else np.zeros(len(counts))
        assert np.all(np.abs(counted - size * np.array(counts) / len(labels)) < 1)


@given(class_counts, st.data())
def test_a_split_that_uses_everything_up_is_still_in_proportion(
    counts: list[int], chosen: st.DataObject
) -> None:
    total = sum(counts)
    cut = sorted(chosen.draw(st.lists(st.integers(0, total), min_size=2, max_size=2)))
    sizes = np.diff([0, *cut, total])
    table = proportional_counts(sizes, np.array(counts), np.random.default_rng(0))
    assert np.array_equal(table.sum(axis=1), sizes) and np.array_equal(table.sum(axis=0), counts)
    assert np.all(np.abs(table * total - np.multiply.outer(sizes, counts)) < total)


def test_no_class_is_favoured_when_shares_are_rounded() -> None:
    """Two images of four equal classes: each class is drawn in half of all splits,
    within four binomial standard deviations.
    """
    rounds = 400
    drawn = sum(
        proportional_counts(np.array([2]), np.full(4, 9), np.random.default_rng(seed))[0]
        for seed in range(rounds)
    )
    assert drawn.sum() == 2 * rounds and np.all(np.abs(drawn - rounds / 2) < 4 * np.sqrt(rounds / 4))


@given(st.integers(0, 10**9))
def test_a_split_depends_on_the_seed_alone(seed: int) -> None:
    dataset = data.Dataset("made", numbered(np.arange(400) % 8), None, "")
    first, again, other = (data.split(dataset, 100, 50, 80, s) for s in (seed, seed, seed + 1))
    parts = [numbers(part) for part in (first.train, first.validation, first.test)]
    assert parts == [numbers(part) for part in (again.train, again.validation, again.test)]
    assert numbers(first.test) != numbers(other.test) and sorted(numbers(first.train)) != sorted(
        numbers(other.train)
    )
    assert sorted(map(len, parts)) == [50, 80, 100] and len(set().union(*parts)) == 230
    smaller = data.split(dataset, 40, 50, 80, seed)
    assert numbers(smaller.test) == parts[2] and numbers(smaller.validation) == parts[1]


def test_every_image_keeps_its_label_and_mask() -> None:
    labels = np.random.default_rng(0).integers(0, 8, 300)
    everything = numbered(labels)
    everything = replace(everything, masks=everything.images[:, 0])
    split = data.split(data.Dataset("made", everything, None, ""), 150, 50, 100, 3)
    for part in (split.train, split.validation, split.test):
        assert np.array_equal(labels[numbers(part)], part.labels) and np.array_equal(
            part.masks, part.images[:, 0]
        )


def test_the_official_test_part_is_kept_apart() -> None:
    dataset = data.Dataset("made", numbered(np.arange(200) % 8), numbered(np.arange(80) % 8, first=1000), "")
    split = data.split(dataset, 150, 50, 40, 5)
    assert min(numbers(split.test)) >= 1000 and max(numbers(split.train) + numbers(split.validation)) < 200
    assert not set(numbers(split.train)) & set(numbers(split.validation))
    assert np.bincount(split.test.labels).tolist() == [5] * 8
    assert numbers(data.split(dataset, 200, 0, 40, 5).test) == numbers(split.test)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (
            (1001, 297, 500),
            (
                "train_size must be at most 1,000 on digits (1,797 images, 297 of them for validation and 500"
                " for testing), got 1,001."
            ),
        ),
        ((0, 297, 500), "train_size must be at least 1, got 0."),
        ((10, -1, 500), "validation_size must be at least 0, got -1."),
        ((10, 1297, 500), "validation_size must be at most 1,296 on digits (1,797 images), got 1,297."),
        ((10, 10, 1797), "test_size must be at most 1,796 on digits (1,797 images), got 1,797."),
    ],
)
def test_a_size_that_does_not_fit_is_refused_in_one_sentence(
    sizes: tuple[int, int, int], expected: str
) -> None:
    for attempt in (
        lambda: data.split(data.load("digits"), *sizes, 0),
        lambda: data.check_split("digits", *sizes),
    ):
        with pytest.raises(SettingError) as error:
            attempt()
        assert sentence(error) == expected


def test_sizes_on_a_set_with_an_official_test_part() -> None:
    assert (
        data.largest_train_size("digits", 297, 500) == 1000
        and data.largest_train_size("cifar10", 5000, 10_000) == 45_000
    )
    data.check_split("cifar10", 45_000, 5_000, 10_000)
    with pytest.raises(
        SettingError,
        match=r"test_size must be at most 10,000 on cifar10 \(its official test part\), got 10,001.",
    ):
        data.check_split("cifar10", 1, 0, 10_001)
    with pytest.raises(
        SettingError,
        match=r"train_size must be at most 45,000 on cifar10 \(50,000 images, 5,000 of them for validation\)",
    ):
        data.check_split("cifar10", 45_001, 5_000, 10_000)


def test_numbers_are_explained_where_they_are_not_the_names_of_few_classes() -> None:
    assert class_key("digits") == class_key("cifar100") == class_key("an own folder") == ""
    assert class_key("cifar10_features").startswith(", 0 airplane, 1 automobile, 2 bird")


# Coarse classes


@pytest.mark.parametrize("name", GROUPS)
def test_every_class_is_in_exactly_one_group(name: str) -> None:
    members = [member for group in GROUPS[name].values() for member in group.split()]
    classes = [fine.replace(" ", "_") for fine in data.CATALOGUE[name].classes]
    assert sorted(members) == sorted(classes)
    groups, places = coarse(name)
    assert len(places) == len(classes) and set(places) == set(range(len(groups)))
    for fine, place in zip(classes, places, strict=True):
        assert fine in GROUPS[name][groups[place]].split()


def test_the_groups_of_cifar100_are_its_own_coarse_labels() -> None:
    """Five classes a group; the published archive gives every fine label this coarse
    one, both in alphabetical order.
    """
    published = """4 1 14 8 0 6 7 7 18 3 3 14 9 18 7 11 3 9 7 11 6 11 5 10 7 6 13 15 3 15 0 11 1 10 12 14 16
        9 11 5 5 19 8 8 15 13 14 17 18 10 16 4 17 4 2 0 17 4 18 17 10 3 2 12 12 16 12 1 9
        19 2 10 0 1 16 12 9 13 15 13 16 19 2 4 6 19 5 5 8 19 18 1 2 15 6 0 17 8 14 13"""
    groups, places = coarse("cifar100")
    assert len(groups) == 20 and np.bincount(places).tolist() == [5] * 20
    assert places.tolist() == [int(place) for place in published.split()]


def test_a_set_without_coarse_classes_is_refused() -> None:
    with pytest.raises(
        SettingError,
        match=r"one of digits, mnist, svhn, fashion_mnist, cifar10, cifar100, got 'oxford_pets'.",
    ):
        coarse("oxford_pets")


# Broken folders: each is spoilt in one way, and the sentence names it


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


BROKEN = {
    "empty class": (
        lambda pets: [path.unlink() for path in (pets / "test/dog").iterdir()],
        "pets/test/dog is empty",
    ),
    "one class": (
        lambda pets: [path.rename(pets / f"old{n}") for n, path in enumerate(pets.glob("*/dog"))],
        "pets/train holds one class folder",
    ),
    "class only in train": (
        lambda pets: paint(pets / "train/emu/1.png", colours(1)),
        "pets/train has a class 'emu' that pets/test lacks",
    ),
    "class only in test": (
        lambda pets: paint(pets / "test/emu/1.png", colours(1)),
        "pets/test has a class 'emu' that pets/train lacks",
    ),
    "no train": (
        lambda pets: (pets / "train").rename(pets / "val"),
        "pets has a test folder but no train folder",
    ),
    "file for a part": (
        lambda pets: ((pets / "test").rename(pets.parent / "away"), (pets / "test").write_text("")),
        "pets/test is a file where",
    ),
    "outside a class": (
        lambda pets: paint(pets / "train/stray.png", colours(1)),
        "pets/train/stray.png lies outside a class folder",
    ),
    "folder in a class": (
        lambda pets: (pets / "train/cat/more").mkdir(),
        "pets/train/cat holds a folder 'more'",
    ),
    "another format": (
        lambda pets: paint(pets / "train/cat/1.webp", colours(1)),
        "pets/train/cat/1.webp is a .webp file",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_folder_gets_one_sentence(root: Path, fault: str) -> None:
    spoil, expected = BROKEN[fault]
    spoil(pets(root))
    with pytest.raises(data.DataError) as error:
        data.load("pets")
    assert sentence(error).startswith(expected) and str(root) not in str(error.value)


@pytest.mark.parametrize("target", ["nowhere.png", "link.png"])
def test_a_link_that_leads_nowhere_is_named(root: Path, target: str) -> None:
    (pets(root) / "train/cat/link.png").symlink_to(target)
    for attempt in (data.load, data.entry, data.largest_train_size):
        with pytest.raises(data.DataError, match=r"pets could not be read \(.*: link.png\)") as error:
            attempt("pets")
        assert str(root) not in sentence(error)


def test_a_bomb_below_pillows_own_limit_is_refused_before_it_is_decoded() -> None:
    buffer = BytesIO()
    Image.new("1", (8_000, 8_000)).save(buffer, "PNG")
    with pytest.raises(
        data.DataError, match="upload has 8000×8000 pixels, at most 50,000,000 in all are read"
    ):
        data.read_dataset_image(BytesIO(buffer.getvalue()), "upload")


def test_what_is_no_image_is_left_alone(root: Path) -> None:
    folder = pets(root)
    for name in ("train/cat/notes.txt", "train/.DS_Store", "train/cat/.hidden.png", "README.md"):
        (folder / name).write_text("words")
    assert len(data.load("pets").train) == 6


# What is here


def test_what_is_here_and_what_to_do_for_the_rest(root: Path) -> None:
    pets(root)
    (root / "notes").mkdir()
    (root / "file.txt").write_text("")
    (root / ".pets").mkdir()
    available = data.available()
    assert list(available) == [*data.CATALOGUE, "pets"] and [
        name for name, location in available.items() if location.present
    ] == ["digits", "cifar10_features", "pets"]
    assert (
        "`python -m mlcv_explore download fashion_mnist`" in available["fashion_mnist"].sentence
        and "MLCV_DATA" in available["fashion_mnist"].sentence
    )
    with pytest.raises(data.DataError) as error:
        data.load("fashion_mnist")
    assert sentence(error) == available["fashion_mnist"].sentence
    assert available["pets"].sentence == "Read from MLCV_DATA."


@pytest.mark.parametrize(
    "name", ["emnist", "../sets/pets", "pets/train", "..", ".", "", "/etc", ".pets", "pe\0ts"]
)
def test_a_name_never_leads_elsewhere(root: Path, name: str) -> None:
    pets(root)
    with pytest.raises(data.DataError, match="There is no data set") as error:
        data.load(name)
    known = "digits, mnist, fashion_mnist, cifar10, cifar100, svhn, oxford_pets, cifar10_features,"
    assert f"{known} cifar10_features_full, pets" in sentence(error)


def test_a_folder_that_is_not_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLCV_DATA", str(root / "elsewhere"))
    assert "MLCV_DATA names a folder that does not exist" in data.available()["cifar10"].sentence
    monkeypatch.delenv("MLCV_DATA")
    assert "does not exist" not in data.available()["cifar10"].sentence and list(data.available()) == list(
        data.CATALOGUE
    )


def test_a_file_where_a_set_should_be(root: Path) -> None:
    (root / "cifar10").write_text("")
    with pytest.raises(data.DataError) as error:
        data.load("cifar10")
    assert (
        sentence(error).startswith("cifar10 is a file where a folder")
        and not data.available()["cifar10"].present
    )


def small_photographs(
    root: Path,
    train: int,
    test: int,
    classes: tuple[str, ...] = data.CATALOGUE["cifar10"].classes,
    side: int = 32,
) -> None:
    """A folder cifar10 with that many hard links a class to one image."""
    paint(root / "one.png", colours(0, side, side))
    for part, count in (("train", train), ("test", test)):
        for kind in classes:
            (root / "cifar10" / part / kind).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                (root / "cifar10" / part / kind / f"{number}.png").hardlink_to(root / "one.png")


def test_half_of_a_known_set_is_not_taken_for_it(root: Path) -> None:
    small_photographs(root, 2, 1)
    with pytest.raises(
        data.DataError, match="cifar10 is incomplete: its train part holds 20 of 50,000 images"
    ) as error:
        data.load("cifar10")
    assert "download cifar10" in sentence(error)
    (root / "cifar10/train/airplane").rename(root / "cifar10/train/aeroplane")
    (root / "cifar10/test/airplane").rename(root / "cifar10/test/aeroplane")
    with pytest.raises(data.DataError, match="the class folder 'aeroplane' is not one of its classes"):
        data.load("cifar10")


# The published files


def write_idx(path: Path, array: np.ndarray) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = (
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    )
    content = gzip.compress(content, 1, mtime=0) if path.suffix == ".gz" else content
    path.write_bytes(content)
    return content


def handwriting(folder: Path, suffix: str = ".gz") -> None:
    """MNIST's four files at full size; image n is filled with n % 251 and labelled n %
    10.
    """
    for prefix, size in (("train", 60_000), ("t10k", 10_000)):
        count = np.arange(size)
        write_idx(
            folder / f"{prefix}-images-idx3-ubyte{suffix}",
            np.broadcast_to((count % 251)[:, None, None], (size, 28, 28)),
        )
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", count % 10)


@pytest.mark.parametrize(
    ("name", "below", "suffix"), [("mnist", "MNIST/raw", ".gz"), ("fashion_mnist", "", "")]
)
def test_idx_files_are_read_as_published(root: Path, name: str, below: str, suffix: str) -> None:
    handwriting(root / name / below, suffix)
    assert data.available()[name].present
    dataset = data.load(name)
    assert dataset.train.images.shape == (60_000, 1, 28, 28) and dataset.test.images.shape == (
        10_000,
        1,
        28,
        28,
    )
    assert dataset.train.classes == data.CATALOGUE[name].classes
    assert np.array_equal(dataset.train.images[:, 0, 3, 5], np.arange(60_000) % 251) and np.array_equal(
        dataset.test.labels, np.arange(10_000) % 10
    )
    assert isinstance(data.load(name).train.images, np.memmap)


def test_half_downloaded_or_damaged_idx_files(root: Path) -> None:
    folder = root / "mnist"
    handwriting(folder)
    images, labels = folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz"
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-100])
    assert_damaged("train-labels-idx1-ubyte.gz is damaged or was downloaded only in part")
    labels.write_bytes(b"<html>no such file</html>")
    assert_damaged("train-labels-idx1-ubyte.gz is damaged")
    write_idx(labels, np.arange(59_999) % 10)
    assert_damaged("mnist is damaged (labels must be int64 (60000,)")
    write_idx(labels, np.arange(60_000) % 11)
    assert_damaged("mnist is damaged (labels must lie in 0–9, got 0–10)")
    labels.write_bytes(whole)
    write_idx(images, np.zeros((60_000, 20, 20)))
    assert_damaged("The train part of mnist must have shape (60000, 1, 28, 28), got (60000, 1, 20, 20)")
    images.unlink()
    assert_damaged("mnist is incomplete: train-images-idx3-ubyte is missing")
    assert "is missing" in data.available()["mnist"].sentence and not data.available()["mnist"].present


def assert_damaged(expected: str) -> None:
    with pytest.raises(data.DataError) as error:
        data.load("mnist")
    assert sentence(error).startswith(expected)


def test_an_uncompressed_idx_file_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(write_idx(path, np.zeros((10, 28, 28)))[:-1])
    with pytest.raises(data.DataError, match="t10k-images-idx3-ubyte is not the IDX file it should be"):
        published_formats.read_idx(path)


class Forged:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.trace,)


def test_a_pickle_that_is_not_the_published_one_is_never_opened(root: Path) -> None:
    for file in published_formats.FILES["cifar10"]:
        (root / "cifar10" / file).parent.mkdir(parents=True, exist_ok=True)
        (root / "cifar10" / file).write_bytes(pickle.dumps(Forged(root / "trace")))
    assert data.available()["cifar10"].present
    with pytest.raises(
        data.DataError, match="A file in cifar-10-batches-py is not the published one"
    ) as error:
        data.load("cifar10")
    sentence(error)
    assert not (root / "trace").exists()
    pickle.loads((root / "cifar10/cifar-10-batches-py/data_batch_1").read_bytes())
    assert (root / "trace").exists()  # the forgery would have worked


def write_pickle(path: Path, content: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return md5(path.read_bytes()).hexdigest()


def test_cifar_batches_become_channels_first(tmp_path: Path) -> None:
    from mlcv_explore.torchvision_compat import datasets

    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    folder = tmp_path / "cifar-10-batches-py"
    batches = {
        name: {"data": pixels[rows].reshape(-1, 3072), "labels": rows}
        for name, rows in (("first", [0, 1]), ("second", [2, 3]), ("last", [4, 5]))
    }
    sums = {name: write_pickle(folder / name, batch) for name, batch in batches.items()}

    class Small(datasets.CIFAR10):
        """Two training batches of two images, one test batch."""

        train_list = [["first", sums["first"]], ["second", sums["second"]]]  # noqa: RUF012  as in the class it stands for
        test_list = [["last", sums["last"]]]  # noqa: RUF012
        meta = {  # noqa: RUF012
            "filename": "meta",
            "key": "label_names",
            "md5": write_pickle(folder / "meta", {"label_names": list("abcdef")}),
        }

    train, test = published_formats.read_cifar(tmp_path, Small, tuple("abcdef"))
    assert np.array_equal(train.images, pixels[:4]) and train.labels.tolist() == [0, 1, 2, 3]
    assert np.array_equal(test.images, pixels[4:]) and test.labels.tolist() == [4, 5]
    (folder / "last").write_bytes(b"")
    with pytest.raises(data.DataError, match="is not the published one"):
        published_formats.read_cifar(tmp_path, Small, tuple("abcdef"))


def test_svhn_calls_its_zero_zero(tmp_path: Path) -> None:
    from scipy.io import savemat

    from mlcv_explore.torchvision_compat import datasets

    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    for file in published_formats.FILES["svhn"]:
        savemat(
            tmp_path / file, {"X": pixels.transpose(2, 3, 1, 0), "y": np.array([[1], [10], [9]], np.uint8)}
        )

    class Small(datasets.SVHN):
        """Three house numbers a part."""

        split_list = {  # noqa: RUF012  as in the class it stands for
            part: ["", f"{part}_32x32.mat", md5((tmp_path / f"{part}_32x32.mat").read_bytes()).hexdigest()]
            for part in ("train", "test", "extra")[:2]
        }

    train, test = published_formats.read_svhn(tmp_path, Small, data.CATALOGUE["svhn"].classes)
    assert (
        np.array_equal(train.images, pixels)
        and test.labels.tolist() == [1, 0, 9]
        and test.labels.dtype == np.int64
    )


# Downloads


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that torchvision's MNIST takes for its mirror, over HTTP on this
    machine; a file named *.short breaks off half way.
    """
    from mlcv_explore.torchvision_compat import datasets

    folder = tmp_path / "mirror"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))

        def copyfile(self, source: BytesIO, outputfile: BytesIO) -> None:
            content = source.read()
            outputfile.write(content[: len(content) // 2] if "short" in self.path else content)

        def log_message(self, *_: object) -> None:
            """Silent."""

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        yield folder
        server.shutdown()
        thread.join()


def left(root: Path) -> list[str]:
    downloads = root.parent / "home" / "data"
    return sorted(os.listdir(downloads)) if downloads.exists() else []


def publish(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlcv_explore.torchvision_compat import datasets

    handwriting(mirror)
    resources = [(file.name, md5(file.read_bytes()).hexdigest()) for file in sorted(mirror.iterdir())]
    monkeypatch.setattr(datasets.MNIST, "resources", resources)


def test_a_download_is_fetched_checked_and_loaded(
    root: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(mirror, monkeypatch)
    progress = []
    assert (
        data.download("mnist", lambda *bytes_had: progress.append(bytes_had))
        == root.parent / "home/data/mnist"
    )
    total = data.CATALOGUE["mnist"].download_bytes
    assert [had for had, _ in progress] == sorted(had for had, _ in progress) and {
        of for _, of in progress
    } == {total}
    assert progress[-1][0] == sum(file.stat().st_size for file in mirror.iterdir())
    assert left(root) == ["mnist"] and data.available()["mnist"] == data.Availability(True, "Downloaded.")
    assert np.array_equal(data.load("mnist").test.labels, np.arange(10_000) % 10)
    for file in mirror.iterdir():
        file.unlink()
    data.download("mnist")  # already here: nothing is requested


def test_mlcv_data_comes_before_what_was_downloaded(root: Path) -> None:
    pets(root)
    downloaded = root.parent / "home/data/pets"
    for k, kind in enumerate(("owl", "yak")):
        paint(downloaded / kind / "1.png", colours(k))
    assert data.load("pets").train.classes == ("cat", "dog")


def test_a_file_that_is_not_the_published_one_is_thrown_away(
    root: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(mirror, monkeypatch)
    flip_a_byte(mirror / "train-labels-idx1-ubyte.gz")
    with pytest.raises(
        data.DataError, match=r"mnist could not be downloaded \(the file is not the published one\)"
    ) as error:
        data.download("mnist")
    sentence(error)
    assert left(root) == []


def test_what_a_killed_download_left_is_removed_a_day_later(
    root: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(mirror, monkeypatch)
    for name in (".mnist.old", ".mnist.new", ".svhn.old"):
        (root.parent / "home/data" / name).mkdir(parents=True)
    for name in (".mnist.old", ".svhn.old"):
        os.utime(root.parent / "home/data" / name, (1, 1))
    data.download("mnist")
    assert left(root) == [".mnist.new", ".svhn.old", "mnist"]


def test_a_home_that_cannot_be_written_is_one_sentence(root: Path) -> None:
    (root.parent / "home").write_text("a file where the home should be")
    with pytest.raises(data.DataError, match="mnist could not be written into MLCV_HOME") as error:
        data.download("mnist")
    sentence(error)


def test_a_download_stopped_by_its_reader_leaves_nothing(
    root: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(mirror, monkeypatch)

    def stop(had: int, _: int) -> None:
        if had > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.download("mnist", stop)
    assert left(root) == []


def test_a_connection_that_breaks_off(mirror: Path, tmp_path: Path) -> None:
    (mirror / "file.short").write_bytes(bytes(1000))
    (mirror / "file.whole").write_bytes(bytes(1000))
    from mlcv_explore.torchvision_compat import datasets

    address, had = datasets.MNIST.mirrors[0], []
    remote = downloads.RemoteFile((f"{address}file.short",), "got/file", md5(bytes(1000)).hexdigest())
    assert (
        downloads.fetch(remote, tmp_path, had.append) == "broken off 500 bytes before the end"
        and not (tmp_path / "got/file").exists()
    )
    second = replace(remote, addresses=(f"{address}absent", f"{address}file.short", f"{address}file.whole"))
    assert downloads.fetch(second, tmp_path, had.append) == "" and (
        tmp_path / "got/file"
    ).read_bytes() == bytes(1000)


def test_no_network_is_one_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for name in ("fashion_mnist", "cifar10", "svhn", "oxford_pets"):
        with pytest.raises(
            data.DataError, match=f"{name} could not be downloaded .*: check the network connection"
        ) as error:
            data.download(name)
        sentence(error)
    assert left(root) == []


def test_the_sentences_of_a_public_server(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLCV_PUBLIC", "1")
    with pytest.raises(
        data.DataError, match="cannot be downloaded here: a public server downloads nothing"
    ) as error:
        data.download("cifar10")
    sentence(error)
    assert all(
        "MLCV_DATA" not in location.sentence and "download" not in location.sentence
        for location in data.available().values()
    )


def test_downloading_what_needs_no_download(root: Path) -> None:
    with pytest.raises(data.DataError, match="There is no data set 'imagenet'"):
        data.download("imagenet")
    with pytest.raises(data.DataError, match="There is no data set 'pets'"):
        data.download("pets")
    with pytest.raises(data.DataError, match=r"^digits is not downloaded: it is bundled\.$"):
        data.download("digits")
    with pytest.raises(data.DataError, match="run `python -m mlcv_explore features cifar10 --all`"):
        data.download("cifar10_features_full")


def test_a_download_does_not_hide_behind_a_broken_set_of_ones_own(root: Path) -> None:
    (root / "mnist").mkdir()
    with pytest.raises(
        data.DataError,
        match="mnist is incomplete: it holds neither class folders of images nor the published files",
    ) as error:
        data.download("mnist")
    assert "take it away and run `python -m mlcv_explore download mnist`" in sentence(error)


def test_the_addresses_are_torchvisions_own() -> None:
    files = {
        name: [remote.path for remote in downloads.remote_files(name)]
        for name, entry in data.CATALOGUE.items()
        if entry.origin == "torchvision"
    }
    assert files["fashion_mnist"] == [
        f"FashionMNIST/raw/{file}.gz" for file in published_formats.FILES["fashion_mnist"]
    ]
    assert files["svhn"] == list(published_formats.FILES["svhn"]) and files["cifar100"] == [
        "cifar-100-python.tar.gz"
    ]
    assert files["oxford_pets"] == ["oxford-iiit-pet/images.tar.gz", "oxford-iiit-pet/annotations.tar.gz"]
    from mlcv_explore.torchvision_compat import datasets

    for name, kind in (("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100)):
        batches = [file for file, _ in kind.train_list + kind.test_list] + [kind.meta["filename"]]
        assert list(published_formats.FILES[name]) == [f"{kind.base_folder}/{file}" for file in batches]


# Oxford-IIIT Pet: photographs of all sizes with trimaps

LISTS = {
    "trainval": (
        ("american_bulldog_12", 2),
        ("Abyssinian_1", 1),
        ("Abyssinian_5", 1),
        ("Russian_Blue_9", 28),
    ),
    "test": (("yorkshire_terrier_3", 37), ("Abyssinian_2", 1)),
}
PET, BACKGROUND, STRIP = 1, 2, 3  # of a trimap


def photograph(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A red pet in the left half, down to three quarters, on blue; its trimap has a
    strip on both sides of the pet's right edge.
    """
    trimap = np.full((height, width), BACKGROUND, np.uint8)
    trimap[: height * 3 // 4, : width // 2] = PET
    pixels = np.where((trimap == PET)[:, :, None], (250, 20, 10), (5, 15, 200)).astype(np.uint8)
    trimap[: height * 3 // 4, width // 2 - width // 12 : width // 2 + width // 12] = STRIP
    return pixels, trimap


def nearest(trimap: np.ndarray) -> np.ndarray:
    """What a mask of 64×64 pixels has to be: the pixel under each one's centre, as 0, 1
    or 255.
    """
    rows, columns = (((np.arange(64) + 0.5) * side / 64).astype(int) for side in trimap.shape)
    return np.array([9, 1, 0, data.OUTLINE], np.uint8)[trimap[np.ix_(rows, columns)]]


@pytest.fixture
def oxford(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The set in torchvision's layout with six photographs, and a catalogue by which
    there are no more; a seventh is in no list.
    """
    base = root / "oxford_pets/oxford-iiit-pet"
    named = [name for part in LISTS.values() for name, _ in part]
    for number, name in enumerate([*named, "Bombay_11"]):
        pixels, trimap = photograph(90 + 40 * number, 200 - 20 * number)
        paint(base / f"images/{name}.jpg", pixels, quality=95)
        paint(base / f"annotations/trimaps/{name}.png", trimap)
    for part, entries in LISTS.items():
        (base / f"annotations/{part}.txt").write_text(
            "".join(f"{name} {kind} 1 1\n" for name, kind in entries)
        )
    known = data.CATALOGUE["oxford_pets"]
    monkeypatch.setitem(
        data.CATALOGUE,
        "oxford_pets",
        replace(known, train_size=len(LISTS["trainval"]), test_size=len(LISTS["test"])),
    )
    return base


def test_pets_are_read_as_torchvision_lists_them(oxford: Path) -> None:
    from mlcv_explore.torchvision_compat import datasets

    assert data.available()["oxford_pets"] == data.Availability(True, "Read from MLCV_DATA.")
    dataset, entry = data.load("oxford_pets"), data.entry("oxford_pets")
    assert len(entry.classes) == 37 and list(entry.classes) == sorted(entry.classes) and entry.masks
    for part, split in ((dataset.train, "trainval"), (dataset.test, "test")):
        published = datasets.OxfordIIITPet(
            oxford.parent, split=split, target_types=["category", "segmentation"]
        )
        assert part.images.shape == (len(published), *entry.shape) and (
            part.images.dtype,
            part.labels.dtype,
        ) == (np.uint8, np.int64)
        assert part.masks.shape == (len(published), 64, 64) and part.masks.dtype == np.uint8
        assert [part.classes[label].replace("_", " ").title() for label in part.labels] == [
            " ".join(word.title() for word in name.split("_")[:-1]) for name, _ in LISTS[split]
        ]
        for place, (image, (label, trimap)) in enumerate(published):
            assert part.labels[place] == label
            assert np.array_equal(
                part.images[place].transpose(1, 2, 0),
                np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)),
            )
            assert np.array_equal(part.masks[place], nearest(np.asarray(trimap)))


def test_a_pet_in_the_left_half_stays_there(oxford: Path) -> None:
    for part in (data.load("oxford_pets").train, data.load("oxford_pets").test):
        assert np.unique(part.masks).tolist() == [0, 1, data.OUTLINE]
        assert (
            (part.masks[:, :46, :26] == 1).all()
            and (part.masks[:, :46, 38:] == 0).all()
            and (part.masks[:, 49:] == 0).all()
        )
        assert (part.masks[:, :46, 31:33] == data.OUTLINE).all()
        red, blue = part.images[:, 0].astype(int), part.images[:, 2].astype(int)
        # the filter blends along the pet's lower edge
        assert (red > blue)[part.masks == 1].all() and (blue > red)[part.masks == 0].mean() > 0.98


def test_photographs_are_smoothed_and_trimaps_are_not(oxford: Path) -> None:
    stripes = np.repeat(np.tile(np.array([0, 255], np.uint8), 256)[None, :, None], 320, axis=0).repeat(
        3, axis=2
    )
    noise = np.random.default_rng(0).integers(1, 4, (320, 512), dtype=np.uint8)
    paint(oxford / "images/Abyssinian_1.jpg", stripes, format="PNG")
    paint(oxford / "annotations/trimaps/Abyssinian_1.png", noise)
    train = data.load("oxford_pets").train
    # without smoothing every pixel would be 0 or 255
    assert np.abs(train.images[1].astype(int) - 127).max() < 8
    assert np.array_equal(train.masks[1], nearest(noise))


def test_what_the_published_files_are_like_inside(oxford: Path) -> None:
    """Four photographs are PNG with alpha under a JPEG's name; a grey one, a turned one
    and an indexed trimap are read as they lie there.
    """
    pixels, trimap = photograph(170, 160)
    paint(
        oxford / "images/Abyssinian_5.jpg",
        np.dstack([pixels, np.full((170, 160), 7, np.uint8)]),
        format="PNG",
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise, which its trimap is not
    pixels, _ = photograph(130, 180)
    paint(oxford / "images/Abyssinian_1.jpg", pixels, exif=exif, quality=95)
    grey = photograph(90, 200)[0][:, :, 0]
    paint(oxford / "images/american_bulldog_12.jpg", grey)
    indexed = Image.fromarray(trimap, "P")
    indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    indexed.save(oxford / "annotations/trimaps/Abyssinian_5.png")
    train = data.load("oxford_pets").train
    assert np.array_equal(train.masks[2], nearest(trimap)) and train.images[2][:, 5, 5].tolist() == [
        250,
        20,
        10,
    ]
    assert train.images[1][0, 5, 5] > 200 > 60 > train.images[1][2, 5, 5]
    assert (train.images[0][0] == train.images[0][1]).all() and (
        train.images[0][0] == train.images[0][2]
    ).all()


def test_pets_without_the_folder_of_torchvision(oxford: Path) -> None:
    expected = data.load("oxford_pets").fingerprint
    for folder in ("images", "annotations"):
        (oxford / folder).rename(oxford.parent / folder)
    assert data.available()["oxford_pets"].present and data.load("oxford_pets").fingerprint == expected


def wrong_class(base: Path) -> None:
    (base / "annotations/test.txt").write_text("yorkshire_terrier_3 37 2 25\nAbyssinian_2 2 1 1\n")


PETS_BROKEN = {
    "no photograph": (
        lambda base: (base / "images/Abyssinian_1.jpg").unlink(),
        "oxford_pets is incomplete: images/Abyssinian_1.jpg is missing",
    ),
    "no trimap": (
        lambda base: (base / "annotations/trimaps/yorkshire_terrier_3.png").unlink(),
        "oxford_pets is incomplete: annotations/trimaps/yorkshire_terrier_3.png is missing",
    ),
    "cut off": (
        lambda base: (base / "images/Abyssinian_2.jpg").write_bytes(
            (base / "images/Abyssinian_2.jpg").read_bytes()[:-400]
        ),
        "oxford_pets/images/Abyssinian_2.jpg cannot be read",
    ),
    "trimap cut off": (
        lambda base: cut(base / "annotations/trimaps/Abyssinian_2.png"),
        "oxford_pets/annotations/trimaps/Abyssinian_2.png cannot be read",
    ),
    "another size": (
        lambda base: paint(base / "annotations/trimaps/Abyssinian_1.png", photograph(131, 180)[1]),
        "oxford_pets/annotations/trimaps/Abyssinian_1.png is 180×131 pixels and its photograph 180×130",
    ),
    "a fourth value": (
        lambda base: paint(base / "annotations/trimaps/Abyssinian_1.png", photograph(130, 180)[1] + 1),
        "oxford_pets/annotations/trimaps/Abyssinian_1.png has values of 2–4, a trimap has 1, 2 and 3",
    ),
    "a coloured trimap": (
        lambda base: paint(base / "annotations/trimaps/Abyssinian_1.png", photograph(130, 180)[0]),
        "oxford_pets/annotations/trimaps/Abyssinian_1.png has pixels of kind RGB",
    ),
    "a list cut off": (
        lambda base: (base / "annotations/trainval.txt").write_text("american_bulldog_12 2 1 1\nAbyss"),
        "oxford_pets/annotations/trainval.txt is damaged in line 2",
    ),
    "half a list": (
        lambda base: (base / "annotations/test.txt").write_text("Abyssinian_2 1 1 1\n"),
        "The test part of oxford_pets must have shape (2, 3, 64, 64), got (1, 3, 64, 64)",
    ),
    "another class": (
        wrong_class,
        "oxford_pets/annotations/test.txt gives Abyssinian_2 class 2, which is not 'abyssinian'",
    ),
    "a path for a name": (
        lambda base: (base / "annotations/test.txt").write_text("../images/Abyssinian_2 1 1 1\n"),
        "oxford_pets is incomplete: images/../images/Abyssinian_2.jpg is missing",
    ),
    "no list": (
        lambda base: (base / "annotations/test.txt").unlink(),
        "oxford_pets is incomplete: annotations/test.txt is missing",
    ),
    "no trimaps": (
        lambda base: shutil.rmtree(base / "annotations/trimaps"),
        "oxford_pets is incomplete: annotations/trimaps is missing",
    ),
}


@pytest.mark.parametrize("fault", PETS_BROKEN)
def test_broken_pets_get_one_sentence(root: Path, oxford: Path, fault: str) -> None:
    spoil, expected = PETS_BROKEN[fault]
    spoil(oxford)
    with pytest.raises(data.DataError) as error:
        data.load("oxford_pets")
    assert sentence(error).startswith(expected) and str(root) not in str(error.value)
    assert data.available()["oxford_pets"].present == (fault not in ("no list", "no trimaps"))


def test_class_folders_are_no_pets_with_masks(root: Path) -> None:
    absent = data.available()["oxford_pets"].sentence
    assert (
        "<class>" not in absent
        and "download oxford_pets" in absent
        and "the published files under oxford_pets/" in absent
    )
    for kind in data.CATALOGUE["oxford_pets"].classes:
        paint(root / "oxford_pets/train" / kind / "1.png", colours(0, 64, 64))
    with pytest.raises(
        data.DataError, match=r"oxford_pets is incomplete: .* class folders have no masks"
    ) as error:
        data.load("oxford_pets")
    assert data.available()["oxford_pets"] == data.Availability(False, sentence(error))


def pets_copy(root: Path, array: str) -> Path:
    (path,) = (root.parent / "home/cache/oxford_pets").glob(f"*/{array}.npy")
    return path


def test_kept_pets_keep_their_masks(root: Path, oxford: Path) -> None:
    first, second = data.load("oxford_pets"), data.load("oxford_pets")
    assert (
        isinstance(second.train.masks, np.memmap)
        and isinstance(second.test.masks, np.memmap)
        and second.fingerprint == first.fingerprint
    )
    assert np.array_equal(first.train.masks, second.train.masks) and np.array_equal(
        first.test.masks, second.test.masks
    )
    for masks in (first.train.masks, second.test.masks):
        with pytest.raises(ValueError, match="read-only"):
            masks[0] = 0
    for damage in (flip_a_byte, Path.unlink):
        damage(pets_copy(root, "test_masks"))
        again = data.load("oxford_pets")
        assert np.array_equal(again.test.masks, first.test.masks) and again.fingerprint == first.fingerprint


def test_another_trimap_is_another_set(oxford: Path) -> None:
    first = data.load("oxford_pets")
    path = oxford / "annotations/trimaps/Abyssinian_1.png"
    paint(path, np.flip(photograph(130, 180)[1], axis=0))
    os.utime(path, ns=(0, 1))
    second = data.load("oxford_pets")
    assert np.array_equal(second.train.images, first.train.images) and second.fingerprint != first.fingerprint
    assert np.array_equal(second.train.masks[1], nearest(np.flip(photograph(130, 180)[1], axis=0)))
    without = replace(first.train, masks=None)
    assert len({content_fingerprint(part, None) for part in (first.train, second.train, without)}) == 3


def test_pets_are_downloaded_unpacked_and_loaded(
    root: Path, oxford: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlcv_explore.torchvision_compat import datasets

    expected, resources = data.load("oxford_pets").fingerprint, []
    for folder in ("images", "annotations"):
        with tarfile.open(mirror / f"{folder}.tar.gz", "w:gz") as archive:
            archive.add(oxford / folder, folder)
        resources.append(
            (
                f"{datasets.MNIST.mirrors[0]}{folder}.tar.gz",
                md5((mirror / f"{folder}.tar.gz").read_bytes()).hexdigest(),
            )
        )
    shutil.rmtree(oxford.parent)
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", tuple(resources))
    assert not data.available()["oxford_pets"].present
    downloaded = data.download("oxford_pets")
    assert sorted(path.name for path in (downloaded / "oxford-iiit-pet").iterdir()) == [
        "annotations",
        "images",
    ]
    assert (
        data.available()["oxford_pets"].sentence == "Downloaded."
        and data.load("oxford_pets").fingerprint == expected
    )


# torchvision


def test_torchvision_imports_and_works_here() -> None:
    import torch

    from mlcv_explore import torchvision_compat

    image = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).reshape(2, 3, 8, 8)
    resize = torchvision_compat.transforms.Compose(
        [
            torchvision_compat.transforms.Resize(4),
            torchvision_compat.transforms.ToDtype(torch.float32, scale=True),
        ]
    )
    assert resize(image).shape == (2, 3, 4, 4)
    assert torch.equal(torchvision_compat.transforms.RandomHorizontalFlip(p=1)(image), image.flip(-1))
    with torch.no_grad():
        assert torchvision_compat.models.mobilenet_v3_small(num_classes=7).eval()(
            torch.zeros(1, 3, 32, 32)
        ).shape == (1, 7)


def test_operators_that_exist_are_not_declared_again() -> None:
    """In a fresh interpreter where torchvision's operators are already there, as on a
    torch they were built for.
    """
    code = """
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from mlcv_explore import torchvision_compat as compat
print(compat._declared, compat.declare_missing_operators(), compat.transforms.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "None", "torchvision.transforms.v2"]
