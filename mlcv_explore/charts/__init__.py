"""Every chart of every page: arrays in, a chart with its data and description out."""

from mlcv_explore.charts.cells import heat_map, histograms
from mlcv_explore.charts.chart import Chart, percent, with_interval
from mlcv_explore.charts.cone import Band, cone
from mlcv_explore.charts.curves import Line, curves, thumbnail
from mlcv_explore.charts.palette import PALETTES, ROLES, Palette, Role
from mlcv_explore.charts.points import points
from mlcv_explore.charts.rows import Bar, Difference, bars_with_intervals, effects, paired_differences
from mlcv_explore.charts.shares import shares

__all__ = [
    "PALETTES", "ROLES", "Band", "Bar", "Chart", "Difference", "Line", "Palette", "Role",
    "bars_with_intervals", "cone", "curves", "effects", "heat_map", "histograms", "paired_differences",
    "percent", "points", "shares", "thumbnail", "with_interval",
]  # fmt: skip
