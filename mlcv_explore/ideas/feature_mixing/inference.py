"""The demo: images mixed at a depth of a pretrained network, decoded, classified and
placed on the map of the training features. Numbers and sentences only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore.config import Config, setting
from mlcv_explore.data import compositing, small_images
from mlcv_explore.data.small_images import SmallImage
from mlcv_explore.idea import Role, Tile
from mlcv_explore.ideas.feature_mixing.settings import MODES
from mlcv_explore.models import decoded_demo, photograph_map
from mlcv_explore.models.checkpoints import CheckpointSpec
from mlcv_explore.models.decoded_demo import DecodedDemo, DecodedHyperparameters, make
from mlcv_explore.models.mixing import mix_features, soft_labels
from mlcv_explore.models.photograph_map import PhotographMapHyperparameters

PREFIX = "feature_mixing_"
DIGITS = DecodedHyperparameters(dataset="digits", train_size=1397, mapped=1000)
CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    f"{PREFIX}scenes": CheckpointSpec(DecodedHyperparameters(), make),
    f"{PREFIX}digits": CheckpointSpec(DIGITS, make),
    f"{PREFIX}photographs": CheckpointSpec(PhotographMapHyperparameters(), photograph_map.make),
}
PASTES = ("object", "rectangle")
ALL_MODES = (*MODES, *PASTES)
# CIFAR-10's features with their map. Raises CheckpointError and DataError
photographs = partial(photograph_map.load, f"{PREFIX}photographs/0")
SOURCES = {"scenes": ("Test set", "Gallery", "Upload"), "digits": ("Test set", "Draw", "Upload")}
TRAIL = np.linspace(0, 2, 21)  # values of λ on the trail
TEST_IMAGES = 60  # test images to choose from
MOST_IMAGES = 5


class FeatureMixingView(Config):
    """Settings of the demo; nothing of it is trained."""

    renamed: ClassVar[Mapping[str, str]] = {"world": "data"}
    first: int = setting(1, "First image", low=1, high=TEST_IMAGES, step=1)
    second: int = setting(2, "Second image", low=1, high=TEST_IMAGES, step=1)
    share: float = setting(
        0.5, "Second photograph's share, λ/(1 + λ)", low=0, high=1, step=0.1, help="mixup's λ is 1 − share."
    )
    mixture: int = setting(2, "Images, m", low=1, high=MOST_IMAGES, step=1, help="All but the first share λ.")
    area: float = setting(0.25, "Rectangle's share of the image", low=0, high=1, step=0.05)
    place: float = setting(0.5, "Rectangle's place, upper left to lower right", low=0, high=1, step=0.05)


@dataclass(frozen=True)
class MixSettings:
    """How images are mixed."""

    mode: str = "sum"  # one of MODES or PASTES
    weight: float = 0.5
    depth: int = 2
    scaling: str = "sum_to_one"
    temperature: float = 1.0
    area: float = 0.25  # of a rectangle, share of the image
    place: float = 0.5  # of a rectangle, along the diagonal


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixed feature and what the network makes of it."""

    image: np.ndarray  # (C, side, side) in [0, 1], decoded
    target: np.ndarray  # (K,) label in training
    predicted: np.ndarray  # (K,) probabilities
    labels: tuple[int, ...]  # of the mixed images: known, or predicted
    guessed: tuple[bool, ...]  # whether the label is predicted
    nearest: np.ndarray  # (5,) indices of images on the map
    novelty_percentile: float  # share of the map's features whose fifth neighbour is nearer
    distance: float  # to its fifth neighbour, in units of the median test image's
    place: np.ndarray  # (2,) on the map
    ends: np.ndarray  # (2, 2) of the first two images
    trail: np.ndarray  # (T, 2) of the mixture for λ from 0 to 2; empty where λ has no effect
    pasted: np.ndarray | None  # (side, side) the mask of a paste


def demo(dataset: str) -> DecodedDemo:
    """The pretrained network of "scenes" or "digits". Raises CheckpointError."""
    return decoded_demo.load(f"{PREFIX}{dataset}/0")


