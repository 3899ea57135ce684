"""Distributions over the same classes, bar by bar."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcv_explore.charts.chart import Chart, ends, rows, specification
from mlcv_explore.charts.palette import Palette, Role

ROW = 40  # pixels a class with one or two series, so that numbers do not overlap
BAR = 0.34  # of a row
COLUMNS = ("name", "series", "share")


def shares(names: Sequence[str], series: Mapping[str, tuple[Role, np.ndarray]], palette: Palette) -> Chart:
    """For every class one bar a series from 0 to 1, with its number. A series has one
    share for each class, (C,). Raises ValueError when the lengths disagree.
    """
    blocks: list[dict[str, Any]] = []
    height, texts = 2 * BAR / max(len(series), 1), []
    for place, (title, (role, values)) in enumerate(series.items()):
        values = np.asarray(values, dtype=float)
        if values.shape != (len(names),):
            needed = f"one share for each of {len(names)} classes"
            raise ValueError(f"{title!r} must have {needed}, got shape {values.shape}.")
        top, numbers = (
            np.arange(len(names)) + 0.5 - BAR + place * height,
            [f"{value:.3f}" for value in values],
        )
        edges = {"top": top + 0.03, "bottom": top + height - 0.03, "at": top + height / 2, "x": 0.0}
        words = {"name": list(names), "series": title, "role": role, "text": numbers}
        blocks.append({"part": "value", **words, **edges, "share": values})
        texts.append(f"{title}: " + ", ".join(map(" ".join, zip(names, numbers, strict=True))))
    blocks.append({"part": "class", "text": list(names), "x": 0.0, "at": np.arange(len(names)) + 0.5})
    blocks.append(ends((-0.28, 1.12), (0, len(names))))
    subject = f"Shares of {len(names)} classes: {', '.join(series)}."
    row = ROW * max(1.0, len(series) / 2)
    spec = specification("shares", palette, height=round(row * len(names)) + 8)
    return Chart(spec, rows(blocks), subject, f"{subject} {'; '.join(texts)}.", COLUMNS, palette.background)
