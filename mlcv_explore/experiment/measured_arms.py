"""Runs that measure one arm after the other: every frame is a table of arms by measures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Measured = Mapping[str, Mapping[str, float]]  # arm → measure → value


@dataclass(frozen=True)
class ArmsFrame:
    """What is measured so far: S seeds, A arms, K measures, in a run's order of them."""

    step: int
    steps: int
    measured: np.ndarray  # (S, A, K) float32; 0 until measured


def frames(
    seeds: Sequence[Iterator[Measured]], steps: int, arms: Sequence[str], measures: Sequence[str]
) -> Iterator[ArmsFrame]:
    """A frame a step, in each of which every seed gives what it has measured."""
    measured = np.zeros((len(seeds), len(arms), len(measures)), np.float32)
    for step in range(1, steps + 1):
        for rows, seed in zip(measured, seeds, strict=True):
            for arm, found in next(seed).items():
                for name, value in found.items():
                    rows[arms.index(arm), measures.index(name)] = value
        yield ArmsFrame(step, steps, measured.copy())


def columns(
    frame: ArmsFrame, arms: Sequence[str], measures: Sequence[str], kept: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray]:
    """{"<arm>_<measure>": (S,) float64} of the arms in `kept` with the measures there."""
    return {
        f"{arm}_{name}": frame.measured[:, arms.index(arm), measures.index(name)].astype(float)
        for arm, names in kept.items()
        for name in names
    }
