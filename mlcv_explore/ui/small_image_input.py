"""The control for one small image, for a network on small images: from the test set,
the gallery, a canvas or a file.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from mlcv_explore.config import Setting
from mlcv_explore.data import drawings, gallery, small_images
from mlcv_explore.data.dataset import Images
from mlcv_explore.data.small_images import SmallImage
from mlcv_explore.ui import canvas, image_row, inputs, settings

SOURCES = ("Test set", "Gallery", "Draw", "Upload")  # as the link names them
DIGIT_SOURCES = ("Examples", "Draw", "Upload digit")


def buttons(key: str, label: str, options: Sequence[str], default: int = 0, **more: Any) -> str:
    """A choice by buttons, held in the link under its key; `default` is the place of the
    one that is chosen first, `more` what else Streamlit's control takes, such as `help`.
    """
    about: dict[str, Any] = {"key": key, "bind": "query-params", "wrap": True, "required": True}
    chosen = st.segmented_control(label, options, default=options[default], **about, **more)
    return chosen or options[default]  # an empty value in the link


def choose(slug: str, number: Setting, title: str, sources: Sequence[str], test: Images) -> SmallImage | None:
    """The chosen image, shown above its controls; None while there is none. `number` is
    the setting, from 1, that chooses among the test images; the other controls have its
    name in the link.
    """
    spot, key, chosen = st.container(), f"{slug}-{number.name}", None
    channels, side = test.images.shape[1:3]
    source = buttons(f"{key}-source", f"{title} from", sources)
    if source == "Test set":
        chosen = small_images.from_images(test, settings.control(slug, number) - 1)
    elif source == "Gallery":
        about: dict[str, Any] = {"key": f"{key}-photograph", "bind": "query-params", "filter_mode": None}
        name = st.selectbox("Photograph", list(gallery.photographs()), **about)
        chosen = small_images.from_photograph(inputs.gallery_image(name).pixels, channels, side)
    elif source == "Draw":
        drawing = draw_digit(f"{key}-drawing", side)
        chosen = None if drawing is None else small_images.from_digit(drawing)
    elif image := inputs.upload(f"{key}-upload", f"{title} of your own"):
        chosen = small_images.from_photograph(image.pixels, channels, side)
    if chosen is not None:
        about = "model input" if chosen.label is None else f"class {test.classes[chosen.label]}"
        with spot:
            image_row.show([chosen.image], f"{title}: {'; '.join((about, *chosen.notes))}.")
    return chosen


def choose_digit(
    slug: str, side: int, examples: Mapping[str, np.ndarray]
) -> tuple[str | None, np.ndarray | None]:
    """The name of the chosen example, of images uint8 (side, side) by name; or a drawing or
    a file of the visitor's as `draw_digit` returns it, None while there is none.
    """
    source = buttons(f"{slug}-digit-source", "Digit", DIGIT_SOURCES)
    if source == "Examples":
        return inputs.example_strip(f"{slug}-example", examples), None
    key = f"{slug}-{source.split()[0].lower()}"
    return None, draw_digit(key, side) if source == "Draw" else upload_digit(key, side)


def digit_links(examples: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The names in the link of the controls that `choose_digit` makes, and what each may be."""
    return {"digit-source": DIGIT_SOURCES, "example": tuple(examples)}


def draw_digit(key: str, side: int = 8) -> np.ndarray | None:
    """A canvas to draw a digit on; returns it as the handwritten digits were made:
    cropped to its ink, as large as fits, the share of ink in each block, float64
    (side, side) in [0, 1]. None, and a hint, while nothing is drawn.
    """
    label = "Canvas to draw a digit on. Arrow keys move the pen, space draws."
    ink = canvas.draw_ink(key, side * drawings.BLOCK, label)
    digit = drawings.digit_from_ink(ink, side)
    if digit is None:
        st.info("Draw a digit with mouse, finger or keyboard. Results update while you draw.")
    else:
        about = f"Cropped and reduced to {side} × {side} pixels, as the handwritten digits were."
        st.caption(f"{about} {inputs.NOT_STORED}")
    return digit


def upload_digit(key: str, side: int) -> np.ndarray | None:
    """A field for a photograph of one digit, which shows what was done to it; returns it
    as `inputs.draw_digit` does. None while there is none.
    """
    digit = inputs.upload(key, "A photograph of one digit", parse=drawings.read_digit, args=(side,))
    return None if digit is None else digit.values


def link_names(*names: str) -> dict[str, tuple[str, ...]]:
    """The names in the link of the controls that `choose` makes, and what each may be."""
    choices: dict[str, tuple[str, ...]] = {f"{name}-source": SOURCES for name in names}
    return choices | {f"{name}-photograph": tuple(gallery.photographs()) for name in names}
