"""The page of learned salience, and the networks it shows."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mlcv_explore.charts import PALETTES, images
from mlcv_explore.command import main
from mlcv_explore.data import scenes
from mlcv_explore.ideas.learned_salience import evidence as tables
from mlcv_explore.ideas.learned_salience import shipped
from mlcv_explore.metrics.overlap import intersection_over_union
from mlcv_explore.models import checkpoints
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.saliency.measures import mass_in_mask, mass_on_tag
from tests import opening
from tests.opening import words

SLUG = "learned_salience"
opened = partial(opening.opened, SLUG)


def scene_pictures(count: int = 40, rho: float = 0.25) -> tuple[scenes.Scenes, np.ndarray]:
    made = scenes.generate(scenes.ScenesConfig(rho=rho), count, 7, "scenes of a test of masks that ship")
    return made, made.images.astype(np.float32) / 255


# --- what ships


def test_every_masker_and_the_segmenter_ship() -> None:
    assert shipped.offered() == ("scenes/0", "scenes-tagged/0", "scenes-texture/0", "cifar10/0")
    assert {"scenes_unet/0"} <= set(checkpoints.names("segmenter")) and not set(
        checkpoints.names("masker")
    ) & set(checkpoints.names())


@pytest.mark.parametrize(
    "name", [name for name in checkpoints.names(None) if name not in checkpoints.names()]
)
def test_what_is_no_classifier_is_small_and_says_how_it_was_made(name: str) -> None:
    card = checkpoints.read_card(
        checkpoints.FOLDER / name, name, ("architecture", "arguments", "kind", "metrics", "data")
    )
    assert (checkpoints.FOLDER / name / "weights.safetensors").stat().st_size <= 2e6
    assert (
        card["command"] == f"python -m mlcv_explore train {name.split('/')[0]} --seed {name.split('/')[1]}"
        and card["metrics"]
    )


@pytest.mark.parametrize("classifier", shipped.offered())
def test_one_pass_gives_the_classifiers_own_answer(classifier: str) -> None:
    network, model = shipped.load(classifier)
    _, pictures = scene_pictures(3)
    for picture in pictures:
        found = shipped.look(network, model, picture, 4.0)
        wanted = model.network(torch.from_numpy(picture)[None]).softmax(1)[0].numpy()
        np.testing.assert_allclose(found.shares, wanted, atol=1e-5)
        assert found.mask.shape == found.gates.shape == (32, 32) and found.answer == wanted.argmax()
        assert found.mask.min() >= 0 and found.mask.max() <= 1 and found.gates.any()


@pytest.mark.parametrize("classifier", shipped.offered())
def test_a_larger_area_weight_makes_a_smaller_mask(classifier: str) -> None:
    network, model = shipped.load(classifier)
    _, pictures = scene_pictures()
    areas = [
        np.mean([shipped.look(network, model, picture, weight).mask.mean() for picture in pictures])
        for weight in (0.5, 2.0, 8.0, 20.0)
    ]
    assert all(np.diff(areas) < 0) and areas[0] > 1.5 * areas[-1]


def test_masks_lie_where_the_classifier_looks() -> None:
    made, pictures = scene_pictures()
    shares = {}
    for name in ("scenes/0", "scenes-tagged/0"):
        network, model = shipped.load(name)
        masks = np.stack([shipped.look(network, model, picture, 8.0).mask for picture in pictures])
        shares[name] = mass_in_mask(masks, made.masks).mean(), mass_on_tag(masks, made.tag_boxes).mean()
    assert shares["scenes/0"][0] > 3 * made.masks.mean() and shares["scenes/0"][1] < 0.05
    assert shares["scenes-tagged/0"][1] > 0.24 and shares["scenes-tagged/0"][0] < made.masks.mean()


def test_the_segmenter_finds_objects() -> None:
    made, pictures = scene_pictures()
    found = np.stack([shipped.segmented(picture) for picture in pictures]) > 0.5
    assert intersection_over_union(found, made.masks).mean() > 0.8


def test_a_picture_of_another_size_and_a_classifier_without_masker_are_refused_in_a_sentence() -> None:
    network, model = shipped.load("scenes/0")
    with pytest.raises(
        CheckpointError, match=r"scenes/0 needs pictures of shape \(3, 32, 32\), got \(3, 64, 64\)\."
    ):
        shipped.look(network, model, np.zeros((3, 64, 64), np.float32), 4.0)
    with pytest.raises(
        CheckpointError, match="No masker was taught by 'resnet18'; there are maskers of scenes/0"
    ):
        shipped.load("resnet18")


def test_a_masker_of_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network, card = checkpoints.load_network("scenes_masker_honest/0", shipped._built)
    monkeypatch.setattr(checkpoints, "load_network", lambda *_: (network, card | {"classifier_sha256": "0"}))
    shipped.load.cache_clear()
    with pytest.raises(CheckpointError, match="taught by other weights of scenes/0"):
        shipped.load("scenes/0")
    shipped.load.cache_clear()


def test_a_masker_is_made_again_by_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "train",
        "scenes_masker_honest",
        "--seed",
        "1",
        "--updates",
        "10",
        "--batch_size",
        "4",
        "--out",
        str(tmp_path),
    ]
    assert main([*command, "--widest", "4"]) == 0
    assert "scenes_masker_honest/1: answer kept 0." in capsys.readouterr().out
    assert (tmp_path / "scenes_masker_honest" / "1" / "card.json").exists()
    assert main([*command, "--width", "4"]) == 2
    assert "train has no setting 'width'" in capsys.readouterr().err


# --- the page


def test_a_scene_shows_answer_masks_boxes_and_the_known_cause() -> None:
    app = opened(source="Scene", scene="3")
    said = words(app)
    assert (
        not app.exception
        and not app.warning
        and app.selectbox(key="learned_salience-model").value == "scenes/0"
    )
    for name in (
        "Learned salience",
        "The gates themselves",
        "Gradient salience",
        "Boxes",
        "of what is kept",
        "of what is left",
    ):
        assert name in said or name in str([bar.text for bar in app.get("progress")]), name
    told = str(app.table[0].value)
    assert "An even map" in told and "Segmenter, taught by masks" in told


def test_an_uploaded_photograph_is_looked_at_and_garbage_is_refused() -> None:
    app = opened(source="Upload", model="cifar10/0")
    photograph = images.png(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    app.get("file_uploader")[0].upload("mine.png", photograph, "image/png").run()
    assert (
        not app.exception and "Learned salience" in words(app) and "of the learned salience" not in words(app)
    )
    app.get("file_uploader")[0].upload("bad.png", b"not a picture", "image/png").run()
    assert not app.exception and "Learned salience" not in words(app) and app.error


def test_a_mask_that_names_no_place_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    given = shipped.look
    for value, covers in ((0.0, "nothing"), (1.0, "the whole picture")):

        def flat(*asked: object, value: float = value) -> shipped.Shown:
            found = given(*asked)
            return shipped.Shown(found.shares, np.full_like(found.mask, value), found.gates)

        monkeypatch.setattr(shipped, "look", flat)
        app = opened(source="Scene", scene="3")
        assert not app.exception and f"the mask covers {covers}" in words(app)


def test_a_link_with_a_model_that_is_not_offered_is_told() -> None:
    app = opened(act="Read", model="scenes/1", wanted="99")
    said = words(app)
    assert (
        "model must be one of the 4 offered" in said and "wanted must be between 0.5 and 20, got 99" in said
    )


# --- pictures and tables


def test_boxes_are_drawn_as_outlines_in_their_roles_colours() -> None:
    picture = np.full((20, 20, 3), 7, np.uint8)
    drawn = images.boxed(
        picture, {"other": (0, 0, 20, 20), "idea": (5, 6, 15, 18)}, PALETTES["light"], width=1
    )
    changed = (drawn != 7).any(-1)
    wanted = np.zeros((20, 20), bool)
    wanted[[0, 19]] = wanted[:, [0, 19]] = True
    wanted[[5, 14], 6:18] = wanted[5:15, [6, 17]] = True
    assert np.array_equal(changed, wanted) and not (picture != 7).any()
    assert drawn[5, 6].tolist() == [0x2E, 0x84, 0xCC] and drawn[0, 0].tolist() == [0xD6, 0x76, 0x32]
    outside = images.boxed(picture, {"idea": (-5, -5, 3, 40)}, PALETTES["light"], width=1)
    assert (outside != 7).any(-1).sum() == 20 + 20 + 2


def test_tables_are_sorted_and_paired() -> None:
    rows = [
        {"claim": "honest", "arm": arm, "seed": seed, "measure": measure, "value": value + seed}
        for arm, measure, value in (
            ("gated", "mass", 3.0),
            ("gradcam", "mass", 1.0),
            ("none", "mass", 5.0),
            ("gated", "tag", 0.0),
        )
        for seed in (1, 0)
    ]
    lines = tables.table(rows, "honest", ("mass", "tag"))
    assert (
        [line.arm for line in lines] == ["none", "gated", "gradcam"]
        and set(lines[1].measures) == {"mass", "tag"}
        and len(lines[0].measures) == 1
    )
    assert lines[0].measures["mass"].mean == 5.5 and tables.column(
        rows, "honest", "gated", "mass"
    ).tolist() == [3.0, 4.0]
    apart = tables.difference(rows, "honest", "gated", "gradcam", "mass")
    assert (apart.low, apart.mean, apart.high, apart.n) == (2.0, 2.0, 2.0, 2)
