"""The demo: one image at the four layers of a network, beside virtual outliers of a layer."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch

from mlcv_explore.config import Config, setting
from mlcv_explore.data import uploads
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.virtual_outliers import IMAGENET, LIVE, PHOTOGRAPHS, training
from mlcv_explore.ideas.virtual_outliers.pretrain import PREFIX
from mlcv_explore.metrics import neighbours
from mlcv_explore.metrics.outlier_detection import fitted_weights, standardised
from mlcv_explore.models import checkpoints, layer_features, virtual_outliers
from mlcv_explore.models.layered_network import LayeredNetwork
from mlcv_explore.models.virtual_outliers import Gaussians
from mlcv_explore.seeds import stream

SEED = 3  # of the networks that ship
SHOWN = 250  # real examples in a map
DRAWN = 120  # virtual outliers in a map
EXAMPLES = {  # name → group of the test, place in it
    "7": (1, 0),
    "2": (1, 2),
    "3": (1, 3),
    "left-out 9": (2, 4),
    "left-out 6": (2, 5),
    "inverted": (3, 3),
    "scene": (4, 1),
    "noise": (5, 0),
}


class VirtualOutliersView(Config):
    """Settings of the demo; nothing of it is trained."""

    layer: int = setting(4, "Layer", low=1, high=4, step=1)
    exponent: int = setting(
        4,
        "One kept of 10ⁿ draws: n",
        low=0,
        high=6,
        step=1,
        help="The least likely; scores stay as they are.",
    )


@dataclass(frozen=True, eq=False)
class Demo:
    """A network that ships, with everything its images are compared with."""

    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    parts: training.Parts
    opened: training.Opened
    gaussians: tuple[Gaussians, ...]
    odds: np.ndarray  # (L, n) of validation images
    weights: np.ndarray  # (L,) of the layers in one score


@dataclass(frozen=True, eq=False)
class Reading:
    """One image at every layer, input side first."""

    prediction: int
    probability: float
    votes: np.ndarray  # (L,) class that most neighbours have
    shares: np.ndarray  # (L,) of the neighbours that have it
    energies: np.ndarray  # (L,) log Σ exp(logits)
    odds: np.ndarray  # (L,) log-odds of real against virtual
    percentiles: np.ndarray  # (L,) of them among validation images, 0 to 100
    combined: float  # percentile of all layers' weighted score
    depth: int  # prediction depth, 0 to L
    features: tuple[torch.Tensor, ...]  # (1, d) of every layer


@dataclass(frozen=True, eq=False)
class Cloud:
    """A layer's features in two directions: those in which they vary most."""

    real: np.ndarray  # (n, 2)
    labels: np.ndarray  # (n,) their classes
    virtual: np.ndarray  # (m, 2)
    image: np.ndarray  # (2,)
    less_likely: float  # share of real validation features less likely than the virtual outliers
    radius: float  # how far virtual outliers are from the mean, over the distance of typical draws
    shrinkage: float  # of the covariance


@lru_cache(maxsize=2)
@torch.no_grad()
def load(name: str) -> Demo:
    """The demo on "digits" or "photographs". Raises DataError, CheckpointError."""
    config = IMAGENET if name == PHOTOGRAPHS else LIVE
    network, card = checkpoints.load_network(
        f"{PREFIX}{name}/{SEED}", lambda card: LayeredNetwork(**card["arguments"])
    )
    parts = training.prepare(config, SEED)
    own = training.opened(network, parts)
    odds = own.log_odds(own.groups[0])
    outliers = standardised(training.virtual(config, own, parts, SEED), odds)
    labels, count = parts.train[1], len(card["classes"])
    gaussians = tuple(virtual_outliers.fit(values, labels, count) for values in own.train)
    weights = fitted_weights(standardised(odds, odds), outliers)
    if name == PHOTOGRAPHS:  # of its 25 MB a server keeps the examples that images are compared with
        parts = replace(parts, known={}, outliers={}, test=parts.validation)
        own = replace(own, groups=own.groups[:1])
    known = tuple(card["classes"]), tuple(card["left_out"])
    return Demo(*known, parts, own, gaussians, odds, weights)


def example(name: str) -> np.ndarray:
    """An image of the test on digits, float32 (1, 8, 8) in [0, 1]."""
    group, place = EXAMPLES[name]
    return load("digits").parts.groups[group][place].numpy()


def photograph(pixels: np.ndarray) -> np.ndarray:
    """A photograph uint8 (h, w, 3) as the network reads it: uint8 (3, 32, 32), as small as
    those it is compared with.
    """
    return (uploads.resized_to_square(pixels, layer_features.SIDE) * 255).round().astype(np.uint8)


@torch.no_grad()
def read(name: str, image: np.ndarray) -> Reading:
    """An image, as `photograph` or `example` return it, at every layer."""
    demo, config = load(name), IMAGENET if name == PHOTOGRAPHS else LIVE
    inputs = layer_features.of_images(image[None]) if name == PHOTOGRAPHS else torch.from_numpy(image)[None]
    network = demo.opened.network
    features = network.features(inputs)
    probabilities = network.heads[-1](features[-1]).softmax(1)[0]
    own, labels = demo.opened.train, demo.parts.train[1]
    pairs = zip(own, features, strict=True)
    places = [neighbours.nearest(known, values, config.neighbours)[1] for known, values in pairs]
    votes = torch.stack([neighbours.votes(labels, each) for each in places])
    shares = [float((labels[each] == vote).float().mean()) for each, vote in zip(places, votes, strict=True)]
    depth = neighbours.prediction_depth(votes, probabilities.argmax()[None])
    odds = demo.opened.log_odds(features)
    both = [demo.weights @ standardised(each, demo.odds) for each in (odds, demo.odds)]
    return Reading(
        int(probabilities.argmax()),
        float(probabilities.max()),
        votes[:, 0].numpy(),
        np.array(shares),
        np.array([float(network.heads[layer](each).logsumexp(1)) for layer, each in enumerate(features)]),
        odds[:, 0],
        100 * (demo.odds < odds).mean(1),
        100 * float((both[1] < both[0]).mean()),
        int(depth),
        tuple(features),
    )


@torch.no_grad()
def cloud(name: str, reading: Reading, layer: int, draws: int) -> Cloud:
    """A layer's real features, virtual outliers and the image, in two directions."""
    demo = load(name)
    real, labels, gaussians = demo.opened.train[layer], demo.parts.train[1], demo.gaussians[layer]
    centre = real.mean(0)
    _, vectors = torch.linalg.eigh((real - centre).T @ (real - centre))
    wanted = torch.arange(DRAWN) % len(demo.classes)
    virtual = virtual_outliers.least_likely(gaussians, wanted, draws, stream(0, f"demo {layer}"))
    shown = [
        ((each - centre) @ vectors[:, -2:]).flip(1).numpy()
        for each in (real[:SHOWN], virtual, reading.features[layer])
    ]
    validation = demo.opened.groups[0][layer], demo.parts.validation[1]
    less_likely = virtual_outliers.share_less_likely(gaussians, *validation, draws)
    far, near = (virtual_outliers.typical_radius(gaussians, each) for each in (draws, 1))
    return Cloud(
        *(shown[0], labels[:SHOWN].numpy(), shown[1], shown[2][0]),
        *(less_likely, far / near, gaussians.shrinkage),
    )


def tiles() -> tuple[Tile, ...]:
    """For home: a digit, one of a class left out, and three far outliers."""
    return tuple(Tile(example(name)[0]) for name in ("7", "left-out 9", "inverted", "scene", "noise"))
