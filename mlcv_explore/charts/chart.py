"""A chart: its cached specification, its numbers as an Arrow table, its description."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcv_explore.charts.palette import Palette

if TYPE_CHECKING:
    import pyarrow

DATA = "source"  # the name under which Streamlit gives the rows to Vega
EXPORT_WIDTH = 720  # pixels; on a page a chart is as wide as its container
HOVER = "hover"  # the layer of invisible targets for the pointer; exports leave it out
NUMBERS = ("value", "seed")  # the parts exported as numbers; the others are decoration
LABEL_LINE = 16  # pixels between two lines of a label
PUBLISHED = "published"  # style of numbers from the literature


@dataclass(frozen=True)
class Chart:
    """A chart. `spec` is Vega-Lite without data, equal for equal titles and sizes, so
    that new numbers redraw in place; every chart has its own copy.

    `subject` is as constant as `spec`; `description` adds the numbers. On a page a
    changed `alt` rebuilds the chart: moving charts take `subject`, the others
    `description`.
    """

    spec: dict[str, Any]
    data: "pyarrow.Table"  # tidy; `part` names the layers of a row; undefined is null
    subject: str
    description: str
    columns: tuple[str, ...]  # of `data`, exported as CSV
    paper: str = "transparent"  # background of an exported image

    def to_dict(self, width: int = EXPORT_WIDTH) -> dict[str, Any]:
        """The whole specification with its data, `width` pixels wide."""
        layers = [layer for layer in self.spec["layer"] if layer.get("name") != HOVER]
        words = {"background": self.paper, "description": self.description, "layer": layers}
        return {"width": width, **self.spec, **words, "data": {"name": DATA, "values": self.data.to_pylist()}}

    def png(self, scale: float = 2) -> bytes:
        """The chart as PNG, `scale` device pixels per pixel."""
        import vl_convert

        return vl_convert.vegalite_to_png(self.to_dict(), scale=scale)

    def svg(self) -> str:
        """The chart as SVG, self-contained."""
        import vl_convert

        return vl_convert.vegalite_to_svg(self.to_dict())

    def csv(self) -> str:
        """The numbers, tidy, with a header."""
        table = self.data.to_pandas()
        numbers = table[table["part"].isin(NUMBERS)].reindex(columns=list(self.columns))
        return numbers.to_csv(index=False, float_format="%.10g")


def specification(kind: str, palette: Palette, *options: Any, height: int, **values: Any) -> dict[str, Any]:
    """A function of `specifications` as Vega-Lite, `height` pixels high with its axes;
    `values` take the places of "$name".
    """
    text = _specification(kind, palette, *options)
    for name, value in values.items():
        written = json.dumps(value)
        text = text.replace(f'["${name}"]' if isinstance(value, list) else f'"${name}"', written)
    return json.loads(text) | {"height": height}


@lru_cache(maxsize=128)  # kinds × palettes × a few options
def _specification(kind: str, *arguments: Any) -> str:
    from mlcv_explore.charts import specifications  # Altair: 0.3 s, then 0.03 s a kind

    return getattr(specifications, kind)(*arguments).to_json(indent=None, validate=False)


def ends(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """The block of rows with the limits of both axes."""
    return {"part": "frame", "x_end": np.array(x, dtype=float), "y_end": np.array(y, dtype=float)}


def rows(blocks: Sequence[Mapping[str, Any]]) -> "pyarrow.Table":
    """Blocks of rows as one table. A block gives columns of one length, or single
    values for all its rows; elsewhere texts are "", booleans false and numbers null.

    Arrow, because that is what travels to the browser: through pandas a chart costs
    three times as much.
    """
    import pyarrow

    pieces: dict[str, list[tuple[slice, Any]]] = {}
    stop = 0
    for block in blocks:
        arrays = [value for value in block.values() if isinstance(value, (np.ndarray, list))]
        start, stop = stop, stop + max(map(len, arrays), default=1)
        for name, value in block.items():
            pieces.setdefault(name, []).append((slice(start, stop), value))
    columns = {}
    for name, placed in pieces.items():
        blank = _blank(placed[0][1])
        column = np.full(stop, blank, dtype=object if blank == "" else None)
        for where, value in placed:
            column[where] = value
        stored = pyarrow.string() if blank == "" else None
        columns[name] = pyarrow.array(column, stored, from_pandas=True)  # NaN becomes null
    return pyarrow.table(columns)


def _blank(value: Any) -> str | bool | float:
    """What a column has in the rows of other blocks."""
    kind = (value if isinstance(value, np.ndarray) else np.asarray(value)).dtype.kind
    return "" if kind in "UO" else False if kind == "b" else math.nan


def n_seeds(count: int) -> str:
    """ "n = 3 seeds"."""
    return f"n = {count} seed{'s' * (count != 1)}"
