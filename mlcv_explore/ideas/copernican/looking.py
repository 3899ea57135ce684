"""What one look at one curve says: the cone from the stop, how it turned out, and how
it went at the stops before.
"""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.idea import Film
from mlcv_explore.ideas.copernican import LONGEST, SHOWN
from mlcv_explore.ideas.copernican.brought import Brought
from mlcv_explore.ideas.copernican.forecasts import LEVELS, STOPS, weights
from mlcv_explore.ideas.copernican.growth import KINDS, Curve
from mlcv_explore.ideas.copernican.intervals import covers, interval


@dataclass(frozen=True, eq=False)
class Seen:
    """A curve to look at: n points in time, of which the first may be before anything
    is gained.
    """

    name: str
    x: np.ndarray  # (n,) float64, rising
    importance: np.ndarray  # (n,) float64, 0 or more, never falling
    # the same for the laws of stopping: its step t is the point t, or t − 1 where the first point
    # already has something
    curve: Curve


@dataclass(frozen=True)
class Look:
    """One stop."""

    step: int  # index of the point
    past: float
    future: float
    low: float
    high: float
    half_low: float
    half_high: float
    covered: bool
    before: int  # stops up to this one at which there was a past
    covered_before: int  # of them, those at which the interval covered


def examples(film: Film, kind: str) -> list[Seen]:
    """The curves of a kind that a film keeps, importance as a share of its end, or
    epochs.
    """
    frame = next(frame for frame in film if frame.part == kind)
    found = []
    for place in range(SHOWN):
        steps, horizon = (int(value) for value in frame.lengths[0, place])
        if not 1 < steps <= LONGEST:
            continue
        scale = steps if kind == "epochs" else 1
        importance = frame.shown[0, place, : steps + 1].astype(float) * scale
        found.append(
            seen(
                f"{kind} {place + 1}",
                np.arange(steps + 1.0),
                importance,
                horizon,
                frame.signals[0, place, : steps + 1].astype(float),
            )
        )
    return found


def of_reader(brought: Brought) -> Seen:
    """A reader's curve until its last gain."""
    last = int(np.searchsorted(brought.importance, brought.importance[-1]))
    return seen(brought.name, brought.x[: last + 1], brought.importance[: last + 1], last)


def seen(
    name: str, x: np.ndarray, importance: np.ndarray, horizon: int, signal: np.ndarray | None = None
) -> Seen:
    """Points as a curve that begins at 0."""
    grown = importance if importance[0] == 0 else np.concatenate([[0.0], importance])
    return Seen(name, x, importance, Curve(grown, grown if signal is None else signal, horizon))


def stop_at(shown: Seen, share: float) -> int:
    """The point nearest to a share (0…1) of the points at which one can stop: there is
    a past, and the end is not reached.
    """
    possible = np.flatnonzero((shown.importance > 0) & (shown.importance < shown.importance[-1]))
    if not len(possible):
        return len(shown.x) - 1
    return int(possible[np.abs(possible - share * (len(shown.x) - 1)).argmin()])


def look(shown: Seen, step: int, confidence: float) -> Look:
    """The interval at one point, the median's 50 % interval within it, and the truth."""
    past, future = float(shown.importance[step]), float(shown.importance[-1] - shown.importance[step])
    low, high = (float(value) for value in interval(past, confidence))
    half_low, half_high = (float(value) for value in interval(past, 0.5))
    possible = (shown.importance > 0) & (np.arange(len(shown.x)) <= step)
    held = covers(shown.importance[possible], shown.importance[-1] - shown.importance[possible], confidence)
    covered = bool(covers(np.array(past), np.array(future), confidence))
    return Look(
        step, past, future, low, high, half_low, half_high, covered, int(possible.sum()), int(held.sum())
    )


def calibration(shown: Seen) -> dict[str, np.ndarray]:
    """How often the interval covers on this one curve at every level, (LEVELS,), by law
    of stopping; without the fixed step, which is one stop.
    """
    pasts, futures = shown.curve.importance[1:], shown.curve.importance[-1] - shown.curve.importance[1:]
    table = {level: covers(pasts, futures, float(level)) for level in LEVELS}
    found = {}
    for stops in STOPS:
        looked = weights(shown.curve, stops, 0)
        if looked.sum() > 0:
            found[stops] = np.array([looked @ table[level] for level in LEVELS])
    return found


def calibrations(film: Film, kind: str) -> dict[str, np.ndarray]:
    """The same over the curves of a kind, (S, LEVELS) by law of stopping."""
    frame = next(frame for frame in film if frame.part == kind)
    return {stops: frame.calibration[:, row].astype(float) for row, stops in enumerate(STOPS)}


def by_construction(kind: str) -> str:
    """The law of stopping under which the interval covers a kind whatever the curves
    are.
    """
    return "time" if kind == KINDS[-1] else "importance"
