"""The demo: images mixed at a depth of a pretrained network, decoded, classified and
placed on the map of the training features. Numbers and sentences only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore.config import Config, setting
from mlcv_explore.data import compositing, drawings, uploads
from mlcv_explore.data.dataset import Images
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.feature_mixing import pretrain
from mlcv_explore.ideas.feature_mixing.mixing import MODES, mix_features, soft_labels
from mlcv_explore.ideas.feature_mixing.pretrain import INK, MixingModel
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.models import checkpoints

PASTES = ("object", "rectangle")
ALL_MODES = (*MODES, *PASTES)
SOURCES = {"scenes": ("Test set", "Gallery", "Upload"), "digits": ("Test set", "Draw", "Upload")}
NEAREST = 5
TRAIL = np.linspace(0, 2, 21)  # values of λ on the trail
TESTED = 60  # test images to choose from
MOST_IMAGES = 5


class FeatureMixingView(Config):
    """Settings of the demo; nothing of it is trained."""

    first: int = setting(1, "First image", low=1, high=TESTED, step=1)
    second: int = setting(2, "Second image", low=1, high=TESTED, step=1)
    mixture: int = setting(2, "Images, m", low=1, high=MOST_IMAGES, step=1, help="All but the first share λ.")
    area: float = setting(0.25, "Rectangle's share of the image", low=0, high=1, step=0.05)
    place: float = setting(0.5, "Rectangle's place, upper left to lower right", low=0, high=1, step=0.05)


@dataclass(frozen=True, eq=False)
class MixingDemo:
    """A pretrained network with the images of its map and its test images."""

    name: str
    model: MixingModel
    card: dict[str, Any]
    mapped: Images  # in the map's order
    test: Images

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.card["classes"])


@dataclass(frozen=True, eq=False)
class MixInput:
    """An image to mix."""

    image: np.ndarray  # (C, side, side) float32 in [0, 1]
    mask: np.ndarray  # (side, side) float32 of 0 and 1, where its object is
    label: int | None  # None where it is unknown


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
    nearest: np.ndarray  # (NEAREST,) places on the map
    novelty_percentile: float  # share of the map's features whose fifth neighbour is nearer
    distance: float  # to its fifth neighbour, in units of the median test image's
    place: np.ndarray  # (2,) on the map
    ends: np.ndarray  # (2, 2) of the first two images
    trail: np.ndarray  # (T, 2) of the mixture for λ from 0 to 2; empty where λ has no effect
    pasted: np.ndarray | None  # (side, side) the mask of a paste


@cache
def demo(name: str) -> MixingDemo:
    """The pretrained demo "scenes" or "digits", read once. Raises CheckpointError."""
    model, card = checkpoints.load_network(
        f"{pretrain.PREFIX}{name}/0", lambda card: MixingModel(**card["arguments"])
    )
    hyperparameters, mapped = pretrain.MixingHyperparameters(**card["recipe"]), card["arguments"]["mapped"]
    count = hyperparameters.taught if name == "digits" else mapped
    train, test = pretrain.demo_images(name, count, hyperparameters.tested, card["seed"])
    return MixingDemo(name, model, card, train.take(np.arange(mapped)), test)


@cache
def feature_map(name: str, depth: int) -> FittedMap:
    """The map of a depth."""
    return demo(name).model.map(depth)


@cache
def map_error(name: str, depth: int) -> tuple[float, float]:
    """Median and 90th percentile of a new point's distance from where UMAP's transform
    puts it, as shares of the map's width.
    """
    errors = demo(name).model.map_errors(depth)
    return float(np.median(errors)), float(np.quantile(errors, 0.9))


@cache
def usual_distance(name: str, depth: int) -> float:
    """Median distance of a test image's feature to its fifth neighbour on the map."""
    asked = getattr(demo(name).model, f"asked{depth}").numpy()
    return float(np.median(feature_map(name, depth).nearest(asked)[0][:, -1]))


def test_input(shown: MixingDemo, number: int) -> MixInput:
    """The number-th test image, from 0."""
    image = shown.test.images[number].astype(np.float32) / 255
    return MixInput(image, shown.test.masks[number].astype(np.float32), int(shown.test.labels[number]))


def photograph_input(shown: MixingDemo, pixels: np.ndarray) -> MixInput:
    """An uploaded image uint8 (h, w, 3): resized for scenes, its object estimated;
    cropped to its ink for digits.
    """
    if shown.card["arguments"]["channels"] == 1:
        digit = drawings.digit_from_image(pixels, shown.card["arguments"]["side"])
        return digit_input(np.zeros(shown.test.images.shape[2:]) if digit is None else digit)
    image = uploads.resized_to_square(pixels, shown.card["arguments"]["side"])
    return MixInput(image, compositing.estimated_mask(image), None)


def digit_input(values: np.ndarray) -> MixInput:
    """A drawn digit (side, side) in [0, 1]; its object is its ink."""
    return MixInput(values[None].astype(np.float32), (values > INK / 255).astype(np.float32), None)


