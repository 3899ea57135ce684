"""Home: what its first paint costs, and the ways that lead from it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mlcv_explore import idea
from mlcv_explore.data import gallery
from mlcv_explore.ui import evidence, home

FRAME = Path(__file__).parent.parent / "pages" / "frame.py"
# to import; numpy comes with Streamlit's images
SLOW = {"pydantic", "torch", "altair", "pandas", "pyarrow", "matplotlib", "scipy", "sklearn"}


def test_the_first_paint_imports_nothing_slow() -> None:
    script = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        f" app = AppTest.from_file({str(FRAME)!r}, default_timeout=60).run();"
        " assert app.title and not app.exception;"
        f" print(sorted({SLOW} & set(sys.modules)))"
    )
    root = FRAME.parent.parent
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=root)
    assert done.returncode == 0 and done.stdout.strip() == "[]", done.stderr + done.stdout


def test_examples_are_free_photographs_of_the_gallery() -> None:
    assert set(home.EXAMPLES) <= set(gallery.FREE)


@pytest.mark.parametrize(("p", "kept"), [(0.03, False), (0.001, True)])
def test_a_chip_names_a_headline_that_does_not_survive_the_number_of_ideas(
    p: float, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holm's correction over all headline claims: 0.03 for each is no 0.05, 0.001 is."""
    assert 2 <= len(idea.cards()) <= 20
    for card in idea.cards():
        verdict = {"status": "supported", "p": p, "estimate": {"n": 9}}
        (tmp_path / card.slug).mkdir()
        (tmp_path / card.slug / "live.json").write_text(json.dumps({"verdicts": [verdict]}))
    monkeypatch.setattr(idea, "ASSETS", tmp_path)
    for card in idea.cards():
        assert evidence.survives(card) == kept
        assert ("not significant once all ideas are tested together" in evidence.chip(card)[1]) != kept


def test_an_example_photograph_opens_saliency_with_it() -> None:
    app = AppTest.from_file(FRAME, default_timeout=60).run()
    name = home.EXAMPLES[1]
    app.session_state["saliency-methods"] = ["gradient"]  # in place of six
    app.button_group(key="home-example").set_value(name).run()
    assert not app.exception
    assert [title.value for title in app.title] == [idea.card("saliency").question]
    assert app.session_state["saliency-photograph"] == name


def test_every_idea_has_a_small_image_in_light_and_dark() -> None:
    for card in idea.cards():
        folder = idea.ASSETS / card.slug / "default"
        assert all((folder / f"picture.{scheme}.svg").exists() for scheme in ("light", "dark"))
        assert sum(file.stat().st_size for file in folder.glob("*.webp")) <= 60_000
        light, dark = (
            {file.stem.removesuffix(f".{own}") for file in folder.glob(f"*.{own}.webp")}
            for own in ("light", "dark")
        )
        assert light == dark


def test_the_line_over_the_effects_names_the_headlines_that_are_not_decided() -> None:
    """Four are undecided by themselves; Holm's correction over all takes one more."""
    ideas = idea.cards()
    statuses = {card.title: evidence.study(card.slug)["verdicts"][0]["status"] for card in ideas}
    undecided = {title for title, status in statuses.items() if status == "undecided"}
    text, taken = home._decided(ideas), {"Learned saliency"}
    assert text.startswith(f"{len(ideas) - len(undecided | taken)} of {len(ideas)} ideas keep their verdict")
    assert {title for title in statuses if title in text} == undecided | taken
    assert len(undecided) == 4 and not undecided & taken


def test_the_table_of_all_effects_has_the_claim_of_every_row() -> None:

    def draw() -> None:
        from mlcv_explore import idea
        from mlcv_explore.ui import evidence, home

        home._table(
            [
                (card, data, evidence.study(card.slug, name))
                for card in idea.cards()
                for name, data in evidence.data(card).items()
            ]
        )

    app = AppTest.from_function(draw, default_timeout=60).run()
    table = app.dataframe[0].value
    assert not app.exception
    studies = [
        (idea.load(card.slug), evidence.study(card.slug, name))
        for card in idea.cards()
        for name in evidence.data(card)
    ]
    expected = [
        next(claim.sentence for claim in subject.claims if claim.name == verdict["claim"])
        for subject, record in studies
        for verdict in record["verdicts"]
        for estimate in verdict["estimates"]
        if estimate["n"]  # a claim that a study does not measure has no row
    ]
    assert list(table["Claim"]) == expected and next(iter(table)) == "Idea"
    levels = table[table["Claim"].str.contains("a third level explains over 1 point more energy")]
    assert list(levels["Effect"]) == ["+3.3 points [3.1, 3.5]", "+1.4 points [0.9, 1.8]"]


def test_a_tie_and_a_median_are_marked_in_the_rows_of_effects() -> None:
    names = {
        card.slug: home._difference(card, card.data, evidence.study(card.slug)).name for card in idea.cards()
    }
    assert {slug for slug, name in names.items() if "(tie)" in name} == {"feature_mixing"}
    assert {slug for slug, name in names.items() if "(median)" in name} == {"learned_salience"}
