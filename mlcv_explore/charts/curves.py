"""Curves over a shared axis, with what the seeds leave open."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import HOVER, Chart, layer, role_colour, rows, specification
from mlcv_explore.charts.palette import ROLES, Palette, Role

HEIGHT = 340  # pixels
PLOTTED = HEIGHT - 62  # what axis and titles leave for the lines; only the labels' spacing rests on it
LABEL_LINE = 16  # pixels between two lines of a label
LABEL_GAP = 3  # pixels more between two labels
LABEL_WIDTH = 18  # characters before a label is broken
THUMBNAIL_POINTS = 48
MARKERS = 6  # along a long line
PUBLISHED = "published"  # how numbers from the literature are drawn: in the other method's colour, dotted, hollow
STROKES = (*ROLES, PUBLISHED)
COLUMNS = ("line", "role", "x", "mean", "low", "high", "n", "seed")
DEFAULTS: dict[str, Any] = {
    "part": "", "line": "", "role": "", "stroke": "", "x": np.nan, "mean": np.nan, "low": np.nan, "high": np.nan,
    "n": np.nan, "seed": np.nan, "marker": False, "text": "",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of `curves`: an arm, a rival, or a curve somebody published."""

    role: Role
    values: np.ndarray  # (S, T), or (T,) for a single seed; NaN where there is no value
    published: str = ""  # where the numbers stand, when they are somebody else's: "Chen et al. 2021, one seed"
    x: np.ndarray | None = None  # (T,) when it differs from the chart's


def curves(
    x: np.ndarray,
    lines: Mapping[str, Line],
    x_title: str,
    y_title: str,
    *,
    palette: Palette,
    x_domain: tuple[float, float] | None = None,
    y_domain: tuple[float, float] | None = None,
    y_format: str = ".2f",
    marks: Mapping[str, float] | None = None,
    seeds: bool = False,
) -> Chart:
    """Means over seeds on top of their 95 % t-intervals, named at the line's end.

    `x` is (T,), shared by every line that brings none of its own; `lines` maps what a line is called to its numbers. `y_format` is
    understood by Python and by d3 alike (".2f", ".0%"). `marks` are named vertical rules. `seeds` adds every seed as a thin line.
    Raises ValueError on a line whose length differs from its axis.
    """
    marks = marks or {}
    drawn = [_measured(label, line, x) for label, line in lines.items()]
    domain = y_domain or _domain(drawn, seeds)
    blocks: list[Mapping[str, Any]] = [_mean_rows(item, (position + 0.5) / len(drawn)) for position, item in enumerate(drawn)]
    blocks.sort(key=lambda block: block["role"] == "idea")  # the idea lies on top
    if seeds:
        blocks += [_seed_rows(item) for item in drawn]
    blocks += _label_rows(drawn, domain, y_format, x_domain[1] if x_domain else None)
    blocks += [{"part": "mark", "text": name, "x": float(at)} for name, at in marks.items()]
    blocks.append({"part": "frame", "mean": np.array(domain), "x": float(x[0]) if len(x) else 0.0})
    subject = f"{y_title} by {x_title}: {', '.join(item.label for item in drawn)}."
    encoding = _encoding(x_title, y_title, palette, x_domain, y_domain, y_format, bool(marks))
    spec = specification(_layers(palette, y_domain is not None, y_format), encoding, HEIGHT, palette)
    return Chart(spec, rows(blocks, DEFAULTS), subject, f"{subject} {_words(drawn, x_title, y_format, marks)}", COLUMNS, palette.background)


