"""Where photographs are taken from, and that CIFAR-10's own are shown to their owner alone."""

from pathlib import Path

import numpy as np
import pytest

from mlcv_explore import data
from mlcv_explore.ui import photograph_input


def test_test_photographs_are_offered_where_they_are_and_never_to_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    assert photograph_input.sources() == ("Gallery", "Upload")
    (tmp_path / "cifar10").mkdir()
    assert photograph_input.sources() == ("Gallery", "Upload", "CIFAR-10")
    assert "CIFAR-10" in photograph_input.link_names("first")["photo-first-source"]
    monkeypatch.setenv("MLCV_PUBLIC", "1")
    assert photograph_input.sources() == ("Gallery", "Upload")


def test_test_photographs_go_from_class_to_class(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.array([1, 0, 1, 0])
    images = np.arange(4, dtype=np.uint8).repeat(3 * 4).reshape(4, 3, 2, 2)
    part = data.Images(images, labels, ("bird", "cat"))
    monkeypatch.setattr(photograph_input, "originals", lambda: data.Dataset("cifar10", part, part, ""))
    shown = [photograph_input._test_photograph(number) for number in range(4)]
    assert [word for _, word in shown] == ["bird", "cat", "bird", "cat"]
    assert [int(image.pixels.max()) for image, _ in shown] == [1, 0, 3, 2]
    assert shown[0][0].pixels.shape == (2, 2, 3)
