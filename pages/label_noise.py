"""Stochastic label noise: play with the recorded run and the formula, train it, read
the answer.
"""

import time

import numpy as np
import streamlit as st

from mlcv_explore import charts, idea
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config, setting
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Film
from mlcv_explore.ideas.label_noise import ARMS, BINS, LabelNoiseConfig, noise
from mlcv_explore.ideas.label_noise import evidence as tables
from mlcv_explore.ideas.label_noise import idea as subject
from mlcv_explore.ui import evidence, page, settings, training

ROLES = dict(zip(ARMS, ("baseline", "idea", "oracle"), strict=True))
NAMES = dict(zip(ARMS, ("plain", "label noise", "clean labels"), strict=True))
GALLERY = 12  # noisy targets shown at once


class LabelNoiseView(Config):
    """What the Play act shows; nothing of it is trained."""

    epoch: int = setting(100, "Epoch", low=1, high=100, step=1, help="Scrub through the recorded run.")
    confidence: float = setting(
        0.9,
        "How sure the network is",
        low=0.1,
        high=1,
        step=0.01,
        help="Probability of one class; the others share the rest.",
    )
    each_seed: bool = setting(False, "Show every seed")


card = idea.card("label_noise")


def accuracy_curves(film: Film, at: float | None = None, each_seed: bool = False) -> charts.Chart:
    """Test accuracy of the three arms over epochs, with a rule at one of them."""
    return arm_curves(film, "accuracy", "test accuracy", at, ARMS, each_seed)


def memory_curves(film: Film, at: float | None = None) -> charts.Chart:
    """Share of the mislabelled training pictures that are given their wrong label."""
    return arm_curves(film, "memorised", "wrong labels learned by heart", at, ARMS[:2])


def arm_curves(
    film: Film, measure: str, title: str, at: float | None, arms: tuple[str, ...], each_seed: bool = False
) -> charts.Chart:
    """One measure over epochs, its axes fixed so that nothing jumps while it grows."""
    values = series(film, measure)  # (S, T, A)
    lines = {NAMES[arm]: Line(ROLES[arm], values[:, :, ARMS.index(arm)]) for arm in arms}
    marks = {} if at is None else {f"epoch {at:g}": at}
    x = series(film, "step").astype(float)
    options = {
        "x_domain": (0.0, float(film[0].steps)),
        "y_domain": (0.0, 1.0),
        "y_format": ".0%",
        "marks": marks,
        "seeds": each_seed,
    }
    return charts.curves(x, lines, "epoch", title, palette=page.palette(), **options)


def confidence_histograms(frame: object) -> charts.Chart:
    """How sure plain and noisy training are of the correctly labelled and of the
    mislabelled pictures, at one epoch.
    """
    groups = {
        f"{NAMES[arm]}: {part}": (ROLES[arm], frame.confidence[:, ARMS.index(arm), index])
        for arm in ARMS[:2]
        for index, part in enumerate(("correctly labelled", "mislabelled"))
    }
    return charts.histograms(np.linspace(0, 1, BINS + 1), groups, "largest probability", page.palette())


def trace_curves(sigma: float, confidence: float) -> charts.Chart:
    """The gradient noise's trace over the network's confidence, drawn from the formula."""
    x = np.linspace(0.1, 1, 91)
    lines = {
        "independent": Line("idea", noise.gradient_trace(sigma, noise.prediction(x))),
        "zero-sum": Line("variant", np.full_like(x, 9 * sigma**2)),
    }
    limits = {
        "x_domain": (0.1, 1.0),
        "y_domain": (0.0, 72.0),
        "y_format": ".1f",
        "marks": {f"{confidence:.2f}": confidence},
    }
    return charts.curves(
        x, lines, "confidence in one class", "trace of the gradient noise", palette=page.palette(), **limits
    )


