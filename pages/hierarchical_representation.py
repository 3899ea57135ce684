"""Hierarchical representation: a digit in every level, the experiment, the answer."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config
from mlcv_explore.data.catalogue import class_key
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_representation import depth_curve, inference, tables
from mlcv_explore.ideas.hierarchical_representation import idea as subject
from mlcv_explore.ideas.hierarchical_representation.inference import PRETRAINED, Demo
from mlcv_explore.ideas.hierarchical_representation.settings import MAPPED
from mlcv_explore.metrics.linear_probe import fitted_bias
from mlcv_explore.metrics.ridge_probe import probe_accuracy
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.fitted_levels import kmeans_features
from mlcv_explore.models.level_learners import info_nce
from mlcv_explore.models.stacked_autoencoders import gradient_flow, losses, reconstruction_loss
from mlcv_explore.ui import evidence, figures, inputs, page, small_image_input, theme

SLUG, LABELS = subject.slug, subject.labels()
SOURCES, DIGITS, DEFAULT_DIGIT = ("Digit", "Draw", "Upload"), tuple("0123456789"), 9
CURVES = ("supervised", "greedy_code", "greedy_pixels", "global", "random")  # of a run
SCALE = 10  # screen pixels of a digit's pixel: four digits side by side on a phone
MOST_POINTS = 350  # training digits on a map


@st.fragment
@figures.reported(CheckpointError)
def play() -> None:
    """A digit, its reconstructions, and its place on the map of every level."""
    base = inference.demo()
    results, controls = st.columns([3, 1], gap="large")
    with controls:
        arm, other = choose_arm("Trained with", "arm", "greedy_code"), choose_arm("Compare with", "compare")
        source = small_image_input.buttons(f"{SLUG}-source", "Digit from", SOURCES)
        digit, label = choose_digit(base, source)
    with results:
        if digit is not None:
            for column, name in zip(st.columns(2), dict.fromkeys((arm, other)), strict=False):
                with column:
                    reconstructions(base, name, digit)
            level_maps(base, arm, digit, label)
    left, right = st.columns(2, gap="large")
    if recorded := evidence.recorded(SLUG):
        with left:
            (run, film), arms = recorded, ("supervised", arm, other, "random")
            st.markdown("##### Linear separability of each level")
            draw_depth(film, subject.config(**run.config), run.seeds, arms, "recorded")
    with right:
        gradients(arm if arm in inference.DIFFERENTIATED else "greedy_code")


def choose_arm(title: str, name: str, default: str = "global") -> str:
    """A control for one of the pretrained arms."""
    about = {"format_func": LABELS.get, "key": f"{SLUG}-{name}", "bind": "query-params"}
    arm = st.selectbox(title, PRETRAINED, PRETRAINED.index(default), **about)
    st.caption(subject.arm(arm).description)
    return arm


def choose_digit(base: Demo, source: str) -> tuple[np.ndarray | None, int | None]:
    """A digit (8, 8) in [0, 1], None while there is none, and its class where known."""
    if source == "Draw":
        return small_image_input.draw_digit(f"{SLUG}-canvas", inference.SIDE), None
    if source == "Upload":
        return small_image_input.upload_digit(f"{SLUG}-upload", inference.SIDE), None
    examples = {name: np.uint8(255 * base.example(int(name))) for name in DIGITS}
    label = int(inputs.example_strip(f"{SLUG}-digit", examples, "Test digits", str(DEFAULT_DIGIT)))
    return base.example(label), label


def reconstructions(base: Demo, arm: str, digit: np.ndarray) -> None:
    """A digit and what each level of an arm reconstructs of it."""
    levels, palette = inference.infer(base, arm, digit), theme.palette()
    shown = [digit, *(np.zeros_like(digit) if level.image is None else level.image for level in levels)]
    drawn = np.stack([images.amounts(np.clip(values, 0, 1), palette) for values in shown])
    sheet = images.grid(drawn, len(drawn), scale=SCALE, gap=4, paper=palette.border)
    errors = ["no decoder" if level.error is None else f"{level.error:.2f}" for level in levels]
    text = ", ".join(f"level {level} {error}" for level, error in enumerate(errors, start=1))
    st.markdown(f"##### {LABELS[arm]}: reconstructions")
    st.image(images.png(sheet), alt=f"{LABELS[arm]}: input, then reconstructions", output_format="PNG")
    st.caption(f"Input, then reconstructions. Mean squared error: {text}.")


def level_maps(base: Demo, arm: str, digit: np.ndarray, label: int | None) -> None:
    """The digit on every map; its class, or its neighbours' main one, is in colour."""
    st.markdown(f"##### {LABELS[arm]}: map of each level")
    levels, texts = inference.infer(base, arm, digit), [str(own) for own in base.labels[:MOST_POINTS]]
    for number, (level, column) in enumerate(zip(levels, st.columns(len(levels), gap="small"), strict=True)):
        near, (x, y) = [str(own) for own in level.neighbours], level.place
        marked = max(set(near), key=near.count) if label is None else str(label)
        groups = ["idea" if text == marked else "" for text in texts]
        about = {"here": {"input": (float(x), float(y), "other")}, "height": 260}
        points = base.maps[arm, number][1].coordinates[:MOST_POINTS]
        novelty = f" Novelty percentile {level.novelty:.0%}." * bool(level.novelty > 0.95)
        with column:
            chart = charts.points(points, texts, groups, theme.palette(), **about)
            notice = f"Level {number + 1}. Colour: {marked}. Nearest: {' '.join(near)}.{novelty}"
            figures.figure(chart, f"{SLUG}-map{number}", notice, moving=True)
    st.caption("UMAP of training codes, 12 leading components. Distances on a map are not those of codes.")


