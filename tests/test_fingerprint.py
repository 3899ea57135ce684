"""Fingerprints: what computes a number changes them, how it is worded does not."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlcv_explore import data, idea
from mlcv_explore.data.catalogue import CATALOGUE
from mlcv_explore.experiment import fingerprint

SLUGS = [card.slug for card in idea.cards()]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that the fingerprints are read from."""
    copy = tmp_path / "mlcv_explore"
    shutil.copytree(fingerprint.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "PACKAGE", copy)
    monkeypatch.setattr(idea, "FOLDER", copy / "ideas")
    return copy


def now(slug: str) -> str:
    return fingerprint.fingerprint.__wrapped__(slug)


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")


def test_words_leave_every_fingerprint_as_it_was(package: Path) -> None:
    before = {slug: now(slug) for slug in SLUGS}
    assert before == {slug: fingerprint.fingerprint(slug) for slug in SLUGS}
    for path in [*package.rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        text = re.sub(r'^"""(?=[A-Z])', '"""Other words. ', text)  # the module's docstring
        text = re.sub(r'^(    +)"""(?=[A-Z])', r'\1"""Other words. ', text, flags=re.MULTILINE)
        path.write_text(f"{text}\n# one comment more\n", encoding="utf-8")
    edit(
        package / "data" / "catalogue.py",
        lambda text: text.replace("CATALOGUE = {", "ANOTHER = ()\nCATALOGUE = {"),
    )
    assert {slug: now(slug) for slug in SLUGS} == before


def test_a_renamed_module_function_or_constant_leaves_them_as_they_were(package: Path) -> None:
    before = now("label_noise")
    folder = package / "ideas" / "label_noise"
    (folder / "noise.py").rename(folder / "targets.py")
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8").replace("label_noise.noise", "label_noise.targets")
        text = re.sub(r"\bnoisy_targets\b", "with_noise", text)
        path.write_text(re.sub(r"\bMOMENTUM\b", "SGD_MOMENTUM", text), encoding="utf-8")
    assert now("label_noise") == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("ideas/label_noise/training.py", "MOMENTUM = 0.9", "MOMENTUM = 0.8"),  # a constant
        (
            "data/label_corruption.py",
            "given[wrong] = (labels[wrong] + shift",
            "given[wrong] = (labels[wrong] - shift",
        ),
        (
            "ideas/label_noise/__init__.py",
            "sigma: float = setting(\n        1.0",
            "sigma: float = setting(\n        0.9",
        ),
        ("ideas/label_noise/__init__.py", "LAST = 10", "LAST = 9"),  # of the metrics
        ("data/dataset.py", "div_(255)", "div_(256)"),  # reached through an annotation alone
        ("seeds.py", 'f"{seed}/{purpose}"', 'f"{seed}-{purpose}"'),
        ("data/catalogue.py", CATALOGUE["digits"].content, "0" * 16),  # the content of the bundled set
    ],
)
def test_what_computes_changes_it(package: Path, file: str, old: str, new: str) -> None:
    before = now("label_noise")
    edit(package / file, lambda text: text.replace(old, new, 1))
    if file == "data/catalogue.py":  # read by import, not from the copy
        assert all(old not in text for text in fingerprint.trees("saliency"))
        assert any(old in text for text in fingerprint.trees("label_noise"))
    else:
        assert now("label_noise") != before


def test_another_ideas_code_does_not_count(package: Path) -> None:
    before = {slug: now(slug) for slug in SLUGS}
    edit(
        package / "ideas" / "label_noise" / "training.py",
        lambda text: text.replace("MOMENTUM = 0.9", "MOMENTUM = 0.8"),
    )
    assert {slug for slug in SLUGS if now(slug) != before[slug]} == {"label_noise"}


@pytest.mark.parametrize("name", [name for name, known in CATALOGUE.items() if known.origin == "bundled"])
def test_the_bundled_content_is_what_the_catalogue_declares(name: str) -> None:
    assert data.load(name).fingerprint == CATALOGUE[name].content


def test_an_idea_outside_the_package_has_its_own_files_in_its_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "outside"
    folder.mkdir()
    text = (Path(__file__).parent / "private_ideas" / "coin.py").read_text(encoding="utf-8")
    text = text.replace(
        "def run(",
        "def run(*args):\n    from mlcv_explore.ideas.outside import beside\n    beside.one\n    yield from"
        " tossed(*args)\n\n\ndef tossed(",
    )
    (folder / "__init__.py").write_text(text, encoding="utf-8")
    (folder / "beside.py").write_text("one = 1\n", encoding="utf-8")
    monkeypatch.setenv("MLCV_IDEAS", str(tmp_path))
    idea.cards.cache_clear()
    try:
        before = now("outside")
        (folder / "beside.py").write_text("one = 2\n", encoding="utf-8")
        assert now("outside") != before
    finally:
        monkeypatch.undo()
        idea.cards.cache_clear()
