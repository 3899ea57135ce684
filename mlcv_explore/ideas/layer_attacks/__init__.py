"""Idea: 9
Section: Noise
Title: Adversarial noise at each layer
Question: Do later layers need larger adversarial perturbations than early ones?
Try: Pick a layer and a size. An attack of that size is found there by ten gradient steps.
Answer: Mostly: averaged per value, later layers need more; for whole norms it depends on the
  network.
Terms: A *perturbation* is added to what a layer puts out; ε₅₀ is the size that changes
  half of the correct predictions. *Per value*: its root mean square, relative to how
  much the layer's values vary, *whitened* (channels decorrelated, of equal variance) or *per
  channel*. *Raw*, *whole* norm: total size, so wide layers count for more. *Next class*,
  *noise shift*: divided by the distance to another class, or by the shift that noise at the
  input causes. *Rank correlation* with depth, over input, three blocks and logits: 1 if
  every layer needs more than the one before. In the last chart a plain network is
  retrained around frozen blocks of a *robust* one, or of its *own* as a control.
But: Training is not the only reason: an untrained network has a rank correlation of
  0.5. And in every split of digits the first block needs less than the image itself
  (whitened 0.10 against 0.15).
Subject: Later layers need more | It depends on the network or the layer
Holds when: sizes are per value: whitened ε₅₀ rises from 0.15 at the input of digits to
  0.60 at the logits, and from 0.00025 to 0.02 in the ImageNet network; in L∞ and among
  values that an image can reach as well.
Fails when: whole norms count: whitened on digits the correlation is 0.4, raw in the
  ImageNet network 0.45. Nor do early layers carry robustness alone: a robust first
  block adds 16 points over an own one, and so do robust later blocks.
Verdict: yes per value, else it depends on the network
Effect: Rank correlation with depth: whitened ε₅₀ − no trend
Data: digits
Unit: splits
Unit on photographs: groups of 15

A *perturbation* δ is added to what a layer puts out, and the rest of the network
computes on. The smallest one that changes the prediction is searched by projected
gradient descent and bisection; ε₅₀, its median over correctly classified images, is
compared between the input, three blocks and the logits.

**Larger in which sense?** Multiplying a layer by c and dividing the next by c changes
nothing but the raw size of δ there. So sizes are measured in five ways: *raw*, the norm
of δ; *whitened*, the root mean square in units in which all directions of the channels
vary equally; *per channel*, in standard deviations; *next class*, in distances to the
nearest activation of another class; *noise shift*, in shifts that one random noise at
the input causes at the layer. The last four do not change with c. Layers differ in the
count d of their values, and a mean over them is a norm divided by √d: the *whole*
whitened norm stands beside it.

**What to watch.** ε₅₀ over depth, and its rank correlation with depth: 1 where every
layer needs more than the one before, −1 where less. An untrained network is the
control: its predictions are attacked in the same way.

**Early layers.** *Robust training* perturbs the input, or a block's output, while the
network trains. Then the first block of the network that is robust at its input is put
into a plain one and frozen, and the rest trained on plain images; and the reverse.

**Intrinsic dimension.** Directions in which no data lie are said to make attacks easy.
The dimension of every layer's activations, from their two nearest neighbours, is a
rival of depth in ranking ε₅₀. On digits it falls with depth, so it ranks ε₅₀ the other
way round.

Source: A. Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks,
2018, https://arxiv.org/abs/1706.06083.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module

import numpy as np
from pydantic import model_validator

from mlcv_explore import data
from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.experiment.measured import Axes, Measured
from mlcv_explore.idea import Bars, Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.layer_attacks import claims
from mlcv_explore.ideas.layer_attacks.claims import MEANINGS, NETWORKS, SITES, TRANSPLANTS
from mlcv_explore.statistics import Split

ATTACKED = ("clean", "robust", *SITES[1:4])  # accuracies, by the attacked layer
AXES = Axes(
    (*SITES, *MEANINGS, "whole", "untrained", "flat", "depth", "dimension", *NETWORKS),
    (*MEANINGS, "noise", "dimension", "trend", "ranks", *ATTACKED),
)
DEPTH = {  # arm → its measures
    **dict.fromkeys(SITES, (*MEANINGS, "noise", "dimension")),
    **dict.fromkeys((*MEANINGS, "whole", "untrained", "flat"), ("trend",)),
    **dict.fromkeys(("depth", "dimension"), ("ranks",)),
}
TRAINING = dict.fromkeys(NETWORKS, ATTACKED)
IMAGENET = "photographs"
VALIDATION = 100  # images: sizes of robust training are measured on them


class LayerAttacksConfig(Config):
    """Settings of one run."""

    experiment: str = setting(
        "depth",
        "Experiment",
        choices=("depth", "training", "all"),
        help="training: robust networks, transplants.",
    )
    norm: str = setting("l2", "Norm", choices=("l2", "linf"))
    reachable: bool = setting(
        False, "Reachable values only", help="Pixels stay in 0 to 1, rectified features at least 0."
    )
    dataset: str = setting(
        "digits",
        "Data",
        choices=("digits", "fashion_mnist", "cifar10", IMAGENET),
        help="photographs: CIFAR-10's at 128 pixels, by the ImageNet network. All but digits: in MLCV_DATA.",
    )
    attacked: int = setting(30, "Images attacked", low=5, high=500, step=5)
    steps: int = setting(20, "Steps of an attack", low=1, high=100, step=1, more=True)
    restarts: int = setting(3, "Starts of an attack", low=1, high=10, step=1, more=True)
    train_size: int = setting(1000, "Training images", low=100, high=20_000, step=100, more=True)
    epochs: int = setting(15, "Epochs", low=1, high=100, step=1, more=True)
    width: int = setting(8, "Width", low=4, high=64, step=4, more=True, help="Channels of block 1.")

    @model_validator(mode="after")
    def _fits(self) -> "LayerAttacksConfig":
        if self.dataset == IMAGENET and self.experiment != "depth":
            raise SettingError(
                f"LayerAttacksConfig.experiment {self.experiment} trains small networks; dataset photographs,"
                " whose ImageNet network is not trained, needs experiment depth."
            )
        if self.dataset != IMAGENET:
            data.check_split(self.dataset, self.train_size, VALIDATION, self.attacked)
        return self


def arms_of(config: LayerAttacksConfig) -> dict[str, tuple[str, ...]]:
    """Arm → measures of a run. The ImageNet network is not compared with an untrained one."""
    arms = {"depth": DEPTH, "training": TRAINING, "all": DEPTH | TRAINING}[config.experiment]
    return {arm: names for arm, names in arms.items() if config.dataset != IMAGENET or arm != "untrained"}


def run(config: LayerAttacksConfig, seeds: Sequence[int]) -> Iterator[Measured]:
    """Train, then attack every layer, or every network at every layer. Raises DataError,
    SettingError with a sentence for the visitor.
    """
    from mlcv_explore.ideas.layer_attacks import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: LayerAttacksConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed every measure of every arm, on test images."""
    return AXES.metrics(film, arms_of(config))


