"""The page of layer attacks: the demo walks through the layers, runs are drawn, tables shown."""

from functools import partial
from typing import Any

from streamlit.testing.v1 import AppTest

from mlcv_explore.ideas.layer_attacks import SITES
from mlcv_explore.models import attacked_image
from mlcv_explore.models.checkpoints import Classifier
from tests import opening
from tests.opening import words

SLUG = "layer_attacks"
opened = partial(opening.opened, SLUG)


def test_the_demo_attacks_the_chosen_layer_and_size_0_changes_nothing() -> None:
    app = opened(photograph="cat", layer="0", size="0.3")
    assert not app.exception and "**Input: before**" in words(app)
    shown = [caption.value for caption in app.caption if caption.value.endswith("%")]
    before, attacked, noisy = shown
    assert before.startswith("cat ") and not attacked.startswith("cat ")
    assert noisy.startswith("Random noise of this size: ")
    app.slider(key=f"{SLUG}-size").set_value(0.0).run()
    shown = [caption.value for caption in app.caption if caption.value.endswith("%")]
    assert shown == [before, before, f"Random noise of this size: {before}"]
    app.slider(key=f"{SLUG}-layer").set_value(10).run()  # the last there is
    assert not app.exception and "**Logits: before**" in words(app)
    assert "This network's last layer is 8, the logits." in words(app)
    app.selectbox(key=f"{SLUG}-view_norm").set_value("linf").run()
    assert not app.exception and len(app.get("vega_lite_chart")) == 2


def test_another_network_of_the_same_image_is_attacked_anew(monkeypatch) -> None:
    own = attacked_image.attacked

    def attack(model: Classifier, *about: Any) -> attacked_image.Attacked:
        if model.name == "imagenet":  # its eleven sites take seconds
            raise ValueError("The ImageNet network is attacked.")
        return own(model, *about)

    monkeypatch.setattr(attacked_image, "attacked", attack)
    app = opened(photograph="cat", layer="6", size="0.3")
    assert not app.exception and not app.error
    app.selectbox(key=f"{SLUG}-model").set_value("imagenet").run()
    assert not app.exception and "The ImageNet network is attacked." in words(app)


def test_a_network_without_a_chain_is_refused_in_a_sentence_and_stays_so(monkeypatch) -> None:
    """Also when a control is moved, which runs the demo alone again."""

    def refuse(model: object) -> None:
        raise ValueError("vit is not one chain of blocks.")

    monkeypatch.setattr(attacked_image, "opened", refuse)
    app = opened(photograph="cat")
    app.slider(key=f"{SLUG}-size").set_value(0.2).run()
    assert not app.exception and "vit is not one chain of blocks." in words(app)


def test_a_bad_upload_and_an_unknown_network_are_named_and_nothing_is_lost() -> None:
    app = opened(source="Upload", model="vit_b_17")
    assert not app.exception and "vit_b_17" in words(app)
    app.file_uploader[0].upload("notes.png", b"no image", "image/png").run()
    assert not app.exception and "notes.png" in words(app)


def test_a_run_is_drawn_from_its_first_frame_to_its_last() -> None:
    def drawn() -> None:
        import runpy

        from mlcv_explore.ideas.layer_attacks import idea

        page, film = runpy.run_path("pages/layer_attacks.py"), list(idea.run(idea.quick, (0, 1)))
        for frame in (film[0], film[-1]):
            page["draw"]([frame], idea.quick, (0, 1))

    app = AppTest.from_function(drawn, default_timeout=60).run()
    assert not app.exception and "Curves begin when every layer" in words(app)
    assert len(app.get("vega_lite_chart")) == 4  # two of the demo; of the last frame curves and networks


def test_the_answer_has_every_layer_of_both_studies_and_every_network() -> None:
    app = opening.unfolded(SLUG)
    assert not app.exception
    tables = {next(iter(table.value)): table.value for table in app.dataframe}
    for title in ("Digits, small networks", "Photographs, ImageNet network"):
        assert len(tables[title]) == len(SITES)
    assert len(tables["Digits: network"]) == 9
