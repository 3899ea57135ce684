"""Tables of the Answer act beyond the claims, from the rows of a study: numbers only."""

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.inverted_unet import LEVEL_ARMS
from mlcv_explore.statistics import Interval


def arm_columns(table: Table) -> dict[str, np.ndarray]:
    """Every measure of every arm given the class mask: {"<arm>_<measure>": (S,)}."""
    pairs = dict.fromkeys((row["arm"], row["measure"]) for row in table.rows if row["claim"] == "arms")
    return {f"{arm}_{measure}": table.values("arms", arm, measure) for arm, measure in pairs}


def level_values(table: Table, level: str) -> dict[str, np.ndarray]:
    """Explained variance of ceiling, U-Net and region means at a level, (S,) each; no
    ceiling where it is unknown.
    """
    known = set(table.arms("ladder"))
    arms = [arm for arm in ("ceiling", "l2", "region") if f"{level}_{arm}" in known]
    return {arm: table.values("ladder", f"{level}_{arm}", "explained") for arm in arms}


def by_level(table: Table, arm: str, measure: str = "explained") -> list[Interval | str]:
    """One arm at every conditioning level, in the order of LEVEL_ARMS; "unknown" where it
    has no such measure.
    """
    known = set(table.arms("ladder"))
    return [
        table.interval("ladder", f"{level}_{arm}", measure) if f"{level}_{arm}" in known else "unknown"
        for level in LEVEL_ARMS
    ]
