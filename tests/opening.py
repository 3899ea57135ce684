"""A page opened under Streamlit's own test runner, and all its text."""

import threading
from pathlib import Path
from xml.etree import ElementTree

from streamlit.testing.v1 import AppTest

from mlcv_explore.ui import background

FRAME = Path(__file__).parent.parent / "pages" / "frame.py"


def opened(slug: str, **link: str) -> AppTest:
    """An idea's page, opened through the frame by a link with settings, not from home."""
    app = AppTest.from_file(FRAME, default_timeout=60)
    for name, value in link.items():
        app.query_params[f"{slug}-{name}"] = value
    return app.switch_page(f"{slug}.py").run()


def unfolded(slug: str) -> AppTest:
    """An idea's Answer act with its results beyond the claims."""
    app = opened(slug, act="Answer")
    app.session_state[f"{slug}-details"] = True
    return app.run()


def caption(app: AppTest, part: str) -> str:
    """The first caption that contains a text."""
    return next(element.value for element in app.caption if part in element.value)


def words(app: AppTest) -> str:
    """Its text, captions and messages."""
    return "\n".join(
        str(element.value)
        for kind in ("markdown", "caption", "info", "warning", "error")
        for element in app.get(kind)
    )


def finished(app: AppTest) -> AppTest:
    """The page once the background has ended."""
    for thread in threading.enumerate():
        if thread.name == background.NAME:
            thread.join(60)
            assert not thread.is_alive()
    return app.run()


def claims(app: AppTest) -> dict[str, list[str]]:
    """The Answer act's table of claims, one entry a difference: {head: [cell, …]}.

    A cell that spans rows is repeated in each, as a screen reader announces it.
    """
    (body,) = (html.proto.body for html in app.get("html") if 'class="claims"' in html.proto.body)
    heads, *rows = ElementTree.fromstring(body).iter("tr")
    names = ["".join(cell.itertext()) for cell in heads]
    table: dict[str, list[str]] = {name: [] for name in names}
    for place, row in enumerate(rows):
        cells = iter(row)
        for name in names:
            if len(table[name]) > place:  # a cell above spans this row
                continue
            cell = next(cells)
            table[name] += [cell.text or ""] * int(cell.get("rowspan", 1))
        assert next(cells, None) is None
    return table
