"""A curve up to a stop, what an interval says of the rest, and how it went on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import Chart, layer, role_colour, rows, specification
from mlcv_explore.charts.curves import LABEL_GAP, LABEL_LINE, spread
from mlcv_explore.charts.palette import Palette

HEIGHT = 360  # pixels
PLOTTED = HEIGHT - 62
COLUMNS = ("line", "x", "y", "low", "high")
DEFAULTS: dict[str, Any] = {"part": "", "line": "", "role": "", "x": np.nan, "y": np.nan, "low": np.nan, "high": np.nan, "text": ""}


@dataclass(frozen=True)
class Band:
    """An interval of the value at the curve's end; its upper end may be infinite."""

    label: str
    low: float
    high: float


def cone(
    x: np.ndarray,
    y: np.ndarray,
    stop: int,
    middle: float,
    bands: tuple[Band, Band],
    x_title: str,
    y_title: str,
    palette: Palette,
    y_domain: tuple[float, float],
) -> Chart:
    """The curve (T,) over x (T,): solid until the point `stop`, dashed after it. From the stop to the last x a wide and a narrow band open.

    `middle` is the median of the value at the end. What leaves `y_domain` is cut off; the reader has to be told in words. The specification hangs on
    titles, domain and palette alone, so that a stop that moves redraws in place.
    """
    ends, top = np.array([x[stop], x[-1]]), y_domain[1]
    blocks: list[Mapping[str, Any]] = [
        {
            "part": part,
            "line": band.label,
            "role": "idea",
            "x": ends,
            "low": np.array([y[stop], band.low]),
            "high": np.array([y[stop], min(band.high, 1e6 * top)]),
        }
        for part, band in zip(("wide", "narrow"), bands, strict=True)
    ]
    blocks.append({"part": "middle", "line": "as much again", "role": "idea", "x": ends, "y": np.array([y[stop], middle])})
    blocks.append({"part": "value", "line": "so far", "role": "baseline", "x": x[: stop + 1], "y": y[: stop + 1]})
    blocks.append({"part": "seed", "line": "what came", "role": "oracle", "x": x[stop:], "y": y[stop:]})
    blocks.append({"part": "stop", "x": float(x[stop]), "y": float(y[stop])})
    blocks += _labels(float(x[-1]), {"what came": ("oracle", float(y[-1])), "as much again": ("idea", middle)}, y_domain)
    subject = f"{y_title} by {x_title}, with what is predicted from the stop on."
    words = "; ".join(f"{band.label} from {band.low:.4g} to {_shown(band.high)}" for band in bands)
    description = f"{subject} Stopped at {x[stop]:g} with {y[stop]:.4g}; at the end it was {y[-1]:.4g}; predicted: {middle:.4g}, {words}."
    spec = specification(_layers(palette), _encoding(x_title, y_title, palette, (float(x[0]), float(x[-1])), y_domain), HEIGHT, palette)
    return Chart(spec, rows(blocks, DEFAULTS), subject, description, COLUMNS, palette.background)


def _shown(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "infinity"


def _labels(edge: float, ends: Mapping[str, tuple[str, float]], y_domain: tuple[float, float]) -> list[dict[str, Any]]:
    """Names at the right edge, level with their lines as far as they leave each other room."""
    per_pixel = (y_domain[1] - y_domain[0]) / PLOTTED
    wanted = np.array([(min(value, y_domain[1]) - y_domain[0]) / per_pixel + LABEL_LINE for _, value in ends.values()])
    placed = spread(wanted, np.full(len(ends), float(LABEL_LINE + LABEL_GAP)), PLOTTED)
    return [
        {"part": "label", "role": role, "text": name, "x": edge, "y": y_domain[0] + at * per_pixel}
        for (name, (role, _)), at in zip(ends.items(), placed, strict=True)
    ]


def _encoding(x_title: str, y_title: str, palette: Palette, x_domain: tuple[float, float], y_domain: tuple[float, float]) -> dict[str, Any]:
    above = {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "start", "titleBaseline": "bottom", "titleX": 0, "titleY": -8}
    return {
        "x": {"field": "x", "type": "quantitative", "scale": {"domain": list(x_domain), "nice": False, "zero": False}, "axis": {"title": x_title}},
        "y": {"field": "y", "type": "quantitative", "scale": {"domain": list(y_domain), "nice": False}, "axis": {"title": y_title, **above}},
        "color": role_colour(palette),
    }


def _layers(palette: Palette) -> list[dict[str, Any]]:
    area = {"type": "area", "clip": True, "line": False}
    fan = {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}
    halo = {"stroke": palette.background, "strokeWidth": 5, "strokeJoin": "round"}
    text = {"type": "text", "align": "right", "baseline": "middle", "dx": -4}
    words = {"text": {"field": "text"}}
    tooltip = [{"field": "line", "type": "nominal"}, *({"field": name, "type": "quantitative", "format": ".4g"} for name in ("x", "y"))]
    return [
        layer("wide", {**area, "opacity": 0.16}, fan),
        layer("narrow", {**area, "opacity": 0.24}, fan),
        layer("middle", {"type": "line", "strokeWidth": palette.roles["idea"].width, "clip": True}),
        layer("seed", {"type": "line", "strokeWidth": 2.5, "strokeDash": list(palette.roles["oracle"].dash), "clip": True}, {"tooltip": tooltip}),
        layer("value", {"type": "line", "strokeWidth": 3, "clip": True}, {"color": {"value": palette.text}, "tooltip": tooltip}),
        layer("stop", {"type": "rule", "strokeWidth": 1.5}, {"y": {"value": 0}, "y2": {"value": "height"}, "color": {"value": palette.muted}}),
        layer("stop", {"type": "point", "filled": True, "size": 110, "opacity": 1}, {"color": {"value": palette.text}}),
        layer("label", {**text, **halo}, words),
        layer("label", text, words),
    ]
