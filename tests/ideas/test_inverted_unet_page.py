"""The page of the inverted U-Net under Streamlit's own test runner: scenes, uploads
good and bad, what a canvas may send.
"""

import io
import re
from functools import partial

import numpy as np
import pytest
from PIL import Image

from mlcv_explore.data.gallery import photographs
from mlcv_explore.ideas.inverted_unet import RUNGS, brought, painting
from mlcv_explore.ideas.inverted_unet.worlds import REGIONS
from tests import opening
from tests.opening import words

SLUG = "inverted_unet"
opened = partial(opening.opened, SLUG)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("rung", RUNGS)
def test_every_rung_paints_a_scene_beside_its_truth(rung):
    app = opened(rung=rung, scene="3")
    assert not app.exception
    said = words(app)
    assert "Painted in" in said and "**Truth**" in said and "Nearest in training" in said
    assert ("Edges are those of scene 3's picture" in said) == (rung in ("edges", "thumbnail"))
    assert len(app.selectbox) == (1 if rung in ("label", "edges", "thumbnail") else 0)


def test_an_uploaded_mask_is_painted_and_what_was_done_to_it_is_said():
    app = opened(begin="Upload", rung="edges")
    assert "the mask's own outline" in words(app)
    regions = painting.presets().regions[4]
    app.file_uploader[0].upload(
        "mine <b>.png", png(brought.coloured(regions).repeat(2, 0).repeat(2, 1)), "image/png"
    )
    app.run()
    said = words(app)
    assert not app.exception and "64 × 64 pixels" in said and "<b>" not in said and "**Truth**" not in said
    overlap = int(re.search(r"objects overlap (\d+)%", said.replace(" %", "%")).group(1))
    assert overlap > 80  # the nearest of 6,000 masks to that of a scene


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"<svg onload='alert(1)'/>", "only JPEG, PNG, WebP and GIF"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "mask.png"),
        (next(iter(photographs().values())).path.read_bytes(), "is a photograph, not a mask"),
    ],
)
def test_a_bad_upload_is_refused_in_a_sentence_and_the_page_goes_on(content, sentence):
    app = opened(begin="Upload")
    app.file_uploader[0].upload("mask.png", content, "image/png")
    app.run()
    assert not app.exception and sentence in words(app) and "Painted in" in words(app)


@pytest.mark.parametrize(
    "value",
    [
        "scene 1:" + "9" * 1024,
        "scene 1:",
        "scene 1:" + "0" * 5000,
        7,
        None,
        ["x"],
        {"a": 1},
        "scene 1:<script>",
    ],
)
def test_garbage_from_the_canvas_is_told_and_the_scenes_mask_used(value, monkeypatch):
    monkeypatch.setattr("mlcv_explore.ui.canvas._canvas", lambda **_: type("Sent", (), {"painted": value})())
    app = opened()
    assert not app.exception and "invalid drawing" in words(app) and "**Truth**" in words(app)


def test_a_painted_mask_is_used_and_an_old_one_is_not(monkeypatch):
    full = str(REGIONS.index("circle")) * 32 * 32
    sent = {"painted": f"scene 1:{full}"}
    monkeypatch.setattr("mlcv_explore.ui.canvas._canvas", lambda **_: type("Sent", (), sent)())
    assert "**Truth**" not in words(opened())
    app = opened(scene="2")  # what was painted belongs to another scene
    assert "**Truth**" in words(app) and "invalid drawing" not in words(app)


def test_a_link_that_names_what_is_not_offered_is_told():
    app = opened(rung="clas", begin="Scene", act="Read")
    assert "rung must be one of the 5 offered" in words(app) and "did you mean 'class'" in words(app)
