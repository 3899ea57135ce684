"""Two distributions over the same classes, bar by bar."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import Chart, layer, role_colour, rows, specification
from mlcv_explore.charts.palette import Palette, Role

ROW = 40  # pixels a class
BAR = 0.34  # of a row
COLUMNS = ("name", "series", "share")
DEFAULTS: dict[str, Any] = {
    "part": "", "name": "", "series": "", "role": "", "text": "", "share": np.nan, "x": np.nan, "at": np.nan, "top": np.nan, "bottom": np.nan,
}  # fmt: skip


def shares(names: Sequence[str], series: Mapping[str, tuple[Role, np.ndarray]], palette: Palette) -> Chart:
    """For every class one bar a series from 0 to 1, with its number: "asked for" over "said". Raises ValueError when the lengths disagree.

    The specification hangs on how many classes and series there are, so that moving numbers redraw in place.
    """
    blocks: list[dict[str, Any]] = []
    height = 2 * BAR / max(len(series), 1)
    for place, (title, (role, values)) in enumerate(series.items()):
        values = np.asarray(values, dtype=float)
        if values.shape != (len(names),):
            raise ValueError(f"{title!r} must have one share for each of {len(names)} classes, got shape {values.shape}.")
        top = np.arange(len(names)) + 0.5 - BAR + place * height
        numbers = [f"{value:.3f}" for value in values]
        edges = {"top": top + 0.03, "bottom": top + height - 0.03, "at": top + height / 2}
        blocks.append({"part": "value", "name": list(names), "series": title, "role": role, "text": numbers, "share": values, "x": 0.0, **edges})
    blocks.append({"part": "class", "text": list(names), "x": 0.0, "at": np.arange(len(names)) + 0.5})
    words = "; ".join(
        f"{title}: " + ", ".join(f"{name} {value:.3f}" for name, value in zip(names, values, strict=True)) for title, (_, values) in series.items()
    )
    subject = f"Shares of {len(names)} classes: {', '.join(series)}."
    spec = specification(_layers(palette), _encoding(len(names)), ROW * len(names) + 8, palette)
    return Chart(spec, rows(blocks, DEFAULTS), subject, f"{subject} {words}.", COLUMNS, palette.background)


def _encoding(count: int) -> dict[str, Any]:
    return {
        "x": {"field": "x", "type": "quantitative", "scale": {"domain": [-0.28, 1.12], "nice": False}, "axis": None},
        "y": {"field": "top", "type": "quantitative", "scale": {"domain": [0, count], "reverse": True, "nice": False}, "axis": None},
    }


def _layers(palette: Palette) -> list[dict[str, Any]]:
    tooltip = [
        {"field": "name", "type": "nominal"},
        {"field": "series", "type": "nominal"},
        {"field": "share", "type": "quantitative", "format": ".3f"},
    ]
    ends = {"x2": {"field": "share"}, "y2": {"field": "bottom"}, "color": role_colour(palette), "tooltip": tooltip}
    at = {"y": {"field": "at", "type": "quantitative"}}
    number = {"x": {"field": "share", "type": "quantitative"}, **at, "text": {"field": "text"}, "color": {"value": palette.text}}
    return [
        layer("value", {"type": "rect", "cornerRadius": 1}, ends),
        layer("value", {"type": "text", "align": "left", "dx": 5, "fontSize": 12}, number),
        layer("class", {"type": "text", "align": "right", "dx": -6}, {**at, "text": {"field": "text"}}),
    ]
