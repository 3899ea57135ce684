"""A small grid of pixels to draw on with mouse, touch or keyboard; it is sent to the
server during a stroke, not only after it.
"""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mlcv_explore.ui.components import component

DIGITS = "0123456789"  # one code a pixel
PAPER, INK = (252, 250, 246), (30, 34, 40)  # RGB
PEN = 4  # dots

_canvas = component("canvas")


def draw_on_grid(
    key: str,
    start: np.ndarray,
    token: str,
    names: Sequence[str],
    palette: Sequence[Sequence[int]],
    stamps: Sequence[tuple[str, int]],
    brush: int,
    size: int,
    label: str,
) -> np.ndarray:
    """A canvas; returns its codes, uint8 (side, side), each an index into `names`.

    It begins with `start`, uint8 (side, side), and again whenever `token` changes. A
    code has a name, an RGB colour of `palette` and a stamp: circle, square, triangle,
    cross or ring, with its size in pixels, 0 where the visitor sets it. `brush` and
    `size` are chosen at first. `label` is the canvas's name for screen readers. What
    the browser sends is checked: anything else than codes is reported, and `start`
    returned. Raises ValueError for more than ten names, or a `start` that is not
    square.
    """
    if len(names) > len(DIGITS) or start.ndim != 2 or start.shape[0] != start.shape[1]:
        raise ValueError(f"A canvas must be square with at most ten codes, got {start.shape}, {len(names)}.")
    data = {
        "start": "".join(DIGITS[code] for code in start.ravel()),
        "token": token,
        "side": len(start),
        "names": list(names),
        "palette": [list(map(int, colour)) for colour in palette],
        "stamps": [{"cover": cover, "size": own} for cover, own in stamps],
        "brush": brush,
        "size": size,
        "label": label,
    }
    sent = _canvas(key=key, data=data, default={"painted": ""}, on_painted_change=_ignore).painted
    drawn_on, _, text = sent.rpartition(":") if isinstance(sent, str) else (token, "", sent)
    if drawn_on != token:  # what was drawn belongs to another start
        return start
    codes = _codes(text, len(start), len(names))
    if codes is None:
        st.warning("The browser sent an invalid drawing; it was discarded.", icon=":material/error:")
    return start if codes is None else codes


def draw_ink(key: str, side: int, label: str) -> np.ndarray:
    """A sheet of paper to draw on with a pen; returns its ink, bool (side, side)."""
    paper = np.zeros((side, side), np.uint8)
    stamps = (("circle", 0), ("circle", 0))
    codes = draw_on_grid(key, paper, "drawing", ("paper", "ink"), (PAPER, INK), stamps, 1, PEN, label)
    return codes == 1


def _codes(text: object, side: int, count: int) -> np.ndarray | None:
    """The codes (side, side) in a text of side² digits below `count`; None for anything
    else.
    """
    if not isinstance(text, str) or len(text) != side**2 or not set(text) <= set(DIGITS[:count]):
        return None
    return (np.frombuffer(text.encode(), np.uint8) - ord("0")).reshape(side, side)


def _ignore() -> None:
    """A state that may change needs a callback; the script's next run reads it."""
