"""One row per number: differences with their intervals, arms with theirs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import Chart, ends, n_seeds, rows, specification
from mlcv_explore.charts.palette import Palette, Role
from mlcv_explore.statistics import Direction, Interval, thresholds

AXIS = 46  # pixels for the axis under the rows
STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)  # ends of a row's own scale, times a power of ten
TICK = 0.87  # of a row: where the labels of its own scale lie
LEAST = 8  # pixels where every row has labels of its own
SEED_OFFSET = 0.19  # of a row: single seeds lie this far under their mean
COLUMNS = ("name", "role", "unit", "mean", "low", "high", "n", "margin", "status", "seed")
BAR_COLUMNS = ("name", "role", "mean", "low", "high")


@dataclass(frozen=True)
class Difference:
    """A paired difference of two arms with its interval, every number in the unit
    shown. Without bounds low and high are infinite or NaN.
    """

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
    """The level of one arm with its interval. Without bounds low and high are infinite
    or NaN.
    """

    label: str
    mean: float
    low: float
    high: float
    role: Role


@dataclass(frozen=True)
class _Layout:
    """Positions in a row, in shares of its height, 0 at the top."""

    height: int  # pixels a row
    name: float
    numbers: float
    dot: float
    reserved: int  # pixels for numbers at the right of the name; 0: on a line of their own
    extent: tuple[float, float] = (0.17, 0.27)  # shade and zero line above and below the dot
    broken: tuple[str, str] = ("", "")  # where a name goes on in a second line
    beside: int = 0  # pixels right of the scale, for the numbers alone

    def specification(self, kind: str, palette: Palette, count: int, **titles: str) -> dict[str, Any]:
        height = count * self.height + (LEAST if self.beside else AXIS)
        options = (self.reserved, self.beside) if self.beside else (self.reserved,)
        return specification(kind, palette, *options, height=height, **titles)

    def row(self, difference: Difference, place: int, text: str, scale: float) -> list[dict[str, Any]]:
        """Interval, numbers and name of the row `place`."""
        bounded = math.isfinite(difference.low) and math.isfinite(difference.high)
        low, high = (difference.low, difference.high) if bounded else (math.nan, math.nan)
        n = float(len(difference.per_seed)) or math.nan
        return [
            {"part": "value", "text": text, "text_at": place + self.numbers, "at": place + self.dot,
             "x": difference.mean / scale, "x_low": low / scale, "x_high": high / scale,
             "name": difference.name, "role": difference.role, "unit": difference.unit,
             "status": difference.status, "mean": difference.mean, "low": low, "high": high, "n": n,
             "margin": difference.margin},
            {"part": "label", "text": difference.name.replace(*self.broken), "text_at": place + self.name},
        ]  # fmt: skip


ROOMY = _Layout(84, 0.15, 0.38, 0.67, 0)
# a telephone shows all: numbers stand beside the dot, and a name may take two lines
COMPACT = _Layout(74, 0.14, 0.62, 0.62, 1, (0.12, 0.12), (" · ", "\n"), 190)
LEVELS = _Layout(50, 0.27, 0.27, 0.70, 130)


def paired_differences(differences: Sequence[Difference], palette: Palette) -> Chart:
    """Rows of a dot and its interval, single seeds under it, zero line, margin shaded:
    a claim is supported when its interval clears the shade.

    Greater: up to the margin is shaded; less: mirrored; equal and different: both
    sides.
    """
    return _differences(differences, palette, ROOMY)


def effects(differences: Sequence[Difference], palette: Palette) -> Chart:
    """Many claims, one per row, each on a scale of its own whose ends are labelled: on
    a common one an effect of 81 points hides an effect of 0.4. Zero is in one line.
    """
    return _differences(differences, palette, COMPACT)


def bars_with_intervals(
    bars: Sequence[Bar],
    x_title: str,
    palette: Palette,
    *,
    x_format: str = ".2f",
    x_domain: tuple[float, float] | None = None,
) -> Chart:
    """Levels of arms as bars from zero with their intervals; `x_format`, as d3
    understands it, is the axis's: with "%" at its end the numbers are in per cent.
    """
    blocks: list[dict[str, Any]] = []
    texts = [_level(bar, x_format) for bar in bars]
    for place, (bar, text) in enumerate(zip(bars, texts, strict=True)):
        middle, names = place + LEVELS.dot, {"name": bar.label, "role": bar.role}
        row = Difference(bar.label, bar.mean, bar.low, bar.high, role=bar.role)
        blocks += LEVELS.row(row, place, text, 1.0)
        sides = {"top": middle - 0.14, "bottom": middle + 0.14, "x": 0.0, "x_high": bar.mean}
        blocks.append({"part": "bar", **names, **sides})
    reached = [value for bar in bars for value in (bar.mean, bar.low, bar.high) if math.isfinite(value)]
    reached += x_domain or (0.0,)
    low, high = min(0.0, *reached), max(reached) or 1.0
    room = 0.03 * (high - low)  # beyond the outermost whisker
    blocks.append(ends((low - room * (low < 0), high + room), (0, max(len(bars), 1))))
    spec = LEVELS.specification("bars", palette, len(bars), x_title=x_title, x_format=x_format)
    subject = f"{x_title}: {', '.join(bar.label for bar in bars)}."
    words = "; ".join(f"{bar.label} {text}" for bar, text in zip(bars, texts, strict=True))
    description = f"{subject} {words}. Whiskers are intervals."
    return Chart(spec, rows(blocks), subject, description, BAR_COLUMNS, palette.background)


def _level(bar: Bar, x_format: str) -> str:
    interval = _interval(bar)
    if x_format.endswith("%"):
        return interval.text("%")
    shown = [value for value in (bar.mean, interval.low, interval.high) if math.isfinite(value)]
    largest = max(map(abs, shown), default=0.0) or 1.0
    places = max(0, 2 - math.floor(math.log10(largest)))  # three digits: arms are compared by them
    mean, *bounds = (f"{value:z.{places}f}".replace("-", "−") for value in shown)
    return f"{mean} [{', '.join(bounds)}]" if bounds else mean


def _interval(drawn: Difference | Bar) -> Interval:
    """What is drawn as the interval that knows how it is written; without bounds where
    they are equal, as of a nominal value.
    """
    wide = drawn.high - drawn.low > 1e-6 * abs(drawn.mean)  # rounding is no width
    low, high = (drawn.low, drawn.high) if wide else (math.nan, math.nan)
    return Interval(low, drawn.mean, high, 0.95, 0, "")


def _differences(differences: Sequence[Difference], palette: Palette, layout: _Layout) -> Chart:
    units = list(dict.fromkeys(difference.unit for difference in differences))
    scales = dict.fromkeys(units, 1.0)
    if len(units) > 1:
        scales |= {
            unit: _largest(difference for difference in differences if difference.unit == unit)
            for unit in units
        }
    blocks: list[dict[str, Any]] = [{"part": "origin", "x": 0.0}]
    for place, difference in enumerate(differences):
        scale, dot = scales[difference.unit], place + layout.dot
        if layout is COMPACT:
            scale = _end(_largest([difference]))
            for side in (-1.0, 0.0, 1.0):
                text = f"{side * scale:z.6g}".replace("-", "−")
                blocks.append({"part": "tick", "text": text, "text_at": place + TICK, "x": side})
        sides = {"top": dot - layout.extent[0], "bottom": dot + layout.extent[1]}
        if difference.margin > 0:  # what does not clear it
            low = 0.0 if difference.direction == "greater" else -difference.margin
            high = 0.0 if difference.direction == "less" else difference.margin
            blocks.append({"part": "shade", "x": low / scale, "x_high": high / scale, **sides})
        blocks.append({"part": "zero", "x": 0.0, **sides})
        blocks += layout.row(difference, place, _numbers(difference, bare=layout.reserved > 0), scale)
        if layout is ROOMY and len(difference.per_seed):
            values = np.asarray(difference.per_seed, dtype=float)
            names = {
                "name": difference.name,
                "role": difference.role,
                "unit": difference.unit,
                "at": dot + SEED_OFFSET,
            }
            numbers = {"x": values / scale, "mean": values, "seed": np.arange(float(len(values)))}
            blocks.append({"part": "seed", **names, **numbers})
    blocks.append({"part": "separator", "at": np.arange(1.0, len(differences))})
    blocks.append(ends(_reached(blocks), (0, max(len(differences), 1))))
    title = f"difference, {units[0]}" if units and units[0] else "difference"
    title = title if len(units) < 2 else "difference (each unit has its own scale)"
    title = "" if layout is COMPACT else title
    spec = layout.specification("differences", palette, len(differences), x_title=title)
    if len(units) > 1 or layout.beside:
        spec["encoding"]["x"]["axis"] |= {"labels": False, "ticks": False, "grid": False}
        if layout is COMPACT:
            spec["encoding"]["x"]["axis"]["domain"] = False
    subject = f"Paired differences: {', '.join(difference.name for difference in differences)}."
    counts = [
        f" ({n_seeds(len(difference.per_seed))})" if len(difference.per_seed) else ""
        for difference in differences
    ]
    texts = [f"{difference.name} {_numbers(difference, bare=False)}" for difference in differences]
    words = "; ".join(map("".join, zip(texts, counts, strict=True)))
    description = f"{subject} {words}. Bars are intervals; zero is no difference."
    return Chart(spec, rows(blocks), subject, description, COLUMNS, palette.background)


def _end(largest: float) -> float:
    """The end of a scale that reaches a value: the next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10
    times a power of ten.
    """
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in STEPS if step * power >= largest * (1 - 1e-9))


def _largest(differences: Iterable[Difference]) -> float:
    """The largest absolute value of what is drawn; 1 when all are zero."""
    values = [
        abs(value)
        for difference in differences
        for value in (difference.mean, difference.low, difference.high, difference.margin)
    ]
    return max(filter(math.isfinite, values), default=0.0) or 1.0


def _reached(blocks: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The least and the greatest that is drawn, zero included, with a margin."""
    drawn = [np.ravel(block[name]) for block in blocks for name in ("x", "x_low", "x_high") if name in block]
    values = np.concatenate([np.zeros(1), *drawn])
    values = values[np.isfinite(values)]
    margin = 0.04 * (values.max() - values.min() or 1.0)
    return float(values.min() - margin), float(values.max() + margin)


def _numbers(difference: Difference, bare: bool) -> str:
    unit = f" {difference.unit}" if difference.unit else ""
    status = f" · {difference.status}" if difference.status and not bare else ""
    apart = thresholds(difference.direction, difference.margin)
    return f"{_interval(difference).text(signed=True, apart=apart)}{unit}{status}"
