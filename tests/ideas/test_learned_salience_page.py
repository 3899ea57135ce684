"""The page of learned saliency."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from mlcv_explore.charts import images
from mlcv_explore.saliency import learned_masks, photograph_masker
from tests import opening
from tests.calls import recorded
from tests.opening import words

opened = partial(opening.opened, "learned_salience")


def test_a_scene_has_maps_parts_boxes_and_shares_on_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(source="Scene", scene="3")
    text = words(app) + str([bar.text for bar in app.get("progress")])
    assert not app.exception and not app.warning and not app.error
    offered = app.selectbox(key="learned_salience-model")
    scenes = ["scenes/0", "scenes-tagged/0", "scenes-texture/0"]
    assert offered.options == [*scenes, "cifar10/0", "imagenet"] and offered.value == "scenes/0"
    for name in ("Learned mask", "Skip-connection gates", "Grad-CAM", "Boxes", "Segmenter", "Prediction:"):
        assert name in text, name
    for name in ("Kept: circle", "Complement: circle", "on the object", "on the tag"):
        assert name in text, name
    explain = learned_masks.explain
    for value, area in ((0.0, "0.0%"), (1.0, "100.0%")):
        flat = {"mask": np.full((32, 32), value, np.float32)}
        monkeypatch.setattr(
            learned_masks, "explain", lambda *given, flat=flat: replace(explain(*given), **flat)
        )
        app = opened(source="Scene", scene="3")
        assert not app.exception and f"The mask covers {area} of the image" in words(app)


def test_the_image_shown_first_keeps_its_class_with_the_mask_and_loses_it_without() -> None:
    text = str([bar.text for bar in opened().get("progress")])
    found = (re.search(rf"{title}: cat (\d+)%", text) for title in ("Kept", "Complement"))
    kept, complement = (int(match[1]) for match in found)
    assert kept > 75 and complement < 25


def test_the_imagenet_network_has_a_mask_of_its_own_and_no_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = np.pad(np.ones((112, 112), np.float32), 56)
    monkeypatch.setattr(photograph_masker, "predict", lambda *_: inner)
    asked = recorded(monkeypatch, photograph_masker, "predict")
    text = words(opened(model="imagenet", area_weight="4"))
    ((*_, image, area),) = asked
    assert image.shape == (3, 224, 224) and area == photograph_masker.AREA and "25.0%" in text
    assert "Learned mask" in text and "Grad-CAM" in text and "gates" not in text


def test_an_uploaded_photograph_is_explained_and_garbage_is_rejected() -> None:
    app = opened(source="Upload", model="cifar10/0")
    photograph = images.png(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    app.get("file_uploader")[0].upload("mine.png", photograph, "image/png").run()
    assert not app.exception and "Learned mask" in words(app) and "on the object" not in words(app)
    app.get("file_uploader")[0].upload("bad.png", b"not an image", "image/png").run()
    assert not app.exception and "Learned mask" not in words(app) and app.error


def test_a_link_with_an_unknown_model_or_weight_is_reported() -> None:
    text = words(opened(act="Read", model="scenes/1", wanted="99"))
    assert "model must be one of the 5 offered" in text
    assert "area_weight must be between 0.5 and 20, got 99" in text
