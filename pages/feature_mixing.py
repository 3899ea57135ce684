"""Mixing in feature space: two images mixed inside a network; the experiment."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config
from mlcv_explore.data import compositing, gallery
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.feature_mixing import CORE, inference, mixing, self_supervised, tables
from mlcv_explore.ideas.feature_mixing import FeatureMixingConfig as Experiment
from mlcv_explore.ideas.feature_mixing import idea as subject
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.ui import figures, inputs, page, settings, theme

SLUG = subject.slug
DATASETS = {"Scenes": "scenes", "Digits": "digits"}
TILE = 192  # pixels of an image
SMALL = 64  # of a neighbour


def buttons(name: str, label: str, options: Sequence[str]) -> str:
    """A choice by buttons, held in the link under its name."""
    bound: dict[str, Any] = {"key": f"{SLUG}-{name}", "bind": "query-params"}
    return st.segmented_control(label, options, default=options[0], required=True, wrap=True, **bound)


@st.fragment
def play() -> None:
    """Choose, mix, look."""
    first_column, second_column, mixed_column, controls = st.columns([3, 3, 3, 4], gap="medium")
    with controls:
        try:
            shown = inference.demo(DATASETS[buttons("world", "Images", list(DATASETS))])
        except CheckpointError as error:
            st.error(str(error), icon=":material/error:")
            return
        mix_settings, count = choose_settings()
    with first_column:
        first = choose_input(shown, "first")
    with second_column:
        second = choose_input(shown, "second")
    if first is None or second is None:
        mixed_column.info("The mixture appears here once both images are chosen.", icon=":material/image:")
        return
    number = int(st.session_state.get(f"{SLUG}-second", 2))
    more = [inference.test_input(shown, (number + step) % inference.TESTED) for step in range(count - 2)]
    mixture = inference.mix(shown, first, (second, *more)[: count - 1], mix_settings)
    with mixed_column:
        text = inference.notes(shown, mixture, count)
        tiles([mixture.image], "The mixed feature, decoded to an image", text)
    show_results(shown, mixture, mix_settings.depth)


def choose_settings() -> tuple[inference.MixSettings, int]:
    """How to mix, and how many images."""
    mode, view, count = buttons("mixing", "Mode", inference.ALL_MODES), inference.FeatureMixingView, 2
    asked = [view.setting(name) for name in ("area", "place") if mode == "rectangle"]
    asked += [Experiment.setting("weight")] if mode in mixing.MODES else []
    asked += [Experiment.setting("depth")]
    values = {item.name: settings.control(SLUG, item) for item in asked}
    if mode in mixing.MODES:
        with st.expander("More"):
            values["scaling"] = settings.control(SLUG, Experiment.setting("scaling"))
            if values["scaling"] == "softmax":
                values["temperature"] = settings.control(SLUG, Experiment.setting("temperature"))
            count = settings.control(SLUG, view.setting("mixture"))
    return inference.MixSettings(mode, **values), count


def choose_input(shown: inference.MixingDemo, which: str) -> inference.MixInput | None:
    """One of the two images above the controls that choose it."""
    spot, title, key = st.container(), which.capitalize(), f"{SLUG}-{which}"
    source, chosen = buttons(f"{which}-source", f"{title} image from", inference.SOURCES[shown.name]), None
    if source == "Test set":
        number = settings.control(SLUG, inference.FeatureMixingView.setting(which))
        chosen = inference.test_input(shown, number - 1)
    elif source == "Gallery":
        names = list(gallery.photographs())
        name = st.selectbox(
            "Photograph", names, key=f"{key}-photograph", bind="query-params", filter_mode=None
        )
        chosen = inference.photograph_input(shown, inputs.gallery_image(name).pixels)
    elif source == "Draw":
        drawing = inputs.draw_digit(f"{key}-drawing")
        chosen = None if drawing is None else inference.digit_input(drawing)
    elif image := inputs.upload(f"{key}-upload", f"{title} image of your own"):
        chosen = inference.photograph_input(shown, image.pixels)
    if chosen is not None:
        about = "model input" if chosen.label is None else f"class {shown.classes[chosen.label]}"
        with spot:
            tiles([chosen.image], f"{title} image: {about}", f"{title} image: {about}.")
    return chosen


def show_results(shown: inference.MixingDemo, mixture: inference.Mixture, depth: int) -> None:
    """Target and prediction, the map, the nearest training images."""
    bars, plane = st.columns([2, 3], gap="large")
    with bars:
        st.markdown("##### Target and prediction")
        distributions = {"target": ("idea", mixture.target), "prediction": ("baseline", mixture.predicted)}
        chart = charts.shares(shown.classes, distributions, theme.palette())
        notice = "Target: the label in training. Prediction: the network on the mixed feature."
        figures.figure(chart, f"{SLUG}-labels-{shown.name}", notice, moving=True)
    with plane:
        st.markdown(f"##### Map of the training features at depth {depth}")
        groups, names, marked = inference.map_groups(shown, mixture)
        texts = [shown.classes[label] for label in shown.mapped.labels]
        coordinates = inference.feature_map(shown.name, depth).coordinates
        about = {"trail": mixture.trail, "here": marked, "names": names}
        chart = charts.points(coordinates, texts, groups, theme.palette(), **about)
        notice = inference.map_notice(shown, mixture, depth)
        figures.figure(chart, f"{SLUG}-map-{shown.name}-{depth}", notice, moving=True)
    st.markdown("##### Nearest training images")
    near = ", ".join(shown.classes[shown.mapped.labels[place]] for place in mixture.nearest)
    tiles(shown.mapped.images[mixture.nearest] / 255, f"Nearest training images: {near}", f"{near}.", SMALL)


def tiles(shown: Sequence[np.ndarray], alt: str, text: str, size: int = TILE) -> None:
    """Images (C, side, side) in [0, 1] in a row, pixels enlarged, above a caption."""
    stack = np.stack([inference.pixels(image) for image in shown])
    gap, paper = 6 if len(stack) > 1 else 0, theme.palette().background
    row = images.grid(stack, len(stack), scale=size // stack.shape[1], gap=gap, paper=paper)
    st.image(images.png(row), alt=alt, output_format="PNG")
    st.caption(text)


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """The experiments of a run so far."""
    columns, command = subject.metrics(config, film), figures.command(SLUG, config, seeds)
    if "mixing" in config.stages:
        lines = {label: Line(*line) for label, line in tables.accuracy_curves(film).items()}
        steps = np.array(config.mixing_frames[: len(film)], dtype=float)
        limits = {"x_domain": (0.0, float(config.steps)), "y_format": ".0%"}
        chart = charts.curves(steps, lines, "step", "test accuracy", palette=theme.palette(), **limits)
        about = {"command": command, "config": config, "moving": True}
        figures.figure(chart, f"{SLUG}-run-accuracy", "Bands: 95 % over seeds.", **about)
        left, right = st.columns(2, gap="large")
        with left:
            draw_effects({arm: columns[f"{arm}_accuracy"] for arm in CORE}, f"{SLUG}-run-effects")
        with right:
            about = {"names": {"idea": "mixtures"}, "height": 300}
            chart = charts.points(*tables.mixture_cloud(film), theme.palette(), **about)
            notice = "Features, first seed, two leading components. Digits: images; dots: mixtures."
            figures.figure(chart, f"{SLUG}-run-cloud", notice)
    for name, (measure, values, notice) in tables.other_experiments(columns).items():
        figures.bars(subject, values, measure, f"{SLUG}-run-{name}", notice, command=command)


def draw_effects(accuracy: Mapping[str, np.ndarray], key: str) -> None:
    """Main effects, interaction and gain of the accuracy (S,) of the 2×2's arms."""
    roles, rows = ("idea", "variant", "control", "idea"), []
    for (name, effect), role in zip(tables.effects(accuracy).items(), roles, strict=True):
        mean, low, high = (100 * value for value in (effect.mean, effect.low, effect.high))
        rows.append(charts.Difference(name, mean, low, high, (), role, unit="points"))
    notice = "Each factor averaged over the other. Negative interaction: the two gains do not add up."
    figures.figure(charts.paired_differences(rows, theme.palette()), key, notice)


