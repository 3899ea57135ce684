"""Copernican learner: stop a curve and see what its past says of its future; run it on
real curves; when it covers and whether it pays.
"""

import math
import time

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mlcv_explore import charts, idea
from mlcv_explore.charts import Band, Bar, Line
from mlcv_explore.config import Config, setting
from mlcv_explore.idea import Film
from mlcv_explore.ideas.copernican import (
    LIVES,
    RULE_ROLES,
    CopernicanConfig,
    applies,
    brought,
    forecasts,
    growth,
    intervals,
    learners,
    looking,
)
from mlcv_explore.ideas.copernican import evidence as tables
from mlcv_explore.ideas.copernican import idea as subject
from mlcv_explore.ideas.copernican.forecasts import LEVELS, MEASURES, METHODS, STOPS
from mlcv_explore.ideas.copernican.growth import KINDS
from mlcv_explore.ideas.copernican.learners import LEARNERS, RULES
from mlcv_explore.ideas.copernican.lives import INSPECTIONS, LAWS, TRUE_BY_CONSTRUCTION
from mlcv_explore.ui import evidence, page, settings, training

OWN = "Your own CSV"
CURVES = {
    "Boosting rounds": "boosting", "Training loss": "training", "PCA variance": "variance", "Feature importance": "features", "t-SNE loss": "tsne",
    "Epochs to best": "epochs", OWN: "",
}  # fmt: skip
CLOCKS = {
    "boosting": "rounds",
    "training": "epochs",
    "variance": "components",
    "features": "features",
    "tsne": "iterations",
    "epochs": "epochs",
}
SAYS = {
    "boosting": "Fall of the held-out loss of gradient boosting, as a share of its whole fall.",
    "training": "Fall of a perceptron's training loss, as a share of its whole fall.",
    "variance": "Variance that principal components explain, of 99.9 % of it.",
    "features": "Importance of a random forest's features, the largest first.",
    "tsne": "Fall of the divergence of a t-SNE, as a share of its whole fall.",
    "epochs": "Here the clock is time: epochs until the validation loss is least.",
}
NAMES = {
    "copernican": "Copernican", "fitted": "past/k … k·past", "double": "always double", "exponential": "exponential fit", "power": "power-law fit",
    "exponential_others": "exponential, others' errors", "power_others": "power law, others' errors", "quantiles": "other curves' quantiles",
    "oracle": "this curve's own quantiles",
}  # fmt: skip
LAW_NAMES = {
    "time": "at any step",
    "importance": "uniform in importance",
    "fixed": "at a fixed step",
    "improving": "while it improves",
}
LAW_ROLES = {"time": "idea", "importance": "oracle", "fixed": "other", "improving": "variant"}
RULE_NAMES = {
    "copernican": "predicted to come", "validated": "cross-validation", "shuffled": "shuffled ages", "ageblind": "rate alone",
    "default": "plain rule",
}  # fmt: skip
LEARNER_NAMES = {"groups": "Boosting in groups", "adding": "Adding features", "cut": "PCA cut"}
SHORT = {**{kind: name for name, kind in CURVES.items() if kind}, "curves": "The first five together"}
INSPECTED = {
    "time": "uniform in time", "importance": "uniform in importance", "decelerating": "importance slows down", "improving": "while it improves",
    "age001": "age 0.01", "age01": "age 0.1", "age1": "age 1", "age10": "age 10",
}  # fmt: skip
ROOM = 1.5  # the chart reaches this many times as high as the curve
MARK = "by construction"


class CopernicanView(Config):
    """What the Play act shows; nothing of it is trained."""

    which: int = setting(1, "Curve of this kind", low=1, high=3, step=1)
    stop: int = setting(30, "Stop, % of the way", low=1, high=99, step=1)
    level: float = setting(
        0.95, "Confidence c", low=0, high=1, step=0.01, help="0 predicts the past, 1 anything."
    )
    rate_a: float = setting(0.02, "A: gain a round", low=0.01, high=0.2, step=0.01)
    rate_b: float = setting(0.05, "B: gain a round", low=0.01, high=0.2, step=0.01)
    age_a: int = setting(50, "A: age in rounds", low=1, high=100, step=1)
    age_b: int = setting(10, "B: age in rounds", low=1, high=100, step=1)


