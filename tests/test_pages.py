"""Every page opens, plays and trains under Streamlit's own test runner; runs go through
a real, in-process cluster.
"""

import json
import re
import shutil
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mlcv_explore import idea
from mlcv_explore.experiment import runs
from mlcv_explore.ui import answer, evidence, server, training
from mlcv_explore.ui.home import first_sentence
from tests.opening import claims

FRAME = Path(__file__).parent.parent / "pages" / "frame.py"
PATIENCE = 60  # seconds a quick run may take
CHEAP = idea.card("label_noise")  # a run of it takes the least
every_idea = pytest.mark.parametrize("card", idea.cards(), ids=lambda card: card.slug)


@pytest.fixture(scope="module", autouse=True)
def engine() -> Iterator[None]:
    """A cluster in this process, in place of the one `app.py` starts beside the server."""
    from mlcv_explore.experiment.jobs import Jobs

    server.use(Jobs(processes=False))
    yield
    server.close()


def opened(page: str, **link: str) -> AppTest:
    """A page opened through the frame by a link with settings, not from home."""
    app = AppTest.from_file(FRAME, default_timeout=30)
    for name, value in link.items():
        app.query_params[name] = value
    return app.switch_page(page).run()


def words(app: AppTest) -> str:
    """The text of a page."""
    return "\n".join(
        str(element.value)
        for kind in ("title", "markdown", "caption", "info", "warning", "error", "subheader")
        for element in app.get(kind)
    )


@cache
def home() -> AppTest:
    """The first page, opened once."""
    return opened("home.py")


def test_home_shows_every_idea():
    assert not home().exception and len(home().title) == 1
    for card in idea.cards():
        assert f"**{card.question}**" in [link.label for link in home().get("page_link")]
        assert card.answer in words(home()) and first_sentence(card.but) in words(home())


def test_a_card_shows_the_first_sentence_of_its_but() -> None:
    assert first_sentence("PCA ties (88.5 %). Also k-means.") == "PCA ties (88.5 %)."
    assert (
        first_sentence("Only one, by 0.3. points") == "Only one, by 0.3. points" and first_sentence("") == ""
    )


@every_idea
@pytest.mark.parametrize("act", ["Play", "Train", "Read"])
def test_every_act_is_alive_at_first_paint(card, act):
    app = opened(f"{card.slug}.py", **{f"{card.slug}-act": act})
    assert not app.exception
    assert [title.value for title in app.title] == [card.question]
    works = idea.load(card.slug).prior_work if act == "Read" else ()
    assert all(work.title in words(app) and work.differs in words(app) for work in works)


@every_idea
def test_answer_has_one_verdict_that_home_shows_too_and_every_claim_in_one_table(card):
    verdicts = json.loads((idea.ASSETS / card.slug / "live.json").read_text(encoding="utf-8"))["verdicts"]
    app = opened(f"{card.slug}.py", **{f"{card.slug}-act": "Answer"})
    assert not app.exception
    assert [title.value for title in app.title] == [card.question]
    _, chip = evidence.chip(card)
    assert chip in words(app) and chip in words(home())
    assert all(text in words(app) for text in (card.answer, card.terms, card.but))
    shown = claims(app)
    sentences = {claim.name: claim.sentence for claim in idea.load(card.slug).claims}
    expected = [
        (sentences[verdict["claim"]], estimate["status"])
        for verdict in verdicts
        for estimate in verdict["estimates"]
    ]
    assert list(zip(shown["Claim"], shown["Status"], strict=True)) == expected
    if photographs := evidence.study(card.slug, "photographs"):
        beside = [
            f"{estimate['status']}, n = {estimate['n']}" if estimate["n"] else "not run"
            for verdict in photographs["verdicts"]
            for estimate in verdict["estimates"]
        ]
        assert [re.sub(", .*,", ",", text) for text in list(shown.values())[-1]] == beside
        assert any("--study photographs" in code.value for code in app.get("code"))
    rows = [verdict for verdict in verdicts for _ in verdict["estimates"]]
    assert shown["Role"] == [verdict["role"] for verdict in rows]
    small = [", too small for n" in margin for margin in shown["Margin"]]
    assert small == [verdict["small_margin"] for verdict in rows]
    assert ("Too small for n: a margin below a fifth" in words(app)) == any(small)
    defined = ("*Supported*", "*Contradicted*", "*Undecided*", "**Margin**", "**Role**", "*Secondary*")
    assert all(word in words(app) for word in defined)
    assert ("*Holm*" in words(app)) == (len(rows) > len(verdicts))
    for lead, text in zip(answer.conditions(card), (card.holds_when, card.fails_when), strict=True):
        assert lead[0].isupper() and lead.endswith(" when") and f"**{lead}:** {text}" in words(app)
    assert ("runs collapsed" in words(app)) == any((each["collapsed"] or {}).get("mean") for each in verdicts)


