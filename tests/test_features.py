"""Features of photographs: what ships, how it was computed, and what is refused."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mlcv_explore import data, idea
from mlcv_explore.command import main
from mlcv_explore.config import SettingError
from mlcv_explore.data import features
from mlcv_explore.data.dataset import content_fingerprint
from mlcv_explore.ideas.label_noise import LabelNoiseConfig
from mlcv_explore.models import imagenet, photograph_features

NAME, FULL = "cifar10_features", "cifar10_features_full"


@pytest.fixture(scope="module")
def shipped() -> data.Dataset:
    return data.load(NAME)


@pytest.fixture(scope="module")
def card() -> dict:
    return features.read(features.file(NAME))[1]


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped file in a folder of the test, its card beside it."""
    for suffix in (".safetensors", ".json"):
        shutil.copy(features.SHIPPED / f"{NAME}{suffix}", tmp_path)
    monkeypatch.setattr(features, "SHIPPED", tmp_path)
    return tmp_path / f"{NAME}.safetensors"


def photographs(count: int, seed: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


# What ships


def test_the_set_has_the_declared_sizes_and_as_many_of_every_class(shipped: data.Dataset) -> None:
    known = data.CATALOGUE[NAME]
    for part, size in ((shipped.train, 10_000), (shipped.test, 2_000)):
        assert part.images.shape == (size, *known.shape[:1]) and part.images.dtype == np.float16
        assert np.bincount(part.labels).tolist() == [size // 10] * 10
        assert part.classes == data.CATALOGUE["cifar10"].classes
        with pytest.raises(ValueError, match="read-only"):
            part.images[0] = 0


def test_no_photograph_is_there_twice_and_none_in_both_parts(shipped: data.Dataset) -> None:
    for part, in_all in ((shipped.train, 5_000), (shipped.test, 1_000)):
        assert part.places.min() >= 0 and part.places.max() < in_all
        assert len(set(zip(part.labels, part.places, strict=True))) == len(part)
    rows = [{row.tobytes() for row in part.images} for part in (shipped.train, shipped.test)]
    assert len(rows[0]) > 9_990 and not rows[0] & rows[1]  # CIFAR-10 itself has a few photographs twice


def test_features_are_centred_uncorrelated_and_of_unit_mean_variance(shipped: data.Dataset) -> None:
    values = shipped.train.images.astype(np.float64)
    covariance = np.cov(values.T)
    variances = np.diag(covariance)
    assert np.isfinite(values).all() and np.abs(values).max() < 20
    assert values.mean(0) == pytest.approx(np.zeros(64), abs=0.003)
    assert variances.mean() == pytest.approx(1, abs=0.003)
    # one scale for all: the spectrum stays, steep and falling
    assert (np.diff(variances) < 0).all() and variances[0] > 10 * variances[-1]
    off = covariance - np.diag(variances)
    assert np.abs(off).max() < 0.01


def test_a_linear_classifier_has_the_stated_accuracy(card: dict) -> None:
    """Nothing saturates: digits are at 97 %."""
    arrays, _ = features.read(features.file(NAME))
    accuracy = photograph_features.linear_accuracy(arrays, card["seed"])
    assert card["linear_accuracy"]["labels"] == 4_000
    assert accuracy == pytest.approx(card["linear_accuracy"]["accuracy"], abs=0.005)
    assert 0.70 < accuracy < 0.78


def test_the_card_states_where_it_comes_from(card: dict, shipped: data.Dataset) -> None:
    content = features.file(NAME).read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest() and card["bytes"] == len(content) < 2_000_000
    assert card["fingerprint"] == shipped.fingerprint == data.CATALOGUE[NAME].content
    assert card["network"]["sha256"] == imagenet.SHA256 and card["rows"] == {"train": 10_000, "test": 2_000}
    assert "Krizhevsky" in card["licence"] and card["command"] == f"{features.COMMAND} --seed 0"
    assert 0.5 < card["explained_variance"] < 1


def test_the_content_has_another_fingerprint_when_a_number_or_a_label_changes(shipped: data.Dataset) -> None:
    part, moved = shipped.test, shipped.test.images.copy()
    moved[7, 3] += 1
    others = replace(part, images=moved), replace(part, labels=np.roll(part.labels, 1))
    assert len({content_fingerprint(shipped.train, other) for other in (part, *others)}) == 3


# In the place of images


def test_as_float_is_what_is_stored(shipped: data.Dataset) -> None:
    chosen = shipped.train.take(np.array([5, 9_999, 0]))
    tensor = chosen.as_float()
    assert tensor.dtype == torch.float32 and tensor.shape == (3, 64)
    assert np.array_equal(tensor.numpy(), shipped.train.images[[5, 9_999, 0]].astype(np.float32))
    assert np.array_equal(chosen.places, shipped.train.places[[5, 9_999, 0]])


def test_a_split_takes_its_test_part_from_the_official_one(shipped: data.Dataset) -> None:
    split = data.split(shipped, 300, 100, 200, 3)
    official = {row.tobytes() for row in shipped.test.images}
    assert {row.tobytes() for row in split.test.images} <= official
    assert np.bincount(split.train.labels).tolist() == [30] * 10
    assert not {row.tobytes() for row in split.train.images} & {
        row.tobytes() for row in split.validation.images
    }


def test_features_are_no_images() -> None:
    """A network of convolutions is refused, and so are arrays with height and width."""
    assert {name for name, known in data.CATALOGUE.items() if known.kind == "features"} == {NAME, FULL}
    with pytest.raises(SettingError, match=f"^network must be mlp on {NAME}.*, got 'resnet'"):
        LabelNoiseConfig(dataset=NAME, network="resnet")
    labels = np.zeros(2, np.int64)
    for images in (np.zeros((2, 1, 8, 8), np.uint8), np.zeros((2, 64), np.float32)):
        with pytest.raises(ValueError, match=r"features must be float16 \(n, d\)"):
            data.Features(images, labels, ("a",), places=labels)
    vectors = np.zeros((2, 4), np.float16)
    with pytest.raises(ValueError, match="places must be int64"):
        data.Features(vectors, labels, ("a",))
    with pytest.raises(ValueError, match=r"labels must lie in 0–0, got 1–1\."):
        data.Features(vectors, labels + 1, ("a",), places=labels)


def test_an_idea_that_offers_features_can_be_set_to_them() -> None:
    offering = set()
    for card in idea.cards():
        subject = idea.load(card.slug)
        names = {declared.name: declared for declared in subject.config.settings()}
        if "dataset" in names and NAME in names["dataset"].choices:
            offering.add(card.slug)
            assert subject.quick.replace(dataset=NAME).dataset == NAME
    assert "label_noise" in offering


# What is refused


def damage(file: Path, how: str) -> None:
    content, card = file.read_bytes(), json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    if how == "one bit":
        content = content[:-1] + bytes([content[-1] ^ 1])
    elif how == "half":
        content = content[: len(content) // 2]
    elif how == "no tensors":
        content = b"{}" * 100
        card["sha256"] = hashlib.sha256(content).hexdigest()
    elif how == "no card":
        card = []
    file.write_bytes(content)
    file.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")


@pytest.mark.parametrize("how", ["one bit", "half", "no tensors", "no card"])
def test_a_damaged_file_is_refused_in_one_sentence(copied: Path, how: str) -> None:
    assert data.load(NAME).fingerprint == data.CATALOGUE[NAME].content
    damage(copied, how)
    with pytest.raises(data.DataError, match=rf"^{NAME} is damaged \(.*\): bring back assets/data/.*\.$"):
        data.load(NAME)


def test_another_set_of_that_name_is_refused(copied: Path) -> None:
    """Whole and with a card of its own: the fingerprints of ideas would be wrong."""
    arrays, card = features.read(copied)
    swapped = arrays | {"train_labels": np.roll(arrays["train_labels"], 1)}
    features.write(copied.parent, NAME, swapped, card)
    with pytest.raises(data.DataError, match=f"^{NAME} is not the set that ships"):
        data.load(NAME)
    features.write(copied.parent, NAME, arrays, card)
    assert data.load(NAME).fingerprint == card["fingerprint"]
    fewer = {name: values[:-1] if name.startswith("test") else values for name, values in arrays.items()}
    features.write(copied.parent, NAME, fewer, card)
    with pytest.raises(data.DataError, match="its parts must have shapes"):
        data.load(NAME)


def test_the_whole_set_is_offered_and_says_how_it_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    assert not data.available()[FULL].present
    with pytest.raises(
        data.DataError, match=rf"^{FULL} is not here: run `.* features cifar10 --all`"
    ) as error:
        data.load(FULL)
    assert str(error.value) == data.available()[FULL].sentence
    monkeypatch.setenv("MLCV_PUBLIC", "1")
    assert data.available()[FULL].sentence.endswith("is not on this server.")


# How it was computed


def test_images_are_resized_as_pillow_does() -> None:
    """To two roundings; of little contrast, since Pillow clips between its two passes."""
    (image,) = photographs(1, 0) // 4 + 96
    resized = 255 * photograph_features.resized(image[None])[0].numpy().transpose(1, 2, 0)
    pixels = Image.fromarray(image.transpose(1, 2, 0))
    expected = np.asarray(pixels.resize((128, 128), Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(resized - expected).max() <= 1.2


def test_the_last_layer_makes_the_networks_logits_of_the_features() -> None:
    images, seen = photographs(3, 1, 128), []
    computed = photograph_features.penultimate(images, seen.append)
    network = imagenet.load().network
    logits = network(torch.from_numpy(images).float() / 255)
    assert computed.shape == (3, 1280) and computed.dtype == np.float32 and sum(seen) == 3
    ours = network[1].classifier(torch.from_numpy(computed))
    torch.testing.assert_close(ours, logits, rtol=1e-3, atol=1e-3)


def test_the_projection_keeps_the_spectrum_at_unit_mean_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of independent columns with variances 25, 9, 4, 1 and 0.01: the columns themselves."""
    monkeypatch.setattr(photograph_features, "COMPONENTS", 3)
    variances = np.array([1, 25, 0.01, 4, 9])
    values = np.random.default_rng(0).standard_normal((20_000, 5)) * np.sqrt(variances) + 7
    projection, explained = photograph_features.fit(values)
    projected = photograph_features.project(values, projection).astype(float)
    assert explained == pytest.approx(38 / 39.01, abs=0.002)
    assert projected.var(0) == pytest.approx(np.array([25, 9, 4]) / (38 / 3), rel=0.03)
    assert np.abs(np.corrcoef(projected[:, 0], values[:, 1])[0, 1]) > 0.999


def test_a_set_is_computed_from_the_photographs_that_its_places_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = data.CATALOGUE["cifar10"].classes
    train, test = (
        data.Images(photographs(10 * count, count), np.repeat(np.arange(10), count), classes)
        for count in (6, 3)
    )
    monkeypatch.setattr(photograph_features, "A_CLASS", {"train": 4, "test": 2})
    monkeypatch.setattr(photograph_features, "COMPONENTS", 8)
    monkeypatch.setattr(photograph_features, "LABELS", 40)
    seen: list[int] = []
    arrays, about = photograph_features.compute(
        data.Dataset("cifar10", train, test, "generated"), 5, False, seen.append
    )
    assert sum(seen) == 60 and about["rows"] == {"train": 40, "test": 20}
    part = features.part_of(arrays, "test", classes)
    rows = part.rows_in(test)
    assert len(set(rows.tolist())) == 20 and np.array_equal(test.labels[rows], part.labels)
    again = photograph_features.project(photograph_features.penultimate(test.images[rows]), arrays)
    assert again.astype(float) == pytest.approx(part.images.astype(float), abs=0.02)
    others, _ = photograph_features.compute(data.Dataset("cifar10", train, test, ""), 6, False)
    assert not np.array_equal(others["train_places"], arrays["train_places"])
    card = features.write(tmp_path, NAME, arrays, about)
    assert features.read(tmp_path / f"{NAME}.safetensors")[1] == card


def test_the_command_needs_the_photographs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    monkeypatch.delenv("MLCV_DATA", raising=False)
    assert main(["features", "cifar10"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("cifar10 is not here: ") and err.count("\n") == 1
    assert main(["features", "svhn"]) == 2
    assert capsys.readouterr().err == "dataset must be one of cifar10, got 'svhn'.\n"
