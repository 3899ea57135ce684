"""An image's path through the tree of classes backed by a classifier, as cards that
open fork by fork.
"""

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import images
from mlcv_explore.ui import attributions, theme
from mlcv_explore.ui.inputs import ChosenImage
from mlcv_explore.ui.tree import Node, tree


def decision_path(key: str, chosen: ChosenImage, model: str, note: str = "") -> None:
    """Draw the path, with what tree and network predict and a note under it. Raises
    CheckpointError for a model that is not there.
    """
    roots, predictions = _cards(chosen.digest, chosen.pixels, model, theme.scheme())
    tree(key, roots, "Decision path through the tree of classes")
    legend = "Bars: probability of each side. Maps: gradient × input, orange for the left side."
    st.caption(" ".join(filter(None, (predictions, note, legend))))


@st.cache_data(max_entries=attributions.CACHE_ENTRIES, show_spinner=False)
def _cards(digest: str, _pixels: np.ndarray, model: str, scheme: str) -> tuple[list[Node], str]:
    from mlcv_explore.models import checkpoints
    from mlcv_explore.saliency import tree_paths

    result, palette = tree_paths.decision_path(checkpoints.load(model), _pixels), charts.PALETTES[scheme]

    def grown(place: int, share: float | None, reached: float) -> Node:
        name, on, image = result.tree.name(place), place in result.path, b""
        inside = tuple(grown(inner, part, reached * part) for inner, part in result.branches(place))
        if place in result.maps:
            image = images.png(images.enlarged(images.attribution(result.maps[place], True, palette), 3))
        text, alt = f"reached with {reached:.0%}", f"pixels that decide between {name}"
        return Node(name, text, image, alt, share, on, inside, on)

    return [grown(result.tree.root, None, 1.0)], result.predictions
