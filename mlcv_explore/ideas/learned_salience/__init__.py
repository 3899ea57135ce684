"""Idea: 16
Section: Explain
Title: Learned saliency
Question: Can a network learn to show what a frozen classifier uses?
Try: One forward pass gives class and mask. Change area weight and fill: does the class
  stay with the kept part?
Answer: On 112-pixel photographs learned masks find objects better than gradient maps
  and occlusion; in generated scenes this is not shown.
Terms: Scored is the share of a map that lies on the object, which is what the
  classifier uses; one *point* is 1 %. The *image-only network* learned to outline other
  objects and never sees the classifier. *Swapped backgrounds*: the background suggests
  another class than the object. *Segment first*: half of the updates train the encoder
  to outline objects, the other half to classify; *joint*: both at every update.
  Classifiers and sizes differ from *Saliency from gradients*, and so do numbers.
But: At 224 pixels, the usual size of this classifier, the lead over SmoothGrad² is half
  as large. Their most important pixels change the class's probability no more than
  occlusion's do (score 0.03 lower, undecided). The idea's other half, to segment before
  classifying, shows no gain for equal training.
Subject: The lead of learned masks
Holds when: objects are pasted on photographs: 38 points over occlusion, 21 over
  SmoothGrad², 14 over the image-only network (medians).
Fails when: scenes are generated: −8 points against occlusion, −1 against the image-only
  network; where the cause is a corner tag, −16 against occlusion. Mask networks trained
  longer, one each, have 55 % on the object (occlusion 52) and 37 % on the tag (37).
Verdict: ahead on photographs, not on scenes
Effect: On the object: learned mask − occlusion
Data: generated scenes
Unit on photographs: objects

A *mask network* predicts a saliency map: a U-Net whose encoder is the frozen
classifier, running statistics included, with one gate in [0, 1] per skip connection. No
mask is given as a label. The part inside the mask must keep the predicted class, the
complement must lose it, and the mask must be small and smooth. The gates are a map as
well.

**Against other maps.** The same classifier is explained by the twelve methods of
*Saliency from gradients*, all evaluated alike: how much of the map, and whether its
maximum, lies on the true cause; insertion and deletion. An image-only network, trained
on true masks, and edges know nothing of the classifier: a map that does not lead them
has shown nothing of it.

**Order of two tasks.** One encoder is shared by a classifier and a segmenter, one after
the other or jointly. The background's brightness names the class half of the time, a
shortcut that does not help to segment. On scenes, with swapped backgrounds, segmenting
first is −1.3 points [−1.7, 0.5] from classifying alone for as many updates of the encoder,
+7.0 [2.8, 9.8] for as many classification updates; training jointly +1.0 [0.5, 1.8].
On composites all three are undecided; there the joint one has most, +3.6 [−1.7, 9.0].

**The leak.** A selector can write the label into its mask's shape. Where the class is the
texture it is decoded from the map alone, 30 points above chance: 31 [27, 37] more than from
the image-only network's map, 2 [−2, 7] more than from edges, which show the texture.

**On photographs.** A mask network of the ImageNet network, without gates, learned from
photographs without masks and is evaluated on cut-outs pasted on photographs, objects
that it has not seen.

**What it does not show.** That learned masks are right on other photographs, where the
cause is unknown. A small mask that keeps the class may exploit the classifier. Hence a
fill unseen in training.

Source: Fong, Vedaldi, Interpretable Explanations of Black Boxes by Meaningful
Perturbation, 2017, https://arxiv.org/abs/1704.03296
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from typing import ClassVar

import numpy as np
from pydantic import model_validator

from mlcv_explore.config import Config, Value, setting
from mlcv_explore.data.scenes import INDEPENDENT
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Bars, Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.learned_salience import claims
from mlcv_explore.statistics import Split
from mlcv_explore.statistics.estimands import OWN_DATA

EXPERIMENTS = ("salience", "order")
STAGES = {"salience": 3, "order": 1}  # train a classifier, a mask network, evaluate maps; train all
FRAMES = 10  # of every stage at most
METHODS = (  # the maps of another idea, saliency from gradients
    *("gradient", "input_x_gradient", "gradcam", "guided_backprop", "deeplift", "smoothgrad"),
    *("smoothgrad_squared", "vargrad", "gradient_shap", "integrated_gradients", "rise", "occlusion"),
)
CONTROLS = ("blind", "edges", "edges_squared", "centre", "random")
MAPS = ("learned", "gates", *METHODS, *CONTROLS, "truth")
DECODED = ("learned", "gradcam", "blind", "edges", "truth")  # the maps of the leak test
ORDER = ("classify_half", "classify_only", "segment_first", "parallel")
ARMS = ("classifier", *MAPS, *ORDER)  # the order of the arm axis A
# the order of the curve axis C. Of the mask network: share of images whose class stays with the kept
# part, with the complement; area. Extent of others: IoU of masks
CURVES = ("accuracy", "swapped", "extent")
MAP_MEASURES = ("insertion", "deletion", "faithful", "noisy", "mass", "tag", "pointing", "area")
MEASURES = ("accuracy", "swapped", "iou", *MAP_MEASURES, "leak")  # the order of the measure axis K
SCENES, COMPOSITES, PETS = "scenes", "composites", "oxford_pets"
SHARES = {"low": INDEPENDENT, "high": 1, "step": 0.05}  # of images whose tag or background names the class


class LearnedSalienceConfig(Config):
    """Settings of a run; the defaults are the recorded run."""

    renamed: ClassVar[Mapping[str, str]] = {"tested": "test_scenes", "pictures": "explained_scenes"}
    experiment: str = setting(
        "salience",
        "Experiment",
        choices=(*EXPERIMENTS, "all"),
        help="Saliency of a frozen classifier, the order of two tasks, or both.",
    )
    label: str = setting(
        "silhouette",
        "The class is",
        choices=("silhouette", "texture"),
        help="Of the explained classifier. texture: with the leak test.",
    )
    rho: float = setting(
        INDEPENDENT,
        "Tag agrees with the class",
        **SHARES,
        help="Share of training scenes whose corner tag names the class. At 0.25 it is uninformative.",
    )
    area: float = setting(
        4.0, "Area weight", low=0, high=50, step=0.5, help="Of the mask's mean; at 0 it covers everything."
    )
    background: float = setting(
        0.5, "Background agrees with the class", **SHARES, help="By brightness, in the experiment on order."
    )
    updates: int = setting(
        600,
        "Updates",
        low=2,
        high=20_000,
        step=10,
        help="Of the encoder, whatever the order; half as many of the mask network.",
    )
    scenes: int = setting(1500, "Training scenes", low=50, high=20_000, step=50, more=True)
    test_scenes: int = setting(
        600, "Test scenes", low=8, high=20_000, more=True, help="Also the maps of the leak test."
    )
    explained_scenes: int = setting(
        12, "Scenes explained", low=1, high=500, step=1, more=True, help="With every map."
    )
    width: int = setting(8, "Width", low=4, high=32, step=4, more=True, help="Of the first convolution.")
    dataset: str = setting(
        SCENES,
        "Data",
        choices=(SCENES, COMPOSITES, PETS),
        more=True,
        help="Composites: cut-outs pasted on photographs, from MLCV_DATA. Pets have no known cause and one"
        " background each. Own folders have no masks, which both experiments need.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_shortcut(cls, values: dict[str, Value]) -> dict[str, Value]:
        """Photographs have neither tags nor backgrounds to swap."""
        absent = {PETS: {"rho": INDEPENDENT, "background": INDEPENDENT}, COMPOSITES: {"rho": INDEPENDENT}}
        return values | absent.get(values.get("dataset"), {})


@dataclass(frozen=True)
class Frame:
    """One part of a stage: S seeds, A arms in the order of ARMS; float32 unless noted, 0
    where undefined or not yet measured.
    """

    step: int
    steps: int
    curves: np.ndarray  # (S, A, C) on validation images in training, shares in the order of CURVES
    measured: np.ndarray  # (S, A, K) on test images, in the order of MEASURES
    # (S, A, h, w) int8, last frame, first seed: maps or predicted masks of one scene, the largest
    # value at 127
    shown: np.ndarray
    scene: np.ndarray  # (S, 3, h, w) uint8: that scene


def experiments(config: LearnedSalienceConfig) -> tuple[str, ...]:
    """The experiments of a run, in their order."""
    return EXPERIMENTS if config.experiment == "all" else (config.experiment,)


def frames_per_stage(config: LearnedSalienceConfig) -> int:
    """Frames of every stage."""
    return min(FRAMES, config.updates, config.explained_scenes)


def arms(config: LearnedSalienceConfig) -> tuple[str, ...]:
    """The arms of a run, controls and bounds too."""
    maps = tuple(arm for arm in MAPS if arm != "gates" or config.dataset != COMPOSITES)
    of = {"salience": ("classifier", *maps), "order": ORDER}
    return tuple(chain(*(of[experiment] for experiment in experiments(config))))


def measures_of(config: LearnedSalienceConfig, arm: str) -> tuple[str, ...]:
    """The measures of an arm: pets have no known cause and no swapped backgrounds."""
    known, scenes = config.dataset != PETS, config.dataset == SCENES
    if arm in MAPS:
        cause, more = ("mass", "pointing") if known else (), ("tag",) if scenes else ()
        if config.dataset == COMPOSITES:
            return ("insertion", "deletion", "faithful", *cause)
        more += ("leak",) if scenes and config.label == "texture" and arm in DECODED else ()
        return ("insertion", "deletion", "faithful", "noisy", "area", *cause, *more)
    swapped = known and not (arm == "classifier" and config.dataset == COMPOSITES)
    accuracies = ("accuracy", "swapped") if swapped else ("accuracy",)
    return accuracies if arm.startswith("classif") else (*accuracies, "iou")


def run(config: LearnedSalienceConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train all arms of every seed side by side, then evaluate them. Raises DataError
    where pets or cut-outs are chosen and not here.
    """
    from mlcv_explore.ideas.learned_salience import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: LearnedSalienceConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed: every measure of every arm of the run."""
    last = film[-1].measured
    return {
        f"{arm}_{measure}": last[:, ARMS.index(arm), MEASURES.index(measure)].astype(float)
        for arm in arms(config)
        for measure in measures_of(config, arm)
    }


def picture(film: Film) -> Picture:
    """How often the mask keeps the class, and its area; or each order's accuracy."""
    curves, x = series(film, "curves"), series(film, "step").astype(float)  # (S, T, A, C)
    learned = curves[:, :, ARMS.index("learned")]
    if learned.any():
        begun = learned.any(axis=(0, 2))
        labels = {"idea": "class kept by the mask", "variant": "kept by the complement", "control": "area"}
        lines = {role: learned[:, begun, index] for index, role in enumerate(labels)}
        return Picture(x[begun] - x[begun][0] + 1, lines, labels, "tenth of the updates", "share")
    chosen = {idea.arm(arm).role: arm for arm in ORDER[1:]}
    lines = {role: curves[:, :, ARMS.index(arm), CURVES.index("swapped")] for role, arm in chosen.items()}
    labels = {role: idea.label(arm) for role, arm in chosen.items()}
    return Picture(x, lines, labels, "tenth of the updates", "accuracy, swapped backgrounds")


