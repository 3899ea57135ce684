"""Idea: 15
Section: Explain
Title: Saliency from gradients
Question: Which saliency maps can be trusted to show what a classifier uses?
Try: Choose an image and compare its maps. Then randomise layers, or remove the most
  salient pixels.
Answer: SmoothGrad² and occlusion find a small tag; on objects only occlusion, in
  scenes, beats a network that ignores the classifier.
Terms: The *cause* is what the classifier uses, known because we built the images: an
  object, or a *tag*, a small square in the corner. Scored is the share of a map that
  lies on it; one *point* is 1 %. The *image-only network* has learned to outline
  objects and never sees the classifier: a map that does not beat it gives no evidence
  of showing more than where objects are.
But: Randomising the classifier's last layer should ruin a map. SmoothGrad² keeps 45 of
  its 50 % on the object, Grad-CAM 14 of 35.
Subject: A lead over an image-only network
Holds when: the cause is a tag: 47 % of SmoothGrad²'s map lies on it, of the image-only
  network's 0.5 % (but of Grad-CAM's only 3 %); or an object in scenes and the map is
  occlusion: +11 points.
Fails when: the cause is an object and the map is SmoothGrad²: +2 points in scenes and 0
  on photographs, both undecided. On photographs occlusion is 22 points behind; only if
  a border of 5 % around the object counts too does SmoothGrad² lead there, by 12.
Verdict: depends on what the classifier uses
Effect: On object: SmoothGrad² − image-only network
Data: generated scenes
Unit: classifiers
Unit on photographs: objects

A saliency map marks the pixels that a prediction depends on. A dozen methods make
convincing maps, and they disagree. Twelve of them explain the same image on one scale,
beside maps that ignore the model: random numbers, edges, a centre blob. In generated
scenes the true cause is known, so each map is measured in three ways.

**Model-dependent.** Does the map change when the weights are randomised? **Faithful.**
Does the probability fall when the most salient pixels are removed first (deletion), and
rise when they are shown first (insertion)? **On the true cause.** How much of the map
lies on the object, and how much on the corner tag that a classifier may use instead?

**What to watch.** Train with a tag that nearly always agrees with the class: accuracy
with randomised tags falls. Compare which maps move to the tag.

**On photographs.** Cut-out objects are pasted on photographs, so that the cause is known
there too: only places count where the ImageNet network predicts a class with the object
and not on the background alone. The same network untrained, or with a random last layer,
has to fail, and does.

**What it does not show.** In other photographs the true cause is unknown, and only the
first two tests apply. Removing pixels makes images unlike the training images. A map that
depends on the weights can still be wrong.

**Controls.** Maps explain the logit of the predicted class. On scenes objects
are placed uniformly, so the centre is a poor guess; on photographs whole objects must fit,
and the blob has 21 % of its map on them, random numbers 12 %. All ReLUs are modules;
otherwise Guided Backprop is the plain gradient. Noise has σ = 0.1 of the pixel range (σ:
standard deviation). Ties are broken at random, identically for all maps. Every explained
scene has an uninformative tag.

**A learned map.** A small network turns the gradients of all layers into one map. It is
trained on classifiers that use the object and tested on those that read the tag. Given
only the image, it is the image-only network, which every claim is measured against.

Source: Sundararajan, Taly, Yan, Axiomatic Attribution for Deep Networks, 2017,
https://arxiv.org/abs/1703.01365
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import model_validator

from mlcv_explore.config import Config, SettingError, Value, setting
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Arm, Bars, Cell, Film, Idea, Measure, Picture, Study, Tile
from mlcv_explore.ideas.saliency import provenance
from mlcv_explore.statistics import Claim
from mlcv_explore.statistics.estimands import OWN_DATA

ARM_TABLE = (  # its maps are the arm axis M of a frame, in this order
    Arm("random", "Random map", "control", "Random numbers; ignores image and model."),
    Arm("centre", "Centre blob", "control", "A Gaussian blob in the middle of every image."),
    Arm("edges", "Sobel edges", "control", "Edge strength of the image; ignores the model."),
    Arm("gradient", "Gradient", "idea", "Gradient of the class logit with respect to the pixels."),
    Arm("input_x_gradient", "Input × gradient", "idea", "Gradient multiplied by the pixel values."),
    Arm("gradcam", "Grad-CAM", "idea", "Positive gradient-weighted activations of the last layer."),
    Arm("guided_backprop", "Guided Backprop", "idea", "Gradient without negative signals at every ReLU."),
    Arm("deeplift", "DeepLift", "idea", "Differences from a baseline image, propagated back layer by layer."),
    Arm("smoothgrad", "SmoothGrad", "idea", "Mean gradient over noisy copies of the image."),
    Arm("smoothgrad_squared", "SmoothGrad²", "idea", "Mean squared gradient over noisy copies of the image."),
    Arm("vargrad", "VarGrad", "idea", "Variance of the gradient over noisy copies of the image."),
    Arm("gradient_shap", "GradientShap", "idea", "Mean gradient between random baselines and the image."),
    Arm("integrated_gradients", "Integrated gradients", "idea", "Gradients summed from baseline to image."),
    Arm("rise", "RISE", "idea", "Mean of random masks weighted by the class score."),
    Arm("occlusion", "Occlusion", "idea", "Drop of the class score when a square is covered."),
    Arm("truth", "True mask", "oracle", "The object's own mask."),
    Arm("generated", "Generated map", "variant", "A network's map from the gradients of all layers."),
    Arm("single", "Best single input", "variant", "The input of that network that matches masks best."),
    Arm("blind", "Image-only network", "control", "A network trained on masks, given only the image."),
    Arm("edges_squared", "Squared edges", "control", "Sobel edges, squared; on photographs."),
    Arm("classifier", "Classifier", "baseline", "The classifier that is explained; it has no map."),
)
ARMS = tuple(arm.name for arm in ARM_TABLE[:-1])
GENERATED = ("generated", "single", "blind")
CONTROLS = ("random", "centre", "edges")
ATTRIBUTIONS = tuple(arm.name for arm in ARM_TABLE if arm.role == "idea")  # the twelve methods
MEASURE_TABLE = (  # the first seven are the measure axis K of a frame, in this order
    Measure("mass", "Localisation: share of the map on the object", "%"),
    Measure("tag", "Share of the map on the corner tag", "%", better=""),
    Measure("pointing", "Pointing game: maximum on the object", "%"),
    Measure("deletion", "Deletion: area under the probability curve", better="lower"),
    Measure("insertion", "Insertion: area under the probability curve"),
    Measure("moved", "Model dependence: 1 − |rank correlation| with the map of a randomised network"),
    Measure("dilated", "Share of the map on the object and what is near it", "%"),
    Measure("accuracy", "Accuracy", "%"),
    Measure("swapped", "Accuracy with randomised tags", "%"),
    Measure("follows", "Predictions that follow a misleading tag", "%", "lower"),
)
MEASURES = tuple(measure.name for measure in MEASURE_TABLE[:7])
SHARES = tuple(measure.name for measure in MEASURE_TABLE[7:])  # of the classifier
SCENES, COMPOSITES = "scenes", "composites"
UNINFORMATIVE = 0.25  # agreement of a tag that tells nothing of the class; composites have no tag


class SaliencyConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    rho: float = setting(
        0.95, "Tag agrees with the class", low=0.25, high=1, step=0.05, help="At 0.25 it is uninformative."
    )
    renamed: ClassVar[Mapping[str, str]] = {"pictures": "explained_scenes"}
    explained_scenes: int = setting(
        20, "Scenes explained", low=1, high=150, step=1, help="With every method."
    )
    generation: bool = setting(
        False, "Learn to make maps", help="Also train the network that generates maps; twice the time."
    )
    scenes: int = setting(1500, "Training scenes", low=50, high=20_000, step=50, more=True)
    epochs: int = setting(5, "Epochs", low=1, high=40, more=True)
    width: int = setting(
        8, "Width", low=4, high=32, step=4, more=True, help="Channels of the first convolution."
    )
    label: str = setting("silhouette", "The class is", choices=("silhouette", "texture"), more=True)
    side: int = setting(32, "Side", choices=(32, 64), unit="pixels", more=True)
    dataset: str = setting(
        SCENES,
        "Data",
        choices=(SCENES, COMPOSITES),
        more=True,
        help="Composites: objects pasted on photographs, from MLCV_DATA. A seed is an object, and the scenes"
        " explained are its places; of the other settings only the network counts. In own folders the cause"
        " of a prediction is not known.",
    )
    network: str = setting(
        "trained",
        "Network",
        choices=("trained", "randomised", "untrained"),
        more=True,
        help="On composites: of ImageNet; that with a random last layer; or with random weights throughout.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_tags(cls, values: dict[str, Value]) -> dict[str, Value]:
        return values | {"rho": UNINFORMATIVE} if values.get("dataset") == COMPOSITES else values

    @model_validator(mode="after")
    def _fits(self) -> "SaliencyConfig":
        if self.dataset == COMPOSITES and self.generation:
            raise SettingError(
                "generation must be false on composites, since maps are generated from scenes; got true."
            )
        if self.dataset == SCENES and self.network != "trained":
            raise SettingError(
                "network must be trained on scenes, where a run trains it; others are for composites;"
                f" got {self.network!r}."
            )
        return self


@dataclass(frozen=True)
class Frame:
    """One epoch, or one more scene explained: S seeds, M arms in the order of ARMS, K
    measures in that of MEASURES; float32.
    """

    step: int
    steps: int
    # (S,) on new scenes like the training scenes; of composites, the share whose class the object decides
    accuracy: np.ndarray
    swapped: np.ndarray  # (S,) on new scenes with uninformative tags; this and the next NaN on composites
    follows: np.ndarray  # (S,) of scenes whose tag names another class: predictions of the tag's class
    # (S, M, K) means over the scenes explained so far; 0 before, and for arms that are not run
    measured: np.ndarray
    # (S, M, h, w) int8: in the frame of the first scene explained its maps, each one's largest
    # absolute value at 127; else 0
    shown: np.ndarray


def arms(config: SaliencyConfig) -> tuple[str, ...]:
    """The arms of a run; a network that must fail is explained without RISE, which is dear."""
    if config.dataset == SCENES:
        absent = ("edges_squared",) if config.generation else (*GENERATED, "edges_squared")
    else:
        absent = ("generated", "single") if config.network == "trained" else ("generated", "single", "rise")
    return tuple(arm for arm in ARMS if arm not in absent)


def measures_of(config: SaliencyConfig) -> tuple[str, ...]:
    """What is measured of every map of a run."""
    if config.dataset == SCENES:
        return MEASURES[:6]
    more = {"trained": ("deletion", "insertion"), "randomised": (), "untrained": ("moved",)}
    return ("mass", "pointing", *more[config.network], "dilated")


def run(config: SaliencyConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train one classifier a seed, then explain scene after scene; on composites,
    explain the ImageNet network at place after place, one object a seed.
    """
    from mlcv_explore.ideas.saliency import photographs, training  # torch comes with them

    if config.dataset == COMPOSITES:
        yield from photographs.run(config, seeds)
    else:
        yield from training.run(config, seeds)


