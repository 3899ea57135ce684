"""Idea: 20
Section: Noise
Title: Virtual outliers by prediction depth
Question: Do virtual outliers at several layers detect the unknown better?
Try: Choose an image and a layer, and how unlikely its virtual outliers are.
Answer: Only for far outliers on photographs, and for these untrained distances do better;
  overall undecided.
Terms: *Virtual outliers* are unlikely points of a Gaussian of each class's features; a
  network learns to call them unreal, at its last layer or at *several*. *Outliers* of the
  test are classes left out (*near*) and other kinds of image, such as clothes or noise
  (*far*). *AUROC*: how often a real image scores higher than an outlier. *Prediction depth*:
  how many layers pass before an image's nearest neighbours are of the predicted class. *No
  outliers*: a plain network's energy. *Mahalanobis*, *neighbours*: untrained distances,
  averaged over layers. *Real features* called outliers are the control; *real outliers
  known* shows what is possible.
But: A Gaussian fits badly: 17 % of real features lie farther out than virtual outliers. At
  the last layer these cost 3.1 points on photographs, near and far together, and real
  features called outliers as much. Training without any is 1.0 point ahead of several
  layers [−2.2, 4.3].
Subject: Several layers lead the last | They do not
Holds when: outliers are far, on photographs: 96.0 % against 87.1 %. Among images and outliers
  of prediction depth 2 to 4 they lead by 4.3 points [0.3, 8.2]; at depth 0 or 1 they do not.
Fails when: outliers are near, on photographs: 70.1 % against 74.8 %, and 79.2 % without
  outliers. Undecided are digits (92.6 against 95.3 %), and whether deeper predictions are
  best told from outliers at later layers.
Verdict: only for far outliers
Effect: AUROC: virtual outliers at several layers − at the last layer
Data: digits
Data on photographs: photographs' features
Unit: splits
Unit on photographs: splits

An *outlier* is an image of no class that the network has learned. A network can learn
to tell them without ever having seen one: a Gaussian is fitted to the features of each
class, and its least likely points are *virtual outliers*. The negative energy, log Σ
exp(logits), is trained to be low for them, at the last layer (VOS). The author asks
whether several layers do better, and how that depends on an image's *prediction depth*.

**The experiment.** Two of ten classes are left out, drawn anew in every split; they are
the *near* outliers. *Far* ones are inverted digits, generated scenes and noise; for
photographs clothes, digits, pasted objects, landscapes and noise. On digits a network of
four blocks is trained, with a classifier at each block; photographs are features of four
layers of the ImageNet network, of which only the classifiers are trained, and every network
keeps its best epoch by its own loss on validation images. Each layer's score is the
log-odds of *real* against *virtual*; several layers are combined with weights that are
fitted on virtual outliers alone.

**Rivals.** Scores that need no outliers: distances to class means (Mahalanobis) and to
neighbours, at the last layer, averaged over standardised layers, or by Fisher's combination
of their p-values; and Mahalanobis distances of early layers with the energy of the last. NPOS
draws beyond the most isolated examples. The control calls *real* features outliers. The
oracle knows other images of the same outliers.

**Prediction depth.** At every layer the 30 nearest training images vote. The prediction
depth is the number of layers below the first from which all votes are the prediction: 0 if
they are from the first on, 4 if the last one's are not. AUROC is also taken among images of
depth 0 or 1 and of depth 2 to 4, real and not, and the most separating layer is compared
between the two. At the last layer the log-odds fall with prediction depth: their rank
correlation is −0.46 on photographs and −0.34 on digits.

**Is the Gaussian right?** In 256 dimensions the least likely of 10,000 draws lies only 1.2
times as far out as an average one. If features were Gaussian, one real feature in 14,000
would lie farther out. At the last layer of either data 17 % do: many a virtual outlier lies
among real images.

Source: X. Du et al., VOS: Learning What You Don't Know by Virtual Outlier Synthesis, 2022,
https://arxiv.org/abs/2202.01197.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module

import numpy as np
from pydantic import model_validator

from mlcv_explore import data
from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data.splits import check_sizes
from mlcv_explore.experiment.measured import Axes, Measured
from mlcv_explore.idea import Bars, Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.virtual_outliers import claims
from mlcv_explore.ideas.virtual_outliers.claims import NETWORKS, VOS
from mlcv_explore.metrics.outlier_detection import DEPTHS
from mlcv_explore.statistics import Split

UNTRAINED = ("mahalanobis_last", "mahalanobis", "mixed", "fusion", "fisher")
BY_DEPTH = ("depth", "shuffled")
ARMS = ("energy", "msp", *VOS, "several", "average", "npos", *UNTRAINED, "real_features", "oracle", *BY_DEPTH)
MEASURES = ("auroc", "near", "far", "fpr95", *DEPTHS, "accuracy", "rise", "rank", "share")
AXES, DETECTION = Axes(ARMS, MEASURES), MEASURES[:6]
PHOTOGRAPHS, SIZES = "photographs", (3500, 1200)  # of the features that ship: training, test
GROUPS = 4  # of channels normalised together: widths are multiples of it
VALIDATION = 300  # images: what is standardised, and what the layers' weights are fitted on


class VirtualOutliersConfig(Config):
    """Settings of one run."""

    dataset: str = setting(
        "digits",
        "Data",
        choices=("digits", "fashion_mnist", "cifar10", PHOTOGRAPHS),
        help="photographs: CIFAR-10's as features of the ImageNet network, which ship.",
    )
    weight: float = setting(
        1.0, "Weight of outliers", low=0, high=100, step=0.1, help="0: training without outliers. VOS: 0.1."
    )
    draws: int = setting(
        10_000,
        "Least likely of",
        low=1,
        high=1_000_000,
        step=1,
        more=True,
        help="Draws of which the least likely is kept.",
    )
    neighbours: int = setting(
        30, "Neighbours", low=1, high=200, step=1, help="Whose votes tell the prediction depth."
    )
    train_size: int = setting(1000, "Training images", low=400, high=20_000, step=100, help="Of ten classes.")
    test_size: int = setting(400, "Test images", low=100, high=5000, step=50, more=True)
    epochs: int = setting(15, "Epochs", low=1, high=100, step=1, more=True)
    start: float = setting(
        0.4, "Outliers from", low=0, high=0.9, step=0.1, more=True, help="Share of epochs."
    )
    best_epoch: bool = setting(
        False, "Keep the best epoch", more=True, help="By each network's own loss on validation images."
    )
    width: int = setting(8, "Width", low=4, high=64, step=4, more=True, help="Channels of block 1.")

    @model_validator(mode="after")
    def _fits(self) -> "VirtualOutliersConfig":
        if self.dataset == PHOTOGRAPHS:
            check_sizes(PHOTOGRAPHS, *SIZES, self.train_size, VALIDATION, self.test_size)
        else:
            data.check_split(self.dataset, self.train_size, VALIDATION, self.test_size)
        if self.width % GROUPS:
            raise SettingError(
                f"VirtualOutliersConfig.width must be a multiple of {GROUPS}, got {self.width}."
            )
        if self.neighbours >= self.train_size // 10:
            raise SettingError(
                f"VirtualOutliersConfig.neighbours must be below {self.train_size // 10}, a tenth of"
                f" train_size {self.train_size} (the images of a class), got {self.neighbours}."
            )
        return self


def measures_of(arm: str) -> tuple[str, ...]:
    """What is measured of an arm."""
    trained = ("accuracy", *(("rank", "share") if arm in VOS else ())) if arm in NETWORKS else ()
    return ("rise",) if arm in BY_DEPTH else (*DETECTION, *trained)


def run(config: VirtualOutliersConfig, seeds: Sequence[int]) -> Iterator[Measured]:
    """Train and test one network after the other. Raises DataError, CheckpointError."""
    from mlcv_explore.ideas.virtual_outliers.training import measured  # torch comes with it

    yield from AXES.film([measured(config, seed) for seed in seeds], 1 + len(NETWORKS))


def metrics(config: VirtualOutliersConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed every measure of every arm, on test images."""
    return AXES.metrics(film, {arm: measures_of(arm) for arm in ARMS})


