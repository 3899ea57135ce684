"""Layered networks that ship: how one image is read at every layer, a layer's features beside
its virtual outliers, and the card of a network.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore.data.open_set import OpenSet
from mlcv_explore.metrics import neighbours
from mlcv_explore.metrics.outlier_detection import layer_weights, standardised
from mlcv_explore.models import checkpoints, layer_scores, virtual_outliers
from mlcv_explore.models.checkpoints import ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.layer_scores import Layers, Opened
from mlcv_explore.models.layered_network import LayeredNetwork
from mlcv_explore.seeds import stream

SHOWN = 250  # real examples in a map
DRAWN = 120  # virtual outliers in a map


@dataclass(frozen=True, eq=False)
class LayeredDemo:
    """A network that ships, with everything its images are compared with."""

    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    opened: Opened  # its only group are validation images
    labels: torch.Tensor  # (m,) of them
    odds: np.ndarray  # (L, m) of them
    weights: np.ndarray  # (L,) of the layers in one score
    neighbours: int  # that vote on the prediction depth


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
    features: Layers  # (1, d) of every layer


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


def checkpoint(
    own: Opened, parts: OpenSet, dataset: str, epochs: int, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """A network that was trained on these parts, whose groups it has, with the entries of its
    card; reports its accuracy on the test images.
    """
    accuracy = own.accuracy(1, parts.test[1])
    if report is not None:
        report(epochs, epochs, 0.0, accuracy)
    about = {
        "kind": "layered network",
        "architecture": "LayeredNetwork",
        "arguments": own.network.arguments,
        "classes": list(parts.classes),
        "left_out": list(parts.left_out),
        "data": {"name": dataset},
        "steps": epochs,
        "metrics": {"test_accuracy": accuracy, "test_size": len(parts.test[0])},
    }
    return TrainedCheckpoint(own.network, about)


@torch.no_grad()
def load(name: str, parts: OpenSet, count: int, draws: int, seed: int) -> LayeredDemo:
    """The checkpoint of that name beside the images that it was trained and validated on, with
    `count` neighbours; layers are weighted against virtual outliers, each the least likely
    of `draws`. Raises CheckpointError.
    """
    network, card = checkpoints.load_network(name, lambda card: LayeredNetwork(**card["arguments"]))
    images, labels = parts.validation
    own = layer_scores.opened(network, parts.train, [images])
    odds = own.log_odds(own.groups[0])
    weights = layer_weights(odds, layer_scores.virtual(own, labels, draws, stream(seed, "combination")))
    return LayeredDemo(tuple(card["classes"]), tuple(card["left_out"]), own, labels, odds, weights, count)


@torch.no_grad()
def read(demo: LayeredDemo, image: torch.Tensor) -> Reading:
    """An image (1, …), as the network takes it, at every layer."""
    own, network = demo.opened, demo.opened.network
    features = network.features(image)
    probabilities = network.heads[-1](features[-1]).softmax(1)[0]
    places = own.nearest(features, demo.neighbours)
    votes = torch.stack([neighbours.votes(own.labels, each) for each in places])
    odds = own.log_odds(features)
    here, others = (demo.weights @ standardised(each, demo.odds) for each in (odds, demo.odds))
    return Reading(
        int(probabilities.argmax()),
        float(probabilities.max()),
        votes[:, 0].numpy(),
        (own.labels[places] == votes[:, :, None]).float().mean((1, 2)).numpy(),
        np.array([float(network.heads[layer](each).logsumexp(1)) for layer, each in enumerate(features)]),
        odds[:, 0],
        100 * (demo.odds < odds).mean(1),
        100 * float((others < here).mean()),
        int(neighbours.prediction_depth(votes, probabilities.argmax()[None])),
        features,
    )


@torch.no_grad()
def cloud(demo: LayeredDemo, reading: Reading, layer: int, draws: int) -> Cloud:
    """A layer's real features, virtual outliers, each the least likely of `draws`, and the
    image, in two directions.
    """
    own, gaussians = demo.opened, demo.opened.gaussians[layer]
    real, centre = own.train[layer], own.train[layer].mean(0)
    _, vectors = torch.linalg.eigh((real - centre).T @ (real - centre))
    wanted = torch.arange(DRAWN) % len(demo.classes)
    virtual = virtual_outliers.least_likely(gaussians, wanted, draws, stream(0, f"demo {layer}"))
    shown, unreal, here = (
        ((each - centre) @ vectors[:, -2:]).flip(1).numpy()
        for each in (real[:SHOWN], virtual, reading.features[layer])
    )
    validation = own.groups[0][layer], demo.labels
    less_likely = virtual_outliers.share_less_likely(gaussians, *validation, draws)
    far, near = (virtual_outliers.typical_radius(gaussians, each) for each in (draws, 1))
    about = less_likely, far / near, gaussians.shrinkage
    return Cloud(shown, own.labels[:SHOWN].numpy(), unreal, here[0], *about)
