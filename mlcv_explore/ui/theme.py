"""The visitor's theme, and whether strangers are served."""

import os
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from mlcv_explore.charts import Palette


def public() -> bool:
    """Whether this server is open to strangers (MLCV_PUBLIC=1): they see their own
    session's runs only.
    """
    return os.environ.get("MLCV_PUBLIC", "") == "1"


def scheme() -> str:
    """ "light" or "dark": the theme this visitor looks at."""
    return "dark" if st.context.theme.type == "dark" else "light"


def palette() -> "Palette":
    """The colours of the theme this visitor looks at."""
    from mlcv_explore.charts import PALETTES

    return PALETTES[scheme()]


# muted text, focus ring and the chosen act, each at least 4.5 : 1 on its background
COLOURS = {"light": ("#565A61", "#036E8B", "#02566D"), "dark": ("#A9ADB3", "#5CB4EF", "#9DDAFE")}


def style() -> None:
    """The house's style sheet, in the visitor's colours."""
    muted, focus, active = COLOURS[scheme()]
    names = f":root {{ --mlcv-muted: {muted}; --mlcv-focus: {focus}; --mlcv-active: {active}; }}"
    st.html(f"<style>{names}{_sheet()}</style>")


@cache
def _sheet() -> str:
    return (Path(__file__).parent / "components" / "house.css").read_text(encoding="utf-8")


def machine() -> None:
    """One line at the foot of the sidebar: device and cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    st.sidebar.caption(f"{platform.machine()} processor · {cores} cores · works offline")
