"""Idea: 2
Section: Feature space
Title: Hierarchical representation
Question: Do autoencoders trained level by level make deeper features easier to
  classify?
Try: Choose or draw a digit and compare its reconstructions and its place on each
  level's map.
Answer: Not on digits: accuracy falls with depth, to that of raw pixels or below. On
  photographs it is undecided.
Terms: *Accuracy* is that of a linear classifier on a level's features, in percentage
  *points*, ten classes; for *raw pixels*, the *raw input*, it reads the image itself.
  *Layer-wise*: every level has a loss of its own, and reconstructs the level below or
  the input. *End-to-end*: one loss at the output.
But: Layer-wise training leads the end-to-end loss at first (8 points after 10 epochs on
  digits), not in the end (0.1 after 200). Levels of k-means, far simpler, exceed raw
  pixels on digits by 2.4 points. The levels of photographs, which are convolutional,
  had not converged.
Subject: A gain over the raw input
Holds when: no case found. Closest: on photographs all three kinds of training end 1.1
  to 1.5 points above raw pixels, undecided, and less above their principal components.
Fails when: digits are trained to convergence: the three end −0.9 to +0.1 points from
  raw pixels, with 50 labels per class −3.0 to −1.5; or the input is photographs'
  features: −5.4 to −2.5.
Verdict: no gain over raw pixels shown
Effect: Top-level accuracy: layer-wise loss − raw pixels
Data: digits
Data on photographs: photographs

Each level of a stack has an encoder and a decoder. With one *end-to-end* loss an image
passes all encoders and decoders, and only the output is compared with it. With
*layer-wise* losses each level reconstructs the code below it, or the input. A linear
probe, a ridge regression with few labels, measures how linearly separable every level
is.

**Data.** Two studies: handwritten digits with dense levels, ten labels per class; and
photographs of CIFAR-10 at 32×32 pixels with convolutional levels, 20 labels per class.
Train uses photographs as 64 numbers each, which an ImageNet network computed; a probe
of these is the upper bound beside the convolutional levels. The demo shows digits.

**Baselines.** The raw input itself, its principal components, and levels that are not
trained. A hierarchy that does not end above all three has found nothing.

**Length of training.** The end-to-end loss converges more slowly. One training is
probed after 5, 20, 50 and 100 % of its epochs, and two lengths are claims of their own.

**Objectives.** *Greedy*: the input of each level is detached, so no gradient passes
between levels. *Joint* (not detached): gradients of layer-wise losses also reach the
levels below. *Both*: end-to-end and layer-wise losses are added. All levels train at
once, on the same images, with equal updates.

**Original code.** One arm repeats four errors of the author's code. The levels' own
decoders are discarded, so a third of the parameters gets no gradient. A ReLU on the
output cannot reconstruct inputs below the mean. A misspelt name freezes the probe's
weight; only its bias is trained. The loop over probes never reaches the top level.

**Controls.** All levels hold equally many numbers, and a ridge regression is also
fitted on the 12 leading components of every code: neither depth nor size helps a level.
The penalty is chosen on validation images. Errors of different levels are never
compared, for a code has no scale.

**Other learners.** A denoising autoencoder, a contrastive learner, PCA and k-means in
the autoencoder's place each break an assumption behind "any unsupervised learner". A
contrastive view of features has noise alone: in a vector nothing can be shifted.

Source: Alain, Bengio, Understanding intermediate layers using linear classifier probes,
2016, https://arxiv.org/abs/1610.01644
"""

from collections.abc import Iterator, Sequence
from importlib import import_module

import numpy as np

from mlcv_explore.idea import Bars, Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.hierarchical_representation import claims
from mlcv_explore.ideas.hierarchical_representation import settings as setup
from mlcv_explore.ideas.hierarchical_representation.settings import ARMS, Frame
from mlcv_explore.ideas.hierarchical_representation.settings import HierarchicalRepresentationConfig as Config
from mlcv_explore.statistics import Split
from mlcv_explore.statistics.estimands import OWN_LABELS


