"""What the Answer act shows beyond the claims, from the rows of a study: numbers only,
no training.

A row is a dict of claim or cell, arm, the settings that vary (text), seed, measure and
value (None where it is undefined).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.statistics import Interval, t_interval

Row = Mapping[str, Any]

CELLS = {  # cell of the study → what it is
    "honest": "classifiers that use the object",
    "tagged": "classifiers that read the tag",
    "textures": "the class is the texture",
    "encoder": "equal updates of the encoder",
    "task": "equal updates of every task",
    "boxes": "a box head beside the classifier, backgrounds tell nothing",
}


@dataclass(frozen=True)
class Line:
    """Some measures of one arm, mean and interval over seeds."""

    arm: str
    measures: Mapping[str, Interval]


def column(rows: Sequence[Row], cell: str, arm: str, measure: str) -> np.ndarray:
    """The values of one arm in the order of the seeds, (S,); empty where it was not
    measured.
    """
    found = {
        row["seed"]: row["value"]
        for row in rows
        if (row["claim"], row["arm"], row["measure"]) == (cell, arm, measure)
    }
    return np.array([found[seed] for seed in sorted(found)], dtype=float)


def table(rows: Sequence[Row], cell: str, measures: Sequence[str]) -> list[Line]:
    """Every arm of a cell that has the first of these measures, the highest first; each
    with those of them that it has.
    """
    arms = dict.fromkeys(row["arm"] for row in rows if row["claim"] == cell and row["measure"] == measures[0])
    lines = []
    for arm in arms:
        columns = {measure: column(rows, cell, arm, measure) for measure in measures}
        lines.append(
            Line(arm, {measure: t_interval(values) for measure, values in columns.items() if len(values)})
        )
    return sorted(lines, key=lambda line: -line.measures[measures[0]].mean)


def difference(rows: Sequence[Row], cell: str, arm: str, other: str, measure: str) -> Interval:
    """One arm minus another, paired over seeds."""
    return t_interval(column(rows, cell, arm, measure) - column(rows, cell, other, measure))
