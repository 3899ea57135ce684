"""Idea: 13
Section: Explain
Title: Hierarchical explanations
Question: Does a hierarchy of parts explain more pictures than a flat vocabulary that costs as many bits?

A picture X is explained by E, a few atoms of a vocabulary S. The vocabulary comes in
**levels**: S0 are first principles, here sixteen oriented strokes at every pixel; every
level after it is made only of atoms of the levels below. **g** finds E for X. **f**
says whether E explains X. An explanation that is accepted joins its level: level 1
holds explanations of windows (parts), level 2 of whole pictures. Read downwards it is a
tree from the picture, SN, to strokes, S0: a decision tree that designs its own
features.

**f asks three things**, each with a switch. E pictures at least a share τ of X's
energy, 1 − ‖X − E‖² / ‖X‖². A classifier that no vocabulary has seen, the judge, gives
E's picture the label that it gives X. And without E, the log-odds of X's class fall by
at least δ more than without a random set of strokes of equal energy; or by as much as
without X itself, where that is less, for X must explain X. Nothing explains nothing.

**g is your choice.** Matching pursuit takes the atom that fits best, again and again,
and fits all coefficients anew. Prototypes are the nearest pictures. The tree's path
goes the other way, from the picture down: a soft decision tree distilled from a
network, its filters retold in strokes; E are the strokes that turn its decision most. E
may hold one vector outside S, the rest of the picture, at its full price.

**Equal bits.** An atom that is made of parts could stand in a flat vocabulary just as
well, so a hierarchy can save nothing but bits. An explanation costs log₂|S| + 5 bits an
atom, and its share of the dictionary: bits / N when N items share it, N = 1,000. A
dense atom costs 5 bits a pixel. A learned one costs 5 bits and an address for each of
its pieces. *Spelled out* is the same vocabulary with every atom written in strokes: the
same explanations, and what the levels save is the difference.

**What to watch.** The known grammar: glyphs are made of parts, parts of strokes, so
here the hierarchy should win if it ever does. On handwritten digits nothing says that
there are parts.

**Traps avoided.** g never sees the judge, and f's items are new. More atoms always
explain more, so arms are held at equal bits. Every size of vocabulary is chosen on
validation items. The shuffled hierarchy has as many atoms of as many pieces. The judge
is taught to say nothing of a blank: else a blank has a class, and nothing that is
removed from a picture of that class changes it.

**What it does not show.** That these parts are what a network uses. The pictures are 16
× 16 and grey.

Source: Pati, Rezaiifar, Krishnaprasad, Orthogonal Matching Pursuit, 1993; Frosst and
Hinton, Distilling a Neural Network Into a Soft Decision Tree, 2017,
https://arxiv.org/abs/1711.09784; Wan et al., NBDT: Neural-Backed Decision Trees, 2020,
https://arxiv.org/abs/2004.00221
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import model_validator

from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Cell, Film, Idea, Picture, Prior, Study
from mlcv_explore.statistics import Claim

if TYPE_CHECKING:
    from mlcv_explore.models.checkpoints import CheckpointSpec

DATASETS = ("glyphs", "digits", "wine", "breast_cancer", "fashion_mnist", "cifar10")
ROWS = {"wine": 178, "breast_cancer": 569}  # tables: how many rows they have
EXPLAINING = (
    "pixels",
    "flat",
    "prototypes",
    "two",
    "three",
    "spelled",
    "shuffled",
    "soft",
    "cart",
    "spanned",
)
NAMING = ("backed", "random", "cnn")  # arms that name a class and explain nothing
COMPARING = ("directions", "strangers", "halves")  # explanations held beside each other
ARMS = (*EXPLAINING, *NAMING, *COMPARING)
# the order of the measure axis K
MEASURES = ("passes", "energy", "accuracy", "atoms", "bits", "stability", "recovered", "overlap")
STAGES = ("judge", "teacher", "levels", "rivals", "trees")  # of a run, before anything is explained
# parts and wholes to choose from: for pictures, for tables
GRID = {True: ((16, 32), (32, 64), (64, 128)), False: ((6, 8), (12, 16))}
LEAST_BITS, MOST_BITS, STEP_BITS = 40, 240, 20
SHOWN = 48  # atoms that a frame shows
SIDE = 16
ROLES = {
    "three": "idea",
    "two": "variant",
    "shuffled": "control",
    "random": "control",
    "strangers": "control",
    "directions": "idea",
    "pixels": "baseline",
    "spanned": "oracle",
    "cnn": "oracle",
    "halves": "oracle",
    **dict.fromkeys(("flat", "prototypes", "spelled", "soft", "cart", "backed"), "other"),
}


class HierarchicalExplanationConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    dataset: str = setting(
        "glyphs",
        "To explain",
        choices=DATASETS,
        help=(
            "glyphs have a known grammar; wine and breast_cancer are tables; fashion_mnist and cifar10 must"
            " be on this machine."
        ),
    )
    bits: int = setting(
        100,
        "Bits an item",
        low=LEAST_BITS,
        high=MOST_BITS,
        step=STEP_BITS,
        help="For the explanation and its share of the dictionary.",
    )
    items: int = setting(
        1000,
        "Items that share the dictionary",
        low=100,
        high=100_000,
        step=100,
        help="N: its bits are divided by this.",
    )
    energy: float = setting(
        0.85, "Energy explained, τ", low=0, high=1, step=0.05, help="The least share of the item's energy."
    )
    drop: float = setting(
        1,
        "Log-odds lost, δ",
        low=0,
        high=10,
        step=0.5,
        more=True,
        help="Beyond what a random set of equal energy costs.",
    )
    energy_test: bool = setting(True, "f asks for energy", more=True)
    label_test: bool = setting(True, "f asks for the label", more=True)
    removal_test: bool = setting(True, "f asks for removal", more=True)
    coefficient_bits: int = setting(5, "Bits a coefficient", low=3, high=10, step=1, more=True)
    taught: int = setting(600, "Items to learn from", low=40, high=20_000, step=100, more=True)
    judged: int = setting(600, "Items for the judge", low=40, high=20_000, step=100, more=True)
    validated: int = setting(150, "Validation items", low=20, high=5000, step=50, more=True)
    tested: int = setting(200, "Test items", low=20, high=5000, step=50, more=True)
    epochs: int = setting(15, "Epochs of the networks", low=1, high=200, step=5, more=True)

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Items taught, judged, validated, tested; a table is divided in these
        proportions.
        """
        return self.taught, self.judged, self.validated, self.tested

    @model_validator(mode="after")
    def _fits(self) -> "HierarchicalExplanationConfig":
        if self.dataset == "digits" and sum(self.sizes) > 1750:
            raise SettingError(
                "HierarchicalExplanationConfig.taught, judged, validated and tested must be at most 1750"
                f" digits in all, got {sum(self.sizes)}."
            )
        return self


