"""Photographs among reference photographs: features, a map of them, the nearest ones, a
linear classifier, and how far a photograph lies outside what the references span.

The references are the features of CIFAR-10 that ship. A photograph of any size is read
as they were: the square in its middle at 32 × 32 pixels, enlarged to the network's
input. A sharper one mostly lies outside their space, whatever it shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from mlcv_explore import data
from mlcv_explore.config import Config, setting
from mlcv_explore.data import features as stored
from mlcv_explore.data.model_input import ModelInput
from mlcv_explore.metrics import embedding_map
from mlcv_explore.metrics.classification import log_probabilities
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.models import checkpoints, photograph_features
from mlcv_explore.models.checkpoints import ProgressCallback, TrainedCheckpoint

REFERENCES = "cifar10_features"
KIND = "photograph map"
INPUT = ModelInput(32, share=1.0, bicubic=True)  # of the references
PERCENTILES = np.linspace(0, 100, 101)
UNUSUAL = 95.0  # percentile of the outside share from which a photograph is reported
DRAWN = 10  # every tenth reference is drawn; places come from all of them


class PhotographMapHyperparameters(Config):
    """How the map is made; one seed and the features that ship decide the rest."""

    test_size: int = setting(2000, "Test photographs for the percentiles", low=50, high=2000, step=50)


class PhotographMap(nn.Module):
    """What is stored: places of the references, the classifier, and percentiles of the
    outside share of test photographs.
    """

    def __init__(self, references: int, classes: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, size), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(classes), requires_grad=False)
        self.register_buffer("coordinates", torch.zeros(references, 2))
        self.register_buffer("outside", torch.zeros(len(PERCENTILES)))


@dataclass(frozen=True, eq=False)
class Reading:
    """Photographs as features."""

    points: np.ndarray  # (n, d) float64, in the references' space
    outside: np.ndarray  # (n,) in [0, 1]: length of the part outside that space, as a share of the whole


@dataclass(frozen=True, eq=False)
class PhotographSpace:
    """The references, their map and their classifier."""

    card: dict[str, Any]
    references: data.Features
    fitted: FittedMap  # of all references, in their order
    projection: Mapping[str, np.ndarray]  # "mean" (1280,) and "components" (d, 1280)
    weight: np.ndarray  # (K, d)
    bias: np.ndarray  # (K,)
    outside: np.ndarray  # (101,) PERCENTILES of test photographs

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return self.references.classes

    @property
    def drawn(self) -> slice:
        """Which references a map shows, as many of every class."""
        return slice(None, None, DRAWN)

    def read(self, images: np.ndarray) -> Reading:
        """Features of images (n, 3, height, width) uint8, as `squares` returns them.
        Raises CheckpointError where the network is missing.
        """
        whole = photograph_features.penultimate(images).astype(np.float64) - self.projection["mean"]
        points = whole @ self.projection["components"].T
        return Reading(points, outside_share(whole, points, self.projection["components"]))

    def probabilities(self, points: np.ndarray) -> np.ndarray:
        """(n, K) of the classifier."""
        return np.exp(log_probabilities(points @ self.weight.T + self.bias))

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances (n, 5), in units of a test photograph's median distance to its
        nearest reference, and places among the references (n, 5), the nearest first.
        """
        distances, places = self.fitted.nearest(points)
        return distances / self.card["metrics"]["nearest_distance"], places

    def novelty(self, outside: np.ndarray) -> np.ndarray:
        """(n,) percentiles, 0–100, of outside shares among those of test photographs."""
        return np.interp(outside, self.outside, PERCENTILES)


def squares(pixels: np.ndarray) -> np.ndarray:
    """A photograph uint8 (h, w, 3) as the references were: uint8 (3, 32, 32)."""
    return np.rint(255 * INPUT.array(pixels)).astype(np.uint8)