card = idea.card("copernican")


@st.cache_resource(max_entries=8, show_spinner=False)
def recorded_curves(kind: str, made: str) -> list[looking.Seen]:
    """The curves of the recorded run; `made` is its fingerprint, so that a newer run is
    read anew.
    """
    return looking.examples(evidence.recorded(card.slug)[1], kind)


@st.cache_resource(scope="session", max_entries=2, show_spinner=False)
def parsed(identity: str, name: str, _content: bytes) -> tuple[looking.Seen, tuple[str, ...]]:
    """A reader's curve, read once."""
    taken = brought.read(_content, name)
    return looking.of_reader(taken), taken.notes


def choose(kind: str, made: str) -> looking.Seen | None:
    """The curve to look at: of the recorded run, or the reader's own."""
    if kind:
        which = settings.control(card.slug, CopernicanView.setting("which"))
        found = recorded_curves(kind, made)
        return found[min(which, len(found)) - 1]
    given = st.file_uploader(
        f"A curve of your own: CSV, x and y or y alone, at most {brought.MOST_BYTES >> 20} MB",
        ["csv", "tsv", "txt"],
        key=f"{card.slug}-upload",
        max_upload_size=brought.MOST_BYTES >> 20,
    )
    st.caption(
        "A curve that falls is taken for a loss. The file is never written to disk and not in the link."
    )
    if given is None:
        return None
    try:
        shown, notes = parsed(given.file_id, given.name, given.getvalue())
    except brought.BadCurve as error:
        st.error(str(error), icon=":material/error:", title="This curve was not taken")
        return None
    for note in notes:
        st.info(note, icon=":material/info:")
    return shown


@st.fragment
def play() -> None:
    """Stop a curve, and see the cone."""
    found = evidence.recorded(card.slug)
    if found is None:
        st.info("No run is recorded yet: `python -m mlcv_explore record copernican`.")
        return
    run, film = found
    name = st.segmented_control(
        "Curve",
        list(CURVES),
        default="PCA variance",
        required=True,
        key=f"{card.slug}-curve",
        bind="query-params",
        wrap=True,
    )
    kind = CURVES[name]
    picture, controls = st.columns([4, 1], gap="medium")
    with controls:
        shown = choose(kind, run.id)
        level = settings.control(card.slug, CopernicanView.setting("level"))
    with picture:
        if shown is None:
            st.info(
                "Give a CSV file: the curve, its stop and the cone appear here.",
                icon=":material/upload_file:",
            )
            return
        slot = st.container()
        share = settings.control(card.slug, CopernicanView.setting("stop"))
        words = st.container(gap="small")
        with slot:
            cone(shown, kind, share / 100, level, words)
    calibration, ages = st.columns(2, gap="large")
    with calibration:
        covered(shown, kind, film, run.id, len(run.seeds))
    with ages:
        equal_ages()


