"""Composites beside their maps under Saliency's Answer."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mlcv_explore.ideas.learned_salience import photographs
from mlcv_explore.models import classifiers, imagenet
from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.saliency import photograph_masker
from mlcv_explore.seeds import seeded
from mlcv_explore.ui import saliency_composites
from tests import composite_files


def app() -> None:
    from mlcv_explore.ui import saliency_composites

    saliency_composites.show("SmoothGrad²")


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composite_files.write(tmp_path, {"red": ((220, 0, 0), "red"), "sky": ((90, 160, 250), "cat")})
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    network = seeded(0, lambda: classifiers.residual_classifier(4, 2, [0.5] * 3, [0.25] * 3)).eval()
    monkeypatch.setattr(imagenet, "load", lambda: Classifier("small", network, ("cat", "red"), 32, {}))
    monkeypatch.setattr(imagenet, "present", lambda: True)
    monkeypatch.setattr(saliency_composites, "SHOWN", (0, 1))
    saliency_composites._examples.clear()


def test_the_stated_shares_are_those_on_the_pixels_of_the_object(objects: None) -> None:
    (red, sky) = saliency_composites._examples()
    assert (red.name, red.explained, sky.name, sky.explained) == ("red", "red", "sky", "cat")
    for example, colour in ((red, (220, 0, 0)), (sky, (90, 160, 250))):
        on_object = (example.image == colour).all(-1)
        assert 0.05 < on_object.mean() < 0.5
        by_hand = [values[on_object].sum() / values.sum() for values in example.maps]
        assert example.shares == pytest.approx(by_hand) and not np.array_equal(*example.maps)


def test_composites_are_shown_where_they_are_at_hand_and_nothing_elsewhere(
    objects: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = AppTest.from_function(app).run()
    assert not shown.exception and "SmoothGrad² with a random last layer. red, explained as red" in "".join(
        caption.value for caption in shown.caption
    )
    monkeypatch.delenv("MLCV_DATA")
    elsewhere = AppTest.from_function(app).run()
    assert not elsewhere.exception and not elsewhere.caption


def test_learned_masks_stand_beside_the_other_map_with_their_shares(
    objects: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photographs, "SIDE", 64)
    monkeypatch.setattr(photograph_masker, "load", lambda: None)
    halves = np.repeat([[1.0], [0.0]], 32, axis=0) * np.ones(64)
    monkeypatch.setattr(photograph_masker, "predict", lambda *_: halves)
    monkeypatch.setattr(saliency_composites, "LEARNED", (1,))
    saliency_composites._learned.clear()
    (sky,) = saliency_composites._learned()
    on_object = (sky.image == (90, 160, 250)).all(-1)
    assert sky.shares[0] == pytest.approx(on_object[:32].sum() / halves.sum())
    assert sky.shares[1] == pytest.approx(sky.maps[1][on_object].sum() / sky.maps[1].sum())
