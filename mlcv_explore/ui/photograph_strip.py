"""A strip of photographs that shows what a set of features was computed from."""

import os
from collections.abc import Mapping

import numpy as np
import streamlit as st

from mlcv_explore import data
from mlcv_explore.charts import images

WIDTH = 64  # pixels of a photograph on the page; the strip wraps on a phone


def show(dataset: str) -> None:
    """The strip of a set of features: the reader's own photographs behind it, or free ones;
    nothing for a set that is not of features.
    """
    if dataset not in data.CATALOGUE or data.entry(dataset).kind != "features":
        return
    photographs, own = _photographs(dataset, os.environ.get("MLCV_DATA", ""))
    names = list(photographs)
    alts = [f"Photograph: {name}" for name in names]
    st.image(list(photographs.values()), names if own else None, width=WIDTH, alt=alts, output_format="PNG")
    source = data.entry(dataset.partition("_features")[0]).title.partition(",")[0]
    size = data.entry(dataset).shape[0]
    st.caption(
        f"{source}: a photograph of each class; the network trained here reads {size} numbers of each."
        if own
        else f"The data are {size} numbers of each photograph of {source}, which is not here. Free"
        " photographs stand in for them; they are not part of the data."
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _photographs(dataset: str, root: str) -> tuple[Mapping[str, bytes], bool]:
    """Name → PNG, and whether they are those behind the features; `root` is where the
    reader's own data are.
    """
    from mlcv_explore.data import example_photographs

    behind = example_photographs.behind(dataset)
    shown = behind or example_photographs.free()
    return {name: images.png(_enlarged(pixels)) for name, pixels in shown.items()}, bool(behind)


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    """For dense screens, where the pixels are few."""
    scale = 2 * WIDTH // max(pixels.shape[:2])
    return images.enlarged(pixels, scale) if scale > 1 else pixels
