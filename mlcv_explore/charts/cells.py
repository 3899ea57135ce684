"""Cells and bins: heat maps with their doubts hatched, histograms under one another."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import Chart, layer, role_colour, rows, specification
from mlcv_explore.charts.curves import t_band
from mlcv_explore.charts.palette import Palette, Role, contrast, rgb, shades, signed_shades

CELL = 40  # pixels a row of cells
PANEL = 74  # pixels a histogram
AXES = 100  # pixels for the axes and the legend of a heat map
INKS = ("#000000", "#FFFFFF")  # on any colour one of the two has a contrast of at least 4.5
STRIPES = (-2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3)  # diagonals of a hatched cell, as offsets of its side
HEAT_DEFAULTS: dict[str, Any] = {
    "part": "", "row": "", "column": "", "value": np.nan, "significant": True, "text": "", "fill": "", "ink": "",
    "x": np.nan, "middle": np.nan, "x2": np.nan, "y": np.nan, "centre": np.nan, "y2": np.nan,
}  # fmt: skip
BIN_DEFAULTS: dict[str, Any] = {
    "part": "", "group": "", "role": "", "text": "", "start": np.nan, "end": np.nan, "share": np.nan, "low": np.nan, "high": np.nan, "n": np.nan,
    "y": np.nan, "y2": np.nan, "y_low": np.nan, "y_high": np.nan,
}  # fmt: skip


def heat_map(
    values: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    titles: tuple[str, str, str],
    palette: Palette,
    *,
    significant: np.ndarray | None = None,
    signed: bool = True,
    value_format: str = ".2f",
    limit: float | None = None,
) -> Chart:
    """A table of numbers as colours, (R, C), row 0 at the top in the order given; NaN cells stay empty.

    `titles` name rows, columns and the value with its unit. Signed values are blue below and orange above zero, which has the colour of the
    paper, with equal limits on both sides (`limit`, or the largest absolute value). Cells that are not `significant`, (R, C) bool, are
    hatched. Raises ValueError when shapes and labels disagree.
    """
    values = np.asarray(values, dtype=float)
    sure = np.ones(values.shape, dtype=bool) if significant is None else np.asarray(significant, dtype=bool)
    if values.shape != (len(row_labels), len(column_labels)) or sure.shape != values.shape:
        raise ValueError(f"Values {values.shape} and significant {sure.shape} must be {len(row_labels)} rows by {len(column_labels)} columns.")
    bounds = _bounds(values, signed, limit)
    spec = specification(_heat_layers(values.shape, titles, palette, bounds, signed, value_format), {}, CELL * len(row_labels) + AXES, palette)
    spec["layer"][0]["encoding"]["x"]["axis"] = _ticks(titles[1], column_labels) | {"orient": "bottom", "labelAngle": 0}
    spec["layer"][0]["encoding"]["y"]["axis"] = _ticks(titles[0], row_labels)
    blocks = [_cells(values, sure, row_labels, column_labels, palette, bounds, signed, value_format), *_stripes(~sure & np.isfinite(values))]
    subject = f"{titles[2]} by {titles[0]} (rows) and {titles[1]} (columns)."
    words = _heat_words(values, sure, row_labels, column_labels, value_format)
    return Chart(spec, rows(blocks, HEAT_DEFAULTS), subject, f"{subject} {words}", ("row", "column", "value", "significant"), palette.background)


def histograms(edges: np.ndarray, groups: Mapping[str, tuple[Role, np.ndarray]], x_title: str, palette: Palette) -> Chart:
    """One panel a group under one another, equal scales: the share of the group in each bin, mean over seeds with its 95 % t-interval.

    `edges` is (B+1,), rising; a group's counts are (S, B) or (B,), not negative. Raises ValueError on a length that does not fit.
    """
    edges = np.asarray(edges, dtype=float)
    shares = {label: _shares(label, counts, len(edges) - 1) for label, (_, counts) in groups.items()}
    bands = {label: t_band(share) for label, share in shares.items()}
    tallest = max((float(np.nanmax([mean, high])) for mean, _, high in bands.values() if np.isfinite(mean).any()), default=1.0) or 1.0
    blocks = []
    for position, (label, (role, _)) in enumerate(groups.items()):
        blocks += _bins(label, role, position, edges, bands[label], len(shares[label]), tallest)
    spec = specification(_bin_layers(palette, len(groups), edges, x_title), {}, PANEL * len(groups) + 46, palette)
    subject = f"Histograms of {x_title}: {', '.join(groups)}."
    words = "; ".join(_bin_words(label, edges, bands[label][0], len(shares[label])) for label in groups)
    columns = ("group", "role", "start", "end", "share", "low", "high", "n")
    return Chart(spec, rows(blocks, BIN_DEFAULTS), subject, f"{subject} {words}.", columns, palette.background)


def _bounds(values: np.ndarray, signed: bool, limit: float | None) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if signed:
        reach = limit or (float(np.abs(finite).max()) if len(finite) else 0.0) or 1.0
        return -reach, reach
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def _cells(
    values: np.ndarray,
    sure: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    palette: Palette,
    bounds: tuple[float, float],
    signed: bool,
    value_format: str,
) -> dict[str, Any]:
    down, across = (index.ravel() for index in np.indices(values.shape))
    flat = values.ravel()
    fill = signed_shades(flat, bounds[1], palette) if signed else shades((flat - bounds[0]) / (bounds[1] - bounds[0]), palette.amounts)
    whiter = contrast(fill, np.array(rgb(INKS[1]))) > contrast(fill, np.array(rgb(INKS[0])))
    return {
        "part": "value",
        "row": [row_labels[index] for index in down],
        "column": [column_labels[index] for index in across],
        "value": flat,
        "significant": sure.ravel(),
        "text": [format(value, value_format).replace("-", "−") if math.isfinite(value) else "–" for value in flat],
        "fill": [f"#{red:02X}{green:02X}{blue:02X}" for red, green, blue in fill],
        "ink": np.where(np.isfinite(flat), np.where(whiter, INKS[1], INKS[0]), palette.muted).astype(object),
        "x": across.astype(float),
        "middle": across + 0.5,
        "x2": across + 1.0,
        "y": down.astype(float),
        "centre": down + 0.5,
        "y2": down + 1.0,
    }


def _stripes(doubtful: np.ndarray) -> list[dict[str, Any]]:
    """Diagonals from edge to edge of every doubtful cell, in units of cells."""
    down, across = (index.astype(float) for index in np.nonzero(doubtful))
    return [
        {
            "part": "hatch",
            "significant": np.zeros(len(down), dtype=bool),
            "x": across + max(0.0, offset),
            "x2": across + min(1.0, 1.0 + offset),
            "y": down + 1.0 - max(0.0, -offset),
            "y2": down + 1.0 - min(1.0, 1.0 - offset),
        }
        for offset in STRIPES
        if len(down)
    ]


def _heat_layers(
    shape: tuple[int, int], titles: tuple[str, str, str], palette: Palette, bounds: tuple[float, float], signed: bool, value_format: str
) -> list[dict[str, Any]]:
    down, across = {"domain": [0, shape[0]], "reverse": True, "nice": False}, {"domain": [0, shape[1]], "nice": False}
    ends = {
        "x": {"field": "x", "type": "quantitative", "scale": across},
        "y": {"field": "y", "type": "quantitative", "scale": down},
        "x2": {"field": "x2"},
        "y2": {"field": "y2"},
    }
    stops = palette.signed_stops if signed else palette.amounts
    scale = {"domain": np.linspace(*bounds, len(stops)).tolist(), "range": list(stops), "clamp": True, "interpolate": "rgb"}
    legend = {
        "title": titles[2],
        "orient": "top",
        "gradientLength": 180,
        "gradientThickness": 10,
        "format": value_format,
        "values": [*bounds, sum(bounds) / 2],
    }
    colour = {"field": "value", "type": "quantitative", "scale": scale, "legend": legend}
    middle = {"x": {**ends["x"], "field": "middle"}, "y": {**ends["y"], "field": "centre"}}
    fits = {"expr": f"min(14, width / {shape[1]} / 3.6)"}  # a value of six characters within its cell
    text = {"type": "text", "baseline": "middle", "fontSize": fits, "opacity": {"expr": f"width / {shape[1]} < 27 ? 0 : 1"}}
    words = {**middle, "text": {"field": "text"}}
    halo = layer("value", {**text, "strokeWidth": 5, "strokeJoin": "round"}, {**words, "stroke": {"field": "fill", "type": "nominal", "scale": None}})
    halo["transform"].append({"filter": "!datum.significant"})  # the stripes leave room for the number
    names = [{"field": name, "type": "nominal"} for name in ("row", "column", "text", "significant")]
    return [
        layer("value", {"type": "rect", "stroke": palette.border, "strokeWidth": 1}, {**ends, "color": colour, "tooltip": names}),
        layer("hatch", {"type": "rule", "strokeWidth": 1, "opacity": 0.45}, {**ends, "color": {"value": palette.text}}),
        halo,
        layer("value", text, {**words, "color": {"field": "ink", "type": "nominal", "scale": None}}),
    ]


def _ticks(title: str, labels: Sequence[str]) -> dict[str, Any]:
    """An axis over cells: the labels' texts at the middle of each, of several lines where they have them."""
    names = json.dumps([str(label) for label in labels], ensure_ascii=False)
    return {
        "title": title,
        "values": [index + 0.5 for index in range(len(labels))],
        "tickCount": len(labels),  # Vega thins out the values where the theme allows fewer ticks
        "labelExpr": f"split({names}[floor(datum.value)], '\\n')",
        "grid": False,
        "ticks": False,
        "domain": False,
        "labelOverlap": True,
    }


