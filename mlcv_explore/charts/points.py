"""A map of labelled points, and the trail of one that moves over it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import HOVER, Chart, layer, role_colour, rows, specification
from mlcv_explore.charts.curves import LABEL_GAP, LABEL_LINE, spread
from mlcv_explore.charts.palette import ROLES, Palette, Role

HEIGHT = 360  # pixels
MARGIN = 0.05  # of each side, around the points
GLYPH = 2  # characters of the longest label that is still drawn as the point itself
RIGHT = 0.6  # of the width: labels of markers beyond it stand at their left
TRAIL = "trail"
TOLD = ["value", "seed", "here"]  # the parts that have a tooltip
COLUMNS = ("label", "role", "x", "y", "step")
DEFAULTS: dict[str, Any] = {
    "part": "", "label": "", "role": "", "text": "", "side": "left", "x": np.nan, "y": np.nan, "x2": np.nan, "y2": np.nan, "step": np.nan,
}  # fmt: skip


def points(
    coordinates: np.ndarray,
    labels: Sequence[str],
    groups: Sequence[Role | str],
    palette: Palette,
    *,
    trail: np.ndarray | None = None,
    here: Mapping[str, tuple[float, float, Role]] | None = None,
    names: Mapping[Role, str] | None = None,
    height: int = HEIGHT,
) -> Chart:
    """Points (n, 2) with a label each, on a map whose axes mean nothing: no numbers, no titles, limits that hang on these points alone.

    Labels of at most two characters are drawn in place of dots. `groups` says of each point which role it has, "" for none: grey, small, in the
    back; `names` maps a role to what stands over its points. `trail` (T, 2) is a line through where something went; `here` names large markers,
    x, y, role. What leaves the map is drawn at its edge. The specification hangs on palette, limits, height and the kind of labels, so that a
    marker that moves redraws in place. Raises ValueError when the lengths disagree.
    """
    places = np.asarray(coordinates, dtype=float)
    texts, roles = np.asarray(labels, dtype=object), np.asarray(groups, dtype=object)
    if places.shape != (len(texts), 2) or len(roles) != len(texts):
        raise ValueError(f"Points {places.shape} with {len(texts)} labels and {len(roles)} groups: one (x, y), one label and one group each.")
    if unknown := set(roles) - {"", *ROLES}:
        raise ValueError(f"A group must be '' or one of {', '.join(ROLES)}, got {', '.join(map(repr, sorted(unknown)))}.")
    low, high = _limits(places)
    went = np.empty((0, 2)) if trail is None else np.clip(np.asarray(trail, dtype=float).reshape(-1, 2), low, high)
    stands = {name: (np.clip((x, y), low, high), role) for name, (x, y, role) in (here or {}).items()}
    blocks: list[Mapping[str, Any]] = [
        {"part": "value", "label": texts, "role": roles, "x": places[:, 0], "y": places[:, 1]},
        {"part": "seed", "label": TRAIL, "role": "idea", "x": went[:, 0], "y": went[:, 1], "step": np.arange(float(len(went)))},
        *({"part": "here", "label": name, "role": role, "x": float(at[0]), "y": float(at[1])} for name, (at, role) in stands.items()),
        *_labels(stands, low, high, height),
        *_group_names(places, roles, names or {}),
    ]
    glyphs = max(map(len, texts), default=0) <= GLYPH
    spec = specification(_layers(palette, glyphs), _encoding(palette, low, high), height, palette)
    subject = "Map of points, alike near each other."
    words = _words(texts, roles, names or {}, len(went), {name: at for name, (at, _) in stands.items()})
    return Chart(spec, rows(blocks, DEFAULTS), subject, f"{subject} {words}", COLUMNS, palette.background)


def _limits(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper corner, (2,) each, of the points with their margin; a unit square around what has no width."""
    finite = places[np.isfinite(places).all(axis=1)]
    if not len(finite):
        return np.zeros(2), np.ones(2)
    low, high = finite.min(axis=0), finite.max(axis=0)
    margin = np.where(high > low, MARGIN * (high - low), 0.5)
    return low - margin, high + margin


def _labels(stands: Mapping[str, tuple[np.ndarray, Role]], low: np.ndarray, high: np.ndarray, height: int) -> list[dict[str, Any]]:
    """The markers' names beside them, at another height only where two would overlap."""
    if not stands:
        return []
    per_pixel = (high[1] - low[1]) / height
    wanted = np.array([(at[1] - low[1]) / per_pixel for at, _ in stands.values()])
    placed = spread(wanted, np.full(len(stands), float(LABEL_LINE + LABEL_GAP)), height)
    turn = low[0] + RIGHT * (high[0] - low[0])
    return [
        {
            "part": "label", "label": name, "role": role, "text": name, "x": float(at[0]), "y": low[1] + level * per_pixel,
            "side": "right" if at[0] > turn else "left",
        }
        for (name, (at, role)), level in zip(stands.items(), placed, strict=True)
    ]  # fmt: skip


