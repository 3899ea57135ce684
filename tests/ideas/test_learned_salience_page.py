"""The page of learned saliency, and the networks it ships."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mlcv_explore.charts import PALETTES, images
from mlcv_explore.command import main
from mlcv_explore.data import scenes
from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.learned_salience import inference, pretrain, tables
from mlcv_explore.metrics.overlap import intersection_over_union
from mlcv_explore.models import checkpoints
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.saliency.measures import mass_in_mask, mass_on_tag
from tests import opening
from tests.opening import words

opened = partial(opening.opened, "learned_salience")
OTHERS = [name for name in checkpoints.names(None) if name not in checkpoints.names()]


def scene_images(count: int = 40) -> tuple[scenes.Scenes, np.ndarray]:
    made = scenes.generate(scenes.ScenesConfig(rho=0.25), count, 7, "scenes of a test of masks that ship")
    return made, made.images.astype(np.float32) / 255


def predicted_masks(classifier: str, given: np.ndarray, area: float) -> np.ndarray:
    network, model = inference.load(classifier)
    return np.stack([inference.explain(network, model, image, area).mask for image in given])


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_that_is_no_classifier_is_small_and_has_a_full_card(name: str) -> None:
    required = ("architecture", "arguments", "kind", "metrics", "data")
    card = checkpoints.read_card(checkpoints.FOLDER / name, name, required)
    assert (checkpoints.FOLDER / name / "weights.safetensors").stat().st_size <= 2e6
    folder, seed = name.split("/")
    assert card["command"] == f"python -m mlcv_explore train {folder} --seed {seed}" and card["metrics"]


@pytest.mark.parametrize("classifier", inference.offered())
def test_one_pass_gives_the_classifiers_prediction_and_masks_shrink_with_the_area_weight(
    classifier: str,
) -> None:
    network, model = inference.load(classifier)
    _, given = scene_images()
    for image in given[:3]:
        found = inference.explain(network, model, image, 4.0)
        expected = model.network(torch.from_numpy(image)[None]).softmax(1)[0].numpy()
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
        assert found.mask.shape == found.gates.shape == (32, 32) and found.target == expected.argmax()
        assert found.mask.min() >= 0 and found.mask.max() <= 1 and found.gates.any()
    areas = [predicted_masks(classifier, given, weight).mean() for weight in (0.5, 2.0, 8.0, 20.0)]
    assert all(np.diff(areas) < 0) and areas[0] > 1.5 * areas[-1]


def test_masks_lie_on_what_the_classifier_uses_and_the_segmenter_finds_objects() -> None:
    made, given = scene_images()
    shares = {}
    for name in ("scenes/0", "scenes-tagged/0"):
        found = predicted_masks(name, given, 8.0)
        shares[name] = mass_in_mask(found, made.masks).mean(), mass_on_tag(found, made.tag_boxes).mean()
    assert shares["scenes/0"][0] > 3 * made.masks.mean() and shares["scenes/0"][1] < 0.05
    assert shares["scenes-tagged/0"][1] > 0.24 and shares["scenes-tagged/0"][0] < made.masks.mean()
    segmented = np.stack([inference.segment(image) for image in given]) > 0.5
    assert intersection_over_union(segmented, made.masks).mean() > 0.8


def test_other_sizes_classifiers_and_weights_are_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert inference.offered() == ("scenes/0", "scenes-tagged/0", "scenes-texture/0", "cifar10/0")
    assert not {*checkpoints.names("masker")} & {*checkpoints.names()}
    message = r"scenes/0 needs images of shape \(3, 32, 32\), got \(3, 64, 64\)\."
    with pytest.raises(CheckpointError, match=message):
        inference.explain(*inference.load("scenes/0"), np.zeros((3, 64, 64), np.float32), 4.0)
    with pytest.raises(CheckpointError, match="no mask network for 'resnet18'; there are those for scenes/0"):
        inference.load("resnet18")
    network, card = checkpoints.load_network("scenes_masker_honest/0", inference._build)
    monkeypatch.setattr(checkpoints, "load_network", lambda *_: (network, card | {"classifier_sha256": "0"}))
    inference.load.cache_clear()
    with pytest.raises(CheckpointError, match="trained with other weights of scenes/0"):
        inference.load("scenes/0")
    inference.load.cache_clear()


def test_a_mask_network_is_made_again_by_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRAINING_SCENES", "TEST_SCENES"):
        monkeypatch.setattr(pretrain, name, 40)
    settings = ["--seed", "1", "--updates", "10", "--batch_size", "4", "--out", str(tmp_path)]
    command = ["train", "scenes_masker_honest", *settings]
    assert main([*command, "--widest", "4"]) == 0
    assert "scenes_masker_honest/1: answer kept 0." in capsys.readouterr().out
    assert (tmp_path / "scenes_masker_honest" / "1" / "card.json").exists()
    assert main([*command, "--width", "4"]) == 2
    assert "train has no setting 'width'" in capsys.readouterr().err


def test_a_scene_has_maps_parts_boxes_and_shares_on_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(source="Scene", scene="3")
    text = words(app) + str([bar.text for bar in app.get("progress")])
    assert not app.exception and not app.warning and not app.error
    assert app.selectbox(key="learned_salience-model").value == "scenes/0"
    for name in ("Learned mask", "Skip-connection gates", "Grad-CAM", "Boxes", "Segmenter", "Prediction:"):
        assert name in text, name
    for name in ("Kept: circle", "Complement: circle", "on the object", "on the tag"):
        assert name in text, name
    explain = inference.explain
    for value, area in ((0.0, "0.0%"), (1.0, "100.0%")):

        def flat(*given: object, value: float = value) -> inference.Explanation:
            found = explain(*given)
            return inference.Explanation(found.probabilities, np.full_like(found.mask, value), found.gates)

        monkeypatch.setattr(inference, "explain", flat)
        app = opened(source="Scene", scene="3")
        assert not app.exception and f"The mask covers {area} of the image" in words(app)


def test_an_uploaded_photograph_is_explained_and_garbage_is_refused() -> None:
    app = opened(source="Upload", model="cifar10/0")
    photograph = images.png(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    app.get("file_uploader")[0].upload("mine.png", photograph, "image/png").run()
    assert not app.exception and "Learned mask" in words(app) and "on the object" not in words(app)
    app.get("file_uploader")[0].upload("bad.png", b"not a picture", "image/png").run()
    assert not app.exception and "Learned mask" not in words(app) and app.error


def test_a_link_with_an_unknown_model_or_weight_is_reported() -> None:
    text = words(opened(act="Read", model="scenes/1", wanted="99"))
    assert "model must be one of the 4 offered" in text
    assert "wanted must be between 0.5 and 20, got 99" in text


def test_boxes_are_drawn_as_outlines_in_their_roles_colours() -> None:
    image, both = np.full((20, 20, 3), 7, np.uint8), {"other": (0, 0, 20, 20), "idea": (5, 6, 15, 18)}
    drawn = images.boxed(image, both, PALETTES["light"], width=1)
    outline = np.zeros((20, 20), bool)
    outline[[0, 19]] = outline[:, [0, 19]] = True
    outline[[5, 14], 6:18] = outline[5:15, [6, 17]] = True
    assert np.array_equal((drawn != 7).any(-1), outline) and not (image != 7).any()
    assert drawn[5, 6].tolist() == [0x2E, 0x84, 0xCC] and drawn[0, 0].tolist() == [0xD6, 0x76, 0x32]
    outside = images.boxed(image, {"idea": (-5, -5, 3, 40)}, PALETTES["light"], width=1)
    assert (outside != 7).any(-1).sum() == 20 + 20 + 2


def test_a_cells_columns_hold_every_measure_of_every_arm_in_the_order_of_the_seeds() -> None:
    known = {("gated", "mass"): 3.0, ("none", "mass"): 5.0, ("gated", "tag"): 0.0}
    rows = [
        {"claim": claim, "arm": arm, "seed": seed, "measure": measure, "value": value + seed}
        for claim in ("honest", "tagged")
        for (arm, measure), value in known.items()
        for seed in (1, 0)
    ]
    columns = tables.cell_columns(Table(rows), "honest")
    assert {name: values.tolist() for name, values in columns.items()} == {
        "gated_mass": [3.0, 4.0],
        "none_mass": [5.0, 6.0],
        "gated_tag": [0.0, 1.0],
    }