def test_the_chip_and_the_charts_of_the_answer_name_the_data_and_n_of_every_study():
    """Saliency explains 24 objects on photographs with one network, twenty classifiers on
    scenes.
    """
    card = idea.card("saliency")
    samples = ["generated scenes, n = 20 classifiers", "photographs, n = 24 objects"]
    samples = [text.replace(" = ", evidence.EQUALS) for text in samples]
    assert evidence.chip(card)[1].endswith(f" · {'; '.join(samples)}")
    app = opened("saliency.py", **{"saliency-act": "Answer"})
    titles = ("Scenes, the object is the cause", "Photographs, the object is the cause")
    for title, sample in zip(titles, samples, strict=True):
        assert f"**{title}**, {sample.split(', ')[1]}" in words(app)
    for name in ("live", "photographs"):
        verdict = evidence.study("saliency", name)["verdicts"][0]
        assert f"network: **{evidence.effect(verdict, verdict['estimates'][0])}**" in words(app)
    tagged = json.loads(app.get("vega_lite_chart")[2].proto.spec)
    assert "corner tag" in json.dumps(tagged)
    sources = idea.card("copernican")
    counts = [f"n{evidence.EQUALS}{count} sources" for count in (28, 25)]
    where = [evidence.data(sources)[name] for name in ("live", "photographs")]
    samples = [f"{data}, {count}" for data, count in zip(where, counts, strict=True)]
    assert evidence.chip(sources)[1] == f"behind other curves' quantiles · {'; '.join(samples)}"


def test_home_finds_an_idea_by_each_kind_of_data_it_was_measured_on():
    """Photographs and their features are two kinds; how many labels a class has is none."""
    questions = {card.question for card in idea.cards()}
    for data, slugs in (
        (
            "photographs",
            {"freezing", "layer_attacks", "saliency", "learned_salience", "hierarchical_representation"},
        ),
        (
            "photographs' features",
            {"feature_mixing", "label_noise", "underspecification", "virtual_outliers"},
        ),
    ):
        shown = opened("home.py", **{"home-data": data}).get("page_link")
        found = {idea.card(slug).question for slug in slugs}
        assert questions & {link.label.strip("*") for link in shown} == found


def trained(card: idea.Card, seeds: int = 2) -> AppTest:
    """The Train act of an idea once its quick run has its results."""
    quick = {
        f"{card.slug}-{name}": str(value) for name, value in idea.load(card.slug).quick.changed().items()
    }
    app = opened(
        f"{card.slug}.py", **quick, **{f"{card.slug}-act": "Train", f"{card.slug}-seeds": str(seeds)}
    )
    app.button(key=f"{card.slug}-train").click().run()
    return finished(app)


def finished(app: AppTest, sign: str = "Results") -> AppTest:
    """The page once it shows a sign of the end."""
    deadline = time.monotonic() + PATIENCE
    while sign not in words(app):
        assert time.monotonic() < deadline and not app.exception and not app.error, words(app)
        # as a browser does; a page drawn without a pause keeps the interpreter from the run in this
        # process
        time.sleep(training.REFRESH)
        app.run()
    return app


def drawn(app: AppTest) -> list[bytes]:
    """What the page has drawn of a run: the numbers and looks of its charts, its images and
    tables.
    """
    charts = [
        estimate.proto.data.data + estimate.proto.spec.encode() for estimate in app.get("vega_lite_chart")
    ]
    images = [estimate.proto.SerializeToString() for estimate in app.get("imgs")]
    return charts + images + [str(table.value).encode() for table in app.dataframe]


@every_idea
def test_a_run_is_drawn_with_its_own_settings_wherever_the_controls_are_moved(card):
    app, config = trained(card), idea.load(card.slug).config
    assert "n = 2 seeds" in words(app)
    before, said = drawn(app), {caption.value for caption in app.caption}
    assert before and said
    for estimate in config.settings():
        if estimate.kind == "bool":
            toggle = app.toggle(key=f"{card.slug}-{estimate.name}")
            toggle.set_value(not toggle.value)
        elif estimate.kind == "choice":
            box = app.selectbox(key=f"{card.slug}-{estimate.name}")
            box.set_value(next(choice for choice in estimate.choices if choice != box.value))
        else:
            kind = app.number_input if estimate.more else app.slider
            number = kind(key=f"{card.slug}-{estimate.name}")
            number.set_value(number.max if number.value != number.max else number.min)
        app.run()
        assert not app.exception, estimate.name
        assert drawn(app) == before, estimate.name
        assert said <= {caption.value for caption in app.caption}, estimate.name


def test_added_seeds_are_one_run_for_the_reader():
    card = idea.card("label_noise")
    app = trained(card, 3)
    app.button(key="label_noise-add").click().run()
    finished(app, "Interim analysis 2 of 4")
    assert "n = 6 seeds" in words(app) and app.slider(key="label_noise-seeds").value == 6
    quick = idea.load("label_noise").quick
    joined = runs.find(runs.identity("label_noise", quick, range(6)))
    assert joined is not None and (joined.seeds, joined.looks) == (tuple(range(6)), 2)
    for part in (range(3), range(3, 6)):
        assert runs.find(runs.identity("label_noise", quick, part)) is None
    alone = idea.load("label_noise")
    columns = alone.metrics(quick, list(alone.run(quick, range(6))))
    for name, values in columns.items():
        assert joined.metrics[name]["per_seed"] == pytest.approx(values, abs=1e-6), name
    command = next(code.value for code in app.get("code") if "mlcv_explore run" in code.value)
    assert "--seeds 6" in command


