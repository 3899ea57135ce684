"""Three composites beside two maps each. Of Saliency's study: of the ImageNet network, and
where its last layer is random. Of Learned saliency's: the learned mask and the method
beside it. Cut-outs do not ship, so they show where `MLCV_DATA` has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from mlcv_explore.charts import images
from mlcv_explore.data import composites
from mlcv_explore.models import imagenet
from mlcv_explore.ui import theme

SHOWN = (43, 145, 219)  # seeds of the study: a bird, a lime, a flower
LEARNED = (97, 142, 168)  # of the study of learned masks
METHOD = "smoothgrad_squared"


@dataclass(frozen=True, eq=False)
class Example:
    """One composite and its maps."""

    name: str
    image: np.ndarray  # (h, w, 3) uint8
    explained: str  # the class whose logit is explained
    maps: tuple[np.ndarray, np.ndarray]  # (h, w) each
    shares: tuple[float, float]  # of each map, on the object


def show(label: str) -> None:
    """Saliency's composites, where cut-outs and network are at hand; `label` is what the
    method is called.
    """
    if composites.present() and imagenet.present():
        _draw(_examples(), f"{label}, and {label} with a random last layer", "last layer random")


def show_learned(label: str) -> None:
    """Composites with their learned masks and the maps of the method called `label`."""
    if composites.present() and imagenet.present():
        _draw(_learned(), f"its learned mask, and {label}", label)


def _draw(examples: Sequence[Example], maps: str, second: str) -> None:
    """A row an example: the composite and its two maps, which `maps` names; `second` is
    the last of them.
    """
    palette, drawn = theme.palette(), []
    for example in examples:
        tops = ((values, float(np.quantile(values, 0.99)) or None) for values in example.maps)
        drawn += [example.image, *(images.attribution(values, False, palette, top) for values, top in tops)]
    rows = "; ".join(
        f"{example.name}, explained as {example.explained}: {100 * example.shares[0]:.0f} % on the object,"
        f" {second} {100 * example.shares[1]:.0f} %"
        for example in examples
    )
    text = f"A composite, {maps}. {rows}."
    sheet = images.grid(np.stack(drawn), 3, gap=8, paper=palette.background)
    st.image(images.png(sheet), alt=text)
    st.caption(text)


@st.cache_resource(max_entries=1, show_spinner="Computing masks of three composites…")
def _learned() -> tuple[Example, ...]:
    from mlcv_explore.ideas.learned_salience import photographs
    from mlcv_explore.saliency import cause, photograph_masker
    from mlcv_explore.saliency.measures import mass_in_mask
    from mlcv_explore.saliency.supported import attribute

    masker, classes, found = photograph_masker.load(), imagenet.load().classes, []
    for seed in LEARNED:
        places = photographs.Places(seed)
        place = places.order[0]
        whole, mask = places.drawn.images[place], places.drawn.masks[place]
        image, target = cause.as_float(whole), int(places.targets[place])
        request = places.network, image, target, (METHOD,), photographs.SETTINGS, seed
        maps = photograph_masker.predict(masker, places.network, image), next(attribute(*request)).values
        shares = tuple(float(mass_in_mask(values, mask)) for values in maps)
        name, shown = cause.object_of(seed).name, whole.transpose(1, 2, 0)
        found.append(Example(name, shown, classes[target], maps, shares))
    return tuple(found)


@st.cache_resource(max_entries=1, show_spinner="Explaining three composites…")
def _examples() -> tuple[Example, ...]:
    from mlcv_explore.ideas.saliency import NETWORKS, photographs
    from mlcv_explore.saliency import cause
    from mlcv_explore.saliency.measures import mass_in_mask
    from mlcv_explore.saliency.supported import attribute

    trained, found = imagenet.load(), []
    for seed in SHOWN:
        config = NETWORKS["randomised"].replace(explained_scenes=1)
        networks = trained.network, photographs.explained_network(config, trained, seed)
        experiment = photographs.Experiment(config, seed, cause.object_of(seed), trained, networks[1])
        place = experiment.order[0]
        whole, mask = experiment.composites.images[place], experiment.composites.masks[place]
        request = photographs.as_float(whole), experiment.target, (METHOD,), photographs.SETTINGS, seed
        maps = tuple(next(attribute(network, *request)).values for network in networks)
        shares = tuple(float(mass_in_mask(values, mask)) for values in maps)
        names = cause.object_of(seed).name, trained.classes[experiment.target]
        found.append(Example(names[0], whole.transpose(1, 2, 0), names[1], maps, shares))
    return tuple(found)
