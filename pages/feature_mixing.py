"""Mixing in feature space: two images mixed inside a network; the experiment."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.config import Config
from mlcv_explore.data import compositing, small_images
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.feature_mixing import idea as subject
from mlcv_explore.ideas.feature_mixing import inference, tables
from mlcv_explore.ideas.feature_mixing.inference import FeatureMixingView as View
from mlcv_explore.ideas.feature_mixing.settings import MODES
from mlcv_explore.models import mixing
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.decoded_demo import DecodedDemo
from mlcv_explore.models.self_supervised import contrastive_loss
from mlcv_explore.ui import evidence, feature_map, figures, image_row, page, settings, theme
from mlcv_explore.ui.photograph_paths import path_links, show_paths
from mlcv_explore.ui.small_image_input import buttons, choose, link_names

SLUG = subject.slug
DATASETS = ("Scenes", "Digits", "Photographs")
SMALL = 64  # pixels of a neighbour
SETTINGS = {each.name: each for owner in (subject.config, View) for each in owner.settings()}


@st.fragment
def play() -> None:
    """Choose, mix, look."""
    first_column, second_column, mixed_column, controls = columns = st.columns([3, 3, 3, 4], gap="medium")
    with controls:
        dataset = buttons(f"{SLUG}-data", "Images", DATASETS).lower()
    if dataset == "photographs":
        show_paths(SLUG, View, inference.photographs, columns)
        return
    with controls:
        try:
            shown = inference.demo(dataset)
        except CheckpointError as error:
            st.error(str(error), icon=":material/error:")
            return
        mix_settings, count = choose_settings()
    chosen = []
    for column, name in ((first_column, "first"), (second_column, "second")):
        with column:
            about = f"{name.capitalize()} image", inference.SOURCES[shown.dataset], shown.test
            chosen.append(choose(SLUG, View.setting(name), *about))
    first, second = chosen
    if first is None or second is None:
        mixed_column.info("The mixture appears here once both images are chosen.", icon=":material/image:")
        return
    number = int(st.session_state.get(f"{SLUG}-second", 2))  # the images after it are mixed in too
    places = ((number + step) % inference.TEST_IMAGES for step in range(count - 2))
    more = (small_images.from_images(shown.test, place) for place in places)
    mixture = inference.mix(shown, first, (second, *more)[: count - 1], mix_settings)
    with mixed_column:
        text = inference.notes(shown, mixture, count)
        image_row.show([mixture.image], text, "The mixed feature, decoded to an image")
    show_results(shown, mixture, mix_settings.depth)


def choose_settings() -> tuple[inference.MixSettings, int]:
    """How to mix, and how many images."""
    mode, count = buttons(f"{SLUG}-mixing", "Mode", inference.ALL_MODES), 2
    names = ["area", "place"] if mode == "rectangle" else ["weight"] if mode in MODES else []
    values = {name: settings.control(SLUG, SETTINGS[name]) for name in (*names, "depth")}
    if mode in MODES:
        with st.expander("More"):
            values["scaling"] = settings.control(SLUG, SETTINGS["scaling"])
            if values["scaling"] == "softmax":
                values["temperature"] = settings.control(SLUG, SETTINGS["temperature"])
            count = settings.control(SLUG, SETTINGS["mixture"])
    return inference.MixSettings(mode, **values), count


def show_results(shown: DecodedDemo, mixture: inference.Mixture, depth: int) -> None:
    """Target and prediction, the map, the nearest training images."""
    bars, plane = st.columns([2, 3], gap="large")
    with bars:
        st.markdown("##### Target and prediction")
        distributions = {"target": ("idea", mixture.target), "prediction": ("baseline", mixture.predicted)}
        chart = charts.shares(shown.classes, distributions, theme.palette())
        notice = "Target: the label in training. Prediction: the network on the mixed feature."
        figures.figure(chart, f"{SLUG}-labels-{shown.dataset}", notice, moving=True)
    with plane:
        st.markdown(f"##### Map of the training features at depth {depth}")
        key, notice = f"{SLUG}-map-{shown.dataset}-{depth}", inference.map_notice(shown, mixture, depth)
        feature_map.show(shown, depth, inference.examples(mixture), key, notice, mixture.trail)
    st.markdown("##### Nearest training images")
    near = ", ".join(shown.classes[shown.mapped.labels[place]] for place in mixture.nearest)
    near_images = shown.mapped.images[mixture.nearest] / 255
    image_row.show(near_images, f"{near}.", f"Nearest training images: {near}", SMALL)


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """The experiments of a run so far."""
    columns, command = subject.metrics(config, film), figures.command(SLUG, config, seeds)
    if "mixing" in config.stages:
        lines = {label: charts.Line(*line) for label, line in tables.accuracy_curves(film).items()}
        steps = np.array(config.frame_steps("mixing")[: len(film)], dtype=float)
        limits = {"x_domain": (0.0, float(config.steps)), "y_format": ".0%"}
        chart = charts.curves(steps, lines, "step", "test accuracy", palette=theme.palette(), **limits)
        about = {"command": command, "config": config, "moving": True}
        figures.figure(chart, f"{SLUG}-run-accuracy", "Bands: 95 % over seeds.", **about)
        left, right = st.columns(2, gap="large")
        with left:
            draw_effects(columns, f"{SLUG}-run-effects")
        with right:
            about = {"names": {"idea": "mixtures"}, "height": 300}
            chart = charts.points(*tables.mixture_cloud(film), theme.palette(), **about)
            notice = "Features, first seed, two leading components. Numbers: images; dots: mixtures."
            figures.figure(chart, f"{SLUG}-run-cloud", notice)
    for prefix, measure in (("paste", "accuracy"), ("paste", "boxes"), ("probe", "accuracy")):
        arms = [arm for arm in subject.labels() if arm.startswith(f"{prefix}_")]
        values = {arm: columns.get(f"{arm}_{measure}", np.zeros(1)) for arm in arms}
        if done := {arm: column for arm, column in values.items() if column.any()}:
            notice = "On test scenes." if prefix == "paste" else "Linear probes with few labels."
            figures.bars(subject, done, measure, f"{SLUG}-run-{prefix}-{measure}", notice, command=command)


def draw_effects(columns: Mapping[str, np.ndarray], key: str) -> None:
    """Main effects, interaction and gain from the accuracy of the 2×2's arms."""
    rows = []
    for label, effect in tables.effects(columns).items():
        points = (100 * value for value in (effect.mean, effect.low, effect.high))
        rows.append(charts.Difference(label, *points, (), tables.EFFECTS[label][1], unit="points"))
    notice = "Each factor averaged over the other. Negative interaction: the two gains do not add up."
    figures.figure(charts.paired_differences(rows, theme.palette()), key, notice)


