"""Idea: 13
Section: Explain
Title: Hierarchical explanations
Question: Do hierarchies of parts describe images better than codes without levels?
Try: Four atoms explain a glyph. Set the highest level to 0: four strokes alone fail.
Answer: No: at equal bits codes without levels explain more, of digits (97.6 against
  94.0 %) and patches (73.0 against 71.4).
Terms: A code writes an image as a sum of a few shapes from a dictionary, and pays
  *bits* for each. With *levels*, shapes are made of smaller ones, down to strokes.
  *Without levels*: strokes alone, a learned flat dictionary, principal components or
  cosines, whichever is best on validation images. *Energy explained*: share of the
  squared pixel values that the code reproduces; one *point* is 1 %. Images share a
  dictionary, and pay for its bits together.
But: Levels do lead the learned flat dictionary on patches, by 7.4 points. So does a
  hierarchy with shuffled parts, so structure is not the reason; and cosines, whose
  shapes cost no bits, beat both.
Subject: The lead of levels
Holds when: only 100 digits share the dictionary, at 60 bits (+1.2 points) or 100
  (+0.5), not at 180 (exploratory); glyphs are drawn from known parts (+1.4); or, in a
  pilot on MNIST with 4 seeds, at 60 bits (+2.7).
Fails when: 1,000 images share it: −3.4, −3.6 and −2.6 points on digits at 60, 100 and
  180 bits, −1.6, −1.6 and −2.1 on patches; or 10,000 digits: −3.5.
Verdict: behind codes without levels
Effect: Energy explained: levels − best without levels
Data: digits
Data on photographs: photographs' patches

An explanation E of an item X is a few atoms of a dictionary S with **levels**: sixteen
oriented strokes at every pixel (level 0), parts (1), whole images (2). Each level is
made of those below, so E is a tree from the image down to strokes. A method **g** finds
E; a test **f** accepts or rejects it.

**Equal bits.** An atom costs log₂|S| + 5 bits (|S|: number of atoms); each item also
pays 1/N of the dictionary, which N items share. There a dense atom costs 5 bits a
pixel, a learned part an index and 5 bits for each piece. A principal component costs
its pixels and no index; strokes and cosines cost nothing. Where the bits do not divide
evenly, some items have one atom more than others: all codes that have atoms left to
spend on spend equally many. The size of each dictionary, the number of levels and the
best code without levels are chosen on validation items.

**f has three tests**, each with a switch. *Energy*: E explains at least a share τ of
X's energy. *Label*: a classifier trained on other items predicts the same class for E's
reconstruction as for X. *Removal*: without E, the log-odds of X's class fall by at
least δ more than without random strokes of equal energy; where removing X itself costs
less than δ, that is enough. An empty E is rejected.

**Methods g.** Matching pursuit adds the atom that fits best and refits all
coefficients. Prototypes are the nearest training images. The tree path goes top-down: a
soft decision tree is distilled from a network, its filters are written in strokes, and
E holds the strokes with the largest effect on the path.

**Controls.** The shuffled hierarchy has as many atoms of as many pieces, drawn at
random: it has to fail. Glyphs are drawn from known parts, a world in which levels
should win. No method sees the classifier. It is also trained on blanks with a uniform
target: otherwise a blank has a class, and removal changes nothing. Of photographs a
patch of 16 × 16 pixels is explained, grey and without its mean. It is not shown that a
network uses these parts.

Source: Pati, Rezaiifar, Krishnaprasad, Orthogonal Matching Pursuit, 1993.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import ClassVar

import numpy as np
from pydantic import model_validator

from mlcv_explore import data
from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data.vectors import TABLES
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Bars, Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.hierarchical_explanation import claims
from mlcv_explore.ideas.hierarchical_explanation.codes import THRESHOLDS
from mlcv_explore.models.vector_sets import PATCHES, estimand, split_sizes

DATASETS = ("digits", "glyphs", *TABLES, "fashion_mnist", PATCHES)
# the arms that code items at equal bits; those that predict a class, and the pairs of explanations
CODED = ("levels", "three", "two", "shuffled", "baseline", "strokes", "flat", "components", "cosines")
HIERARCHIES = ("three", "shuffled")  # whose parts are held against a grammar's
CLASSIFYING, COMPARING = ("backed", "random", "cnn"), ("directions", "strangers", "halves")
ARMS = (*CODED, "soft", *CLASSIFYING, *COMPARING)  # the order of the arm axis A
TESTED = ("accuracy", "passes", *(f"passes{percent}" for percent in THRESHOLDS))  # of f
MEASURES = ("energy", "atoms", "bits", *TESTED, "overlap", "recovered")  # the order of the axis K
SHOWN = 48  # atoms that a frame shows


class HierarchicalExplanationConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    renamed: ClassVar[Mapping[str, str]] = {
        "taught": "train_items",
        "judged": "classifier_items",
        "validated": "validation_items",
        "tested": "test_items",
    }
    dataset: str = setting(
        "digits",
        "Data",
        choices=DATASETS,
        found=data.own_names,
        help="cifar10: a 16×16 patch of each photograph, grey, minus its mean. wine and breast_cancer are"
        " tables; my_folder: an own folder, in grey at side 16.",
    )
    bits: int = setting(
        100, "Bits per item", low=40, high=200, step=20, help="With the share of the dictionary."
    )
    items: int = setting(
        1000, "Items sharing the dictionary, N", low=100, high=100_000, step=100, help="Each pays 1/N of it."
    )
    energy: float = setting(
        0.85, "Energy explained, τ", low=0, high=1, step=0.05, help="The least share of the item's energy."
    )
    drop: float = setting(
        1, "Log-odds lost, δ", low=0, high=10, step=0.5, more=True, help="Beyond a random set."
    )
    coefficient_bits: int = setting(5, "Bits per coefficient", low=3, high=10, step=1, more=True)
    train_items: int = setting(800, "Training items", low=20, high=20_000, step=100, more=True)
    classifier_items: int = setting(400, "Items for the classifier", low=20, high=20_000, step=100, more=True)
    validation_items: int = setting(200, "Validation items", low=10, high=5000, step=50, more=True)
    test_items: int = setting(200, "Test items", low=10, high=5000, step=50, more=True)
    epochs: int = setting(
        15,
        "Epochs of the networks",
        low=0,
        high=200,
        step=5,
        more=True,
        help="0: no networks and no trees; only the energy explained.",
    )

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Items for training, the classifier, validation and test; a table is divided
        in these proportions.
        """
        return self.train_items, self.classifier_items, self.validation_items, self.test_items

    @model_validator(mode="after")
    def _fits(self) -> "HierarchicalExplanationConfig":
        if self.dataset == "digits" and sum(self.sizes) > 1750:
            raise SettingError(
                "HierarchicalExplanationConfig.train_items, classifier_items, validation_items and"
                f" test_items must be at most 1750 digits in all, got {sum(self.sizes)}."
            )
        return self