def cone(shown: looking.Seen, kind: str, share: float, level: float, words: DeltaGenerator) -> None:
    """The chart with its stop here, and what it says in `words`, under the slider."""
    started = time.perf_counter()
    look = looking.look(shown, looking.stop_at(shown, share), level)
    top = ROOM * float(shown.importance[-1])
    y_title = (
        "epochs so far" if kind == "epochs" else "share of the gain so far" if kind else "importance so far"
    )
    bands = (
        Band(f"{level:.0%}", look.past + look.low, look.past + look.high),
        Band("50%", look.past + look.half_low, look.past + look.half_high),
    )
    x_title = CLOCKS.get(kind, "x")
    chart = charts.cone(
        shown.x,
        shown.importance,
        look.step,
        2 * look.past,
        bands,
        x_title,
        y_title,
        page.palette(),
        (0.0, top),
    )
    at = f"After {shown.x[look.step]:.4g} {x_title}" if kind else f"At x = {shown.x[look.step]:.4g}"
    high = amount(look.high) if math.isfinite(look.high) else "any amount"
    beyond = "" if look.past + look.high <= top else f" Its upper end is beyond the chart: {high} more."
    verdict = "inside" if look.covered else "**below** it" if look.future < look.low else "**above** it"
    notice = (
        f"{at}: {amount(look.past)} so far. With c = {level:.0%} the rule says {amount(look.low)} to {high}"
        f" more; {amount(look.future)} came, {verdict}.{beyond} Up to here it held at {look.covered_before}"
        f" of {look.before} stops."
    )
    st.vega_lite_chart(chart.data, chart.spec, key=f"{card.slug}-cone", theme=None, alt=chart.subject)
    with words, st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.caption(f"{notice} :gray[{1000 * (time.perf_counter() - started):.0f} ms.]", width="stretch")
        page.downloads(chart, f"{card.slug}-cone")
    words.caption(
        f"{SAYS.get(kind, 'Your curve, until its last gain.')} Wide band c, narrow band 50 %, line: as much"
        " again; dashed: what came."
    )


def amount(value: float) -> str:
    """Three significant digits, and no powers of ten where whole numbers will do."""
    return f"{value:,.0f}" if 100 <= value < 1e7 else f"{value:.3g}"


def covered(shown: looking.Seen, kind: str, film: Film, made: str, seeds: int) -> None:
    """How often the interval covers at every confidence, by how the stop is chosen."""
    st.markdown("##### Does it cover as often as it says?")
    chart = (
        calibration_of(kind, made, page.scheme())
        if kind
        else calibration_chart(looking.calibration(shown), "importance", page.palette())
    )
    law = LAW_NAMES[looking.by_construction(kind)] if kind else LAW_NAMES["importance"]
    cost = f"n = {seeds} seeds, recorded" if kind else "this one curve"
    notice = f"Below the grey line it promises too much. What is true {MARK} ({law}) supports nothing."
    notice += " A fixed step is one stop a curve, too few for a band." if kind else ""
    page.figure(chart, f"{card.slug}-calibration", notice, cost, moving=True)


@st.cache_resource(max_entries=16, show_spinner=False)
def calibration_of(kind: str, made: str, scheme: str) -> charts.Chart:
    """The chart of a kind of the recorded run, kept."""
    film = evidence.recorded(card.slug)[1]
    return calibration_chart(
        looking.calibrations(film, kind), looking.by_construction(kind), charts.PALETTES[scheme]
    )


def calibration_chart(
    found: dict[str, np.ndarray], constructed: str, palette: charts.Palette
) -> charts.Chart:
    """Share covered over confidence, beside the diagonal."""
    lines = {"as promised": Line("baseline", LEVELS)}
    for stops, values in found.items():
        # one stop a curve: its band would hide the others
        shown = values.mean(0) if stops == "fixed" else values
        lines[f"{LAW_NAMES[stops]}{f', {MARK}' * (stops == constructed)}"] = Line(
            role_of(stops, constructed), shown
        )
    limits = {"x_domain": (0.0, 1.0), "y_domain": (0.0, 1.0), "y_format": ".0%"}
    return charts.curves(LEVELS, lines, "confidence c", "share covered", palette=palette, **limits)


def role_of(stops: str, constructed: str) -> str:
    """The colour of a law of stopping: what is true by construction is the bound,
    whichever law that is.
    """
    swap = {constructed: "importance", "importance": constructed}
    return LAW_ROLES[swap.get(stops, stops)]


