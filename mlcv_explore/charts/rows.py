"""One row a number: differences with their intervals, arms with theirs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import Chart, layer, role_colour, rows, specification, with_interval
from mlcv_explore.charts.palette import ROLES, Palette, Role
from mlcv_explore.statistics import Direction

AXIS = 46  # pixels for the axis under the rows
REACH = (0.17, 0.27)  # of a row: shade and zero line above and below the dot
SEED_OFFSET = 0.19  # of a row: single seeds lie this far under their mean
ENDS = {"x": {"field": "x_low", "type": "quantitative"}, "x2": {"field": "x_high"}}
COLUMNS = ("name", "role", "unit", "mean", "low", "high", "n", "margin", "status", "seed")
BAR_COLUMNS = ("name", "role", "mean", "low", "high")
DEFAULTS: dict[str, Any] = {
    "part": "", "name": "", "role": "", "unit": "", "status": "", "text": "", "at": np.nan, "text_at": np.nan, "top": np.nan, "bottom": np.nan,
    "x": np.nan, "x_low": np.nan, "x_high": np.nan, "mean": np.nan, "low": np.nan, "high": np.nan, "n": np.nan, "margin": np.nan, "seed": np.nan,
}  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """A paired difference of two arms with its interval, every number in the unit shown. Without bounds low and high are infinite or NaN."""

    name: str  # "noisy − plain, test accuracy"
    mean: float
    low: float
    high: float
    per_seed: np.ndarray = field(default_factory=lambda: np.empty(0))  # (S,)
    role: Role = "idea"
    status: str = ""  # "supported", "contradicted", "undecided", or nothing
    margin: float = 0.0
    direction: Direction = "greater"
    unit: str = ""  # "points"


@dataclass(frozen=True)
class Bar:
    """The level of one arm with its interval. Without bounds low and high are infinite or NaN."""

    label: str
    mean: float
    low: float
    high: float
    role: Role


@dataclass(frozen=True)
class _Layout:
    """Where things stand in a row, in shares of its height, 0 at the top."""

    height: int  # pixels a row
    name: float
    numbers: float
    dot: float
    reserved: int  # pixels at the right of the name for the numbers; 0 when they have a line of their own
    needed: int  # pixels of width below which the name has the line alone


ROOMY = _Layout(84, 0.15, 0.38, 0.67, 0, 0)
COMPACT = _Layout(50, 0.27, 0.27, 0.70, 210, 460)
LEVELS = _Layout(50, 0.27, 0.27, 0.70, 130, 0)


def paired_differences(differences: Sequence[Difference], palette: Palette) -> Chart:
    """A dot and its interval a row, single seeds under it, zero line, margin shaded: a claim stands when its interval clears the shade.

    Greater: up to the margin is shaded; less: mirrored; equal and different: both sides of zero.
    """
    return _differences(differences, palette, ROOMY)


def effects(differences: Sequence[Difference], palette: Palette) -> Chart:
    """Many claims, one a row, zero line through all. With several units each is scaled to its own largest effect and the axis has no numbers."""
    return _differences(differences, palette, COMPACT)


def bars_with_intervals(
    bars: Sequence[Bar], x_title: str, palette: Palette, *, x_format: str = ".2f", x_domain: tuple[float, float] | None = None
) -> Chart:
    """Levels of arms as bars from zero with their intervals; `x_format` is understood by Python and by d3 alike."""
    blocks: list[dict[str, Any]] = []
    texts = [_level(bar, x_format) for bar in bars]
    for position, (bar, text) in enumerate(zip(bars, texts, strict=True)):
        blocks += _row(Difference(bar.label, bar.mean, bar.low, bar.high, role=bar.role), position, LEVELS, text, 1.0)
        middle = position + LEVELS.dot
        blocks.append(
            {"part": "bar", "name": bar.label, "role": bar.role, "x": 0.0, "x_high": bar.mean, "top": middle - 0.14, "bottom": middle + 0.14}
        )
    highest = max((value for bar in bars for value in (bar.mean, bar.high) if math.isfinite(value)), default=1.0)
    blocks += _frame(x_domain or (0.0, highest), 0)
    whisker = layer("value", {"type": "rule", "strokeWidth": 2.5}, {**ENDS, "color": {"value": palette.text}})
    solid = layer("bar", {"type": "rect", "opacity": 0.85}, _sides(len(bars)))
    spec = _specification(palette, LEVELS, len(bars), {"title": x_title, "format": x_format, "tickCount": 6}, [solid, whisker])
    subject = f"{x_title}: {', '.join(bar.label for bar in bars)}."
    words = "; ".join(f"{bar.label} {text}" for bar, text in zip(bars, texts, strict=True))
    return Chart(spec, rows(blocks, DEFAULTS), subject, f"{subject} {words}. Whiskers are intervals.", BAR_COLUMNS, palette.background)


def _level(bar: Bar, x_format: str) -> str:
    bounds = f" [{bar.low:{x_format}}, {bar.high:{x_format}}]" if math.isfinite(bar.low) and math.isfinite(bar.high) else ""
    return f"{bar.mean:{x_format}}{bounds}".replace("-", "−")


def _differences(differences: Sequence[Difference], palette: Palette, layout: _Layout) -> Chart:
    units = list(dict.fromkeys(item.unit for item in differences))
    scales = (
        dict.fromkeys(units, 1.0)
        if len(units) < 2
        else {unit: max(_reach(item) for item in differences if item.unit == unit) or 1.0 for unit in units}
    )
    blocks: list[dict[str, Any]] = []
    for position, item in enumerate(differences):
        text = _numbers(item, bare=layout.reserved > 0)
        blocks += _shade(item, position, layout, scales[item.unit])
        blocks.append({"part": "zero", "x": 0.0, "top": position + layout.dot - REACH[0], "bottom": position + layout.dot + REACH[1]})
        blocks += _row(item, position, layout, text, scales[item.unit])
        if layout is ROOMY and len(item.per_seed):
            values = np.asarray(item.per_seed, dtype=float)
            names = {"part": "seed", "name": item.name, "role": item.role, "unit": item.unit, "at": position + layout.dot + SEED_OFFSET}
            blocks.append({**names, "x": values / scales[item.unit], "mean": values, "seed": np.arange(len(values), dtype=float)})
    blocks += _frame(_reached(blocks), len(differences))
    axis = {"title": f"difference, {units[0]}" if units and units[0] else "difference", "tickCount": 6, "grid": True, "gridOpacity": 0.4}
    if len(units) > 1:
        axis = {"title": "difference, each unit to its own scale", "labels": False, "ticks": False}
    spec = _specification(palette, layout, len(differences), axis, _dots(palette, len(differences)))
    subject = f"Paired differences: {', '.join(item.name for item in differences)}."
    words = "; ".join(f"{item.name} {_numbers(item, bare=False)}{_count(item)}" for item in differences)
    return Chart(spec, rows(blocks, DEFAULTS), subject, f"{subject} {words}. Bars are intervals; zero is no difference.", COLUMNS, palette.background)


def _row(item: Difference, position: int, layout: _Layout, text: str, scale: float) -> list[dict[str, Any]]:
    bounded = math.isfinite(item.low) and math.isfinite(item.high)
    low, high = (item.low, item.high) if bounded else (math.nan, math.nan)
    n = float(len(item.per_seed)) if len(item.per_seed) else math.nan
    numbers = {"mean": item.mean, "low": low, "high": high, "n": n, "margin": item.margin}
    places = {"at": position + layout.dot, "x": item.mean / scale, "x_low": low / scale, "x_high": high / scale, "text_at": position + layout.numbers}
    names = {"name": item.name, "role": item.role, "unit": item.unit, "status": item.status}
    return [{"part": "value", "text": text, **names, **numbers, **places}, {"part": "label", "text": item.name, "text_at": position + layout.name}]


def _shade(item: Difference, position: int, layout: _Layout, scale: float) -> list[dict[str, Any]]:
    """The values that do not clear the claim's margin."""
    if item.margin <= 0:
        return []
    low = 0.0 if item.direction == "greater" else -item.margin
    high = 0.0 if item.direction == "less" else item.margin
    sides = {"top": position + layout.dot - REACH[0], "bottom": position + layout.dot + REACH[1]}
    return [{"part": "shade", "x": low / scale, "x_high": high / scale, **sides}]