@dataclass(frozen=True)
class Frame:
    """A stage of learning, or all test items explained within so many bits: S seeds, A
    arms in the order of ARMS, K measures in that of MEASURES.
    """

    step: int
    steps: int
    bits: float  # an item; 0 while it is learned
    judged: np.ndarray  # (S,) float32, accuracy of the judge on validation items
    passes: np.ndarray  # (S, A) float32, share of the test items that f finds explained
    energy: np.ndarray  # (S, A) float32, mean share of their energy
    shown: np.ndarray  # (S, SHOWN, 16, 16) uint8, of the first seed (others 0): parts, then wholes
    # (S, A, K) float32, in the last frame at the bits of the run; 0 before, and where an arm has no
    # such measure
    measured: np.ndarray


def budgets(config: HierarchicalExplanationConfig) -> tuple[int, ...]:
    """The bits an item at which all arms are held against each other, from few to many."""
    return tuple(range(LEAST_BITS, MOST_BITS + 1, STEP_BITS))


def measured_of(config: HierarchicalExplanationConfig, arm: str) -> tuple[str, ...]:
    """The measures that an arm has."""
    if arm in NAMING:
        return ("accuracy",)
    if arm in COMPARING:
        return ("overlap",)
    extra = ("stability",) if arm in ("three", "flat") else ()
    extra += ("recovered",) if arm in ("three", "shuffled") and config.dataset == "glyphs" else ()
    return (*MEASURES[:5], *extra)


