"""Copernican learner: stop a curve and forecast the rest, run it on real curves, the answer."""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Band, Line
from mlcv_explore.config import Config, setting
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.copernican import curve_file, forecasts, inference, intervals, learners, tables
from mlcv_explore.ideas.copernican import idea as subject
from mlcv_explore.ideas.copernican.arms import INSPECTION_LABELS, KIND_LABELS, LEARNER_ARMS, STOP_LABELS
from mlcv_explore.ideas.copernican.curves import KINDS, spectrum
from mlcv_explore.ideas.copernican.forecasts import LEVELS, uniform_stop
from mlcv_explore.ui import evidence, figures, inputs, page, settings, theme

SLUG = subject.slug
OWN = "Your own CSV"
CURVES = {KIND_LABELS[kind]: kind for kind in KINDS} | {OWN: ""}
AXES = {
    "boosting": ("round", "Fall of the held-out loss of gradient boosting"),
    "training": ("epoch", "Fall of a perceptron's training loss"),
    "variance": ("component", "Variance explained by principal components, up to 99.9 %"),
    "features": ("feature", "Importance of a random forest's features, largest first"),
    "tsne": ("iteration", "Fall of the divergence of t-SNE"),
    "epochs": ("epoch", "Epochs until validation loss is lowest"),
    "": ("x", "Importance until its last gain"),
}
STOP_ROLES = {"time": "idea", "importance": "other", "fixed": "other", "improving": "variant"}
HEADROOM = 1.5  # the chart reaches this many times as high as the curve


class CopernicanView(Config):
    """Settings of the demo; nothing of it is trained."""

    which: int = setting(1, "Curve of this kind", low=1, high=3, step=1)
    stop: int = setting(30, "Stop, % of the way", low=1, high=99, step=1)
    level: float = setting(0.95, "Confidence c", low=0, high=1, step=0.01)
    rate_a: float = setting(0.02, "A: gain a round", low=0.01, high=0.2, step=0.01)
    rate_b: float = setting(0.05, "B: gain a round", low=0.01, high=0.2, step=0.01)
    age_a: int = setting(50, "A: age in rounds", low=1, high=100, step=1)
    age_b: int = setting(10, "B: age in rounds", low=1, high=100, step=1)


@st.cache_resource(max_entries=8, show_spinner=False)
def recorded_curves(kind: str, run: str) -> list[inference.PlottedCurve]:
    """The curves of a kind in the recorded run, which `run` identifies."""
    return inference.recorded_curves(evidence.recorded(SLUG)[1], kind)


def choose_curve(kind: str, run: str) -> inference.PlottedCurve | None:
    """A curve of the recorded run, or the visitor's own; None while there is none."""
    if kind:
        curves = recorded_curves(kind, run)
        return curves[min(settings.control(SLUG, CopernicanView.setting("which")), len(curves)) - 1]
    upload = inputs.upload(
        f"{SLUG}-upload",
        "Your own curve: CSV, x and y or y alone",
        ("csv", "tsv", "txt"),
        curve_file.parse_upload,
        max_mb=curve_file.MAX_MB,
        rejected="Curve rejected",
    )
    if upload is None:
        return None
    st.caption(" ".join(upload.notes))
    return inference.uploaded_curve(upload)


@st.fragment
def play() -> None:
    """Stop a curve: the forecast, coverage at every confidence, and two features' ranks."""
    found = evidence.recorded(SLUG)
    if found is None:
        st.info("No run is recorded yet: `python -m mlcv_explore record copernican`.")
        return
    run, film = found
    image, controls = st.columns([3, 1], gap="medium")
    with controls:
        key = f"{SLUG}-curve"
        name = st.selectbox(
            "Curve", list(CURVES), list(CURVES).index(KIND_LABELS["variance"]), key=key, bind="query-params"
        )
        share = settings.control(SLUG, CopernicanView.setting("stop"))
        level = settings.control(SLUG, CopernicanView.setting("level"))
        kind = CURVES[name]
        shown = choose_curve(kind, run.id)
    with image:
        if shown is None:
            st.info("Upload a CSV file: its curve and forecast appear here.", icon=":material/upload_file:")
            return
        cone(shown, kind, share / 100, level, f"{SLUG}-cone")
    calibration, ages = st.columns(2, gap="large")
    with calibration:
        values = inference.recorded_calibration(film, kind) if kind else inference.curve_calibration(shown)
        true = STOP_LABELS[uniform_stop(kind)]
        source = f"n = {len(run.seeds)} seeds" if kind else "this one curve"
        notice = f"Below the diagonal, coverage is under nominal. «{true}» is true by construction; {source}."
        figures.figure(calibration_chart(values, kind), f"{SLUG}-calibration", notice, moving=True)
    with ages:
        rank_two_features()


