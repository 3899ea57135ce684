"""A forecast at one stop of one curve, and how often Gott's interval covers."""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.idea import Film
from mlcv_explore.ideas.copernican.curve_file import UploadedCurve
from mlcv_explore.ideas.copernican.curves import LONGEST, Curve
from mlcv_explore.ideas.copernican.forecasts import LEVELS, STOPS, stop_weights
from mlcv_explore.ideas.copernican.intervals import covers, interval


@dataclass(frozen=True, eq=False)
class PlottedCurve:
    """A curve of n points, the first of which may come before any gain."""

    x: np.ndarray  # (n,) float64, rising
    importance: np.ndarray  # (n,) float64, 0 or more, never falling
    curve: Curve  # the same from 0 on; its step t is point t, or t − 1 where the first point is above 0


@dataclass(frozen=True)
class Forecast:
    """Gott's forecast at one stop, in the unit of importance."""

    past: float
    future: float
    low: float
    high: float
    half: tuple[float, float]  # ends of the 50 % interval
    covered: bool
    stops: int  # those with a past, up to this one
    stops_covered: int


def recorded_curves(film: Film, kind: str) -> list[PlottedCurve]:
    """The curves of a kind in a film: importance as a share of its end, or epochs."""
    frame = next(frame for frame in film if frame.part == kind)
    curves = []
    for place, (steps, horizon) in enumerate(frame.lengths[0].tolist()):
        if 1 < steps <= LONGEST:
            shown, signal = (
                each[0, place, : steps + 1].astype(float) for each in (frame.shown, frame.signals)
            )
            importance = shown * (steps if kind == "epochs" else 1)
            curves.append(plotted(np.arange(steps + 1.0), importance, horizon, signal))
    return curves


def uploaded_curve(upload: UploadedCurve) -> PlottedCurve:
    """A visitor's curve until its last gain."""
    last = int(np.searchsorted(upload.importance, upload.importance[-1]))
    return plotted(upload.x[: last + 1], upload.importance[: last + 1], last)


def plotted(
    x: np.ndarray, importance: np.ndarray, horizon: int, signal: np.ndarray | None = None
) -> PlottedCurve:
    """Points (n,) as a curve that begins at 0."""
    grown = importance if importance[0] == 0 else np.concatenate([[0.0], importance])
    return PlottedCurve(x, importance, Curve(grown, grown if signal is None else signal, horizon))


def stop_at(shown: PlottedCurve, share: float) -> int:
    """The point nearest to a share (0…1) of the way that has a past and a future."""
    possible = np.flatnonzero((shown.importance > 0) & (shown.importance < shown.importance[-1]))
    if not len(possible):
        return len(shown.x) - 1
    return int(possible[np.abs(possible - share * (len(shown.x) - 1)).argmin()])


def forecast(shown: PlottedCurve, step: int, confidence: float) -> Forecast:
    """The interval at one point, the actual future, and coverage at the stops so far."""
    pasts, futures = shown.importance, shown.importance[-1] - shown.importance
    stops = np.flatnonzero(pasts[: step + 1] > 0)
    ends = [tuple(float(end) for end in interval(pasts[step], level)) for level in (confidence, 0.5)]
    covered = bool(covers(pasts[step], futures[step], confidence))
    count = int(covers(pasts[stops], futures[stops], confidence).sum())
    return Forecast(float(pasts[step]), float(futures[step]), *ends[0], ends[1], covered, len(stops), count)


def curve_calibration(shown: PlottedCurve) -> dict[str, np.ndarray]:
    """Coverage on one curve at every level, (LEVELS,), by kind of stop; without the fixed
    step, which is one stop.
    """
    pasts, futures = shown.curve.importance[1:], shown.curve.importance[-1] - shown.curve.importance[1:]
    weights = {stops: stop_weights(shown.curve, stops, 0) for stops in STOPS}
    return {
        stops: np.array([weight @ covers(pasts, futures, float(level)) for level in LEVELS])
        for stops, weight in weights.items()
        if weight.sum() > 0
    }


def recorded_calibration(film: Film, kind: str) -> dict[str, np.ndarray]:
    """Coverage over the curves of a kind, (S, LEVELS), by kind of stop."""
    frame = next(frame for frame in film if frame.part == kind)
    return {stops: frame.calibration[:, row].astype(float) for row, stops in enumerate(STOPS)}
