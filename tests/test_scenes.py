"""Generated scenes: the ground truth of a scene is what its pixels show, and what
should be independent is.
"""

import subprocess
import sys
from dataclasses import fields
from functools import cache

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_sample_images

from mlcv_explore.config import SettingError
from mlcv_explore.data import backgrounds, scenes
from mlcv_explore.data.scenes import ScenesConfig, generate
from mlcv_explore.data.shapes import fill_boxes

UNLIKELY = 0.001  # a p-value below it fails; the seeds are fixed, so a test that passes keeps passing

HAND_DRAWN = {
    "circle": (
        """
        ..#####..
        .#######.
        #########
        #########
        #########
        #########
        #########
        .#######.
        ..#####.."""
    ),
    "square": "\n".join(["#########"] * 9),
    "triangle": (
        """
        ....#....
        ...###...
        ...###...
        ..#####..
        ..#####..
        .#######.
        .#######.
        #########
        #########"""
    ),
    "cross": (
        """
        ...###...
        ...###...
        ...###...
        #########
        #########
        #########
        ...###...
        ...###...
        ...###..."""
    ),
}


@cache
def made(count: int = 4000, seed: int = 0, **settings: object) -> scenes.Scenes:
    return generate(ScenesConfig(**settings), count, seed)


def arrays(some: scenes.Scenes, count: int | None = None) -> dict[str, np.ndarray]:
    return {field.name: getattr(some, field.name)[:count] for field in fields(some) if field.name != "config"}


def tight_boxes(masks: np.ndarray) -> np.ndarray:
    nonzero = [np.nonzero(mask) for mask in masks]
    return np.array(
        [[rows.min(), columns.min(), rows.max() + 1, columns.max() + 1] for rows, columns in nonzero]
    )


def clear_of(box: np.ndarray, other: np.ndarray) -> bool:
    """Whether there is a row or a column of pixels between two boxes."""
    return bool(box[0] > other[2] or other[0] > box[2] or box[1] > other[3] or other[1] > box[3])