@torch.no_grad()
def mix(
    shown: DecodedDemo, first: SmallImage, partners: Sequence[SmallImage], settings: MixSettings
) -> Mixture:
    """The first image's feature mixed with those of its partners, which share λ, or with
    the first partner pasted in. Without partners it stays as it is.
    """
    inputs, model, depth, mode = (first, *partners), shown.model, settings.depth, settings.mode
    features = model.features(torch.from_numpy(np.stack([image.image for image in inputs])), depth)
    predicted = model.logits(features, depth).argmax(1).tolist()
    known = [image.label for image in inputs]
    labels = [guess if label is None else label for label, guess in zip(known, predicted, strict=True)]
    one_hot = functional.one_hot(torch.tensor(labels), len(shown.classes)).float()
    mixed, target, mask, trail = features[:1], one_hot[:1], None, features[:0]
    if partners and mode in PASTES:
        mask, target = _pasted(inputs, one_hot, settings)
        scaled = functional.adaptive_avg_pool2d(mask, features.shape[-1])
        mixed = compositing.paste(mixed, features[1:2], scaled)
    elif mode in MODES:
        # without partners the image itself at weight 0, so that its label is scaled alike
        rest, weight = (slice(1, None), settings.weight) if partners else (slice(1), 0.0)
        other, classes = (values[rest].mean(0, keepdim=True) for values in (features, one_hot))
        if partners:
            trail = torch.cat([mix_features(mixed, other, float(step), mode) for step in TRAIL])
        mixed = mix_features(mixed, other, weight, mode)
        target = soft_labels(target, classes, weight, settings.scaling, settings.temperature, mode)
    ends = [features[:1], features[1:2] if partners else features[:1]]
    spots = model.components(torch.cat([mixed, *ends, trail]), depth).numpy()
    plane = shown.map(depth)
    positions, (distances, nearest) = plane.fitted.transform(spots), plane.fitted.nearest(spots[:1])
    return Mixture(
        image=model.decode(mixed, depth)[0].numpy(),
        target=target[0].numpy(),
        predicted=model.logits(mixed, depth).softmax(1)[0].numpy(),
        labels=tuple(labels),
        guessed=tuple(label is None for label in known),
        nearest=nearest[0],
        novelty_percentile=float(plane.fitted.novelty_percentile(spots[:1])[0]),
        distance=float(distances[0, -1] / plane.usual_distance),
        place=positions[0],
        ends=positions[1:3],
        trail=positions[3:],
        pasted=None if mask is None else mask[0, 0].numpy(),
    )


def _pasted(
    inputs: Sequence[SmallImage], one_hot: torch.Tensor, settings: MixSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the partner is pasted, (1, 1, side, side), and the label (1, K)."""
    own, other = (torch.from_numpy(image.mask)[None, None] for image in inputs[:2])
    if settings.mode == "object":
        return other, compositing.labels_by_visibility(one_hot[:1], one_hot[1:2], own, other, other)
    side, place = own.shape[-1], torch.full((1, 2), min(settings.place, 0.999))
    mask = compositing.square_masks(torch.tensor([settings.area * side**2]), place, side)
    return mask, compositing.labels_by_area(one_hot[:1], one_hot[1:2], mask)


def tiles() -> tuple[Tile, ...]:
    """Two test scenes, and their mixtures at depth 1 with 25, 50 and 75 % of the second."""
    shown = demo("scenes")
    ends = [small_images.from_images(shown.test, number) for number in range(2)]
    ways = [MixSettings("convex", weight, depth=1) for weight in (1 / 3, 1, 3)]
    images = (ends[0].image, *(mix(shown, ends[0], ends[1:], way).image for way in ways), ends[1].image)
    return tuple(Tile(np.clip(image.transpose(1, 2, 0), 0, 1)) for image in images)


def examples(mixture: Mixture) -> dict[str, tuple[np.ndarray, Role, int | None]]:
    """For the map: place, role and class of the images and of the mixture."""
    placed = zip(mixture.ends, ("variant", "other"), mixture.labels, strict=False)
    inputs = dict(zip(("first", "second"), placed, strict=False))
    return inputs | {"mixed": (mixture.place, "idea", None)}


def notes(shown: DecodedDemo, mixture: Mixture, count: int) -> str:
    """What the decoded mixture of `count` images is, and what was assumed."""
    known = zip(mixture.labels, mixture.guessed, strict=True)
    guessed = [shown.classes[label] for label, guess in known if guess]
    empty = mixture.pasted is not None and not mixture.pasted.any()
    sentences = {
        "Mixed and decoded.": True,
        f"Predicted class used: {', '.join(guessed)}.": guessed,
        "The mask is empty: nothing is pasted.": empty,
        "With m = 1 nothing is mixed.": count == 1,
    }
    return " ".join(sentence for sentence, holds in sentences.items() if holds)


def map_notice(shown: DecodedDemo, mixture: Mixture, depth: int) -> str:
    """How far the mixture is from the training features, and the map's error."""
    median, late = np.quantile(shown.map(depth).errors, (0.5, 0.9))
    return (
        f"{'Line: the mixture for λ from 0 to 2. ' if len(mixture.trail) else ''}Its fifth nearest training"
        f" feature is **{mixture.distance:.2f} times** as far as a test image's; novelty percentile"
        f" **{mixture.novelty_percentile:.0%}**. Placement error: median {median:.1%} of the map's"
        f" width, 90th percentile {late:.1%}."
    )
