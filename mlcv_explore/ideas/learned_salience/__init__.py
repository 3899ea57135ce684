"""Idea: 16
Section: Explain
Title: Learned salience
Question: Can salience be learned: as a task beside classifying, and from a frozen classifier without any mask as an answer?

Saliency maps are usually computed from gradients. Here salience is a task that a
network learns, three times over.

**Salience from a frozen classifier.** A U-Net whose encoder is the classifier itself
learns to say which pixels the classifier needs. No mask is ever shown to it: what its
mask keeps must keep the answer, what it leaves out must lose it, and it should be
small. The way back reads the classifier's features as they are, not at all, together
with the picture, or through one gate a concatenation, and the gates can be read as
salience as well. After that, a picture's answer and its salience come out of one
forward pass.

**The order of two tasks.** One encoder is shared by a classifier and a segmenter. Does
it matter whether it learns to classify first, to segment first, or both at once? The
background's brightness mostly names the class, a shortcut that a segmenter has no use
for; then backgrounds are swapped.

**Boxes too, for fun.** A head that finds the object's box on the same encoder, in each
order, against the boxes round the largest piece of the learned and of the gradient
salience.

**What to watch.** Train the masker on a classifier that reads the corner tag (agreement
1): it should leave the object and go to the tag. On textures look at the leak: how well
the class can be told from the mask's shape alone.

**What it does not show.** That learned masks are right on photographs: there nobody
knows the cause. A mask that is small and keeps the answer may have found pixels that
fool the classifier rather than inform it; that is why it is judged under fills it never
met while it learned, and by a second classifier.

**Traps avoided.** The classifier is frozen, running statistics too. The leak is asked
only where the class is the texture: a silhouette is its own label. Equal encoder
updates in every arm, and separately equal updates a task. Curves are read on validation
scenes; test scenes are asked once. A classifier that reads the tag is not blamed for a
mask beside the object.

Source: Dabkowski, Gal, Real Time Image Saliency for Black Box Classifiers, 2017,
https://arxiv.org/abs/1705.07857

Source: Fong, Vedaldi, Interpretable Explanations of Black Boxes by Meaningful
Perturbation, 2017, https://arxiv.org/abs/1704.03296

Source: Oktay et al., Attention U-Net: Learning Where to Look for the Pancreas, 2018,
https://arxiv.org/abs/1804.03999

Source: Ronneberger, Fischer, Brox, U-Net: Convolutional Networks for Biomedical Image
Segmentation, 2015, https://arxiv.org/abs/1505.04597
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.config import Config, setting
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Cell, Film, Idea, Picture, Prior, Study
from mlcv_explore.statistics import Claim

EXPERIMENTS = ("salience", "order", "boxes")
# of maskers: what the way back reads of the classifier's finer features
FORMS = ("none", "plain", "image", "gated")
# form, objective
MASKERS = {
    **{form: (form, "both") for form in FORMS},
    "preserving": ("gated", "preserve"),
    "destroying": ("gated", "destroy"),
}
MAPS = (*MASKERS, "gates", "gradcam", "optimised", "centre", "random", "truth")
CLASSIFIERS = ("classifier", "second")
ORDER = (
    "classify_only",
    "segment_only",
    "classify_first",
    "segment_first",
    "parallel",
    "classify_first_frozen",
    "segment_first_frozen",
)
DETECT = (
    "detect_only",
    "classify_then_detect",
    "detect_then_classify",
    "classify_and_detect",
    "classify_then_detect_frozen",
    "detect_then_classify_frozen",
)
# of a map's largest piece; the centre is the mean box of the training scenes
BOXES = ("learned_box", "gradcam_box", "centre_box", "truth_box")
ARMS = (*CLASSIFIERS, *MAPS, *ORDER, *DETECT, *BOXES)  # the order of the arm axis A
# the order of the curve axis C; extent: IoU of masks or boxes, or a mask's area
CURVES = ("accuracy", "swapped", "extent")
JUDGED = ("insertion", "deletion", "faithful", "noisy", "mass", "tag", "pointing", "transfer", "area")
# the order of the measure axis K
MEASURES = ("accuracy", "swapped", "iou", "forgotten", "overlap", "found", *JUDGED, "leak")
INDEPENDENT = 0.25  # a background or a tag that agrees with one of four classes this often tells nothing
TICKS = 10  # frames of every stage
# classifiers learn, maskers learn, masks are judged; all learn; all learn, and a masker after that
STAGES = {"salience": 3, "order": 1, "boxes": 2}
ROLES = {
    **dict.fromkeys(
        (
            "none",
            "plain",
            "image",
            "preserving",
            "destroying",
            "classify_first",
            "parallel",
            "classify_then_detect",
            "classify_and_detect",
        ),
        "variant",
    ),
    **dict.fromkeys(("gated", "gates", "learned_box", "segment_first", "detect_then_classify"), "idea"),
    **dict.fromkeys((arm for arm in ARMS if arm.endswith("_frozen")), "variant"),
    **dict.fromkeys(("gradcam", "optimised", "gradcam_box"), "other"),
    **dict.fromkeys(("random", "centre", "centre_box"), "control"),
    **dict.fromkeys((*CLASSIFIERS, "classify_only", "segment_only", "detect_only"), "baseline"),
    **dict.fromkeys(("truth", "truth_box"), "oracle"),
}


class LearnedSalienceConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    experiment: str = setting(
        "salience",
        "Experiment",
        choices=(*EXPERIMENTS, "all"),
        help="Salience from a frozen classifier, the order of two tasks, a box head, or all.",
    )
    arms: str = setting(
        "two",
        "Arms",
        choices=("two", "all"),
        help="Two forms and the controls, or all of them: two to three times as long.",
    )
    label: str = setting(
        "silhouette",
        "The class is",
        choices=("silhouette", "texture"),
        help="The leak is asked where it is the texture.",
    )
    rho: float = setting(
        INDEPENDENT,
        "Tag agrees with the class",
        low=INDEPENDENT,
        high=1,
        step=0.05,
        help="How often the corner tag names the class. At 0.25 it tells nothing.",
    )
    area: float = setting(
        4.0,
        "Area weight",
        low=0,
        high=50,
        step=0.5,
        help="Of the mask's mean; at 0 the mask may cover everything, and does.",
    )
    background: float = setting(
        0.7,
        "Background agrees with the class",
        low=INDEPENDENT,
        high=1,
        step=0.05,
        help="In the experiments on order and boxes: its brightness names the class.",
    )
    budget: str = setting(
        "encoder",
        "Equal for all arms",
        choices=("encoder", "task"),
        help="Updates of the shared encoder, or updates of every task.",
    )
    smoothness: float = setting(
        0.5,
        "Smoothness weight",
        low=0,
        high=20,
        more=True,
        help="Of the mean squared step between neighbouring pixels.",
    )
    scenes: int = setting(1500, "Training scenes", low=50, high=20_000, step=50, more=True)
    updates: int = setting(
        600,
        "Updates",
        low=TICKS,
        high=20_000,
        step=10,
        more=True,
        help="Of the encoder, or of every task; half as many of a masker.",
    )
    batch_size: int = setting(16, "Batch size", low=4, high=512, step=4, more=True)
    weight: float = setting(
        1.0,
        "Weight of the second task",
        low=0,
        high=20,
        more=True,
        help="Where both are learned at once: of mask or box.",
    )
    tested: int = setting(
        1000,
        "Test scenes",
        low=20,
        high=20_000,
        more=True,
        help="That arms are measured on, and, of textures, masks decoded from.",
    )
    pictures: int = setting(60, "Scenes explained", low=TICKS, high=500, step=TICKS, more=True)
    width: int = setting(
        8,
        "Width",
        low=4,
        high=32,
        step=4,
        more=True,
        help="Channels of the first of the encoder's convolutions.",
    )
    dataset: str = setting(
        "scenes",
        "Pictures",
        choices=("scenes", "oxford_pets"),
        more=True,
        help="Pets have masks and no known cause; they must be on this machine.",
    )


@dataclass(frozen=True)
class Frame:
    """One step of the run: S seeds, A arms in the order of ARMS; float32 unless said
    otherwise, 0 for what is not asked or not yet measured.
    """

    step: int
    steps: int
    curves: np.ndarray  # (S, A, C) on validation pictures while they learn, shares in the order of CURVES
    measured: np.ndarray  # (S, A, K) on test pictures, in the order of MEASURES
    # (S, A, h, w) int8: the last frame of the first seed: maps or predicted masks of one scene,
    # largest at 127; boxes filled
    shown: np.ndarray
    scene: np.ndarray  # (S, 3, h, w) uint8: that scene


def experiments(config: LearnedSalienceConfig) -> tuple[str, ...]:
    """Those of a run, in the order in which they are done."""
    return EXPERIMENTS if config.experiment == "all" else (config.experiment,)


def arms(config: LearnedSalienceConfig) -> tuple[str, ...]:
    """The arms of a run, controls and bounds too."""
    every = config.arms == "all"
    asked = {
        "salience": (
            *CLASSIFIERS,
            *(MASKERS if every else ("none", "gated")),
            "gates",
            *(("gradcam", "optimised") if every else ("gradcam",)),
            *("centre", "random", "truth"),
        ),
        "order": ORDER if every else ("classify_only", "classify_first", "segment_first"),
        "boxes": (
            "classify_only",
            *(DETECT if every else ("classify_then_detect", "detect_then_classify")),
            *BOXES,
        ),
    }
    return tuple(dict.fromkeys(arm for experiment in experiments(config) for arm in asked[experiment]))


def measures(config: LearnedSalienceConfig, arm: str) -> tuple[str, ...]:
    """What is measured of an arm."""
    if arm in (*CLASSIFIERS, "classify_only"):
        return ("accuracy", "swapped")
    if arm in MAPS:
        scenes = config.dataset == "scenes"
        judged = tuple(measure for measure in JUDGED if scenes or measure != "tag")
        return (*judged, "leak") if scenes and config.label == "texture" and arm != "optimised" else judged
    if arm in (*BOXES, "detect_only"):
        return ("overlap", "found")
    if arm == "segment_only":
        return ("iou",)
    both = ("accuracy", "swapped", "iou") if arm in ORDER else ("accuracy", "swapped", "overlap", "found")
    return both if arm in ("parallel", "classify_and_detect") else (*both, "forgotten")


def run(config: LearnedSalienceConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train all arms of every seed side by side, then judge what they learned. Raises
    DataError where pets are asked for and are not here.
    """
    from mlcv_explore.ideas.learned_salience import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: LearnedSalienceConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed: every measure of every arm that the experiment asks."""
    last = film[-1].measured
    return {
        f"{arm}_{measure}": last[:, ARMS.index(arm), MEASURES.index(measure)].astype(float)
        for arm in arms(config)
        for measure in measures(config, arm)
    }


def picture(film: Film) -> Picture:
    """While they learn: a masker's area, and whether the answer is kept; or accuracy on
    swapped backgrounds in each order.
    """
    curves, x = series(film, "curves"), series(film, "step").astype(float)  # (S, T, A, C)
    gated = curves[:, :, ARMS.index("gated")]
    if gated.any():
        learning = gated.any(axis=(0, 2))
        lines = {role: gated[:, learning, place] for place, role in enumerate(("idea", "variant", "control"))}
        labels = {"idea": "kept by the mask", "variant": "kept by what it leaves", "control": "area"}
        return Picture(
            x[learning] - x[learning][0] + 1,
            lines,
            labels,
            "tenth of the updates",
            "share of scenes, of pixels",
        )
    first = "segment_first" if curves[:, :, ARMS.index("segment_first")].any() else "detect_then_classify"
    told = {
        "baseline": "classify_only",
        "idea": first,
        "variant": "classify_first" if first in ORDER else "classify_then_detect",
    }
    lines = {role: curves[:, :, ARMS.index(arm), 1] for role, arm in told.items()}
    return Picture(
        x,
        lines,
        {role: arm.replace("_", " ") for role, arm in told.items()},
        "tenth of the updates",
        "accuracy, backgrounds swapped",
    )


def _claim(
    name: str,
    sentence: str,
    measure: str,
    direction: str,
    margin: float,
    *contrasts: tuple[str, str],
    **when: Any,
) -> Claim:
    unit = "points" if measure in ("swapped", "iou", "found", "leak", "accuracy") else ""
    return Claim(name, sentence, measure, unit, direction, margin, contrasts, tuple(when.items()))


CLAIMS = (  # written down before anything was run
    # contradicted when the gated mask is less faithful than Grad-CAM, or better by less than 0.02
    _claim(
        "faithful",
        "Learned salience (gated) is more faithful than Grad-CAM by over 0.02, under the mean colour, a fill"
        " it never met while it learned.",
        "faithful",
        "greater",
        0.02,
        ("gated", "gradcam"),
    ),
    _claim("faithful_in_noise", "It is so under noise, too.", "noisy", "greater", 0.02, ("gated", "gradcam")),
    # a classifier that reads the tag is not asked about the object, nor an honest one about the tag
    _claim(
        "cause",
        "It has over 0.05 more of its mass on the object than Grad-CAM.",
        "mass",
        "greater",
        0.05,
        ("gated", "gradcam"),
        rho=INDEPENDENT,
    ),
    _claim(
        "cause_tag",
        "For a classifier that reads the tag, it has over 0.05 more of its mass on the tag than Grad-CAM.",
        "tag",
        "greater",
        0.05,
        ("gated", "gradcam"),
        rho=1.0,
    ),
    # contradicted when reading the classifier's finer features gains less than 0.05 of mass on the object
    _claim(
        "skips_help",
        "Skips put over 0.05 more of the mass on the object than no skips.",
        "mass",
        "greater",
        0.05,
        ("plain", "none"),
        rho=INDEPENDENT,
    ),
    _claim(
        "gates_help",
        "Gates put over 0.02 more of the mass on the object than plain skips.",
        "mass",
        "greater",
        0.02,
        ("gated", "plain"),
        rho=INDEPENDENT,
    ),
    _claim(
        "picture_helps_not",
        "Reading the picture too changes faithfulness by less than 0.02.",
        "faithful",
        "equal",
        0.02,
        ("image", "plain"),
    ),
    _claim(
        "as_good_as_optimised",
        "One forward pass is as faithful as a mask optimised for each picture, within 0.05.",
        "faithful",
        "equal",
        0.05,
        ("gated", "optimised"),
    ),
    _claim(
        "transfers",
        "To a second classifier it stays more faithful than Grad-CAM by over 0.02.",
        "transfer",
        "greater",
        0.02,
        ("gated", "gradcam"),
    ),
    # contradicted when the class is told from the learned masks no better than from the objects'
    # silhouettes, which are independent of it
    _claim(
        "leaks",
        "On textures the learned mask tells the class over 5 points better than the object's silhouette does,"
        " which does not know it.",
        "leak",
        "greater",
        0.05,
        ("gated", "truth"),
    ),
    # contradicted when half of the updates spent on segmenting are lost for classifying, or gain
    # less than a point
    _claim(
        "segment_first_helps",
        "At equal encoder updates, segmenting first names over 1 point more scenes with swapped backgrounds"
        " than classifying alone.",
        "swapped",
        "greater",
        0.01,
        ("segment_first", "classify_only"),
        budget="encoder",
    ),
    _claim(
        "order_matters",
        "Accuracy on swapped backgrounds differs by over 1 point between segmenting first and both at once.",
        "swapped",
        "different",
        0.01,
        ("segment_first", "parallel"),
    ),
    _claim(
        "classify_first_helps",
        "At equal encoder updates, classifying first and segmenting then reaches over 1 point more IoU than"
        " segmenting alone.",
        "iou",
        "greater",
        0.01,
        ("classify_first", "segment_only"),
        budget="encoder",
    ),
    _claim(
        "segment_first_helps_task",
        "At equal updates a task, segmenting first names over 1 point more scenes with swapped backgrounds"
        " than classifying alone.",
        "swapped",
        "greater",
        0.01,
        ("segment_first", "classify_only"),
        budget="task",
    ),
    _claim(
        "head_beats_salience",
        "A box head finds over 5 points more objects than the learned mask's box.",
        "found",
        "greater",
        0.05,
        ("classify_and_detect", "learned_box"),
    ),
    _claim(
        "learned_beats_gradient",
        "The learned mask's box finds over 5 points more objects than Grad-CAM's.",
        "found",
        "greater",
        0.05,
        ("learned_box", "gradcam_box"),
    ),
)


def _study(name: str, seeds: int, base: LearnedSalienceConfig) -> Study:
    """Every claim where it is asked, and every measure of every arm of the three
    experiments.
    """
    order, boxes = (base.replace(experiment=name, arms="all") for name in ("order", "boxes"))
    cells = {
        "honest": base.replace(arms="all"),
        "tagged": base.replace(rho=1.0),
        "textures": base.replace(label="texture"),
        "encoder": order,
        "task": order.replace(arms="two", budget="task"),
        # a classifier that reads the background is right not to look at the object
        "boxes": boxes.replace(background=INDEPENDENT),
    }
    asked = {
        "cause_tag": "tagged",
        "leaks": "textures",
        **dict.fromkeys(("segment_first_helps", "order_matters", "classify_first_helps"), "encoder"),
        "segment_first_helps_task": "task",
        **dict.fromkeys(("head_beats_salience", "learned_beats_gradient"), "boxes"),
    }
    claimed = (
        Cell(
            claim.name,
            cells[asked.get(claim.name, "honest")],
            {arm: arm for pair in claim.contrasts for arm in pair},
        )
        for claim in CLAIMS
    )
    described = (Cell(name, config, {arm: arm for arm in arms(config)}) for name, config in cells.items())
    return Study(name, (*claimed, *described), tuple(range(seeds)))


DONE_BEFORE = (
    Prior(
        "Real-time saliency (Dabkowski and Gal, 2017)",
        "https://arxiv.org/abs/1705.07857",
        "A masker with a frozen encoder, a U-Net decoder and a class selector; preserve and destroy losses"
        " with weights 0.3 and 1, the area to the power 0.3 with weight 8, random colour with noise or heavy"
        " blur as fill by even chance (official code).",
        "The same losses on classifiers whose cause is known, four forms of skips against each other, and"
        " intervals over classifiers.",
    ),
    Prior(
        "Meaningful and extremal perturbations (Fong and Vedaldi, 2017; Fong et al., 2019)",
        "https://arxiv.org/abs/1910.08485",
        "A mask optimised for each picture; the extremal one at a fixed area with 800 steps, area weight 300"
        " and 8 levels of blur.",
        "The rival that one forward pass has to match, on the same loss.",
    ),
    Prior(
        "Classifier-agnostic saliency (Zolna et al., 2018)",
        "https://arxiv.org/abs/1805.08249",
        "Binding the masker to a single classifier hurts its maps.",
        "One classifier each, and every mask is judged by a second classifier as well.",
    ),
    Prior(
        "Masked-in and masked-out losses (Phang et al., 2020)",
        "https://arxiv.org/abs/2010.09750",
        "Both losses together are best; ten pictures a class cost only 0.7 points.",
        "Both, and either alone, as arms.",
    ),
    Prior(
        "Selectors that encode the label (Jethani et al., 2021)",
        "https://arxiv.org/abs/2103.01890",
        "Selectors learned together with their judge write the label into the mask's shape.",
        "The leak is measured: the class decoded from the mask alone, where the silhouette does not know it.",
    ),
    Prior(
        "Attention U-Net (Oktay et al., 2018)",
        "https://arxiv.org/abs/1804.03999",
        "A scalar gate on every concatenation of a U-Net.",
        "The gates are read as salience and held against the mask itself.",
    ),
)


def _checkpoints() -> Mapping[str, Any]:
    # by name, so that what ships is no part of what computes a film: its fingerprint does not change with it
    return importlib.import_module("mlcv_explore.ideas.learned_salience.shipped").CHECKPOINTS


idea = Idea(
    config=LearnedSalienceConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=LearnedSalienceConfig(
        experiment="all",
        arms="all",
        label="texture",
        scenes=50,
        updates=TICKS,
        batch_size=4,
        tested=20,
        pictures=TICKS,
        width=4,
    ),
    picture=picture,
    studies=(
        _study("live", 6, LearnedSalienceConfig()),
        _study(
            "full",
            10,
            LearnedSalienceConfig(pictures=200, dataset="oxford_pets", scenes=3000, updates=4000, width=16),
        ),
    ),
    prior_work=DONE_BEFORE,
    checkpoints=_checkpoints,
)