def object_pixels(some: scenes.Scenes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every pixel of an object: mean over the channels, the object's size, and its
    height above the middle, from −1 to 1.
    """
    scene, row, _ = np.nonzero(some.masks)
    top, _, bottom, _ = some.boxes[scene].T
    return (
        some.images.mean(axis=1)[some.masks == 1],
        bottom - top,
        (top + bottom - 1 - 2 * row) / (bottom - top),
    )


def test_equal_settings_and_seed_give_equal_scenes_and_fewer_are_the_first_of_more() -> None:
    config = ScenesConfig(rho=0.6, dependence=0.5)
    many = generate(config, scenes.BLOCK + 40, 3)
    for count in (1, 7, scenes.BLOCK, scenes.BLOCK + 1):
        few = arrays(generate(config, count, 3))
        assert all(
            np.array_equal(few[name], array) and few[name].dtype == array.dtype
            for name, array in arrays(many, count).items()
        )


def test_some_scenes_can_be_made_without_those_before() -> None:
    config = ScenesConfig(dependence=0.5)
    whole, part = generate(config, 9, 2, "x"), scenes.generate_from(config, 6, 2, 2, "x")
    for entry in fields(part):
        if entry.name != "config":
            assert np.array_equal(getattr(part, entry.name), getattr(whole, entry.name)[6:8]), entry.name


def test_another_seed_and_another_purpose_give_other_scenes() -> None:
    config = ScenesConfig()
    first, *others = generate(config, 50, 0), generate(config, 50, 1), generate(config, 50, 0, "test scenes")
    for other in others:
        assert not np.array_equal(first.labels, other.labels)
        assert (first.backgrounds != other.backgrounds).any(axis=(1, 2, 3)).all()


def test_scenes_that_differ_in_rho_alone_differ_in_the_tag_alone() -> None:
    never, always = arrays(made(200, rho=0.25)), arrays(made(200, rho=1))
    assert {name for name in never if not np.array_equal(never[name], always[name])} == {"images", "tags"}
    inside = fill_boxes(never["tag_boxes"], 32)
    assert np.array_equal(
        never["images"].transpose(0, 2, 3, 1)[~inside], always["images"].transpose(0, 2, 3, 1)[~inside]
    )


@pytest.mark.parametrize("side", [32, 64])
def test_masks_boxes_and_tags_are_what_the_pixels_show(side: int) -> None:
    some = made(400, side=side, rho=0.7)
    assert some.images.shape == some.backgrounds.shape == (400, 3, side, side)
    assert np.array_equal(tight_boxes(some.masks), some.boxes)
    heights, widths = (some.boxes[:, 2:] - some.boxes[:, :2]).T
    smallest, largest = some.config.sizes
    assert np.array_equal(heights, widths) and set(heights) == set(range(smallest, largest + 1))
    for image, plate, mask, distractor, tag_box, tag in zip(
        some.images,
        some.backgrounds,
        some.masks,
        some.distractor_masks,
        some.tag_boxes,
        some.tags,
        strict=True,
    ):
        top, left, bottom, right = tag_box
        assert (top in (0, side - 4)) and (left in (0, side - 4)) and (bottom - top, right - left) == (4, 4)
        assert (image[:, top:bottom, left:right] == scenes.TAG_COLOURS[tag][:, None, None]).all()
        behind = mask + distractor == 0
        behind[top:bottom, left:right] = False
        assert np.array_equal(image[:, behind], plate[:, behind])
        assert len(np.unique(image[:, distractor == 1], axis=1).T) == 1
        assert (image[:, mask == 1] != plate[:, mask == 1]).any(axis=0).mean() > 0.9


@pytest.mark.parametrize(
    "settings",
    [{}, {"side": 64}, {"smallest": 0.35, "largest": 0.5}, {"side": 64, "smallest": 0.35, "largest": 0.5}],
)
def test_object_distractor_and_tag_never_touch(settings: dict[str, float]) -> None:
    some = made(1000, seed=1, **settings)
    distractors = tight_boxes(some.distractor_masks)
    assert (distractors[:, 2:] - distractors[:, :2] == 3 * some.config.side // 16).all()
    for box, distractor, tag_box in zip(some.boxes, distractors, some.tag_boxes, strict=True):
        assert clear_of(box, tag_box) and clear_of(box, distractor) and clear_of(distractor, tag_box)


@pytest.mark.parametrize("index", range(4))
def test_silhouettes_are_those_drawn_by_hand(index: int) -> None:
    some = made(400)
    drawn = np.array(
        [
            [character == "#" for character in line.strip()]
            for line in HAND_DRAWN[scenes.SILHOUETTES[index]].split()
        ]
    )
    fitting = np.flatnonzero((some.silhouettes == index) & (some.boxes[:, 2] - some.boxes[:, 0] == 9))
    assert len(fitting) > 3
    for place in fitting:
        top, left, bottom, right = some.boxes[place]
        assert np.array_equal(some.masks[place, top:bottom, left:right], drawn)


def places(size: int, side: int, avoided: list[np.ndarray]) -> list[tuple[int, int]]:
    boxes = (
        (top, left, top + size, left + size)
        for top in range(side - size + 1)
        for left in range(side - size + 1)
    )
    return [box[:2] for box in boxes if all(clear_of(box, other) for other in avoided)]


def test_object_and_distractor_lie_uniformly_over_the_room_left() -> None:
    some = made(400, seed=2)
    jitter = np.random.default_rng(0).random((2, len(some)))
    distractors = tight_boxes(some.distractor_masks)
    ranks = np.empty((2, len(some)))
    for index, (box, distractor, tag_box) in enumerate(
        zip(some.boxes, distractors, some.tag_boxes, strict=True)
    ):
        for which, (placed, avoided) in enumerate(((box, [tag_box]), (distractor, [tag_box, box]))):
            free = places(placed[2] - placed[0], 32, avoided)
            ranks[which, index] = (free.index(tuple(placed[:2])) + jitter[which, index]) / len(free)
    assert min(stats.kstest(rank, "uniform").pvalue for rank in ranks) > UNLIKELY
    # rows as columns
    assert (
        stats.kstest(some.boxes[:, 0] - some.boxes[:, 1], some.boxes[:, 1] - some.boxes[:, 0]).pvalue
        > UNLIKELY
    )


def test_the_centre_is_no_good_guess() -> None:
    masks = made().masks
    assert masks[:, 15:17, 15:17].mean() < 0.25
    assert 0.05 < masks.mean() < 0.12


@pytest.mark.parametrize("label", ["silhouette", "texture", "both"])
def test_labels_are_as_defined_and_balanced(label: str) -> None:
    some = made(label=label)
    named = [
        {"silhouette": silhouette, "texture": texture, "both": f"{texture} {silhouette}"}[label]
        for silhouette, texture in zip(
            np.array(scenes.SILHOUETTES)[some.silhouettes],
            np.array(scenes.TEXTURES)[some.textures],
            strict=True,
        )
    ]
    assert [some.classes[index] for index in some.labels] == named
    assert len(set(some.classes)) == (16 if label == "both" else 4)
    assert stats.chisquare(np.bincount(some.labels, minlength=len(some.classes))).pvalue > UNLIKELY
    images = some.as_images()
    assert images.images is some.images and images.labels is some.labels and images.masks is some.masks
    assert images.classes == some.classes


@pytest.mark.parametrize("label", ["silhouette", "texture", "both"])
def test_the_tag_agrees_with_frequency_rho(label: str) -> None:
    def named(some: scenes.Scenes) -> np.ndarray:
        return some.textures if label == "texture" else some.silhouettes

    always, often, never = (made(label=label, rho=rho) for rho in (1, 0.6, 0.25))
    assert np.array_equal(always.tags, named(always))
    agrees = often.tags == named(often)
    assert stats.binomtest(int(agrees.sum()), len(agrees), 0.6).pvalue > UNLIKELY
    assert (
        stats.chisquare(np.bincount((often.tags - named(often))[~agrees] % 4, minlength=4)[1:]).pvalue
        > UNLIKELY
    )
    assert (
        stats.chi2_contingency(stats.contingency.crosstab(never.tags, named(never)).count).pvalue > UNLIKELY
    )
    assert stats.chisquare(np.bincount(never.tags, minlength=4)).pvalue > UNLIKELY


def test_silhouette_texture_size_corner_and_plate_are_independent() -> None:
    some = made(8000, seed=4)
    sizes = some.boxes[:, 2] - some.boxes[:, 0]
    corners = (some.tag_boxes[:, 0] > 0) * 2 + (some.tag_boxes[:, 1] > 0)
    plates = np.digitize(some.backgrounds.mean(axis=(1, 2, 3)), [80, 120, 160])
    known = [some.silhouettes, some.textures, sizes, corners, plates]
    for index, first in enumerate(known):
        for second in known[index + 1 :]:
            assert stats.chi2_contingency(stats.contingency.crosstab(first, second).count).pvalue > UNLIKELY


@pytest.mark.parametrize("side", [32, 64])
def test_backgrounds_are_swapped_exactly(side: int) -> None:
    some = made(300, side=side)
    assert np.array_equal(scenes.on_background(some, some.backgrounds), some.images)
    others = np.roll(some.backgrounds, 1, axis=0)
    swapped = scenes.on_background(some, others)
    inside = (some.masks + some.distractor_masks).astype(bool) | fill_boxes(some.tag_boxes, side)
    for channel in range(3):
        assert np.array_equal(swapped[:, channel][inside], some.images[:, channel][inside])
        assert np.array_equal(swapped[:, channel][~inside], others[:, channel][~inside])


@pytest.mark.parametrize(
    "wrong", [lambda plates: plates[:-1], lambda plates: plates[:, :1], lambda plates: plates / 255]
)
def test_plates_that_do_not_fit_are_refused(wrong: object) -> None:
    some = made(50)
    with pytest.raises(ValueError, match=r"backgrounds must be uint8 \(50, 3, 32, 32\)"):
        scenes.on_background(some, wrong(some.backgrounds))


def test_at_dependence_0_the_mask_is_independent_of_the_appearance() -> None:
    some = made(6000, seed=6, dependence=0)
    assert abs(scenes.ceiling(some)) < 0.002
    grey, size, height = object_pixels(some)
    assert abs(np.corrcoef(grey, size)[0, 1]) < 0.02 and abs(np.corrcoef(grey, height)[0, 1]) < 0.02
    scene = np.nonzero(some.masks)[0]
    for kinds in (some.silhouettes, some.textures):
        assert all(abs(grey[kinds[scene] == index].mean() - 127.5) < 3.5 for index in range(4))
    assert set(np.unique(scenes.determined_part(some))) == {0, 127.5}


def test_at_dependence_1_large_objects_are_brighter_and_light_comes_from_above() -> None:
    some = made(dependence=1)
    grey, size, height = object_pixels(some)
    smallest, largest = some.config.sizes
    flat = np.abs(height) < 0.1
    assert grey[flat & (size == largest)].mean() - grey[flat & (size == smallest)].mean() == pytest.approx(
        122, abs=3
    )
    for size_now in (smallest, largest):
        chosen = size == size_now
        assert stats.linregress(height[chosen], grey[chosen]).slope == pytest.approx(28, abs=2)
    assert scenes.ceiling(some) > 0.85


@pytest.mark.parametrize("dependence", [0, 0.3, 0.6, 1])
def test_the_ceiling_is_what_the_means_of_pixels_with_equal_masks_reach(dependence: float) -> None:
    """A reference without the formula: every pixel predicted by the mean of those with
    its size and row.
    """
    some = made(6000, seed=6, dependence=dependence)
    grey, size, height = object_pixels(some)
    _, group = np.unique(size + height / 2, return_inverse=True)
    means = np.bincount(group, grey) / np.bincount(group)
    pixels = some.images.transpose(0, 2, 3, 1)[some.masks == 1].astype(float)
    assert scenes.ceiling(some) == pytest.approx(means[group].var() / pixels.var(), abs=0.01)
    assert np.abs(means[group] - scenes.determined_part(some)[some.masks == 1]).mean() < 1.5


def test_the_ceiling_rises_with_the_dependence() -> None:
    ceilings = [scenes.ceiling(made(1000, dependence=dependence)) for dependence in (0, 0.25, 0.5, 0.75, 1)]
    assert (np.diff(ceilings) > 0.03).all()


@pytest.mark.parametrize("dependence", [0, 0.6, 1])
def test_no_pixel_of_an_object_is_cut_off_and_the_range_is_used(dependence: float) -> None:
    some = made(6000, seed=6, dependence=dependence)
    pixels = some.images.transpose(0, 2, 3, 1)[some.masks == 1]
    assert 0 < pixels.min() < 40 and 215 < pixels.max() < 255


def test_plain_objects_have_one_colour_and_the_other_textures_several_on_one_line() -> None:
    some = made(400)
    for image, mask, texture in zip(some.images, some.masks, some.textures, strict=True):
        colours = image[:, mask == 1].astype(float)
        strengths = np.linalg.svd(colours - colours.mean(axis=1, keepdims=True), compute_uv=False) / np.sqrt(
            mask.sum()
        )
        assert strengths[1] < 0.6  # rounding
        assert strengths[0] < 1e-9 if scenes.TEXTURES[texture] == "plain" else strengths[0] > 5


@pytest.mark.parametrize("side", [32, 64])
def test_plates_are_cut_from_the_photographs_where_these_have_texture(side: int) -> None:
    some = made(24, side=side)
    views = []
    for photograph in load_sample_images().images:
        for zoom in (1, 2, 3):
            height, width = (length // zoom for length in photograph.shape[:2])
            part = photograph[: height * zoom, : width * zoom].astype(int)
            views.append(
                np.rint(
                    sum(part[row::zoom, column::zoom] for row in range(zoom) for column in range(zoom))
                    / zoom**2
                )
            )
    sources = []
    for plate in some.backgrounds.transpose(0, 2, 3, 1):
        assert plate.mean(axis=2).std() >= 20
        sources.append(
            [
                (index, mirrored)
                for index, view in enumerate(views)
                for mirrored in (1, -1)
                if holds(view, plate[:, ::mirrored])
            ]
        )
    assert all(len(places) == 1 for places in sources)
    assert {index for ((index, _),) in sources} == set(range(6)) and {
        mirrored for ((_, mirrored),) in sources
    } == {1, -1}


def holds(view: np.ndarray, plate: np.ndarray) -> bool:
    height, width, _ = plate.shape
    corners = np.argwhere(
        (view[: len(view) - height + 1, : view.shape[1] - width + 1] == plate[0, 0]).all(axis=2)
    )
    return any(np.array_equal(view[top : top + height, left : left + width], plate) for top, left in corners)


def test_the_photographs_are_credited_with_the_addresses_that_come_with_them() -> None:
    bundled = load_sample_images()
    for photograph in backgrounds.PHOTOGRAPHS:
        assert any(name.endswith(photograph.file) for name in bundled.filenames)
        assert (
            photograph.address in bundled.DESCR
            and photograph.author.split()[0] == photograph.address.split("/")[4]
        )
    assert "licenses/by/2.0" in bundled.DESCR


OUT_OF_BOUNDS = [
    *[(entry.name, entry.low - 0.001) for entry in ScenesConfig.settings() if entry.low is not None],
    *[(entry.name, entry.high + 0.001) for entry in ScenesConfig.settings() if entry.high is not None],
    *[("side", 16), ("side", 33), ("label", "colour"), ("rho", float("nan")), ("dependence", "much")],
]


@pytest.mark.parametrize(("name", "value"), OUT_OF_BOUNDS)
def test_every_setting_out_of_bounds_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingError, match=rf"ScenesConfig\.{name} must be "):
        ScenesConfig(**{name: value})


@pytest.mark.parametrize("count", [0, -1, scenes.LARGEST_COUNT + 1])
def test_a_count_out_of_bounds_is_refused(count: int) -> None:
    with pytest.raises(SettingError, match="between 1 and 100,000"):
        generate(ScenesConfig(), count, 0)


def test_importing_it_is_light() -> None:
    command = (
        "import sys; from mlcv_explore.data import scenes; print([n for n in ('torch', 'sklearn', 'scipy',"
        " 'streamlit') if n in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", command], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
