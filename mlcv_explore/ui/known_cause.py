"""A known cause in any photograph: a coloured tag, or a cut-out object, is pasted into it;
does the prediction change, and which maps find it?
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from mlcv_explore.data import composites
from mlcv_explore.data.dataset import DataError
from mlcv_explore.ui import figures
from mlcv_explore.ui.explained import Explained

if TYPE_CHECKING:
    from mlcv_explore.ui.inputs import ChosenImage

TAGS = ("yellow", "green", "magenta", "blue")  # the colours of the scenes' tags, in their order
CORNERS = ("upper left", "upper right", "lower left", "lower right")
TAG_SHARE, CUTOUT_SHARE = 1 / 8, 1 / 3  # of the side that the model reads; the first as in scenes
USED = 0.05  # change of the explained class's probability from which the model is said to use it


def choices() -> dict[str, str]:
    """What can be pasted, name → label: nothing, a tag, and the cut-outs of `MLCV_DATA`."""
    named = {"": "nothing"} | {f"{colour} tag": f"{colour} tag" for colour in TAGS}
    stems = [cutout.path.stem for cutout in _cutouts()]
    return named | {stem: stem.replace("__", " · ").replace("_", " ") for stem in stems}


def choose(slug: str) -> tuple[str, str]:
    """The controls; returns the name of what is pasted, "" for nothing, and the corner."""
    options = choices()
    name = st.selectbox(
        "Paste a known cause",
        list(options),
        key=f"{slug}-paste",
        bind="query-params",
        format_func=options.get,
        filter_mode="fuzzy",
        help="A coloured tag, or a cut-out object where MLCV_DATA has some. Which maps find it?",
    )
    if not name:
        return "", CORNERS[0]
    bound = {"default": CORNERS[0], "required": True, "bind": "query-params", "wrap": True}
    return name, st.segmented_control("Corner", CORNERS, key=f"{slug}-corner", **bound)


def paste(explained: Explained, name: str, corner: str) -> "ChosenImage":
    """The image with it in a corner of the part that the model reads, and its place as
    the truth; the image itself, and why, where its file cannot be read.
    """
    from mlcv_explore.saliency.scores import Truth

    try:
        image, pasted = explained.image, _pixels(name)
    except DataError as error:
        st.error(str(error), icon=":material/error:")
        return explained.image
    left, top, right, bottom = explained.crop.pixels(image.pixels.shape[1::-1])
    part = slice(top, bottom), slice(left, right)
    share = TAG_SHARE if name.endswith(" tag") else CUTOUT_SHARE
    longer = max(1, round(share * min(bottom - top, right - left)))
    row, column = divmod(CORNERS.index(corner), 2)
    pixels, mask = image.pixels.copy(), np.zeros(image.pixels.shape[:2], np.uint8)
    last = np.nextafter(1.0, 0.0)  # the last place; 1 is outside
    pixels[part], mask[part] = composites.paste(image.pixels[part], pasted, longer, row * last, column * last)
    rows, columns = np.nonzero(mask)
    box = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])
    about = f"{image.description}; pasted: {choices().get(name, name)}"
    return replace(
        image, pixels=pixels, description=about, name=f"{image.name}-pasted", truth=Truth(mask, box)
    )


def show(
    before: Explained, after: Explained, maps: Mapping[str, np.ndarray], labels: Mapping[str, str], key: str
) -> None:
    """Whether the prediction changes by what was pasted, and how much of each map (h, w)
    lies on it.
    """
    from mlcv_explore.saliency import measures

    explained = after.first_class
    name = after.model.classes[explained]
    change = float(after.probabilities[explained] - before.probabilities[explained])
    top = [
        f"{each.model.classes[each.probabilities.argmax()]} {each.probabilities.max():.1%}"
        for each in (before, after)
    ]
    st.subheader("Known cause: which maps find it?", anchor=False)
    moved = (
        f"Prediction before: {top[0]}, after: {top[1]}. The probability of {name}, the class explained,"
        f" changes by {100 * change:+.1f} points.".replace("-", "−")
    )
    icon = ":material/target:" if abs(change) >= USED else ":material/do_not_disturb_on:"
    st.info(f"{moved} {expected(name, change)}", icon=icon)
    mask = in_model_input(after)
    values = np.stack(list(maps.values()))
    shares, points = measures.mass_in_mask(values, mask), measures.pointing(values, mask)
    area = float(mask.mean())
    table = {
        "Map": [labels[name] for name in maps],
        "On the pasted area": [f"{share:.1%}" for share in shares],
        "Times its share of the image": [f"{share / area:.1f}" for share in shares],
        "Maximum on it": ["yes" if point > 0.5 else "no" for point in points],
    }
    note = f"It covers {area:.1%} of what the model reads; an even map has that share on it. One image."
    figures.intervals(table, f"{key}-known", note)


def expected(name: str, change: float) -> str:
    """What maps of the class `name` should show of something pasted that changes its
    probability by so much.
    """
    if abs(change) < USED:
        return "The model hardly uses what was pasted, so a map has no reason to mark it."
    if change > 0:
        return f"A map of {name} should mark what was pasted."
    return f"It is evidence against {name}: maps with signs should mark it, others need not."


def in_model_input(explained: Explained) -> np.ndarray:
    """The mask of the image's truth over the model's input, bool (side, side)."""
    mask = np.repeat(255 * (explained.image.truth.mask[:, :, None] > 0).astype(np.uint8), 3, axis=2)
    return explained.given.array(mask)[0] > 0.5


def _pixels(name: str) -> np.ndarray:
    """Colours and alpha, uint8 (h, w, 4). Raises DataError."""
    if name.endswith(" tag"):
        from mlcv_explore.data.scenes import TAG_COLOURS

        colour = TAG_COLOURS[TAGS.index(name.removesuffix(" tag"))]
        return np.array([[[*colour, 255]]], np.uint8)
    return next(cutout for cutout in _cutouts() if cutout.path.stem == name).pixels()


def _cutouts() -> tuple[composites.Cutout, ...]:
    """Those of `MLCV_DATA`; none where it has none, or a list that cannot be read."""
    try:
        return composites.cutouts() if composites.present() else ()
    except DataError:
        return ()
