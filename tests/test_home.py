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


@pytest.mark.parametrize(("p", "kept"), [(0.03, False), (0.005, True)])
def test_a_chip_names_a_headline_that_does_not_survive_the_number_of_ideas(
    p: float, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holm's correction over eight headline claims: 8 · 0.03 is no 0.05, 8 · 0.005 is."""
    assert len(idea.cards()) == 8
    for card in idea.cards():
        verdict = {"status": "supported", "p": p, "estimate": {"n": 9}}
        (tmp_path / card.slug).mkdir()
        (tmp_path / card.slug / "live.json").write_text(json.dumps({"verdicts": [verdict]}))
    monkeypatch.setattr(idea, "ASSETS", tmp_path)
    for card in idea.cards():
        assert evidence.survives(card) == kept
        assert ("not significant after Holm's correction over ideas" in evidence.chip(card)[1]) != kept


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
