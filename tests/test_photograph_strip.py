"""The strip of photographs beside a set of features: the reader's own, else free ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from mlcv_explore import data
from mlcv_explore.data import example_photographs


def page(dataset: str) -> None:
    from mlcv_explore.ui import photograph_strip

    photograph_strip.show(dataset)


def shown(dataset: str) -> tuple[list[str], str]:
    """The alt texts of the photographs, and the caption."""
    app = AppTest.from_function(page, kwargs={"dataset": dataset}).run()
    assert not app.exception
    alts = [image.alt for strip in app.get("image") for image in strip.proto.imgs]
    return alts, " ".join(caption.value for caption in app.caption)


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like CIFAR-10's with the few photographs that the strip shows, each in a
    colour of its own, and one beside them.
    """
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    train = data.load("cifar10_features").train
    for label, kind in enumerate(train.classes):
        place = int(train.places[train.labels == label][0])
        for number in range(place + 2):
            path = tmp_path / "cifar10" / "train" / kind / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            colour = (25 * label, 200, 0) if number == place else (0, 0, 255)
            Image.new("RGB", (32, 32), colour).save(path)
    return tmp_path / "cifar10"


def test_the_photographs_are_those_behind_the_first_features_of_each_class(cifar: Path) -> None:
    photographs = example_photographs.behind("cifar10_features")
    assert list(photographs) == list(data.entry("cifar10_features").classes)
    for label, pixels in enumerate(photographs.values()):
        assert pixels.shape == (32, 32, 3) and np.all(pixels == (25 * label, 200, 0))
    alts, caption = shown("cifar10_features")
    assert alts[0] == "Photograph: airplane" and len(alts) == 10 and "64 numbers of each." in caption


def test_free_photographs_stand_in_where_the_set_is_not_here_or_not_whole(
    cifar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (cifar / "train" / "cat").iterdir():
        path.unlink()
    assert example_photographs.behind("cifar10_features") == {}
    monkeypatch.setenv("MLCV_DATA", str(cifar))
    free = example_photographs.free()
    assert {pixels.shape for pixels in free.values()} == {(64, 64, 3)}
    alts, caption = shown("cifar10_features")
    assert (
        alts == [f"Photograph: {title}" for title in free]
        and "photograph of CIFAR-10, which is not here" in caption
    )


def test_images_that_can_be_drawn_have_no_strip() -> None:
    assert shown("digits") == ([], "") and shown("my_folder@64") == ([], "")
