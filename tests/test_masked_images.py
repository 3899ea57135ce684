"""Regions, masks and boxes of generated scenes and of photographs, by hand."""

import numpy as np
import pytest

from mlcv_explore.data import DataError, loading, masked_images, scenes
from mlcv_explore.data.dataset import OUTLINE, Dataset, Images
from mlcv_explore.data.masked_images import SCENE_REGIONS, from_images, from_scenes, generate
from mlcv_explore.data.scenes import SILHOUETTES, ScenesConfig


def pets(count: int) -> Images:
    """Random pixels; image i has colour i in its first pixel."""
    images = np.zeros((count, 3, 4, 4), np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    masks = np.tile(np.array([[0, 1, 1, OUTLINE]], np.uint8), (count, 4, 1))
    return Images(images, np.arange(count) % 2, ("Abyssinian", "Beagle"), masks)


@pytest.mark.parametrize("label", ["silhouette", "texture", "both"])
def test_regions_of_scenes_are_object_distractor_tag_and_the_rest(label: str) -> None:
    made = scenes.generate(ScenesConfig(label=label, dependence=0.5), 30, 0, "of a test")
    ours = from_scenes(made)
    assert len(ours) == 30 and ours.categories.labels == made.classes
    assert np.array_equal(ours.labels, made.labels) and np.array_equal(ours.images, made.images)
    assert np.array_equal(ours.masks, made.masks) and np.array_equal(ours.backgrounds, made.masks == 0)
    for index, silhouette in enumerate(made.silhouettes):
        inside = np.unique(ours.regions[index][ours.objects[index]])
        assert [SCENE_REGIONS[code] for code in inside] == [SILHOUETTES[silhouette]]
        top, left, bottom, right = made.tag_boxes[index]
        tag = ours.regions[index] == SCENE_REGIONS.index("tag")
        assert tag[top:bottom, left:right].all() and tag.sum() == scenes.TAG_SIDE**2
    distractors = ours.regions == SCENE_REGIONS.index("distractor")
    assert np.array_equal(distractors, made.distractor_masks)
    assert np.array_equal(ours.determined, scenes.determined_part(made))
    triangle = made.silhouettes == SILHOUETTES.index("triangle")
    assert np.array_equal(ours.boxes[~triangle], made.boxes[~triangle])


def test_an_outline_is_neither_object_nor_background() -> None:
    given = pets(3)
    ours = from_images(given, "pet")
    assert ours.categories.regions == ("background", "pet", "outline")
    assert ours.regions[0, 0].tolist() == [0, 1, 1, 2] and np.array_equal(ours.masks, given.masks)
    assert ours.objects[0, 0].tolist() == [False, True, True, False]
    assert ours.backgrounds[0, 0].tolist() == [True, False, False, False]
    assert ours.boxes.tolist() == [[0, 1, 4, 3]] * 3 and ours.determined is None
    assert np.array_equal(ours.as_images().masks, ours.regions)
    with pytest.raises(ValueError, match="no masks"):
        from_images(Images(given.images, given.labels, given.classes), "pet")


def test_boxes_by_hand_and_of_nothing_the_whole_mask() -> None:
    masks = np.zeros((2, 5, 6), bool)
    masks[0, 2, 1] = masks[0, 3, 4] = True
    assert masked_images.bounding_boxes(masks).tolist() == [[2, 1, 4, 5], [0, 0, 5, 6]]


def test_pixels_weigh_by_their_mask_alone() -> None:
    assert from_images(pets(1), "pet").pixel_weights(8)[0, 0].tolist() == [1, 8, 8, 0]
    ours = generate(ScenesConfig(), 4, 1, "of a test")
    weights = ours.pixel_weights(5)
    assert set(weights[ours.objects]) == {5} and set(weights[~ours.objects]) == {1}
    assert np.array_equal(ours.pixel_weights(5, np.array([3, 0])), weights[[3, 0]])


def test_regions_are_filled_with_their_mean_colours() -> None:
    ours, tag = generate(ScenesConfig(), 40, 0, "of a test"), SCENE_REGIONS.index("tag")
    colours = masked_images.mean_colours([ours])
    pixels, inside = ours.images.transpose(0, 2, 3, 1), ours.regions == tag
    assert colours[tag] == pytest.approx(pixels[inside].mean(0) / 255, abs=1e-6)
    halves = [ours.take(slice(30)), ours.take(slice(30, 40))]
    assert np.array_equal(masked_images.mean_colours(halves), colours)
    filled = masked_images.fill_regions(ours.regions, colours).transpose(0, 2, 3, 1)
    assert np.array_equal(filled[inside][0], colours[tag]) and filled.shape == pixels.shape
    two = masked_images.mean_colours([ours.binary()])
    assert two.shape == (2, 3) and np.array_equal(ours.binary().objects, ours.objects)
    assert two[1] == pytest.approx(pixels[ours.objects].mean(0) / 255, abs=1e-6)
    nothing = from_images(pets(2).take(np.array([0])), "pet")
    nothing.regions[:] = 0
    assert masked_images.mean_colours([nothing])[1] == pytest.approx([0.5] * 3)


def test_some_of_the_images_keep_what_belongs_to_them() -> None:
    ours = generate(ScenesConfig(), 6, 1, "of a test")
    chosen = ours.take(np.array([4, 1]))
    for name in ("images", "regions", "labels", "determined"):
        assert np.array_equal(getattr(chosen, name)[0], getattr(ours, name)[4])
    assert from_images(pets(3), "pet").take(slice(1)).determined is None
    assert chosen.as_float().max() <= 1 and chosen.as_float()[1, 0, 0, 0] == ours.images[1, 0, 0, 0] / 255


def test_parts_are_disjoint_and_of_their_sizes(monkeypatch, tmp_path) -> None:
    parts = masked_images.generated_split(ScenesConfig(), (5, 3, 4), 0)
    assert [len(part) for part in parts] == [5, 3, 4]
    assert len({image.tobytes() for part in parts for image in part.images}) == 12
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    with pytest.raises(DataError, match="oxford_pets"):
        masked_images.pets_split((5, 3, 4), 0)
    whole = Dataset("oxford_pets", pets(20), pets(8), "")
    monkeypatch.setattr(loading, "load", lambda name: whole)
    first, *others = (masked_images.pets_split((8, 4, 6), seed) for seed in (0, 0, 1))
    assert [len(part) for part in first] == [8, 4, 6]
    train, validation, test = (part.images[:, 0, 0, 0].tolist() for part in first)
    assert not set(train) & set(validation) and len({*train, *validation}) == 12 and max(test) < 8
    assert [np.array_equal(other[0].images, first[0].images) for other in others] == [True, False]
