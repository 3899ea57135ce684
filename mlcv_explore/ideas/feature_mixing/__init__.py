"""Idea: 8
Section: Feature space
Title: Mixing in feature space
Question: Does mixing two images inside a network improve its accuracy?
Try: Move λ: two images' features are added inside a network, decoded and classified.
Answer: Hardly: within 1 point of label smoothing; against plain training −1.0 points at
  10 labels per class, +0.6 at 50.
Terms: *Mixing*: two images' features are added inside the network, and the label names
  both. *Label smoothing* moves a small share ε of a label to all classes; no second
  image. *Calibrated*: the network's certainty is corrected on validation images, by a
  temperature. *Nats*: log-likelihood per test image. *Photographs' features*: what an
  ImageNet network computes of CIFAR-10's photographs.
But: A control, mixed but labelled with an unrelated image, is as close to label
  smoothing (+0.1): mixing does not explain the result. Once both are calibrated, plain
  training has the better likelihood, by 0.06 nats. In its favour: on digits mixing
  gains 3.5 points over plain training.
Subject: Mixing gains at most 1 point over smoothing | It may gain more
Holds when: photographs' features have 10 labels per class (+0.4 points) or 50 (+0.7,
  the interval ends at 0.99), also when training is stopped early (0.0 and +0.3).
Fails when: the learning rate is ten times higher (+1.0, interval up to 1.3), or digits
  are smoothed weakly (ε = 0.05: +1.2; at ε = 0.5 +0.2).
Verdict: within 1 point of label smoothing
Effect: Accuracy: features + labels mixed − label smoothing
Data: photographs' features, 10 labels per class
Data on photographs: photographs' features, 50 labels per class

Take the features F_i and F_j of two training images at some depth of a network. Train
the layers above on F = F_i + λ·F_j with the label y = (y_i + λ·y_j)/(1 + λ); λ is the
weight of the second image, its *partner*. Features are *mixed*, and labels become
*soft*: a 2×2 separates the two.

**What to watch.** The four arms, and label smoothing, which uses no partner: of a
strength ε of its own, and *matched*, of the strength λ/(1 + λ) that mixed labels have.
λ and ε are those with the best likelihood on photographs that no study uses. *Images
separately* trains on the same images with the same weights, unmixed.

**Likelihood.** Soft labels and mixing make a network less certain. So does a
*temperature* that divides all logits: fitted on validation images, it changes no
prediction. On photographs' features it brings plain training from 1.66 to 1.33 nats and
mixing from 1.39 to no less, so the gain of mixing was confidence. On digits mixing
stays ahead, 0.28 against 0.40 nats.

**Data.** Train uses photographs of CIFAR-10, 64 numbers each. An ImageNet network
computed them: its features before the last layer, reduced by principal components. The
claims are tested on these, with 10 labels per class; the last column of their table has
50. Handwritten digits are the second data set, under More results. What needs pixels is
not run on features: CutMix, rotations, contrastive views.

**Controls.** The softmax of a one-hot label of ten classes gives the true class only
0.23, even at λ = 0: labels are divided by their sum; softmax is a setting. Before the
last layer, mixing features only mixes logits: depth 2 leaves a hidden layer above. All
arms of a seed share split, labelled images, initial weights, batches and partners.
Early stopping and temperatures use validation images; test images only measure.

**Scenes.** Two scenes are mixed as a whole in a feature map, and a classifier and a
detection head are trained on the classes and boxes of both, weighted by their shares;
the baseline mixes pixels. Or the object of one is pasted into the feature map of the
other, through its mask reduced to the map's size; the baseline pastes into the image
itself. In three exploratory seeds correct boxes were 52 % without, 57 with features
mixed (λ = 1), 59 with pixels mixed (λ = 0.5), 62 with objects pasted into features and
69 with objects pasted into pixels.

**Contrastive views.** Two views of an image can be made without changing its pixels: by
noise on its features, or by mixing in some of another image's features.

**Answered before.** On digits at λ = 0.5 (16 seeds) more images per mixture,
pretraining by autoencoder or rotation, and the largest label for the mixed one changed
accuracy by under 1.3 points; mixed views lost 2.1 points [1.7, 2.6] to pixel noise.

**Photographs.** Two photographs become features of an ImageNet network and are mixed
there, (1 − s)·F_1 + s·F_2 with s = λ/(1 + λ), and beside it as pixels. Each is read as
CIFAR-10's photographs were: its middle square at 32 × 32 pixels, enlarged to 128 × 128.
A linear classifier of CIFAR-10's features predicts the soft label. A photograph of none
of the ten classes is reported by the share of its feature that lies outside theirs.

Source: Zhang, Cisse, Dauphin, Lopez-Paz, mixup: Beyond Empirical Risk Minimization,
2017, https://arxiv.org/abs/1710.09412
"""

