"""Small images side by side, their pixels enlarged, above one caption."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mlcv_explore.charts import images
from mlcv_explore.ui import theme

GAP = 6  # pixels between images
SIZE = 192  # pixels of an image's side


def show(row: Sequence[np.ndarray], caption: str, alt: str = "", size: int = SIZE) -> None:
    """Images (C, h, w) of one size in [0, 1], C one or three; `alt` is the caption
    unless given. Each is as large as whole multiples of its pixels fit `size`.
    """
    stack = np.moveaxis(np.stack(row), 1, -1)
    stack = np.broadcast_to(stack, (*stack.shape[:3], 3))
    gap, paper = GAP if len(stack) > 1 else 0, theme.palette().background
    sheet = images.grid(stack, len(stack), scale=max(1, size // max(stack.shape[1:3])), gap=gap, paper=paper)
    st.image(images.png(sheet), alt=alt or caption, output_format="PNG")
    st.caption(caption)
