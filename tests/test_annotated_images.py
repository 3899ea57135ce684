"""Images with annotations: informative backgrounds, images without their shortcut, pets."""

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.data import annotated_images, scenes
from mlcv_explore.data.scenes import INDEPENDENT, ScenesConfig
from mlcv_explore.seeds import numpy_stream


def generated(count: int, rho: float = INDEPENDENT) -> scenes.Scenes:
    return scenes.generate(ScenesConfig(rho=rho, smallest=0.35, largest=0.5), count, 0, "test")


def test_backgrounds_name_the_class_with_the_chosen_probability() -> None:
    given = generated(400)
    brightness = np.sort(given.backgrounds.mean((1, 2, 3)))
    for agreement, low, high in ((1.0, 1.0, 1.0), (0.7, 0.62, 0.78), (INDEPENDENT, 0.17, 0.33)):
        backgrounds = annotated_images.informative_backgrounds(given, agreement, 0, "test")
        group = np.searchsorted(brightness, backgrounds.mean((1, 2, 3))) // 100
        assert low <= (group == given.labels).mean() <= high, agreement


def test_swapped_scenes_differ_in_background_or_tag_alone() -> None:
    given = generated(60)
    made = annotated_images.with_informative_backgrounds(given, 0.7, 0, "test")
    objects = torch.from_numpy(given.masks.astype(bool))[:, None].expand_as(made.images)
    assert torch.equal(made.images[objects], made.swapped[objects])
    assert (made.images != made.swapped).any(1).float().mean() > 0.5
    assert torch.equal(made.masks, torch.from_numpy(given.masks)) and made.classes == 4
    torch.testing.assert_close(made.boxes * 32, torch.from_numpy(given.boxes).float())
    tagged = generated(60, 1.0)
    made = annotated_images.of_scenes(tagged, swapped=given.images)
    assert np.array_equal(tagged.tags, tagged.labels) and made.tag_boxes is tagged.tag_boxes
    apart = (made.images != made.swapped).any(1)
    assert int(apart.sum((1, 2)).max()) == 16 and 0.5 < float(apart.any((1, 2)).float().mean()) < 0.95


def test_the_first_images_are_whole_and_images_without_a_shortcut_are_their_own_swap() -> None:
    made = annotated_images.of_scenes(generated(6))
    assert made.swapped is made.images
    first = made.first(4)
    assert len(first) == len(first.images) == len(first.boxes) == len(first.tag_boxes) == 4
    assert torch.equal(first.masks, made.masks[:4]) and first.classes == made.classes


def test_pets_are_drawn_into_disjoint_parts_with_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    draws, parts = numpy_stream(0, "pets of a test"), []
    for count in (40, 24):
        truth = np.zeros((count, 64, 64), np.uint8)
        truth[:, 10:40, 20:50], truth[:, 12:38, 22:48] = data.OUTLINE, 1
        values = draws.integers(0, 256, (count, 3, 64, 64)).astype(np.uint8)
        classes = data.CATALOGUE["oxford_pets"].classes
        parts.append(data.Images(values, draws.integers(0, 37, count), classes, truth))
    monkeypatch.setattr(data, "load", lambda name: data.Dataset(name, *parts, "made by a test"))
    made = [annotated_images.pets(part, 60, 3) for part in ("train", "validation", "test")]
    assert [len(images) for images in made] == [30, 10, 24] and made[0].classes == 37
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not (made[one].images[:, None] == made[other].images).all((2, 3, 4)).any()
    assert all(torch.equal(images.boxes[0], torch.tensor([12, 22, 38, 48]) / 64) for images in made)
    assert len(annotated_images.pets("validation", 4, 3)) == 4 and made[0].tag_boxes is None
