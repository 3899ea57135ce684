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
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # home reads cards alone: neither numpy nor pydantic
    from mlcv_explore.config import Config
    from mlcv_explore.statistics import Claim, Split

FOLDER = Path(__file__).parent / "ideas"
ASSETS = Path(__file__).parent.parent / "assets"
SECTIONS = ("Explain", "Feature space", "Noise", "Learning", "Data", "Structure")  # the order of the menu

PARSES = 10  # tries to parse a file while other threads parse
_parsing = threading.Lock()

# the frames of a run so far, in order; each is an instance of the idea's frame class
Film = Sequence[Any]
PerSeed = Any  # np.ndarray (S,) float64: one number a seed, in the order of the run's seeds
Role = Literal["baseline", "idea", "variant", "other", "control", "oracle"]


@dataclass(frozen=True)
class Card:
    """What menu, home and Answer show about an idea, read from the header of its
    docstring without importing it.
    """

    slug: str
    number: int  # the author's numbering, 1–20
    section: str  # one of SECTIONS
    title: str
    question: str  # at most 12 words
    instruction: str  # what to do on the page, one sentence
    answer: str  # at most 20 words; empty while there is no evidence
    terms: str  # what the answer's words, units and directions mean
    but: str  # the strongest result against the answer
    subject: str  # what holds or fails: "The tie with label smoothing"; or "It leads | It does not"
    holds_when: str
    fails_when: str
    verdict: str  # a word for the chip where the headline's status is not enough
    effect: str  # the headline contrast in plain words: "Accuracy: noise on targets − plain"
    data: str  # what the live study measured the headline on: "digits"
    photographs: str  # and the study on photographs, where that word alone misleads
    unit: str  # what n counts there, where it is not seeds: "classifiers"
    photographs_unit: str  # and in the study on photographs: "objects"
    text: str  # the rest of the docstring, Markdown


@dataclass(frozen=True)
class Arm:
    """One arm of an experiment, declared once: tables, charts and legends read it."""

    name: str  # as in metrics and rows
    label: str
    role: Role = "idea"  # in the colour language
    description: str = ""


@dataclass(frozen=True)
class Measure:
    """One measure of an arm, declared once: table heads and formats read it."""

    name: str  # as in metrics and rows, one word
    label: str
    unit: str = ""  # "%" and "points" show a fraction times 100
    better: Literal["higher", "lower", ""] = "higher"


@dataclass(frozen=True)
class Provenance:
    """How claims and evidence came about; Answer prints it."""

    claims_fixed: str  # ISO date of the commit that holds the claims
    before_evidence: bool  # whether that commit came before the first result on the same data
    evidence_made: int  # how often the evidence was computed
    changed: tuple[str, ...] = ()  # what was changed in between, one sentence each


@dataclass(frozen=True)
class Cell:
    """One run of a study and which of its arms the rows keep.

    `arms` maps an arm's name in the rows to its name in the run: {"laplace": "noisy"}.
    """

    claim: str  # name of the claim, or of the figure, that these rows serve
    config: "Config"
    arms: Mapping[str, str]


@dataclass(frozen=True)
class Study:
    """The declared grid behind the evidence: every cell is run once with all seeds."""

    name: str  # "live": bundled data, minutes on two cores; "photographs": real images
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Bars:
    """One chart under the answer: arms of one study. The caption has the difference of
    the first two.
    """

    title: str  # the data, and what is special about these runs
    arms: tuple[str, ...]  # each from the first claim whose rows have it
    study: str = "live"
    measure: str = ""  # by default the headline's
    rows: str = ""  # whose rows, where it is no claim but a figure
    settings: Mapping[str, Any] = field(default_factory=dict)  # where these rows have several


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


@dataclass(frozen=True, eq=False)
class Tile:
    """One small image of an idea at work, as numbers; home's card shows up to five."""

    values: Any  # np.ndarray (h, w), or (h, w, 3) in [0, 1]
    kind: Literal["image", "signed", "amount"] = "image"  # how it is coloured


@dataclass(frozen=True)
class Prior:
    """Earlier work on the question: its result, with numbers, and what differs here."""

    title: str
    link: str
    result: str
    differs: str


def _fixed_split(_: "Config") -> None:
    return None


def _over_seeds(_: "Config") -> str:
    return ""


def _no_tiles() -> tuple[Tile, ...]:
    return ()