def draw_depth(film: Film, config: Config, seeds: Sequence[int], arms: Sequence[str], key: str) -> None:
    """Probe accuracy over depth in a run."""
    curves = {arm: depth_curve(film[-1], arm) for arm in dict.fromkeys(arms)}
    chart = depth_chart(curves, 0.4 if config.dataset == "digits" else 0.0)
    about = {"command": figures.command(SLUG, config, seeds), "config": config, "moving": True}
    figures.figure(chart, f"{SLUG}-{key}", tables.depth_note(film, config, len(seeds)), **about)


def depth_chart(curves: Mapping[str, np.ndarray], lowest: float) -> charts.Chart:
    """Accuracy (S, 1 + L) of each arm from the input up; where two arms have one role,
    the second is drawn as another method.
    """
    lines: dict[str, Line] = {}
    for arm, values in curves.items():
        role, taken = subject.arm(arm).role, {line.role for line in lines.values()}
        lines[LABELS[arm]] = Line("other" if role in taken else role, values)
    levels = np.arange(float(len(next(iter(curves.values())).T)))
    axes = {"x_domain": (0.0, levels[-1]), "y_domain": (lowest, 1.0), "y_format": ".0%"}
    chart = charts.curves(levels, lines, "level", "probe test accuracy", palette=theme.palette(), **axes)
    chart.spec["encoding"]["x"]["axis"]["tickMinStep"] = 1  # there is no level 1.5
    return chart


def gradients(arm: str) -> None:
    """Which loss of an arm reaches which block."""
    st.markdown("##### Gradients of each loss")
    titles = ("loss", "block", "share of largest norm")
    rows, columns, norms, _ = inference.gradients(arm)
    shares = norms / np.nanmax(norms, axis=1, keepdims=True)
    chart = charts.heat_map(shares, rows, columns, titles, theme.palette(), signed=False)
    count, parameters = inference.parameters_without_gradient(arm)
    about = "enc: encoder; dec: its own decoder; e2e: end-to-end decoder"
    notice = f"{LABELS[arm]}: {count:,} of {parameters:,} parameters get no gradient (dash). {about}."
    figures.figure(chart, f"{SLUG}-gradients", notice, moving=True)


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """Probe accuracy over depth, losses, and the first seed's codes and reconstructions."""
    draw_depth(film, config, seeds, CURVES, "run-depth")
    limits = {"x_domain": (0.0, float(film[0].steps)), "palette": theme.palette()}
    for column, arm in zip(st.columns(2, gap="medium"), MAPPED if len(film) > 1 else (), strict=False):
        with column:
            epochs, terms = tables.run_losses(film, arm)
            lines = {name: Line(*values) for name, values in terms.items()}
            chart = charts.curves(epochs, lines, "epoch", f"{LABELS[arm]}: training loss", **limits)
            figures.figure(chart, f"{SLUG}-run-loss-{arm}", "Levels are not comparable.", moving=True)
    labels, text = [str(label) for label in film[-1].labels[0]], class_key(config.dataset)
    for arm in MAPPED:
        st.markdown(f"**{LABELS[arm]}**: codes of validation images, epoch {film[-1].step}, first seed{text}")
        levels = tables.run_codes(film[-1], arm)
        for level, (column, (points, shown)) in enumerate(zip(st.columns(len(levels)), levels, strict=True)):
            with column:
                chart = charts.points(points, labels, [""] * len(labels), theme.palette(), height=220)
                key, notice = f"{SLUG}-run-codes-{arm}{level}", f"Level {level + 1}, two leading components."
                figures.figure(chart, key, notice, moving=True)
                if len(shown):
                    sheet = images.grid(shown, len(shown), low=-1, high=2.5, scale=6, gap=3)
                    alt = f"Three validation images reconstructed from level {level + 1}"
                    st.image(images.png(sheet), alt=alt, output_format="PNG")


def example() -> None:
    """A test digit, reconstructed by the layer-wise and the end-to-end levels."""
    for arm in ("greedy_code", "global"):
        reconstructions(inference.demo(), arm, inference.demo().example(DEFAULT_DIGIT))


def answer(_: Table) -> None:
    """Accuracy over depth, every arm and level, learners, the original code, settings."""
    for study, (title, coarse, lowest) in tables.STUDIES.items():
        table, measures = evidence.table(SLUG, study), {"level": "Ten classes", "coarse": coarse}
        st.markdown(f"#### {title}")
        for column, (measure, name) in zip(st.columns(2, gap="medium"), measures.items(), strict=True):
            with column:
                chart = depth_chart(tables.study_depth(table, measure, CURVES), lowest)
                figures.figure(chart, f"{SLUG}-{study}-{measure}", f"{name}. Level 0: the input.")
        details = tables.details(table, study, *inference.parameters_without_gradient("committed"))
        for number, (columns, note) in enumerate(details):
            figures.intervals(columns, f"{SLUG}-{study}-table{number}", note)


formulas = {"Losses": losses, "Reconstruction loss": reconstruction_loss, "Gradients": gradient_flow}
formulas |= {"Linear probe": probe_accuracy, "InfoNCE": info_nce, "k-means features": kmeans_features}
formulas |= {"Frozen probe": fitted_bias}
choices = {"source": SOURCES, "digit": DIGITS}
choices |= {name: [LABELS[arm] for arm in PRETRAINED] for name in ("arm", "compare")}
acts = {"play": play, "draw": draw, "answer": answer, "example": example}
page.run(subject, **acts, formulas=formulas, choices=choices, seeds=5)
