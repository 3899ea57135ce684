"""The clusters over which intervals are taken: sources of curves, a data set and a kind.

Seed k is source k modulo their number, in draw k divided by it. The sources of a draw
share their curves: those of the same kind on other data sets calibrate a forecast.
"""

from functools import lru_cache

from mlcv_explore.data.tabular import NAMES, PHOTOGRAPHS, WIDE
from mlcv_explore.models.learning_curves import KINDS, Curve, draw_curves
from mlcv_explore.seeds import numpy_stream

GROUPS = {"bundled": NAMES, "photographs": tuple(PHOTOGRAPHS)}
LEARNED = {"bundled": NAMES[:4], "photographs": tuple(PHOTOGRAPHS)}  # classes, and ten columns or more
SPECTRA = ("variance", "features")  # one step a column: they need ten columns


def sources(group: str) -> tuple[tuple[str, str], ...]:
    """(kind, data set) of every source; successive ones differ in the kind."""
    return tuple(
        (kind, name)
        for name in GROUPS[group]
        for kind in KINDS
        if kind not in SPECTRA or name not in NAMES or name in WIDE
    )


def source_of(group: str, seed: int) -> tuple[str, str, int]:
    """Kind, data set and draw of a seed."""
    every = sources(group)
    return (*every[seed % len(every)], seed // len(every))


def other_data_sets(group: str, kind: str, name: str) -> tuple[str, ...]:
    """The other data sets of a group that have curves of a kind."""
    return tuple(other for of, other in sources(group) if of == kind and other != name)


@lru_cache(maxsize=512)
def curves(kind: str, name: str, draw: int, count: int, rounds: int) -> tuple[Curve, ...]:
    """The curves of a source in a draw, each with a stream of its own."""
    rng = numpy_stream(draw, f"curves of {kind} on {name}")
    return tuple(draw_curves(kind, (name,), count, rounds, rng))