def cone(shown: inference.PlottedCurve, kind: str, share: float, level: float, key: str) -> None:
    """The curve, its stop, and Gott's forecast from there."""
    step = inference.stop_at(shown, share)
    result, top = inference.forecast(shown, step, level), HEADROOM * float(shown.importance[-1])
    x_title, y_title = AXES[kind]
    bands = (
        Band(f"{level:.0%}", result.past + result.low, result.past + result.high),
        Band("50%", *(result.past + end for end in result.half)),
    )
    axis = "epochs so far" if kind == "epochs" else "share of the total gain" if kind else "importance so far"
    chart = charts.cone(
        shown.x, shown.importance, step, 2 * result.past, bands, x_title, axis, theme.palette(), (0.0, top)
    )
    high = amount(result.high) if np.isfinite(result.high) else "any amount"
    side = "inside" if result.covered else "**below**" if result.future < result.low else "**above**"
    beyond = ", beyond the chart" if result.past + result.high > top else ""
    notice = (
        f"{y_title}. At {x_title} {shown.x[step]:.4g}: {amount(result.past)} so far. The {level:.0%} interval"
        f" is {amount(result.low)} to {high} more{beyond}; actual: {amount(result.future)}, {side}."
        f" Covered at {result.stops_covered} of {result.stops} stops up to here."
    )
    figures.figure(chart, key, notice, moving=True)


def amount(value: float) -> str:
    """Three significant digits, without powers of ten where whole numbers will do."""
    return f"{value:,.0f}" if 100 <= value < 1e7 else f"{value:.3g}"


def calibration_chart(values: Mapping[str, np.ndarray], kind: str) -> charts.Chart:
    """Coverage over confidence by kind of stop, beside the diagonal."""
    lines = {"nominal": Line("baseline", LEVELS)}
    for stops, covered in values.items():
        role = "oracle" if stops == uniform_stop(kind) else STOP_ROLES[stops]
        # a fixed step is one stop a curve: its band would hide the others
        lines[STOP_LABELS[stops]] = Line(role, covered.mean(0) if stops == "fixed" else covered)
    limits = {"x_domain": (0.0, 1.0), "y_domain": (0.0, 1.0), "y_format": ".0%"}
    return charts.curves(LEVELS, lines, "confidence c", "coverage", palette=theme.palette(), **limits)