def _study(
    name: str, cells: Mapping[str, LearnedSalienceConfig], of: Mapping[str, str], seeds: tuple[int, ...]
) -> Study:
    """Every claim in the cell that `of` names for its measure, and all arms of every
    cell; with cells on the order of two tasks, at two lengths of training.
    """
    order = next(iter(cells.values())).replace(experiment="order")
    cells = {**cells, "orders": order.replace(updates=1200), "orders_600": order.replace(updates=600)}
    decided = [claim for claim in claims.CLAIMS if claim.measure in of]
    parts = [(claim.name, cells[of[claim.measure]], claim.arms) for claim in decided]
    parts += [(cell, config, arms(config)) for cell, config in cells.items()]
    return Study(name, tuple(Cell(*about, {arm: arm for arm in kept}) for *about, kept in parts), seeds)


def _estimand(config: LearnedSalienceConfig) -> str:
    """What its differences are taken over; "" what the split implies."""
    if config.dataset == COMPOSITES and config.experiment != "order":
        return "over objects, each at two places where it is the cause, of one network"
    return OWN_DATA if config.dataset == SCENES else ""


def _split_sizes(config: LearnedSalienceConfig) -> Split | None:
    """Of pets their images; of composites in the order of tasks shares of objects."""
    if config.dataset == COMPOSITES:
        return Split(7, 3) if config.experiment == "order" else None
    return Split(config.scenes, config.test_scenes) if config.dataset == PETS else None