@st.fragment
def play() -> None:
    """The recorded run under a scrubber."""
    found = evidence.recorded(card.slug)
    if found is None:
        st.info("No run is recorded yet: `python -m mlcv_explore record label_noise`.")
        return
    run, film = found
    picture, controls = st.columns([3, 1], gap="medium")
    with controls:
        epoch = settings.control(card.slug, LabelNoiseView.setting("epoch"))
        each_seed = settings.control(card.slug, LabelNoiseView.setting("each_seed"))
        st.caption("40 % wrong labels, σ = 1, 1,000 handwritten digits. Other settings: Train.")
    cost = f"n = {len(run.seeds)} seeds · recorded{'' if run.current else ' by an earlier version'}"
    config = subject.config(**run.config)
    command = page.command(card.slug, config, run.seeds)
    with picture:
        notice = (
            "Plain training peaks early, then falls as it learns the wrong labels; with fresh noise it"
            " stays up."
        )
        page.figure(
            accuracy_curves(film, epoch, each_seed),
            f"{card.slug}-accuracy",
            notice,
            cost,
            command,
            config,
            moving=True,
        )
    left, right = st.columns(2, gap="medium")
    with left:
        page.figure(
            memory_curves(film, epoch),
            f"{card.slug}-memory",
            "Given the wrong label it was taught, of the mislabelled.",
            cost,
            command,
            moving=True,
        )
    with right:
        frame = film[min(epoch, len(film)) - 1]
        page.figure(
            confidence_histograms(frame),
            f"{card.slug}-confidence",
            f"Training pictures at epoch {epoch}.",
            cost,
            command,
            moving=True,
        )


@st.fragment
def formula() -> None:
    """Noisy targets and the gradient's noise, under sliders of their own."""
    started = time.perf_counter()
    st.markdown("##### What the network is asked for, and what that does to its gradient")
    shapes, covariance, controls = st.columns([3, 3, 2], gap="medium")
    with controls:
        sigma = settings.control(card.slug, LabelNoiseConfig.setting("sigma"))
        shape = settings.control(card.slug, LabelNoiseConfig.setting("shape"))
        confidence = settings.control(card.slug, LabelNoiseView.setting("confidence"))
    with shapes:
        labels, targets = noise.gallery(shape, sigma, GALLERY)
        bars = images.target_bars(targets, labels, page.palette(), columns=4)
        words = (
            f"Twelve targets, {shape.replace('_', ' ')}, σ = {sigma:g}: a bar a class, above zero orange,"
            " below blue, the given label marked"
        )
        st.image(images.png(bars), width="stretch", alt=words, output_format="PNG")
        st.caption(
            "Twelve targets as one step sees them; the mark is the given label, bars end at ±2."
            f" {SAYS.get(shape, '')}"
        )
    with covariance:
        notice = "Independent noise grows with confidence, 9σ² to 18σ²; zero-sum noise does not."
        page.figure(
            trace_curves(sigma, confidence), f"{card.slug}-trace", notice, "From the formula", moving=True
        )
    with controls:
        matrix = noise.gradient_covariance(
            sigma, noise.prediction(confidence), zero_sum=shape.startswith("zero_sum")
        )
        st.image(
            images.png(images.enlarged(images.signed(matrix, page.palette(), 8.0), 12)),
            alt="Covariance of the gradient noise, ten by ten classes",
        )
        trace = float(np.trace(matrix))
        st.caption(
            f"Covariance of the gradient noise between classes, −8 to 8; trace {trace:.1f}. Drawn in"
            f" {1000 * (time.perf_counter() - started):.0f} ms."
        )


SAYS = {
    "zero_sum": "Sums to one: no sample pulls all classes up or down.",
    "zero_sum_equal_trace": "Shown at equal σ; in training it is scaled up where the network is sure.",
    "static_smoothing": (
        f"Strength ε = σ/2, the same for all; as noise it is σ = {noise.equivalent_sigma(0.5, 10):.3f} at ε ="
        " 0.5 once redrawn."
    ),
    "fresh_smoothing": "Strength ε = σ/2, its direction redrawn at every step.",
    "fresh_strength": "Strength redrawn at every step around ε = σ/2.",
    "fresh_flips": "With probability ε = σ/2 any class is asked for.",
}


def draw(film: Film, cost: str) -> None:
    """What a run under way, or just finished, shows."""
    page.figure(
        accuracy_curves(film),
        f"{card.slug}-live-accuracy",
        "Means and 95 % bands over seeds.",
        cost,
        moving=True,
    )
    left, right = st.columns(2, gap="medium")
    with left:
        page.figure(
            memory_curves(film),
            f"{card.slug}-live-memory",
            "Of the mislabelled training pictures.",
            cost,
            moving=True,
        )
    with right:
        page.figure(
            confidence_histograms(film[-1]),
            f"{card.slug}-live-confidence",
            f"Training pictures at epoch {film[-1].step}.",
            cost,
            moving=True,
        )


