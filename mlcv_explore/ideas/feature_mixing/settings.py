"""Settings of a run, the frames it yields, and the order of arms and measures in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import model_validator

from mlcv_explore import data
from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data.coarse import GROUPS

CORE = ("plain", "soft", "mixed", "both")  # the 2×2
SMOOTHED = ("smoothing", "matched")
BASELINES = ("separate", "input_mixup", "cutmix", "manifold", "oracle")  # beyond those the claims need
ARMS = (*CORE, *SMOOTHED, "scrambled", *BASELINES)
COARSE_ARMS = tuple(f"coarse_{arm}" for arm in CORE)
PASTES = ("none", "object", "image", "mixed", "blended")
PASTE_ARMS = tuple(f"paste_{kind}" for kind in PASTES)
PROBES = ("pixels", "random", "unjittered", "jitter", "noise", "mixed", "both", "supervised")
PROBE_ARMS = tuple(f"probe_{kind}" for kind in PROBES)
MEASURES = ("accuracy", "nll", "miscalibration")
PASTE_MEASURES = ("accuracy", "boxes")
MODES = ("sum", "convex", "extrapolate")
SCALINGS = ("sum_to_one", "softmax", "argmax")
PARTNERS = ("any", "same", "other")
EXPERIMENTS = ("mixing", "paste", "contrastive", "all")
ENCODERS = ("random", "autoencoder", "rotation", "contrastive")
# sets of vectors without pixels, and the images whose classes they have
FEATURES = {name: "cifar10" for name, entry in data.CATALOGUE.items() if entry.kind == "features"}
NEED_PIXELS = {"experiment": ("contrastive",), "encoder": ("rotation", "contrastive")}
NEED_PIXELS |= {"network": ("convolutional",)}
# where the setting is 0; on features chosen on photographs that no study tests on (docs/ideas)
LEARNING_RATES = {"features": 0.0003, "images": 0.003}
SIZES = {"digits": (600, 297, 900)}  # others: (5000, 1000, 2000)
EXAMPLES = 40  # images shown with their mixtures
FRAMES = 20  # of the mixing experiment
PASTE_FRAMES = 5


def split_sizes(dataset: str) -> tuple[int, int, int]:
    """Training, validation and test images; of digits all, half of them for testing, of
    an own folder what it has.
    """
    return data.fitted_sizes(dataset, *SIZES.get(dataset, (5000, 1000, 2000)))


class FeatureMixingConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    renamed: ClassVar[Mapping[str, str]] = {"tested_scenes": "test_scenes"}
    experiment: str = setting(
        "mixing", "Experiment", choices=EXPERIMENTS, help="Contrastive views need pixels: on images only."
    )
    weight: float = setting(1.0, "Weight λ", low=0, high=2, step=0.05, help="Of the second image; 0: none.")
    smoothing: float = setting(
        0.05, "Label smoothing ε", low=0, high=0.9, step=0.05, help="Of the baseline that mixes nothing."
    )
    depth: int = setting(2, "Depth", low=0, high=3, step=1, help="0: the input; 3: the last hidden layer.")
    scaling: str = setting("sum_to_one", "Label scaling", choices=SCALINGS, help="So that labels sum to 1.")
    labels: int = setting(10, "Labels per class", low=1, high=500, step=1, help="At most 499; on digits 59.")
    temperature: float = setting(1.0, "Softmax temperature", low=0.05, high=5, step=0.05, more=True)
    images: int = setting(
        2, "Images per mixture, m", low=1, high=10, step=1, more=True, help="All but the first share λ."
    )
    mode: str = setting(
        "sum", "Mode", choices=MODES, more=True, help="F_i + λF_j; that over 1 + λ; F_i + λ(F_i − F_j)."
    )
    partners: str = setting("any", "Class of the second image", choices=PARTNERS, more=True)
    encoder: str = setting(
        "random",
        "Encoder initialisation (no labels)",
        choices=ENCODERS,
        more=True,
        help="Rotation and contrastive need pixels: on images only.",
    )
    tuned: bool = setting(True, "Train the encoder", more=True, help="Off: frozen below the depth.")
    pretraining: int = setting(600, "Pretraining steps", low=0, high=20_000, step=100, more=True)
    steps: int = setting(400, "Steps", low=10, high=20_000, step=50, more=True)
    batch_size: int = setting(50, "Batch size", low=5, high=512, step=5, more=True)
    width: int = setting(128, "Width (units, or channels)", low=8, high=512, step=8, more=True)
    learning_rate: float = setting(
        0.0, "Learning rate", low=0, high=1, step=0.0001, more=True, help="0: 0.0003, on images 0.003."
    )
    dataset: str = setting("cifar10_features", "Data", choices=(*GROUPS, *FEATURES), **data.BY_NAME)
    baselines: bool = setting(True, "Train every baseline", more=True, help="Off: only the arms of claims.")
    network: str = setting("dense", "Network", choices=("dense", "convolutional"), more=True)
    scenes: int = setting(200, "Training scenes", low=33, high=5000, step=8, more=True)
    test_scenes: int = setting(1000, "Test scenes", low=50, high=5000, step=50, more=True)
    paste_share: float = setting(0.5, "Share of scenes pasted into", low=0, high=1, step=0.05, more=True)
    paste_depth: int = setting(1, "Depth of pasting", low=0, high=2, step=1, more=True)
    paste_steps: int = setting(600, "Copy-paste steps", low=2, high=20_000, step=50, more=True)
    contrast_steps: int = setting(400, "Contrastive steps", low=10, high=20_000, step=50, more=True)
    jitter_weight: float = setting(0.25, "λ of a mixed view", low=0, high=1, step=0.05, more=True)
    feature_noise: float = setting(
        0.25, "Feature noise of a view", low=0, high=2, step=0.05, more=True, unit="standard deviations"
    )
    pixel_noise: float = setting(0.2, "Pixel noise of a view", low=0, high=1, step=0.05, more=True)
    pixel_shift: int = setting(0, "Largest pixel shift of a view", low=0, high=8, step=1, more=True)

    @model_validator(mode="after")
    def _fits(self) -> "FeatureMixingConfig":
        data.check_split(self.dataset, *split_sizes(self.dataset))
        classes, count = len(data.entry(self.dataset).classes), split_sizes(self.dataset)[0]
        most = data.fewest_of_a_class(self.dataset, count)
        if self.labels > most:
            where = f"{self.dataset} ({count:,} training images in {classes} classes)"
            raise SettingError(f"labels must be at most {most} on {where}, got {self.labels}.")
        most, what = {
            "any": (self.labels * classes, "labelled images"),
            "same": (self.labels, "labelled images of a class, with partners of the same"),
            "other": (classes, "classes, with partners of others"),
        }[self.partners]
        if self.images > most:
            raise SettingError(f"images must be at most the {most} {what}, got {self.images}.")
        for name, refused in {} if self.pixels else NEED_PIXELS.items():
            if getattr(self, name) in refused:
                *some, last = (choice for choice in self.setting(name).choices if choice not in refused)
                allowed = " or ".join(filter(None, (", ".join(some), last)))
                where = f"{self.dataset}, vectors without pixels"
                raise SettingError(f"{name} must be {allowed} on {where}, got {getattr(self, name)!r}.")
        return self

    @property
    def pixels(self) -> bool:
        """Whether the data are images; features of photographs are vectors."""
        return data.entry(self.dataset).kind == "images"

    @property
    def rate(self) -> float:
        """The learning rate that is used: the setting, or the data's own where it is 0."""
        return self.learning_rate or LEARNING_RATES[data.entry(self.dataset).kind]

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms of ARMS that are trained: CutMix needs pixels."""
        refused = (() if self.pixels else ("cutmix",)) + (() if self.baselines else BASELINES)
        return tuple(arm for arm in ARMS if arm not in refused)

    @property
    def stages(self) -> tuple[str, ...]:
        """The experiments of this run; "all" are those that its data can serve."""
        if self.experiment != "all":
            return (self.experiment,)
        refused = () if self.pixels else NEED_PIXELS["experiment"]
        return tuple(stage for stage in EXPERIMENTS[:-1] if stage not in refused)

    def frame_steps(self, stage: str) -> list[int]:
        """Steps of mixing or copy-paste that become frames, evenly spaced."""
        steps, count = (self.steps, FRAMES) if stage == "mixing" else (self.paste_steps, PASTE_FRAMES)
        positions = np.linspace(0, steps, min(steps, count) + 1)
        return np.unique(positions.round().astype(int))[1:].tolist()

    @property
    def frames(self) -> int:
        """Number of frames of the run; mixing with baselines ends in one of coarse classes."""
        mixing, paste = (len(self.frame_steps(stage)) for stage in ("mixing", "paste"))
        counts = {"mixing": mixing + self.baselines, "paste": paste, "contrastive": len(PROBE_ARMS)}
        return sum(counts[stage] for stage in self.stages)


@dataclass(frozen=True)
class Frame:
    """Results so far; S seeds, float32, shares in [0, 1]; 0 what is not measured, or not
    yet.
    """

    step: int  # parts done
    steps: int
    stage: str  # "mixing", "coarser", "paste" or "contrastive"
    measured: np.ndarray  # (S, len(ARMS), len(MEASURES)) on test images
    validation: np.ndarray  # (S, len(ARMS)) accuracy on validation images
    scaled: np.ndarray  # (S, len(ARMS)) of the end, nats on test images at validation's best temperature
    loss: np.ndarray  # (S, len(ARMS)) of the last batch, nats
    coarse: np.ndarray  # (S, len(COARSE_ARMS), len(MEASURES)) of the second network
    pasted: np.ndarray  # (S, len(PASTE_ARMS), len(PASTE_MEASURES)) on test scenes
    probes: np.ndarray  # (S, len(PROBE_ARMS)) test accuracy
    # (S, EXAMPLES, 5) two leading components of features of "both": x, y, label, x and y mixed
    cloud: np.ndarray