def run(config: HierarchicalExplanationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Learn every arm, then explain test items within more and more bits. Raises
    DataError, SettingError with a sentence for the reader.
    """
    from mlcv_explore.ideas.hierarchical_explanation import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: HierarchicalExplanationConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed every measure that an arm has, on test items at the bits of the run."""
    last = film[-1].measured
    return {
        f"{arm}_{measure}": last[:, ARMS.index(arm), MEASURES.index(measure)].astype(float)
        for arm in ARMS
        for measure in measured_of(config, arm)
    }


def picture(film: Film) -> Picture:
    """How often f is satisfied by bits: three levels, the flat dictionary, the shuffled
    hierarchy.
    """
    explained = [frame for frame in film if frame.bits]
    passes = series(explained, "passes")
    arms = {"idea": "three", "other": "flat", "control": "shuffled"}
    labels = {"idea": "three levels", "other": "flat dictionary", "control": "shuffled"}
    lines = {role: passes[:, :, ARMS.index(arm)] for role, arm in arms.items()}
    return Picture(series(explained, "bits").astype(float), lines, labels, "bits an item", "explained")


def _claim(
    name: str,
    sentence: str,
    measure: str,
    direction: str,
    margin: float,
    *contrasts: tuple[str, str],
    **when: object,
) -> Claim:
    asked = {"bits": 100, "items": 1000} if measure == "passes" else {}
    return Claim(
        name, sentence, measure, "points", direction, margin, contrasts, tuple((when | asked).items())
    )


CLAIMS = (  # written down before anything was run on the seeds of the study; each can fail
    # contradicted when a flat dictionary of equal bits explains as many glyphs: then parts that
    # recur save nothing that matters
    _claim(
        "hierarchy",
        "On glyphs made of parts, three levels explain over 2 points more items in 100 bits each than a flat"
        " dictionary does.",
        "passes",
        "greater",
        0.02,
        ("three", "flat"),
        dataset="glyphs",
    ),
    # contradicted when handwriting has no parts worth naming
    _claim(
        "digits",
        "On handwritten digits, too, three levels explain over 2 points more in 100 bits each than a flat"
        " dictionary does.",
        "passes",
        "greater",
        0.02,
        ("three", "flat"),
        dataset="digits",
    ),
    # contradicted when any hierarchy does
    _claim(
        "shuffled",
        "The pieces matter: three levels explain over 2 points more glyphs than a shuffled hierarchy of as"
        " many bits does.",
        "passes",
        "greater",
        0.02,
        ("three", "shuffled"),
        dataset="glyphs",
    ),
    # contradicted when parts alone do as well as parts and wholes
    _claim(
        "depth",
        "A third level adds over 2 points to strokes and parts.",
        "passes",
        "greater",
        0.02,
        ("three", "two"),
        dataset="glyphs",
    ),
    # contradicted when the bits that levels save buy nothing
    _claim(
        "saving",
        "Written in levels, the same vocabulary explains over 2 points more than spelled out in strokes.",
        "passes",
        "greater",
        0.02,
        ("three", "spelled"),
        dataset="glyphs",
    ),
    # contradicted when levels learned from two halves of the items differ more than flat dictionaries do
    _claim(
        "stable",
        "Levels learned from two halves of the glyphs are over 5 points more alike than flat dictionaries"
        " are.",
        "stability",
        "greater",
        0.05,
        ("three", "flat"),
        dataset="glyphs",
    ),
    # contradicted when level 1 holds something else than the grammar's parts
    _claim(
        "recovery",
        "Level 1 recovers over half of the grammar's parts more than a shuffled hierarchy.",
        "recovered",
        "greater",
        0.5,
        ("three", "shuffled"),
        dataset="glyphs",
    ),
    # contradicted when the way down has no more in common with the way up than with that of another item
    _claim(
        "directions",
        "The way up and the way down share over 5 points more strokes on the same glyph than on different"
        " ones.",
        "overlap",
        "greater",
        0.05,
        ("directions", "strangers"),
        dataset="glyphs",
    ),
    # contradicted when the two directions give clearly different explanations
    _claim(
        "same_explanation",
        "Both directions give the same explanation: they agree as well as two vocabularies of the same"
        " direction do, within 10 points.",
        "overlap",
        "equal",
        0.10,
        ("directions", "halves"),
        dataset="glyphs",
    ),
    # contradicted when forks cost accuracy
    _claim(
        "backed",
        "A neural-backed tree names as many glyphs right as its network, within 2 points.",
        "accuracy",
        "equal",
        0.02,
        ("backed", "cnn"),
        dataset="glyphs",
    ),
)


def _contests(config: HierarchicalExplanationConfig) -> tuple[Cell, ...]:
    """The claims that a run with these settings decides."""
    asked = [claim for claim in CLAIMS if dict(claim.when)["dataset"] == config.dataset]
    return tuple(Cell(claim.name, config, {arm: arm for arm in claim.contrasts[0]}) for claim in asked)


def _every(claim: str, config: HierarchicalExplanationConfig) -> Cell:
    """Every arm of a run, for the tables."""
    return Cell(claim, config, {arm: arm for arm in ARMS})


def _live(seeds: int) -> Study:
    glyphs = HierarchicalExplanationConfig()
    digits = glyphs.replace(dataset="digits")
    return Study(
        "live",
        (
            *_contests(glyphs),
            *_contests(digits),
            *(
                _every("arms", glyphs.replace(dataset=name))
                for name in ("glyphs", "digits", "wine", "breast_cancer")
            ),
            *(
                Cell("sharing", glyphs.replace(items=count), {arm: arm for arm in SHARING})
                for count in (100, 1000, 10_000, 100_000)
            ),
            *(
                Cell("budget", glyphs.replace(bits=bits), {arm: arm for arm in BUDGETED})
                for bits in (60, 80, 100, 140, 180)
            ),
        ),
        tuple(range(seeds)),
    )


SHARING = ("three", "spelled", "flat")  # arms shown by how many items share the dictionary
BUDGETED = ("three", "two", "flat", "shuffled")  # arms shown by bits an item


def _full(seeds: int) -> Study:
    glyphs = HierarchicalExplanationConfig(taught=4000, judged=4000, validated=1000, tested=1000, epochs=30)
    digits = HierarchicalExplanationConfig(dataset="digits")
    pictures = (glyphs.replace(dataset=name) for name in ("glyphs", "fashion_mnist", "cifar10"))
    return Study(
        "full",
        (*_contests(glyphs), *_contests(digits), *(_every("arms", config) for config in pictures)),
        tuple(range(seeds)),
    )


def shipped() -> "Mapping[str, CheckpointSpec]":
    """What the page explains with: vocabularies, judge and tree of each bundled world."""
    from mlcv_explore.ideas.hierarchical_explanation import shipping  # torch comes with it

    return shipping.CHECKPOINTS


DONE_BEFORE = (
    Prior(
        "NBDT (Wan et al., 2020)",
        "https://arxiv.org/abs/2004.00221",
        "A network's last layer read as a tree: 97.55 % on CIFAR-10, 82.97 % on CIFAR-100, 67.72 % on"
        " TinyImageNet, 76.60 % on ImageNet.",
        "Own code, without their tree loss; here it explains your photograph fork by fork, beside a random"
        " tree on the same network.",
    ),
    Prior(
        "Soft decision trees (Frosst and Hinton, 2017)",
        "https://arxiv.org/abs/1711.09784",
        "A soft tree distilled from a network; on MNIST 94.45 % when it learns from labels.",
        "Depth 4. Its filters look at every pixel; here they are retold in strokes, and counted in bits.",
    ),
    Prior(
        "ProtoTree (Nauta et al., 2021)",
        "https://arxiv.org/abs/2012.02046",
        "About 200 prototypes name a bird in some eight decisions.",
        "Prototypes are one of three g; they cost their pixels.",
    ),
    Prior(
        "ACD (Singh, Murdoch, Yu, 2019)",
        "https://arxiv.org/abs/1806.05337",
        "Splits logits into a relevant and an irrelevant part and merges regions upward.",
        "Its contextual decomposition gives each node of our tree its share of the judge's logit.",
    ),
    Prior(
        "Leakage of soft concepts (Mahinpei et al., 2021)",
        "https://arxiv.org/abs/2106.13314",
        "Continuous concepts carry more information than their names say.",
        "Coefficients are written in five bits, and the bits are counted.",
    ),
)

idea = Idea(
    config=HierarchicalExplanationConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=HierarchicalExplanationConfig(taught=80, judged=60, validated=20, tested=20, epochs=2),
    picture=picture,
    studies=(_live(10), _full(10)),
    prior_work=DONE_BEFORE,
    checkpoints=shipped,
)
