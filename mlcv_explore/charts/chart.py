"""A picture as Vega-Lite: the specification, the numbers in it, and the words for who cannot see it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcv_explore.charts.palette import ROLES, Palette

if TYPE_CHECKING:
    import pyarrow

DATA = "source"  # the name under which Streamlit hands the rows to Vega
EXPORT_WIDTH = 720  # pixels; on a page a chart is as wide as its column
FONT = '"Source Sans", "Source Sans Pro", system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
HOVER = "hover"  # the layer of invisible targets for the pointer; an exported picture has none
NUMBERS = ("value", "seed")  # the parts whose rows are numbers; the others place furniture


@dataclass(frozen=True)
class Chart:
    """One picture. `spec` is Vega-Lite without the data and does not depend on it, so that new numbers redraw in place.

    `subject` says what is plotted and is as constant as `spec`; `description` adds the numbers. On a page a changing `alt` builds the
    chart anew: give a chart that moves its `subject`, a chart that stands its `description`.
    """

    spec: dict[str, Any]
    data: "pyarrow.Table"  # tidy; the column `part` says what a row draws; what is undefined is null
    subject: str
    description: str
    columns: tuple[str, ...]  # of `data` that are numbers to take along
    paper: str = "transparent"  # what an exported picture stands on

    def to_dict(self, width: int = EXPORT_WIDTH) -> dict[str, Any]:
        """The whole specification, data included: any Vega-Lite 6 draws it."""
        layers = [item for item in self.spec["layer"] if item.get("name") != HOVER]
        words = {"background": self.paper, "description": self.description}
        return {"width": width, **self.spec, **words, "layer": layers, "data": {"name": DATA, "values": self.data.to_pylist()}}

    def png(self, scale: float = 2) -> bytes:
        """The picture as PNG, `scale` pixels a point."""
        import vl_convert

        return vl_convert.vegalite_to_png(self.to_dict(), scale=scale)

    def svg(self) -> str:
        """The picture as SVG, self-contained."""
        import vl_convert

        return vl_convert.vegalite_to_svg(self.to_dict())

    def csv(self) -> str:
        """The numbers, tidy, with a header."""
        table = self.data.to_pandas()
        return table.loc[table["part"].isin(NUMBERS), list(self.columns)].to_csv(index=False, float_format="%.10g")


def specification(layers: Sequence[Mapping[str, Any]], encoding: Mapping[str, Any], height: int, palette: Palette) -> dict[str, Any]:
    """Layers over shared axes as one themed Vega-Lite specification, `height` pixels with its axes, as wide as its place."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"name": DATA},
        "height": height,
        "padding": {"left": 2, "right": 6, "top": 4, "bottom": 2},  # Streamlit would add twenty pixels of nothing below
        "autosize": {"type": "fit", "contains": "padding"},
        "background": "transparent",
        "config": theme(palette),
        "encoding": dict(encoding),
        "layer": list(layers),
    }


def layer(part: str, mark: Mapping[str, Any], encoding: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A mark drawn for the rows of one part."""
    return {"transform": [{"filter": {"field": "part", "equal": part}}], "mark": dict(mark), "encoding": dict(encoding or {})}


def rows(parts: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]) -> "pyarrow.Table":
    """Blocks of rows as one table. A block gives columns of one length, or single values for all its rows; the rest takes `defaults`.

    Arrow, because that is what travels to the browser: by way of pandas a chart costs three times as much.
    """
    import pyarrow

    lengths = [max((len(column) for column in part.values() if isinstance(column, (np.ndarray, list))), default=1) for part in parts]
    columns = {}
    for name, default in defaults.items():
        kind, stored = (object, pyarrow.string()) if isinstance(default, str) else (type(default), None)
        values = [_filled(part.get(name, default), length, kind) for part, length in zip(parts, lengths, strict=True)]
        columns[name] = pyarrow.array(np.concatenate(values or [np.empty(0, kind)]), stored, from_pandas=True)  # NaN becomes null
    return pyarrow.table(columns)


def _filled(value: Any, length: int, kind: type) -> np.ndarray:
    return np.asarray(value, dtype=kind) if isinstance(value, (np.ndarray, list)) else np.full(length, value, dtype=kind)


def role_colour(palette: Palette) -> dict[str, Any]:
    """The encoding that gives the column `role` its colour; direct labels take the place of a legend."""
    scale = {"domain": list(ROLES), "range": [palette.roles[role].colour for role in ROLES]}
    return {"field": "role", "type": "nominal", "scale": scale, "legend": None}


def with_interval(mean: float, low: float, high: float) -> str:
    """A mean and its interval with sensible digits: "22.9 [21.5, 24.3]"; without bounds the mean alone."""
    if not all(map(math.isfinite, (mean, low, high))):
        return f"{mean:.3g}".replace("-", "−") if math.isfinite(mean) else "undefined"
    places = _places((high - low) / 2, mean)
    mean, low, high = (round(value, places) + 0.0 for value in (mean, low, high))  # no minus before a zero
    return f"{mean:.{places}f} [{low:.{places}f}, {high:.{places}f}]".replace("-", "−")


def percent(interval: Any) -> str:
    """A share, or a difference of shares, with `mean`, `low` and `high`, in per cent; without bounds where there is no width."""
    if interval.low == interval.high:
        return f"{100 * interval.mean:g}".replace("-", "−")
    return with_interval(*(100 * value for value in (interval.mean, interval.low, interval.high)))


def _places(half: float, mean: float) -> int:
    """Decimals that leave half an interval one significant digit, two when they lie between 10 and 35, as particle physicists round."""
    if half <= 0:
        return 3 if abs(mean) < 10 else 1
    exponent = math.floor(math.log10(half))
    return max(0, -exponent + (1 if half / 10**exponent < 3.55 else 0))


@cache
def _theme(name: str, text: str, muted: str, border: str) -> dict[str, Any]:
    return {
        "font": FONT,
        "aria": False,  # the picture has one text for screen readers; a label for each mark would drown it
        "view": {"stroke": None},
        "axis": {
            "labelColor": muted,
            "labelFontSize": 13,
            "titleColor": text,
            "titleFontSize": 14,
            "titleFontWeight": "normal",
            "domainColor": border,
            "tickColor": border,
            "gridColor": border,
            "gridOpacity": 0.55,
            "labelFlush": False,
        },
        "axisX": {"grid": False, "titlePadding": 6},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 6, "tickCount": 5},
        "text": {"color": text, "fontSize": 14},
        "legend": {"labelColor": muted, "titleColor": text, "labelFontSize": 13, "titleFontSize": 14, "titleFontWeight": "normal"},
    }


def theme(palette: Palette) -> dict[str, Any]:
    """Vega-Lite's config for a palette: everything that is not data, so that Streamlit need not add its own."""
    return _theme(palette.name, palette.text, palette.muted, palette.border)