def answer(table: Table) -> None:
    """The share of the soft labels, all arms, and the 2×2 with one setting changed."""
    accuracy = {arm: table.values("arms", arm, "accuracy") for arm in CORE}
    draw_effects(accuracy, f"{SLUG}-effects")
    if sentence := tables.soft_label_sentence(accuracy):
        st.markdown(sentence)
    for claim, title in (("arms", "Mixing"), ("pasted", "Copy-paste"), ("probes", "Contrastive views")):
        st.markdown(f"##### {title}: all arms")
        figures.results(subject, tables.columns(table, claim), f"{SLUG}-{claim}")
    for name, (columns, note) in tables.details(table).items():
        figures.intervals(columns, f"{SLUG}-{name}", note)


def example() -> None:
    """Two test scenes and their mixture, decoded."""
    shown = inference.demo("scenes")
    first, second = (inference.test_input(shown, number) for number in range(2))
    mixture = inference.mix(shown, first, (second,), inference.MixSettings())
    text = "Two test scenes, and their mixture at depth 2 (λ = 0.5), decoded."
    tiles([each.image for each in (first, second, mixture)], text, text, 128)


formulas = {
    "Mixed features": mixing.mix_features,
    "Soft labels": mixing.soft_labels,
    "Matched label smoothing": mixing.smooth_labels,
    "Pasting": compositing.paste,
    "Labels after pasting": compositing.labels_by_visibility,
    "Contrastive loss": self_supervised.contrastive_loss,
}
choices = {"world": tuple(DATASETS), "mixing": inference.ALL_MODES}
choices |= dict.fromkeys(("first-source", "second-source"), sum(inference.SOURCES.values(), ()))
choices |= dict.fromkeys(("first-photograph", "second-photograph"), tuple(gallery.photographs()))
shown = {"play": play, "draw": draw, "answer": answer, "example": example}
page.run(subject, **shown, formulas=formulas, views=(inference.FeatureMixingView,), choices=choices)
