"""Features of small photographs at four layers of the ImageNet network: what a layer puts
out, averaged over places and reduced by principal components.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from mlcv_explore import data
from mlcv_explore.config import Config, setting
from mlcv_explore.data import composites, grouped_composites
from mlcv_explore.data.catalogue import CATALOGUE
from mlcv_explore.data.dataset import Dataset
from mlcv_explore.data.features import Features
from mlcv_explore.data.grouped_composites import INDEPENDENT
from mlcv_explore.data.splits import some_of_each
from mlcv_explore.models import checkpoints, imagenet, photograph_features
from mlcv_explore.models.checkpoints import CheckpointError, TrainedCheckpoint
from mlcv_explore.models.layers import chain
from mlcv_explore.seeds import numpy_stream

NAME = "cifar10_layers"
SITES = (3, 5, 7, 9)  # of the network as a chain: after stages 2, 4 and 6, and its last convolution
CONTENT = "68c659fe9ca5"  # SHA-256 of the file that ships, first digits
COMPONENTS = 256  # at most, of a layer
BATCH = 50
OUTLIERS = ("fashion_mnist", "digits", "composites", "landscapes", "noise")
SIDE = 32  # pixels of CIFAR-10's photographs, to which all others are reduced
# how names of objects begin that CIFAR-10 has no class of
OTHER_OBJECTS = ("plants__", "food__", "household__", "hobbies__", "sports__")


class LayerFeaturesHyperparameters(Config):
    """How many photographs are drawn."""

    train_a_class: int = setting(350, "Training photographs a class", low=100, high=5000, step=100)
    test_a_class: int = setting(120, "Test photographs a class", low=50, high=1000, step=50)
    outliers: int = setting(400, "Images of every kind of outlier", low=100, high=5000, step=100)


class LayerFeatures(nn.Module):
    """The projections and the projected features, layers side by side, as one set of
    weights.
    """

    def __init__(self, channels: Sequence[int], train: int, test: int, outliers: int) -> None:
        super().__init__()
        self.sizes = tuple(min(count, COMPONENTS) for count in channels)
        for layer, (count, size) in enumerate(zip(channels, self.sizes, strict=True)):
            self.register_buffer(f"mean{layer}", torch.zeros(count))
            self.register_buffer(f"components{layer}", torch.zeros(size, count))
        for name, count in {"train": train, "test": test, **dict.fromkeys(OUTLIERS, outliers)}.items():
            self.register_buffer(f"{name}_features", torch.zeros(count, sum(self.sizes)))
        for name, count in {"train_labels": train, "test_labels": test}.items():
            self.register_buffer(name, torch.zeros(count, dtype=torch.int64))

    def project(self, pooled: Sequence[torch.Tensor]) -> torch.Tensor:
        """(n, sum of sizes) for what `pooled` returns."""
        parts = [
            (values - getattr(self, f"mean{layer}")) @ getattr(self, f"components{layer}").T
            for layer, values in enumerate(pooled)
        ]
        return torch.cat(parts, 1)


@torch.no_grad()
def pooled(images: torch.Tensor, report: Callable[[int], None] | None = None) -> list[torch.Tensor]:
    """The mean over places (n, C) of every layer, for images (n, 3, side, side) in [0, 1],
    at 128 pixels. Raises CheckpointError.
    """
    network, parts = chain(imagenet.load().network), []
    for batch in images.split(BATCH):
        whole = network.activations(batch)
        parts.append([whole[site].mean((2, 3)) if whole[site].ndim == 4 else whole[site] for site in SITES])
        if report:
            report(len(batch))
    return [torch.cat(values) for values in zip(*parts, strict=True)]


@lru_cache(maxsize=1)
def load() -> LayerFeatures:
    """The features that ship. Raises CheckpointError."""
    features, card = checkpoints.load_network(f"{NAME}/0", lambda card: LayerFeatures(**card["arguments"]))
    if not card["sha256"].startswith(CONTENT):
        raise CheckpointError(f"The features {NAME} are not those that ship: fetch them again.")
    return features


def dataset() -> Dataset:
    """The photographs' features as a data set, layers side by side. Raises CheckpointError."""
    features = load()
    parts = {name: getattr(features, f"{name}_features").half().numpy() for name in ("train", "test")}
    labels = {name: getattr(features, f"{name}_labels").numpy() for name in parts}
    train, test = (
        Features(parts[name], labels[name], CATALOGUE["cifar10"].classes, places=np.arange(len(labels[name])))
        for name in parts
    )
    return Dataset(NAME, train, test, CONTENT)


