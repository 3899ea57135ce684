"""The way from one photograph to another: mixed as features of the ImageNet network and,
beside it, as pixels, with what reference photographs make of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.idea import Role
from mlcv_explore.models import photograph_map
from mlcv_explore.models.photograph_map import UNUSUAL, PhotographSpace

SHARES = np.linspace(0, 1, 11)  # of the second photograph
WAYS: Mapping[str, Role] = {"features mixed": "idea", "pixels mixed": "control"}


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph, and what it shows where that is known: one of the classes or not."""

    pixels: np.ndarray  # (h, w, 3) uint8
    shows: str | None = None


@dataclass(frozen=True, eq=False)
class Path:
    """One way of mixing."""

    places: np.ndarray  # (T, 2) on the map
    probabilities: np.ndarray  # (T, K) of the classifier
    distances: np.ndarray  # (T, 5) to the nearest references, 1 for a test photograph's nearest
    nearest: np.ndarray  # (T, 5) places among the references


@dataclass(frozen=True, eq=False)
class PhotographPaths:
    """Two photographs mixed in both ways, at the T values of SHARES."""

    blends: np.ndarray  # (T, 3, 32, 32) uint8, what the network reads where pixels are mixed
    target: np.ndarray  # (T, K) mixed label
    paths: Mapping[str, Path]  # by WAYS
    labels: tuple[int, int]  # known, or predicted
    notes: tuple[str, str]  # a sentence or two about each photograph's class


def mix(space: PhotographSpace, first: Photograph, second: Photograph) -> PhotographPaths:
    """Both photographs mixed at every share s: (1 − s)·F_1 + s·F_2 of their features, the
    same of their pixels, and of their labels y.

    Projecting on components is linear: mixing the 64 of them mixes all 1,280 features.
    Raises CheckpointError where the network is missing.
    """
    ends = [photograph_map.squares(photograph.pixels).astype(float) for photograph in (first, second)]
    blends = np.rint(between(*ends)).astype(np.uint8)
    read = space.read(blends)
    points = {"features mixed": between(read.points[0], read.points[-1]), "pixels mixed": read.points}
    paths = {way: _path(space, points[way]) for way in WAYS}
    predicted = paths["pixels mixed"].probabilities[[0, -1]].argmax(1)
    labels = tuple(
        space.classes.index(photograph.shows) if photograph.shows in space.classes else int(guess)
        for photograph, guess in zip((first, second), predicted, strict=True)
    )
    one_hot, novelty = np.eye(len(space.classes)), space.novelty(read.outside[[0, -1]])
    about = zip((first, second), labels, novelty, strict=True)
    notes = tuple(_note(space, photograph, label, float(high)) for photograph, label, high in about)
    return PhotographPaths(blends, between(*one_hot[list(labels)]), paths, labels, notes)


def between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(…) and (…) mixed at every share: (T, …)."""
    shares = SHARES.reshape(-1, *[1] * first.ndim)
    return (1 - shares) * first + shares * second


def at(share: float) -> int:
    """The index of the share in SHARES."""
    return int(np.abs(SHARES - share).argmin())


def _path(space: PhotographSpace, points: np.ndarray) -> Path:
    distances, nearest = space.nearest(points)
    return Path(space.fitted.transform(points), space.probabilities(points), distances, nearest)


def _note(space: PhotographSpace, photograph: Photograph, label: int, novelty: float) -> str:
    """The class, and whether the photograph is of none of the classes."""
    name, count = space.classes[label], space.card["test_size"]
    if photograph.shows == name:
        return f"Class {name}."
    if photograph.shows is not None:
        return f"**None of the ten classes**; the predicted one, {name}, is used."
    if novelty >= UNUSUAL:
        return (
            "**Probably none of the ten classes**: more of its feature lies outside CIFAR-10's space than"
            f" for {min(novelty, 99.9):.3g} % of {count:,} test photographs. Predicted class used: {name}."
        )
    return f"Predicted class used: {name}."


def examples(mixed: PhotographPaths, place: int) -> dict[str, tuple[np.ndarray, Role, int | None]]:
    """For the map: place, role and class of the photographs and of both mixtures."""
    ends, first, second = mixed.paths["pixels mixed"].places, *mixed.labels
    markers: dict[str, tuple[np.ndarray, Role, int | None]] = {
        "first": (ends[0], "variant", first),
        "second": (ends[-1], "other", second),
    }
    return markers | {way: (path.places[place], WAYS[way], None) for way, path in mixed.paths.items()}


def shares(mixed: PhotographPaths, place: int) -> dict[str, tuple[Role, np.ndarray]]:
    """The mixed label and the classifier's soft labels at a share, (K,) each."""
    soft = {way: (WAYS[way], path.probabilities[place]) for way, path in mixed.paths.items()}
    return {"mixed label": ("baseline", mixed.target[place])} | soft


def curves(mixed: PhotographPaths) -> dict[str, tuple[Role, np.ndarray]]:
    """Probability of the second photograph's class at every share, (T,) each."""
    label = mixed.labels[1]
    soft = {way: (WAYS[way], path.probabilities[:, label]) for way, path in mixed.paths.items()}
    return {"mixed label": ("baseline", mixed.target[:, label])} | soft


def neighbours(space: PhotographSpace, mixed: PhotographPaths, place: int) -> dict[str, Sequence[str]]:
    """The nearest references at a share, class and distance, for each way of mixing."""
    table = {"Nearest": [str(rank + 1) for rank in range(mixed.paths["pixels mixed"].nearest.shape[1])]}
    for way, path in mixed.paths.items():
        names = (space.classes[label] for label in space.references.labels[path.nearest[place]])
        table[way.capitalize()] = [
            f"{name} · {distance:.2f}" for name, distance in zip(names, path.distances[place], strict=True)
        ]
    return table


def map_notice(space: PhotographSpace) -> str:
    """What the lines are, and how exact places are."""
    metrics = space.card["metrics"]
    return (
        f"Lines: the mixture for shares from 0 to 1. One in {photograph_map.DRAWN} of"
        f" {len(space.references):,} CIFAR-10 photographs is drawn. Placement error: median"
        f" {metrics['map_median']:.1%} of the map's width, 90th percentile {metrics['map_p90']:.1%}."
    )