@dataclass(frozen=True)
class Frame:
    """A stage of training, or all test items explained with so many bits: S seeds, A
    arms in the order of ARMS, K measures in that of MEASURES.
    """

    renamed: ClassVar[Mapping[str, str]] = {"judged": "classifier_accuracy"}
    step: int
    steps: int
    bits: float  # per item; 0 during training
    classifier_accuracy: np.ndarray  # (S,) float32, on validation items
    energy: np.ndarray  # (S, A) float32, mean share of the energy of test items; 0 of arms that code none
    shown: np.ndarray  # (S, SHOWN, 16, 16) uint8, of the first seed (others 0): parts, then wholes
    measured: np.ndarray  # (S, A, K) float32, last frame; 0 before, and where an arm lacks the measure


def stages(config: HierarchicalExplanationConfig) -> tuple[str, ...]:
    """The stages of training."""
    return ("levels", "classifier", "teacher", "trees") if config.epochs else ("levels",)


def measured_of(config: HierarchicalExplanationConfig, arm: str) -> tuple[str, ...]:
    """The measures that an arm has."""
    if arm == "cosines" and config.dataset in TABLES:
        return ()
    recovered = ("recovered",) if arm in HIERARCHIES and config.dataset == "glyphs" else ()
    tested = TESTED if config.epochs else ()
    if arm in CODED:
        return ("energy", "atoms", "bits", *tested, *recovered)
    if not config.epochs:
        return ()
    if arm == "soft":
        return ("energy", "atoms", "bits", *tested)
    return ("accuracy",) if arm in CLASSIFYING else ("overlap",)


