"""Settings of a run, the frames it yields, and the order of arms in them."""

from dataclasses import dataclass

import numpy as np
from pydantic import model_validator

from mlcv_explore import data
from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data.coarse import GROUPS, coarse

TARGETS = ("code", "pixels")  # that a level reconstructs
OBJECTIVES = ("global", *(f"{kind}_{target}" for kind in ("greedy", "joint", "both") for target in TARGETS))
# in the autoencoder's place, greedily, each on the code below
LEARNERS = ("denoising", "contrastive", "pca", "kmeans")
ARMS = (*OBJECTIVES, "committed", *LEARNERS, "random", "supervised")  # the order of the arm axis A
# the wirings of the headline with their controls and bounds; a run may leave out all others
WIRINGS = ("global", "greedy_code", "greedy_pixels", "pca", "random", "supervised")
MAPPED = ("global", "greedy_code")  # the arms whose codes and reconstructions a frame shows, M
PLACED = 80  # validation images whose codes are shown, where there are so many
SHOWN = 3  # validation images that are reconstructed, where there are so many
SHADES = 25  # steps of a shown pixel in one standard deviation
MOST_LEVELS = 5
FRAMES = 12  # of the training, and those with probes
# measure → share of the epochs after which probes are trained too, besides the start and the end
LENGTHS = {"after5": 0.05, "after20": 0.2, "after50": 0.5}
# set of features → the photographs it was computed from, whose coarse classes it has
PHOTOGRAPHS = {"cifar10_features": "cifar10", "cifar10_features_full": "cifar10"}


def held_out(dataset: str) -> tuple[int, int]:
    """Validation images, ten a class as a probe is trained on, and test images."""
    return 10 * len(data.entry(dataset).classes), 697 if dataset == "digits" else 2000


class HierarchicalRepresentationConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    compared: str = setting(
        "all", "Arms", choices=("all", "wirings"), help="Wirings: end-to-end, layer-wise and bounds only."
    )
    labels: int = setting(
        10, "Labels per class", low=1, high=50, step=1, help="Of the probes; the supervised bound uses all."
    )
    levels: int = setting(3, "Levels", low=1, high=MOST_LEVELS, step=1)
    width: int = setting(
        32, "Width", low=2, high=256, step=2, help="Units a level, or channels of the first convolution."
    )
    noise: float = setting(
        0.5, "Noise", low=0, high=2, step=0.05, help="In denoising and contrastive learners."
    )
    epochs: int = setting(40, "Epochs", low=1, high=400, step=10, more=True)
    train_size: int = setting(
        1000,
        "Training images",
        low=200,
        high=50_000,
        step=50,
        more=True,
        help="At most 9,900; on digits 1,000.",
    )
    batch_size: int = setting(100, "Batch size", low=4, high=512, step=4, more=True)
    learning_rate: float = setting(0.005, "Learning rate", low=0.00001, high=1, step=0.001, more=True)
    dataset: str = setting(
        "cifar10_features", "Data", choices=tuple(dict.fromkeys((*PHOTOGRAPHS, *GROUPS))), **data.BY_NAME
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
        known = data.entry(self.dataset)
        if self.network == "convolutional" and known.kind == "features":
            raise SettingError(
                f"network must be dense on {self.dataset}, vectors without pixels, got 'convolutional'."
            )
        side = known.shape[1]
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
    # (S, A, L) in [0, 1], of a probe of 12 components, and of coarse classes, in the last frame; 0 before
    leading: np.ndarray
    coarse: np.ndarray
    error: np.ndarray  # (S, A, L) mean squared, of standardised test inputs; 0 at first or without decoder
    pixels: np.ndarray  # (S, 3) accuracy of the input itself, pixels or features: fine, leading, coarse
    frozen: np.ndarray  # (S, L) of the committed arm in the last frame, only the probe's bias trained
    # (S, A, L + 1) epoch means: layer-wise losses, then the end-to-end one or the labels' one
    loss: np.ndarray
    updates: np.ndarray  # (S, A, L) int32, of each level's encoder
    places: np.ndarray  # (S, M, L, PLACED, 2) leading components of validation codes, of the first seed
    labels: np.ndarray  # (S, PLACED) int16, their classes, of the first seed
    # (S, M, L, SHOWN, channels, height, width) int8, decoded standardised inputs times SHADES
    shown: np.ndarray


def classes_of(config: HierarchicalRepresentationConfig) -> int:
    """Fine classes of the data set."""
    return len(data.entry(config.dataset).classes)


def coarse_places(dataset: str) -> np.ndarray:
    """(K,) int64: each fine class's place among the coarse ones, of its photographs."""
    return coarse(PHOTOGRAPHS.get(dataset, dataset))[1]


def arms(config: HierarchicalRepresentationConfig) -> tuple[str, ...]:
    """The arms that a run trains, in the order of ARMS."""
    return tuple(arm for arm in ARMS if config.compared == "all" or arm in WIRINGS)


def frame_epochs(config: HierarchicalRepresentationConfig) -> list[int]:
    """The epochs after which a frame is made; one more shows the start."""
    count = min(FRAMES, config.epochs)
    even = (round(config.epochs * (place + 1) / count) for place in range(count))
    return sorted({*even, *probe_epochs(config)} - {0})


def probe_epochs(config: HierarchicalRepresentationConfig) -> list[int]:
    """Those of them at which probes are trained, and the start."""
    return sorted({0, config.epochs, *(length_epoch(config, name) for name in LENGTHS)})


def length_epoch(config: HierarchicalRepresentationConfig, name: str) -> int:
    """The epoch of one of LENGTHS, at least 1."""
    return max(1, round(LENGTHS[name] * config.epochs))


def decodes(arm: str, level: int, levels: int) -> bool:
    """Whether an arm trains a decoder from this level (from 0) to the input."""
    if arm in ("global", "committed"):
        return level == levels - 1
    return arm not in ("contrastive", "random", "supervised")
