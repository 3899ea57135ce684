"""What the README shows is what there is: idea 21 runs as printed, no command and no
variable is missing.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mlcv_explore import idea
from mlcv_explore.command.arguments import read
from mlcv_explore.experiment import runs

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"`([a-z_/]+\.py)`\n\n```python\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture
def heavy_tails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Idea 21 as the README prints it."""
    (tmp_path / "heavy_tails.py").write_text(BLOCKS["mlcv_explore/ideas/heavy_tails.py"], encoding="utf-8")
    monkeypatch.setenv("MLCV_IDEAS", str(tmp_path))
    idea.cards.cache_clear()
    yield
    idea.cards.cache_clear()
    sys.modules.pop("mlcv_explore.ideas.heavy_tails", None)


def test_idea_21_is_three_files() -> None:
    assert list(BLOCKS) == [
        "mlcv_explore/ideas/heavy_tails.py",
        "pages/heavy_tails.py",
        "tests/ideas/test_heavy_tails.py",
    ]
    for name, source in BLOCKS.items():
        compile(source, name, "exec")


def test_idea_21_runs_and_answers_as_printed(heavy_tails: None) -> None:
    subject, card = idea.load("heavy_tails"), idea.card("heavy_tails")
    frames = list(subject.run(subject.config(), range(10)))
    assert (card.number, frames[-1].step) == (21, frames[-1].steps)
    assert [
        verdict["status"]
        for verdict in runs.of("heavy_tails", subject.config(), range(10), frames, 0.0).verdicts
    ] == ["supported"]
    assert np.shape(subject.picture(frames).lines["idea"]) == (10, len(frames))


def test_the_tests_of_idea_21_pass(heavy_tails: None) -> None:
    tests: dict[str, object] = {}
    idea.load("heavy_tails")
    exec(BLOCKS["tests/ideas/test_heavy_tails.py"], tests)
    chosen = [test for name, test in tests.items() if name.startswith("test_")]
    assert len(chosen) == 2
    for test in chosen:
        test()


def test_every_command_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(["--help"])
    shown = re.findall(r"^    ([a-z]+)(?: |$)", capsys.readouterr().out, re.MULTILINE)
    assert shown
    assert sorted(shown) == sorted(re.findall(r"^\| `([a-z]+)[ `]", TEXT, re.MULTILINE))


def test_every_environment_variable_is_documented() -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for folder in ("mlcv_explore", "pages")
        for path in (ROOT / folder).rglob("*.py")
    ]
    read_there = set(re.findall(r"MLCV_[A-Z_]+", "".join(sources)))
    assert read_there == set(re.findall(r"^\| `(MLCV_[A-Z_]+)`", TEXT, re.MULTILINE))