def run(config: Config, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train and probe every arm. Raises FloatingPointError, DataError, SettingError."""
    from mlcv_explore.ideas.hierarchical_representation.training import Trainer  # torch comes with it

    trainer = Trainer(config, seeds)
    yield trainer.frame(0)
    for epoch in range(1, config.epochs + 1):
        trainer.train()
        if epoch in setup.frame_epochs(config):
            yield trainer.frame(epoch)


def metrics(config: Config, film: Film) -> dict[str, np.ndarray]:
    """Per seed, at the top level (of `…_first` at the first): accuracy, also of leading
    components and coarse classes, at the end; accuracy after each of LENGTHS.
    """
    last, top = film[-1], config.levels - 1
    names = "accuracy", "leading", "coarse"
    values = {name: getattr(last, name).astype(float) for name in names}
    columns = {f"pixels_{name}": own for name, own in zip(names, last.pixels.astype(float).T, strict=True)}
    for arm in setup.arms(config):
        place = ARMS.index(arm)
        columns |= {f"{arm}_{name}": own[:, place, top] for name, own in values.items()}
        columns[f"{arm}_first_accuracy"] = values["accuracy"][:, place, 0]
        columns[f"{arm}_updates"] = last.updates[:, place].min(1).astype(float)
        for name in setup.LENGTHS:
            frame = next(own for own in film if own.step == setup.length_epoch(config, name))
            columns[f"{arm}_{name}"] = frame.accuracy[:, place, top].astype(float)
        for level in range(config.levels):
            columns[f"{arm}_level{level + 1}"] = values["accuracy"][:, place, level]
            columns[f"{arm}_coarse{level + 1}"] = values["coarse"][:, place, level]
            if setup.decodes(arm, level, config.levels):
                columns[f"{arm}_error{level + 1}"] = last.error[:, place, level].astype(float)
    if "committed" in setup.arms(config):
        # the level that the author's last probe uses
        shifted = columns[f"committed_level{top}" if top else "pixels_accuracy"]
        columns |= {"committed_shifted_accuracy": shifted}
        columns |= {"committed_frozen_accuracy": last.frozen[:, top].astype(float)}
    return columns


def depth_curve(frame: Frame, arm: str) -> np.ndarray:
    """Accuracy (S, 1 + L) from the input up."""
    return np.concatenate([frame.pixels[:, :1], frame.accuracy[:, ARMS.index(arm)]], axis=1).astype(float)


def picture(film: Film) -> Picture:
    """Probe accuracy over depth at the end."""
    arms = {"baseline": "global", "idea": "greedy_code", "control": "random", "oracle": "supervised"}
    lines = {role: depth_curve(film[-1], arm) for role, arm in arms.items()}
    labels = {role: idea.label(arm).lower() for role, arm in arms.items()}
    levels = np.arange(film[-1].accuracy.shape[2] + 1.0)
    return Picture(levels, lines, labels, "level", "test accuracy of a probe")


BASES = {  # study → settings of its claims
    "live": Config(dataset="digits", epochs=200),
    "photographs": Config(
        **{"dataset": "cifar10", "network": "convolutional", "compared": "wirings", "width": 8},
        **{"train_size": 600, "labels": 20, "batch_size": 30, "epochs": 16, "learning_rate": 0.003},
    ),
}
FEWER = BASES["live"].replace(compared="wirings")
VARIATIONS = {  # study → settings of its other runs
    "live": (FEWER.replace(width=64), FEWER.replace(labels=50)),
    # features by an ImageNet network: a probe of them is an upper bound
    "photographs": (Config(epochs=200, compared="wirings", labels=20),),
}
SEEDS = tuple(range(700, 720))  # 0 to 19 had been looked at, with other claims


def _study(name: str) -> Study:
    """Claims, every arm at every level, and the wirings with other settings."""
    base = BASES[name]
    # what the original code's own probes report
    reported = ("committed_shifted", "committed_frozen") if base.compared == "all" else ()
    cells = [
        *((claim.name, base, claim.arms) for claim in claims.CLAIMS),
        ("arms", base, (*setup.arms(base), "pixels", *reported)),
        *(("varied", config, (*setup.WIRINGS, "pixels")) for config in VARIATIONS[name]),
    ]
    every = tuple(Cell(figure, config, {arm: arm for arm in named}) for figure, config, named in cells)
    return Study(name, every, SEEDS)


BARS = ("greedy_code", "pixels", "greedy_code_first", "greedy_pixels", "global", "pca")

idea = Idea(
    config=Config,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=Config(epochs=1, train_size=200, labels=1, levels=1, width=4, batch_size=100),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURES,
    studies=tuple(map(_study, BASES)),
    prior_work=claims.PRIOR_WORK,
    provenance=claims.PROVENANCE,
    bars=(Bars("digits", BARS), Bars("photographs", BARS, "photographs")),
    limits=claims.LIMITS,
    # training and test images where every seed has a split of its own
    split_sizes=lambda config: Split(*setup.part_sizes(config)[::2]) if config.split == "redrawn" else None,
    estimand=lambda config: OWN_LABELS if config.split == "fixed" else "",
    part_sizes=setup.part_sizes,
    tiles=lambda: import_module(f"{__name__}.inference").tiles(),  # torch comes with these two
    checkpoints=lambda: import_module(f"{__name__}.inference").CHECKPOINTS,
)
