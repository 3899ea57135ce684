"""A folder of one's own: images of any size become squares, what is broken is skipped and
named, parts are as large as the folder allows, and ideas run on it by its name.
"""

import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from streamlit.testing.v1 import AppTest

from mlcv_explore import data, idea
from mlcv_explore.command import main
from mlcv_explore.config import SettingError
from mlcv_explore.data import folder, own_folders, read_dataset_image
from mlcv_explore.data.coarse import coarse
from mlcv_explore.experiment import runs
from mlcv_explore.ideas.label_noise import LabelNoiseConfig
from mlcv_explore.ui import folder_reading
from tests.opening import opened, words

SLUGS = ("label_noise", "feature_mixing", "hierarchical_representation")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MLCV_DATA beside an empty MLCV_HOME."""
    monkeypatch.setenv("MLCV_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLCV_DATA", str(tmp_path / "sets"))
    (tmp_path / "sets").mkdir()
    return tmp_path / "sets"


def paint(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def noise(seed: int, height: int = 5, width: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pets(root: Path, parts: tuple[str, ...] = ("train", "test"), count: int = 3) -> Path:
    """A folder `pets` of two classes with `count` PNG of 5×4 pixels a class and part."""
    for p, part in enumerate(parts):
        for k, kind in enumerate(("cat", "dog")):
            for number in range(count):
                paint(root / "pets" / part / kind / f"{number}.png", noise(1000 * p + 100 * k + number))
    return root / "pets"


def photographs(folder: Path, count: int) -> None:
    """`count` JPEGs a class, of sizes from 40×30 to some 200×190 pixels, cut from
    scikit-learn's two photographs and from their negatives.
    """
    china, flower = load_sample_images().images
    for kind, image in {"flower": flower, "negative": 255 - china, "temple": china}.items():
        random = np.random.default_rng(len(kind))
        for number in range(count):
            height, width = random.integers((30, 40), (190, 200))
            top, left = (random.integers(0, size) for size in (427 - height, 640 - width))
            paint(folder / kind / f"{number}.jpg", image[top : top + height, left : left + width], quality=90)


def refused(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 320, text
    return text


# Sizes


def test_images_of_several_sizes_become_the_square_in_their_middle(root: Path) -> None:
    ramp = np.repeat(np.arange(128, dtype=np.uint8)[None, :, None], 64, 0).repeat(3, 2)  # brightness: column
    paint(root / "ramps/wide/a.png", ramp)
    paint(root / "ramps/tall/a.png", ramp.transpose(1, 0, 2))
    paint(root / "ramps/tall/b.png", np.full((9, 7, 3), 90, np.uint8))
    for name, side in (("ramps", 32), ("ramps@16", 16), ("ramps@64", 64)):
        train = data.load(name).train
        assert train.classes == ("tall", "wide") and train.images.shape == (3, 3, side, side)
        # the middle 64 of 128 columns, each pixel the mean of the 64 / side that it covers
        expected = 32 + (np.arange(side) + 0.5) * (64 / side) - 0.5
        inner = slice(2, side - 2)  # a filter reaches beyond the edge for no pixel in here
        assert np.abs(train.images[2, 0, 5, inner] - expected[inner]).max() <= 1
        assert np.abs(train.images[0, 0, inner, 5] - expected[inner]).max() <= 1
        assert np.array_equal(train.images[1], np.full((3, side, side), 90, np.uint8))
        assert data.entry(name).shape == (3, side, side)


@pytest.mark.parametrize("size", [(3000, 2000), (400, 300), (160, 120)])
def test_a_large_jpeg_is_decoded_small_and_looks_the_same(root: Path, size: tuple[int, int]) -> None:
    photograph = Image.fromarray(load_sample_images().images[0]).resize(size)
    for kind in ("a", "b"):
        (root / "large" / kind).mkdir(parents=True)
        photograph.save(root / "large" / kind / "1.jpg", quality=95)
    read = data.load("large").train.images[0].transpose(1, 2, 0).astype(float)
    whole = np.asarray(ImageOps.fit(photograph, (32, 32), Image.Resampling.BICUBIC), float)
    assert np.abs(read - whole).mean() < 3 and np.abs(read - whole).max() < 25


def test_small_images_of_one_size_are_read_as_they_are_unless_a_side_is_set(root: Path) -> None:
    pets(root)
    assert data.load("pets").side is None and data.load("pets").train.images.shape[2:] == (5, 4)
    assert data.load("pets@8").side == 8 and data.load("pets@8").test.images.shape[2:] == (8, 8)
    for side, read in ((64, 64), (65, 32)):  # from 65 pixels on the default side
        for kind in ("a", "b"):
            paint(root / f"one{side}" / kind / "1.png", noise(1, side, side))
        assert data.load(f"one{side}").train.images.shape[2:] == (read, read)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pets@7", "The side in 'pets@7' must be a whole number between 8 and 256 pixels."),
        ("pets@257", "The side in 'pets@257' must be a whole number between 8 and 256 pixels."),
        ("pets@064", "The side in 'pets@064' must be a whole number between 8 and 256 pixels."),
        ("pets@²²", "The side in 'pets@²²' must be a whole number between 8 and 256 pixels."),
        ("pets@", "The side in 'pets@' must be a whole number between 8 and 256 pixels."),
        ("cifar10@64", "cifar10 has a published size: a side, as in cifar10@64, is for own folders alone."),
    ],
)
def test_a_side_that_cannot_be_is_refused(root: Path, name: str, expected: str) -> None:
    pets(root)
    for attempt in (data.load, data.entry):
        with pytest.raises(data.DataError) as error:
            attempt(name)
        assert refused(error) == expected


def test_every_side_has_a_cache_of_its_own(root: Path) -> None:
    pets(root)
    first = {name: data.load(name) for name in ("pets", "pets@8", "pets@16")}
    for name, dataset in first.items():
        again = data.load(name)
        assert isinstance(again.train.images, np.memmap)
        assert np.array_equal(again.train.images, dataset.train.images)
        assert (again.side, again.fingerprint) == (dataset.side, dataset.fingerprint)
    assert len({dataset.fingerprint for dataset in first.values()}) == 3


def test_what_is_too_much_for_memory_at_its_side_is_refused_before_it_is_decoded(root: Path) -> None:
    for kind in ("a", "b"):
        (root / "many" / kind).mkdir(parents=True)
        (root / "many" / kind / "0.png").write_text("never read")
        for number in range(1, 11_000):
            (root / "many" / kind / f"{number}.png").hardlink_to(root / "many" / kind / "0.png")
    with pytest.raises(data.DataError, match=r"many/train would take 4\.0 GB in memory, at most 4 GB are"):
        data.load("many@256")


# Validation


@pytest.mark.parametrize("folder", ["val", "validation"])
def test_the_validation_folder_is_the_validation_part(root: Path, folder: str) -> None:
    pets(root, ("train", folder, "test"), 6)
    for cached in (False, True):
        dataset = data.load("pets")
        assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (12, 12, 12)
        assert isinstance(dataset.validation.images, np.memmap) == cached
    split = data.split_own(dataset, 10, 8, 6, seed=3)
    own = {image.tobytes() for image in dataset.validation.images}
    assert {image.tobytes() for image in split.validation.images} <= own
    assert np.bincount(split.validation.labels).tolist() == [4, 4]
    assert not own & {image.tobytes() for part in (split.train, split.test) for image in part.images}
    assert data.largest_train_size("pets", 8, 6) == 12
    with pytest.raises(SettingError, match=r"validation_size must be at most 12 on pets \(its validation"):
        data.split_own(dataset, 10, 13, 6, seed=3)
    with pytest.raises(SettingError, match=r"validation_size must be at most 12 on pets \(its own"):
        data.check_split("pets", 10, 13, 6)


def test_without_one_the_split_is_the_usual_one(root: Path) -> None:
    pets(root, ("train",), 20)
    dataset = data.load("pets")
    own, usual = data.split_own(dataset, 20, 8, 6, 1), data.split(dataset, 20, 8, 6, 1)
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(own, part).images, getattr(usual, part).images)


def test_validation_folders_that_do_not_fit(root: Path) -> None:
    folder = pets(root, ("train", "val"))
    (folder / "val/dog").rename(folder / "val/emu")
    with pytest.raises(data.DataError, match="pets/train has a class 'dog' that pets/val lacks"):
        data.load("pets")
    (folder / "val/emu").rename(folder / "val/dog")
    (folder / "validation").mkdir()
    with pytest.raises(data.DataError, match="pets has both val and validation: keep one folder"):
        data.load("pets")


def test_the_fingerprint_covers_the_validation_part(root: Path) -> None:
    folder = pets(root, ("train", "val"))
    first = data.load("pets").fingerprint
    paint(folder / "val/dog/0.png", noise(77))
    os.utime(folder / "val/dog/0.png", ns=(0, 1))
    assert data.load("pets").fingerprint != first


# Broken files


def bomb(path: Path) -> None:
    """A PNG header that declares 30,000 × 30,000 pixels."""
    paint(path, noise(1))
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 30_000, 30_000)
    content[29:33] = struct.pack(">I", crc32(content[12:29]))
    path.write_bytes(content)


BROKEN: dict[str, Callable[[Path], object]] = {
    "no image": lambda path: path.write_text("not an image"),
    "nothing in it": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:60]),
    "disguised": lambda path: paint(path, noise(1), format="GIF"),
    "bomb": bomb,
    "16 bits": lambda path: paint(path, np.full((5, 4), 40_000, np.uint16)),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_skipped_and_named(root: Path, fault: str) -> None:
    BROKEN[fault](pets(root) / "train/dog/1.png")
    for _ in range(2):  # decoded, then from the cache
        dataset = data.load("pets")
        assert dataset.skipped == ("train/dog/1.png",)
        assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1] and len(dataset.test) == 6
        for place, seed in enumerate((0, 1, 2, 100, 102)):
            assert np.array_equal(dataset.train.images[place].transpose(1, 2, 0), noise(seed))
    assert data.entry("pets").train_size == 5
    assert data.describe("pets", (3, 1, 1)) == (
        "pets: 11 images of 2 classes, read as they are, 4×5 pixels; training, validation and test images:"
        " 3, 1, 1. 1 of 12 images could not be read: train/dog/1.png."
    )


def test_more_broken_files_are_counted_and_their_names_are_safe_to_show(root: Path) -> None:
    folder = pets(root, ("train",), 12)
    for number in range(7):
        (folder / f"train/cat/{number}.png").write_text("")
    (folder / "train/cat/0.png").rename(folder / "train/cat/**<b>.png")
    text = data.describe("pets@32", (9, 3, 5))
    assert "cut to the square in their middle and resized, 32×32 pixels" in text
    assert "7 of 24 images could not be read: train/cat/___b_.png, train/cat/1.png," in text
    assert text.endswith("and 2 more.") and data.describe("digits", (1, 1, 1)) == ""


def test_a_class_without_a_readable_image_and_a_folder_without_one(root: Path) -> None:
    folder = pets(root)
    for path in folder.glob("test/dog/*"):
        path.write_text("")
    with pytest.raises(data.DataError) as error:
        data.load("pets")
    assert refused(error) == (
        "pets/test/dog has no image that can be read: replace its 3 files, or take the class away."
    )
    for path in folder.glob("*/*/*"):
        path.write_text("")
    with pytest.raises(data.DataError) as error:
        data.load("pets")
    assert refused(error).startswith("pets has no image that can be read, train/cat/0.png is the first of 12")


# Published sets keep their rules


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        *(
            (fault, "cifar10/test/cat/0.png cannot be read")
            for name, fault in BROKEN.items()
            if name != "16 bits"
        ),
        (BROKEN["16 bits"], "cifar10/test/cat/0.png has pixels of kind I;16"),
        (
            lambda path: paint(path, noise(1, 6, 7)),
            "cifar10/test/cat/0.png is 7×6 pixels and the first image of the set 32×32",
        ),
        (
            lambda path: paint(path, noise(1, 32, 1)),
            "cifar10/test/cat/0.png is 1×32 pixels and the first image of the set 32×32",
        ),
    ],
)
def test_a_published_set_is_refused_with_a_broken_or_another_image_in_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object], expected: str
) -> None:
    known = data.CATALOGUE["cifar10"]
    monkeypatch.setitem(data.CATALOGUE, "cifar10", replace(known, train_size=20, test_size=10))
    for kind in known.classes:
        for path in (f"train/{kind}/0.png", f"train/{kind}/1.png", f"test/{kind}/0.png"):
            paint(root / "cifar10" / path, noise(len(path), 32, 32))
    paint(root / "cifar10/val/emu/0.png", noise(1))  # what lies beside its parts is left alone
    dataset = data.load("cifar10")
    assert len(dataset.train) == 20 and not hasattr(dataset, "validation")
    spoil(root / "cifar10/test/cat/0.png")
    with pytest.raises(data.DataError) as error:
        data.load("cifar10")
    assert refused(error).startswith(expected)


# Sizes of parts


@pytest.mark.parametrize(
    ("parts", "count", "asked", "expected"),
    [
        (("train",), 150, (1000, 1000, 2000), (150, 50, 100)),  # halves, sixths and thirds of 300
        (("train",), 150, (1000, 30, 40), (150, 30, 40)),  # and never more than asked
        (("train",), 150, (100, 60, 140), (100, 60, 140)),  # what fits is left alone
        (("train",), 150, (101, 60, 140), (101, 50, 100)),
        (("train", "test"), 20, (1000, 1000, 2000), (30, 10, 40)),  # three quarters and one of 40
        (("train", "val"), 20, (1000, 1000, 2000), (24, 40, 16)),  # three fifths and two of 40
        (("train", "val", "test"), 20, (1000, 30, 2000), (40, 30, 40)),
    ],
)
def test_parts_are_at_most_what_is_asked_for_in_fixed_shares(
    root: Path, parts: tuple[str, ...], count: int, asked: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    pets(root, parts, count)
    assert data.fitted_sizes("pets", *asked) == expected
    data.check_split("pets", *expected)
    assert tuple(map(len, vars(data.split_own(data.load("pets"), *expected, 0)).values())) == expected


def test_sizes_of_a_published_set_are_never_changed() -> None:
    assert data.fitted_sizes("digits", 5000, 1000, 5000) == (5000, 1000, 5000)
    assert data.fitted_sizes("cifar10", 10**6, 1, 1) == (10**6, 1, 1)
    assert data.fewest_of_a_class("digits", 600) == 59


def test_a_class_with_too_few_images_for_the_split_is_named(root: Path) -> None:
    folder = pets(root, ("train",), 30)
    for number in range(2, 30):
        (folder / f"train/dog/{number}.png").unlink()
    with pytest.raises(SettingError) as error:
        LabelNoiseConfig(dataset="pets")
    assert refused(error) == (
        "pets has too few images of class 'dog', 2 of 32, for 16 training, 5 validation and 10 test images:"
        " add some, or take the class away."
    )
    assert data.fewest_of_a_class("pets", 16) == 1


def test_one_class_is_refused_in_a_sentence(root: Path) -> None:
    paint(root / "alone/train/cat/1.png", noise(1))
    with pytest.raises(data.DataError, match="alone/train holds one class folder: it needs at least two"):
        data.load("alone")


def test_every_class_of_an_own_folder_is_its_own_coarse_class(root: Path) -> None:
    pets(root)
    groups, places = coarse("pets")
    assert groups == ("cat", "dog") and places.tolist() == [0, 1]


# By name in every idea


@pytest.mark.parametrize("slug", SLUGS)
def test_own_folders_are_choices_wherever_they_lie_by_now(root: Path, slug: str) -> None:
    config = idea.load(slug).config
    assert config.setting("dataset").found == ()
    photographs(root / "my_pictures" / "train", 25)
    declared = config.setting("dataset")
    assert declared.found == ("my_pictures",) and declared.choices[-1] == "my_pictures"
    few = {"labels": 2} if slug != "label_noise" else {}
    for text, name in (
        ("my_pictures", "my_pictures"),
        ("my pictures", "my_pictures"),
        ("my pictures@16", "my_pictures@16"),
        ("my_pictures@16", "my_pictures@16"),
    ):
        built = config(dataset=text, **few)
        assert built.dataset == name and config(**json.loads(built.canonical())) == built
    for wrong in ("her_pictures", "digits@16", "my_pictures@4", "my_pictures@x"):
        with pytest.raises(SettingError) as error:
            config(dataset=wrong, **few)
        assert repr(wrong) in refused(error)
    assert declared.rule.endswith("my_pictures, also with a side as in my_pictures@64")


def test_a_run_is_another_once_the_folder_has_changed(root: Path) -> None:
    folder = pets(root, ("train",), 12)
    config, digits = LabelNoiseConfig(dataset="pets"), LabelNoiseConfig()
    before = runs.identity("label_noise", config, (0,)), runs.identity("label_noise", digits, (0,))
    paint(folder / "train/dog/0.png", noise(77))
    os.utime(folder / "train/dog/0.png", ns=(0, 1))
    assert runs.identity("label_noise", config, (0,)) != before[0]
    assert runs.identity("label_noise", digits, (0,)) == before[1]


@pytest.mark.parametrize("slug", SLUGS)
def test_an_idea_runs_on_an_own_folder_and_names_it(
    root: Path, slug: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs(root / "my_pictures", 20)
    (root / "my_pictures/temple/3.jpg").write_text("broken")
    quick = idea.load(slug).quick.changed() | {"dataset": "my_pictures@16"}
    quick |= {"batch_size": 10} | ({"labels": 2} if "labels" in quick else {})
    quick |= {"experiment": "mixing"} if slug == "feature_mixing" else {}  # the only part that reads it
    flags = [word for name, value in quick.items() for word in (f"--{name}", str(value))]
    status = main(["run", slug, *flags, "--seeds", "1"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    sizes = idea.load(slug).part_sizes(idea.load(slug).config(**quick))
    assert sum(sizes) <= 59 and min(sizes) >= 9 and sizes[0] == 29
    assert "my_pictures: 59 images of 3 classes, cut to the square in their middle" in printed.out
    assert f"test images: {sizes[0]}, {sizes[1]}, {sizes[2]}." in printed.out
    assert "1 of 60 images could not be read: temple/3.jpg." in printed.out
    (saved,) = runs.all_runs()[0]
    assert saved.config["dataset"] == "my_pictures@16"
    assert all(np.isfinite(metric["mean"]) for metric in saved.metrics.values())


def test_a_result_as_json_names_the_own_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pets(root, ("train",), 12)
    assert main(["run", "label_noise", "--dataset", "pets", "--epochs", "1", "--seeds", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"].startswith("pets: 24 images")


def test_a_folder_that_cannot_be_used_is_bad_usage(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pets(root, ("train",))
    for words_given, expected in (
        (["label_noise", "--dataset", "pets"], "pets has too few images of class 'cat', 3 of 6"),
        (["label_noise", "--dataset", "pets@5"], "The side in 'pets@5' must be a whole number between 8"),
        (["feature_mixing", "--dataset", "pet"], "feature_mixing.dataset must be one of digits, mnist"),
    ):
        status, printed = main(["run", *words_given]), capsys.readouterr()
        assert (status, printed.out) == (2, "") and printed.err.count("\n") == 1 and expected in printed.err


def test_explanations_of_an_own_folder_take_the_images_that_were_asked_for(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their sizes are exact: what the folder lacks is a sentence, before anything is computed."""
    photographs(root / "my_pictures" / "train", 20)
    photographs(root / "my_pictures" / "test", 4)
    subject = idea.load("hierarchical_explanation")
    quick = subject.quick.changed() | {"dataset": "my_pictures@16"}

    def run(**changes: object) -> int:
        flags = [word for name, value in (quick | changes).items() for word in (f"--{name}", str(value))]
        return main(["run", "hierarchical_explanation", *flags, "--seeds", "1"])

    assert run() == 0
    printed = capsys.readouterr().out
    assert "my_pictures: 72 images of 3 classes" in printed
    assert "training, validation and test images: 40, 10, 10." in printed
    (saved,) = runs.all_runs()[0]
    assert saved.config["dataset"] == "my_pictures@16"
    undefined = {"three_recovered", "shuffled_recovered"}  # there is no grammar
    assert not undefined & set(saved.metrics)
    assert run(train_items=40, classifier_items=20) == 2
    message = (
        "my_pictures@16 has 60 images in its training part, and this run takes 60 (training) and 10"
        " (validation): set fewer, or add images.\n"
    )
    assert capsys.readouterr() == ("", message)
    assert run(train_items=30) == 0 and run(test_items=13) == 2
    assert "has 12 images in its test part, and this run takes 13 (test): set" in capsys.readouterr().err
    assert run(dataset="my_pictures@5") == 2 and "between 8 and 256" in capsys.readouterr().err


