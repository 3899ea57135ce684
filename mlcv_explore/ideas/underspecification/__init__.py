"""Idea: 14
Section: Learning
Title: Underspecification without labels
Question: Does contrastive pretraining or adaptation make equal networks less alike under corruption?
Try: Choose an image and corrupt it: twelve networks that agree on it begin to differ.
Answer: Adaptation makes them more alike: spread 1.1 instead of 3.5 points on digits. Contrastive
  pretraining: it depends on the rival.
Terms: *Excess SD*: the standard deviation of accuracy between networks of one kind (root mean
  square over corruptions), less the part due to finite test images. *Contrastive*: SimCLR, then a
  linear head; *matched*: with labels, same views, until as accurate on clean images. *Batch
  statistics*: normalised by corrupted test images; *Tent* also lowers the entropy of predictions.
But: On digits contrastive networks differ by 0.7 points [0.2, 1.2] more than supervised ones that
  learn from the same views to the end and are equally accurate under corruption; by −0.3
  [−0.9, 0.2] from matched ones, stopped after a tenth of the steps. Single predictions become no
  more equal by adaptation: of photographs 34 and 35 % of pairs disagree.
Subject: Adaptation makes networks more alike | It does not
Holds when: contrast, fog or pixelation spread them. Batch statistics do nearly all of it, Tent's
  entropy adds nothing. Photographs' features go from 1.5 to 0.7 points.
Fails when: digits are rotated (+0.6 points [−0.3, 1.5]), or noise, blur and JPEG leave no spread.
Verdict: adaptation lowers it; contrastive depends on the rival
Effect: Excess SD, corrupted: contrastive − supervised, matched
Data: digits
Data on photographs: photographs' features
Unit: splits
Unit on photographs: splits

Networks of one recipe, equal on held-out images, can behave differently on others. In each of 20
splits 30 networks of every kind are trained; they differ in initial weights, order and views of
images, and head. Each is tested clean and under seven corruptions, as it is and adapted without
labels: by batch statistics, Tent, CORAL (which aligns features) or MME (classifier against
features). Finite test images make equal networks differ, too: subtracted is, by image, p(1 − p),
p the share of networks that are right. Control: batch order of one network.

Source: A. D'Amour et al., Underspecification Presents Challenges for Credibility in Modern
Machine Learning, 2020, https://arxiv.org/abs/2011.03395.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from pydantic import model_validator

from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data import corrupted_photographs
from mlcv_explore.data.corrupted_photographs import PHOTOGRAPHS
from mlcv_explore.data.corruptions import KINDS
from mlcv_explore.idea import Bars, Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.underspecification import claims
from mlcv_explore.ideas.underspecification.claims import ARMS, CLAIMS, LEARNED, MEASURES, SOURCES
from mlcv_explore.statistics import Split

VALIDATION = 300  # images, by which networks are matched
DATA = ("digits", "fashion_mnist", "cifar10", PHOTOGRAPHS)
ONE = "Of initial weights, order with views, head; one alone: no adaptation."


class UnderspecificationConfig(Config):
    """Settings of one run."""

    dataset: str = setting("digits", "Data", choices=DATA, help="photographs: features of CIFAR-10's.")
    network: str = setting("dense", "Network", choices=("dense", "convolutional"), help="Convolves pixels.")
    networks: int = setting(8, "Networks", low=1, high=200, step=1, help="Of every arm, in every split.")
    varied: str = setting("all", "What differs", choices=("all", *SOURCES), help=ONE)
    severity: int = setting(5, "Severity", low=1, high=5, step=1, help="Of photographs 5.")
    updates: int = setting(10, "Updates of adaptation", low=0, high=200, step=1, help="0: none at all.")
    batch: int = setting(100, "Batch to adapt to", low=1, high=1000, step=1, more=True)
    noise: float = setting(0.2, "Noise of views", low=0, high=2, step=0.05, more=True)
    train_size: int = setting(1000, "Training images", low=100, high=9000, step=100, more=True)
    test_size: int = setting(300, "Test images", low=50, high=1900, step=50, more=True)
    steps: int = setting(200, "Training steps", low=2, high=5000, step=50, more=True)
    width: int = setting(64, "Width", low=4, high=256, step=4, more=True)

    @property
    def parts(self) -> tuple[str, int, int, int]:
        """The data set, and training, validation and test images that a run draws from it."""
        return self.dataset, self.train_size * (1 + (self.varied == "split")), VALIDATION, self.test_size

    @model_validator(mode="after")
    def _fits(self) -> "UnderspecificationConfig":
        twice = "varied split draws from twice train_size: " if self.varied == "split" else ""
        corrupted_photographs.check(*self.parts, self.severity, twice, self.network)
        if self.networks < 2:
            raise SettingError("networks must be at least two for a spread between them, got 1.")
        if self.updates and min(self.batch, (self.test_size - 1) % self.batch + 1) < 2:
            alone = f"batch {self.batch} leaves one of test_size {self.test_size} images alone"
            raise SettingError(f"{alone}, but adaptation needs at least two in a batch.")
        return self


@dataclass(frozen=True)
class Frame:
    """One arm more: S splits, A arms in the order of ARMS, K measures in that of MEASURES."""

    step: int
    steps: int
    measured: np.ndarray  # (S, A, K) float32; 0 until measured


def arms_of(config: UnderspecificationConfig) -> tuple[str, ...]:
    """The arms of a run; with one thing varied those as they are trained."""
    return ARMS if config.varied == "all" else LEARNED


def run(config: UnderspecificationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train many networks of every pipeline and test them. Raises DataError, CheckpointError,
    SettingError with a sentence for the visitor.
    """
    from mlcv_explore.ideas.underspecification import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: UnderspecificationConfig, film: Film) -> dict[str, np.ndarray]:
    """Per split every measure of every arm, on test images."""
    last = film[-1].measured
    return {
        f"{arm}_{name}": last[:, ARMS.index(arm), column].astype(float)
        for arm in arms_of(config)
        for column, name in enumerate(MEASURES)
    }


