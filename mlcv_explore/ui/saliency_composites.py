"""Three composites of Saliency's study beside two maps each: of the ImageNet network, and
where its last layer is random. Cut-outs do not ship, so they show where `MLCV_DATA` has
them.
"""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from mlcv_explore.charts import images
from mlcv_explore.data import composites
from mlcv_explore.models import imagenet
from mlcv_explore.ui import theme

SHOWN = (43, 145, 219)  # seeds of the study: a bird, a lime, a flower
METHOD = "smoothgrad_squared"


@dataclass(frozen=True, eq=False)
class Example:
    """One composite and its maps."""

    name: str
    image: np.ndarray  # (h, w, 3) uint8
    explained: str  # the class whose logit is explained
    maps: tuple[np.ndarray, np.ndarray]  # (h, w) each: of the trained network, of the one that must fail
    shares: tuple[float, float]  # of each map, on the object


def show(label: str) -> None:
    """The composites and their maps, where cut-outs and network are at hand; `label` is
    what the method is called.
    """
    if not (composites.present() and imagenet.present()):
        return
    examples, palette = _examples(), theme.palette()
    drawn = []
    for example in examples:
        tops = ((values, float(np.quantile(values, 0.99)) or None) for values in example.maps)
        drawn += [example.image, *(images.attribution(values, False, palette, top) for values, top in tops)]
    rows = "; ".join(
        f"{example.name}, explained as {example.explained}: {100 * example.shares[0]:.0f} % on the object,"
        f" last layer random {100 * example.shares[1]:.0f} %"
        for example in examples
    )
    text = f"A composite, {label}, and {label} with a random last layer. {rows}."
    sheet = images.grid(np.stack(drawn), 3, gap=8, paper=palette.background)
    st.image(images.png(sheet), alt=text)
    st.caption(text)


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
