"""The rows of a study as a table: values, intervals and differences."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mlcv_explore import statistics
from mlcv_explore.statistics import Interval, Split

if TYPE_CHECKING:
    import numpy as np

# of re-drawn splits behind the rows of a claim, None: one split; where its rows differ in this, with
# their settings as text
Splits = Mapping[str | tuple[str, frozenset[tuple[str, str]]], Split | None]
Row = dict[str, Any]  # claim, arm, varying settings (text), seed, measure, value (None: undefined)


class Table:
    """The rows of a study: an arm's values over seeds, their intervals and differences.

    Settings are given as values or as the text the rows hold.
    """

    def __init__(self, rows: Sequence[Row], splits: Splits | None = None) -> None:
        self.rows = rows
        self.splits = splits or {}
        self._columns: dict[tuple[str, str, str], list[Row]] = {}
        for row in rows:
            self._columns.setdefault((row["claim"], row["arm"], row["measure"]), []).append(row)

    def values(self, claim: str, arm: str, measure: str, **settings: Any) -> "np.ndarray":
        """(S,) float64 in the order of the seeds, NaN where undefined. Raises KeyError
        when there is no such row, ValueError when several share a seed.
        """
        import numpy as np

        texts = {name: str(value) for name, value in settings.items()}
        rows = [
            row
            for row in self._columns.get((claim, arm, measure), ())
            if all(row[name] == value for name, value in texts.items())
        ]
        by_seed = {row["seed"]: row["value"] for row in rows}
        if not rows:
            raise KeyError(f"The study has no {measure} of {arm} in {claim} with {texts}.")
        if len(by_seed) < len(rows):
            raise ValueError(f"{claim}, {arm}, {measure}: several rows a seed; name more settings.")
        return np.array([math.nan if by_seed[seed] is None else by_seed[seed] for seed in sorted(by_seed)])

    def interval(self, claim: str, arm: str, measure: str, level: float = 0.95, **settings: Any) -> Interval:
        """The mean over seeds with its interval, corrected where splits were re-drawn."""
        return self._of(claim, self.values(claim, arm, measure, **settings), level, settings)

    def difference(
        self, claim: str, one: str, other: str, measure: str, level: float = 0.95, **settings: Any
    ) -> Interval:
        """The mean paired difference of two arms, one − other, with its interval."""
        first, second = (self.values(claim, arm, measure, **settings) for arm in (one, other))
        return self._of(claim, first - second, level, settings)

    def leaders(self, claim: str, arms: Sequence[str], measure: str, **settings: Any) -> list[str]:
        """Of some arms the one with the highest mean, then those, the higher first, whose
        paired difference to it has a 95 % interval that holds 0, not corrected for their number.
        Arms without rows are left out.
        """
        means = {}
        for arm in arms:
            with suppress(KeyError):
                means[arm] = self.interval(claim, arm, measure, **settings).mean
        first, *others = sorted(means, key=lambda arm: -means[arm])
        near = []
        for arm in others:
            lead = self.difference(claim, first, arm, measure, **settings)
            near += [arm] * (not lead.low > 0)
        return [first, *near]

    def split(self, claim: str, **settings: Any) -> Split | None:
        """Sizes of the re-drawn splits behind rows of a claim. Raises ValueError when rows
        of several kinds are meant.
        """
        if claim in self.splits:
            return self.splits[claim]
        texts = {(name, str(value)) for name, value in settings.items()}
        found = {
            size
            for key, size in self.splits.items()
            if isinstance(key, tuple) and key[0] == claim and texts <= key[1]
        }
        if len(found) > 1:
            raise ValueError(f"{claim}: rows of fixed and of re-drawn splits; name more settings.")
        return found.pop() if found else None

    def _of(self, claim: str, values: "np.ndarray", level: float, settings: Mapping[str, Any]) -> Interval:
        return statistics.interval(values, self.split(claim, **settings), level)

    def columns(self, claim: str, **settings: Any) -> "dict[str, np.ndarray]":
        """Every measure of every arm of a claim's rows, {"<arm>_<measure>": (S,)}."""
        pairs = [(arm, measure) for of, arm, measure in self._columns if of == claim]
        return {f"{arm}_{measure}": self.values(claim, arm, measure, **settings) for arm, measure in pairs}

    def cross(
        self, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, list[Interval | str]]:
        """Head → a cell for each row, of what row and column name together: claim, arm,
        measure, settings, and `minus`, the arm to subtract. A dash where the study has
        no such values.
        """
        return {head: [self._cell(**{**row, **column}) for row in rows] for head, column in columns.items()}

    def _cell(self, claim: str, arm: str, measure: str, minus: str = "", **settings: Any) -> Interval | str:
        if any((claim, name, measure) not in self._columns for name in (arm, minus or arm)):
            return "–"
        if minus:
            return self.difference(claim, arm, minus, measure, **settings)
        return self.interval(claim, arm, measure, **settings)

    def levels(self, claim: str, setting: str) -> list[str]:
        """The values a setting takes in a claim's rows, as text, in their order."""
        return list(dict.fromkeys(row[setting] for row in self.rows if row["claim"] == claim))

    def cases(self, claim: str, settings: Sequence[str]) -> list[dict[str, str]]:
        """The combinations of some settings in a claim's rows, as text, in their order."""
        found = (tuple(row[name] for name in settings) for row in self.rows if row["claim"] == claim)
        return [dict(zip(settings, values, strict=True)) for values in dict.fromkeys(found)]

    def arms(self, claim: str) -> list[str]:
        """The arms of a claim's rows, in their order."""
        return list(dict.fromkeys(arm for owner, arm, _ in self._columns if owner == claim))

    def grid(
        self, claim: str, down: str, across: str, one: str, other: str, measure: str
    ) -> tuple[list[str], list[str], "np.ndarray"]:
        """Paired differences one − other over two settings: the levels of each in
        numeric order, and differences (R, C, S).
        """
        import numpy as np

        rows, columns = (sorted(self.levels(claim, name), key=float) for name in (down, across))
        first, second = (
            np.array(
                [
                    [self.values(claim, arm, measure, **{down: row, across: column}) for column in columns]
                    for row in rows
                ]
            )
            for arm in (one, other)
        )
        return rows, columns, first - second
