"""Idea: 2
Section: Feature space
Title: Hierarchical representation
Question: Do layer-wise losses make stacked autoencoders more linearly separable with
  depth?
Try: Choose or draw a digit and compare its reconstructions and its place on each
  level's map.
Answer: Layer-wise reconstruction of the previous level shows no clear gain over one
  end-to-end loss; linear separability falls with depth.
But: A linear classifier on raw pixels (88.5 %) beats the layer-wise loss (85.4 %). So
  do k-means features (88.9 %); after 200 epochs the layer-wise loss trails end-to-end
  by 3.1 points.
Holds when: every level reconstructs the pixels: +3.5 points [2.5, 4.5] over end-to-end
  at the top level; or training is short, 10 epochs on the previous level: +9.1 [7.0,
  11.2]; n = 20.
Fails when: training is long, 200 epochs: −3.1 points [−4.2, −2.0]; levels have 64
  units: −1.8 [−2.7, −0.8]. From first to top level accuracy falls by 2.4 [1.6, 3.1], n
  = 20.
Verdict: depends on the training length
Data: handwritten digits

Each level of a stack has an encoder and a decoder. With one *end-to-end* loss an image
passes all encoders and decoders, and only the output is compared with it. With
*layer-wise* losses each level reconstructs the code below it, or the pixels. A linear
probe with ten labels per class measures how linearly separable every level is.

**Objectives.** *Greedy*: the input of each level is detached, so no gradient passes
between levels. *Joint* (not detached): gradients of layer-wise losses also reach the
levels below. *Both*: end-to-end and layer-wise losses are added. All levels train at
once, on the same images, with equal updates.

**Original code.** One arm repeats four errors of the author's code. The levels' own
decoders are discarded, so a third of the parameters gets no gradient. A ReLU on the
output cannot reconstruct pixels below the mean. A misspelt name freezes the probe's
weight; only its bias is trained. The loop over probes never reaches the top level.

**Controls.** All levels are equally wide, and a probe uses the 12 leading components of
a code: neither depth nor size helps a level. Untrained levels, raw pixels and a
supervised network stand beside every curve. Components come from training codes; the
probe's penalty is chosen on validation images. Errors of different levels are never
compared, for a code has no scale.

**What it does not show.** That hierarchies are useless: 8×8 digits are almost linearly
separable, and a level of 32 units can pass most of its input on. The end-to-end loss
converges more slowly, so Answer shows three training lengths.

**Other learners.** A denoising autoencoder, a contrastive learner, PCA and k-means in
the autoencoder's place each break an assumption behind "any unsupervised learner".

Source: Bengio, Lamblin, Popovici, Larochelle, Greedy Layer-Wise Training of Deep
Networks, 2006, https://papers.nips.cc/paper/3048

Source: Alain, Bengio, Understanding intermediate layers using linear classifier probes,
2016, https://arxiv.org/abs/1610.01644
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import model_validator

from mlcv_explore import data
from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data.coarse import GROUPS
from mlcv_explore.idea import Cell, Film, Idea, Picture, Study, Tile
from mlcv_explore.ideas.hierarchical_representation import claims
from mlcv_explore.statistics import Split

if TYPE_CHECKING:
    from mlcv_explore.models.checkpoints import CheckpointSpec

TARGETS = ("code", "pixels")  # that a level reconstructs
OBJECTIVES = ("global", *(f"{kind}_{target}" for kind in ("greedy", "joint", "both") for target in TARGETS))
# in the autoencoder's place, greedily, each on the code below
LEARNERS = ("denoising", "contrastive", "pca", "kmeans")
ARMS = (*OBJECTIVES, "committed", *LEARNERS, "random", "supervised")  # the order of the arm axis A
MAPPED = ("global", "greedy_code")  # the arms whose codes and reconstructions a frame shows, M
PLACED = 80  # validation images whose codes are shown, where there are so many
SHOWN = 3  # validation images that are reconstructed, where there are so many
SHADES = 25  # steps of a shown pixel in one standard deviation
FRAMES = 12  # of the training
PROBES = 2  # frames with probes, evenly spaced, besides the start


def held_out(dataset: str) -> tuple[int, int]:
    """Validation and test images of a data set: ten validation labels a class, no more
    than a probe is trained on.
    """
    return 10 * len(data.entry(dataset).classes), 697 if dataset == "digits" else 2000


class HierarchicalRepresentationConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    local_weight: float = setting(
        1.0, "Weight of layer-wise losses", low=0, high=10, step=0.1, help="Beside an end-to-end loss."
    )
    labels: int = setting(
        10, "Labels per class", low=1, high=50, step=1, help="Of the probes; the supervised bound uses all."
    )
    levels: int = setting(3, "Levels", low=1, high=claims.MOST_LEVELS, step=1)
    width: int = setting(
        32, "Width", low=2, high=256, step=2, help="Units a level, or channels of the first convolution."
    )
    noise: float = setting(
        0.5, "Noise", low=0, high=2, step=0.05, more=True, help="In denoising and contrastive learners."
    )
    epochs: int = setting(40, "Epochs", low=1, high=400, step=10, more=True)
    train_size: int = setting(
        1000, "Training images", low=200, high=50_000, step=50, more=True, help="At most 1,000 on digits."
    )
    batch_size: int = setting(100, "Batch size", low=4, high=512, step=4, more=True)
    learning_rate: float = setting(0.005, "Learning rate", low=0.00001, high=1, step=0.001, more=True)
    activation: str = setting("relu", "Activation", choices=("relu", "linear"), more=True)
    tied: bool = setting(False, "Tied weights", more=True, help="Of encoders and decoders to the code below.")
    dataset: str = setting(
        "digits",
        "Data",
        choices=tuple(GROUPS),
        found=data.own_names,
        more=True,
        help="All but digits must be on this machine. Type my_folder@64 for the side of an own folder.",
    )
    network: str = setting("dense", "Network", choices=("dense", "convolutional"), more=True)
    split: str = setting(
        "fixed", "Split", choices=("fixed", "redrawn"), more=True, help="Redrawn a seed: wider intervals."
    )

    @model_validator(mode="after")
    def _fits(self) -> "HierarchicalRepresentationConfig":
        sizes = part_sizes(self)
        data.check_split(self.dataset, *sizes)
        most = min(sizes[0] // (2 * classes_of(self)), data.fewest_of_a_class(self.dataset, sizes[0]))
        if self.labels > most:
            raise SettingError(
                f"labels must be at most {most} with train_size {sizes[0]:,} and dataset"
                f" {self.dataset}, half of a class; got {self.labels}."
            )
        side = data.entry(self.dataset).shape[1]
        if self.network == "convolutional" and side % 2**self.levels:
            raise SettingError(
                f"levels must halve the {side} pixels of dataset {self.dataset} without a remainder where the"
                f" network is convolutional, got {self.levels}."
            )
        return self


def part_sizes(config: HierarchicalRepresentationConfig) -> tuple[int, int, int]:
    """Training, validation and test images of a run; of an own folder what it has."""
    return data.fitted_sizes(config.dataset, config.train_size, *held_out(config.dataset))


@dataclass(frozen=True)
class Frame:
    """Some epochs more: S seeds, A arms in the order of ARMS, L levels from the first,
    M arms in the order of MAPPED; float32 if not stated, 0 where there is nothing.
    """

    step: int  # epoch
    steps: int  # epochs
    probed: int  # epoch at which accuracies and errors were measured
    accuracy: np.ndarray  # (S, A, L) in [0, 1], of a probe of fine classes on the test images
    coarse: np.ndarray  # (S, A, L) in [0, 1], of coarse classes, in the last frame; 0 before
    error: np.ndarray  # (S, A, L) mean squared, of standardised test pixels; 0 at first or without decoder
    pixels: np.ndarray  # (S, 2) accuracy of the raw pixels: fine, coarse
    frozen: np.ndarray  # (S, L) of the committed arm in the last frame, only the probe's bias trained
    loss: (
        np.ndarray
    )  # (S, A, L + 1) epoch means: layer-wise losses, then the end-to-end one or the labels' one
    updates: np.ndarray  # (S, A, L) int32, of each level's encoder
    places: np.ndarray  # (S, M, L, PLACED, 2) leading components of validation codes, of the first seed
    labels: np.ndarray  # (S, PLACED) int16, their classes, of the first seed
    # (S, M, L, SHOWN, channels, height, width) int8, decoded standardised pixels times SHADES
    shown: np.ndarray


def classes_of(config: HierarchicalRepresentationConfig) -> int:
    """Fine classes of the data set."""
    return len(data.entry(config.dataset).classes)


def frame_epochs(config: HierarchicalRepresentationConfig) -> list[int]:
    """The epochs after which a frame is made; one more shows the start."""
    count = min(FRAMES, config.epochs)
    return [round(config.epochs * (place + 1) / count) for place in range(count)]


def probe_epochs(config: HierarchicalRepresentationConfig) -> list[int]:
    """Those of them at which probes are trained, and the start."""
    shown = frame_epochs(config)
    count = min(PROBES, len(shown))
    return [0, *(shown[round(len(shown) * (place + 1) / count) - 1] for place in range(count))]


def decodes(arm: str, level: int, levels: int) -> bool:
    """Whether an arm trains a decoder from this level (from 0) to the pixels."""
    if arm in ("global", "committed"):
        return level == levels - 1
    return arm not in ("contrastive", "random", "supervised")


def run(config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train every arm on the same batches and probe its levels. Raises
    FloatingPointError, DataError, SettingError with a sentence for the reader.
    """
    from mlcv_explore.ideas.hierarchical_representation.training import Trainer  # torch comes with it

    trainer = Trainer(config, seeds)
    yield trainer.frame(0)
    for epoch in range(1, config.epochs + 1):
        trainer.train()
        if epoch in frame_epochs(config):
            yield trainer.frame(epoch)


