"""The mask networks and the segmenter that ship: cards, what they give, how they are made
again.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mlcv_explore.command import main
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import Images
from mlcv_explore.ideas.learned_salience import pretrain
from mlcv_explore.metrics.overlap import intersection_over_union
from mlcv_explore.models import checkpoints, segmenter
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.segmenter import SegmenterHyperparameters
from mlcv_explore.saliency import learned_masks
from mlcv_explore.saliency.measures import mass_in_mask, mass_on_tag
from tests.calls import recorded

OTHERS = [name for name in checkpoints.names(None) if name not in checkpoints.names()]
EXPLAINED = ("cifar10/0", "scenes/0", "scenes-tagged/0", "scenes-texture/0")


def scene_images(count: int = 40) -> tuple[scenes.Scenes, np.ndarray]:
    made = scenes.generate(scenes.ScenesConfig(rho=0.25), count, 7, "scenes of a test of masks that ship")
    return made, made.images.astype(np.float32) / 255


def predicted_masks(classifier: str, given: np.ndarray, area: float) -> np.ndarray:
    explain = partial(learned_masks.explain, *learned_masks.load(classifier))
    return np.stack([explain(image, area).mask for image in given])


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_that_is_no_classifier_is_small_and_has_a_full_card(name: str) -> None:
    required = ("architecture", "arguments", "kind", "metrics", "data")
    card = checkpoints.read_card(checkpoints.FOLDER / name, name, required)
    assert (checkpoints.FOLDER / name / "weights.safetensors").stat().st_size <= 2e6
    folder, seed = name.split("/")
    assert card["command"] == f"python -m mlcv_explore train {folder} --seed {seed}" and card["metrics"]


@pytest.mark.parametrize("classifier", EXPLAINED)
def test_one_pass_gives_the_classifiers_prediction_and_masks_shrink_with_the_area_weight(
    classifier: str,
) -> None:
    network, model = learned_masks.load(classifier)
    _, given = scene_images()
    for image in given[:3]:
        explanation = learned_masks.explain(network, model, image, 4.0)
        expected = model.network(torch.from_numpy(image)[None]).softmax(1)[0].numpy()
        np.testing.assert_allclose(explanation.probabilities, expected, atol=1e-5)
        assert (
            explanation.mask.shape == explanation.gates.shape == (32, 32)
            and explanation.target == expected.argmax()
        )
        assert explanation.mask.min() >= 0 and explanation.mask.max() <= 1 and explanation.gates.any()
    areas = [predicted_masks(classifier, given, weight).mean() for weight in (0.5, 2.0, 8.0, 20.0)]
    assert all(np.diff(areas) < 0) and areas[0] > 1.5 * areas[-1]


def test_masks_lie_on_what_the_classifier_uses_and_the_segmenter_finds_objects() -> None:
    made, given = scene_images()
    shares = {}
    for name in ("scenes/0", "scenes-tagged/0"):
        explanation = predicted_masks(name, given, 8.0)
        shares[name] = (
            mass_in_mask(explanation, made.masks).mean(),
            mass_on_tag(explanation, made.tag_boxes).mean(),
        )
    assert shares["scenes/0"][0] > 3 * made.masks.mean() and shares["scenes/0"][1] < 0.05
    assert shares["scenes-tagged/0"][1] > 0.24 and shares["scenes-tagged/0"][0] < made.masks.mean()
    segmented = np.stack([segmenter.segment("scenes_unet/0", image) for image in given]) > 0.5
    assert intersection_over_union(segmented, made.masks).mean() > 0.8


def test_half_of_the_scenes_that_the_segmenter_learns_from_look_as_their_masks_determine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segmenter, "SIZES", {"taught": 40, "tested": 20})
    asked = recorded(monkeypatch, scenes, "generate")
    given: list[Images] = []
    monkeypatch.setattr(segmenter, "train", lambda *about: given.extend(about[:2]))
    segmenter.train_on_scenes(3, SegmenterHyperparameters(), None)
    assert [(config.dependence, count, seed) for config, count, seed, _ in asked] == [
        *((look, 20, 3) for look in (0, 1)),
        *((look, 10, 3) for look in (0, 1)),
    ]
    assert len({purpose for *_, purpose in asked}) == 4 and [len(part) for part in given] == [40, 20]
    halves = [scenes.generate(*about) for about in asked[:2]]
    for name in ("images", "labels", "masks"):
        expected = np.concatenate([getattr(half, name) for half in halves])
        assert np.array_equal(getattr(given[0], name), expected)


def test_the_kept_part_is_the_image_and_the_rest_its_fill() -> None:
    image, mask = scene_images(1)[1][0], np.zeros((32, 32), np.float32)
    mask[:, :16] = 1
    kept = learned_masks.keep(image, mask, "mean")
    np.testing.assert_array_equal(kept[:, :, :16], image[:, :, :16])
    expected = np.broadcast_to(image.mean((1, 2), keepdims=True), (3, 32, 16))
    np.testing.assert_allclose(kept[:, :, 16:], expected, atol=1e-6)


def test_other_sizes_classifiers_and_weights_are_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert {*learned_masks.classifiers()} == {*EXPLAINED}
    assert not {*checkpoints.names(learned_masks.KIND)} & {*checkpoints.names()}
    message = r"scenes/0 needs images of shape \(3, 32, 32\), got \(3, 64, 64\)\."
    with pytest.raises(CheckpointError, match=message):
        learned_masks.explain(*learned_masks.load("scenes/0"), np.zeros((3, 64, 64), np.float32), 4.0)
    with pytest.raises(
        CheckpointError, match=r"no mask network for 'resnet18'; there are those for .*scenes/0"
    ):
        learned_masks.load("resnet18")
    read = checkpoints.load_network

    def stale(name: str, build: object) -> tuple[object, dict]:
        network, card = read(name, build)
        return network, card | {"classifier_sha256": "0"}

    monkeypatch.setattr(checkpoints, "load_network", stale)
    learned_masks.load.cache_clear()
    with pytest.raises(CheckpointError, match="honest/0 was trained with other weights of scenes/0"):
        learned_masks.load("scenes/0")
    learned_masks.load.cache_clear()


@pytest.mark.parametrize(
    ("name", "metric", "own", "foreign"),
    [
        ("scenes_masker_honest", "answer kept 0.", "widest", "width"),
        ("scenes_unet", "test iou 0.", "width", "widest"),
    ],
)
def test_a_network_that_ships_is_made_again_by_its_command(
    name: str,
    metric: str,
    own: str,
    foreign: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (pretrain, segmenter):
        monkeypatch.setattr(module, "SIZES", {"taught": 40, "tested": 40})
    settings = ["--seed", "1", "--updates", "10", "--batch_size", "4", "--out", str(tmp_path)]
    assert main(["train", name, *settings, f"--{own}", "4"]) == 0
    assert f"{name}/1: {metric}" in capsys.readouterr().out
    assert (tmp_path / name / "1" / "card.json").exists()
    assert main(["train", name, *settings, f"--{foreign}", "4"]) == 2
    assert f"train has no setting '{foreign}'" in capsys.readouterr().err
