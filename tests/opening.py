"""A page opened under Streamlit's own test runner, and all its text."""

import threading
from pathlib import Path

from streamlit.testing.v1 import AppTest

from mlcv_explore.ui import background

FRAME = Path(__file__).parent.parent / "pages" / "frame.py"


def opened(slug: str, **link: str) -> AppTest:
    """An idea's page, opened through the frame by a link with settings, not from home."""
    app = AppTest.from_file(FRAME, default_timeout=60)
    for name, value in link.items():
        app.query_params[f"{slug}-{name}"] = value
    return app.switch_page(f"{slug}.py").run()


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
