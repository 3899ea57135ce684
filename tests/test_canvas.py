"""What the browser sends of a drawing is checked before it is used. What the canvas does
in one: tests/browser/test_painting.py.
"""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mlcv_explore.ui import canvas


def page() -> None:
    import numpy as np
    import streamlit as st

    from mlcv_explore.ui.canvas import draw_on_grid

    start = np.arange(9, dtype=np.uint8).reshape(3, 3) % 3
    palette = ((255, 255, 255), (0, 0, 0), (200, 0, 0))
    stamps = (("circle", 0), ("square", 0), ("ring", 3))
    codes = draw_on_grid("canvas", start, "start 1", ("paper", "ink", "red"), palette, stamps, 1, 2, "Mask")
    st.text("".join(map(str, codes.ravel())))


def drawn(monkeypatch: pytest.MonkeyPatch, value: object) -> tuple[str, int]:
    """The codes on the page when the browser sent `value`, and the number of warnings."""
    monkeypatch.setattr(canvas, "_canvas", lambda **_: type("Sent", (), {"painted": value})())
    app = AppTest.from_function(page).run()
    assert not app.exception
    return app.text[0].value, len(app.warning)


@pytest.mark.parametrize(
    "value",
    [
        *(None, 7, ["0"] * 9, {"mask": "0" * 9}, b"0" * 9),
        *("start 1:" + text for text in ("", "0" * 8, "0" * 10, "3" * 9, "/" * 9, "٣" * 9, "<b>" * 3)),
    ],
)
def test_anything_but_codes_is_reported_and_discarded(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, value) == ("012012012", 1)


def test_a_drawing_is_returned_and_one_of_another_start_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, "start 1:000111222") == ("000111222", 0)
    assert drawn(monkeypatch, "start 2:000111222") == ("012012012", 0)
    assert drawn(monkeypatch, "") == ("012012012", 0), "before anything is drawn"


@pytest.mark.parametrize(
    ("start", "names"), [(np.zeros((2, 3), np.uint8), 2), (np.zeros((2, 2), np.uint8), 11)]
)
def test_a_grid_that_cannot_be_sent_is_refused(start: np.ndarray, names: int) -> None:
    with pytest.raises(ValueError, match="square with at most ten codes"):
        canvas.draw_on_grid(
            "key", start, "token", ["name"] * names, [(0, 0, 0)] * names, [("circle", 0)], 0, 1, ""
        )
