"""Intervals over seeds, power, and how a claim is decided."""

from mlcv_explore.statistics.claims import Claim, Direction, Estimate, Status, Verdict, thresholds
from mlcv_explore.statistics.clusters import cluster_interval
from mlcv_explore.statistics.decisions import decide
from mlcv_explore.statistics.intervals import (
    UNITS,
    Clusters,
    Interval,
    Split,
    bootstrap_interval,
    holm,
    in_unit,
    interval,
    ratio_interval,
    resampled_interval,
    share_interval,
    significant_cells,
    t_interval,
)
from mlcv_explore.statistics.medians import median_interval
from mlcv_explore.statistics.power import (
    power,
    seeds_needed,
    smallest_detectable_effect,
    smallest_tie_margin,
    tie_power,
)

__all__ = [
    "UNITS",
    "Claim",
    "Clusters",
    "Direction",
    "Estimate",
    "Interval",
    "Split",
    "Status",
    "Verdict",
    "bootstrap_interval",
    "cluster_interval",
    "decide",
    "holm",
    "in_unit",
    "interval",
    "median_interval",
    "power",
    "ratio_interval",
    "resampled_interval",
    "seeds_needed",
    "share_interval",
    "significant_cells",
    "smallest_detectable_effect",
    "smallest_tie_margin",
    "t_interval",
    "thresholds",
    "tie_power",
]
