"""Idea: 10
Section: Learning
Title: Freezing
Question: Which part of a pretrained network should be frozen for fine-tuning?
Try: Freeze blocks, and compare the accuracy with all other patterns.
Answer: Seldom any: tuning everything is hardly beaten. If one must, the first half is the safer
  choice.
Terms: A network of four blocks is pretrained on a *source* and tuned on a *target*: *corrupted*
  images, *new classes* or *permuted labels*. *Frozen* blocks stay as they are; the head is always
  tuned. *First half*: blocks 1 and 2. Updates are equal, rates chosen on validation images.
But: With 200 new photographs a frozen first half gains 1.0 point [0.1, 1.9] over tuning everything,
  with 50 or 1,000 none shows. Permuted labels need no tuning: the head reordered, 57 % of
  photographs are right, by the best pattern 43.5 %. For low contrast the lead below shrinks to 1.8
  points [−1.3, 4.9] with twice the updates and five learning rates.
Subject: Freezing the second half is better | Freezing the first half is better
Holds when: digits have lower contrast: 93.3 against 89.9 %, and 93.4 % with nothing frozen.
Fails when: digits are rotated: 82.4 against 73.9 %. For noise on photographs it turns with their
  number: second − first is 1.4 points [0.0, 2.8] with 50, −3.6 [−5.1, −2.1] with 1,000.
Verdict: depends on the corruption
Effect: Accuracy on corrupted images: second half frozen − first half frozen
Data: digits
Unit: splits
Unit on photographs: samples

The author asks for the first 4, 3, 2 and 1 blocks, for the first half and for the second. The
target differs in one way: a corruption of severity 5, classes that the source lacks, or permuted
labels. Updates and batches are the same in every pattern, batch norms keep the source's
statistics, and test images are used once. Photographs (64 pixels, by the ImageNet network) have
five patterns, noise with 200 all. *Greedily* chosen blocks are added while validation accuracy
rises, with 8 to 11 times the updates; controls freeze blocks of random weights.

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
from mlcv_explore.experiment.cells import claim_cells
from mlcv_explore.experiment.measured import Axes, Measured
from mlcv_explore.idea import Bars, Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.freezing import claims
from mlcv_explore.ideas.freezing.claims import PATTERNS
from mlcv_explore.statistics import Split

TUNED = (*PATTERNS, "scales", "head_then_all", "greedy")
UNTRAINED = ("scratch", "random_first", "random_second")
MOVED = ("moved1", "moved2", "moved3", "moved4")
ARMS = ("source", "reordered", *TUNED, *UNTRAINED, "best")
AXES = Axes(ARMS, ("accuracy", "updates", "parameters", *MOVED))
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
    untuned = ("source", "reordered") if config.shift == "permuted_labels" else ("source",)
    found = dict.fromkeys(untuned, ("accuracy",))
    if config.compared == "halves":
        return {**found, **dict.fromkeys(HALVES, AXES.measures), "best": ("accuracy",)}
    found |= dict.fromkeys(PATTERNS, AXES.measures)
    found |= dict.fromkeys(("scales", "head_then_all", "greedy"), ("accuracy", "updates", *MOVED))
    return found | dict.fromkeys((*UNTRAINED, "best"), ("accuracy",))


def run(config: FreezingConfig, seeds: Sequence[int]) -> Iterator[Measured]:
    """Pretrain, then tune with every pattern. Raises DataError, CheckpointError, SettingError."""
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
    """Every claim, and every measure of every configuration."""
    own = claim_cells(claims.CLAIMS, configs, measures_of, target_size=200)
    names = ["longer" if config.rates > 3 else "table" for config in configs]
    arms = [{arm: arm for arm in measures_of(config)} for config in configs]
    return (*own, *map(Cell, names, configs, arms))


SEEDS = tuple(range(1000, 1020))
LOW = {"shift": "corruption", "target_size": 200, "corruption": "contrast"}
NOISE = LOW | {"corruption": "noise"}
SHOWN = ("second_half", "first_half", "full", "head", "greedy", "random_first", "best")
TARGETS = ({}, {"shift": "new_classes"}, {"shift": "permuted_labels"})
LIVE = (
    *(FreezingConfig(target_size=size, **target) for target in TARGETS for size in (200, 50, 400)),
    FreezingConfig(corruption="rotation"),
)
LONGER = tuple(LIVE[place].replace(updates=240, rates=5, compared="halves") for place in (0, 3, 6, 9))
IMAGENET = {"dataset": PHOTOGRAPHS, "rate": 0.0002, "rates": 2, "source_size": 800}
BASE = FreezingConfig(corruption="noise", updates=30, **IMAGENET)
HALF = BASE.replace(compared="halves")
OTHERS = (
    *(HALF.replace(**target) for target in TARGETS[1:]),
    *(HALF.replace(target_size=50, **target) for target in TARGETS),
    *(HALF.replace(target_size=1000, updates=60, **target) for target in TARGETS),
    HALF.replace(corruption="contrast"),
)

idea = Idea(
    config=FreezingConfig,
    frame=Measured,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=FreezingConfig(
        shift="permuted_labels", updates=2, rates=1, source_size=100, test_size=50, target_size=20, width=4
    ),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURE_TABLE,
    studies=(
        Study("live", _cells(*LIVE, *LONGER), SEEDS),
        Study("photographs", _cells(BASE, *OTHERS), SEEDS),
    ),
    prior_work=claims.PRIOR_WORK,
    provenance=claims.PROVENANCE,
    bars=(
        Bars("digits of lower contrast", SHOWN, "live", "accuracy", "table", LOW),
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
