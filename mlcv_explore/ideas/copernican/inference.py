"""Curves of the demo, their stops, and how often Gott's interval covers on them."""

import numpy as np

from mlcv_explore.data.curve_files import ProgressCurve
from mlcv_explore.idea import Film
from mlcv_explore.ideas.copernican.forecasts import LEVELS, STOPS, stop_weights
from mlcv_explore.ideas.copernican.intervals import covers
from mlcv_explore.models.learning_curves import KINDS, LONGEST, Curve


def recorded_curves(film: Film, kind: str) -> list[ProgressCurve]:
    """The curves of a kind in a film: importance as a share of its end."""
    frame = next(frame for frame in film if frame.part == "curves")
    rows = np.flatnonzero(frame.kind == KINDS.index(kind))
    pairs = zip(frame.shown[rows].reshape(-1, LONGEST + 1), frame.lengths[rows].ravel().tolist(), strict=True)
    return [
        ProgressCurve(np.arange(steps + 1.0), shown[: steps + 1].astype(float))
        for shown, steps in pairs
        if steps > 1
    ]


def until_last_gain(curve: ProgressCurve) -> ProgressCurve:
    """A visitor's curve, whose importance is its progress, without what comes after."""
    last = int(np.searchsorted(curve.progress, curve.progress[-1]))
    return ProgressCurve(curve.x[: last + 1], curve.progress[: last + 1])


def stop_at(shown: ProgressCurve, share: float) -> int:
    """The point nearest to a share (0…1) of the way that has a past and a future."""
    possible = np.flatnonzero((shown.progress > 0) & (shown.progress < shown.progress[-1]))
    if not len(possible):
        return len(shown.x) - 1
    return int(possible[np.abs(possible - share * (len(shown.x) - 1)).argmin()])


def covered_stops(shown: ProgressCurve, step: int, confidence: float) -> np.ndarray:
    """Whether the interval covers at each stop with a past, this one the last; bool."""
    past = shown.progress[: step + 1]
    return covers(past, shown.progress[-1] - past, confidence)[past > 0]


def curve_calibration(shown: ProgressCurve) -> dict[str, np.ndarray]:
    """Coverage on one curve at every level, (LEVELS,), by kind of stop."""
    grown = np.concatenate([np.zeros(int(shown.progress[0] > 0)), shown.progress])  # a curve begins at 0
    curve = Curve(grown, len(grown) - 1)
    return {
        stops: np.array([weight @ covers(curve.past, curve.future, float(level)) for level in LEVELS])
        for stops in STOPS
        if (weight := stop_weights(curve, stops)).any()
    }


def recorded_calibration(film: Film, kind: str) -> dict[str, np.ndarray]:
    """Coverage over the curves of a kind, (S, LEVELS), by kind of stop."""
    frame = next(frame for frame in film if frame.part == "curves")
    rows = frame.kind == KINDS.index(kind)
    return {stops: frame.calibration[rows, row].astype(float) for row, stops in enumerate(STOPS)}
