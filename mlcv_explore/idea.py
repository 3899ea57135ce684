"""What an idea is, and where all of them are found: one module (or folder) a slug in
`mlcv_explore/ideas`.

`MLCV_IDEAS` may name one more folder of such modules: private ideas, and those of the
tests.
"""

import ast
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mlcv_explore.config import Config
from mlcv_explore.statistics import Claim, Split

FOLDER = Path(__file__).parent / "ideas"
ASSETS = Path(__file__).parent.parent / "assets"
SECTIONS = ("Explain", "Feature space", "Noise", "Learning", "Data", "Structure")  # the order of the menu

# the frames of a run so far, in order; each is an instance of the idea's own frame class
Film = Sequence[Any]
PerSeed = Any  # np.ndarray (S,) float64: one number a seed, in the order of the run's seeds


@dataclass(frozen=True)
class Card:
    """What menu and home say about an idea, read from the header of its docstring
    without importing it.
    """

    slug: str
    number: int  # the author's numbering, 1–20
    section: str  # one of SECTIONS
    title: str
    question: str
    text: str  # the rest of the docstring, Markdown


@dataclass(frozen=True)
class Cell:
    """One run of a study and which of its arms the rows keep.

    `arms` maps an arm's name in the rows to its name in the run: {"laplace": "noisy"}.
    """

    claim: str  # name of the claim, or of the picture, that these rows serve
    config: Config
    arms: Mapping[str, str]


@dataclass(frozen=True)
class Study:
    """The declared grid behind the evidence: every cell is run once with all seeds."""

    name: str  # "live": bundled data, minutes on two cores; "full": real image data
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Picture:
    """A run in one picture, as numbers: lines with bands over one axis. Home's
    thumbnail and the runs page draw it.
    """

    x: Any  # (T,) float
    lines: Mapping[str, Any]  # role of the colour language → (S, T) float
    labels: Mapping[str, str] = field(default_factory=dict)  # role → what the line is called
    x_title: str = "step"
    y_title: str = ""


@dataclass(frozen=True)
class Prior:
    """Earlier work on the question: what it found, with numbers, and what differs here."""

    title: str
    link: str
    found: str
    differs: str


def _fixed_split(_: Config) -> None:
    return None


def _no_checkpoints() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Idea:
    """The record an idea's module leaves under the name `idea`."""

    config: type[Config]
    # frozen dataclass; its first two fields are `step: int` and `steps: int`; arrays lead with the
    # seed axis
    frame: type
    # (config, seeds) → frames, at most 200, at steps fixed by the config
    run: Callable[[Any, Sequence[int]], Iterator[Any]]
    metrics: Callable[[Any, Film], dict[str, PerSeed]]  # (config, finished film) → {"<arm>_<measure>": (S,)}
    claims: tuple[Claim, ...]  # the first is the headline
    quick: Config  # settings small enough for a test: seconds
    picture: Callable[[Film], Picture]
    studies: tuple[Study, ...] = ()
    done_before: tuple[Prior, ...] = ()
    # config → sizes of the parts when every seed has a split of its own
    resampled: Callable[[Any], Split | None] = _fixed_split
    # name → checkpoints.Making: networks it ships beside the classifiers
    checkpoints: Callable[[], Mapping[str, Any]] = _no_checkpoints


@cache
def cards() -> tuple[Card, ...]:
    """Every idea's card, in the order of menu and home: by section, then by number."""
    return tuple(
        sorted(
            (_card(path) for path in _modules()), key=lambda card: (SECTIONS.index(card.section), card.number)
        )
    )


def card(slug: str) -> Card:
    """The card of one idea; raises KeyError with the known slugs when there is none."""
    found = {card.slug: card for card in cards()}
    if slug not in found:
        raise KeyError(f"There is no idea {slug!r}; the ideas are {', '.join(found)}.")
    return found[slug]


def path(slug: str) -> Path:
    """The file of an idea: its module, or the `__init__.py` of its folder."""
    return next(path for path in _modules() if _slug(path) == card(slug).slug)


def load(slug: str) -> Idea:
    """The idea itself. Imports its module, and torch with it; an error in the module is
    not hidden.
    """
    card(slug)
    name = f"mlcv_explore.ideas.{slug}"
    private = next((path for path in _private_modules() if _slug(path) == slug), None)
    if private is not None and name not in sys.modules:
        _import_from(private, name)
    return importlib.import_module(name).idea


def _modules() -> list[Path]:
    return _modules_in(FOLDER) + _private_modules()


def _private_modules() -> list[Path]:
    return _modules_in(Path(os.environ["MLCV_IDEAS"]).expanduser()) if os.environ.get("MLCV_IDEAS") else []


def _modules_in(folder: Path) -> list[Path]:
    return sorted(
        [path for path in folder.glob("*.py") if path.stem != "__init__"] + list(folder.glob("*/__init__.py"))
    )


def _slug(path: Path) -> str:
    return path.parent.name if path.stem == "__init__" else path.stem


def _import_from(path: Path, name: str) -> None:
    """Import a module from outside the package under a name inside it, so that it
    pickles like any other idea.
    """
    inside = [str(path.parent)] if path.stem == "__init__" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=inside)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _card(path: Path) -> Card:
    slug = _slug(path)
    lines = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()
    header, rest = (
        lines[: lines.index("")] if "" in lines else lines,
        lines[lines.index("") + 1 :] if "" in lines else [],
    )
    fields = dict(line.split(": ", 1) for line in header if ": " in line)
    missing = {"Idea", "Section", "Title", "Question"} - fields.keys()
    if missing:
        raise ValueError(
            f"{path.name} of idea {slug!r}: the docstring's header lacks {', '.join(sorted(missing))}."
        )
    if fields["Section"] not in SECTIONS:
        raise ValueError(
            f"Idea {slug!r}: section must be one of {', '.join(SECTIONS)}, got {fields['Section']!r}."
        )
    return Card(
        slug, int(fields["Idea"]), fields["Section"], fields["Title"], fields["Question"], "\n".join(rest)
    )
