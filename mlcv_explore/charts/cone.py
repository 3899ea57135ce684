"""A curve up to a stop, the forecast from there with intervals, and the actual rest."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import LABEL_LINE, Chart, ends, rows, specification
from mlcv_explore.charts.curves import label_places
from mlcv_explore.charts.palette import Palette

HEIGHT = 360  # pixels
PLOTTED = HEIGHT - 62  # without axis and titles; only the labels' spacing depends on it
COLUMNS = ("line", "x", "y", "low", "high")
ACTUAL, FORECAST = "actual", "point forecast"


@dataclass(frozen=True)
class Band:
    """An interval of the value at the curve's end; its upper end may be infinite."""

    label: str
    low: float
    high: float


def cone(
    x: np.ndarray,
    y: np.ndarray,
    stop: int,
    middle: float,
    bands: tuple[Band, Band],
    x_title: str,
    y_title: str,
    palette: Palette,
    y_domain: tuple[float, float],
) -> Chart:
    """The curve (T,) over x (T,): solid until the point `stop`, dashed after it. From
    the stop to the last x a wide and a narrow band open.

    `middle` is the median of the value at the end. What leaves `y_domain` is cut off;
    the page has to state it.
    """
    span, cut = x[[stop, -1]], 1e6 * y_domain[1]
    blocks: list[dict[str, Any]] = [
        {"part": part, "line": band.label, "role": "idea", "x": span,
         "low": np.array([y[stop], band.low]), "high": np.array([y[stop], min(band.high, cut)])}
        for part, band in zip(("wide", "narrow"), bands, strict=True)
    ]  # fmt: skip
    blocks += [
        {"part": "middle", "line": FORECAST, "role": "idea", "x": span, "y": np.array([y[stop], middle])},
        {"part": "value", "line": "so far", "role": "baseline", "x": x[: stop + 1], "y": y[: stop + 1]},
        {"part": "seed", "line": ACTUAL, "role": "oracle", "x": x[stop:], "y": y[stop:]},
        {"part": "stop", "x": float(x[stop]), "y": float(y[stop])},
        ends((x[0], x[-1]), y_domain),
    ]
    raised = LABEL_LINE * (y_domain[1] - y_domain[0]) / PLOTTED  # a label stands above its line
    above = [min(value, y_domain[1]) + raised for value in (float(y[-1]), middle)]
    labels = zip((ACTUAL, FORECAST), ("oracle", "idea"), label_places(above, y_domain, PLOTTED), strict=True)
    blocks += [
        {"part": "label", "role": role, "text": name, "x": x[-1], "y": at} for name, role, at in labels
    ]
    subject = f"{y_title} by {x_title}, with the forecast from the stop on."
    spans = [f"{band.low:.4g} to {band.high:.4g}".replace("inf", "infinity") for band in bands]
    words = "; ".join(f"{band.label} from {span}" for band, span in zip(bands, spans, strict=True))
    description = (
        f"{subject} Stopped at {x[stop]:g} with {y[stop]:.4g}; at the end it was {y[-1]:.4g};"
        f" predicted: {middle:.4g}, {words}."
    )
    spec = specification("cone", palette, height=HEIGHT, x_title=x_title, y_title=y_title)
    return Chart(spec, rows(blocks), subject, description, COLUMNS, palette.background)