def _no_checkpoints() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Idea:
    """The record an idea's module leaves under the name `idea`."""

    config: "type[Config]"
    frame: type  # frozen dataclass; first `step: int` and `steps: int`; arrays lead with the seed axis
    # (config, seeds) → frames, at most 200, at steps fixed by the config
    run: Callable[[Any, Sequence[int]], Iterator[Any]]
    # (config, finished film) → {"<arm>_<measure>": (S,)}
    metrics: Callable[[Any, Film], dict[str, PerSeed]]
    claims: "tuple[Claim, ...]"  # the first is the headline
    quick: "Config"  # settings small enough for a test: at most a second a seed
    picture: Callable[[Film], Picture]
    arms: tuple[Arm, ...] = ()
    measures: tuple[Measure, ...] = ()
    studies: tuple[Study, ...] = ()
    prior_work: tuple[Prior, ...] = ()
    provenance: Provenance | None = None
    tiles: Callable[[], Sequence[Tile]] = _no_tiles  # from what ships; without any, home shows the curves
    bars: tuple[Bars, ...] = ()  # under the answer; without any, the headline's arms in every study
    limits: tuple[str, ...] = ()  # what the evidence does not cover, one sentence each
    # config → sizes of the parts when every seed has a split of its own
    split_sizes: "Callable[[Any], Split | None]" = _fixed_split
    # config → what differences are taken over, of `statistics.estimands`; "": what the split implies
    estimand: Callable[[Any], str] = _over_seeds
    # {"<arm>_<measure>": (S,)} of one run → (S,) bool, the seeds that collapsed; None: no rule
    collapsed: Callable[[Mapping[str, PerSeed]], PerSeed] | None = None
    # config → training, validation and test images of a run; None where it reads no data set
    part_sizes: "Callable[[Any], tuple[int, int, int] | None]" = _fixed_split
    # name → how it is made: networks the idea ships beside the classifiers
    checkpoints: Callable[[], Mapping[str, Any]] = _no_checkpoints

    @property
    def slug(self) -> str:
        """The name of its module."""
        return self.config.__module__.removeprefix("mlcv_explore.ideas.").split(".")[0]

    def arm(self, name: str) -> Arm:
        """The arm of that name; one that is not declared is labelled by its name."""
        return next((arm for arm in self.arms if arm.name == name), Arm(name, name.replace("_", " ")))

    def measure(self, name: str) -> Measure:
        """The measure of that name; one that is not declared is labelled by its name."""
        matches = (measure for measure in self.measures if measure.name == name)
        return next(matches, Measure(name, name.replace("_", " ")))

    def label(self, arm: str) -> str:
        """What an arm is called."""
        return self.arm(arm).label

    def role(self, claim: "Claim") -> Literal["confirmatory", "headline, post hoc", "secondary"]:
        """The first claim alone is the headline; it is confirmatory only where it is
        known to have been fixed before its first results.
        """
        if claim != self.claims[0]:
            return "secondary"
        before = self.provenance is not None and self.provenance.before_evidence
        return "confirmatory" if before else "headline, post hoc"

    def labels(self) -> dict[str, str]:
        """Name → label of every declared arm."""
        return {arm.name: arm.label for arm in self.arms}


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
    by_slug = {card.slug: card for card in cards()}
    if slug not in by_slug:
        raise KeyError(f"There is no idea {slug!r}; the ideas are {', '.join(by_slug)}.")
    return by_slug[slug]


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


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a source file.

    Python 3.11 keeps the depth of every conversion in one place: one in another thread, as
    when NumPy reads the header of an array, lets this one fail with a SystemError.
    """
    text = path.read_text(encoding="utf-8")
    with _parsing:
        for _ in range(PARSES):
            with suppress(SystemError):
                return ast.parse(text)
        return ast.parse(text)


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
    lines = (ast.get_docstring(parsed(path)) or "").splitlines()
    end = lines.index("") if "" in lines else len(lines)
    fields: dict[str, str] = {}
    name = ""
    for line in lines[:end]:
        if line.startswith("  ") and name:  # goes on with the line above
            fields[name] += f" {line.strip()}"
        elif ": " in line:
            name, value = line.split(": ", 1)
            fields[name] = value
    missing = {"Idea", "Section", "Title", "Question"} - fields.keys()
    if missing:
        raise ValueError(
            f"{path.name} of idea {slug!r}: the docstring's header lacks {', '.join(sorted(missing))}."
        )
    if fields["Section"] not in SECTIONS:
        raise ValueError(
            f"Idea {slug!r}: section must be one of {', '.join(SECTIONS)}, got {fields['Section']!r}."
        )
    words = (
        fields.get(name, default)
        for name, default in (
            *((name, "") for name in ("Try", "Answer", "Terms", "But")),
            ("Subject", "The answer"),
            *((name, "") for name in ("Holds when", "Fails when", "Verdict", "Effect", "Data")),
            ("Data on photographs", "photographs"),
            *((name, "") for name in ("Unit", "Unit on photographs")),
        )
    )
    about = (slug, int(fields["Idea"]), fields["Section"], fields["Title"], fields["Question"])
    return Card(*about, *words, "\n".join(lines[end + 1 :]))
