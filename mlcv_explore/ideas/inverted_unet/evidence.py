"""What the Answer act shows beyond the claims, from the rows of a study: numbers only,
no training.

A row is a dict of claim, arm, the settings that vary (text), seed, measure and value
(None where it is undefined).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.ideas.inverted_unet import ARMS, LADDER, MEASURES, RIVALS
from mlcv_explore.statistics import Interval, t_interval

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """Every measure of one arm, or of one arm at one rung of the ladder, mean and
    interval over seeds.
    """

    arm: str
    measures: Mapping[str, Interval]  # those it has


def columns(rows: Sequence[Row], claim: str, arm: str, measure: str) -> np.ndarray:
    """The values of one arm in the order of the seeds, (S,); empty where it has no such
    measure.
    """
    found = {
        row["seed"]: row["value"]
        for row in rows
        if (row["claim"], row["arm"], row["measure"]) == (claim, arm, measure)
    }
    return np.array([found[seed] for seed in sorted(found)], dtype=float)


def _line(rows: Sequence[Row], claim: str, arm: str, called: str) -> Line | None:
    found = {measure: columns(rows, claim, arm, measure) for measure in MEASURES}
    measured = {measure: t_interval(values) for measure, values in found.items() if len(values)}
    return Line(called, measured) if measured else None


def arms(rows: Sequence[Row]) -> list[Line]:
    """Every arm with every measure it has, given what each pixel is."""
    return [line for arm in ARMS if (line := _line(rows, "arms", arm, arm)) is not None]


def ladder(rows: Sequence[Row]) -> dict[str, dict[str, Line]]:
    """Rung, "lines" for edges as one drawing → the U-Net and what it is held against
    there.
    """
    found = {rung: {one: _line(rows, "ladder", f"{rung}_{one}", one) for one in RIVALS} for rung in LADDER}
    return {
        rung: {one: line for one, line in lines.items() if line is not None} for rung, lines in found.items()
    }
