"""Idea: 15
Section: Explain
Title: Saliency from gradients
Question: Which picture of “what the model looks at” deserves belief?

A saliency map colours the pixels that a classifier's answer rests on. There are a dozen
recipes, all make convincing pictures, and they disagree. Here twelve of them look at
the same picture on one common scale, beside three maps that know nothing of the model:
random numbers, edges, and a blob in the middle. On generated scenes the true cause is
known, so each map can be judged three ways.

**Model-dependent.** Does the map change when the weights are replaced by random ones? A
map that does not shows the picture, not the model. **Faithful.** Does the answer fall
when the pixels the map calls important are removed first, and rise when they are shown
first? **On the true cause.** How much of the map lies on the object, and how much on
the corner tag that a classifier may have learned to read instead?

**What to watch.** Train with a tag that nearly always names the class: accuracy with
redrawn tags falls, for the classifier reads the tag. Then see which maps say so.

**What it does not show.** That a map which wins on scenes wins on photographs; there
the true cause is not known, and only the first two can be asked. Removing pixels also
makes pictures no classifier was trained on. A map that moves with the weights may still
be wrong.

**Traps avoided.** Logits are explained, not probabilities. Objects lie uniformly, so
that the middle is no good guess. ReLUs are modules of their own, without which Guided
Backprop is quietly the plain gradient. Noise has σ = 0.1 of the range. Ties are broken
at random, the same way for all maps. Grad-CAM keeps what speaks for the class. The
scenes explained carry tags that tell nothing, and the class the classifier names is
what is explained.

**Generation.** Beside the recipes, a small network is fed the gradients of all layers
and answers with one map. It learns on classifiers that use the object and is tried on
those that read the tag, against its best single input and against the same network
shown pictures alone.

Source: Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim, Sanity Checks for Saliency
Maps, 2018, https://arxiv.org/abs/1810.03292

Source: Petsiuk, Das, Saenko, RISE: Randomized Input Sampling for Explanation of
Black-box Models, 2018, https://arxiv.org/abs/1806.07421

Source: Sundararajan, Taly, Yan, Axiomatic Attribution for Deep Networks, 2017,
https://arxiv.org/abs/1703.01365

Source: Zhang, Lin, Brandt, Shen, Sclaroff, Top-down Neural Attention by Excitation
Backprop, 2016, https://arxiv.org/abs/1608.00507
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.config import Config, setting
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Cell, Film, Idea, Picture, Prior, Study
from mlcv_explore.statistics import Claim

CONTROLS = ("random", "centre", "edges")
RECIPES = (
    "gradient",
    "input_x_gradient",
    "gradcam",
    "guided_backprop",
    "deeplift",
    "smoothgrad",
    "smoothgrad_squared",
    "vargrad",
    "gradient_shap",
    "integrated_gradients",
    "rise",
    "occlusion",
)
ORACLE = "truth"  # the object's mask itself
GENERATED = ("generated", "single", "blind")
ARMS = (*CONTROLS, *RECIPES, ORACLE, *GENERATED)  # the order of the arm axis M
MEASURES = ("mass", "tag", "pointing", "deletion", "insertion", "moved")  # the order of the measure axis K
SHARES = ("accuracy", "swapped", "follows")
ROLES = {
    **dict.fromkeys(CONTROLS, "control"),
    **dict.fromkeys(RECIPES, "idea"),
    ORACLE: "oracle",
    **dict.fromkeys(GENERATED, "variant"),
}


class SaliencyConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    rho: float = setting(
        0.95,
        "Tag agrees with the class",
        low=0.25,
        high=1,
        step=0.05,
        help="How often the corner tag names the class. At 0.25 it tells nothing.",
    )
    pictures: int = setting(
        20, "Scenes explained", low=1, high=150, step=1, help="Every map of every one of them is judged."
    )
    generation: bool = setting(
        False,
        "Learn to make maps",
        help="Also trains the network that is fed the gradients of all layers; twice the time.",
    )
    scenes: int = setting(1500, "Training scenes", low=50, high=20_000, step=50, more=True)
    epochs: int = setting(5, "Epochs", low=1, high=40, more=True)
    width: int = setting(
        8,
        "Width",
        low=4,
        high=32,
        step=4,
        more=True,
        help="Channels of the first of the classifier's convolutions.",
    )
    label: str = setting("silhouette", "The class is", choices=("silhouette", "texture"), more=True)
    side: int = setting(32, "Side", choices=(32, 64), unit="pixels", more=True)


@dataclass(frozen=True)
class Frame:
    """One epoch, or one more scene explained: S seeds, M arms in the order of ARMS, K
    measures in that of MEASURES; float32.
    """

    step: int
    steps: int
    accuracy: np.ndarray  # (S,) on fresh scenes like those trained on
    swapped: np.ndarray  # (S,) on fresh scenes whose tags tell nothing
    follows: np.ndarray  # (S,) of scenes whose tag names another class, those given the tag's class
    # (S, M, K) means over the scenes explained so far; 0 before, and for arms that are not asked
    # for
    measured: np.ndarray
    # (S, M, h, w) int8: in the frame of the first scene explained its maps, each one's largest
    # absolute value at 127; else 0
    shown: np.ndarray


def arms(config: SaliencyConfig) -> tuple[str, ...]:
    """The arms of a run."""
    return tuple(arm for arm in ARMS if config.generation or arm not in GENERATED)


def run(config: SaliencyConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train one classifier a seed, then explain scene after scene."""
    from mlcv_explore.ideas.saliency import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: SaliencyConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed: every measure of every arm, and of the classifier itself its accuracy,
    also with redrawn tags, and how often it follows them.
    """
    last = film[-1]
    found = {f"classifier_{name}": getattr(last, name).astype(float) for name in SHARES}
    for arm in arms(config):
        found |= {
            f"{arm}_{measure}": last.measured[:, ARMS.index(arm), place].astype(float)
            for place, measure in enumerate(MEASURES)
        }
    return found


def picture(film: Film) -> Picture:
    """How much the classifier relies on the tag, while it trains."""
    lines = {
        "oracle": series(film, "accuracy"),
        "idea": series(film, "swapped"),
        "control": series(film, "follows"),
    }
    labels = {"oracle": "as trained", "idea": "tags redrawn", "control": "given the tag's class"}
    return Picture(
        series(film, "step").astype(float),
        lines,
        labels,
        "epoch, then scene explained",
        "share of fresh scenes",
    )


def _claim(arm: str, name: str) -> Claim:
    # contradicted when the interval of either difference lies below 0.05: the map is no better
    # there than one that knows nothing of the model
    sentence = (
        f"{name} has over 0.05 more of its mass on the object than a centre blob, and than Sobel edges, when"
        " the classifier uses the object."
    )
    return Claim(arm, sentence, "mass", "of the map", "greater", 0.05, ((arm, "centre"), (arm, "edges")))


CLAIMS = (  # written down before anything was run
    _claim("integrated_gradients", "Integrated gradients"),
    _claim("smoothgrad", "SmoothGrad"),
    _claim("gradcam", "Grad-CAM"),
    _claim("guided_backprop", "Guided Backprop"),
)
RHOS = (0.25, 1.0)


def _study(name: str, seeds: int, base: SaliencyConfig) -> Study:
    """The claims on classifiers that use the object, and every measure while the tag
    tells more and more.
    """
    everything = {arm: arm for arm in (*arms(base), "classifier")}
    object_users = base.replace(rho=0.25)
    return Study(
        name,
        (
            *(
                Cell(claim.name, object_users, {arm: arm for pair in claim.contrasts for arm in pair})
                for claim in CLAIMS
            ),
            *(Cell("tags", base.replace(rho=rho), everything) for rho in RHOS),
        ),
        tuple(range(seeds)),
    )


DONE_BEFORE = (
    Prior(
        "Sanity checks for saliency maps (Adebayo et al., 2018)",
        "https://arxiv.org/abs/1810.03292",
        "Gradient and Grad-CAM change when weights are randomised; Guided Backprop and Guided Grad-CAM hardly"
        " do. An erratum adds that Guided Backprop is not fully invariant: randomising the lower layers"
        " changes it.",
        "The same check beside faithfulness and the true cause, on classifiers whose cause is known, with"
        " intervals over models.",
    ),
    Prior(
        "Criticism of that check (Yona and Greenfeld, 2021; Binder et al., 2022)",
        "https://arxiv.org/abs/2211.12486",
        "Uninformative maps score well, and top-down randomisation keeps the scale of activations; "
        "conclusions may be artefacts of the task (2110.14297).",
        "One of three rankings, never the only one, and their agreement is itself measured.",
    ),
    Prior(
        "RISE (Petsiuk et al., 2018)",
        "https://arxiv.org/abs/1806.07421",
        "Deletion 0.105 and insertion 0.772 on 10,000 ImageNet pictures with a ResNet-50, in the authors'"
        " notebook.",
        "Both areas for every recipe and for the controls, so that one sees what an edge detector gets.",
    ),
    Prior(
        "Pointing game (Zhang et al., 2016; numbers of Fong et al., 2019)",
        "https://arxiv.org/abs/1608.00507",
        "On VOC07 with a VGG-16 the centre alone hits 69.6 %, the gradient 76.3 %, Grad-CAM 86.6 %, RISE"
        " 86.9 %.",
        "Objects lie uniformly, so that the centre is no good guess.",
    ),
)

idea = Idea(
    config=SaliencyConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=SaliencyConfig(rho=0.75, scenes=64, epochs=1, width=4, generation=True, pictures=2),
    picture=picture,
    studies=(
        _study("live", 5, SaliencyConfig(pictures=100, generation=True, scenes=4000, epochs=8)),
        _study("full", 10, SaliencyConfig(pictures=150, generation=True, side=64, scenes=10_000, width=16)),
    ),
    prior_work=DONE_BEFORE,
)
