"""The control through which a visitor chooses a model; its weights are downloaded first
where they are not here.
"""

import streamlit as st

from mlcv_explore.models import available_models
from mlcv_explore.models.checkpoints import CheckpointError, Classifier
from mlcv_explore.ui import inputs, theme


def choose_model(slug: str) -> Classifier:
    """The control that chooses a model, and the model; the default one when another
    cannot be loaded.
    """
    offers = {
        offer.name: offer for offer in available_models.listing() if offer.present or not theme.public()
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