from collections.abc import Iterator, Sequence
from importlib import import_module

import numpy as np

from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Bars, Film, Idea, Picture
from mlcv_explore.ideas.feature_mixing import claims, study
from mlcv_explore.ideas.feature_mixing import settings as names
from mlcv_explore.ideas.feature_mixing.settings import ARMS, COARSE_ARMS, FeatureMixingConfig, Frame
from mlcv_explore.statistics.estimands import OWN_DATA, OWN_LABELS


def run(config: FeatureMixingConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """The experiments of the run. Raises FloatingPointError when an arm diverges."""
    from mlcv_explore.ideas.feature_mixing import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: FeatureMixingConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed on test images; `stopped` is the accuracy at the best validation step."""
    last = film[-1]
    results = {
        "mixing": ((ARMS, names.MEASURES, last.measured), (COARSE_ARMS, names.MEASURES, last.coarse)),
        "paste": ((names.PASTE_ARMS, names.PASTE_MEASURES, last.pasted),),
        "contrastive": ((names.PROBE_ARMS, names.MEASURES[:1], last.probes[..., None]),),
    }
    columns = {
        f"{arm}_{name}": values[:, place, index].astype(float)
        for stage in config.stages
        for arms, measures, values in results[stage]
        for place, arm in enumerate(arms)
        if arm in config.arms or (arm not in ARMS and (config.baselines or arm not in COARSE_ARMS))
        for index, name in enumerate(measures)
    }
    if "mixing" in config.stages:
        shown = [frame for frame in film if frame.stage == "mixing"]
        best = series(shown, "validation").argmax(1)  # (S, A) the first best; not looked up on test
        stopped = np.take_along_axis(series(shown, "measured")[..., 0], best[:, None], axis=1)[:, 0]
        for name, values in (("stopped", stopped), ("scaled", last.scaled)):
            columns |= {f"{arm}_{name}": values[:, ARMS.index(arm)].astype(float) for arm in config.arms}
    return columns


def picture(film: Film) -> Picture:
    """Test accuracy of mixing arms over training, else correct boxes, else the probes."""
    frames = [frame for frame in film if frame.stage == film[0].stage]  # mixing is run first
    arms, shown = ARMS, ("plain", "soft", "both", "input_mixup", "oracle")
    if film[0].stage == "mixing":
        values, title = series(frames, "measured")[..., 0], "test accuracy"
    elif film[0].stage == "paste":
        values, title = series(frames, "pasted")[..., 1], "correct boxes"
        arms, shown = names.PASTE_ARMS, names.PASTE_ARMS[:4]
    else:
        numbers = np.arange(1, len(names.PROBE_ARMS) + 1, dtype=float)
        return Picture(numbers, {"idea": film[-1].probes}, {"idea": "probes"}, "arm", "test accuracy")
    roles = {idea.arm(arm).role: arm for arm in shown}
    lines = {role: values[:, :, arms.index(arm)] for role, arm in roles.items()}
    labels = {role: idea.label(arm).lower() for role, arm in roles.items()}
    parts = np.arange(1, values.shape[1] + 1, dtype=float)
    return Picture(parts, lines, labels, "part of the training", title)


# on digits, the data that every arm can be trained on
QUICK = {"experiment": "all", "dataset": "digits", "steps": 10, "pretraining": 10, "width": 8, "labels": 5}
QUICK |= {"batch_size": 15, "scenes": 33, "test_scenes": 50, "paste_steps": 2, "contrast_steps": 10}

idea = Idea(
    config=FeatureMixingConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=FeatureMixingConfig(**QUICK),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURE_TABLE,
    studies=(study.live(), study.photographs()),
    prior_work=claims.PRIOR_WORK,
    provenance=claims.PROVENANCE,
    estimand=lambda config: OWN_DATA if config.experiment == "paste" else OWN_LABELS,
    bars=(
        Bars("photographs' features, 10 labels per class", ("both", "smoothing", "plain")),
        Bars("photographs' features, 50 labels per class", ("both", "smoothing", "plain"), "photographs"),
    ),
    limits=(
        "100 or 500 labelled images, 64 features of photographs or 8×8 digits; one small dense network.",
        "Mixed and pasted scenes are generated ones, contrastive views are of digits.",
        "No network that reads the photographs' pixels; λ and ε were chosen with 10 labels per class.",
    ),
    part_sizes=lambda config: None if config.experiment == "paste" else names.split_sizes(config.dataset),
    tiles=lambda: import_module(f"{__name__}.inference").tiles(),  # torch comes with these two
    checkpoints=lambda: import_module(f"{__name__}.inference").CHECKPOINTS,
)
