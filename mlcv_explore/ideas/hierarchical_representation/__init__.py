"""Idea: 2
Section: Feature space
Title: Hierarchical representation
Question: Do stacked autoencoders become easier to read with depth when every level has a target of its own, instead of one loss for all?

Autoencoders are stacked: each level goes one up, and comes one down again. Trained with
*one global loss*, the picture goes up all levels and down all levels, and only the far
end is compared with it. With *own targets* every level answers for itself: it has to
give back the code below it, or the pixels. A linear probe with ten labels a class then
says how easily digits are read from every level.

**The wirings.** *Greedy*: each level learns alone; what comes from below is detached,
so that no gradient passes between levels. *Joint*: own losses, whose gradients also
reach the levels below. *Both*: the global loss and the own ones. Each of these with two
targets: the code below, or the pixels. All levels learn at once, so that every wiring
has the same pictures and the same number of updates of every encoder.

**As committed.** The author's code has four slips, and an arm repeats them. The forward
pass throws away what the levels' own decoders say, so that a third of the parameters
never gets a gradient. A ReLU on the output cannot give back pixels below the mean. A
misspelt name freezes the probe's weight, and only its bias learns. And the loop over
probes starts at the raw pixels and so never reaches the top level.

**What to watch.** Whether the curve of accuracy over depth rises, and for whom. All
levels are equally wide, so that depth is not confused with width, and a probe sees only
the 12 leading components of a code, so that no level has an advantage by its size.

**What it does not show.** That hierarchies are of no use. Digits of 8 × 8 pixels are
almost linear, and a level of 32 numbers can hand through all it is given. Nor is one
length of training the truth: one loss for all takes longer to learn, so the Answer act
has three lengths. The full study, on photographs with convolutions, is declared but
does not ship.

**Other learners.** In the autoencoder's place, level by level: a denoising autoencoder,
a contrastive learner, principal components, k-means. Each breaks one of the assumptions
behind "any unsupervised learner"; the Answer act says which.

**Traps avoided.** Errors of different levels are never compared: a code has no scale. A
random encoder, the raw pixels and a supervised network with all labels stand beside
every curve. The probe's strength is chosen on validation pictures, its components are
found in training codes.

Source: Bengio, Lamblin, Popovici, Larochelle, Greedy Layer-Wise Training of Deep
Networks, 2006, https://papers.nips.cc/paper/3048

Source: Vincent, Larochelle, Bengio, Manzagol, Extracting and Composing Robust Features
with Denoising Autoencoders, 2008, https://doi.org/10.1145/1390156.1390294

Source: Alain, Bengio, Understanding intermediate layers using linear classifier probes,
2016, https://arxiv.org/abs/1610.01644

Source: Löwe, O'Connor, Veeling, Putting An End to End-to-End, 2019,
https://arxiv.org/abs/1905.11786
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import model_validator

from mlcv_explore import data
from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data.coarse import GROUPS
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Cell, Film, Idea, Picture, Prior, Study
from mlcv_explore.statistics import Claim, Split

if TYPE_CHECKING:
    from mlcv_explore.models.checkpoints import CheckpointSpec

WIRINGS = ("global", "greedy_code", "greedy_pixels", "joint_code", "joint_pixels", "both_code", "both_pixels")
# in the autoencoder's place, greedily, each on the code below
LEARNERS = ("denoising", "contrastive", "pca", "kmeans")
ARMS = (*WIRINGS, "committed", *LEARNERS, "random", "supervised")  # the order of the arm axis A
MAPPED = ("global", "greedy_code")  # whose codes and reconstructions a frame shows, M
ROLES = {
    "global": "baseline",
    "greedy_code": "idea",
    **dict.fromkeys(WIRINGS[2:], "variant"),
    "committed": "other",
    **dict.fromkeys(LEARNERS, "other"),
    "random": "control",
    "pixels": "control",
    "supervised": "oracle",
}
PLACED = 80  # validation pictures whose codes are laid out
SHOWN = 3  # validation pictures that are reconstructed
SHADES = 25  # steps of a shown pixel in one standard deviation
FRAMES = 12  # of the training
PROBES = 2  # of them, evenly spread, with probes; so is the start


def held_out(dataset: str) -> tuple[int, int]:
    """Validation and test pictures of a data set: ten validation labels a class, no
    more than a probe is given to learn from.
    """
    return 10 * len(data.CATALOGUE[dataset].classes), 697 if dataset == "digits" else 2000


class HierarchicalRepresentationConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    local_weight: float = setting(
        1.0,
        "Weight of own losses in both",
        low=0,
        high=10,
        step=0.1,
        help=(
            "In the wiring both, the levels' own losses count so much beside the global one. At 0 it is the"
            " global loss alone."
        ),
    )
    labels: int = setting(
        10,
        "Labels a class",
        low=1,
        high=50,
        step=1,
        help="That a probe learns from; learners see none, the supervised bound all.",
    )
    levels: int = setting(3, "Levels", low=1, high=5, step=1)
    width: int = setting(
        32,
        "Width",
        low=2,
        high=256,
        step=2,
        help="Numbers in the code of every dense level; channels of the first convolutional one.",
    )
    noise: float = setting(
        0.5,
        "Noise",
        low=0,
        high=2,
        step=0.05,
        more=True,
        help="Of the denoising autoencoder, which at 0 is the plain one, and of contrastive views.",
    )
    epochs: int = setting(40, "Epochs", low=1, high=400, step=10, more=True)
    train_size: int = setting(
        1000,
        "Training pictures",
        low=200,
        high=50_000,
        step=50,
        more=True,
        help="Without labels but for a few; at most 1,000 on digits.",
    )
    batch_size: int = setting(100, "Batch size", low=4, high=512, step=4, more=True)
    learning_rate: float = setting(0.005, "Learning rate", low=0.00001, high=1, step=0.001, more=True)
    activation: str = setting(
        "relu",
        "Activation",
        choices=("relu", "linear"),
        more=True,
        help="linear: no level can do more than PCA.",
    )
    tied: bool = setting(
        False,
        "Tied weights",
        more=True,
        help="Decoders have their encoder's weights, but where they go straight to the pixels.",
    )
    dataset: str = setting(
        "digits",
        "Data",
        choices=tuple(GROUPS),
        more=True,
        help="Sets with coarse classes; all but digits must be on this machine.",
    )
    network: str = setting("dense", "Network", choices=("dense", "convolutional"), more=True)
    split: str = setting(
        "fixed",
        "Split",
        choices=("fixed", "redrawn"),
        more=True,
        help="One split for all seeds, or one a seed; the interval then is the wider, corrected one.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "HierarchicalRepresentationConfig":
        data.check_split(self.dataset, self.train_size, *held_out(self.dataset))
        most = self.train_size // (2 * classes_of(self))
        if self.labels > most:
            raise SettingError(
                f"labels must be at most {most} with train_size {self.train_size:,} and dataset"
                f" {self.dataset}, half of a class; got {self.labels}."
            )
        side = data.CATALOGUE[self.dataset].shape[1]
        if self.network == "convolutional" and side % 2**self.levels:
            raise SettingError(
                f"levels must halve the {side} pixels of dataset {self.dataset} without a rest where the"
                f" network is convolutional, got {self.levels}."
            )
        return self


@dataclass(frozen=True)
class Frame:
    """Some epochs more: S seeds, A arms in the order of ARMS, L levels from the first,
    M arms in the order of MAPPED; float32 but where said.
    """

    step: int  # epoch
    steps: int  # epochs
    probed: int  # epoch at which accuracies and errors were measured
    accuracy: np.ndarray  # (S, A, L) in [0, 1], of a probe of fine classes on the test pictures
    coarse: np.ndarray  # (S, A, L) in [0, 1], of coarse classes, in the last frame; 0 before
    # (S, A, L) mean squared error of standardised test pixels; 0 before the first epoch and where
    # nothing decodes
    error: np.ndarray
    pixels: np.ndarray  # (S, 2) accuracy of the pixels themselves: fine, coarse
    # (S, L) accuracy of the committed arm by a probe whose bias alone learns, in the last frame; 0
    # before
    frozen: np.ndarray
    # (S, A, L + 1) means over the epoch: the levels' own, then the one at the far end or of labels;
    # 0 where an arm has none
    loss: np.ndarray
    updates: np.ndarray  # (S, A, L) int32, of each level's encoder
    # (S, M, L, PLACED, 2) two leading components of validation codes, of the first seed; others 0
    places: np.ndarray
    labels: np.ndarray  # (S, PLACED) int16, their classes, of the first seed
    shown: (
        np.ndarray
        # (S, M, L, SHOWN, channels, height, width) float16, standardised pixels from each level, of the
        # first seed; 0 where none decodes
    )


def classes_of(config: HierarchicalRepresentationConfig) -> int:
    """Fine classes of the data set."""
    return len(data.CATALOGUE[config.dataset].classes)


def frame_epochs(config: HierarchicalRepresentationConfig) -> list[int]:
    """The epochs after which a frame is made; one more shows the start."""
    count = min(FRAMES, config.epochs)
    return [round(config.epochs * (place + 1) / count) for place in range(count)]


def probe_epochs(config: HierarchicalRepresentationConfig) -> list[int]:
    """Those of them at which probes are fitted, the start and the end among them."""
    shown = frame_epochs(config)
    count = min(PROBES, len(shown))
    return [0, *(shown[round(len(shown) * (place + 1) / count) - 1] for place in range(count))]


def decodes(arm: str, level: int, levels: int) -> bool:
    """Whether an arm was taught a way from this level (from 0) to the pixels."""
    if arm in ("global", "committed"):
        return level == levels - 1
    return arm not in ("contrastive", "random", "supervised")


def run(config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train and probe all arms. Raises FloatingPointError, DataError, SettingError with
    a sentence for the reader.
    """
    from mlcv_explore.ideas.hierarchical_representation import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: HierarchicalRepresentationConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed, at the end. Accuracy, coarse accuracy and error are the top level's,
    `level2` is the second level's accuracy, and so on.

    `rise` is the top's accuracy less the first level's, which the arm `…_first` has.
    """
    last, top = film[-1], config.levels - 1
    fine, coarse, error = (getattr(last, name).astype(float) for name in ("accuracy", "coarse", "error"))
    found = {
        "pixels_accuracy": last.pixels[:, 0].astype(float),
        "pixels_coarse": last.pixels[:, 1].astype(float),
    }
    for place, arm in enumerate(ARMS):
        found |= {
            f"{arm}_accuracy": fine[:, place, top],
            f"{arm}_coarse": coarse[:, place, top],
            f"{arm}_first_accuracy": fine[:, place, 0],
        }
        found |= {
            f"{arm}_rise": fine[:, place, top] - fine[:, place, 0],
            f"{arm}_updates": last.updates[:, place].min(1).astype(float),
        }
        for level in range(config.levels):
            found |= {
                f"{arm}_level{level + 1}": fine[:, place, level],
                f"{arm}_coarse{level + 1}": coarse[:, place, level],
            }
            if decodes(arm, level, config.levels):
                found[f"{arm}_error{level + 1}"] = error[:, place, level]
    committed = ARMS.index("committed")
    # what the author's last probe reads
    found["committed_shifted_accuracy"] = fine[:, committed, top - 1] if top else found["pixels_accuracy"]
    found["committed_frozen_accuracy"] = last.frozen[:, top].astype(float)
    return found


def depth_curve(frame: Frame, arm: str) -> np.ndarray:
    """Accuracy (S, 1 + L) from the pixels up."""
    return np.concatenate([frame.pixels[:, :1], frame.accuracy[:, ARMS.index(arm)]], axis=1).astype(float)


def picture(film: Film) -> Picture:
    """Probes over depth at the end."""
    last = film[-1]
    shown = {"baseline": "global", "idea": "greedy_code", "control": "random", "oracle": "supervised"}
    labels = {
        "baseline": "one global loss",
        "idea": "own targets",
        "control": "random encoder",
        "oracle": "supervised",
    }
    lines = {role: depth_curve(last, arm) for role, arm in shown.items()}
    return Picture(
        np.arange(last.accuracy.shape[2] + 1.0), lines, labels, "level", "test accuracy of a probe"
    )


def loss_curves(film: Film, arm: str) -> np.ndarray:
    """(S, T, L + 1) losses over the frames after the start."""
    return series(film[1:], "loss")[:, :, ARMS.index(arm)]


AS_DECLARED = (("levels", 3), ("activation", "relu"), ("tied", False))


def _claim(
    name: str,
    sentence: str,
    direction: str,
    margin: float,
    *contrasts: tuple[str, str],
    measure: str = "accuracy",
) -> Claim:
    return Claim(name, sentence, measure, "points", direction, margin, contrasts, AS_DECLARED)


CLAIMS = (  # written down before any evidence was made; each can fail
    # contradicted when own targets gain less than a point at the top, or lose
    _claim(
        "own_targets",
        "At the third of three levels a probe reads over 1 point more under own targets (greedy, the code"
        " below) than under one global loss.",
        "greater",
        0.01,
        ("greedy_code", "global"),
    ),
    # contradicted when accuracy climbs no further from the first level to the top than under the global loss
    _claim(
        "rise",
        "From the first level to the top, accuracy rises over 1 point more under own targets than under one"
        " global loss.",
        "greater",
        0.01,
        ("greedy_code", "global"),
        measure="rise",
    ),
    # contradicted when the top is no better than the first level
    _claim(
        "rises",
        "Under own targets the top level is over 1 point easier to read than the first.",
        "greater",
        0.01,
        ("greedy_code", "greedy_code_first"),
    ),
    # contradicted when the pixels as every level's target gain less than a point over the global loss
    _claim(
        "pixels",
        "With the pixels as every level's own target, the top level is over 1 point easier to read than under"
        " one global loss.",
        "greater",
        0.01,
        ("greedy_pixels", "global"),
    ),
    # contradicted when it makes no difference of a point what a level has to give back
    _claim(
        "target_matters",
        "What a level has to give back matters: pixels and code below differ by over 1 point at the top.",
        "different",
        0.01,
        ("greedy_pixels", "greedy_code"),
    ),
    # contradicted when gradients of own losses that reach the levels below cost less than a point, or help
    _claim(
        "detaching_helps",
        "Detached levels end over 1 point above levels whose own losses reach those below them.",
        "greater",
        0.01,
        ("greedy_code", "joint_code"),
    ),
    # contradicted when own losses add less than a point to a global one
    _claim(
        "both",
        "Own losses beside the global one add over 1 point at the top.",
        "greater",
        0.01,
        ("both_code", "global"),
    ),
    # contradicted when coarse classes gain less than a point
    _claim(
        "coarse",
        "At the top, coarse classes too are read over 1 point better under own targets than under one global"
        " loss.",
        "greater",
        0.01,
        ("greedy_code", "global"),
        measure="coarse",
    ),
    # contradicted when levels that never learned do as well
    _claim(
        "learns",
        "Own targets end over 1 point above levels that never learned.",
        "greater",
        0.01,
        ("greedy_code", "random"),
    ),
    # each contradicted when the top level is over two points from the autoencoder's, on either side
    *(
        _claim(
            f"{learner}_replaces",
            f"{words} in the autoencoder's place leaves the top level's accuracy within 2 points.",
            "equal",
            0.02,
            (learner, "greedy_code"),
        )
        for learner, words in zip(
            LEARNERS, ("A denoising autoencoder", "A contrastive learner", "PCA", "k-means"), strict=True
        )
    ),
    # contradicted when the output ReLU costs less than a point
    _claim(
        "repaired",
        "A linear output in place of the committed ReLU gains over 1 point at the top.",
        "greater",
        0.01,
        ("global", "committed"),
    ),
    # contradicted when a bias alone reads all but twenty points
    _claim(
        "frozen",
        "The probe whose weight is frozen loses over 20 points of what the top level holds.",
        "greater",
        0.2,
        ("committed", "committed_frozen"),
    ),
)
CONTRASTS = {claim.name: {arm: arm for pair in claim.contrasts for arm in pair} for claim in CLAIMS}
EVERY_ARM = {arm: arm for arm in (*ARMS, "pixels", "committed_shifted", "committed_frozen")}
VARIED = {
    arm: arm
    for arm in (
        "global",
        "greedy_code",
        "greedy_pixels",
        "both_pixels",
        "denoising",
        "contrastive",
        "pca",
        "kmeans",
        "random",
    )
}


def _study(
    name: str, seeds: int, base: HierarchicalRepresentationConfig, changes: Sequence[Mapping[str, object]]
) -> Study:
    """Claims and every arm at every level from one base; and the arms that matter with
    other settings, one after the other.
    """
    cells = [Cell(claim.name, base, CONTRASTS[claim.name]) for claim in CLAIMS]
    cells += [
        Cell("arms", base, EVERY_ARM),
        *(Cell("varied", base.replace(**change), VARIED) for change in ({}, *changes)),
    ]
    return Study(name, tuple(cells), tuple(range(seeds)))


VARIATIONS = (
    {"split": "redrawn"},
    {"epochs": 10},
    {"epochs": 200},
    {"width": 16},
    {"width": 64},
    {"labels": 2},
    {"labels": 50},
    {"levels": 5},
)
PHOTOGRAPHS = HierarchicalRepresentationConfig(
    dataset="cifar10",
    network="convolutional",
    width=4,
    train_size=10_000,
    epochs=50,
    learning_rate=0.001,
    labels=50,
)


def resampled(config: HierarchicalRepresentationConfig) -> Split | None:
    """Sizes of the parts when every seed has a split of its own, None when all share
    one.
    """
    return Split(config.train_size, held_out(config.dataset)[1]) if config.split == "redrawn" else None


def shipped() -> "Mapping[str, CheckpointSpec]":
    """The levels and maps that the page plays with."""
    from mlcv_explore.ideas.hierarchical_representation import shipping  # torch comes with it

    return shipping.CHECKPOINTS


DONE_BEFORE = (
    Prior(
        "The author's own code",
        "",
        "3 → 32 → 64 → 128 channels, CIFAR-100 at 224 pixels, 100 epochs: logged probes 10.2, 11.2 and 9.2 %."
        " Its forward pass throws the levels' own decoders away (93,123 of 279,494 parameters never get a"
        " gradient), its output ReLU cannot go below an error near 0.52 (the logged losses average 0.49), its"
        " probe trains a bias alone, and its loop of logistic probes skips the top level.",
        "All four slips are one arm, measured beside the repaired network; the idea itself is tested here for"
        " the first time.",
    ),
    Prior(
        "Greedy layer-wise training (Bengio et al., 2006)",
        "https://papers.nips.cc/paper/3048",
        "Autoencoders trained one level after the other, each on the code below, start a deep classifier"
        " better than chance does.",
        "No fine-tuning: codes are read by probes. All levels learn at once, so that no wiring has more"
        " updates.",
    ),
    Prior(
        "Greedy supervised layers (Belilovsky, Eickenberg, Oyallon, 2018)",
        "https://arxiv.org/abs/1812.11446",
        "Layers trained one by one with labels exceed AlexNet on ImageNet, and match VGG-11 trained end to"
        " end when their auxiliary heads are deeper.",
        "Own targets without labels; labels only in the probe.",
    ),
    Prior(
        "Greedy InfoMax (Löwe, O'Connor, Veeling, 2019)",
        "https://arxiv.org/abs/1905.11786",
        "Modules trained apart by a contrastive loss, with no gradient between them, rival end-to-end"
        " training of speech and image features.",
        "The contrastive learner is one of five in the same place, at equal width and updates.",
    ),
    Prior(
        "Local contrastive hinge loss (Frontiers in Computational Neuroscience, 2022)",
        "https://doi.org/10.3389/fncom.2022.789253",
        "CIFAR-10 probes: end to end 71.4 %, greedy 72.8 %, random encoder 61.2 %; STL-10: 70.1, 68.3 and"
        " 46.8 %.",
        "Intervals over seeds, reconstruction as the loss, and probes cut to 12 components at every depth.",
    ),
)

idea = Idea(
    config=HierarchicalRepresentationConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=HierarchicalRepresentationConfig(
        epochs=1, train_size=200, labels=2, levels=1, width=8, batch_size=100
    ),
    picture=picture,
    studies=(
        _study("live", 20, HierarchicalRepresentationConfig(), VARIATIONS),
        _study("full", 5, PHOTOGRAPHS, ({"dataset": "cifar100"}, {"epochs": 200})),
    ),
    prior_work=DONE_BEFORE,
    split_sizes=resampled,
    checkpoints=shipped,
)
