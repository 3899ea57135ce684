"""Copernican learner: stop a curve and forecast the rest; curves of many sources; the answer."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.config import Config, setting
from mlcv_explore.data import curve_files
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.copernican import forecasts, inference, intervals, learners, lifetimes, tables
from mlcv_explore.ideas.copernican import idea as subject
from mlcv_explore.ideas.copernican.arms import CURVE_TEXTS, LEARNER_ARMS, STOP_LABELS
from mlcv_explore.ideas.copernican.forecasts import LEVELS
from mlcv_explore.models.learning_curves import spectrum
from mlcv_explore.statistics.extrapolation import grid_fits
from mlcv_explore.statistics.prediction_intervals import interval_score
from mlcv_explore.ui import evidence, figures, inputs, page, settings, theme

SLUG = subject.slug
KIND = "training"  # of curve, at first
CURVES = {label: kind for kind, (label, *_) in CURVE_TEXTS.items()}
STOP_ROLES = {"time": "idea", "importance": "oracle", "improving": "variant"}
SOURCES = {"bundled": "six bundled data sets × kinds", "photographs": "five sets of photographs × kinds"}
RATES, AGE = np.array([0.02, 0.05]), 50  # gain a round of features A and B, and rounds of A
HEADROOM = 1.5  # the chart reaches this many times as high as the curve


class CopernicanView(Config):
    """Settings of the demo; nothing of it is trained."""

    which: int = setting(1, "Curve of this kind", low=1, high=6, step=1)
    stop: int = setting(30, "Stop, % of the way", low=1, high=99, step=1)
    level: float = setting(0.95, "Confidence c", low=0, high=1, step=0.01)
    age: int = setting(10, "Age of B, rounds", low=1, high=100, step=1)


def choose_curve(kind: str, film: Film) -> curve_files.ProgressCurve | None:
    """A curve of the recorded run, or the visitor's own; None while there is none."""
    if kind:
        curves = inference.recorded_curves(film, kind)
        return curves[min(settings.control(SLUG, CopernicanView.setting("which")), len(curves)) - 1]
    text, kinds = "Your own curve: CSV, x and y or y alone", ("csv", "tsv", "txt")
    more = {"max_mb": curve_files.MAX_MB, "rejected": "Curve rejected"}
    if upload := inputs.upload(f"{SLUG}-upload", text, kinds, curve_files.parse_upload, **more):
        st.caption(" ".join(upload.notes))
    return upload and inference.until_last_gain(upload)


@st.fragment
def play() -> None:
    """Stop a curve: its forecast, coverage at every confidence, two features' ranks."""
    if not (recording := page.recorded(SLUG)):
        return
    run, film = recording
    image, controls = st.columns([3, 1], gap="medium")
    with controls:
        first, key = list(CURVES.values()).index(KIND), f"{SLUG}-curve"
        kind = CURVES[st.selectbox("Curve", list(CURVES), first, key=key, bind="query-params")]
        share, level = (settings.control(SLUG, CopernicanView.setting(name)) for name in ("stop", "level"))
        shown = choose_curve(kind, film)
    with image:
        if shown is None:
            st.info("Upload a CSV file: its curve and forecast appear here.", icon=":material/upload_file:")
            return
        cone(shown, kind, share / 100, level, f"{SLUG}-cone")
    left, right = st.columns(2, gap="large")
    with left:
        calibration(film, kind, shown, int(run.config["curves"]))
    with right:
        rank_two_features()


def cone(shown: curve_files.ProgressCurve, kind: str, share: float, level: float, key: str) -> None:
    """The curve, its stop, and Gott's forecast from there."""
    step, (_, x_title, description) = inference.stop_at(shown, share), CURVE_TEXTS[kind]
    past, future = float(shown.progress[step]), float(shown.progress[-1] - shown.progress[step])
    ends = {c: [float(end) for end in intervals.interval(past, c)] for c in (level, 0.5)}
    bands = tuple(charts.Band(f"{c:.0%}", past + ends[c][0], past + ends[c][1]) for c in (level, 0.5))
    low, high = ends[level]
    y_title = f"{description.partition(',')[0]} so far"
    limits = 0.0, HEADROOM * float(shown.progress[-1])
    about = shown.x, shown.progress, step, 2 * past, bands, x_title, y_title
    covered = inference.covered_stops(shown, step, level)
    side = "inside" if covered[-1] else "**below**" if future < low else "**above**"
    beyond = ", beyond the chart" if past + high > limits[1] else ""
    factor = float(intervals.interval(1.0, level)[1])
    notice = (
        f"{description}. At {x_title} {shown.x[step]:.4g}: {past:,.3g} so far. {level:.0%} interval:"
        f" {low:,.3g} to {high:,.3g} more{beyond}; actual: {future:,.3g}, {side}."
        f" By Gott's rule: past ÷ {factor:.3g} to past × {factor:.3g}; it covers at {covered.sum()} of"
        f" {len(covered)} stops up to here."
    )
    figures.figure(charts.cone(*about, theme.palette(), limits), key, notice, moving=True)


