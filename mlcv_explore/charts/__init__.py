"""Every chart of every page: arrays in, a chart with its data and description out."""

import numpy as np

from mlcv_explore.charts.cells import heat_map, histograms
from mlcv_explore.charts.chart import Chart
from mlcv_explore.charts.cone import Band, cone
from mlcv_explore.charts.curves import Line, curves, thumbnail
from mlcv_explore.charts.palette import PALETTES, ROLES, Palette, Role
from mlcv_explore.charts.points import points
from mlcv_explore.charts.rows import Bar, Difference, bars_with_intervals, effects, paired_differences
from mlcv_explore.charts.shares import shares

__all__ = [
    "PALETTES", "ROLES", "Band", "Bar", "Chart", "Difference", "Line", "Palette", "Role",
    "bars_with_intervals", "cone", "curves", "effects", "heat_map", "histograms", "paired_differences",
    "points", "shares", "thumbnail", "warm_up",
]  # fmt: skip


def warm_up() -> None:
    """Draw every kind of chart in every palette, so that all specifications are cached:
    a second of work, of which a kind's first chart would take 20 to 150 ms.
    """
    ends, cells, row = np.array([0.0, 1.0]), np.eye(2), [Difference("a", 0.0, 0.0, 0.0)]
    line, bands = Line("idea", ends), (Band("95 %", 0.0, 1.0), Band("50 %", 0.0, 1.0))
    for palette in PALETTES.values():
        for y_domain in (None, (0.0, 1.0)):
            for marks in (None, {"now": 0.0}):
                options = {"palette": palette, "y_domain": y_domain, "marks": marks}
                curves(ends, {"a": line}, "x", "y", **options)
        thumbnail(ends, {"idea": ends}, palette)
        cone(ends, ends, 0, 0.0, bands, "x", "y", palette, (0.0, 1.0))
        for label in ("a", "word"):
            points(cells, [label] * 2, ["idea"] * 2, palette)
        shares(["a", "b"], {"a": ("idea", ends)}, palette)
        bars_with_intervals([Bar("a", 0.0, 0.0, 0.0, "idea")], "x", palette)
        paired_differences(row, palette)
        effects(row, palette)
        histograms(np.arange(3.0), {"a": ("idea", ends)}, "x", palette)
        for signed in (False, True):
            heat_map(cells, "ab", "ab", ("row", "column", "value"), palette, signed=signed)
