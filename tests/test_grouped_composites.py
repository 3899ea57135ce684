"""Composites with classes: objects held out, the same objects on swapped backgrounds, and
how often the background's brightness names the class.
"""

from pathlib import Path

import numpy as np
import pytest

from mlcv_explore.data import grouped_composites
from mlcv_explore.data.dataset import DataError
from tests import composite_files

NAMES = {
    "animal": [f"animals__a{number}" for number in range(4)],
    "plant": ["plants__a", "food__b", "food__c"],
    "artefact": ["vehicles__a", "sports__b"],
}
COLOURS = {"animal": (0, 0, 250), "plant": (0, 250, 0), "artefact": (250, 250, 0)}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine objects of three classes, a colour each, and one of none."""
    objects = {name: (COLOURS[group], "") for group, names in NAMES.items() for name in names}
    composite_files.write(tmp_path, objects | {"space__moon": ((9, 9, 9), "")})
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    return tmp_path


def test_a_class_is_a_group_of_names_and_its_objects_are_taught_or_held_out(small: Path) -> None:
    every = grouped_composites.groups()
    assert [sorted(one.path.stem for one in members) for members in every] == [
        sorted(names) for names in NAMES.values()
    ]
    splits = [grouped_composites.split(every, seed) for seed in range(5)]
    for training, held in splits:
        for whole, taught, kept in zip(every, training, held, strict=True):
            assert {*taught} | {*kept} == {*whole} and not {*taught} & {*kept} and taught and kept
    assert len({held for _, held in splits}) > 1
    assert [len(members) for members in splits[0][1]] == [1, 1, 1]
    (small / "cutouts/cutouts.csv").write_text("file,imagenet_class\nanimals__a0.png,\nanimals__a1.png,\n")
    with pytest.raises(DataError, match="class plant of composites needs two cut-outs"):
        grouped_composites.groups()


def test_swapped_images_have_the_same_objects_in_the_same_places(small: Path) -> None:
    made = grouped_composites.generate(grouped_composites.groups(), 90, 3, "a test", 1.0, 32)
    assert made.labels.bincount().tolist() == [30, 30, 30]
    inside = (made.masks == 1)[:, None].expand_as(made.images)
    assert (made.images != made.swapped).any()
    for images in (made.images, made.swapped):
        for image, mask, label in zip(images, made.masks, made.labels, strict=True):
            colour = image[:, mask == 1].median(1).values * 255
            assert np.allclose(colour, [*COLOURS.values()][label], atol=3)
    # the darkest third of backgrounds is red and belongs to the first class, the brightest is grey
    outside = (made.masks == 0)[:, None].expand_as(made.images)
    red = {
        name: [
            bool(image[mask].view(3, -1).median(1).values[0] > 0.6)
            for image, mask in zip(images, outside, strict=True)
        ]
        for name, images in (("telling", made.images), ("swapped", made.swapped))
    }
    shares = {
        name: [np.mean(np.array(values)[made.labels.numpy() == label]) for label in (0, 2)]
        for name, values in red.items()
    }
    assert shares["telling"] == [1, 0] and all(0.2 < share < 0.8 for share in shares["swapped"])
    # the rim is blended with the background, what is well inside is not
    assert (made.images[inside] == made.swapped[inside]).float().mean() > 0.9
    top, left, bottom, right = (made.boxes[0] * 32).round().int().tolist()
    rows, columns = np.nonzero(made.masks[0].numpy())
    assert (top, left, bottom, right) == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
    again = grouped_composites.generate(grouped_composites.groups(), 90, 3, "a test", 1.0, 32)
    assert (again.images == made.images).all() and (again.swapped == made.swapped).all()
    other = grouped_composites.generate(grouped_composites.groups(), 90, 3, "another", 1.0, 32)
    assert (other.masks != made.masks).any()


def test_brightness_names_the_class_as_often_as_it_says() -> None:
    values = np.random.default_rng(0).permutation(900).astype(np.float32)
    plates, labels = values[:, None, None, None], np.arange(900) % 3
    for agreement in (1.0, 0.5, grouped_composites.INDEPENDENT):
        chosen = grouped_composites.telling_plates(plates, labels, agreement, 1, "a test")
        share = np.mean(values[chosen] // 300 == labels)  # the darkest third is class 0's
        assert share == pytest.approx(agreement, abs=0.05)
    swapped = grouped_composites.telling_plates(plates, labels, agreement, 1, "a test")
    table = [np.bincount((values[swapped[labels == label]] // 300).astype(int)) for label in range(3)]
    assert np.abs(np.array(table) - 100).max() < 30
