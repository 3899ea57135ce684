"""The page of virtual outliers: the demo walks through images and layers, runs are drawn."""

from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from mlcv_explore.ideas.virtual_outliers import inference
from mlcv_explore.models import checkpoints, layer_features
from tests import opening
from tests.opening import words

SLUG = "virtual_outliers"
opened = partial(opening.opened, SLUG)


def test_the_demo_shows_depth_layers_and_virtual_outliers_of_photographs_and_digits() -> None:
    app = opened(photograph="cat")
    assert not app.exception and "**cat**" in words(app) and "prediction depth **" in words(app)
    assert "Left out of training: frog and truck." in words(app)
    before = opening.caption(app, "times as far out")
    app.slider(key=f"{SLUG}-exponent").set_value(0).run()
    after = opening.caption(app, "times as far out")
    assert not app.exception and after != before and "outliers, 1.00 times" in after
    app.slider(key=f"{SLUG}-layer").set_value(1).run()
    assert not app.exception and len(app.get("vega_lite_chart")) == 2
    app = opened(network="Digits", example="noise")
    assert not app.exception and "Left out of training: 6 and 9." in words(app)


def test_drawing_and_uploads_wait_for_an_image_and_a_bad_file_is_named() -> None:
    app = opened(network="Digits", **{"digit-source": "Draw"})
    assert not app.exception and "Draw a digit" in words(app) and not app.get("vega_lite_chart")
    app = opened(network="Digits", **{"digit-source": "Upload digit"})
    app.file_uploader[0].upload("notes.png", b"no image", "image/png").run()
    assert not app.exception and "notes.png" in words(app)
    app = opened(source="Upload")
    app.file_uploader[0].upload("notes.png", b"no image", "image/png").run()
    assert not app.exception and "notes.png" in words(app)


@pytest.mark.parametrize(
    ("owner", "link", "sentence"),
    [
        (checkpoints, {}, "There is no checkpoint"),
        (checkpoints, {"network": "Digits"}, "There is no checkpoint"),
        (layer_features, {}, "bring back assets/data/cifar10_layers/train.safetensors"),
    ],
)
def test_missing_weights_or_features_are_a_sentence(monkeypatch, tmp_path, owner, link, sentence) -> None:
    monkeypatch.setattr(owner, "FOLDER", tmp_path)
    inference.load.cache_clear()
    app = opened(**link)
    assert not app.exception and sentence in words(app)
    inference.load.cache_clear()


def test_a_link_with_empty_values_or_settings_that_fit_together_alone_is_accepted() -> None:
    app = opened(network="", source="", photograph="", act="")
    assert not app.exception and "**cat**" in words(app)
    app = opened(network="Digits", example="", **{"digit-source": ""})
    assert not app.exception and "**7**" in words(app)
    app = opened(act="Train", dataset="photographs", train_size="2400", test_size="500")
    assert not app.exception and not app.warning
    assert app.slider(key=f"{SLUG}-train_size").value == 2400
    app = opened(act="Train", width="6")
    assert "width must be a multiple of 4, got 6" in words(app)


def test_a_run_is_drawn_from_its_first_frame_to_its_last() -> None:
    def drawn() -> None:
        import runpy

        from mlcv_explore.ideas.virtual_outliers import idea

        page, film = runpy.run_path("pages/virtual_outliers.py"), list(idea.run(idea.quick, (0, 1)))
        for frame in (film[0], film[-1]):
            page["draw"]([frame], idea.quick, (0, 1))

    app = AppTest.from_function(drawn, default_timeout=60).run()
    assert not app.exception and "Bars begin when the first network" in words(app)
    assert len(app.get("vega_lite_chart")) == 4  # two of the demo; bars and depths of the last frame
