"""What the Answer act shows beyond the claims, from the rows of a study: numbers only,
no training.

A row is a dict of claim, arm, the settings that vary (text), seed, measure and value
(None where it is undefined).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcv_explore.ideas.hierarchical_explanation import ARMS, BUDGETED, MEASURES, SHARING
from mlcv_explore.statistics import Interval, t_interval

Row = Mapping[str, Any]
DATASETS = ("glyphs", "digits", "wine", "breast_cancer")  # of the live study


def arms(rows: Sequence[Row], dataset: str) -> dict[str, dict[str, Interval]]:
    """Arm → measure → mean and interval over seeds, of one data set."""
    own = [row for row in rows if row["claim"] == "arms" and row["dataset"] == dataset]
    found = {arm: {measure: _values(own, arm, measure) for measure in MEASURES} for arm in ARMS}
    return {
        arm: {name: t_interval(values) for name, values in measures.items() if len(values)}
        for arm, measures in found.items()
    }


def sharing(rows: Sequence[Row]) -> dict[int, dict[str, Interval]]:
    """Items that share the dictionary → arm → share explained."""
    return _by(rows, "sharing", "items", SHARING)


def budget(rows: Sequence[Row]) -> dict[int, dict[str, Interval]]:
    """Bits an item → arm → share explained, every vocabulary of the size that
    validation items chose at these bits.
    """
    return _by(rows, "budget", "bits", BUDGETED)


def _by(rows: Sequence[Row], claim: str, setting: str, arms: Sequence[str]) -> dict[int, dict[str, Interval]]:
    own = [row for row in rows if row["claim"] == claim]
    counts = sorted({int(row[setting]) for row in own})
    return {
        count: {
            arm: t_interval(_values([row for row in own if int(row[setting]) == count], arm, "passes"))
            for arm in arms
        }
        for count in counts
    }


def _values(rows: Sequence[Row], arm: str, measure: str) -> np.ndarray:
    found = {row["seed"]: row["value"] for row in rows if (row["arm"], row["measure"]) == (arm, measure)}
    return np.array([found[seed] for seed in sorted(found)], dtype=float)
