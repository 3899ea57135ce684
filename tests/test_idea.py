"""Ideas are found by folder, known by the header of their docstring, and a broken one
names what is wrong.
"""

import ast
import gc
import inspect
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlcv_explore import idea, idea_text

HEADER = (
    '"""Idea: {number}\nSection: {section}\nTitle: A title\nQuestion: Why: really?\n\nWords.\n\nSource: a'
    ' paper.\n"""\n'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that `MLCV_IDEAS` names, beside no other idea."""
    (tmp_path / "shipped").mkdir()
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(idea, "FOLDER", tmp_path / "shipped")
    monkeypatch.setenv("MLCV_IDEAS", str(tmp_path / "own"))
    before = set(sys.modules)
    idea.cards.cache_clear()
    yield tmp_path / "own"
    idea.cards.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith("mlcv_explore.ideas."):
            del sys.modules[name]


def write(
    folder: Path, slug: str, number: int = 1, section: str = "Noise", body: str = "idea = 'the record'\n"
) -> None:
    path = folder / (slug if slug.endswith(".py") else f"{slug}.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER.format(number=number, section=section) + body, encoding="utf-8")


def test_ideas_are_sorted_by_section_then_by_number(folder: Path) -> None:
    write(folder, "late", 3, "Structure")
    write(folder, "second", 12, "Noise")
    write(folder, "first", 4, "Noise")
    write(folder, "explained/__init__.py", 9, "Explain")
    assert [card.slug for card in idea.cards()] == ["explained", "first", "second", "late"]


def test_a_card_is_read_from_the_docstring_without_importing(folder: Path) -> None:
    write(folder, "silent", body="raise SystemExit('imported')\n")
    card = idea.card("silent")
    assert (card.number, card.section, card.title, card.question) == (1, "Noise", "A title", "Why: really?")
    assert card.text == "Words.\n\nSource: a paper."


def test_a_file_is_parsed_while_another_thread_reads_a_literal() -> None:
    """As NumPy does for the header of every array, here in the midst of the parse."""
    threshold = gc.get_threshold()
    interruptions = []

    def interrupt(phase: str, info: dict) -> None:
        interruptions.append(phase)
        if len(interruptions) < 3:
            reader = threading.Thread(target=ast.literal_eval, args=("{'shape': (1, 2)}",))
            reader.start()
            reader.join()

    gc.callbacks.append(interrupt)
    gc.set_threshold(50)
    try:
        tree = idea.parsed(Path(idea.__file__))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(interrupt)
    assert interruptions
    assert ast.get_docstring(tree) == inspect.cleandoc(idea.__doc__)


def test_a_module_or_a_folder_of_modules_is_loaded(folder: Path) -> None:
    write(folder, "single", body="idea = 'single record'\n")
    write(
        folder, "several/__init__.py", body="from mlcv_explore.ideas.several.formula import record as idea\n"
    )
    (folder / "several" / "formula.py").write_text("record = 'several records'\n")
    assert idea.load("single") == "single record"
    assert idea.load("several") == "several records"


def test_a_broken_idea_raises_its_own_error_each_time(folder: Path) -> None:
    write(folder, "broken", body="import no_such_library\n")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_library"):
            idea.load("broken")


@pytest.mark.parametrize(
    ("provenance", "role"),
    [
        (idea.Provenance("2026-01-01", True, 1), "confirmatory"),
        (idea.Provenance("2026-01-01", False, 1), "headline, post hoc"),
        (None, "headline, post hoc"),
    ],
)
def test_a_headline_is_confirmatory_only_if_it_was_fixed_before_its_results(
    provenance: idea.Provenance | None, role: str
) -> None:
    subject = replace(idea.load("label_noise"), provenance=provenance)
    roles = [subject.role(claim) for claim in subject.claims]
    assert roles == [role] + ["secondary"] * (len(subject.claims) - 1)


def test_earlier_work_is_written_in_three_lines() -> None:
    text = """
One (Smith, 2020) https://example.org/1
    Its result.
    What differs.
Two words https://example.org/2
    Another,
        which goes on.
    Much.
"""
    one, two = idea_text.works(text)
    assert one == idea.Prior("One (Smith, 2020)", "https://example.org/1", "Its result.", "What differs.")
    assert (two.title, two.result, two.differs) == ("Two words", "Another, which goes on.", "Much.")
    with pytest.raises(ValueError, match="zip"):
        idea_text.works(text.replace("    Much.\n", ""))


def test_arms_and_measures_are_written_one_a_line() -> None:
    text = """
        plain (baseline): Plain training — As it is: (nothing)
                is added.
        noisy (idea): With noise
    """
    one, two = idea_text.arms(text)
    assert one == idea.Arm("plain", "Plain training", "baseline", "As it is: (nothing) is added.")
    assert two == idea.Arm("noisy", "With noise", "idea", "")
    with pytest.raises(ValueError, match="Not a line of this table"):
        idea_text.arms(text.replace("(idea)", "(hero)"))
    error, share, count, steps = idea_text.measures(
        """
        error (%, lower): Test error
        share (%): Share: of all
        count: Layers
        steps (neither): Steps taken
        """
    )
    assert error == idea.Measure("error", "Test error", "%", "lower")
    assert share == idea.Measure("share", "Share: of all", "%", "higher")
    assert (count.unit, count.better, steps.unit, steps.better) == ("", "higher", "", "")
    with pytest.raises(ValueError, match="Not a line"):
        idea_text.measures("error (%, higher): Test error")


def test_an_unknown_idea_is_reported_with_those_that_are_known(folder: Path) -> None:
    write(folder, "known")
    with pytest.raises(KeyError, match="There is no idea 'unknown'; the ideas are known"):
        idea.load("unknown")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('"""Idea: 1\nSection: Noise\n\nTitle: too late\nQuestion: too late\n"""', "lacks Question, Title"),
        ("idea = None\n", "lacks Idea, Question, Section, Title"),
        (HEADER.format(number=1, section="Cookery"), "section must be one of Explain, .*, got 'Cookery'"),
    ],
)
def test_a_header_that_cannot_be_used_is_reported(folder: Path, text: str, complaint: str) -> None:
    (folder / "odd.py").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        idea.cards()
