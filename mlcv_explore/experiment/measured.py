"""A run that measures one arm after another: a table of arms and measures for every seed,
which fills from frame to frame.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measured:
    """What is measured so far: S seeds, A arms, K measures, in the order of their `Axes`."""

    step: int
    steps: int
    measured: np.ndarray  # (S, A, K) float32; 0 until measured


@dataclass(frozen=True)
class Axes:
    """The names along the axes of such a table."""

    arms: tuple[str, ...]
    measures: tuple[str, ...]

    def film(
        self, parts: Sequence[Iterator[Mapping[tuple[str, str], float]]], steps: int
    ) -> Iterator[Measured]:
        """A frame a step: what each seed's iterator yields next, {(arm, measure): value}, is
        entered. Raises ValueError at a name that is on neither axis.
        """
        measured = np.zeros((len(parts), len(self.arms), len(self.measures)), np.float32)
        for step in range(1, steps + 1):
            for rows, part in zip(measured, parts, strict=True):
                for (arm, name), value in next(part).items():
                    rows[self.arms.index(arm), self.measures.index(name)] = value
            yield Measured(step, steps, measured.copy())

    def values(self, film: Sequence[Measured], arms: Iterable[str], measures: Iterable[str]) -> np.ndarray:
        """The last frame's values (S, a, k) of some arms and measures."""
        rows, columns = map(self.arms.index, arms), map(self.measures.index, measures)
        return film[-1].measured[:, [*rows]][:, :, [*columns]]

    def metrics(
        self, film: Sequence[Measured], measured: Mapping[str, Sequence[str]]
    ) -> dict[str, np.ndarray]:
        """{"<arm>_<measure>": (S,) float64} of the last frame; `measured` has the measures
        of every arm.
        """
        pairs = [(arm, name) for arm, names in measured.items() for name in names]
        return {
            f"{arm}_{name}": self.values(film, [arm], [name])[:, 0, 0].astype(float) for arm, name in pairs
        }
