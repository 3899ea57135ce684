"""A map of features, such as a demo's training features, with the examples at hand on it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlcv_explore import charts
from mlcv_explore.idea import Role
from mlcv_explore.ui import figures, theme

if TYPE_CHECKING:
    from mlcv_explore.models.decoded_demo import DecodedDemo

Example = tuple[np.ndarray, Role, int | None]  # place (2,), role, and the class that has its colour


def show(
    demo: "DecodedDemo",
    depth: int,
    examples: Mapping[str, Example],
    key: str,
    notice: str,
    trail: Sequence[Sequence[float]] = (),
) -> None:
    """The map of a depth, with the features of the examples' classes in their colours;
    of two examples of a class the first gives it its own. `trail` is a line of places.
    """
    about = demo.map(depth).fitted.coordinates, demo.mapped.labels, demo.classes
    show_points(*about, examples, key, notice, trail)


def show_points(
    coordinates: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    examples: Mapping[str, Example],
    key: str,
    notice: str,
    trail: Sequence[Sequence[float]] = (),
    more_trails: Mapping[Role, np.ndarray] | None = None,
) -> None:
    """The same of features at coordinates (n, 2) with labels (n,) among the classes;
    `more_trails` are lines of other roles.
    """
    groups = classes_of(labels, examples)
    here = {name: (*place.tolist(), role) for name, (place, role, _) in examples.items()}
    roles = {role: label for _, role, label in examples.values() if role in groups}
    names = {role: classes[label] for role, label in roles.items()}
    texts = [classes[label] for label in labels]
    about = {"trail": trail, "more_trails": more_trails, "here": here, "names": names}
    chart = charts.points(coordinates, texts, groups, theme.palette(), **about)
    figures.figure(chart, key, notice, moving=True)


def classes_of(labels: np.ndarray, examples: Mapping[str, Example]) -> np.ndarray:
    """(n,) the role of every feature: that of the first example of its class, or ""."""
    groups = np.full(len(labels), "", dtype=object)
    for _, role, label in reversed(examples.values()):
        if label is not None:
            groups[labels == label] = role
    return groups
