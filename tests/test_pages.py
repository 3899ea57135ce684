"""Every page opens, plays and trains under Streamlit's own test runner; runs go through
a real, in-process cluster.
"""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mlcv_explore import idea
from mlcv_explore.experiment import runs
from mlcv_explore.ui import server, training

FRAME = Path(__file__).parent.parent / "pages" / "frame.py"
PATIENCE = 60  # seconds a quick run may take


@pytest.fixture(scope="module", autouse=True)
def engine() -> Iterator[None]:
    """A cluster in this process, in place of the one `app.py` starts beside the server."""
    from mlcv_explore.experiment.jobs import Jobs

    server.use(Jobs(processes=False))
    yield
    server.close()


def opened(page: str, **link: str) -> AppTest:
    """A page opened through the frame, with settings in its link."""
    app = AppTest.from_file(FRAME, default_timeout=30)
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    return app.switch_page(page).run() if page != "home.py" else app


def words(app: AppTest) -> str:
    """All that a page says."""
    return "\n".join(
        str(element.value)
        for kind in ("title", "markdown", "caption", "info", "warning", "error", "subheader")
        for element in app.get(kind)
    )


@pytest.mark.parametrize("page", ["home.py", "runs.py", *[f"{card.slug}.py" for card in idea.cards()]])
def test_page_opens(page):
    app = opened(page)
    assert not app.exception
    assert len(app.title) == 1


def test_home_shows_every_idea():
    app = opened("home.py")
    for card in idea.cards():
        assert card.question in words(app)
        assert any(card.title in link.label for link in app.get("page_link"))


@pytest.mark.parametrize("card", idea.cards(), ids=lambda card: card.slug)
@pytest.mark.parametrize("act", ["Play", "Train", "Answer", "Read"])
def test_every_act_is_alive_at_first_paint(card, act):
    app = opened(f"{card.slug}.py", **{f"{card.slug}-act": act})
    assert not app.exception
    assert app.title[0].value == card.question


@pytest.mark.parametrize("card", idea.cards(), ids=lambda card: card.slug)
def test_the_answer_says_every_verdict_that_ships_and_home_the_first(card):
    verdicts = json.loads((idea.ASSETS / card.slug / "live.json").read_text(encoding="utf-8"))["verdicts"]
    said = words(opened(f"{card.slug}.py", **{f"{card.slug}-act": "Answer"}))
    assert [verdict["claim"] for verdict in verdicts if verdict["sentence"] not in said] == []
    assert f"{verdicts[0]['status']} · n = {verdicts[0]['estimate']['n']} seeds" in words(opened("home.py"))


@pytest.mark.parametrize("card", idea.cards(), ids=lambda card: card.slug)
def test_page_trains_to_a_verdict(card):
    subject = idea.load(card.slug)
    link = {f"{card.slug}-{name}": str(value) for name, value in subject.quick.changed().items()}
    app = opened(f"{card.slug}.py", **link, **{f"{card.slug}-act": "Train", f"{card.slug}-seeds": "2"})
    app.button(key=f"{card.slug}-train").click().run()
    deadline = time.monotonic() + PATIENCE
    while "What these seeds say" not in words(app):
        assert time.monotonic() < deadline and not app.exception, words(app)
        # as a browser does; a page drawn without a pause keeps the interpreter from the run in this
        # process
        time.sleep(training.REFRESH)
        app.run()
    assert "n = 2 seeds" in words(app)


@pytest.mark.parametrize("card", idea.cards(), ids=lambda card: card.slug)
def test_a_bad_link_is_told_and_the_default_used(card):
    name = next(item for item in idea.load(card.slug).config.settings() if item.kind == "float")
    app = opened(
        f"{card.slug}.py",
        **{
            f"{card.slug}-{name.name}": str(name.high + 1),
            f"{card.slug}-no_such": "1",
            f"{card.slug}-act": "Train",
        },
    )
    assert not app.exception
    said = words(app)
    assert f"{name.name} must be {name.rule}, got" in said
    assert "has no setting 'no_such'" in said
    assert app.slider(key=f"{card.slug}-{name.name}").value == name.default


def test_a_link_that_names_what_only_the_page_offers_is_checked_too():
    app = opened(
        "saliency.py", **{"saliency-act": "Read", "saliency-model": "cifar11", "saliency-methods": "gradcam"}
    )
    said = words(app)
    assert (
        not app.exception
        and "model must be one of" in said
        and "did you mean 'cifar10" in said
        and "methods must" not in said
    )


@pytest.mark.parametrize("card", idea.cards(), ids=lambda card: card.slug)
def test_a_link_holds_the_names_that_the_command_line_takes(card):
    for item in idea.load(card.slug).config.settings():
        if item.kind == "choice":
            chosen = item.choices[-1]
            app = opened(
                f"{card.slug}.py", **{f"{card.slug}-{item.name}": str(chosen), f"{card.slug}-act": "Train"}
            )
            assert app.selectbox(
                key=f"{card.slug}-{item.name}"
            ).value == chosen and "cannot be used" not in words(app)


