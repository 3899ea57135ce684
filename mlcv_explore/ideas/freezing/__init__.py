"""Idea: 10
Section: Learning
Title: Freezing
Question: Which part of a pretrained network should be frozen for fine-tuning?
Try: Freeze blocks, and compare the accuracy with all other patterns.
Answer: Which half may be frozen depends on the target; only for permuted labels does freezing beat
  tuning everything.
Terms: A network of four blocks is pretrained on a *source* and tuned on a *target*, which has
  *corrupted* images, *new classes* or *permuted labels*. *Frozen* blocks stay as they are; the
  head, a linear layer, is always tuned. *First half*: blocks 1 and 2. All patterns have equal
  updates, and a learning rate of their own, chosen on validation images.
But: Corruptions differ: on rotated digits freezing the second half costs 8.5 points against the
  first [3.4, 13.6]. And on new digits a frozen first half of random weights is only 0.9 points
  behind a pretrained one [−0.3, 2.1].
Subject: On corrupted images the second half should be frozen | It depends on the corruption
Holds when: digits have lower contrast: 93.3 % with the second half frozen, 89.9 % with the first,
  and block 2 alone does as well as all (92.9 against 93.4 %).
Fails when: digits are rotated (73.9 against 82.4 %), and on noisy photographs, where both halves
  are equal (42.3 %) and block 3 alone leads (44.4 %).
Verdict: depends on the corruption
Effect: Accuracy on corrupted images: second half frozen − first half frozen
Data: digits
Unit: splits
Unit on photographs: draws of photographs

A network that is tuned on few images of a new kind may forget what it knew. *Freezing* keeps
some of its blocks as they are. The author asks for the first 4, 3, 2 and 1, for the first half
and for the second.

**The experiment.** A small network is trained on one part of the digits, or the ImageNet
network's head on photographs at 64 pixels. The target are other images, with one change: a
corruption of severity 5, classes that the source lacks, or labels that are permuted. Every
pattern has the same updates and batches, its learning rate is chosen on 100 validation images,
and test images are used once. Frozen first blocks are computed once for all images.

**Rivals and controls.** The head alone is a linear classifier on stored features. *Greedily*
chosen blocks are added while validation accuracy rises; all that is tried counts as updates.
*Head, then all* spares the blocks a new head's first gradients. The controls freeze blocks of
random weights: what they reach is no merit of pretraining. The oracle is the best pattern
chosen on test images.

**New classes and labels.** ANSWER2

Source: Y. Lee et al., Surgical Fine-Tuning Improves Adaptation to Distribution Shifts, 2022,
https://arxiv.org/abs/2210.11466.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module

import numpy as np
from pydantic import model_validator

from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data import target_shifts
from mlcv_explore.data.corruptions import KINDS
from mlcv_explore.data.target_shifts import SHIFTS
from mlcv_explore.experiment.measured import Axes, Measured
from mlcv_explore.idea import Bars, Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.freezing import claims
from mlcv_explore.ideas.freezing.claims import PATTERNS
from mlcv_explore.statistics import Split

TUNED = (*PATTERNS, "scales", "head_then_all", "greedy")
UNTRAINED = ("scratch", "random_first", "random_second")
MOVED = ("moved1", "moved2", "moved3", "moved4")
AXES = Axes(("source", *TUNED, *UNTRAINED, "best"), ("accuracy", "updates", "parameters", *MOVED))
HALVES = ("full", "first_half", "first_3", "head", "second_half")  # patterns of a short run
PHOTOGRAPHS = "photographs"
VALIDATION = 100  # target images on which learning rates and blocks are chosen


class FreezingConfig(Config):
    """Settings of one run."""

    dataset: str = setting(
        "digits",
        "Data",
        choices=("digits", "fashion_mnist", "cifar10", PHOTOGRAPHS),
        help="photographs: CIFAR-10's by the ImageNet network at 64 pixels. All but digits: in MLCV_DATA.",
    )
    shift: str = setting("corruption", "Target", choices=SHIFTS)
    corruption: str = setting("contrast", "Corruption", choices=KINDS)
    severity: int = setting(5, "Severity", low=0, high=5, step=1)
    target_size: int = setting(200, "Target images", low=10, high=20_000, step=10)
    compared: str = setting("all", "Patterns", choices=("all", "halves"), help="halves: five of them.")
    updates: int = setting(
        120, "Updates", low=0, high=2000, step=10, help="The same for every pattern; 0: nothing is tuned."
    )
    rate: float = setting(0.003, "Learning rate", low=0.00001, high=0.1, step=0.00001, more=True)
    rates: int = setting(
        3,
        "Learning rates tried",
        low=1,
        high=5,
        step=1,
        more=True,
        help="Around the learning rate, each 3 times the one before.",
    )
    source_size: int = setting(700, "Source images", low=100, high=20_000, step=50, more=True)
    test_size: int = setting(300, "Test images", low=50, high=5000, step=50, more=True)
    width: int = setting(8, "Width", low=4, high=64, step=4, more=True, help="Channels of block 1.")

    @model_validator(mode="after")
    def _fits(self) -> "FreezingConfig":
        sizes = self.target_size, VALIDATION, self.test_size
        name = "cifar10" if self.dataset == PHOTOGRAPHS else self.dataset
        try:
            target_shifts.check_sizes(name, self.shift, self.source_size, sizes)
        except SettingError as error:
            raise SettingError(f"FreezingConfig.{error}") from None
        return self


def measures_of(config: FreezingConfig) -> dict[str, tuple[str, ...]]:
    """Arm → its measures."""
    if config.compared == "halves":
        return {"source": ("accuracy",), **dict.fromkeys(HALVES, AXES.measures), "best": ("accuracy",)}
    own = dict.fromkeys(PATTERNS, AXES.measures)
    own |= dict.fromkeys(("scales", "head_then_all", "greedy"), ("accuracy", "updates", *MOVED))
    return {arm: own.get(arm, ("accuracy",)) for arm in AXES.arms}


def run(config: FreezingConfig, seeds: Sequence[int]) -> Iterator[Measured]:
    """Pretrain, then tune with every pattern of frozen blocks. Raises DataError,
    CheckpointError, SettingError with a sentence for the visitor.
    """
    from mlcv_explore.ideas.freezing import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: FreezingConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed every measure of every arm, on test images."""
    return AXES.metrics(film, measures_of(config))