def rank_two_features() -> None:
    """Two features ranked by rate and by predicted gain: only unequal ages can differ."""
    st.markdown("##### At equal ages the rule cannot change a ranking")
    equal = st.toggle("Equal ages", key=f"{SLUG}-equal", bind="query-params", help="B is as old as A.")
    names = ("rate_a", "age_a", "rate_b", "age_b")
    with st.expander("Rates and ages"):
        rate_a, age_a, rate_b, age_b = (
            settings.control(SLUG, CopernicanView.setting(name)) for name in names
        )
    rates, ages = np.array([rate_a, rate_b]), np.array([age_a, age_a if equal else age_b])
    orders = np.argsort(-rates, kind="stable"), intervals.ranking(rates, ages)
    table = {
        "Feature": ["A", "B"],
        "Age": [f"{age}" for age in ages],
        "Past = predicted future": [f"{gain:.2f}" for gain in rates * ages],
        "Rank by rate": [f"{rank + 1}" for rank in np.argsort(orders[0])],
        "Rank by prediction": [f"{rank + 1}" for rank in np.argsort(orders[1])],
    }
    st.table(table, hide_index=True)
    effect = "keeps the ranking" if np.array_equal(*orders) else "**reverses the ranking**"
    st.caption(f"The prediction {effect}: it is rate · age.")


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """Coverage on the curves, regrets, and coverage of simulated lifetimes so far."""
    values, split = subject.metrics(config, film), subject.split_sizes(config)
    kinds = [kind for kind in KINDS if any(frame.part == kind for frame in film)]
    curves = {
        f"{kind}_{stops}_copernican": f"{KIND_LABELS[kind]}, {STOP_LABELS[stops]}"
        for kind in kinds
        for stops in ("time", "improving")
    }
    rules = {arm.name: arm.label for arm in LEARNER_ARMS if f"{arm.name}_regret" in values}
    lives = {f"lives_exponential_{way}": label for way, label in INSPECTION_LABELS.items()}
    nominal = f"Nominal coverage: {config.confidence:.0%}"
    for labels, measure, key, notice in (
        (curves, "coverage", "curves", f"{nominal}. Epochs at any step are true by construction."),
        (rules, "regret", "learners", "Lower is better; equal fits in each learner."),
        (lives, "coverage", "lives", f"Exponential lifetimes. {nominal}; the first two are by construction."),
    ):
        if labels:
            columns = {arm: values[f"{arm}_{measure}"] for arm in labels}
            command = figures.command(SLUG, config, seeds)
            more = {"split": split, "command": command, "labels": labels}
            figures.bars(subject, columns, measure, f"{SLUG}-run-{key}", notice, **more)


def example() -> None:
    """Gott's forecast on a recorded PCA curve."""
    if found := evidence.recorded(SLUG):
        cone(recorded_curves("variance", found[0].id)[0], "variance", 0.3, 0.95, f"{SLUG}-example")


def answer(table: Table) -> None:
    """Coverage, scores, learners, and what remains as a reason to use the rule."""
    half = table.interval("curves", "curves_time_half", "coverage").text("%")
    censored = table.values("curves", "epochs", "censored").mean()
    note = (
        f"Coverage of the 95 % interval. At any step, the 50 % interval covers {half};"
        f" {tables.overestimated(table):.0%} of the misses overestimate the future."
        f" {censored:.0%} of the runs had no usable best epoch and are left out."
    )
    figures.intervals(tables.coverage(table), f"{SLUG}-coverage", note)
    for stops in ("time", "improving"):
        note = f"Interval scores {STOP_LABELS[stops]}, lower is better; Bonferroni over all comparisons."
        figures.intervals(tables.scores(table, stops), f"{SLUG}-scores-{stops}", note)
    note = "Regret against the best choice at equal fits: explained variance, for the cut accuracy."
    figures.intervals(tables.regrets(table), f"{SLUG}-regrets", note)
    note = "Coverage of simulated lifetimes; uniform in time and in importance are true by construction."
    figures.intervals(tables.lifetimes(table), f"{SLUG}-lifetimes", note)
    improving = table.interval("curves", "curves_improving_copernican", "score").text()
    count = tables.tally(table)
    st.markdown(
        f"**Why use it?** At improving steps it beats fits with intervals of their own, with a score of"
        f" {improving}; an interval from 1/100 to 100 times the past scores {tables.UNINFORMATIVE:.1f}. Of"
        f" {count['all']} comparisons with baselines, it wins {count['won']} ({count['won_doubling']} against"
        f" always doubling) and loses {count['lost']}."
    )


page.run(
    subject,
    play=play,
    draw=draw,
    answer=answer,
    example=example,
    formulas={
        "Gott's interval": intervals.interval,
        "Interval score": intervals.interval_score,
        "Kinds of stop": forecasts.stop_weights,
        "Fits to the visible part": forecasts.fitted_futures,
        "Boosting in groups": learners.grouped_boosting,
        "Feature selection": learners.feature_selection,
        "PCA cut": learners.pca_cut,
        "End of a spectrum": spectrum,
    },
    views=(CopernicanView,),
    choices={"curve": list(CURVES), "equal": ("true", "false", "True", "False")},
)
