"""Saliency: maps of one image, their tests, and a classifier that reads a tag."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config
from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.saliency import ARMS, MEASURES, SHARES
from mlcv_explore.ideas.saliency import idea as subject
from mlcv_explore.models import available_models
from mlcv_explore.saliency import SaliencyError, SaliencySettings, faithfulness, layers, methods
from mlcv_explore.saliency.captum_maps import MORE, CaptumSettings
from mlcv_explore.saliency.supported import OFFERED, OWN
from mlcv_explore.ui import (
    attribution_panel,
    attribution_tests,
    attributions,
    figures,
    inputs,
    known_cause,
    page,
    saliency_results,
    theme,
)
from mlcv_explore.ui.explained import Explained, Request, explain_image
from mlcv_explore.ui.map_view import MapView
from mlcv_explore.ui.model_choice import choose_crop, choose_model

SLUG = subject.slug
LABELS = {name: method.label for name, method in OFFERED.items()} | subject.labels()
SMALL = 64  # pixels a side, up to which maps are compared with a randomised network's unasked


def choose_class(label: str, classes: Sequence[str], name: str, empty: str) -> str:
    """A class of the model, or ""."""
    bound = {"key": f"{SLUG}-{name}", "bind": "query-params", "filter_mode": "fuzzy"}
    return st.selectbox(label, ["", *classes], format_func=lambda option: option or empty, **bound)


def play() -> None:
    """One image or two, a model's predictions, and the maps of many methods."""
    results, controls = st.columns([3, 1], gap="medium")
    with controls:
        image = inputs.choose_image(SLUG)
        if image is None:
            return
        model = choose_model(SLUG)
        whole = choose_crop(SLUG, model)
        target = choose_class("Class", model.classes, "target", "predicted class")
        bound = {"bind": "query-params", "format_func": LABELS.get}
        defaults = list(attributions.DEFAULT_METHODS)
        own = st.multiselect("Methods", list(OWN), defaults, key=f"{SLUG}-methods", **bound)
        about = "Seconds each on a photograph; computed in the background, one after another."
        more = st.multiselect("More methods (Captum)", MORE, key=f"{SLUG}-captum", help=about, **bound)
        names = (*own, *more)
        pasted, corner = known_cause.choose(SLUG)
        with st.expander("More"):
            contrast = choose_class("Contrast with class", model.classes, "minus", "none")
            second = inputs.compare_image(SLUG)
    chosen_images = (image, second) if second else (image,)
    asked = (model, target, contrast, whole)
    shown = [explain_image(chosen, *asked) for chosen in chosen_images]
    before = shown[0] if pasted else None
    if before:
        shown[0] = explain_image(known_cause.paste(before, pasted, corner), *asked)
    with results:
        if not names:
            st.info("Choose a method to see its map.", icon=":material/grid_view:")
        elif any(
            isinstance(explained.target, tuple) and len(set(explained.target)) == 1 for explained in shown
        ):
            st.info(f"A contrast needs two classes; both are {contrast}.", icon=":material/compare_arrows:")
        else:
            explain(shown, names, before)


@st.fragment
def explain(shown: list[Explained], names: tuple[str, ...], before: Explained | None) -> None:
    """The maps of one model beside each other, and their tests; `before` is the first
    image without what was pasted into it.
    """
    model, maps, similarity = shown[0].model, st.container(), st.container()
    view, request = attribution_panel.controls(SLUG, model, names)
    try:
        with maps:
            values = attribution_panel.show_maps(shown, request, LABELS, SLUG, view)
        if view.randomised or model.side <= SMALL:
            randomised = view.randomised or len(layers(model.network))
            with similarity:
                attribution_tests.show_similarity(shown, request, LABELS, SLUG, randomised)
    except SaliencyError as error:
        st.error(str(error), icon=":material/error:")
        return
    if not values[0]:
        return  # every method is refused
    if before and shown[0].image is not before.image:
        known_cause.show(before, shown[0], values[0], LABELS, SLUG)
    st.subheader("Remove the most salient pixels", anchor=False)
    attribution_tests.show_deletion(shown[0], values[0], LABELS, SLUG)
    attribution_tests.show_scores(shown, request, LABELS, SLUG)