def test_a_run_of_other_settings_does_not_test_a_claim():
    link = {"label_noise-corruption": "0.6", "label_noise-epochs": "12", "label_noise-train_size": "200"}
    app = opened("label_noise.py", **link, **{"label_noise-act": "Train", "label_noise-seeds": "2"})
    app.button(key="label_noise-train").click().run()
    text = words(finished(app))
    assert "Not tested: it is about wrong labels 0.4, this run has 0.6." in text and "this run:" not in text


def test_a_link_with_an_old_name_opens_and_names_the_new_one():
    app = opened("saliency.py", **{"saliency-beside": "scene-5", "saliency-act": "Read"})
    assert not app.exception and "beside is now called compare" in words(app)
    slug = "hierarchical_explanation"  # here of a setting, whose value is kept
    app = opened(f"{slug}.py", **{f"{slug}-taught": "300", f"{slug}-act": "Train"})
    assert not app.exception and "taught is now called train_items" in words(app)
    assert app.number_input(key=f"{slug}-train_items").value == 300


@every_idea
def test_a_bad_link_is_reported_and_the_default_used(card):
    name = next(each for each in idea.load(card.slug).config.settings() if each.kind in ("float", "int"))
    app = opened(
        f"{card.slug}.py",
        **{
            f"{card.slug}-{name.name}": str(name.high + 1),
            f"{card.slug}-no_such": "1",
            f"{card.slug}-act": "Train",
        },
    )
    assert not app.exception
    text = words(app)
    assert f"{name.name} must be {name.rule}, got" in text
    assert "has no setting 'no_such'" in text
    assert app.slider(key=f"{card.slug}-{name.name}").value == name.default


@every_idea
def test_a_link_holds_the_names_that_the_command_line_takes(card):
    choices = [estimate for estimate in idea.load(card.slug).config.settings() if estimate.kind == "choice"]
    link = {f"{card.slug}-{estimate.name}": str(estimate.choices[-1]) for estimate in choices}
    app = opened(f"{card.slug}.py", **link, **{f"{card.slug}-act": "Train"})
    assert "cannot be used" not in words(app)
    for estimate in choices:
        assert app.selectbox(key=f"{card.slug}-{estimate.name}").value == estimate.choices[-1]


def saved_runs() -> tuple[AppTest, str, str]:
    """The runs page after one run was trained with two, and one with four seeds; the
    page and both identities.
    """
    quick = idea.load(CHEAP.slug).quick
    started = [server.jobs().start(CHEAP.slug, quick, range(seeds), "a test") for seeds in (2, 4)]
    deadline = time.monotonic() + PATIENCE
    while {server.jobs().state(run_id).status for run_id in started} != {"finished"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return opened("runs.py"), *started


def test_a_saved_run_is_replayed_compared_and_deleted():
    app, small, large = saved_runs()
    choices = len(app.selectbox(key="runs-open").options)
    app.selectbox(key="runs-open").set_value(small).run()
    assert not app.exception
    next(slider for slider in app.slider if slider.label == "Frame").set_value(1).run()
    assert not app.exception and "Step 2 of" in words(app)
    app.selectbox(key="runs-with").set_value(large).run()
    assert not app.exception and "n = 2 shared seeds" in words(app)
    app.selectbox(key="runs-with").set_value(None).run()
    app.button(key="runs-delete").click().run()
    assert not app.exception and runs.find(small) is None and runs.find(large) is not None
    assert len(app.selectbox(key="runs-open").options) == choices - 1


def test_search_finds_by_title():
    app, *_ = saved_runs()
    title = CHEAP.title
    own = [name for name in app.selectbox(key="runs-open").options if name.startswith(title)]
    app.text_input(key="runs-search").set_value("no such words").run()
    assert not app.exception and app.selectbox(key="runs-open").options == [] and len(own) >= 3
    app.text_input(key="runs-search").set_value(title.upper()).run()
    assert app.selectbox(key="runs-open").options == own


def test_strangers_see_the_shipped_runs_and_delete_nothing(monkeypatch):
    saved_runs()
    monkeypatch.setenv("MLCV_PUBLIC", "1")
    app = opened("runs.py")
    assert not app.exception
    assert all("shipped" in name for name in app.selectbox(key="runs-open").options)
    app.selectbox(key="runs-open").set_value(runs.recorded(CHEAP.slug).id).run()
    assert not app.exception and not [button for button in app.button if button.key == "runs-delete"]


def test_a_damaged_run_is_reported_and_skipped():
    _, _, large = saved_runs()
    folder = runs.find(large).folder
    (folder / "run.json").write_text("{")
    app = opened("runs.py")
    assert not app.exception and folder.name in words(app)
    shutil.rmtree(folder)
