"""A page opened under Streamlit's own test runner, and all its text."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

FRAME = Path(__file__).parent.parent / "pages" / "frame.py"


def opened(slug: str, **link: str) -> AppTest:
    """An idea's page, opened through the frame with settings in its link."""
    app = AppTest.from_file(FRAME, default_timeout=60)
    for name, value in link.items():
        app.query_params[f"{slug}-{name}"] = value
    app.run()
    return app.switch_page(f"{slug}.py").run()


def words(app: AppTest) -> str:
    """Its text, captions and messages."""
    return "\n".join(
        str(element.value)
        for kind in ("markdown", "caption", "info", "warning", "error")
        for element in app.get(kind)
    )
