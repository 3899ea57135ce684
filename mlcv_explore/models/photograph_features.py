"""Features of small photographs: penultimate activations of the ImageNet network,
reduced by principal components.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.data import features as stored
from mlcv_explore.data.dataset import DataError, Dataset
from mlcv_explore.data.features import PARTS
from mlcv_explore.data.splits import some_of_each
from mlcv_explore.models import imagenet
from mlcv_explore.seeds import numpy_stream

SIDE = 128  # pixels that the network reads
COMPONENTS = 64
A_CLASS = {"train": 1000, "test": 200}  # photographs drawn
LABELS = 4000  # of the linear classifier that is reported
BATCH = 50


def penultimate(images: np.ndarray, progress: Callable[[int], None] | None = None) -> np.ndarray:
    """(n, 1280) float32, the input of the ImageNet network's last layer, for images (n,
    3, height, width) uint8.

    `progress` receives the number of photographs of each batch. Raises CheckpointError.
    """
    normalise, network = imagenet.load().network
    features = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            batch = normalise(resized(images[start : start + BATCH]))
            batch = batch.contiguous(memory_format=torch.channels_last)
            features.append(network.features(batch).numpy())
            if progress:
                progress(len(batch))
    return np.concatenate(features)


def resized(images: np.ndarray) -> torch.Tensor:
    """(n, 3, SIDE, SIDE) in [0, 1] for images (n, 3, height, width) uint8, by Pillow's
    bicubic kernel.
    """
    batch = torch.from_numpy(np.array(images)).float().div_(255)
    batch = functional.interpolate(batch, size=(SIDE, SIDE), mode="bicubic", antialias=True)
    return batch.clamp_(0, 1)


def fit(features: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """The projection of features (n, d) on their principal components, and the share of
    the variance that it keeps.

    "mean" (d,) float32 and "components" (COMPONENTS, d) float16; one scale, part of the
    components, gives the projected features a mean variance of 1, so that their spectrum
    stays.
    """
    from sklearn.decomposition import PCA

    fitted = PCA(COMPONENTS, svd_solver="covariance_eigh").fit(features.astype(np.float64))
    components = fitted.components_ / np.sqrt(fitted.explained_variance_.mean())
    arrays = {"mean": fitted.mean_.astype(np.float32), "components": components.astype(np.float16)}
    return arrays, float(fitted.explained_variance_ratio_.sum())


def project(features: np.ndarray, projection: dict[str, np.ndarray]) -> np.ndarray:
    """Features (n, d) as (n, COMPONENTS) float16."""
    mean, components = (projection[name].astype(np.float64) for name in ("mean", "components"))
    return ((features - mean) @ components.T).astype(np.float16)


def linear_accuracy(arrays: dict[str, np.ndarray], seed: int) -> float:
    """Test accuracy of logistic regression on LABELS training rows, as many of every
    class.
    """
    from sklearn.linear_model import LogisticRegression

    labels = arrays["train_labels"]
    chosen = some_of_each(labels, LABELS // len(np.unique(labels)), numpy_stream(seed, "linear classifier"))
    model = LogisticRegression(max_iter=1000).fit(arrays["train"][chosen].astype(np.float64), labels[chosen])
    return float(model.score(arrays["test"].astype(np.float64), arrays["test_labels"]))


def compute(
    photographs: Dataset, seed: int, whole: bool, progress: Callable[[int], None] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a set of features, and what its card states of them.

    Of every class A_CLASS photographs are drawn, or, if `whole`, all are taken; the
    projection is fitted on the train part. Raises CheckpointError.
    """
    arrays: dict[str, np.ndarray] = {}
    features = {}
    for name in PARTS:
        part = getattr(photographs, name)
        rows = np.arange(len(part))
        if not whole:
            generator = numpy_stream(seed, f"photographs for {name}")
            rows = np.sort(some_of_each(part.labels, A_CLASS[name], generator))
        features[name] = penultimate(part.images[rows], progress)
        arrays[f"{name}_labels"] = part.labels[rows].astype(np.uint8)
        arrays[f"{name}_places"] = _places(part.labels)[rows].astype(np.int16)
    projection, explained = fit(features["train"])
    arrays |= projection | {name: project(features[name], projection) for name in PARTS}
    accuracy = linear_accuracy(arrays, seed)
    return arrays, {
        "seed": seed,
        "rows": {name: len(features[name]) for name in PARTS},
        "network": {
            "name": imagenet.NAME,
            "architecture": imagenet.CARD["architecture"],
            "sha256": imagenet.SHA256,
            "input": f"{SIDE}×{SIDE}, bicubic, (x − 127) / 128 for x in 0–255",
            "layer": "after global pooling, 1,280 numbers",
        },
        "components": COMPONENTS,
        "explained_variance": round(explained, 4),
        "linear_accuracy": {"labels": LABELS, "test": len(features["test"]), "accuracy": round(accuracy, 4)},
        "photographs": photographs.fingerprint,
    }


def originals(name: str) -> Dataset:
    """The photographs that a set of features was computed from. Raises DataError where they
    are not here, or are another copy.
    """
    card = stored.read(stored.file(name))[1]
    source = name.partition("_features")[0]
    photographs = data.load(source)
    if photographs.fingerprint != card["photographs"]:
        raise DataError(
            f"{name} was computed from another copy of {source} ({card['photographs']}, here"
            f" {photographs.fingerprint}): its photographs cannot be told apart here."
        )
    return photographs


def _places(labels: np.ndarray) -> np.ndarray:
    """(n,) place of each among those of its class."""
    places = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        places[members] = np.arange(len(members))
    return places