def test_the_page_of_explanations_states_what_an_own_folder_lacks(root: Path) -> None:
    photographs(root / "my_pictures", 20)
    app = opened("hierarchical_explanation", act="Train", dataset="my_pictures@16")
    if "Reading my_pictures@16" in words(app):
        folder_reading._readings["my_pictures@16"].wait(30)
        app.run()
    (error,) = app.error
    assert error.value.startswith(
        "my_pictures@16 has 60 images in its training part, and this run takes 1,200"
    )
    assert not app.exception and "hierarchical_explanation-train" not in {one.key for one in app.button}


@pytest.mark.parametrize("slug", ["learned_salience", "inverted_unet", "saliency"])
def test_ideas_that_need_a_known_cause_or_masks_say_so_of_own_folders(root: Path, slug: str) -> None:
    photographs(root / "my_pictures", 2)
    declared = idea.load(slug).config.setting("dataset")
    assert "my_pictures" not in declared.choices and "wn folders" in declared.help


# Progress


def test_reading_reports_every_image_and_can_be_ended_or_deferred(root: Path) -> None:
    pets(root, ("train",), 4)
    seen: list[tuple[int, int]] = []
    with own_folders.deferred(), pytest.raises(own_folders.Unread) as error:
        data.entry("pets@16")
    assert error.value.name == "pets@16"

    def until_the_third(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with own_folders.reported_to(until_the_third), pytest.raises(KeyboardInterrupt):
        data.load("pets@16")
    assert seen == [(0, 8), (1, 8), (2, 8)]
    seen.clear()
    with own_folders.reported_to(lambda *now: seen.append(now)):
        data.load("pets@16")
        assert seen == [(done, 8) for done in range(8)]  # nothing of the ended reading was kept
        data.load("pets@16")
    assert len(seen) == 8  # from the cache
    with own_folders.deferred():
        assert data.entry("pets@16").train_size == 8


def test_the_command_line_draws_a_bar_while_a_folder_is_read(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pets(root, ("train",), 12)
    words_given = ["run", "label_noise", "--dataset", "pets", "--epochs", "1", "--seeds", "1"]
    assert main([*words_given, "--progress"]) == 0
    assert "reading images:" in capsys.readouterr().err
    assert main([*words_given, "--progress"]) == 0
    assert "reading images:" not in capsys.readouterr().err  # it is read by now


def reading_page() -> None:
    import streamlit as st

    from mlcv_explore import data
    from mlcv_explore.data import own_folders
    from mlcv_explore.ui import folder_reading

    try:
        with own_folders.deferred():
            st.text(data.entry("pets@16").train_size)
    except own_folders.Unread as unread:
        folder_reading.show("demo", unread.name)


def test_a_long_reading_shows_count_and_time_left_and_is_cancelled(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets(root, ("train",), 4)
    go_on, seen = Event(), []

    def slow(path: Path, name: str, **options: object) -> np.ndarray:
        seen.append(name)
        assert len(seen) < 4 or go_on.wait(30)
        return read_dataset_image(path, name, **options)

    monkeypatch.setattr(folder, "read_dataset_image", slow)
    app = AppTest.from_function(reading_page, default_timeout=30).run()
    (reading,) = [known for name, known in folder_reading._readings.items() if name == "pets@16"]
    assert reading.under_way and "Reading pets@16: 3 of 8 images · about" in app.get("progress")[0].proto.text
    app.button(key="demo-reading-cancel").click().run()
    assert "Reading pets@16 was cancelled." in words(app) and not app.get("progress")
    go_on.set()
    reading.wait(30)
    assert len(seen) == 4 and not reading.under_way and not reading.error
    app.button(key="demo-read").click().run()
    folder_reading._readings["pets@16"].wait(30)
    assert app.run().text[0].value == "8" and not app.button and not app.exception


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "pets@16 could not be read (MemoryError); the server's log has the details."),
        (data.DataError("no image"), "pets has no image that can be read"),  # each is skipped
    ],
)
def test_a_reading_that_breaks_late_is_told_and_begins_again_on_demand(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    pets(root, ("train",), 4)
    go_on, seen, looks, look = Event(), [], [], folder_reading.Reading.look

    def breaks(path: Path, name: str, **options: object) -> np.ndarray:
        seen.append(name)
        assert go_on.wait(30)
        raise error

    def look_and_let_go(reading: folder_reading.Reading, visitor: str) -> None:
        look(reading, visitor)
        looks.append(visitor)
        if len(looks) == 2:  # its progress is shown
            go_on.set()
            reading.wait(30)

    with monkeypatch.context() as broken:
        broken.setattr(folder, "read_dataset_image", breaks)
        app = AppTest.from_function(reading_page, default_timeout=30).run()
        assert app.get("progress") and not app.error
        broken.setattr(folder_reading.Reading, "look", look_and_let_go)
        broken.setattr(folder_reading, "SHORT", 0.0)
        app.run().run()
        (told,) = [message.value for message in app.error]
        assert told.startswith(sentence) and not app.get("progress") and not app.exception
        assert len(seen) == len(set(seen))  # it was read once
    app.button(key="demo-read").click().run()
    folder_reading._readings["pets@16"].wait(30)
    assert app.run().text[0].value == "8" and not app.error


def test_a_hidden_tab_that_looks_once_a_minute_keeps_its_reading(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets(root, ("train",), 4)
    clock = SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(folder_reading, "time", clock)
    reading = folder_reading.reading_of("pets@16", "a visitor", anew=True)
    reading.wait(30)
    clock.now += 120  # a look that came late
    reading._progress(1, 8)
    clock.now += 600
    with pytest.raises(folder_reading._Abandoned):
        reading._progress(2, 8)


def test_the_page_offers_the_folder_and_takes_a_side(root: Path) -> None:
    photographs(root / "my_pictures", 20)
    app = opened("label_noise", act="Train", dataset="my_pictures@16")
    box = app.selectbox(key="label_noise-dataset")
    assert not app.exception and box.value == "my_pictures@16" and "my pictures" in box.options
    assert "60 images of 3 classes" in words(app) and "16×16 pixels" in words(app)
    box.set_value("my_pictures").run()
    assert not app.exception and "resized, 32×32 pixels" in words(app)
    box.set_value("digits").run()
    assert not app.exception and "images of 3 classes" not in words(app)
