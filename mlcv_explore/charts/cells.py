"""Heat maps with what is not significant hatched; histograms under one another."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mlcv_explore.charts.chart import Chart, ends, n_seeds, rows, specification
from mlcv_explore.charts.curves import t_band
from mlcv_explore.charts.palette import Palette, Role, contrast, rgb, shades, signed_shades

CELL = 40  # pixels a row of cells
PANEL = 74  # pixels a histogram
AXES = 100  # pixels for the axes and the legend of a heat map
INKS = ("#000000", "#FFFFFF")  # on any colour one of the two has a contrast of at least 4.5
HEAT_COLUMNS = ("row", "column", "value", "significant")
BIN_COLUMNS = ("group", "role", "start", "end", "share", "low", "high", "n")


def heat_map(
    values: np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    titles: tuple[str, str, str],
    palette: Palette,
    *,
    significant: np.ndarray | None = None,
    signed: bool = True,
    value_format: str = ".2f",
    limit: float | None = None,
) -> Chart:
    """A table of numbers as colours, (R, C), row 0 at the top; NaN cells stay empty.

    `titles` name rows, columns and the value with its unit. Signed values are blue
    below and orange above zero, which has the background's colour, with equal limits on
    both sides (`limit`, or the largest absolute value). Cells that are not
    `significant`, (R, C) bool, are hatched. Raises ValueError when shapes and labels
    disagree.
    """
    values = np.asarray(values, dtype=float)
    significant = np.ones(values.shape, bool) if significant is None else np.asarray(significant, bool)
    shape = (len(row_labels), len(column_labels))
    if values.shape != shape or significant.shape != shape:
        needed = f"{shape[0]} rows by {shape[1]} columns"
        raise ValueError(f"Values {values.shape} and significant {significant.shape} must be {needed}.")
    low, high = _bounds(values, signed, limit)
    stops = palette.signed_stops if signed else palette.amounts
    spec = specification(
        "heat_map", palette, signed, height=CELL * shape[0] + AXES,
        row_title=titles[0], column_title=titles[1], value_title=titles[2], value_format=value_format,
        row_labels=list(map(str, row_labels)), column_labels=list(map(str, column_labels)),
        values=[low, high, (low + high) / 2], domain=np.linspace(low, high, len(stops)).tolist(),
    )  # fmt: skip
    down, across = (index.ravel() for index in np.indices(shape))
    flat, known = values.ravel(), np.isfinite(values.ravel())
    fill = signed_shades(flat, high, palette) if signed else shades((flat - low) / (high - low), stops)
    prefers_white = contrast(fill, np.array(rgb(INKS[1]))) > contrast(fill, np.array(rgb(INKS[0])))
    texts = [f"{value:{value_format}}".replace("-", "−") if math.isfinite(value) else "–" for value in flat]
    cells = {
        "part": "value", "x": across.astype(float), "y": down.astype(float),
        "row": [row_labels[index] for index in down], "column": [column_labels[index] for index in across],
        "value": flat, "significant": significant.ravel(), "text": texts,
        "fill": [f"#{red:02X}{green:02X}{blue:02X}" for red, green, blue in fill],
        "ink": np.where(known, np.where(prefers_white, INKS[1], INKS[0]), palette.muted),
    }  # fmt: skip
    hatched = ~significant.ravel() & known
    hatch = {"part": "hatch", "x": cells["x"][hatched], "y": cells["y"][hatched]}
    subject = f"{titles[2]} by {titles[0]} (rows) and {titles[1]} (columns)."
    words = "No values yet."
    if known.any():
        places = list(map("{} at {}, {}".format, texts, cells["row"], cells["column"]))
        extremes = f"Largest {places[np.nanargmax(flat)]}; smallest {places[np.nanargmin(flat)]}."
        words = f"{extremes} {hatched.sum()} of {known.sum()} cells are hatched: not significant."
    table = rows([cells, hatch])
    return Chart(spec, table, subject, f"{subject} {words}", HEAT_COLUMNS, palette.background)


def _bounds(values: np.ndarray, signed: bool, limit: float | None) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if signed:
        bound = limit or float(np.abs(finite).max(initial=0.0)) or 1.0
        return -bound, bound
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def histograms(
    edges: np.ndarray, groups: Mapping[str, tuple[Role, np.ndarray]], x_title: str, palette: Palette
) -> Chart:
    """One panel per group under one another, equal scales: the share of the group in
    each bin, mean over seeds with its 95 % t-interval.

    `edges` is (B+1,), rising; a group's counts are (S, B) or (B,), not negative. Raises
    ValueError on a length that does not fit.
    """
    edges = np.asarray(edges, dtype=float)
    shares = {label: _shares(label, counts, len(edges) - 1) for label, (_, counts) in groups.items()}
    bands = {label: t_band(share) for label, share in shares.items()}
    tops = [np.nanmax([mean, high]) for mean, _, high in bands.values() if np.isfinite(mean).any()]
    bound = 0.66 / (max(tops, default=1.0) or 1.0)  # a panel is one unit high; the name has the rest
    blocks, parts = [ends(edges[[0, -1]], (0, max(len(groups), 1)))], []
    for place, (label, (role, _)) in enumerate(groups.items()):
        (mean, low, high), base, count = bands[label], place + 0.96, len(shares[label])
        names = {"group": label, "role": role}
        numbers = {"start": edges[:-1], "end": edges[1:], "share": mean, "low": low, "high": high}
        sides = {"y": np.full(len(mean), base), "y2": base - bound * mean}
        whiskers = {"y_low": base - bound * np.maximum(low, 0), "y_high": base - bound * high}
        blocks.append({"part": "value", **names, "n": float(count), **numbers, **sides, **whiskers})
        blocks.append({"part": "label", **names, "text": label, "y": place + 0.14})
        blocks.append({"part": "base", "y": base})
        if not np.isfinite(mean).any():
            parts.append(f"{label} has no values yet")
            continue
        top = int(np.nanargmax(mean))
        left, right, share = edges[top], edges[top + 1], f"{mean[top]:.0%}"
        label_y = float(np.nanmin([sides["y2"][top], whiskers["y_high"][top]]))
        blocks.append({"part": "mark", "start": (left + right) / 2, "y": label_y, "text": share})
        parts.append(f"{label} ({n_seeds(count)}) peaks at {left:g}–{right:g} with {share} of its values")
    spec = specification("histograms", palette, height=PANEL * len(groups) + 46, x_title=x_title)
    subject = f"Histograms of {x_title}: {', '.join(groups)}."
    description = f"{subject} {'; '.join(parts)}."
    return Chart(spec, rows(blocks), subject, description, BIN_COLUMNS, palette.background)


def _shares(label: str, counts: np.ndarray, bins: int) -> np.ndarray:
    """Counts as shares of each seed's own total, (S, B); NaN for a seed without any."""
    table = np.atleast_2d(np.asarray(counts, dtype=float))
    if table.shape[1] != bins:
        raise ValueError(f"The group {label!r} must have {bins} counts a seed, got shape {table.shape}.")
    totals = table.sum(axis=1, keepdims=True)
    return np.divide(table, totals, out=np.full_like(table, np.nan), where=totals > 0)