@st.fragment
def equal_ages() -> None:
    """Two features, and what the rule makes of their ages."""
    st.markdown("##### At equal ages it cannot re-rank")
    equal = st.toggle("Equal ages", key=f"{card.slug}-equal", bind="query-params", help="B is as old as A.")
    left, right = st.columns(2, gap="small")
    with left:
        rates = [settings.control(card.slug, CopernicanView.setting(name)) for name in ("rate_a", "rate_b")]
    with right:
        ages = [settings.control(card.slug, CopernicanView.setting(name)) for name in ("age_a", "age_b")]
    ages = [ages[0], ages[0]] if equal else ages
    gains = [rate * age for rate, age in zip(rates, ages, strict=True)]
    to_come = intervals.remaining(np.array(gains))
    by_rate, by_rule = (
        np.argsort(-np.array(rates), kind="stable"),
        intervals.ranking(np.array(rates), np.array(ages)),
    )
    table = {
        "feature": ["A", "B"],
        "age": [str(age) for age in ages],
        "gained so far": [f"{gain:.2f}" for gain in gains],
        "predicted to come": [f"{value:.2f}" for value in to_come],
        "rank by rate": [str(int(np.flatnonzero(by_rate == place)[0]) + 1) for place in range(2)],
        "rank by prediction": [str(int(np.flatnonzero(by_rule == place)[0]) + 1) for place in range(2)],
    }
    st.table(table, hide_index=True)
    changed = not np.array_equal(by_rate, by_rule)
    why = (
        "rate · age is the past again, in proportion to the rate."
        if ages[0] == ages[1]
        else "what is older is predicted to go on for longer."
    )
    st.caption(
        f"The prediction {'**turns the ranking round**' if changed else 'leaves the ranking as it is'}: {why}"
    )


def draw(film: Film, cost: str) -> None:
    """A run under way: what has been measured so far."""
    frames = {frame.part: frame for frame in film}
    lives = frames["lives"].simulated[:, :, -1]
    bars = [
        bar(
            INSPECTED[way],
            lives[:, LIVES.index(("exponential", way))],
            "oracle" if way in TRUE_BY_CONSTRUCTION else "idea",
        )
        for way in INSPECTIONS
    ]
    kinds = [kind for kind in KINDS if kind in frames]
    if kinds:
        column = METHODS.index("copernican"), MEASURES.index("coverage")
        found = [
            bar(
                f"{SHORT[kind]}, {LAW_NAMES[stops]}",
                frames[kind].measured[:, STOPS.index(stops), *column],
                role_of(stops, looking.by_construction(kind)),
            )
            for kind in kinds
            for stops in ("time", "improving")
        ]
        chart = charts.bars_with_intervals(
            found, "share covered", page.palette(), x_format=".0%", x_domain=(0.0, 1.0)
        )
        page.figure(
            chart,
            f"{card.slug}-live-curves",
            f"Real curves; the interval promises {config.confidence:.0%}. For epochs, any step is true"
            f" {MARK}.",
            cost,
        )
    done = [learner for learner in LEARNERS if learner in frames]
    if done:
        found = [
            bar(
                f"{LEARNER_NAMES[learner]}: {RULE_NAMES[rule]}",
                frames[learner].regret[:, place],
                RULE_ROLES[rule],
            )
            for learner in done
            for place, rule in enumerate(RULES)
        ]
        chart = charts.bars_with_intervals(
            found, "regret, share of the score", page.palette(), x_format=".1%"
        )
        page.figure(chart, f"{card.slug}-live-learners", "Less is better; equal fits in each learner.", cost)
    chart = charts.bars_with_intervals(
        bars, "share covered", page.palette(), x_format=".0%", x_domain=(0.0, 1.0)
    )
    page.figure(
        chart,
        f"{card.slug}-live-lives",
        f"Exponential lives, simulated. The first two are true {MARK}.",
        cost,
    )


def bar(name: str, values: np.ndarray, role: str) -> Bar:
    """A mean share over seeds with its interval, which ends where a share does."""
    found = tables.interval(values)
    low, high = (max(0.0, found.low), min(1.0, found.high)) if len(values) > 1 else (found.low, found.high)
    return Bar(name, found.mean, low, high, role)


