"""Features of small photographs at four layers of the ImageNet network: what a layer puts
out, averaged over places and reduced by principal components. Those that ship lie in four
files with one card.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mlcv_explore import data
from mlcv_explore.data import composites, grouped_composites, uploads
from mlcv_explore.data.catalogue import CATALOGUE
from mlcv_explore.data.dataset import DataError, Dataset, content_fingerprint
from mlcv_explore.data.features import PARTS, SHIPPED, Features
from mlcv_explore.data.grouped_composites import INDEPENDENT
from mlcv_explore.data.splits import some_of_each
from mlcv_explore.files import write_atomically
from mlcv_explore.models import imagenet, photograph_features
from mlcv_explore.models.layers import chain
from mlcv_explore.seeds import numpy_stream

NAME = "cifar10_layers"
FOLDER = SHIPPED / NAME
# SHA-256 of the files that ship, first digits: each has less than 4 MB
CONTENT = {
    "train": "93fa8002b59e",
    "test": "2d734a6b0936",
    "outliers": "f58e250951f3",
    "projection": "beada59d0d49",
}
SITES = (3, 5, 7, 9)  # of the network as a chain: after stages 2, 4 and 6, and its last convolution
SIZES = (24, 80, 192, 256)  # principal components of every layer; of all but the last as many as channels
A_CLASS = {"train": 350, "test": 120}  # photographs drawn
OUTLIERS = ("fashion_mnist", "digits", "composites", "landscapes", "noise")
OF_A_KIND = 400  # images of every kind of outlier
COUNT = 10 * sum(A_CLASS.values()) + OF_A_KIND * len(OUTLIERS)  # images in all
BATCH = 50
SIDE = 32  # pixels of CIFAR-10's photographs, to which all others are reduced
# how names of objects begin that CIFAR-10 has no class of
OTHER_OBJECTS = ("plants__", "food__", "household__", "hobbies__", "sports__")

Projection = Sequence[tuple[torch.Tensor, torch.Tensor]]  # mean (C,) and components (d, C) of every layer


def read(part: str) -> dict[str, np.ndarray]:
    """The arrays in one of the files of CONTENT. Raises DataError where it cannot be read
    or is not the one that ships.
    """
    from safetensors.numpy import load

    file = f"{part}.safetensors"
    cure = f"bring back assets/data/{NAME}/{file} as it was shipped"
    try:
        content = (FOLDER / file).read_bytes()
    except OSError as error:
        raise DataError(f"{NAME}/{file} cannot be read ({error.strerror}): {cure}.") from error
    if not hashlib.sha256(content).hexdigest().startswith(CONTENT[part]):
        raise DataError(f"{NAME}/{file} is not the file that ships (another SHA-256): {cure}.")
    return load(content)


def dataset() -> Dataset:
    """The photographs' features as a data set, layers side by side. Raises DataError."""
    classes, parts = CATALOGUE["cifar10"].classes, []
    for own in map(read, PARTS):
        places = np.arange(len(own["labels"]))
        parts.append(Features(own["features"], own["labels"].astype(np.int64), classes, places=places))
    return Dataset(NAME, *parts, content_fingerprint(*parts))


def outliers() -> dict[str, torch.Tensor]:
    """Features (n, d) of every kind of outlier, layers side by side. Raises DataError."""
    own = read("outliers")
    return {name: torch.from_numpy(own[name]).float() for name in OUTLIERS}


@cache
def projection() -> Projection:
    """The projection of every layer that ships. Raises DataError."""
    own = read("projection")
    names = ((f"mean{layer}", f"components{layer}") for layer in range(len(SIZES)))
    return tuple(tuple(torch.from_numpy(own[name]).float() for name in pair) for pair in names)


def small(pixels: np.ndarray) -> np.ndarray:
    """A photograph (h, w, 3) uint8 as small as those that ship, uint8 (3, 32, 32), each axis
    scaled for itself.
    """
    return (uploads.resized_to_square(pixels, SIDE) * 255).round().astype(np.uint8)