def calibration(film: Film, kind: str, shown: curve_files.ProgressCurve, count: int) -> None:
    """Coverage over confidence by kind of stop; a source has `count` curves in the run."""
    values = inference.recorded_calibration(film, kind) if kind else inference.curve_calibration(shown)
    lines = {"nominal": charts.Line("baseline", LEVELS)}
    lines |= {STOP_LABELS[name]: charts.Line(STOP_ROLES[name], covered) for name, covered in values.items()}
    limits = {"x_domain": (0.0, 1.0), "y_domain": (0.0, 1.0), "y_format": ".0%"}
    chart = charts.curves(LEVELS, lines, "confidence c", "coverage", palette=theme.palette(), **limits)
    true, sources = STOP_LABELS[forecasts.BY_CONSTRUCTION], len(values["time"])
    drawn = f"{sources} sources with {count} curves each" if kind else "this one curve"
    notice = f"Below the diagonal, coverage is under nominal. By construction: {true}; {drawn}."
    figures.figure(chart, f"{SLUG}-calibration", notice, moving=True)


def rank_two_features() -> None:
    """Two features ranked by rate and by prediction; only unequal ages can differ."""
    st.markdown("##### At equal ages the rule cannot change a ranking")
    rates, ages = RATES, np.array([AGE, settings.control(SLUG, CopernicanView.setting("age"))])
    orders = np.argsort(-rates, kind="stable"), intervals.ranking(rates, ages)
    ranks = [[f"{rank + 1}" for rank in np.argsort(order)] for order in orders]
    names = [f"{name}: {rate} a round" for name, rate in zip("AB", rates, strict=True)]
    gains = [f"{gain:.2f}" for gain in rates * ages]
    table = {"Feature": names, "Age": ages.astype(str).tolist(), "Predicted gain": gains}
    st.table(table | dict(zip(("Rank by rate", "Rank by prediction"), ranks, strict=True)), hide_index=True)
    effect = "keeps the ranking" if np.array_equal(*orders) else "**reverses the ranking**"
    st.caption(f"The prediction {effect}: it is rate · age.")


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """Scores and coverage on the curves, regrets, coverage of simulated lifetimes so far."""
    values, nominal = subject.metrics(config, film), f"Nominal coverage: {config.confidence:.0%}."
    methods = ("copernican", "null", "quantiles", "exponential_others", "power_others")
    scored = [f"{stops}_{method}" for stops in ("time", "improving") for method in methods]
    covered = [f"{stops}_copernican" for stops in forecasts.STOPS]
    drawn = f"Curves of {len(seeds)} source{'s' * (len(seeds) != 1)}, each a data set with one kind of curve."
    simulated = [f"lives_exponential_{way}" for way in lifetimes.INSPECTIONS]
    more = {"split": subject.split_sizes(config), "command": figures.command(SLUG, config, seeds)}
    for key, arms, measure, notice in (
        ("scores", scored, "score", f"Lower is better. {drawn}"),
        ("curves", covered, "coverage", f"{nominal} {drawn}"),
        ("learners", [arm.name for arm in LEARNER_ARMS], "regret", "Equal fits in each learner."),
        ("lifetimes", simulated, "coverage", f"{nominal} The first two are true by construction."),
    ):
        if columns := {arm: values[f"{arm}_{measure}"] for arm in arms if f"{arm}_{measure}" in values}:
            figures.bars(subject, columns, measure, f"{SLUG}-run-{key}", notice, **more)


def example() -> None:
    """Gott's forecast on a recorded training curve."""
    if recording := evidence.recorded(SLUG):
        cone(inference.recorded_curves(recording[1], KIND)[0], KIND, 0.3, 0.95, f"{SLUG}-example")


def answer(table: Table) -> None:
    """Kinds of curve, methods and learners on bundled data and on photographs; lifetimes."""
    for group, rows in {"bundled": table, "photographs": evidence.table(SLUG, "photographs")}.items():
        st.markdown(f"**Sources: {SOURCES[group]}**")
        for name, (columns, note) in tables.details(rows, group).items():
            figures.intervals(columns, f"{SLUG}-{group}-{name}", note)


formulas = {"Gott's interval": intervals.interval, "Interval score": interval_score}
formulas |= {"Kinds of stop": forecasts.stop_weights, "Fits to the visible part": grid_fits}
formulas |= {"Boosting in groups": learners.grouped_boosting, "Feature selection": learners.feature_selection}
formulas |= {"PCA cut": learners.pca_cut, "End of a spectrum": spectrum}
acts = {"play": play, "draw": draw, "answer": answer, "example": example}
page.run(subject, **acts, formulas=formulas, views=(CopernicanView,), choices={"curve": list(CURVES)})