def answer(command: str) -> None:
    """Beyond the claims: when it covers, whether it beats extrapolation, what the
    learners lose, and why to use it.
    """
    rows = evidence.rows(card.slug)
    found = tables.covers(rows)
    n = found[0].asked.n
    note = (
        f"95 % intervals over n = {n} seeds, widened because seeds draw from the same data sets, and not"
        " corrected for their number."
    )
    st.markdown("##### When does the 95 % interval cover?")
    table = {"curves": [SHORT[kind] for kind in dict.fromkeys(item.kind for item in found)]}
    for stops in STOPS:
        table[f"{LAW_NAMES[stops]}, %"] = [
            percent(item.asked) + f" ({MARK})" * item.constructed for item in found if item.stops == stops
        ]
    st.table(table, hide_index=True)
    any_step = found[0]
    st.caption(
        f"Share of stops whose future lay in the interval; {note} At any step, of the first five kinds, the"
        f" 50 % interval covers {percent(any_step.half)} %, and {any_step.over:.0%} of the 95 % interval's"
        f" misses promised too much. {tables.censored(rows):.0%} of the training runs had no usable best"
        " epoch, mostly the budget's last, and are left out."
    )
    st.markdown("##### And of simulated lives?")
    alive = tables.lives(rows)
    table = {
        "lifetimes": [law.replace("lognormal", "log-normal").replace("pareto", "Pareto") for law in LAWS]
    }
    for way in INSPECTIONS:
        head = f"{INSPECTED[way]}{f' ({MARK})' * (way in TRUE_BY_CONSTRUCTION)}"
        table[head] = [
            f"{100 * alive[law, way].mean:.1f}" if (law, way) in alive else "none lasts" for law in LAWS
        ]
    st.table(table, hide_index=True)
    widest = max(item.high - item.low for item in alive.values())
    st.caption(
        "Per cent covered by the 95 % interval, mean lifetime 1, 20,000 lives a seed; the widest of the"
        f" intervals is {100 * widest:.1f} points."
    )
    st.markdown("##### Does it ever beat plain extrapolation?")
    contests = tables.contests(rows)
    for stops in ("time", "improving"):
        scores(stops, [item for item in contests if item.stops == stops])
    st.caption(
        f"Interval scores, less is better; {note} ▲ Copernican is surely better than this rival, ▼ surely"
        " worse, corrected for all comparisons. An interval from a hundredth to a hundred times the past"
        f" says nothing and scores {tables.reasons(rows).nothing:.1f}. Fits know this curve and its budget;"
        " their intervals take residuals for independent, which they are not. Others: the other curves of"
        " the seed. The last column knows the curve itself and is no rival."
    )
    st.markdown("##### What do the learners lose?")
    learned = tables.regrets(rows)
    table = {
        "learner": [LEARNER_NAMES[learner] for learner in learned],
        "fits a problem": [f"{found['copernican'][2]:.4g}" for found in learned.values()],
    }
    for rule in RULES:
        table[f"{RULE_NAMES[rule]}, points"] = [charts.percent(found[rule][0]) for found in learned.values()]
    st.table(table, hide_index=True)
    st.caption(
        "Regret: how far below the best of all rules, and of one that may look at the test part, at as many"
        f" fits; points of variance explained, of the cut points of accuracy. {note} Cross-validation pays"
        " for its fits; plain rule: in turn, the oldest features, in turn."
    )
    why(tables.reasons(rows))
    st.code(command, language="bash", wrap_lines=True)


def scores(stops: str, found: list[tables.Contest]) -> None:
    """The scores of every method at one kind of stop."""
    st.markdown(f"**Stopped {LAW_NAMES[stops]}**")
    table = {
        "curves": [
            SHORT[item.kind] + f" ({MARK})" * ((item.kind, stops) in tables.CONSTRUCTED) for item in found
        ]
    }
    for method in METHODS:
        cells = []
        for item in found:
            sign = " ▲" if method in item.beaten else " ▼" if method in item.lost else ""
            score = item.scores.get(method)
            cells.append(
                charts.with_interval(score.mean, score.low, score.high) + sign
                if score and applies(item.kind, method)
                else "–"
            )
        table[NAMES[method]] = cells
    st.table(table, hide_index=True)


