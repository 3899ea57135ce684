"""A tree of images that opens where the visitor clicks or presses a key, its branches
side by side.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlcv_explore.ui.components import component

_tree = component("tree")


@dataclass(frozen=True)
class Node:
    """A card of the tree and what lies beneath it."""

    title: str
    text: str = ""  # a muted line under the title
    image: bytes = b""  # PNG; empty for none; a square or upright one is shown 96 pixels wide
    alt: str = ""  # what the image shows
    share: float | None = None  # in [0, 1], drawn as a bar with its percentage; None for no bar
    marked: bool = False  # on the decision path: a heavier border
    children: tuple["Node", ...] = ()
    opened: bool = False  # at first; what the visitor opens or closes stays so


def tree(key: str, roots: Sequence[Node], label: str) -> None:
    """Draw the tree; `label` is its name for screen readers. Click, Enter or Space
    opens and closes a card, arrow keys go from one to the next.

    What the visitor opened is remembered by its place among its siblings, and stays
    open when other nodes are drawn under the same `key`. Raises ValueError for a share
    outside [0, 1].
    """
    _tree(key=key, data={"label": label, "nodes": [_plain(node) for node in roots]})


def _plain(node: Node) -> dict[str, Any]:
    if node.share is not None and not 0 <= node.share <= 1:
        raise ValueError(f"The share of {node.title!r} must be between 0 and 1, got {node.share}.")
    image = "data:image/png;base64," + base64.b64encode(node.image).decode() if node.image else ""
    return {
        "title": node.title,
        "text": node.text,
        "image": image,
        "alt": node.alt,
        "share": None if node.share is None else float(node.share),
        "marked": bool(node.marked),
        "children": [_plain(child) for child in node.children],
        "opened": bool(node.opened),
    }
