"""Intervals over seeds, power, and how a claim is decided."""

from mlcv_explore.statistics.claims import Claim, Direction, Estimate, Status, Verdict, decide
from mlcv_explore.statistics.intervals import (
    UNITS,
    Interval,
    Split,
    bootstrap_interval,
    holm,
    in_unit,
    interval,
    ratio_interval,
    resampled_interval,
    significant_cells,
    t_interval,
)
from mlcv_explore.statistics.power import power, seeds_needed, smallest_detectable_effect

__all__ = [
    "UNITS",
    "Claim",
    "Direction",
    "Estimate",
    "Interval",
    "Split",
    "Status",
    "Verdict",
    "bootstrap_interval",
    "decide",
    "holm",
    "in_unit",
    "interval",
    "power",
    "ratio_interval",
    "resampled_interval",
    "seeds_needed",
    "significant_cells",
    "smallest_detectable_effect",
    "t_interval",
]
