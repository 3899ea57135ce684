"""Features at four layers of the ImageNet network: what ships, what is refused, how it is
computed.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.command import main
from mlcv_explore.models import imagenet, layer_features

CARD = json.loads((layer_features.FOLDER / "card.json").read_text(encoding="utf-8"))


def test_every_file_is_small_and_its_card_states_where_it_comes_from() -> None:
    assert {path.stem for path in layer_features.FOLDER.glob("*.safetensors")} == {*layer_features.CONTENT}
    assert CARD["files"].keys() == layer_features.CONTENT.keys()
    for part, about in CARD["files"].items():
        content = (layer_features.FOLDER / f"{part}.safetensors").read_bytes()
        assert about == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert len(content) < 4e6 and about["sha256"].startswith(layer_features.CONTENT[part])
        assert all(np.isfinite(values).all() for values in layer_features.read(part).values())
    assert sum(CARD["rows"].values()) == layer_features.COUNT == 6700
    assert CARD["network"]["sha256"] == imagenet.SHA256
    assert CARD["command"] == "python -m mlcv_explore features cifar10 --seed 0 --layers"
    assert "Krizhevsky" in CARD["licence"] and "MIT" in CARD["licence"] and "CC BY 4.0" in CARD["licence"]


def test_features_are_what_the_network_gives_in_components_of_mean_variance_1() -> None:
    """Noise is generated, so its features can be made again from nothing."""
    features = layer_features.of_images(layer_features.noise(0, 400)[:3])
    assert torch.allclose(features, layer_features.outliers()["noise"][:3], atol=0.02, rtol=0.01)
    assert features.shape == (3, sum(layer_features.SIZES))
    train = layer_features.dataset().train.as_float()
    assert train.mean(0).abs().max() < 0.05
    spread = [part.var(0).mean() for part in train.split(layer_features.SIZES, 1)]
    assert np.allclose(spread, 1, atol=0.02)


def test_as_many_photographs_of_every_class_and_outliers_of_every_kind() -> None:
    whole = layer_features.dataset()
    for part, count in ((whole.train, 350), (whole.test, 120)):
        assert np.bincount(part.labels).tolist() == [count] * 10
        assert part.classes == data.CATALOGUE["cifar10"].classes
    shapes = {name: tuple(values.shape) for name, values in layer_features.outliers().items()}
    assert shapes == dict.fromkeys(layer_features.OUTLIERS, (400, sum(layer_features.SIZES)))


@pytest.mark.parametrize(("damage", "reason"), [("altered", "another SHA-256"), ("missing", "No such file")])
def test_a_missing_or_altered_file_is_one_sentence(
    damage: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(layer_features.FOLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(layer_features, "FOLDER", tmp_path)
    layer_features.projection.cache_clear()
    for part, reading in (
        ("train", layer_features.dataset),
        ("test", layer_features.dataset),
        ("outliers", layer_features.outliers),
        ("projection", layer_features.projection),
    ):
        file = tmp_path / f"{part}.safetensors"
        content = file.read_bytes()
        file.unlink()
        if damage == "altered":
            file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(data.DataError) as error:
            reading()
        cure = rf"bring back assets/data/cifar10_layers/{part}\.safetensors as it was shipped\.$"
        error.match(rf"^cifar10_layers/{part}\.safetensors .*\({reason}.*\): {cure}")
        file.write_bytes(content)
        assert reading()


def test_the_set_is_computed_from_some_photographs_of_every_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws, classes = np.random.default_rng(0), data.CATALOGUE["cifar10"].classes

    def images(count: int) -> np.ndarray:
        return draws.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)

    train, test = (data.Images(images(10 * each), np.repeat(np.arange(10), each), classes) for each in (6, 3))
    others = {name: images(2) for name in layer_features.OUTLIERS}
    monkeypatch.setattr(layer_features, "A_CLASS", {"train": 4, "test": 2})
    monkeypatch.setattr(layer_features, "SIZES", (8, 8, 8, 8))
    monkeypatch.setattr(layer_features, "_outliers", lambda seed, count: others)
    seen: list[int] = []
    arrays, about = layer_features.compute(data.Dataset("cifar10", train, test, "made up"), 5, seen.append)
    assert sum(seen) == sum(about["rows"].values()) == 40 + 20 + 10 and about["photographs"] == "made up"
    assert np.bincount(arrays["train"]["labels"]).tolist() == [4] * 10
    assert np.bincount(arrays["test"]["labels"]).tolist() == [2] * 10
    card = layer_features.write(tmp_path, arrays, about)
    assert json.loads((tmp_path / "card.json").read_text(encoding="utf-8")) == card
    monkeypatch.setattr(layer_features, "FOLDER", tmp_path)
    written = {part: file["sha256"] for part, file in card["files"].items()}
    monkeypatch.setattr(layer_features, "CONTENT", written)
    layer_features.projection.cache_clear()
    again = layer_features.of_images(others["digits"])
    assert torch.allclose(again, layer_features.outliers()["digits"], atol=0.05, rtol=0.02)
    stored = layer_features.dataset()
    for part, every in ((stored.train, train), (stored.test, test)):
        nearest = torch.cdist(part.as_float(), layer_features.of_images(every.images)).min(1)
        assert nearest.values.max() < 0.1 and np.array_equal(every.labels[nearest.indices], part.labels)
    layer_features.projection.cache_clear()


def test_the_command_needs_the_photographs_and_one_kind_of_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    monkeypatch.delenv("MLCV_DATA", raising=False)
    assert main(["features", "cifar10", "--layers"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("cifar10 is not here: ") and err.count("\n") == 1
    assert main(["features", "cifar10", "--layers", "--all"]) == 2
    assert "not allowed with argument" in capsys.readouterr().err
