"""A map of labelled points, and the trail of one that moves over it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import Chart, ends, rows, specification
from mlcv_explore.charts.curves import label_places
from mlcv_explore.charts.palette import ROLES, Palette, Role

HEIGHT = 360  # pixels
MARGIN = 0.05  # of each side, around the points
GLYPH = 2  # characters of the longest label that is still drawn as the point itself
RIGHT = 0.6  # of the width: labels of markers beyond it stand at their left
COLUMNS = ("label", "role", "x", "y", "step")


def points(
    coordinates: np.ndarray,
    labels: Sequence[str],
    groups: Sequence[Role | str],
    palette: Palette,
    *,
    trail: np.ndarray | None = None,
    more_trails: Mapping[Role, np.ndarray] | None = None,
    here: Mapping[str, tuple[float, float, Role]] | None = None,
    names: Mapping[Role, str] | None = None,
    height: int = HEIGHT,
) -> Chart:
    """Points (n, 2) with a label each, without axes, within the limits of these points.

    Labels of at most two characters are drawn in place of dots. `groups` gives each
    point its role, "" for none: grey, small, in the back; `names` maps a role to the
    text over its points. `trail` (T, 2) is a line in the idea's colour, `more_trails`
    are lines of other roles; `here` maps names to large markers: x, y, role. What leaves
    the map is drawn at its edge. `height` in pixels. Raises ValueError when the lengths
    disagree.
    """
    places, texts = np.asarray(coordinates, dtype=float), np.asarray(labels, dtype=object)
    roles = np.asarray(groups, dtype=object)
    if places.shape != (len(texts), 2) or len(roles) != len(texts):
        given = f"Points {places.shape} with {len(texts)} labels and {len(roles)} groups"
        raise ValueError(f"{given}: one (x, y), one label and one group each.")
    if unknown := set(roles) - {"", *ROLES}:
        wrong = ", ".join(map(repr, sorted(unknown)))
        raise ValueError(f"A group must be '' or one of {', '.join(ROLES)}, got {wrong}.")
    low, high = _limits(places)
    trails: dict[Role, np.ndarray] = {"idea": () if trail is None else trail, **(more_trails or {})}
    trails = {role: np.clip(np.reshape(line, (-1, 2)), low, high) for role, line in trails.items()}
    here, names = here or {}, names or {}
    at = {name: tuple(map(float, np.clip(place, low, high))) for name, (*place, _) in here.items()}
    beside = label_places([y for _, y in at.values()], (low[1], high[1]), height) if at else []
    turn = low[0] + RIGHT * (high[0] - low[0])
    blocks: list[dict[str, Any]] = [
        {"part": "value", "label": texts, "role": roles, "x": places[:, 0], "y": places[:, 1]},
        *({"part": "seed", "label": "trail", "role": role, "x": line[:, 0], "y": line[:, 1],
           "step": np.arange(float(len(line)))} for role, line in trails.items()),
        ends((low[0], high[0]), (low[1], high[1])),
    ]  # fmt: skip
    for (name, (x, y)), (*_, role), level in zip(at.items(), here.values(), beside, strict=True):
        named = {"label": name, "role": role, "x": x}
        blocks.append({"part": "here", **named, "y": y})
        side = "right" if x > turn else "left"
        blocks.append({"part": "label", **named, "y": level, "text": name, "side": side})
    for role, name in names.items():
        own = places[(roles == role) & np.isfinite(places).all(axis=1)]
        if len(own):
            x, y = map(float, np.median(own, axis=0))
            blocks.append({"part": "name", "label": name, "role": role, "text": name, "x": x, "y": y})
    spec = specification("points", palette, max(map(len, texts), default=0) <= GLYPH, height=height)
    subject = "Map of points, alike near each other."
    words = _words(texts, roles, names, [len(line) for line in trails.values() if len(line)], at)
    return Chart(spec, rows(blocks), subject, f"{subject} {words}", COLUMNS, palette.background)


def _limits(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper corner, (2,) each, of the points with their margin; a
    unit square around what has no width.
    """
    finite = places[np.isfinite(places).all(axis=1)]
    if not len(finite):
        return np.zeros(2), np.ones(2)
    low, high = finite.min(axis=0), finite.max(axis=0)
    margin = np.where(high > low, MARGIN * (high - low), 0.5)
    return low - margin, high + margin


def _words(texts: np.ndarray, roles: np.ndarray, names: Mapping, steps: Sequence[int], at: Mapping) -> str:
    """How many points, how many of them in which group, where markers are, as text."""
    parts = [f"{len(texts)} points with {len(set(texts))} different labels."]
    for role in ROLES:
        if own := int((roles == role).sum()):
            labels = ", ".join(sorted(set(texts[roles == role])))
            parts.append(f"{names.get(role, role)}: {own} point{'s' * (own != 1)} labelled {labels}.")
    parts += [f"A trail of {count} places." for count in steps]
    parts += [f"{name} at ({f'{x:.3g}, {y:.3g}'.replace('-', '−')})." for name, (x, y) in at.items()]
    return " ".join(parts)