def curves(film: Film) -> dict[str, np.ndarray]:
    """Meaning → ε₅₀ over depth as multiples of the input's (S, 5), 0 until measured."""
    values = AXES.values(film, SITES, MEANINGS)
    return dict(zip(MEANINGS, np.moveaxis(values / np.maximum(values[:, :1], 1e-12), 2, 0), strict=True))


def picture(film: Film) -> Picture:
    """ε₅₀ over depth, whitened and per channel; of robust training the accuracies."""
    if (shown := curves(film))["whitened"].any():
        lines = {"idea": shown["whitened"], "variant": shown["unit"]}
        labels = {"idea": "Whitened", "variant": "Per channel"}
        return Picture(np.arange(5.0), lines, labels, "layer", "ε₅₀ over that of the input")
    names = {"baseline": "plain", "oracle": "at_input", "idea": "early_block", "variant": "late_blocks"}
    lines = {role: AXES.values(film, [arm], ATTACKED)[:, 0] for role, arm in names.items()}
    labels = {role: idea.label(arm) for role, arm in names.items()}
    return Picture(np.arange(5.0), lines, labels, "attacked layer (0: none)", "accuracy")


L2 = {"norm": "l2", "reachable": False}


def _cells(*configs: LayerAttacksConfig) -> tuple[Cell, ...]:
    """Every claim, in L2; every measure."""
    cells = []
    for config in configs:
        arms, about = arms_of(config), claims.CLAIMS if L2.items() <= config.model_dump().items() else ()
        tested = [claim for claim in about if {*claim.arms} <= {*arms}]
        cells += [Cell(claim.name, config, {arm: arm for arm in claim.arms}) for claim in tested]
        cells.append(Cell(config.experiment, config, {arm: arm for arm in arms}))
    return tuple(cells)


LIVE, SEEDS = LayerAttacksConfig(attacked=50), tuple(range(700, 720))
OTHERS = {"experiment": "training"}, {"norm": "linf"}, {"reachable": True}
PHOTOGRAPHS = LayerAttacksConfig(dataset=IMAGENET, attacked=15, steps=10, restarts=1)

idea = Idea(
    config=LayerAttacksConfig,
    frame=Measured,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=LayerAttacksConfig(
        experiment="all", attacked=10, steps=1, restarts=1, train_size=100, epochs=1, width=4
    ),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURE_TABLE,
    studies=(
        Study("live", _cells(LIVE, *(LIVE.replace(**other) for other in OTHERS)), SEEDS),
        Study("photographs", _cells(PHOTOGRAPHS), SEEDS),
    ),
    prior_work=claims.PRIOR_WORK,
    provenance=claims.PROVENANCE,
    bars=(
        Bars("digits, small networks", (*MEANINGS, "whole", "untrained"), "live", "trend", "depth", L2),
        Bars("photographs, ImageNet network", (*MEANINGS, "whole"), "photographs", "trend", "depth"),
        Bars("digits, attacked at the input", (*TRANSPLANTS, "at_input"), "live", "robust", "training"),
    ),
    limits=claims.LIMITS,
    split_sizes=lambda config: (
        None if config.dataset == IMAGENET else Split(config.train_size, config.attacked)
    ),
    tiles=lambda: import_module(f"{__name__}.inference").tiles(),  # torch comes with it
    estimand=lambda config: "over groups of photographs, of one network" * (config.dataset == IMAGENET),
)