def metrics(config: HierarchicalRepresentationConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed, at the end. Accuracy and coarse accuracy are the top level's; `rise` is
    its accuracy minus the first level's, which the arm `…_first` has.
    """
    last, top = film[-1], config.levels - 1
    fine, coarse, error = (getattr(last, name).astype(float) for name in ("accuracy", "coarse", "error"))
    columns = dict(zip(("pixels_accuracy", "pixels_coarse"), last.pixels.astype(float).T, strict=True))
    for place, arm in enumerate(ARMS):
        columns |= {
            f"{arm}_accuracy": fine[:, place, top],
            f"{arm}_coarse": coarse[:, place, top],
            f"{arm}_first_accuracy": fine[:, place, 0],
            f"{arm}_rise": fine[:, place, top] - fine[:, place, 0],
            f"{arm}_updates": last.updates[:, place].min(1).astype(float),
        }
        for level in range(config.levels):
            columns |= {
                f"{arm}_level{level + 1}": fine[:, place, level],
                f"{arm}_coarse{level + 1}": coarse[:, place, level],
            }
            if decodes(arm, level, config.levels):
                columns[f"{arm}_error{level + 1}"] = error[:, place, level]
    committed = ARMS.index("committed")
    # the level that the author's last probe uses
    columns["committed_shifted_accuracy"] = fine[:, committed, top - 1] if top else columns["pixels_accuracy"]
    columns["committed_frozen_accuracy"] = last.frozen[:, top].astype(float)
    return columns


def depth_curve(frame: Frame, arm: str) -> np.ndarray:
    """Accuracy (S, 1 + L) from the pixels up."""
    return np.concatenate([frame.pixels[:, :1], frame.accuracy[:, ARMS.index(arm)]], axis=1).astype(float)


def picture(film: Film) -> Picture:
    """Probe accuracy over depth at the end."""
    last = film[-1]
    arms = {"baseline": "global", "idea": "greedy_code", "control": "random", "oracle": "supervised"}
    return Picture(
        np.arange(last.accuracy.shape[2] + 1.0),
        {role: depth_curve(last, arm) for role, arm in arms.items()},
        {role: idea.label(arm).lower() for role, arm in arms.items()},
        "level",
        "test accuracy of a probe",
    )


# claim → its arms, and all arms that the rows hold
CLAIM_ARMS = {claim.name: {arm: arm for arm in claim.arms} for claim in claims.CLAIMS}
EVERY_ARM = {arm: arm for arm in (*ARMS, "pixels", "committed_shifted", "committed_frozen")}
VARIED = ("global", "greedy_code", "greedy_pixels", "both_pixels", *LEARNERS, "random")
VARIATIONS = (  # one setting changed at a time
    *({}, {"split": "redrawn"}, {"epochs": 10}, {"epochs": 200}, {"width": 16}, {"width": 64}),
    *({"labels": 2}, {"labels": 50}, {"levels": 5}),
)


def _study() -> Study:
    """Claims, every arm at every level, and the arms that matter with other settings."""
    base = HierarchicalRepresentationConfig()
    varied = {arm: arm for arm in VARIED}
    cells = (
        *(Cell(name, base, arms) for name, arms in CLAIM_ARMS.items()),
        Cell("arms", base, EVERY_ARM),
        *(Cell("varied", base.replace(**change), varied) for change in VARIATIONS),
    )
    return Study("live", cells, tuple(range(20)))


def split_sizes(config: HierarchicalRepresentationConfig) -> Split | None:
    """Sizes of the parts when every seed has a split of its own, None when all share
    one.
    """
    train, _, test = part_sizes(config)
    return Split(train, test) if config.split == "redrawn" else None


def checkpoints() -> "Mapping[str, CheckpointSpec]":
    """The levels and maps of the demo."""
    from mlcv_explore.ideas.hierarchical_representation import pretrain  # torch comes with it

    return pretrain.CHECKPOINTS


def tiles() -> tuple[Tile, ...]:
    """A test digit, and its reconstruction from each level of the layer-wise arm."""
    from mlcv_explore.ideas.hierarchical_representation import inference

    return inference.tiles()


idea = Idea(
    config=HierarchicalRepresentationConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=HierarchicalRepresentationConfig(
        epochs=1, train_size=200, labels=2, levels=1, width=8, batch_size=100
    ),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURES,
    studies=(_study(),),
    prior_work=claims.PRIOR_WORK,
    provenance=claims.PROVENANCE,
    limits=claims.LIMITS,
    tiles=tiles,
    split_sizes=split_sizes,
    part_sizes=part_sizes,
    checkpoints=checkpoints,
)