def thumbnail(x: np.ndarray, lines: Mapping[Role, np.ndarray], palette: Palette) -> Chart:
    """The same in 240 × 96 points: bands and means, no axes, on no paper. `x` is (T,), the lines (S, T) or (T,)."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), THUMBNAIL_POINTS)).round().astype(int))
    drawn = [_measured(role, Line(role, np.atleast_2d(values)[:, keep]), x[keep]) for role, values in lines.items()]
    drawn.sort(key=lambda item: item.role == "idea")
    domain = _domain(drawn, False)
    layers = _layers(palette, False, "")[:3]
    axis = {"axis": None, "scale": {"zero": False, "nice": False}}
    encoding = {
        "x": {"field": "x", "type": "quantitative", **axis},
        "y": {"field": "mean", "type": "quantitative", **axis},
        "color": role_colour(palette),
    }
    blocks = [*(_mean_rows(item, 0) for item in drawn), {"part": "frame", "mean": np.array(domain), "x": float(x[0])}]
    spec = specification(layers, encoding, 96, palette) | {"width": 240, "padding": 3}
    subject = f"Sparkline of {', '.join(lines)}."
    return Chart(spec, rows(blocks, DEFAULTS), subject, f"{subject} {_words(drawn, 'the end', '.3g', {})}", COLUMNS)


@dataclass(frozen=True)
class _Measured:
    """A line with its mean and its 95 % band, (T,) each."""

    label: str
    role: Role
    stroke: str
    source: str
    x: np.ndarray
    values: np.ndarray  # (S, T)
    mean: np.ndarray
    low: np.ndarray  # NaN with one seed
    high: np.ndarray


def _measured(label: str, line: Line, shared: np.ndarray) -> _Measured:
    values = np.atleast_2d(np.asarray(line.values, dtype=float))
    x = np.asarray(shared if line.x is None else line.x, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(x):
        raise ValueError(f"The line {label!r} must have {len(x)} values a seed, one for each x, got shape {values.shape}.")
    named = f"published: {label}" if line.published else label
    return _Measured(named, line.role, PUBLISHED if line.published else line.role, line.published, x, values, *t_band(values))


def t_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over seeds and its 95 % t-interval, (S, T) → three of (T,). One seed has no interval: NaN; nor has a mean with a NaN in it."""
    mean = values.mean(axis=0)
    if len(values) < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = _t_quantile(len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return mean, mean - half, mean + half


@cache
def _t_quantile(freedom: int) -> float:
    """Student's 97.5 % quantile."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def _domain(drawn: Sequence[_Measured], seeds: bool) -> tuple[float, float]:
    """Limits that hold every line and band, on round numbers; (0, 1) when there is nothing to hold."""
    shown = [array for item in drawn for array in (item.mean, item.low, item.high, *((item.values.ravel(),) if seeds else ()))]
    finite = np.concatenate([array[np.isfinite(array)] for array in shown]) if shown else np.empty(0)
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** np.floor(np.log10(span)) / 5  # at least five steps in the span
    return float(np.floor(low / step - 1e-9) * step), float(np.ceil(high / step + 1e-9) * step)


def _mean_rows(item: _Measured, phase: float) -> dict[str, Any]:
    """The means with their bands; `phase` 0–1 staggers the markers, so that those of one line do not hide another's."""
    count = len(item.x)
    every = max(1, count // MARKERS)
    marker = (np.arange(count) % every == int(phase * every)) & np.isfinite(item.mean)
    names = {"part": "value", "line": item.label, "role": item.role, "stroke": item.stroke}
    return {**names, "x": item.x, "mean": item.mean, "low": item.low, "high": item.high, "n": float(len(item.values)), "marker": marker}


def _seed_rows(item: _Measured) -> dict[str, Any]:
    count, length = item.values.shape
    names = {"part": "seed", "line": item.label, "role": item.role, "stroke": item.stroke}
    return {**names, "x": np.tile(item.x, count), "mean": item.values.ravel(), "seed": np.repeat(np.arange(float(count)), length)}


def _label_rows(drawn: Sequence[_Measured], domain: tuple[float, float], y_format: str, edge: float | None) -> list[dict[str, Any]]:
    """One label a line at the right edge, level with the line's end as far as the others leave room; the edge stays while lines grow."""
    ended = [(item, np.flatnonzero(np.isfinite(item.mean))) for item in drawn]
    ended = [(item, finite[-1]) for item, finite in ended if len(finite)]
    if not ended:
        return []
    edge = max(item.x[end] for item, end in ended) if edge is None else edge
    texts = [_broken(item.label, format(item.mean[end], y_format)) for item, end in ended]
    per_pixel = (domain[1] - domain[0]) / PLOTTED
    wanted = [(item.mean[end] - domain[0]) / per_pixel for item, end in ended]
    further = np.array([text.count("\n") for text in texts])  # lines below the first, which hang from its middle
    placed = spread(np.array(wanted), LABEL_LINE * (further + 1.0) + LABEL_GAP, PLOTTED) + LABEL_LINE * further / 2
    return [
        {"part": "label", "line": item.label, "role": item.role, "stroke": item.stroke, "x": edge, "mean": domain[0] + at * per_pixel, "text": text}
        for (item, _), at, text in zip(ended, placed, texts, strict=True)
    ]


def _broken(label: str, value: str) -> str:
    return "\n".join(textwrap.wrap(f"{label}: {value.replace('-', '−')}", LABEL_WIDTH, break_on_hyphens=False))


def spread(wanted: np.ndarray, heights: np.ndarray, room: float) -> np.ndarray:
    """Centres (n,) near `wanted` such that boxes of these heights do not overlap and, where they fit, stay within 0…room."""
    order = np.argsort(wanted, kind="stable")
    tall = heights[order]
    offsets = np.concatenate([[0.0], np.cumsum((tall[1:] + tall[:-1]) / 2)])  # centres of a stack without gaps
    free = wanted[order] - offsets  # boxes do not overlap where this does not fall
    raised, lowered = np.maximum.accumulate(free), np.minimum.accumulate(free[::-1])[::-1]
    settled = np.clip((raised + lowered) / 2, tall[0] / 2, max(tall[0] / 2, room - tall[-1] / 2 - offsets[-1]))
    placed = np.empty_like(settled)
    placed[order] = settled + offsets
    return placed


def _encoding(
    x_title: str,
    y_title: str,
    palette: Palette,
    x_domain: tuple[float, float] | None,
    y_domain: tuple[float, float] | None,
    y_format: str,
    marked: bool,
) -> dict[str, Any]:
    free = {"zero": False, "nice": False}
    above = {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "start", "titleBaseline": "bottom", "titleX": 0, "titleY": -24 if marked else -8}
    return {
        "x": {
            "field": "x",
            "type": "quantitative",
            "scale": {**free, **({"domain": [float(end) for end in x_domain]} if x_domain else {})},
            "axis": {"title": x_title, "tickCount": 6},
        },
        "y": {
            "field": "mean",
            "type": "quantitative",
            "scale": {**free, **({"domain": [float(end) for end in y_domain]} if y_domain else {})},
            "axis": {"title": y_title, "format": y_format, **above},
        },
        "color": role_colour(palette),
    }


def _layers(palette: Palette, clip: bool, y_format: str) -> list[dict[str, Any]]:
    """Bands, means, the invisible frame; then seeds under nothing, markers, rules, labels and the targets of the tooltip."""
    styles = [palette.roles[role] for role in ROLES]
    other = palette.roles["other"]
    dash = _by_stroke([list(style.dash) for style in styles], [2, 3])
    width = {"condition": {"test": "datum.stroke === 'idea'", "value": palette.roles["idea"].width}, "value": other.width}
    shape = _by_stroke([style.marker for style in styles], other.marker)
    fill = _by_stroke([style.colour if style.filled else palette.background for style in styles], palette.background)
    detail = {"detail": {"field": "line"}}
    each_seed = {"detail": [{"field": "line"}, {"field": "seed"}], "strokeDash": dash}
    point = {"type": "point", "strokeWidth": 1.5, "opacity": 1}
    symbol = {"shape": shape, "fill": fill}
    muted, words = {"color": {"value": palette.muted}}, {"text": {"field": "text"}}
    label = {"type": "text", "align": "left", "baseline": "middle", "dx": 21, "lineBreak": "\n", "lineHeight": LABEL_LINE}
    return [
        layer("value", {"type": "area", "opacity": 0.2, "clip": clip}, {"y": {"field": "low"}, "y2": {"field": "high"}, **detail}),
        layer("value", {"type": "line", "clip": clip}, {**detail, "strokeDash": dash, "strokeWidth": width}),
        layer("frame", {"type": "point", "opacity": 0}),
        layer("seed", {"type": "line", "strokeWidth": 0.8, "opacity": 0.45, "clip": clip}, each_seed),
        _where_marked(layer("value", {**point, "size": 46, "clip": clip}, symbol)),
        layer("mark", {"type": "rule", "strokeDash": [2, 2]}, {"y": {"value": 0}, "y2": {"value": "height"}, **muted}),
        layer("mark", {"type": "text", "baseline": "bottom", "dy": -4}, {"y": {"value": 0}, **words, **muted}),
        layer("label", {**point, "size": 60, "xOffset": 12}, symbol),
        layer("label", label, {**words, "color": {"value": palette.text}}),
        {**layer("value", {"type": "point", "size": 180, "opacity": 0, "clip": clip}, {"tooltip": _tooltip(y_format)}), "name": HOVER},
    ]


def _by_stroke(of_roles: list[Any], of_published: Any) -> dict[str, Any]:
    return {"field": "stroke", "type": "nominal", "scale": {"domain": list(STROKES), "range": [*of_roles, of_published]}, "legend": None}


def _where_marked(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "transform": [*item["transform"], {"filter": "datum.marker"}]}


def _tooltip(y_format: str) -> list[dict[str, Any]]:
    numbers = [{"field": name, "type": "quantitative", "format": y_format} for name in ("mean", "low", "high")]
    return [{"field": "line", "type": "nominal"}, {"field": "x", "type": "quantitative"}, *numbers, {"field": "n", "type": "quantitative"}]


def _words(drawn: Sequence[_Measured], x_title: str, y_format: str, marks: Mapping[str, float]) -> str:
    """n and the last values, as text."""
    parts = []
    for item in drawn:
        finite = np.flatnonzero(np.isfinite(item.mean))
        if not len(finite):
            parts.append(f"{item.label} has no values yet")
            continue
        end = finite[-1]
        interval = f" [{item.low[end]:{y_format}}, {item.high[end]:{y_format}}]" if np.isfinite(item.low[end]) else ""
        source = f" ({item.source})" if item.source else f" (n = {len(item.values)} seed{'s' * (len(item.values) != 1)})"
        parts.append(f"{item.label} {item.mean[end]:{y_format}}{interval}{source} at {x_title} {item.x[end]:g}")
    band = " Bands are 95 % t-intervals over seeds." if any(len(item.values) > 1 for item in drawn) else ""
    marked = f" Marked: {', '.join(f'{name} at {at:g}' for name, at in marks.items())}." if marks else ""
    return f"Last values: {'; '.join(parts)}.{band}{marked}"
