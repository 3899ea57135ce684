"""The map of a demo's training features, with the examples at hand on it."""

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
    groups = classes_of(demo.mapped.labels, examples)
    here = {name: (*place.tolist(), role) for name, (place, role, _) in examples.items()}
    roles = {role: label for _, role, label in examples.values() if role in groups}
    names = {role: demo.classes[label] for role, label in roles.items()}
    texts = [demo.classes[label] for label in demo.mapped.labels]
    about = {"trail": trail, "here": here, "names": names}
    chart = charts.points(demo.map(depth).fitted.coordinates, texts, groups, theme.palette(), **about)
    figures.figure(chart, key, notice, moving=True)


def classes_of(labels: np.ndarray, examples: Mapping[str, Example]) -> np.ndarray:
    """(n,) the role of every feature: that of the first example of its class, or ""."""
    groups = np.full(len(labels), "", dtype=object)
    for _, role, label in reversed(examples.values()):
        if label is not None:
            groups[labels == label] = role
    return groups
