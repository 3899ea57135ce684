"""Idea: 17
Section: Explain
Title: Inverted U-Net
Question: How much of an image does its mask determine?

A U-Net turns an image into a map of what is where. Turned round, it is given the map
and has to paint the image. Trained on squared error it can only paint the mean of all
images that have this map: what is sharp there is determined by the map, and what is
blurred is not. So the share of variance it explains is a measure of the map, as long as
it is held against a ceiling, and against simpler ways to fill a map.

On generated scenes the ceiling is known. With the setting at 1 a larger object is
brighter and light comes from above, so part of every object's look follows from its
mask; texture, tint and contrast are drawn. At 0 nothing follows, and no network can
gain anything.

**A ladder of detail.** *Binary*: object or not. *Class*: what each pixel is, with the
object's shape. *Label*: the texture's name as well. *Edges*: two maps of the pixels
that are over 12 grey levels brighter, and darker, than the 5 × 5 pixels around them;
this is information from the picture, and meant to be. *Thumbnail*: the mean colours of
4 × 4 tiles. Each rung keeps what those below it tell.

**What to watch.** The name of the texture makes no difference to the mean: stripes are
as often light on dark as dark on light, and the average of both is flat. Nor does a
line drawing that does not say which side is bright.

**What it does not show.** How real a picture looks. Explained variance rewards blur, so
the energy of the edges stands beside it. The background is a cutting from one of two
photographs, which no mask determines. The ceiling is that of generated scenes;
photographs have none that is known.

**Traps avoided.** Masks are true ones and hard, for soft borders carry grey levels of
the picture. No layer normalises, which can wash a mask's area away. The object's pixels
count eight times in the loss; that hangs on the mask alone, so the best answer stays
the mean. Arms that may try five codes face the best of five nearest training pictures.
A network told of other pictures' masks is the control. The test scenes are looked at
once.

Source: Isola, Zhu, Zhou, Efros, Image-to-Image Translation with Conditional Adversarial
Networks, 2017, https://arxiv.org/abs/1611.07004

Source: Park, Liu, Wang, Zhu, Semantic Image Synthesis with Spatially-Adaptive
Normalization, 2019, https://arxiv.org/abs/1903.07291
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import model_validator

from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Cell, Film, Idea, Picture, Prior, Study
from mlcv_explore.ideas.inverted_unet.ladder import EDGES, RUNGS
from mlcv_explore.statistics import Claim

if TYPE_CHECKING:
    from mlcv_explore.models.checkpoints import CheckpointSpec

FREE = ("mean", "region", "nearest", "nearest5", "webp", "truth")  # arms that train nothing
TRAINED = {"one": ("l2",), "two": ("l2", "shuffled"), "all": ("l2", "l1", "sampled", "cvae", "shuffled")}
ARMS = (
    "mean",
    "region",
    "nearest",
    "nearest5",
    "l2",
    "l1",
    "sampled",
    "cvae",
    "shuffled",
    "adversarial",
    "webp",
    "ceiling",
    "truth",
)
# the order of the measure axis K
MEASURES = ("explained", "background", "psnr", "ssim", "energy", "iou", "accuracy", "diversity", "bytes")
JUDGED = ("iou", "accuracy")  # by networks trained on true pictures
RIVALS = ("l2", "region", "webp", "ceiling")  # what is shown along the ladder
FRAMES = 10  # of the training; one more shows the exam
PETS_SIDE = 64  # pixels a side at which pets are read
SHOWN = 3  # pictures that a frame shows
ROLES = {
    **dict.fromkeys(("mean", "region", "nearest", "nearest5"), "baseline"),
    **dict.fromkeys(("l1", "sampled", "cvae", "adversarial"), "variant"),
    "l2": "idea",
    "shuffled": "control",
    "webp": "other",
    "ceiling": "oracle",
    "truth": "oracle",
}


class InvertedUnetConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    detail: str = setting(
        "class", "Detail of the mask", choices=RUNGS, help="Each rung tells all that those before it tell."
    )
    dependence: float = setting(
        1,
        "Appearance follows the mask",
        low=0,
        high=1,
        step=0.05,
        help="Larger objects are brighter, light comes from above. At 0 neither is so.",
    )
    arms: str = setting(
        "two",
        "Networks",
        choices=tuple(TRAINED),
        help=(
            "one: the U-Net. two: with its control. all: three more ways to train it, and two judges of the"
            " pictures; three times as long as two."
        ),
    )
    scenes: int = setting(4000, "Training pictures", low=20, high=20_000, step=100, more=True)
    tested: int = setting(300, "Test pictures", low=10, high=3000, step=10, more=True)
    updates: int = setting(500, "Updates", low=4, high=50_000, step=100, more=True)
    batch: int = setting(16, "Batch", low=4, high=256, step=4, more=True)
    width: int = setting(
        16,
        "Width",
        low=4,
        high=64,
        step=4,
        more=True,
        help="Channels of the first of the U-Net's convolutions.",
    )
    rate: float = setting(0.006, "Peak learning rate", low=0.00001, high=0.1, step=0.001, more=True)
    edges: str = setting(
        "sides",
        "Edges are",
        choices=EDGES,
        more=True,
        help="sides: bright and dark pixels apart. lines: both as one line drawing.",
    )
    adversarial: bool = setting(
        False,
        "Critic",
        more=True,
        help="One more arm, taught by a network that tells true pictures from painted ones.",
    )
    dataset: str = setting(
        "scenes",
        "Data",
        choices=("scenes", "pets"),
        more=True,
        help="Oxford-IIIT pets must be on this machine.",
    )
    side: int = setting(32, "Side", choices=(32, 64), unit="pixels", more=True)

    @property
    def validated(self) -> int:
        """Pictures on which the curves of a run are measured, and on which any choice
        would be made: a third as many as are tested.
        """
        return max(SHOWN, self.tested // 3)

    @model_validator(mode="after")
    def _fits(self) -> "InvertedUnetConfig":
        if self.dataset == "pets" and (self.dependence, self.side) != (1, PETS_SIDE):
            raise SettingError(
                f"InvertedUnetConfig.dataset pets needs side {PETS_SIDE} and dependence 1, which is set on"
                f" scenes alone; got side {self.side} and dependence {self.dependence:g}."
            )
        return self


@dataclass(frozen=True)
class Frame:
    """Some updates more, or the exam at the end: S seeds, A arms in the order of ARMS,
    K measures in that of MEASURES.
    """

    step: int  # updates; the exam is one more
    steps: int
    # (S, A) float32, variance of the object explained on validation pictures; 0 for arms that do
    # not train
    curve: np.ndarray
    # (S, A, K) float32, on the test pictures, in the last frame; 0 before, and where an arm has no
    # such measure
    measured: np.ndarray
    # (S, SHOWN, 3, h, w) uint8, of the first seed (others 0): what the U-Net paints of the first
    # validation, at last test pictures
    shown: np.ndarray


def arms(config: InvertedUnetConfig) -> tuple[str, ...]:
    """The arms of a run."""
    asked = (
        {*FREE, *TRAINED[config.arms]}
        | ({"adversarial"} if config.adversarial else set())
        | ({"ceiling"} if has_ceiling(config) else set())
    )
    return tuple(arm for arm in ARMS if arm in asked)


def has_ceiling(config: InvertedUnetConfig) -> bool:
    """Whether it is known how much can be explained: on scenes, while nothing of the
    picture itself is told.
    """
    return config.dataset == "scenes" and config.detail in RUNGS[:3]


def measured_of(config: InvertedUnetConfig, arm: str) -> tuple[str, ...]:
    """The measures that an arm has."""
    if arm == "ceiling":
        return ("explained",)
    bounds = ("explained", "background", "psnr", "ssim") if arm == "truth" else ()  # the truth is itself
    judged = () if config.arms == "all" else JUDGED
    diverse = () if arm in ("sampled", "cvae") else ("diversity",)
    weighed = () if arm in ("l2", "webp") else ("bytes",)
    return tuple(measure for measure in MEASURES if measure not in (*bounds, *judged, *diverse, *weighed))


def frame_steps(config: InvertedUnetConfig) -> list[int]:
    """The updates after which a frame of the training is made."""
    count = min(FRAMES, config.updates)
    return [round(config.updates * (place + 1) / count) for place in range(count)]


def run(config: InvertedUnetConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train every arm, then measure all on test pictures. Raises FloatingPointError,
    DataError, SettingError with a sentence for the reader.
    """
    from mlcv_explore.ideas.inverted_unet import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: InvertedUnetConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed every measure that an arm has, on the test pictures."""
    last = film[-1].measured
    return {
        f"{arm}_{measure}": last[:, ARMS.index(arm), MEASURES.index(measure)].astype(float)
        for arm in arms(config)
        for measure in measured_of(config, arm)
    }


def picture(film: Film) -> Picture:
    """The U-Net and its control while they learn."""
    curves = series(film[:-1], "curve")
    lines = {"idea": curves[:, :, ARMS.index("l2")]}
    labels = {"idea": "U-Net"}
    if curves[:, :, ARMS.index("shuffled")].any():
        lines["control"], labels["control"] = curves[:, :, ARMS.index("shuffled")], "other pictures' masks"
    return Picture(
        series(film[:-1], "step").astype(float), lines, labels, "updates", "variance of the object explained"
    )


def _claim(name: str, sentence: str, direction: str, margin: float, *contrasts: tuple[str, str]) -> Claim:
    return Claim(name, sentence, "explained", "points", direction, margin, contrasts)


CLAIMS = (  # written down before anything was run; each can fail
    # contradicted when the network gains less than ten points: then the mask determines little, or
    # the network does not find out
    _claim(
        "gain",
        "Given what each pixel is, the U-Net explains over 10 points more of the object's variance than the"
        " mean colours of the regions.",
        "greater",
        0.10,
        ("l2", "region"),
    ),
    # contradicted when something is gained although nothing can be: a leak; or lost: a network that overfits
    _claim(
        "vanishes",
        "Where appearance does not follow the mask, the gain is gone: the U-Net ties with the mean colours"
        " within 2 points.",
        "equal",
        0.02,
        ("independent_l2", "independent_region"),
    ),
    # contradicted when the network stays further below the ceiling, or exceeds it, which only a leak can do
    _claim(
        "reaches",
        "The U-Net ties with the ceiling, what the mask truly determines, within 5 points.",
        "equal",
        0.05,
        ("l2", "ceiling"),
    ),
    # contradicted when the name of the texture tells the mean colour something after all
    _claim(
        "label_adds_nothing",
        "The texture's name adds nothing: with it the U-Net explains the same within 2 points.",
        "equal",
        0.02,
        ("label", "class"),
    ),
    # contradicted when knowing which pixels are brighter than those around them leaves the object's
    # variance as it was
    _claim(
        "edges_add",
        "The bright and dark sides of edges add over 5 points to the name.",
        "greater",
        0.05,
        ("edges", "label"),
    ),
    # contradicted when a drawing that is the same for light on dark and dark on light tells the two apart
    _claim(
        "lines_add_nothing",
        "The same edges as one line drawing add nothing to the name, within 2 points.",
        "equal",
        0.02,
        ("lines", "label"),
    ),
    # contradicted when sixteen mean colours tell no more than edges do
    _claim(
        "thumbnail_adds",
        "Sixteen mean colours add over 5 points to the edges.",
        "greater",
        0.05,
        ("thumbnail", "edges"),
    ),
    # contradicted when a picture of as many bytes as the mask says as much of the object
    _claim(
        "beats_webp",
        "The U-Net explains more of the object than a WebP picture of as many bytes as its mask.",
        "greater",
        0.0,
        ("l2", "webp"),
    ),
    # contradicted when five training pictures with the nearest masks hold one as near as the best
    # of five that are painted
    _claim(
        "sampling_beats_nearest",
        "The best of five pictures sampled explains more than the best of the five training pictures with the"
        " nearest masks.",
        "greater",
        0.0,
        ("sampled", "nearest5"),
    ),
)
# arm → rung
LADDER = {
    "binary": "binary",
    "class": "class",
    "label": "label",
    "edges": "edges",
    "lines": "edges",
    "thumbnail": "thumbnail",
}


def _rungs(base: InvertedUnetConfig) -> dict[str, InvertedUnetConfig]:
    """The run behind each arm of the ladder: the U-Net alone."""
    alone = base.replace(arms="one", adversarial=False)
    return {
        arm: alone.replace(detail=rung, edges="lines" if arm == "lines" else "sides")
        for arm, rung in LADDER.items()
    }


def _climbs(rungs: Mapping[str, InvertedUnetConfig]) -> tuple[Cell, ...]:
    """The claims that compare rungs."""
    names = ("label_adds_nothing", "edges_add", "lines_add_nothing", "thumbnail_adds")
    return tuple(
        Cell(claim.name, rungs[arm], {arm: "l2"})
        for claim in CLAIMS
        if claim.name in names
        for arm in claim.contrasts[0]
    )


def _contests(base: InvertedUnetConfig, *names: str) -> tuple[Cell, ...]:
    """The claims that compare the arms of one run."""
    return tuple(
        Cell(claim.name, base, {arm: arm for arm in claim.contrasts[0]})
        for claim in CLAIMS
        if claim.name in names
    )


def _live(seeds: int) -> Study:
    """Every claim, every arm given what each pixel is, and the U-Net along the ladder,
    where it has longer to learn.
    """
    base = InvertedUnetConfig(arms="all")
    longer = base.replace(updates=800)
    rungs = _rungs(longer)
    return Study(
        "live",
        (
            *_contests(base, "gain", "reaches", "beats_webp", "sampling_beats_nearest"),
            Cell(
                "vanishes",
                longer.replace(arms="one", dependence=0),
                {f"independent_{arm}": arm for arm in ("l2", "region")},
            ),
            *_climbs(rungs),
            Cell("arms", base, {arm: arm for arm in arms(base)}),
            *(
                Cell("ladder", config, {f"{arm}_{one}": one for one in RIVALS if one in arms(config)})
                for arm, config in rungs.items()
            ),
        ),
        tuple(range(seeds)),
    )


def _full(seeds: int) -> Study:
    """Pets: the claims that need no ceiling, with the critic."""
    base = InvertedUnetConfig(
        arms="all",
        adversarial=True,
        dataset="pets",
        side=64,
        scenes=3000,
        tested=2000,
        updates=12_000,
        width=32,
        batch=32,
        rate=0.002,
    )
    return Study(
        "full",
        (
            *_contests(base, "gain", "beats_webp", "sampling_beats_nearest"),
            *_climbs(_rungs(base)),
            Cell("arms", base, {arm: arm for arm in arms(base)}),
        ),
        tuple(range(seeds)),
    )


def shipped() -> "Mapping[str, CheckpointSpec]":
    """The networks that the page paints with, one a rung and one that samples."""
    from mlcv_explore.ideas.inverted_unet import shipping  # torch comes with it

    return shipping.CHECKPOINTS


DONE_BEFORE = (
    Prior(
        "pix2pix (Isola et al., 2017)",
        "https://arxiv.org/abs/1611.07004",
        "A U-Net with an adversarial loss turns label maps into photographs; with L1 alone the pictures blur,"
        " and noise given to it is ignored.",
        "Blur is the subject here: what squared error leaves sharp is what the mask determines, held against"
        " a known ceiling.",
    ),
    Prior(
        "SPADE (Park et al., 2019)",
        "https://arxiv.org/abs/1903.07291",
        "Ordinary normalisation layers wash away what a semantic mask says; modulating them by the mask"
        " brings it back.",
        "Our small U-Net has no normalisation at all; with batch normalisation three seeds explained as much"
        " (82.1 against 81.5 %).",
    ),
    Prior(
        "Cascaded refinement (Chen and Koltun, 2017)",
        "https://arxiv.org/abs/1707.09405",
        "Photographs from semantic layouts by regression alone, without an adversary.",
        "Regression on the pixels themselves, so that the answer has a meaning: the mean given the mask.",
    ),
    Prior(
        "BicycleGAN (Zhu et al., 2017)",
        "https://arxiv.org/abs/1711.11586",
        "Many pictures for one map, by a code that the output must let one recover.",
        "Codes trained by the best of five, and a small CVAE; both face the best of the five nearest training"
        " pictures.",
    ),
    Prior(
        "CycleGAN hides information (Chu et al., 2017)",
        "https://arxiv.org/abs/1712.02950",
        "A network that must get its picture back hides it in the map between, invisibly.",
        "Maps are true masks and hard, never a network's output; a network above the ceiling would contradict"
        " a claim.",
    ),
)

idea = Idea(
    config=InvertedUnetConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=InvertedUnetConfig(arms="all", adversarial=True, scenes=20, tested=10, updates=4, width=4, batch=4),
    picture=picture,
    studies=(_live(6), _full(5)),
    prior_work=DONE_BEFORE,
    checkpoints=shipped,
)