def picture(film: Film) -> Picture:
    """AUROC of near and far outliers, and of shallow and deep images."""
    shown = {"baseline": "energy", "other": "vos_last", "idea": "several", "oracle": "oracle"}
    names = ("near", "far", *DEPTHS)
    lines = {role: AXES.values(film, [arm], names)[:, 0] for role, arm in shown.items()}
    labels = {role: idea.label(arm) for role, arm in shown.items()}
    return Picture(np.arange(4.0), lines, labels, "near, far, shallow, deep", "AUROC")


COMPARED = ("several", "vos_last", "energy", "mahalanobis", "mixed", "fusion", "real_features", "oracle")
ALONE = ("vos_1", "vos_2", "vos_3", "vos_last", "npos", "real_features")  # outliers at one layer
ALONE_WEIGHT = 0.1  # the published one


def _cells(base: VirtualOutliersConfig, weights: Sequence[float]) -> tuple[Cell, ...]:
    """Every claim compares arms at the weight that was best for them in a pilot, ALONE_WEIGHT
    where outliers are at one layer; every arm at several weights beside them.
    """
    cells = []
    for claim in claims.CLAIMS:
        names = {*claim.arms, *(COMPARED if claim.name == "several" else ())}
        for config, alone in ((base, False), (base.replace(weight=ALONE_WEIGHT), True)):
            own = {arm: arm for arm in ARMS if arm in names and (arm in ALONE) == alone}
            cells += [Cell(claim.name, config, own)] if own else []
    whole = {arm: arm for arm in ARMS}
    return (*cells, *(Cell("weights", base.replace(weight=weight), whole) for weight in weights))


LIVE = VirtualOutliersConfig(weight=3.0)
IMAGENET = VirtualOutliersConfig(
    dataset=PHOTOGRAPHS, weight=10.0, train_size=2400, test_size=500, epochs=12, start=0.0, best_epoch=True
)

idea = Idea(
    config=VirtualOutliersConfig,
    frame=Measured,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=VirtualOutliersConfig(train_size=400, test_size=100, epochs=1, width=4, neighbours=5, start=0.0),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURE_TABLE,
    studies=(
        Study("live", _cells(LIVE, (0.1, 1.0, 3.0, 10.0)), tuple(range(900, 920))),
        Study("photographs", _cells(IMAGENET, (0.1, 1.0, 10.0, 40.0)), tuple(range(900, 920))),
    ),
    prior_work=claims.PRIOR_WORK,
    provenance=claims.PROVENANCE,
    bars=(
        Bars("digits, near and far", COMPARED),
        Bars("photographs, far outliers", COMPARED, "photographs", "far"),
        Bars("photographs, near outliers", COMPARED, "photographs", "near"),
    ),
    limits=claims.LIMITS,
    split_sizes=lambda config: Split(config.train_size, config.test_size),
    tiles=lambda: import_module(f"{__name__}.inference").tiles(),  # torch comes with it
    checkpoints=lambda: import_module(f"{__name__}.inference").CHECKPOINTS,
)
