"""The visitor's theme, and whether strangers are served."""

import os
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