def run(config: HierarchicalExplanationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train every arm, then explain test items with more and more bits. Raises
    DataError, SettingError with a sentence for the reader.
    """
    from mlcv_explore.ideas.hierarchical_explanation import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: HierarchicalExplanationConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed every measure of every arm, on test items with the bits of the run."""
    last = film[-1].measured
    return {
        f"{arm}_{measure}": last[:, ARMS.index(arm), MEASURES.index(measure)].astype(float)
        for arm in ARMS
        for measure in measured_of(config, arm)
    }


def picture(film: Film) -> Picture:
    """Energy explained over bits: levels, the best code without, a flat one, shuffled."""
    explained = [frame for frame in film if frame.bits]
    arms = {"idea": "levels", "baseline": "baseline", "other": "flat", "control": "shuffled"}
    lines = {role: series(explained, "energy")[:, :, ARMS.index(arm)] for role, arm in arms.items()}
    labels = {role: idea.label(arm).lower() for role, arm in arms.items()}
    return Picture(
        series(explained, "bits").astype(float), lines, labels, "bits per item", "energy explained"
    )


def _cells(dataset: str) -> tuple[Cell, ...]:
    """Claims, and every arm over N and bits: energy alone. With digits f, networks and
    trees as well; and glyphs, whose parts are known, as a check.
    """
    full = HierarchicalExplanationConfig(dataset=dataset)
    base, pairs = full.replace(epochs=0), product(claims.SHARING, claims.BITS)
    cells = [(claim.name, base.replace(**dict(claim.when)), claim.arms) for claim in claims.CLAIMS]
    cells += [("grid", base.replace(items=items, bits=bits), CODED) for items, bits in pairs]
    if dataset == "digits":
        cells += [("explained", full, ARMS), ("check", base.replace(dataset="glyphs"), CODED)]
    return tuple(Cell(name, config, {arm: arm for arm in arms}) for name, config, arms in cells)


def _part_sizes(config: HierarchicalExplanationConfig) -> tuple[int, int, int] | None:
    """Raises SettingError where an own folder has too few images for them."""
    train, classifier, validation, test = config.sizes
    if config.dataset in DATASETS:
        return None
    data.check_enough(config.dataset, train + classifier, validation, test)
    return train + classifier, validation, test


idea = Idea(
    config=HierarchicalExplanationConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=HierarchicalExplanationConfig(
        train_items=20, classifier_items=20, validation_items=10, test_items=10, epochs=1
    ),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURES,
    provenance=claims.PROVENANCE,
    bars=(
        Bars("digits, 100 bits, 1,000 share the dictionary", ("levels", "baseline")),
        Bars("patches, 100 bits, 1,000 share the dictionary", ("levels", "baseline"), "photographs"),
    ),
    limits=claims.LIMITS,
    studies=(
        Study("live", _cells("digits"), claims.SEEDS),
        Study("photographs", _cells(PATCHES), claims.SEEDS),
    ),
    prior_work=claims.PRIOR_WORK,
    part_sizes=_part_sizes,
    split_sizes=split_sizes,
    estimand=estimand,
    tiles=lambda: import_module(f"{__name__}.inference").tiles(),  # torch comes with these two
    checkpoints=lambda: import_module(f"{__name__}.pretrain").CHECKPOINTS,
)