def _group_names(places: np.ndarray, roles: np.ndarray, names: Mapping[Role, str]) -> list[dict[str, Any]]:
    """What a group is called, over the middle of its points."""
    blocks = []
    for role, name in names.items():
        own = places[roles == role]
        own = own[np.isfinite(own).all(axis=1)]
        if len(own):
            x, y = np.median(own, axis=0)
            blocks.append({"part": "name", "label": name, "role": role, "text": name, "x": float(x), "y": float(y)})
    return blocks


def _encoding(palette: Palette, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    def side(name: str, place: int) -> dict[str, Any]:
        scale = {"domain": [float(low[place]), float(high[place])], "nice": False, "zero": False}
        return {"field": name, "type": "quantitative", "scale": scale, "axis": None}

    return {"x": side("x", 0), "y": side("y", 1), "color": role_colour(palette)}


def _layers(palette: Palette, glyphs: bool) -> list[dict[str, Any]]:
    """Points without a group, those with one, the trail, the markers, names; then the targets of the tooltip."""
    styles = [palette.roles[role] for role in ROLES]
    shape, fill = _by_role([style.marker for style in styles]), _by_role([style.colour if style.filled else palette.background for style in styles])
    muted, ink = {"color": {"value": palette.muted}}, {"color": {"value": palette.text}}
    halo = {"stroke": palette.background, "strokeWidth": 4, "strokeJoin": "round"}
    if glyphs:
        word, shown = {"type": "text", "baseline": "middle"}, {"text": {"field": "label"}}
        neutral = layer("value", {**word, "fontSize": 10, "opacity": 0.5}, {**shown, **muted})
        grouped = layer("value", {**word, "fontSize": 13, "fontWeight": "bold"}, shown)
    else:
        neutral = layer("value", {"type": "point", "filled": True, "shape": "circle", "size": 12, "opacity": 0.5}, muted)
        grouped = layer("value", {"type": "point", "size": 36, "strokeWidth": 1.2, "opacity": 0.9}, {"shape": shape, "fill": fill})
    over, words = {"type": "text", "baseline": "middle", "fontWeight": "bold"}, {"text": {"field": "text"}}
    beside = {**over, "align": {"expr": "datum.side"}, "dx": {"expr": "datum.side === 'left' ? 13 : -13"}}
    order = {"order": {"field": "step", "type": "quantitative"}}
    tooltip = {"tooltip": [{"field": "label", "type": "nominal"}, {"field": "step", "type": "quantitative"}]}
    target = {"type": "point", "size": 120, "opacity": 0}
    return [
        _where(neutral, "!datum.role"),
        _where(grouped, "datum.role"),
        layer("name", {**over, **halo}, words),
        layer("name", over, {**words, **ink}),
        layer("seed", {"type": "line", "strokeWidth": 2, "opacity": 0.9}, order),
        layer("seed", {"type": "point", "filled": True, "shape": "circle", "size": 14, "opacity": 1}),
        layer("here", {"type": "point", "size": 190, "strokeWidth": 5, "opacity": 1}, {"shape": shape, "color": {"value": palette.background}}),
        layer("here", {"type": "point", "size": 190, "strokeWidth": 2, "opacity": 1}, {"shape": shape, "fill": fill}),
        layer("label", {**beside, **halo}, words),
        layer("label", beside, {**words, **ink}),
        {**layer("value", target, tooltip), "transform": [{"filter": {"field": "part", "oneOf": TOLD}}], "name": HOVER},  # a name may stand once
    ]


def _by_role(values: list[str]) -> dict[str, Any]:
    return {"field": "role", "type": "nominal", "scale": {"domain": list(ROLES), "range": values}, "legend": None}


def _where(item: dict[str, Any], test: str) -> dict[str, Any]:
    return {**item, "transform": [*item["transform"], {"filter": test}]}


def _words(texts: np.ndarray, roles: np.ndarray, names: Mapping[Role, str], steps: int, stands: Mapping[str, np.ndarray]) -> str:
    """How many points, how many of them in which group, and what lies where, as text."""
    parts = [f"{len(texts)} points with {len(set(texts))} different labels."]
    for role in ROLES:
        if own := int((roles == role).sum()):
            parts.append(f"{names.get(role, role)}: {own} point{'s' * (own != 1)} labelled {', '.join(sorted(set(texts[roles == role])))}.")
    parts += [f"A trail of {steps} places."] if steps else []
    parts += [f"{name} at ({f'{at[0]:.3g}, {at[1]:.3g}'.replace('-', '−')})." for name, at in stands.items()]
    return " ".join(parts)