def _heat_words(values: np.ndarray, sure: np.ndarray, row_labels: Sequence[str], column_labels: Sequence[str], value_format: str) -> str:
    if not np.isfinite(values).any():
        return "No values yet."
    places = {"Largest": np.nanargmax(values), "smallest": np.nanargmin(values)}
    ends = []
    for name, place in places.items():
        row, column = np.unravel_index(place, values.shape)
        ends.append(f"{name} {values[row, column]:{value_format}} at {row_labels[row]}, {column_labels[column]}")
    doubtful = int((~sure & np.isfinite(values)).sum())
    return f"{'; '.join(ends)}. {doubtful} of {int(np.isfinite(values).sum())} cells are hatched: not significant."


def _shares(label: str, counts: np.ndarray, bins: int) -> np.ndarray:
    """Counts as shares of each seed's own total, (S, B); NaN for a seed without any."""
    table = np.atleast_2d(np.asarray(counts, dtype=float))
    if table.shape[1] != bins:
        raise ValueError(f"The group {label!r} must have {bins} counts a seed, got shape {table.shape}.")
    totals = table.sum(axis=1, keepdims=True)
    return np.divide(table, totals, out=np.full_like(table, np.nan), where=totals > 0)


def _bins(
    label: str, role: Role, position: int, edges: np.ndarray, band: tuple[np.ndarray, np.ndarray, np.ndarray], count: int, tallest: float
) -> list[dict[str, Any]]:
    mean, low, high = band
    base, reach = position + 0.96, 0.66 / tallest  # a panel is one unit high; the name has the rest
    blocks: list[dict[str, Any]] = [
        {
            "part": "value", "group": label, "role": role, "n": float(count),
            "start": edges[:-1], "end": edges[1:], "share": mean, "low": low, "high": high,
            "y": np.full(len(mean), base), "y2": base - reach * mean, "y_low": base - reach * np.maximum(low, 0), "y_high": base - reach * high,
        },
        {"part": "label", "group": label, "role": role, "text": label, "y": position + 0.14},
        {"part": "frame", "y": base},
    ]  # fmt: skip
    if np.isfinite(mean).any():
        top = int(np.nanargmax(mean))
        crest = np.nanmin([blocks[0]["y2"][top], blocks[0]["y_high"][top]])
        blocks.append({"part": "mark", "start": (edges[top] + edges[top + 1]) / 2, "y": crest, "text": f"{mean[top]:.0%}"})
    return blocks


