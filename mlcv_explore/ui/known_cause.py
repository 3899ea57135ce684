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
from mlcv_explore.ui import attributions, figures
from mlcv_explore.ui.explained import Explained

if TYPE_CHECKING:
    from mlcv_explore.ui.inputs import ChosenImage

TAGS = ("yellow", "green", "magenta", "blue")  # the colours of the scenes' tags, in their order
CORNERS = ("upper left", "upper right", "lower left", "lower right")
TAG_SHARE, CUTOUT_SHARE = 1 / 8, 1 / 3  # of the side that the model reads; the first as in scenes
# Change of the explained logit, in standard deviations of the logits over classes, from which the model
# is said to use what was pasted
USED = 0.1


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
    the truth; the image itself, and why, where its file cannot be read, or is too thin to
    leave anything at the size it is pasted in.
    """
    try:
        return _pasted(explained, name, corner)
    except DataError as error:
        st.error(str(error), icon=":material/error:")
        return explained.image


def _pasted(explained: Explained, name: str, corner: str) -> "ChosenImage":
    """Raises DataError."""
    from mlcv_explore.saliency.scores import Truth

    image, pasted = explained.image, _pixels(name)
    left, top, right, bottom = explained.crop.pixels(image.pixels.shape[1::-1])
    part = slice(top, bottom), slice(left, right)
    share = TAG_SHARE if name.endswith(" tag") else CUTOUT_SHARE
    longer = max(1, round(share * min(bottom - top, right - left)))
    row, column = divmod(CORNERS.index(corner), 2)
    pixels, mask = image.pixels.copy(), np.zeros(image.pixels.shape[:2], np.uint8)
    last = np.nextafter(1.0, 0.0)  # the last place; 1 is outside
    pixels[part], mask[part] = composites.paste(image.pixels[part], pasted, longer, row * last, column * last)
    if not mask.any() or not explained.given.mask(mask).any():
        raise DataError(
            f"Nothing of {choices().get(name, name)} is left at {longer} pixels, because it is too thin:"
            " choose another cut-out."
        )
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

    name, mask = after.target_name(), after.truth.mask
    effect = attributions.pasting_effect(
        (before.digest, after.digest),
        after.model.key,
        after.target,
        after.model.network,
        before.array,
        after.array,
        mask,
    )
    top = [
        f"{each.model.classes[each.probabilities.argmax()]} {each.probabilities.max():.1%}"
        for each in (before, after)
    ]
    kind = "difference" if isinstance(after.target, tuple) else "class"
    change, of_hiding, own = (
        f"{value:+.2f}".replace("-", "−") for value in (effect.change, effect.of_hiding, effect.own)
    )
    st.subheader("Known cause: which maps find it?", anchor=False)
    moved = (
        f"Prediction before: {top[0]}, after: {top[1]}. The logit of {name}, the {kind} explained, changes by"
        f" {change}. A patch of the image's mean colour in the same place, which only hides, changes it by"
        f" {of_hiding}: against that patch what was pasted changes it by {own}. The logits' standard"
        f" deviation over classes is {effect.spread:.2f}."
    )
    icon = ":material/target:" if abs(effect.share) >= USED else ":material/do_not_disturb_on:"
    st.info(f"{moved} {expected(name, effect.share)}", icon=icon)
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


def expected(name: str, share: float) -> str:
    """What maps of the class, or difference, `name` should show of something pasted that
    changes its logit by so many standard deviations of the logits.
    """
    if abs(share) < USED:
        return (
            f"That is less than {USED:g} of it: the model hardly uses what was pasted, so a map has no reason"
            " to mark it."
        )
    if share > 0:
        return f"A map of {name} should mark what was pasted."
    return f"It is evidence against {name}: maps with signs should mark it, others need not."


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