@torch.no_grad()
def mix(shown: MixingDemo, first: MixInput, partners: Sequence[MixInput], settings: MixSettings) -> Mixture:
    """The first image's feature mixed with those of its partners, which share λ, or with
    the first partner pasted in. Without partners it stays as it is.
    """
    inputs, model, depth = (first, *partners), shown.model, settings.depth
    features = model.features(torch.from_numpy(np.stack([each.image for each in inputs])), depth)
    predicted = model.logits(features, depth).argmax(1).tolist()
    labels = tuple(
        guess if each.label is None else each.label for each, guess in zip(inputs, predicted, strict=True)
    )
    one_hot = functional.one_hot(torch.tensor(labels), len(shown.classes)).float()
    mixed, target, mask, trail = features[:1], one_hot[:1], None, torch.empty(0, *features.shape[1:])
    if partners and settings.mode in PASTES:
        mask = _paste_mask(first, partners[0], settings)
        scaled = functional.adaptive_avg_pool2d(mask, features.shape[-1])
        mixed, target = (
            compositing.paste(mixed, features[1:2], scaled),
            _pasted_label(one_hot, inputs, mask, settings),
        )
    elif settings.mode in MODES:
        # without partners the image itself at weight 0, so that its label is scaled alike
        rest = slice(1, None) if partners else slice(1)
        weight, other, classes = settings.weight, features[rest].mean(0, keepdim=True), one_hot[rest]
        if partners:
            trail = torch.cat([mix_features(mixed, other, float(step), settings.mode) for step in TRAIL])
        weight = weight if partners else 0.0
        mixed = mix_features(mixed, other, weight, settings.mode)
        target = soft_labels(
            target,
            classes.mean(0, keepdim=True),
            weight,
            settings.scaling,
            settings.temperature,
            settings.mode,
        )
    ends = [features[:1], features[1:2] if partners else features[:1]]
    spots = model.components(torch.cat([mixed, *ends, trail]), depth).numpy()
    fitted = feature_map(shown.name, depth)
    places, (distances, nearest) = fitted.transform(spots), fitted.nearest(spots[:1])
    return Mixture(
        model.decode(mixed, depth)[0].numpy(),
        target[0].numpy(),
        model.logits(mixed, depth).softmax(1)[0].numpy(),
        labels,
        tuple(each.label is None for each in inputs),
        nearest[0][:NEAREST],
        float(fitted.novelty_percentile(spots[:1])[0]),
        float(distances[0, -1] / usual_distance(shown.name, depth)),
        places[0],
        places[1:3],
        places[3:],
        None if mask is None else mask[0, 0].numpy(),
    )


def _paste_mask(first: MixInput, partner: MixInput, settings: MixSettings) -> torch.Tensor:
    """(1, 1, side, side) where the partner is pasted."""
    if settings.mode == "object":
        return torch.from_numpy(partner.mask)[None, None]
    side, place = first.mask.shape[-1], min(settings.place, 0.999)
    return compositing.square_masks(torch.tensor([settings.area * side**2]), torch.full((1, 2), place), side)


def _pasted_label(
    one_hot: torch.Tensor, inputs: Sequence[MixInput], mask: torch.Tensor, settings: MixSettings
) -> torch.Tensor:
    """(1, K): by the visible pixels of either object, or by the area of a rectangle."""
    if settings.mode == "rectangle":
        return compositing.labels_by_area(one_hot[:1], one_hot[1:2], mask)
    own, other = (torch.from_numpy(each.mask)[None, None] for each in inputs[:2])
    return compositing.labels_by_visibility(one_hot[:1], one_hot[1:2], own, other, mask)


def pixels(image: np.ndarray) -> np.ndarray:
    """An image (C, side, side) in [0, 1] as float (side, side, 3)."""
    return np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3))


def tiles(first: int = 0, second: int = 1) -> tuple[Tile, ...]:
    """Two test scenes, and between them their mixtures at depth 1 with 25, 50 and 75 %
    of the second, decoded.
    """
    shown = demo("scenes")
    ends = [test_input(shown, number) for number in (first, second)]
    mixed = [
        mix(shown, ends[0], ends[1:], MixSettings("convex", weight, depth=1)).image
        for weight in (1 / 3, 1, 3)
    ]
    images = (ends[0].image, *mixed, ends[1].image)
    return tuple(Tile(np.clip(pixels(image), 0, 1)) for image in images)


def map_groups(shown: MixingDemo, mixture: Mixture) -> tuple[np.ndarray, dict[str, str], dict[str, tuple]]:
    """For the chart of the map: the role of every feature by class, the classes' names
    by role, and the marked points, x, y, role.
    """
    first, *others = mixture.labels
    groups, names = np.full(len(shown.mapped), "", dtype=object), {"variant": shown.classes[first]}
    marked = {"first": (*mixture.ends[0].tolist(), "variant"), "mixed": (*mixture.place.tolist(), "idea")}
    if others:
        groups[shown.mapped.labels == others[0]] = "other"
        marked["second"] = (*mixture.ends[1].tolist(), "other")
        if others[0] != first:
            names["other"] = shown.classes[others[0]]
    groups[shown.mapped.labels == first] = "variant"
    return groups, names, marked


def notes(shown: MixingDemo, mixture: Mixture, count: int) -> str:
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


def map_notice(shown: MixingDemo, mixture: Mixture, depth: int) -> str:
    """How far the mixture is from the training features, and the map's error."""
    median, late = map_error(shown.name, depth)
    return (
        f"{'Line: the mixture for λ from 0 to 2. ' if len(mixture.trail) else ''}Its fifth nearest training"
        f" feature is **{mixture.distance:.2f} times** as far as a test image's; novelty percentile"
        f" **{mixture.novelty_percentile:.0%}**. Placement error: median {median:.1%} of the map's"
        f" width, 90th percentile {late:.1%}."
    )