def of_images(images: np.ndarray) -> torch.Tensor:
    """Features (n, d), layers side by side, of images (n, 3, h, w) uint8, as those that
    ship were computed. Raises DataError, CheckpointError.
    """
    return projected(pooled(photograph_features.resized(images)), projection())


def projected(means: Sequence[torch.Tensor], projection: Projection) -> torch.Tensor:
    """What `pooled` returns as features (n, d), layers side by side."""
    pairs = zip(means, projection, strict=True)
    return torch.cat([(values - mean) @ components.T for values, (mean, components) in pairs], 1)


@torch.no_grad()
def pooled(images: torch.Tensor, progress: Callable[[int], None] | None = None) -> list[torch.Tensor]:
    """The mean over places (n, C) of every layer, for images (n, 3, side, side) in [0, 1],
    at 128 pixels; `progress` receives the number of images of each batch. Raises
    CheckpointError.
    """
    network, parts = chain(imagenet.load().network), []
    for batch in images.split(BATCH):
        whole = network.activations(batch)
        parts.append([whole[site].mean((2, 3)) if whole[site].ndim == 4 else whole[site] for site in SITES])
        if progress:
            progress(len(batch))
    return [torch.cat(values) for values in zip(*parts, strict=True)]


def compute(
    photographs: Dataset, seed: int, progress: Callable[[int], None] | None = None
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """The arrays of every file, from CIFAR-10, Fashion-MNIST, digits, composites, their
    backgrounds and noise, none with more than 32 pixels, and what the card states of them;
    the projection is fitted on the training photographs. Raises DataError, CheckpointError.
    """
    images, arrays = {}, {}
    for name, count in A_CLASS.items():
        part = getattr(photographs, name)
        rows = np.sort(some_of_each(part.labels, count, numpy_stream(seed, f"layers {name}")))
        images[name], arrays[name] = part.images[rows], {"labels": part.labels[rows].astype(np.uint8)}
    images |= _outliers(seed, OF_A_KIND)
    means = {name: pooled(photograph_features.resized(values), progress) for name, values in images.items()}
    fitted = [_fit(values, size) for values, size in zip(means["train"], SIZES, strict=True)]
    projection = [(mean, components) for mean, components, _ in fitted]
    features = {name: projected(values, projection).half().numpy() for name, values in means.items()}
    for name in A_CLASS:
        arrays[name]["features"] = features[name]
    arrays["outliers"] = {name: features[name] for name in OUTLIERS}
    arrays["projection"] = {
        f"{name}{layer}": values.half().numpy()
        for layer, pair in enumerate(projection)
        for name, values in zip(("mean", "components"), pair, strict=True)
    }
    return arrays, {
        "seed": seed,
        "rows": {name: len(values) for name, values in images.items()},
        "network": {"name": imagenet.NAME, "sha256": imagenet.SHA256, "sites": list(SITES)},
        "components": list(SIZES),
        "explained_variance": [kept for *_, kept in fitted],
        "photographs": photographs.fingerprint,
    }


def write(
    folder: Path, arrays: Mapping[str, Mapping[str, np.ndarray]], card: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the files and their card; returns the card with size and SHA-256 of each.
    Raises OSError.
    """
    from safetensors.numpy import save

    files = {}
    for part, own in arrays.items():
        content = save({name: np.ascontiguousarray(values) for name, values in own.items()})
        files[part] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        write_atomically(folder / f"{part}.safetensors", content)
    whole = {"name": NAME, **card, "files": files}
    write_atomically(folder / "card.json", json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    return whole


def _fit(values: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Mean and components of a layer's projection, scaled to a mean variance of 1, and the
    share of variance kept.
    """
    from sklearn.decomposition import PCA

    fitted = PCA(size, svd_solver="covariance_eigh").fit(values.double().numpy())
    components = fitted.components_ / np.sqrt(fitted.explained_variance_.mean())
    mean, components = (torch.from_numpy(each).float() for each in (fitted.mean_, components))
    return mean, components, round(float(fitted.explained_variance_ratio_.sum()), 4)


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