def metrics(config: SaliencyConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed: every measure of every arm; of the classifier its accuracy, and on scenes
    that with randomised tags and how often it follows a misleading tag.
    """
    last, shares = film[-1], SHARES if config.dataset == SCENES else SHARES[:1]
    return {f"classifier_{name}": getattr(last, name).astype(float) for name in shares} | {
        f"{arm}_{measure}": last.measured[:, ARMS.index(arm), MEASURES.index(measure)].astype(float)
        for arm in arms(config)
        for measure in measures_of(config)
    }


def picture(film: Film) -> Picture:
    """How much the classifier relies on the tag while it trains; on composites, how much
    of a map is on the object.
    """
    if np.isnan(film[-1].swapped).any():
        mass = series(film, "measured")[..., MEASURES.index("mass")].astype(float)  # (S, T, M)
        arms_of = {"idea": "integrated_gradients", "baseline": "centre", "control": "edges"}
        labels = {
            role: next(arm.label for arm in ARM_TABLE if arm.name == name) for role, name in arms_of.items()
        }
        lines = {role: mass[:, :, ARMS.index(name)] for role, name in arms_of.items()}
        return Picture(
            series(film, "step").astype(float), lines, labels, "place", "share of the map on the object"
        )
    labels = {"oracle": "tags as trained", "idea": "randomised tags", "control": "follows a misleading tag"}
    lines = {role: series(film, name) for role, name in zip(labels, SHARES, strict=True)}
    x = series(film, "step").astype(float)
    return Picture(x, lines, labels, "epoch, then scene explained", "share of new scenes")


def _claim(arm: str, verb: str = "puts") -> Claim:
    """More of the map on the object than two maps that ignore the model; contradicted when
    either difference lies below the margin.
    """
    label = next(row.label for row in ARM_TABLE if row.name == arm)
    sentence = (
        f"{label} {verb} over 5 points more of the map on the object than edges and an image-only network."
    )
    contrasts = ((arm, "blind"), (arm, "edges"))
    return Claim(arm, sentence, "mass", "points", "greater", 0.05, contrasts, (("rho", UNINFORMATIVE),))


CLAIMS = (
    _claim("smoothgrad_squared"),
    _claim("integrated_gradients", "put"),
    *map(_claim, ("smoothgrad", "gradcam", "guided_backprop", "occlusion", "gradient_shap")),
)
RHOS = (UNINFORMATIVE, 1.0)


STUDIED = SaliencyConfig(explained_scenes=100, generation=True, scenes=4000, epochs=8)
EVERY = {arm: arm for arm in (*arms(STUDIED), "classifier")}
CELLS = (  # the claims on classifiers that use the object; every measure also where the tag agrees
    *(Cell(claim.name, STUDIED.replace(rho=0.25), {arm: arm for arm in claim.arms}) for claim in CLAIMS),
    *(Cell("tags", STUDIED.replace(rho=rho), EVERY) for rho in RHOS),
)
SEEDS = tuple(range(700, 720))  # claims were fixed after a look at 0 to 4
OBJECTS = (  # cut-outs that were in no look at the maps, by their place in `cause.objects()`
    *(29, 33, 40, 43, 47, 55, 57, 62, 63, 72, 87, 108),
    *(119, 145, 190, 192, 203, 210, 219, 241, 247, 248, 259, 265),
)
PLACES = 3
ON_PHOTOGRAPHS = SaliencyConfig(dataset=COMPOSITES, explained_scenes=PLACES)
NETWORKS = {  # figure → the run of its rows: every measure, also of the networks that must fail
    "photographs": ON_PHOTOGRAPHS,
    "randomised": ON_PHOTOGRAPHS.replace(network="randomised"),
    "untrained": ON_PHOTOGRAPHS.replace(network="untrained", explained_scenes=1),
}
PHOTOGRAPH_CELLS = (  # squared edges are measured, and are no arm of a study: scenes have none
    *(Cell(claim.name, ON_PHOTOGRAPHS, {arm: arm for arm in claim.arms}) for claim in CLAIMS),
    *(Cell(name, of, {arm: arm for arm in arms(of) if arm in EVERY}) for name, of in NETWORKS.items()),
)


def _estimand(config: SaliencyConfig) -> str:
    if config.dataset != COMPOSITES:
        return OWN_DATA
    places = f"{config.explained_scenes} place{'s' * (config.explained_scenes != 1)}"
    return (
        f"over objects, each at {places} where the network predicts one class with the object and another"
        " without, for one network and the objects and backgrounds of one collection"
    )


def _tiles() -> tuple[Tile, ...]:
    """A photograph and three attribution maps of its predicted class."""
    from mlcv_explore.ideas.saliency import training  # torch comes with it

    return training.tiles("cat", "cifar10/0", ("gradcam", "guided_backprop", "integrated_gradients"))


BARS = ("smoothgrad_squared", "blind", "occlusion", "edges")

idea = Idea(
    config=SaliencyConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=SaliencyConfig(rho=0.75, scenes=50, epochs=1, width=4, generation=True, explained_scenes=1),
    picture=picture,
    arms=ARM_TABLE,
    measures=MEASURE_TABLE,
    provenance=provenance.PROVENANCE,
    bars=(
        Bars("scenes, the object is the cause", BARS),
        Bars("photographs, the object is the cause", BARS, "photographs"),
        Bars("scenes, a tag is the cause", BARS, measure="tag", rows="tags", settings={"rho": 1.0}),
    ),
    limits=provenance.LIMITS,
    studies=(Study("live", CELLS, SEEDS), Study("photographs", PHOTOGRAPH_CELLS, OBJECTS)),
    prior_work=provenance.PRIOR_WORK,
    estimand=_estimand,
    tiles=_tiles,
)
