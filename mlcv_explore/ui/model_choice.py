"""The control through which a visitor chooses a model; its weights are downloaded first
where they are not here.
"""

from collections.abc import Sequence

import streamlit as st

from mlcv_explore.data import model_input
from mlcv_explore.models import available_models
from mlcv_explore.models.checkpoints import CheckpointError, Classifier
from mlcv_explore.ui import inputs, theme

AVERAGE = "cifar10"  # of five seeds: its confidence separates novel images better than one seed's


def choose_model(slug: str) -> Classifier:
    """The control that chooses a model, and the model; the default one when another
    cannot be loaded.
    """
    offers = {
        offer.name: offer
        for offer in available_models.listing()
        if offer.present or (offer.can_be_loaded and not theme.public())
    }
    default = inputs.default_model(st.session_state.get(f"{slug}-source", inputs.SOURCES[0]), list(offers))
    name = st.selectbox(
        "Model",
        list(offers),
        list(offers).index(default),
        key=f"{slug}-model",
        bind="query-params",
        filter_mode=None,
    )
    st.caption(offers[name].sentence + ".")
    _offer_other(f"{slug}-model", name, list(offers))
    try:
        if offers[name].present:
            return available_models.load(name)
        with st.status(f"Downloading the weights of {name} …") as status:
            bar = st.progress(0.0)

            def report(done: int, total: int) -> None:
                bar.progress(
                    min(1.0, done / total) if total else 0.0, f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
                )

            model = available_models.load(name, report)
            status.update(label=f"{name} downloaded", state="complete")
        return model
    except CheckpointError as error:
        st.warning(f"{error} Using {default} instead.", icon=":material/cloud_off:")
        return available_models.load(default)


def choose_crop(slug: str, model: Classifier) -> bool:
    """The switch between the published centre crop and the whole image, of a model that
    reads a crop; returns whether the whole image is chosen.
    """
    if not model_input.crops(model.card):
        return False
    return st.toggle(
        "Whole image, resized",
        key=f"{slug}-whole",
        bind="query-params",
        help="Off: the centre crop on which this model's accuracy was published.",
    )


def _offer_other(key: str, name: str, names: Sequence[str]) -> None:
    """One click from the ImageNet model to the small one and back."""
    other = {inputs.IMAGENET: AVERAGE}.get(name, inputs.IMAGENET if AVERAGE in name else "")
    if other in names:
        st.button(f"Use {other}", key=f"{key}-other", on_click=_choose, args=(key, other))


def _choose(key: str, name: str) -> None:
    st.session_state[key] = name