def _frame(domain: tuple[float, float], count: int) -> list[dict[str, Any]]:
    """What the axis must reach, and a thin line between two rows."""
    separators = [{"part": "separator", "at": np.arange(1.0, count)}] if count > 1 else []
    return [{"part": "frame", "x": np.array(domain)}, *separators]


def _reach(item: Difference) -> float:
    return max((abs(value) for value in (item.mean, item.low, item.high, item.margin) if math.isfinite(value)), default=0.0)


def _reached(blocks: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """From the least to the greatest that is drawn, zero included, with a little air."""
    values = np.concatenate([np.ravel(block[name]) for block in blocks for name in ("x", "x_low", "x_high") if name in block] or [np.zeros(1)])
    values = np.append(values[np.isfinite(values)], 0.0)
    air = 0.04 * (values.max() - values.min() or 1.0)
    return float(values.min() - air), float(values.max() + air)


def _numbers(item: Difference, bare: bool) -> str:
    unit = f" {item.unit}" if item.unit else ""
    return f"{with_interval(item.mean, item.low, item.high)}{unit}" + (f" · {item.status}" if item.status and not bare else "")


def _count(item: Difference) -> str:
    return f" (n = {len(item.per_seed)} seed{'s' * (len(item.per_seed) != 1)})" if len(item.per_seed) else ""


def _vertical(count: int) -> dict[str, Any]:
    return {"type": "quantitative", "scale": {"domain": [0, max(count, 1)], "reverse": True, "nice": False}, "axis": None}


def _sides(count: int) -> dict[str, Any]:
    return {"y": {"field": "top", **_vertical(count)}, "y2": {"field": "bottom"}, "x2": {"field": "x_high"}}


def _dots(palette: Palette, count: int) -> list[dict[str, Any]]:
    """Shade, zero line, intervals with their dots, single seeds."""
    styles = [palette.roles[role] for role in ROLES]
    fills = [style.colour if style.filled else palette.background for style in styles]
    through = {"x": {"datum": 0}, "y": {"value": 0}, "y2": {"value": "height"}, "color": {"value": palette.border}}
    zero = {"y": {"field": "top", **_vertical(count)}, "y2": {"field": "bottom"}, "color": {"value": palette.text}}
    dot = {"shape": _by_role([style.marker for style in styles]), "fill": _by_role(fills), "tooltip": _tooltip()}
    return [
        layer("shade", {"type": "rect", "opacity": 0.16}, {**_sides(count), "color": {"value": palette.muted}}),
        layer("separator", {"type": "rule"}, {"x": {"value": 0}, "x2": {"value": "width"}, "color": {"value": palette.border}}),
        layer("frame", {"type": "rule", "strokeWidth": 1.5}, through),
        layer("zero", {"type": "rule", "strokeWidth": 1.5}, zero),
        layer("value", {"type": "rule", "strokeWidth": 3, "strokeCap": "round"}, ENDS),
        layer("value", {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1}, dot),
        layer("seed", {"type": "point", "filled": True, "size": 22, "opacity": 0.55}),
    ]


def _by_role(values: list[str]) -> dict[str, Any]:
    return {"field": "role", "type": "nominal", "scale": {"domain": list(ROLES), "range": values}, "legend": None}


def _specification(palette: Palette, layout: _Layout, count: int, axis: dict[str, Any], drawn: list[dict[str, Any]]) -> dict[str, Any]:
    place = {"x": {"value": 0}, "y": {"field": "text_at", **_vertical(count)}, "text": {"field": "text"}}
    name = {"type": "text", "align": "left", "baseline": "middle", "limit": {"expr": f"width < {layout.needed} ? width : width - {layout.reserved}"}}
    room = {"expr": f"width < {layout.needed} ? 0 : 1"}
    numbers = {"type": "text", "align": "right" if layout.reserved else "left", "baseline": "middle", "opacity": room}
    beside = {**place, "x": {"value": "width" if layout.reserved else 0}}
    halo = {"stroke": palette.background, "strokeWidth": 5, "strokeJoin": "round"}  # keeps lines out of the words
    encoding = {
        "x": {"field": "x", "type": "quantitative", "scale": {"zero": False, "nice": False}, "axis": axis},
        "y": {"field": "at", **_vertical(count)},
        "color": role_colour(palette),
    }
    words = [
        layer(part, {**mark, **extra}, {**where, "color": {"value": colour}})
        for part, mark, where, colour in (("label", name, place, palette.text), ("value", numbers, beside, palette.muted))
        for extra in (halo, {})
    ]
    reach = layer("frame", {"type": "point", "opacity": 0}, {"y": {"value": 0}})
    return specification([reach, *drawn, *words], encoding, count * layout.height + AXIS, palette)


def _tooltip() -> list[dict[str, Any]]:
    names = [{"field": "name", "type": "nominal"}, {"field": "unit", "type": "nominal"}, {"field": "status", "type": "nominal"}]
    return names + [{"field": name, "type": "quantitative", "format": ".4g"} for name in ("mean", "low", "high", "margin", "n")]
