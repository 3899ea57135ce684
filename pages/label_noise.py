"""Stochastic label noise: the recorded run, the formula, the experiment, the answer."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts, data
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config, setting
from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.label_noise import ARMS, TUNED, LabelNoiseConfig, noise, tables
from mlcv_explore.ideas.label_noise import idea as subject
from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics import significant_cells
from mlcv_explore.ui import evidence, figures, page, photograph_strip, settings, theme

SLUG = subject.slug
CLASSES, TARGETS = 10, 12  # noisy targets shown at once


class LabelNoiseView(Config):
    """Settings of the demo; nothing of it is trained."""

    epoch: int = setting(100, "Epoch", low=1, high=100, step=1, help="Scrub through the recorded run.")
    confidence: float = setting(
        0.9, "Confidence", low=0.1, high=1, step=0.01, help="Of one class; the others share the rest."
    )
    each_seed: bool = setting(False, "Show every seed")


def arm_curves(film: Film, measure: str, at: float | None = None, each_seed: bool = False) -> charts.Chart:
    """One measure of all arms that have it over epochs, on fixed axes."""
    values = series(film, measure)  # (S, T, A)
    arms = ARMS if measure == "accuracy" else ARMS[:2]
    lines = {subject.label(arm): Line(subject.arm(arm).role, values[:, :, ARMS.index(arm)]) for arm in arms}
    return charts.curves(
        series(film, "step").astype(float),
        lines,
        "epoch",
        subject.measure(measure).label.lower(),
        palette=theme.palette(),
        x_domain=(0.0, float(film[0].steps)),
        y_domain=(0.0, 1.0),
        y_format=".0%",
        marks={} if at is None else {f"epoch {at:g}": at},
        seeds=each_seed,
    )


def confidence_histograms(frame: object) -> charts.Chart:
    """Confidence on correctly labelled and mislabelled training images at one epoch."""
    groups = {
        f"{subject.label(arm)}: {part}": (subject.arm(arm).role, frame.confidence[:, ARMS.index(arm), index])
        for arm in ARMS[:2]
        for index, part in enumerate(("correctly labelled", "mislabelled"))
    }
    edges = np.linspace(0, 1, frame.confidence.shape[-1] + 1)
    return charts.histograms(edges, groups, "largest probability", theme.palette())


def draw(film: Film, config: Config, seeds: Sequence[int], at: int = 0, each_seed: bool = False) -> None:
    """Accuracy, memorisation and confidence of a run, at its end or at an epoch."""
    key, shown = f"{SLUG}-{'play' if at else 'run'}", film[min(at or len(film), len(film)) - 1]
    accuracy = arm_curves(film, "accuracy", at or None, each_seed)
    notice = "Plain training peaks early, then memorises wrong labels. Bands: 95 % over seeds."
    command = figures.command(SLUG, config, seeds)
    figures.figure(accuracy, f"{key}-accuracy", notice, command=command, config=config, moving=True)
    left, right = st.columns(2, gap="medium")
    with left:
        memorised = arm_curves(film, "memorised", at or None)
        figures.figure(memorised, f"{key}-memorised", "Of the mislabelled training images.", moving=True)
    with right:
        histograms = confidence_histograms(shown)
        figures.figure(histograms, f"{key}-confidence", f"Training images, epoch {shown.step}.", moving=True)


@st.fragment
def recorded_run() -> None:
    """The recorded run under a scrubber."""
    if not (recording := page.recorded(SLUG)):
        return
    run, film = recording
    image, controls = st.columns([3, 1], gap="medium")
    with controls:
        epoch = settings.control(SLUG, LabelNoiseView.setting("epoch"))
        each_seed = settings.control(SLUG, LabelNoiseView.setting("each_seed"))
        title = data.entry(run.config["dataset"]).title
        about = f"40 % wrong labels, σ = 1, 1,000 training images, n = {len(run.seeds)} seeds."
        st.caption(f"{about} Data: {title}.")
    with image:
        draw(film, subject.config(**run.config), run.seeds, epoch, each_seed)


@st.fragment
def formula() -> None:
    """Noisy targets and the noise of the gradient, under controls of their own."""
    st.subheader("Training targets, and the noise they put on the gradient", anchor=False)
    targets_column, trace_column, controls = st.columns([3, 3, 2], gap="medium")
    with controls:
        sigma = settings.control(SLUG, LabelNoiseConfig.setting("sigma"))
        shape = settings.control(SLUG, LabelNoiseConfig.setting("shape"))
        confidence = settings.control(SLUG, LabelNoiseView.setting("confidence"))
    with targets_column:
        labels, rng = np.arange(TARGETS) % CLASSES, numpy_stream(0, "gallery")
        draws = rng.standard_normal((TARGETS, CLASSES), dtype=np.float32)
        targets = noise.noisy_targets(shape, sigma, labels, draws)
        bars = images.target_bars(targets, labels, theme.palette(), columns=4)
        alt = f"Twelve targets, {shape.replace('_', ' ')}, σ = {sigma:g}: one bar a class, given label marked"
        st.image(images.png(bars), width="stretch", alt=alt, output_format="PNG")
        note = tables.SHAPE_NOTES.get(shape, "")
        st.caption(f"Twelve targets of one step; the mark is the given label. {note}")
    with trace_column:
        notice = "Independent noise grows with confidence, 9σ² to 18σ²; zero-sum noise does not."
        figures.figure(trace_curves(sigma, confidence), f"{SLUG}-trace", notice, moving=True)
    with controls:
        predicted = noise.prediction(confidence)
        matrix = noise.gradient_covariance(sigma, predicted, zero_sum=shape.startswith("zero_sum"))
        enlarged = images.enlarged(images.signed(matrix, theme.palette(), 8.0), 12)
        st.image(images.png(enlarged), alt="Covariance of the gradient noise, ten by ten classes")
        text = f"Covariance of the gradient noise between classes, −8 to 8; trace {np.trace(matrix):.1f}."
        st.caption(text)


def trace_curves(sigma: float, confidence: float) -> charts.Chart:
    """Trace of the gradient noise over confidence, from the formula."""
    x = np.linspace(0.1, 1, 91)
    independent = Line("idea", noise.gradient_trace(sigma, noise.prediction(x)))
    lines = {"independent": independent, "zero-sum": Line("variant", np.full_like(x, 9 * sigma**2))}
    titles = "confidence in one class", "trace of the gradient noise"
    limits = {"x_domain": (0.1, 1.0), "y_domain": (0.0, 72.0), "y_format": ".1f"}
    marks = {f"{confidence:.2f}": confidence}
    return charts.curves(x, lines, *titles, palette=theme.palette(), marks=marks, **limits)


def play() -> None:
    """The recorded run, what its data are, then the formula."""
    recorded_run()
    if recording := evidence.recorded(SLUG):
        photograph_strip.show(recording[0].config["dataset"])
    formula()


def tuned(table: Table, dataset: str) -> None:
    """What was chosen for every arm, and whether its result lasts."""
    chosen = tables.tuned_arms(table, TUNED[dataset])
    head = f"Tuned arms, {data.entry(dataset).title}"
    note = "Test accuracy; rate and strength chosen on noisy validation labels. 95 % intervals over seeds."
    figures.intervals({head: list(map(subject.label, TUNED[dataset])), **chosen}, f"{SLUG}-{dataset}", note)


def answer(table: Table) -> None:
    """Tuned arms, where noise helps untuned, noise types, optimisers."""
    tuned(table, "digits")
    left, right = st.columns(2, gap="medium")
    with left:
        rows, columns, gains = table.grid("map", "corruption", "sigma", "noisy", "plain", "accuracy")
        mean, _, _, significant = significant_cells(gains)
        titles = ("share of wrong labels", "σ", "noise on targets − plain, points")
        chart = charts.heat_map(
            100 * mean, rows, columns, titles, theme.palette(), significant=significant, value_format="+.1f"
        )
        figures.figure(chart, f"{SLUG}-map", "Hatched: not significant, Holm-corrected over all cells.")
    with right:
        sigmas, accuracy = tables.sigma_curve(table)
        published = Line("other", tables.PUBLISHED_ACCURACY, published="one seed", x=tables.PUBLISHED_SIGMAS)
        lines = {"digits, here": Line("idea", accuracy), "CIFAR-10": published}
        limits = {"y_domain": (0.4, 1.0), "y_format": ".0%"}
        title = "test accuracy at 40 % wrong labels"
        chart = charts.curves(sigmas, lines, "σ", title, palette=theme.palette(), **limits)
        figures.figure(chart, f"{SLUG}-published", f"Published: {tables.PUBLISHED}.")
    pair = ("noisy", "plain"), "accuracy"
    figures.comparison(subject, table, "shapes", ("shape",), *pair, "Noise type", called=subject.label)
    figures.comparison(subject, table, "optimisers", ("optimiser", "learning_rate"), *pair, "Optimiser, rate")
    figures.comparison(subject, table, "pair", ("kind",), *pair, "Wrong labels")
    if evidence.study(SLUG, "photographs") is not None:
        photographs, names = evidence.table(SLUG, "photographs"), ("optimiser", "learning_rate")
        tuned(photographs, "cifar10_features")
        figures.comparison(subject, photographs, "optimisers", names, *pair, "Photographs: optimiser, rate")


page.run(
    subject,
    play=play,
    draw=draw,
    answer=answer,
    formulas={"Noisy targets": noise.noisy_targets, "Gradient noise": noise.gradient_covariance},
    views=(LabelNoiseView,),
)