def draw_training(film: Film, config: Config, command: str) -> None:
    """Accuracy with and without the tag, epoch by epoch."""
    epochs = [frame for frame in film if not frame.measured.any()] or film
    roles = dict(zip(SHARES, ("oracle", "idea", "control"), strict=True))
    lines = {subject.measure(name).label: Line(role, series(epochs, name)) for name, role in roles.items()}
    x = series(epochs, "step").astype(float)
    limits = {"x_domain": (0.0, float(config.epochs)), "y_domain": (0.0, 1.0), "y_format": ".0%"}
    chart = charts.curves(x, lines, "epoch", "share of new scenes", palette=theme.palette(), **limits)
    notice = "Accuracy that falls with randomised tags: the classifier reads the tag. Bands: 95 % over seeds."
    figures.figure(chart, f"{SLUG}-run-accuracy", notice, command=command, config=config, moving=True)


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """The training of a classifier of scenes, then the share of each map on object and
    tag; on composites on the object, and how often its maximum lies there.
    """
    last, scenes = film[-1].measured, config.dataset == "scenes"
    if scenes:
        draw_training(film, config, figures.command(SLUG, config, seeds))
    # films of earlier versions have fewer arms
    arms = [arm for arm, values in zip(ARMS, last.swapaxes(0, 1), strict=False) if values.any()]
    if not arms:
        return
    for column, name in zip(
        st.columns(2, gap="medium"), ("mass", "tag" if scenes else "pointing"), strict=True
    ):
        with column:
            values = {arm: last[:, ARMS.index(arm), MEASURES.index(name)] for arm in arms}
            figures.bars(subject, values, name, f"{SLUG}-run-{name}", "Mean and 95 % interval over seeds.")
    first = next((frame.shown[0] for frame in film if frame.shown.any()), None)
    if first is not None:
        maps = [images.signed(first[ARMS.index(arm)].astype(float), theme.palette(), 127.0) for arm in arms]
        sheet = images.grid(np.stack(maps), 6, scale=3, gap=8, paper=theme.palette().background)
        text = (
            f"Maps of one scene, first seed, each on its own scale: {', '.join(LABELS[arm] for arm in arms)}."
        )
        st.image(images.png(sheet), alt=text)
        st.caption(text)


def example() -> None:
    """One scene explained by a classifier that uses the object and one that reads the tag."""
    scene = inputs.scene(1)
    st.image(images.png(scene.enlarged), width=112, alt=scene.description)
    st.caption(f"{scene.description}. Maps below: orange for the class, blue against it.")
    for name, reads in (("scenes/0", "uses the object"), ("scenes-tagged/0", "reads the tag")):
        explained = explain_image(scene, available_models.load(name))
        maps = Request(("integrated_gradients", "gradcam"), SaliencySettings()).maps(explained)
        for column, (method, attribution) in zip(st.columns(2, gap="small"), maps.items(), strict=True):
            with column:
                facts = (f"classifier {reads}",)
                attribution_panel.tile(
                    scene, LABELS[method], attribution.values, attribution.signed, facts, overlay=0.7
                )


def answer(table: Table) -> None:
    """Methods on photographs and on scenes, agreement of the rankings, the learned map."""
    saliency_results.show(subject, table, LABELS)


page.run(
    subject,
    play=play,
    draw=draw,
    answer=answer,
    example=example,
    formulas={
        "Integrated gradients": methods.integrated_gradients,
        "Grad-CAM": methods.grad_cam,
        "Deletion and insertion": faithfulness.at_share,
    },
    views=(MapView, CaptumSettings),
    choices={
        **inputs.image_links(),
        "compare": inputs.compare_choices(),
        **dict.fromkeys(("scores", "whole"), ("true", "false")),
        "methods": tuple(LABELS[name] for name in OWN),
        "captum": tuple(LABELS[name] for name in MORE),
        "by": tuple(LABELS[name] for name in OFFERED),
        "model": inputs.model_names(),
        "paste": tuple(known_cause.choices().values()),
        "corner": known_cause.CORNERS,
        **dict.fromkeys(("target", "minus", "layer")),  # depend on the model
    },
    seeds=5,
)
