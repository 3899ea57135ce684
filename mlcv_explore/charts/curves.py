"""Curves over a shared axis, with bands over seeds."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import LABEL_LINE, PUBLISHED, Chart, ends, n_seeds, rows, specification
from mlcv_explore.charts.palette import Palette, Role

HEIGHT = 340  # pixels
PLOTTED = HEIGHT - 62  # without axis and titles; only the labels' spacing depends on it
LABEL_GAP = 3  # pixels more between two labels
LABEL_WIDTH = 18  # characters before a label is broken
THUMBNAIL_POINTS = 48
MARKERS = 6  # along a long line
COLUMNS = ("line", "role", "x", "mean", "low", "high", "n", "seed")


@dataclass(frozen=True)
class Line:
    """One line of `curves`: an arm, a baseline, or a published curve."""

    role: Role
    values: np.ndarray  # (S, T), or (T,) for a single seed; NaN where there is no value
    published: str = ""  # source of numbers from the literature: "Chen et al. 2021, one seed"
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
    """Means over seeds on their 95 % t-intervals, labelled at the line's end.

    `x` is (T,), shared by every line that has none of its own; `lines` maps labels to
    numbers. `y_format` is understood by Python and by d3 (".2f", ".0%"). `marks` are
    named vertical rules. `seeds` adds every seed as a thin line. Raises ValueError on a
    line whose length differs from its axis.
    """
    marks = marks or {}
    drawn = [_measured(label, line, x) for label, line in lines.items()]
    across = np.concatenate([np.asarray(x, dtype=float), *(curve.x for curve in drawn), list(marks.values())])
    across = across[np.isfinite(across)]
    x_ends = x_domain or ((across.min(), across.max()) if len(across) else (0.0, 1.0))
    y_ends = y_domain or _limits(drawn, seeds)
    blocks = [_mean_rows(curve, (place + 0.5) / len(drawn)) for place, curve in enumerate(drawn)]
    blocks.sort(key=lambda block: block["role"] == "idea")  # the idea lies on top
    for curve in drawn if seeds else ():
        count, length = curve.values.shape
        seed = np.repeat(np.arange(float(count)), length)
        blocks.append(curve.block("seed", x=np.tile(curve.x, count), mean=curve.values.ravel(), seed=seed))
    blocks += _label_rows(drawn, y_ends, y_format, x_domain[1] if x_domain else None)
    blocks += [{"part": "mark", "text": name, "x": float(at)} for name, at in marks.items()]
    titles = {"x_title": x_title, "y_title": y_title, "y_format": y_format}
    spec = specification("curves", palette, y_domain is not None, bool(marks), height=HEIGHT, **titles)
    if all(np.array_equal(curve.x, np.round(curve.x)) for curve in drawn):
        spec["encoding"]["x"]["axis"]["tickMinStep"] = 1  # no half layers or epochs
    subject = f"{y_title} by {x_title}: {', '.join(curve.label for curve in drawn)}."
    words = _words(drawn, x_title, y_format, marks)
    table = rows([*blocks, ends(x_ends, y_ends)])
    return Chart(spec, table, subject, f"{subject} {words}", COLUMNS, palette.background)


def thumbnail(x: np.ndarray, lines: Mapping[Role, np.ndarray], palette: Palette) -> Chart:
    """Bands and means in 240 × 96 pixels, without axes, on a transparent background.
    `x` is (T,), the lines (S, T) or (T,).
    """
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), THUMBNAIL_POINTS)).round().astype(int))
    kept = {role: Line(role, np.atleast_2d(values)[:, keep]) for role, values in lines.items()}
    drawn = [_measured(role, line, x[keep]) for role, line in kept.items()]
    drawn.sort(key=lambda curve: curve.label == "idea")
    blocks = [*(_mean_rows(curve, 0) for curve in drawn), ends(x[[0, -1]], _limits(drawn, False))]
    spec = specification("thumbnail", palette, height=96) | {"width": 240}
    subject = f"Sparkline of {', '.join(lines)}."
    return Chart(spec, rows(blocks), subject, f"{subject} {_words(drawn, 'the end', '.3g', {})}", COLUMNS)


@dataclass(frozen=True)
class _Measured:
    """A line with its mean and its 95 % band, (T,) each."""

    label: str
    line: Line
    x: np.ndarray
    values: np.ndarray  # (S, T)
    mean: np.ndarray
    low: np.ndarray  # NaN with one seed
    high: np.ndarray

    @property
    def end(self) -> int | None:
        """The index of the last value; None without any."""
        finite = np.flatnonzero(np.isfinite(self.mean))
        return int(finite[-1]) if len(finite) else None

    def block(self, part: str, **columns: Any) -> dict[str, Any]:
        """Rows of a part of this line."""
        role, style = self.line.role, PUBLISHED if self.line.published else self.line.role
        return {"part": part, "line": self.label, "role": role, "stroke": style, **columns}


def _measured(label: str, line: Line, shared: np.ndarray) -> _Measured:
    values = np.atleast_2d(np.asarray(line.values, dtype=float))
    x = np.asarray(shared if line.x is None else line.x, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(x):
        needed = f"{len(x)} values a seed, one for each x, got shape {values.shape}."
        raise ValueError(f"The line {label!r} must have {needed}")
    label = f"published: {label}" if line.published else label
    return _Measured(label, line, x, values, *t_band(values))


def t_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over seeds and its 95 % t-interval, (S, T) → three of (T,). One seed has no
    interval: NaN; nor has a mean with a NaN in it.
    """
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