def outliers() -> dict[str, torch.Tensor]:
    """Features (n, d) of every kind of outlier. Raises CheckpointError."""
    features = load()
    return {name: getattr(features, f"{name}_features") for name in OUTLIERS}


def make(seed: int, config: LayerFeaturesHyperparameters, report: Any) -> TrainedCheckpoint:
    """Compute them from CIFAR-10, Fashion-MNIST, digits, composites, their backgrounds and
    noise, none with more than 32 pixels; the projection is fitted on the training
    photographs. Raises DataError, CheckpointError.
    """
    photographs, images, labels = data.load("cifar10"), {}, {}
    for name, count in (("train", config.train_a_class), ("test", config.test_a_class)):
        part = getattr(photographs, name)
        rows = np.sort(some_of_each(part.labels, count, numpy_stream(seed, f"layers {name}")))
        images[name], labels[name] = part.images[rows], part.labels[rows]
    images |= _outliers(seed, config.outliers)
    total, done, means = sum(map(len, images.values())), 0, {}
    for name, values in images.items():
        means[name] = pooled(photograph_features.resized(values))
        done += len(values)
        if report is not None:
            report(done, total, 0.0, 0.0)
    counts = {name: len(means[name][0]) for name in ("train", "test")}
    channels = [values.shape[1] for values in means["train"]]
    arguments = {"channels": channels, **counts, "outliers": config.outliers}
    features = LayerFeatures(**arguments)
    kept = [_fit(features, layer, values) for layer, values in enumerate(means["train"])]
    for name, values in means.items():
        getattr(features, f"{name}_features").copy_(features.project(values))
    for name, values in labels.items():
        getattr(features, f"{name}_labels").copy_(torch.from_numpy(values))
    about = {
        "kind": "layer features",
        "architecture": "LayerFeatures",
        "arguments": arguments,
        "data": {"name": "cifar10", "fingerprint": photographs.fingerprint},
        "network": {"name": imagenet.NAME, "sha256": imagenet.SHA256, "sites": list(SITES)},
        "steps": total,
        "metrics": {f"variance_kept_{layer + 1}": share for layer, share in enumerate(kept)},
    }
    return TrainedCheckpoint(features, about)


def _fit(features: LayerFeatures, layer: int, values: torch.Tensor) -> float:
    """Fit a layer's projection, scaled to a mean variance of 1; the share of variance kept."""
    from sklearn.decomposition import PCA

    fitted = PCA(features.sizes[layer], svd_solver="covariance_eigh").fit(values.double().numpy())
    scale = np.sqrt(fitted.explained_variance_.mean())
    getattr(features, f"mean{layer}").copy_(torch.from_numpy(fitted.mean_))
    getattr(features, f"components{layer}").copy_(torch.from_numpy(fitted.components_ / scale))
    return round(float(fitted.explained_variance_ratio_.sum()), 4)


def _outliers(seed: int, count: int) -> dict[str, np.ndarray]:
    """Images (count, 3, h, w) uint8 of every kind."""
    found = {}
    for name in ("fashion_mnist", "digits"):
        whole = data.load(name)
        part = whole.test or whole.train
        rows = numpy_stream(seed, f"layers {name}").choice(len(part), count, replace=False)
        found[name] = np.repeat(part.images[rows], 3, axis=1)
    every = tuple(
        tuple(one for one in members if one.path.name.startswith(OTHER_OBJECTS))
        for members in grouped_composites.groups()[1:]
    )
    pasted = grouped_composites.generate(every, count, seed, "layers", INDEPENDENT, 4 * SIDE).images
    found["composites"] = _reduced(pasted)
    plates = composites.generate(every[0][0], count, seed, "landscapes", 4 * SIDE).backgrounds
    found["landscapes"] = _reduced(torch.from_numpy(plates).float() / 255)
    return found | {"noise": noise(seed, count)}


def _reduced(images: torch.Tensor) -> np.ndarray:
    """Images (n, 3, h, w) in [0, 1] as uint8 (n, 3, 32, 32)."""
    small = nn.functional.interpolate(images, size=(SIDE, SIDE), mode="bicubic", antialias=True)
    return (small.clamp(0, 1) * 255).round().byte().numpy()


def noise(seed: int, count: int) -> np.ndarray:
    """Images (count, 3, 32, 32) uint8 of independent Gaussian pixels."""
    draws = numpy_stream(seed, "layers noise").normal(128, 64, (count, 3, SIDE, SIDE))
    return draws.clip(0, 255).astype(np.uint8)