def picture(film: Film) -> Picture:
    """Accuracy over the number of first blocks that are frozen, beside other patterns."""
    arms = {"baseline": ("full",), "variant": ("second_half",), "oracle": ("best",)}
    arms["idea"] = ("full", "first_half", "first_3", "head")
    values = {role: AXES.values(film, own, ["accuracy"])[..., 0] for role, own in arms.items()}
    lines = {role: np.broadcast_to(own, (len(own), 4)) for role, own in values.items()}
    labels = {role: idea.label(own[0]) for role, own in arms.items()} | {"idea": "First blocks frozen"}
    return Picture(np.array([0.0, 2.0, 3.0, 4.0]), lines, labels, "first blocks frozen", "accuracy")


def _cells(*configs: FreezingConfig) -> tuple[Cell, ...]:
    """Every claim at its settings, with the first of these that has its arms; every measure."""
    cells = []
    for claim in claims.CLAIMS:
        wanted = {"target_size": 200, **dict(claim.when)}
        for config in configs:
            fits = wanted.items() <= config.model_dump().items() and {*claim.arms} <= {*measures_of(config)}
            if fits:
                cells.append(Cell(claim.name, config, {arm: arm for arm in claim.arms}))
                break
    for config in configs:
        name = "longer" if config.updates > LIVE[0].updates else "table"
        cells.append(Cell(name, config, {arm: arm for arm in measures_of(config)}))
    return tuple(cells)


SEEDS = tuple(range(1000, 1020))
CONTRAST = {"shift": "corruption", "corruption": "contrast", "target_size": 200}
NOISE = {"shift": "corruption"}
SHOWN = ("second_half", "first_half", "full", "head", "greedy", "random_first", "best")
TARGETS = ({}, {"shift": "new_classes"}, {"shift": "permuted_labels"})
LIVE = (
    *(FreezingConfig(target_size=size, **target) for target in TARGETS for size in (200, 50, 400)),
    FreezingConfig(corruption="rotation"),
)
LONGER = tuple(LIVE[place].replace(updates=240, compared="halves") for place in (0, 3))
BASE = FreezingConfig(
    dataset=PHOTOGRAPHS, corruption="noise", updates=30, rate=0.0002, rates=2, source_size=800
)
SHORT = tuple(BASE.replace(compared="halves", **target) for target in TARGETS[1:])

idea = Idea(
    config=FreezingConfig,
    frame=Measured,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=FreezingConfig(updates=2, rates=1, source_size=100, test_size=50, target_size=20, width=4),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURE_TABLE,
    studies=(Study("live", _cells(*LIVE, *LONGER), SEEDS), Study("photographs", _cells(BASE, *SHORT), SEEDS)),
    prior_work=claims.PRIOR_WORK,
    provenance=claims.PROVENANCE,
    bars=(
        Bars("digits of lower contrast", SHOWN, "live", "accuracy", "table", CONTRAST),
        Bars("photographs with noise", SHOWN, "photographs", "accuracy", "table", NOISE),
    ),
    limits=claims.LIMITS,
    # a run on digits draws most of them, those of the source too; one on photographs 2 % of 60,000
    split_sizes=lambda config: (
        None
        if config.dataset == PHOTOGRAPHS
        else Split(config.source_size + config.target_size, config.test_size)
    ),
    estimand=lambda config: "over draws of photographs from 60,000" * (config.dataset == PHOTOGRAPHS),
    tiles=lambda: import_module(f"{__name__}.inference").tiles(),  # torch comes with it
    checkpoints=lambda: import_module(f"{__name__}.pretrain").CHECKPOINTS,
)