def _limits(drawn: Sequence[_Measured], seeds: bool) -> tuple[float, float]:
    """Round limits that hold every line and band; (0, 1) when there is nothing."""
    shown = [getattr(curve, name) for curve in drawn for name in ("mean", "low", "high")]
    shown += [curve.values.ravel() for curve in drawn if seeds]
    finite = np.concatenate([array[np.isfinite(array)] for array in shown] or [np.empty(0)])
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    step = 10.0 ** np.floor(np.log10((high - low) or abs(high) or 1.0)) / 5  # at least five steps
    return float(np.floor(low / step - 1e-9) * step), float(np.ceil(high / step + 1e-9) * step)


def _mean_rows(curve: _Measured, phase: float) -> dict[str, Any]:
    """Means with their bands; `phase` 0–1 staggers the markers of different lines."""
    every = max(1, len(curve.x) // MARKERS)
    marker = (np.arange(len(curve.x)) % every == int(phase * every)) & np.isfinite(curve.mean)
    numbers = {"mean": curve.mean, "low": curve.low, "high": curve.high, "n": float(len(curve.values))}
    return curve.block("value", x=curve.x, marker=marker, **numbers)


def _label_rows(
    drawn: Sequence[_Measured], y_ends: tuple[float, float], y_format: str, edge: float | None
) -> list[dict[str, Any]]:
    """One label per line at the right edge, level with the line's end as far as the
    others leave room; with an `edge` it stays there while lines grow.
    """
    ended = [curve for curve in drawn if curve.end is not None]
    if not ended:
        return []
    edge = max(curve.x[curve.end] for curve in ended) if edge is None else edge
    numbers = [f"{curve.mean[curve.end]:{y_format}}".replace("-", "−") for curve in ended]
    wrapped = partial(textwrap.fill, width=LABEL_WIDTH, break_on_hyphens=False)
    texts = [wrapped(f"{curve.label}: {number}") for curve, number in zip(ended, numbers, strict=True)]
    lines = np.array([text.count("\n") + 1.0 for text in texts])
    places = label_places([curve.mean[curve.end] for curve in ended], y_ends, PLOTTED, lines)
    labels = zip(ended, places, texts, strict=True)
    return [curve.block("label", x=edge, mean=at, text=text) for curve, at, text in labels]


def label_places(
    values: Sequence[float], limits: tuple[float, float], pixels: float, lines: np.ndarray | float = 1.0
) -> list[float]:
    """Where the first lines of labels stand, (n,) in the values' unit: near their
    values on an axis `pixels` high, without overlap. `lines` is how many lines a label
    has.
    """
    per_pixel = (limits[1] - limits[0]) / pixels
    targets = (np.asarray(values) - limits[0]) / per_pixel
    heights = np.full(len(targets), LABEL_LINE) * lines + LABEL_GAP
    placed = separated(targets, heights, pixels) + LABEL_LINE * (lines - 1) / 2
    return (limits[0] + placed * per_pixel).tolist()


def separated(targets: np.ndarray, heights: np.ndarray, room: float) -> np.ndarray:
    """Centres (n,) near `targets` such that boxes of these heights do not overlap and,
    where they fit, stay within 0…room.
    """
    order = np.argsort(targets, kind="stable")
    tall = heights[order]
    offsets = np.append(0.0, np.cumsum((tall[1:] + tall[:-1]) / 2))  # centres of a stack without gaps
    free = targets[order] - offsets  # boxes do not overlap where this does not fall
    raised, lowered = np.maximum.accumulate(free), np.minimum.accumulate(free[::-1])[::-1]
    lowest = tall[0] / 2
    settled = np.clip((raised + lowered) / 2, lowest, max(lowest, room - tall[-1] / 2 - offsets[-1]))
    placed = np.empty_like(settled)
    placed[order] = settled + offsets
    return placed


def _words(drawn: Sequence[_Measured], x_title: str, y_format: str, marks: Mapping[str, float]) -> str:
    """n and the last values, as text."""
    parts = []
    for curve in drawn:
        if curve.end is None:
            parts.append(f"{curve.label} has no values yet")
            continue
        mean, low, high, x = (array[curve.end] for array in (curve.mean, curve.low, curve.high, curve.x))
        interval = f" [{low:{y_format}}, {high:{y_format}}]" if np.isfinite(low) else ""
        source = curve.line.published or n_seeds(len(curve.values))
        parts.append(f"{curve.label} {mean:{y_format}}{interval} ({source}) at {x_title} {x:g}")
    band = " Bands are 95 % t-intervals over seeds." if any(len(curve.values) > 1 for curve in drawn) else ""
    marked = f" Marked: {', '.join(f'{name} at {at:g}' for name, at in marks.items())}." if marks else ""
    return f"Last values: {'; '.join(parts)}.{band}{marked}"
