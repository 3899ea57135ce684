"""Idea: 10
Section: Learning
Title: Freezing
Question: Which part of a pretrained network should be frozen for fine-tuning?
Try: Freeze blocks of a network and see its accuracy on a target.
Answer: Not yet.

Source: Y. Lee et al., Surgical Fine-Tuning Improves Adaptation to Distribution Shifts, 2022,
https://arxiv.org/abs/2210.11466.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import model_validator

from mlcv_explore import data
from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data.corruptions import KINDS
from mlcv_explore.data.target_shifts import SHIFTS
from mlcv_explore.idea import Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.freezing.claims import (
    ARM_TABLE,
    CLAIMS,
    LIMITS,
    MEASURE_TABLE,
    PATTERNS,
    PRIOR_WORK,
    PROVENANCE,
)
from mlcv_explore.statistics import Split

OTHERS = ("scales", "head_then_all", "greedy", "scratch", "random_first", "random_second")
ARMS = ("source", *PATTERNS, *OTHERS, "best")
MEASURES = ("accuracy", "updates", "parameters", "moved1", "moved2", "moved3", "moved4")
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
    target_size: int = setting(200, "Target images", low=20, high=20_000, step=10)
    updates: int = setting(120, "Updates", low=0, high=2000, step=10, help="The same for every pattern.")
    rate: float = setting(
        0.003, "Learning rate", low=0.00001, high=0.1, step=0.00001, help="The middle of those tried."
    )
    rates: int = setting(
        3, "Learning rates tried", low=1, high=5, step=1, more=True, help="Each 3 times the one before."
    )
    head_factor: float = setting(
        1.0, "Head's learning rate", low=1, high=100, step=1, more=True, help="In learning rates."
    )
    source_size: int = setting(700, "Source images", low=100, high=20_000, step=50, more=True)
    test_size: int = setting(300, "Test images", low=50, high=5000, step=50, more=True)
    width: int = setting(8, "Width", low=4, high=64, step=4, more=True, help="Channels of block 1.")


@dataclass(frozen=True)
class Frame:
    """One arm more: S seeds, A arms in the order of ARMS, K measures in that of MEASURES."""

    step: int
    steps: int
    measured: np.ndarray  # (S, A, K) float32; 0 until measured


def measures_of(arm: str) -> tuple[str, ...]:
    """What is measured of an arm."""
    if arm in PATTERNS:
        return MEASURES
    return {"scales": MEASURES[:2], "head_then_all": MEASURES[:2], "greedy": (*MEASURES[:2], *MEASURES[3:])}.get(
        arm, MEASURES[:1]
    )


def run(config: FreezingConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Pretrain and tune. Raises DataError, CheckpointError, SettingError with a sentence
    for the visitor.
    """
    from mlcv_explore.ideas.freezing import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: FreezingConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed every measure of every arm, on test images."""
    last = film[-1].measured
    return {
        f"{arm}_{name}": last[:, ARMS.index(arm), MEASURES.index(name)].astype(float)
        for arm in ARMS
        for name in measures_of(arm)
    }


def picture(film: Film) -> Picture:
    """Accuracy over the number of first blocks that are frozen."""
    frozen = ("full", "first_1", "first_half", "first_3", "head")
    values = film[-1].measured[:, [ARMS.index(arm) for arm in frozen], 0]
    flat = {role: film[-1].measured[:, [ARMS.index(arm)] * 5, 0] for role, arm in (("oracle", "best"),)}
    labels = {"idea": "First blocks frozen", "oracle": "Best pattern"}
    return Picture(np.arange(5.0), {"idea": values, **flat}, labels, "blocks frozen", "accuracy")


LIVE = FreezingConfig()
idea = Idea(
    config=FreezingConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=FreezingConfig(updates=2, rates=1, source_size=100, test_size=50, target_size=20, width=4),
    picture=picture,
    arms=ARM_TABLE,
    measures=MEASURE_TABLE,
)