def _bin_layers(palette: Palette, count: int, edges: np.ndarray, x_title: str) -> list[dict[str, Any]]:
    across = {"scale": {"domain": [float(edges[0]), float(edges[-1])], "nice": False}, "axis": {"title": x_title, "tickCount": 6}}
    down = {"type": "quantitative", "scale": {"domain": [0, max(count, 1)], "reverse": True, "nice": False}, "axis": None}
    y, start = {"field": "y", **down}, {"field": "start", "type": "quantitative", **across}
    text, muted = {"value": palette.text}, {"value": palette.muted}
    bars = {"x": start, "x2": {"field": "end"}, "y": y, "y2": {"field": "y2"}, "color": role_colour(palette), "tooltip": _bin_tooltip()}
    whiskers = {"x": {**start, "field": "middle"}, "y": {**y, "field": "y_low"}, "y2": {"field": "y_high"}, "color": text}
    whisker = layer("value", {"type": "rule", "strokeWidth": 1, "opacity": 0.7}, whiskers)
    whisker["transform"].append({"calculate": "(datum.start + datum.end) / 2", "as": "middle"})
    label = {"x": {"value": 0}, "y": y, "text": {"field": "text"}, "color": text}
    crest = {"x": start, "y": y, "text": {"field": "text"}, "color": muted}
    return [
        layer("value", {"type": "rect", "stroke": palette.background, "strokeWidth": 1}, bars),
        whisker,
        layer("frame", {"type": "rule"}, {"y": y, "color": {"value": palette.border}}),
        layer("label", {"type": "text", "align": "left", "baseline": "middle"}, label),
        layer("mark", {"type": "text", "baseline": "bottom", "dy": -3, "fontSize": 12}, crest),
    ]


def _bin_tooltip() -> list[dict[str, Any]]:
    numbers = [
        {"field": name, "type": "quantitative", "format": form} for name, form in (("start", ".3g"), ("end", ".3g"), ("share", ".1%"), ("n", "d"))
    ]
    return [{"field": "group", "type": "nominal"}, *numbers]


def _bin_words(label: str, edges: np.ndarray, mean: np.ndarray, count: int) -> str:
    if not np.isfinite(mean).any():
        return f"{label} has no values yet"
    top = int(np.nanargmax(mean))
    return f"{label} (n = {count} seed{'s' * (count != 1)}) peaks at {edges[top]:g}–{edges[top + 1]:g} with {mean[top]:.0%} of its values"