def why(found: tables.Reasons) -> None:
    """The answer to "why use this?", in numbers."""
    st.markdown("##### Why use this?")
    better = [LEARNER_NAMES[learner] for learner in LEARNERS if found.validated[learner].high < 0]
    placebo = [LEARNER_NAMES[learner] for learner in LEARNERS if found.shuffled[learner].high < 0]
    differences = ", ".join(
        f"{LEARNER_NAMES[learner]} {charts.percent(found.validated[learner])}" for learner in LEARNERS
    )
    gap = charts.with_interval(found.gap.mean, found.gap.low, found.gap.high)
    alone = all(item.high < 0 for item in found.alone.values())
    guess = (
        "Not for"
        if not alone
        else "For"
        if found.improving.high < found.nothing
        else "Rather than a fit, but hardly for"
    )
    fits = " and ".join(
        f"{charts.with_interval(item.mean, item.low, item.high)} against the {NAMES[fit]}"
        for fit, item in found.alone.items()
    )
    holds = found.covered.low >= 0.92 and found.covered.high <= 0.98
    says = [
        (
            f"**{guess} a first guess at a curve that still improves and of which nothing else is known.**"
            f" There its score differs by {fits}, less being better. An interval from a hundredth to a"
            f" hundred times the past, which says nothing, scores {found.nothing:.1f} there, and Gott's"
            f" {charts.with_interval(found.improving.mean, found.improving.low, found.improving.high)}. Of"
            f" all {found.cells} comparisons with a rival at stops that are not true {MARK} it surely wins"
            f" {found.beaten}, {found.doubled} of them against doubling, and surely loses {found.lost}."
        ),
        (
            f"**{'For' if holds else 'Not for'} its confidence.** At any step the 95 % interval covers"
            f" {percent(found.covered)} % of the time. The quantiles of a handful of other curves of the kind"
            f" score {gap} less{': use those when you have them' if found.gap.low > 0 else ''}."
        ),
        (
            f"**{'For ' + ', '.join(better) if better else 'Not for choosing'}.** Its regret minus that of"
            f" cross-validation at as many fits, in points: {differences}. Real ages surely beat shuffled"
            f" ones in {len(placebo)} of {len(LEARNERS)} learners{': ' * bool(placebo)}{', '.join(placebo)}."
        ),
    ]
    st.markdown("\n".join(f"- {each}" for each in says))


def percent(interval: object) -> str:
    """A share with its interval, in per cent; what lies beyond 0 and 100 no share can
    be.
    """
    return charts.with_interval(
        *(100 * min(1.0, max(0.0, value)) for value in (interval.mean, interval.low, interval.high))
    )


what_to_do = (
    "Drag the stop: what is past says, by Gott's rule, how much is still to come. The dashed line is what"
    " came."
)
choices = {"curve": list(CURVES), "equal": ("true", "false", "True", "False")}
act = page.intro(card, what_to_do, CopernicanConfig, CopernicanView, choices=choices)
if act == "Play":
    play()
elif act == "Train":
    picture, controls = st.columns([3, 1], gap="medium")
    with controls:
        config, seeds = settings.ask(card.slug, CopernicanConfig)
    with picture:
        st.caption("About five seconds a seed on one core.")
        training.live(card, subject, config, seeds, draw)
elif act == "Answer":
    if found := evidence.answer(card, subject):
        answer(found["command"])
else:
    formulas = {
        "The interval": intervals.interval,
        "The score of an interval": intervals.interval_score,
        "Which steps are looked at": forecasts.weights,
        "Rivals: fits to what is visible": forecasts.fitted_futures,
        "Boosting in groups": learners.groups_of_columns,
        "Adding features": learners.adding,
        "A PCA cut": learners.cut,
        "Where a spectrum ends": growth.spectrum,
    }
    page.read(card, subject.prior_work, formulas)
