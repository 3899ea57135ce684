"""The control for one photograph beside reference photographs: from the gallery, a file,
or CIFAR-10's own test photographs where they are on this machine.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from mlcv_explore.config import Setting
from mlcv_explore.data import DataError, gallery, locations
from mlcv_explore.ui import inputs, settings, theme
from mlcv_explore.ui.inputs import ChosenImage
from mlcv_explore.ui.small_image_input import buttons

if TYPE_CHECKING:
    from mlcv_explore.data import Dataset

SOURCES = ("Gallery", "Upload", "CIFAR-10")  # as the link names them
WIDTH = 192  # pixels of a photograph's longer side on the page


def choose(slug: str, number: Setting, title: str, default: str) -> tuple[ChosenImage, str | None] | None:
    """The chosen photograph, shown above its controls, and in a word what it shows, None
    of a file; None while there is no photograph. Raises DataError.

    `default` is its name in the gallery; `number` is the setting, from 1, that chooses
    among test photographs, which go from class to class.
    """
    spot, key = st.container(), f"{slug}-photo-{number.name}"
    source = buttons(f"{key}-source", f"{title} from", sources())
    if source == "Gallery":
        names = list(gallery.photographs())
        about: dict[str, Any] = {"key": f"{key}-name", "bind": "query-params", "filter_mode": None}
        word = st.selectbox("Photograph", names, names.index(default), **about)
        image = inputs.gallery_image(word)
    elif source == "Upload":
        image, word = inputs.upload(f"{key}-upload", f"{title} of your own"), None
    else:
        image, word = _test_photograph(settings.control(slug, number) - 1)
    if image is None:
        return None
    with spot:
        st.image(image.enlarged, alt=image.description, width=image.size_within(WIDTH)[0])
        st.caption(f"{image.description}.")
    return image, word


def sources() -> tuple[str, ...]:
    """Where photographs can be taken from here."""
    return SOURCES if originals_present() else SOURCES[:-1]


def originals_present() -> bool:
    """Whether CIFAR-10 is on this machine, and may be shown: its photographs have no
    licence to be shown to strangers.
    """
    if theme.public():
        return False
    try:
        return bool(locations.find("cifar10"))
    except DataError:
        return False


@st.cache_resource(max_entries=1, show_spinner="Reading CIFAR-10; the first time takes half a minute…")
def originals() -> "Dataset":
    """The photographs whose features ship. Raises DataError."""
    from mlcv_explore.models import photograph_features, photograph_map

    return photograph_features.originals(photograph_map.REFERENCES)


def _test_photograph(number: int) -> tuple[ChosenImage, str]:
    """The number-th test photograph, class after class, and its class."""
    test = originals().test
    label = number % len(test.classes)
    row = np.flatnonzero(test.labels == label)[number // len(test.classes)]
    pixels, word = np.ascontiguousarray(test.images[row].transpose(1, 2, 0)), test.classes[label]
    return ChosenImage(pixels, pixels.shape[1::-1], f"CIFAR-10, a test photograph: {word}", word), word


def link_names(*names: str) -> dict[str, tuple[str, ...]]:
    """The names in the link of the controls that `choose` makes, and what each may be."""
    choices: dict[str, tuple[str, ...]] = {f"photo-{name}-source": sources() for name in names}
    return choices | {f"photo-{name}-name": tuple(gallery.photographs()) for name in names}
