"""The page of freezing: blocks are clicked, images are tuned for, runs are drawn."""

from functools import partial

from streamlit.testing.v1 import AppTest

from mlcv_explore.models import checkpoints, tuned_networks
from tests import opening
from tests.opening import words

SLUG = "freezing"
opened = partial(opening.opened, SLUG)


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_blocks_are_frozen_by_a_click_and_all_numbers_follow() -> None:
    app = opened()
    assert not app.exception and "After, with 200 target images" in words(app)
    before = metrics(app)
    app.toggle(key=f"{SLUG}-frozen3").set_value(False).run()
    after = metrics(app)
    assert not app.exception and after["Accuracy"] != before["Accuracy"]
    assert int(after["Parameters tuned"].replace(",", "")) > int(before["Parameters tuned"].replace(",", ""))
    best = [name for name in before if name.startswith("Best: ")]
    assert best == [name for name in after if name.startswith("Best: ")] and len(best) == 1
    for block in (1, 2, 3, 4):
        app.toggle(key=f"{SLUG}-frozen{block}").set_value(True)
    app.run()
    assert not app.exception and words(app).count("changed by 0%") == 4


def test_every_target_and_network_is_shown_and_what_its_classes_are() -> None:
    app = opened(target="Permuted labels", network="Photographs", photograph="cat")
    assert not app.exception and "Permuted: " in words(app) and "cat is “" in words(app)
    app = opened(target="New classes", **{"digits-size": "50"})
    assert not app.exception and "Of the new classes " in words(app)
    assert len(app.get("vega_lite_chart")) == 1


def test_drawing_and_uploads_wait_for_an_image_and_a_bad_file_is_named() -> None:
    app = opened(**{"digit-source": "Draw"})
    assert not app.exception and "Draw a digit" in words(app) and "Before tuning" not in words(app)
    app = opened(network="Photographs", source="Upload")
    app.file_uploader[0].upload("notes.png", b"no image", "image/png").run()
    assert not app.exception and "notes.png" in words(app)


def test_a_missing_checkpoint_is_a_sentence(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    tuned_networks.load.cache_clear()
    app = opened()
    assert not app.exception and "There is no checkpoint" in words(app)
    tuned_networks.load.cache_clear()


def test_a_link_with_other_values_names_them() -> None:
    app = opened(target="Nothing", frozen1="maybe")
    assert not app.exception and "Nothing" in words(app) and "maybe" in words(app)
    app = opened(act="Train", source_size="1500")
    assert not app.exception and "source_size" in words(app)


def test_a_run_is_drawn_from_its_first_frame_to_its_last() -> None:
    def drawn() -> None:
        import runpy

        from mlcv_explore.ideas.freezing import idea

        page, film = runpy.run_path("pages/freezing.py"), list(idea.run(idea.quick, (0, 1)))
        for frame in (film[0], film[-1]):
            page["draw"]([frame], idea.quick, (0, 1))

    app = AppTest.from_function(drawn, default_timeout=60).run()
    assert not app.exception and "Bars begin when the first network is trained" in words(app)
    assert len(app.get("vega_lite_chart")) == 2  # of the demo; of the last frame
