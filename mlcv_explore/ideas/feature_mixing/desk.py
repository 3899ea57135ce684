"""What the page asks of a desk that ships: two pictures, mixed at a depth, decoded,
judged, and put on the map. Numbers only.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from mlcv_explore.data import uploads
from mlcv_explore.data.dataset import Images
from mlcv_explore.ideas.feature_mixing.mixing import MODES, mixed, pasted, soft_labels
from mlcv_explore.ideas.feature_mixing.pasting import rectangles, visible_labels
from mlcv_explore.ideas.feature_mixing.shipping import KIND, PREFIX, WORLDS, Desk, DeskRecipe, world
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.models import checkpoints

PASTES = ("object", "rectangle")
NEAREST = 5
TRAIL = np.linspace(0, 2, 21)  # values of λ on the trail
TESTED = 60  # test pictures to choose from
MOST_IMAGES = 5
INKED = 0.5  # grey level of a digit upload's paper against its ink


@dataclass(frozen=True, eq=False)
class Shelf:
    """One desk that ships, with the pictures it knows."""

    name: str
    desk: Desk
    card: dict[str, Any]
    mapped: Images  # on the map, in its order
    tested: Images

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.card["classes"])


@dataclass(frozen=True, eq=False)
class Side:
    """A picture on the desk."""

    picture: np.ndarray  # (C, side, side) float32 in [0, 1]
    mask: np.ndarray  # (side, side) float32 of 0 and 1, where its object is
    label: int | None  # what it is; None where nobody said

    @property
    def key(self) -> bytes:
        """What identifies it."""
        return self.picture.tobytes()


@dataclass(frozen=True)
class How:
    """How two pictures are mixed."""

    mode: str = "sum"  # one of MODES or PASTES
    weight: float = 0.5
    depth: int = 2
    scaling: str = "sum_to_one"
    temperature: float = 1.0
    area: float = 0.25  # of a rectangle, share of the picture
    place: float = 0.5  # of a rectangle, along the diagonal


@dataclass(frozen=True, eq=False)
class Mixture:
    """What comes of it."""

    picture: np.ndarray  # (C, side, side) in [0, 1], the mixed feature decoded
    label: np.ndarray  # (K,) what training would ask for
    said: np.ndarray  # (K,) what the network says of the mixed feature
    labels: tuple[int, ...]  # of the images that were mixed: theirs, or what the network says of them
    guessed: tuple[bool, ...]  # whether that is the network's word
    nearest: np.ndarray  # (NEAREST,) places on the map
    novelty_percentile: float  # share of the map's own features whose fifth neighbour is nearer
    distance: float  # to its fifth neighbour, in units of what that is for test pictures in the median
    place: np.ndarray  # (2,)
    ends: np.ndarray  # (2, 2) of the two pictures themselves
    trail: np.ndarray  # (T, 2) where the mixture goes as λ does; empty where nothing depends on λ
    pasted: np.ndarray | None  # (side, side) the mask through which something was pasted


@cache
def shelf(name: str) -> Shelf:
    """A desk that ships, read once, and its pictures made again. Raises
    CheckpointError.
    """
    network, card = checkpoints.load_network(f"{PREFIX}{name}/0", lambda card: Desk(**card["arguments"]))
    recipe = DeskRecipe(**card["recipe"])
    seen = world(
        name, recipe.taught if name == "digits" else card["arguments"]["mapped"], recipe.tested, card["seed"]
    )
    return Shelf(name, network, card, seen.taught.take(np.arange(card["arguments"]["mapped"])), seen.tested)


def offered() -> tuple[str, ...]:
    """The desks that ship."""
    here = {name.split("/")[0].removeprefix(PREFIX) for name in checkpoints.names(KIND)}
    return tuple(name for name in WORLDS if name in here)


@cache
def fitted(name: str, depth: int) -> FittedMap:
    """The map of a depth."""
    return shelf(name).desk.map(depth)


@cache
def map_error(name: str, depth: int) -> tuple[float, float]:
    """Median and 90th percentile of how far a new point is from where UMAP's transform
    puts it, as shares of the map's width.
    """
    errors = shelf(name).desk.map_errors(depth)
    return float(np.median(errors)), float(np.quantile(errors, 0.9))


@cache
def usual_distance(name: str, depth: int) -> float:
    """Median distance of a test picture's feature to its fifth neighbour on the map of
    a depth.
    """
    return float(
        np.median(fitted(name, depth).nearest(getattr(shelf(name).desk, f"asked{depth}").numpy())[0][:, -1])
    )


def of_test(shown: Shelf, number: int) -> Side:
    """The number-th test picture, from 0."""
    picture = shown.tested.images[number].astype(np.float32) / 255
    return Side(picture, shown.tested.masks[number].astype(np.float32), int(shown.tested.labels[number]))


def of_photograph(shown: Shelf, pixels: np.ndarray) -> Side:
    """A photograph uint8 (h, w, 3) as this desk sees pictures: small, and for digits
    grey with bright ink on dark paper.

    Its object is guessed: what is unlike the picture's edge.
    """
    side = shown.card["arguments"]["side"]
    picture = uploads.resized_to_square(pixels, side)
    if shown.card["arguments"]["channels"] == 1:
        grey = picture.mean(0)
        edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
        grey = 1 - grey if np.median(edge) > INKED else grey
        low, high = float(grey.min()), float(grey.max())
        picture = ((grey - low) / max(high - low, 1e-3))[None].astype(np.float32)
    return Side(picture, unlike_the_edge(picture), None)


def unlike_the_edge(picture: np.ndarray) -> np.ndarray:
    """(side, side) of 0 and 1: pixels whose distance from the median of the picture's
    edge is above Otsu's threshold; all where there is none.

    Source: Otsu, A Threshold Selection Method from Gray-Level Histograms, IEEE
    Transactions on Systems, Man, and Cybernetics 9, 1979.
    """
    from skimage.filters import threshold_otsu

    edge = np.concatenate([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], axis=1)
    apart = np.linalg.norm(picture - np.median(edge, axis=1)[:, None, None], axis=0)
    if np.ptp(apart) == 0:
        return np.ones(apart.shape, np.float32)
    return (apart > threshold_otsu(apart)).astype(np.float32)


@torch.no_grad()
def mix(shown: Shelf, first: Side, partners: tuple[Side, ...], how: How) -> Mixture:
    """The first picture's feature with those of its partners, which share λ; with a
    paste only the first partner's. Without partners it is itself.
    """
    sides = (first, *partners)
    desk, depth, classes = shown.desk, how.depth, len(shown.classes)
    features = desk.features(torch.from_numpy(np.stack([side.picture for side in sides])), depth)
    words = desk.logits(features, depth).argmax(1).tolist()
    labels = tuple(
        side.label if side.label is not None else word for side, word in zip(sides, words, strict=True)
    )
    one_hot = torch.nn.functional.one_hot(torch.tensor(labels), classes).float()
    own, others = features[:1], features[1:].mean(0, keepdim=True) if partners else features[:1]
    target, other = one_hot[:1], one_hot[1:].mean(0, keepdim=True) if partners else one_hot[:1]
    weight = how.weight if partners else 0.0
    mask, trail = None, torch.empty(0, *features.shape[1:])
    if how.mode in MODES:
        changed = mixed(own, others, weight, how.mode)
        label = soft_labels(target, other, weight, how.scaling, how.temperature, how.mode)
        if partners:
            trail = torch.cat([mixed(own, others, float(value), how.mode) for value in TRAIL])
    elif not partners:
        changed, label = own, target
    else:
        mask = _mask(first, partners[0], how)
        changed = pasted(
            own, features[1:2], torch.nn.functional.adaptive_avg_pool2d(mask, features.shape[-1])
        )
        label = _pasted_label(one_hot, first, partners[0], mask, how)
    spots = desk.located(torch.cat([changed, own, features[1:2] if partners else own, trail]), depth).numpy()
    laid_out = fitted(shown.name, depth)
    places = laid_out.transform(spots)
    distances, nearest = laid_out.nearest(spots[:1])
    return Mixture(
        desk.decoded(changed, depth)[0].numpy(),
        label[0].numpy(),
        desk.logits(changed, depth).softmax(1)[0].numpy(),
        labels,
        tuple(side.label is None for side in sides),
        nearest[0][:NEAREST],
        float(laid_out.novelty_percentile(spots[:1])[0]),
        float(distances[0, -1] / usual_distance(shown.name, depth)),
        places[0],
        places[1:3],
        places[3:],
        None if mask is None else mask[0, 0].numpy(),
    )


def _mask(first: Side, partner: Side, how: How) -> torch.Tensor:
    """(1, 1, side, side) where the partner is pasted."""
    if how.mode == "object":
        return torch.from_numpy(partner.mask)[None, None]
    side = first.mask.shape[-1]
    return rectangles(torch.tensor([how.area * side**2]), torch.full((1, 2), min(how.place, 0.999)), side)


def _pasted_label(
    one_hot: torch.Tensor, first: Side, partner: Side, mask: torch.Tensor, how: How
) -> torch.Tensor:
    """(1, K): by what is to be seen of either object, or by the area of a rectangle."""
    if how.mode == "rectangle":
        share = mask.mean()
        return (1 - share) * one_hot[:1] + share * one_hot[1:2]
    own, other = (torch.from_numpy(side.mask)[None, None] for side in (first, partner))
    return visible_labels(one_hot[:1], one_hot[1:2], own, other, mask)


def worked_example() -> dict[str, np.ndarray]:
    """The document's own example: four classes, y_i the third, y_j the second, λ = 0.5;
    every scaling's label (4,).
    """
    own, partner = torch.eye(4)[2:3], torch.eye(4)[1:2]
    return {
        scaling: soft_labels(own, partner, 0.5, scaling)[0].numpy()
        for scaling in ("sum_to_one", "softmax", "argmax")
    }
