"""The page of underspecification: images, corruptions, adaptation, runs and results."""

from functools import partial

from streamlit.testing.v1 import AppTest

from mlcv_explore.ideas.underspecification import ARMS, inference
from mlcv_explore.models import checkpoints
from tests import opening
from tests.opening import words

SLUG = "underspecification"
opened = partial(opening.opened, SLUG)


def test_the_demo_fans_out_with_severity_and_adaptation_brings_networks_together() -> None:
    app = opened(strength="0")
    assert (
        not app.exception
        and words(app).count("12 predict 7") == 3
        and "**300 test images, clean**" in words(app)
    )
    assert len(app.get("vega_lite_chart")) == 3
    app.slider(key=f"{SLUG}-strength").set_value(5).run()
    assert not app.exception and "12 predict 7" not in words(app) and "fog, severity 5" in words(app)
    before = opening.caption(app, "of pairs disagree")
    app.segmented_control(key=f"{SLUG}-normalised").set_value("Test batch").run()
    after = opening.caption(app, "of pairs disagree")
    assert not app.exception and int(after.split("%")[0]) < int(before.split("%")[0])
    app.selectbox(key=f"{SLUG}-corruption").set_value("rotation").run()
    assert not app.exception and "rotation, severity 5" in words(app)


def test_photographs_are_read_by_the_imagenet_network_and_a_bad_file_is_named() -> None:
    app = opened(data="Photographs", photograph="cat", corruption="blur", normalised="Test batch")
    assert not app.exception and "predict cat" in words(app) and "no test batch ships" in words(app)
    assert "**300 test images, blur, severity 5**" in words(app)
    app = opened(data="Photographs", source="Upload")
    app.file_uploader[0].upload("notes.png", b"no image", "image/png").run()
    assert not app.exception and "notes.png" in words(app)
    app = opened(origin="Draw")
    assert not app.exception and "Draw a digit" in words(app) and not app.get("vega_lite_chart")


def test_missing_networks_and_wrong_links_are_sentences(monkeypatch, tmp_path) -> None:
    app = opened(strength="9", data="", act="")
    assert not app.exception and "must be a whole number between 0 and 5" in words(app)
    app = opened(act="Train", networks="1")
    assert not app.exception and "networks must be at least two" in words(app)
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    inference.load.cache_clear()
    app = opened()
    assert not app.exception and "There is no checkpoint" in words(app)
    inference.load.cache_clear()


def test_a_run_is_drawn_from_its_first_frame_to_its_last() -> None:
    def drawn() -> None:
        import runpy

        from mlcv_explore.ideas.underspecification import idea

        page, film = runpy.run_path("pages/underspecification.py"), list(idea.run(idea.quick, (0, 1)))
        for frame in (film[0], film[-1]):
            page["draw"]([frame], idea.quick, (0, 1))

    app = AppTest.from_function(drawn, default_timeout=60).run()
    assert not app.exception and "Bars begin when the first networks" in words(app)
    assert len(app.get("vega_lite_chart")) == 5  # three of the demo; of the last frame bars and corruptions


def test_the_answer_has_every_arm_on_both_kinds_of_data_and_every_source_of_randomness() -> None:
    app = opening.unfolded(SLUG)
    assert not app.exception
    tables = {next(iter(table.value)): table.value for table in app.dataframe}
    for title in ("Digits", "Photographs' features", "Photographs at 32 pixels"):
        assert len(tables[f"{title}: networks"]) == len(ARMS) and len(tables[f"{title}: by corruption"]) == 5
    for source in ("weights", "order", "head", "split"):
        assert len(tables[f"Digits: only {source} varied"]) == 3
