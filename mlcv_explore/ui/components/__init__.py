"""Streamlit components made of packaged HTML, CSS and JavaScript: nothing is fetched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

FOLDER = Path(__file__).parent


def component(name: str) -> Callable[..., Any]:
    """The component in `name`.html, `name`.css and `name`.js of this folder."""
    html, css, js = (
        (FOLDER / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component(name, html=html, css=css, js=js)