SEEDS = tuple(range(700, 720))  # 0 to 5 had been looked at, with other claims
OBJECTS = (  # of `saliency.cause.objects()`, on which neither mask network nor baseline is trained
    *(32, 54, 59, 75, 97, 101, 130, 136, 142, 150, 151, 153),
    *(157, 168, 170, 183, 197, 208, 209, 212, 221, 227, 244, 264),
)
BASE = LearnedSalienceConfig()
TAGGED = BASE.replace(rho=1.0, updates=300)  # the tag is learned in half the updates
ON_SCENES = {"silhouettes": BASE, "tagged": TAGGED, "texture": BASE.replace(label="texture")}
# measure of a claim → the cell that decides it
OF_SCENES = dict(mass="silhouettes", faithful="silhouettes", tag="tagged", leak="texture", swapped="orders")
OF_PHOTOGRAPHS = dict(mass="maps", faithful="maps", swapped="orders")
SMALL = dict(scenes=50, updates=2, test_scenes=8, explained_scenes=1, width=4)
BARS = ("learned", "occlusion", "smoothgrad_squared", "blind", "edges")

idea = Idea(
    config=LearnedSalienceConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=LearnedSalienceConfig(experiment="all", label="texture", **SMALL),
    picture=picture,
    arms=claims.ARMS,
    measures=claims.MEASURES,
    provenance=claims.PROVENANCE,
    bars=(
        Bars("photographs of 112 pixels", BARS, "photographs"),
        Bars("generated scenes", BARS),
        Bars(
            "generated scenes, two tasks", ("segment_first", "classify_only", "parallel"), measure="swapped"
        ),
    ),
    limits=claims.LIMITS,
    studies=(
        _study("live", ON_SCENES, OF_SCENES, SEEDS),
        _study("photographs", {"maps": BASE.replace(dataset=COMPOSITES)}, OF_PHOTOGRAPHS, OBJECTS),
    ),
    prior_work=claims.PRIOR_WORK,
    split_sizes=_split_sizes,
    estimand=_estimand,
    collapsed=claims.collapsed,
    tiles=lambda: import_module(f"{__name__}.pretrain").tiles(),  # torch comes with these two
    checkpoints=lambda: import_module(f"{__name__}.pretrain").CHECKPOINTS,
)