def outside_share(centred: np.ndarray, points: np.ndarray, components: np.ndarray) -> np.ndarray:
    """(n,) in [0, 1]: the length of what the components do not span of features (n, p)
    around the mean, as a share of their length; `points` (n, d) is their projection on
    components (d, p), orthogonal rows of one length.
    """
    inside = np.square(points).sum(1) / np.square(components).sum(1).mean()
    return np.sqrt(np.clip(1 - inside / np.maximum(np.square(centred).sum(1), 1e-12), 0, 1))


@cache
def load(checkpoint: str) -> PhotographSpace:
    """The space of a checkpoint, read once. Raises CheckpointError and DataError."""
    network, card = checkpoints.load_network(checkpoint, lambda card: PhotographMap(**card["arguments"]))
    dataset, projection = data.load(REFERENCES), _projection()
    if card["data"]["fingerprint"] != dataset.fingerprint:
        raise checkpoints.CheckpointError(
            f"{checkpoint} was made of another {REFERENCES} ({card['data']['fingerprint']}, here"
            f" {dataset.fingerprint}): run `{card['command']}`."
        )
    arrays = {name: values.numpy() for name, values in network.state_dict().items()}
    fitted = FittedMap(dataset.train.images.astype(np.float32), arrays.pop("coordinates"))
    return PhotographSpace(card, dataset.train, fitted, projection, **arrays)


def make(
    seed: int, hyperparameters: PhotographMapHyperparameters, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Fit the classifier and the map, and measure test photographs, which CIFAR-10 itself
    is needed for. Raises DataError and CheckpointError.
    """
    dataset, projection = data.load(REFERENCES), _projection()
    photographs = photograph_features.originals(REFERENCES).test
    train, test = (part.images.astype(np.float32) for part in (dataset.train, dataset.test))
    arguments = {"references": len(train), "classes": len(dataset.train.classes), "size": train.shape[1]}
    network = PhotographMap(**arguments)

    def store(**arrays: np.ndarray) -> None:
        for name, values in arrays.items():  # in half precision, in which it ships
            network.state_dict()[name].copy_(torch.from_numpy(np.asarray(values, np.float32)).half())

    weight, bias = classifier(train, dataset.train.labels)
    store(weight=weight, bias=bias)
    logits = test @ network.weight.numpy().T + network.bias.numpy()
    accuracy = float((logits.argmax(1) == dataset.test.labels).mean())
    chosen = np.linspace(0, len(test) - 1, hyperparameters.test_size).astype(int)
    rows, done = dataset.test.rows_in(photographs)[chosen], 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        if report:
            report(done, len(rows), 0.0, accuracy)

    whole = photograph_features.penultimate(photographs.images[rows], progress) - projection["mean"]
    shares = outside_share(whole, whole @ projection["components"].T, projection["components"])
    fitted, transformed = embedding_map.fit(train, test, seed)
    store(coordinates=fitted.coordinates, outside=np.percentile(shares, PERCENTILES))
    fitted = FittedMap(train, network.coordinates.numpy())
    errors = embedding_map.errors(fitted.transform(test), transformed, fitted.width)
    about = {
        "kind": KIND,
        "architecture": "PhotographMap",
        "arguments": arguments,
        "classes": list(dataset.train.classes),
        "data": {"name": REFERENCES, "fingerprint": dataset.fingerprint},
        "test_size": len(rows),
        "metrics": {
            "test_accuracy": round(accuracy, 4),
            "map_median": round(float(np.median(errors)), 5),
            "map_p90": round(float(np.quantile(errors, 0.9)), 5),
            "nearest_distance": round(float(np.median(fitted.nearest(test)[0][:, 0])), 4),
        },
    }
    return TrainedCheckpoint(network, about)


def classifier(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight (K, d) and bias (K,) of a logistic regression on features (n, d)."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(max_iter=1000).fit(features.astype(np.float64), labels)
    return fitted.coef_, fitted.intercept_


def _projection() -> dict[str, np.ndarray]:
    arrays, _ = stored.read(stored.file(REFERENCES))
    return {name: arrays[name].astype(np.float64) for name in ("mean", "components")}