def test_a_link_to_maps_opens_on_them():
    link = {"saliency-photograph": "coffee", "saliency-methods": "gradient", "saliency-target": "dog"}
    app = opened("saliency.py", **link)
    assert (
        app.segmented_control(key="saliency-photograph").value == "coffee"
        and app.selectbox(key="saliency-target").value == "dog"
    )
    assert app.multiselect(key="saliency-methods").value == ["gradient"] and not app.warning


def test_a_scene_is_explained_by_a_model_of_scenes_beside_another_with_scores():
    link = {
        "saliency-source": "Scene",
        "saliency-scene": "3",
        "saliency-compare": "scene-5",
        "saliency-methods": "gradient",
        "saliency-scores": "true",
    }
    app = opened("saliency.py", **link)
    said = words(app)
    assert not app.exception and not app.warning and app.selectbox(key="saliency-model").value == "scenes/0"
    assert (
        "Scene 3: a" in said and "scene-3: Says" in said and "scene-5: Says" in said and "on object" in said
    )
    scored = app.dataframe[0].value
    assert (
        list(scored["picture"]) == ["scene-3", "scene-5"]
        and "points at object" in scored
        and "gap" not in scored
    )


def test_a_map_that_does_not_care_about_layers_is_named():
    app = opened("saliency.py", **{"saliency-methods": ["gradient", "edges"], "saliency-randomised": "4"})
    (warned,) = app.warning
    assert not app.exception and "Hardly changed by this: Sobel edges." in warned.value
    likeness = app.dataframe[0].value
    assert (
        list(likeness["map"]) == ["Gradient", "Sobel edges"]
        and list(likeness["like the trained map, signed"])[1] == "1.00"
    )
    assert float(likeness["like the trained map, absolute"][0]) < 0.9


def test_a_picture_that_cannot_stand_beside_is_told():
    app = opened("saliency.py", **{"saliency-compare": "scene-99", "saliency-act": "Read"})
    assert "compare must be one of" in words(app)


def test_without_a_picture_the_page_says_what_will_appear():
    app = opened("saliency.py", **{"saliency-source": "Upload"})
    assert not app.exception and "Choose an image to start" in words(app)


def kept_runs() -> tuple[AppTest, str, str]:
    """The runs page after one run was trained with two, and one with four seeds; the
    page and both identities.
    """
    card = idea.cards()[0]
    kept = [
        server.jobs().start(card.slug, idea.load(card.slug).quick, range(seeds), "a test") for seeds in (2, 4)
    ]
    deadline = time.monotonic() + PATIENCE
    while {server.jobs().state(run_id).status for run_id in kept} != {"finished"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return opened("runs.py"), *kept


def test_a_kept_run_is_replayed_compared_and_deleted():
    app, small, large = kept_runs()
    choices = len(app.selectbox(key="runs-open").options)
    app.selectbox(key="runs-open").set_value(small).run()
    assert not app.exception
    next(slider for slider in app.slider if slider.label == "Frame").set_value(1).run()
    assert not app.exception and "Step 2 of" in words(app)
    app.selectbox(key="runs-with").set_value(large).run()
    assert not app.exception and "n = 2 seeds both have" in words(app)
    app.selectbox(key="runs-with").set_value(None).run()
    app.button(key="runs-delete").click().run()
    assert not app.exception and runs.find(small) is None and runs.find(large) is not None
    assert len(app.selectbox(key="runs-open").options) == choices - 1


def test_search_finds_by_title_and_says_when_there_is_none():
    app, *_ = kept_runs()
    title = idea.cards()[0].title
    own = [name for name in app.selectbox(key="runs-open").options if name.startswith(title)]
    app.text_input(key="runs-search").set_value("no such words").run()
    assert not app.exception and app.selectbox(key="runs-open").options == [] and len(own) >= 3
    app.text_input(key="runs-search").set_value(title.upper()).run()
    assert app.selectbox(key="runs-open").options == own


def test_strangers_see_the_shipped_runs_and_delete_nothing(monkeypatch):
    kept_runs()
    monkeypatch.setenv("MLCV_PUBLIC", "1")
    app = opened("runs.py")
    assert not app.exception
    assert all("shipped" in name for name in app.selectbox(key="runs-open").options)
    app.selectbox(key="runs-open").set_value(runs.recorded(idea.cards()[0].slug).id).run()
    assert not app.exception and not [button for button in app.button if button.key == "runs-delete"]


def test_a_damaged_run_is_told_and_skipped():
    _, _, large = kept_runs()
    folder = runs.find(large).folder
    (folder / "run.json").write_text("{")
    app = opened("runs.py")
    assert not app.exception and folder.name in words(app)
    shutil.rmtree(folder)


def test_the_curve_is_that_of_the_map_which_is_shown():
    app = opened("saliency.py", **{"saliency-methods": "gradient", "saliency-by": "gradient"})
    curves = [app.get("vega_lite_chart")[-1].proto.data.data]
    app.slider(key="saliency-randomised").set_value(3).run()
    curves.append(app.get("vega_lite_chart")[-1].proto.data.data)
    assert not app.exception and "3 of" in words(app) and curves[0] != curves[1]