def picture(film: Film) -> Picture:
    """Excess SD under every corruption."""
    columns = [MEASURES.index(kind) for kind in KINDS]
    shown = {"baseline": "supervised", "other": "matched", "idea": "contrastive", "variant": "autoencoder"}
    lines = {role: film[-1].measured[:, ARMS.index(arm)][:, columns] for role, arm in shown.items()}
    labels = {role: idea.label(arm) for role, arm in shown.items()}
    return Picture(np.arange(float(len(KINDS))), lines, labels, ", ".join(KINDS), "excess SD")


def _every(config: UnderspecificationConfig, name: str = "every") -> Cell:
    return Cell(name, config, {arm: arm for arm in arms_of(config)})


def _cells(base: UnderspecificationConfig, *others: UnderspecificationConfig) -> tuple[Cell, ...]:
    """Every claim; every arm; and what each source of randomness alone does."""
    of_claims = [Cell(claim.name, base, {arm: arm for arm in claim.arms}) for claim in CLAIMS]
    return (*of_claims, *map(_every, (base, *others)))


LIVE = UnderspecificationConfig(networks=30)
ONE_BY_ONE = tuple(LIVE.replace(varied=source, train_size=500) for source in SOURCES)
IMAGENET = LIVE.replace(dataset=PHOTOGRAPHS, noise=0.5, train_size=6000, test_size=1000, width=128)
SMALL = {"dataset": "cifar10", "network": "convolutional", "severity": 3, "noise": 0.05, "width": 32}
PIXELS = LIVE.replace(networks=6, batch=50, train_size=2000, test_size=500, steps=150, **SMALL)
COMPARED = (
    *("contrastive", "matched", "augmented", "untrained", "autoencoder", "supervised"),
    *("supervised_bn", "supervised_tent", "contrastive_bn", "oracle"),
)

idea = Idea(
    config=UnderspecificationConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=UnderspecificationConfig(
        networks=3, updates=2, batch=50, train_size=200, test_size=100, steps=8, width=16
    ),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURE_TABLE,
    studies=(
        Study("live", _cells(LIVE, *ONE_BY_ONE), tuple(range(1400, 1420))),
        Study("photographs", (*_cells(IMAGENET), _every(PIXELS, "convolutional")), tuple(range(1400, 1420))),
    ),
    prior_work=claims.PRIOR_WORK,
    provenance=claims.PROVENANCE,
    bars=(
        Bars("digits", COMPARED, rows="every", settings={"varied": "all", "train_size": 1000}),
        Bars("photographs' features", COMPARED, "photographs", rows="every"),
        Bars("photographs at 32 pixels", COMPARED, "photographs", rows="convolutional"),
    ),
    limits=claims.LIMITS,
    tiles=lambda: import_module(f"{__name__}.inference").tiles(),  # torch comes with it
    checkpoints=lambda: import_module(f"{__name__}.pretrain").CHECKPOINTS,
    split_sizes=lambda config: Split(config.train_size, config.test_size),
)