def answer(command: str) -> None:
    """Beyond the claims: where the noise helps, how much of that early stopping does
    too, shapes, optimisers, the published curve.
    """
    rows = evidence.rows(card.slug)
    grid, late = tables.gain_map(rows), tables.late_memorisation(rows)
    cost = f"n = {grid.n} seeds a cell, one fixed split"
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("##### Where does it help?")
        labels = [[f"{value:g}" for value in values] for values in (grid.corruptions, grid.sigmas)]
        titles = ("wrong labels", "σ", "noisy − plain, points")
        chart = charts.heat_map(
            100 * grid.mean,
            *labels,
            titles,
            page.palette(),
            significant=grid.significant,
            value_format="+.1f",
        )
        page.figure(
            chart,
            f"{card.slug}-map",
            "Hatched: not significantly different from zero, Holm-corrected over all cells.",
            cost,
            command,
        )
    with right:
        st.markdown("##### The same sweep as published, on photographs")
        sigmas, accuracy = tables.sigma_curve(rows)
        published = Line("other", tables.PUBLISHED_ACCURACY, published="one seed", x=tables.PUBLISHED_SIGMAS)
        lines = {"digits, here": Line("idea", accuracy), "CIFAR-10": published}
        chart = charts.curves(
            sigmas,
            lines,
            "σ",
            "test accuracy at 40 % wrong labels",
            palette=page.palette(),
            y_domain=(0.4, 1.0),
            y_format=".0%",
        )
        page.figure(chart, f"{card.slug}-published", f"Published: {tables.PUBLISHED}.", cost, command)
    st.markdown("##### How much of the gain is late memorisation avoided?")
    st.markdown(
        f"**{100 * late.mean:.0f} %** [{100 * late.low:.0f}, {100 * late.high:.0f}] (95 % Fieller interval, n"
        f" = {late.n} seeds). With both arms stopped early on noisy validation labels, that share of the gain"
        " is gone; above 100 % means that early-stopped plain training is then the better one."
    )
    gain_table(
        "Every shape of noise, σ = 1 (smoothing and flips: ε = 0.5)",
        "shape",
        tables.shapes(rows),
        zero_sum_sigma=True,
    )
    gain_table(
        "What the optimiser does to the answer, σ = 1", "optimiser, learning rate", tables.optimisers(rows)
    )
    gain_table("When wrong labels are always the next class", "kind", [tables.pair(rows)])


def gain_table(title: str, name: str, gains: list[tables.Gain], zero_sum_sigma: bool = False) -> None:
    """How plain and noisy training end, with their paired difference, in points."""
    st.markdown(f"##### {title}")
    table = {name: [gain.name.replace("_", " ") for gain in gains]}
    table |= {arm: [points(getattr(gain, arm)) for gain in gains] for arm in ("plain", "noisy")}
    table["noisy − plain"] = [points(gain.gain) for gain in gains]
    if zero_sum_sigma:
        sigmas = [tables.equivalent(gain.name, 1.0) for gain in gains]
        table["equals zero-sum noise of σ"] = ["–" if sigma is None else f"{sigma:.3f}" for sigma in sigmas]
    st.table(table, hide_index=True)
    st.caption(
        f"Test accuracy in points, mean of the last ten epochs, 95 % intervals over n = {gains[0].gain.n}"
        " seeds, not corrected for their number."
    )


def points(interval: tables.Interval) -> str:
    """A fraction with its interval in points."""
    mean, low, high = (
        f"{100 * value:.1f}".replace("-", "−") for value in (interval.mean, interval.low, interval.high)
    )
    return f"{mean} [{low}, {high}]"


what_to_do = (
    "Forty in a hundred training labels are wrong. Move the epoch: plain training learns them by heart,"
    " training with fresh noise does not."
)
act = page.intro(card, what_to_do, LabelNoiseConfig, LabelNoiseView)
if act == "Play":
    play()
    formula()
elif act == "Train":
    picture, controls = st.columns([3, 1], gap="medium")
    with controls:
        config, seeds = settings.ask(card.slug, LabelNoiseConfig)
    with picture:
        training.live(card, subject, config, seeds, draw)
elif act == "Answer":
    if found := evidence.answer(card, subject):
        answer(found["command"])
else:
    page.read(
        card,
        subject.prior_work,
        {
            "Noisy targets of every shape": noise.noisy_targets,
            "The gradient noise": noise.gradient_covariance,
        },
    )