def answer(table: Table) -> None:
    """Both studies and digits."""
    draw_study(table, "arms", "Photographs' features, 10 labels per class", SLUG)
    draw_study(table, "faster", "The same at learning rate 0.003", f"{SLUG}-faster")
    more = evidence.table(SLUG, "photographs")
    draw_study(more, "arms", "The same with 50 labels per class", f"{SLUG}-photographs")
    draw_study(table, "digits", "Digits, 10 labels per class", f"{SLUG}-digits")
    note = "Example: y_i is class 3, y_j class 2. Softmax gives 0.157 to each class that neither image has."
    figures.intervals(tables.scaling_example(), f"{SLUG}-scaling", note)


def draw_study(table: Table, cell: str, title: str, key: str) -> None:
    """The factors of the 2×2, mixing against every baseline, and all arms."""
    st.markdown(f"#### {title}")
    columns = table.columns(cell)
    draw_effects(columns, f"{key}-effects")
    st.markdown(tables.share_text(columns))
    note = "Features + labels mixed minus another arm; 95 % intervals, not corrected for their number."
    figures.intervals(tables.against_baselines(table, cell), f"{key}-baselines", note)
    figures.results(subject, columns, f"{key}-arms")


def example() -> None:
    """Two test scenes and their mixture, decoded."""
    shown = inference.demo("scenes")
    first, second = (small_images.from_images(shown.test, number) for number in range(2))
    mixture = inference.mix(shown, first, (second,), inference.MixSettings())
    text = "Two test scenes, and their mixture at depth 2 (λ = 0.5), decoded."
    image_row.show([part.image for part in (first, second, mixture)], text, size=128)


formulas = {
    "Mixed features": mixing.mix_features,
    "Soft labels": mixing.soft_labels,
    "Label smoothing": mixing.smooth_labels,
    "Pasting": compositing.paste,
    "Labels after pasting": compositing.labels_by_visibility,
    "Contrastive loss": contrastive_loss,
}
choices = {"data": DATASETS, "mixing": inference.ALL_MODES} | link_names("first", "second") | path_links()
shown = {"play": play, "draw": draw, "answer": answer, "example": example}
page.run(subject, **shown, formulas=formulas, views=(View,), choices=choices)
