"""Hierarchical representation: one digit on its way up the levels and back; train the
wirings; what own targets are worth.
"""

import time
from typing import Any

import numpy as np
import streamlit as st

from mlcv_explore import charts, idea
from mlcv_explore.charts import Line, images, percent, with_interval
from mlcv_explore.config import Config, setting
from mlcv_explore.data import drawings
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_representation import (
    ARMS,
    LEARNERS,
    MAPPED,
    ROLES,
    SHADES,
    HierarchicalRepresentationConfig,
    depth_curve,
    learners,
    levels,
    looking,
    loss_curves,
)
from mlcv_explore.ideas.hierarchical_representation import evidence as tables
from mlcv_explore.ideas.hierarchical_representation import idea as subject
from mlcv_explore.ideas.hierarchical_representation import training as course
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.ui import evidence, inputs, page, settings, training

SOURCES = ("Digit", "Draw", "Upload")  # as the link names them
SCALE = 9  # of a pixel of a digit: four digits side by side on a phone
LAID_OUT = 350  # of a map's digits
NAMES = {
    "global": "one global loss",
    "greedy_code": "own targets: greedy, code below",
    "greedy_pixels": "own targets: greedy, pixels",
    "joint_code": "joint own losses, code below",
    "joint_pixels": "joint own losses, pixels",
    "both_code": "global and own, code below",
    "both_pixels": "global and own, pixels",
    "committed": "as committed",
    "denoising": "denoising autoencoder",
    "contrastive": "contrastive",
    "pca": "PCA",
    "kmeans": "k-means",
    "random": "random encoder",
    "supervised": "supervised, all labels",
    "pixels": "raw pixels",
    "autoencoder": "autoencoder",
}
WHEN = {  # what was varied, as the evidence names it → in words
    "epochs 10": "after 10 epochs",
    "as declared": "after 40",
    "epochs 200": "after 200",
    "levels 5": "at the fifth of five levels, after 40,",
    "width 16": "at half the width",
    "width 64": "at twice the width",
}
BLOCKS = {"encoder": "up", "own decoder": "own", "way down": "down"}
CURVES = ("supervised", "greedy_code", "greedy_pixels", "global", "random")  # what a run's curves show


class HierarchicalRepresentationView(Config):
    """What the Play act shows; nothing of it is trained."""

    item: int = setting(5, "Test digit", low=1, high=100, step=1, help="Nothing was learned from these.")
    arm: str = setting(
        "greedy_code",
        "Wiring or learner",
        choices=looking.PLAYED,
        help="How the levels that are shown were trained.",
    )


card = idea.card("hierarchical_representation")


@st.fragment
def play() -> None:
    """A digit, and what every level makes of it."""
    left, right = st.columns([2, 5], gap="large")
    with left:
        try:
            mind = looking.mind()
        except CheckpointError as error:
            st.error(str(error), icon=":material/error:")
            return
        source = st.segmented_control(
            "What goes in",
            SOURCES,
            default=SOURCES[0],
            required=True,
            key=f"{card.slug}-source",
            bind="query-params",
            wrap=True,
        )
        values, truth = chosen(mind, source)
        arm = settings.control(card.slug, HierarchicalRepresentationView.setting("arm"))
        st.caption(f"{NAMES[arm][0].upper()}{NAMES[arm][1:]}. {SAYS[arm]}")
    with right:
        if values is not None:
            looked_at(mind, values, truth, arm)
    standing(arm)


def chosen(mind: looking.Mind, source: str) -> tuple[np.ndarray | None, int | None]:
    """A digit (8, 8) in [0, 1] and its class where that is known; None while there is
    none.
    """
    if source == "Digit":
        item = settings.control(card.slug, HierarchicalRepresentationView.setting("item")) - 1
        return mind.digits.images[item, 0] / 255, int(mind.digits.labels[item])
    found = drawn() if source == "Draw" else uploaded()
    return found, None


def drawn() -> np.ndarray | None:
    """What the visitor draws, counted in blocks as the digits were."""
    return inputs.draw_digit(f"{card.slug}-canvas", looking.SIDE)


def uploaded() -> np.ndarray | None:
    """A picture of one digit, cut to its ink."""
    image = inputs.upload(f"{card.slug}-upload", "A photograph of one digit")
    digit = None if image is None else drawings.digit_from_image(image.pixels)
    if image is not None and digit is None:
        st.error("This image is of one colour: there is no digit in it.", icon=":material/error:")
    return digit


def looked_at(mind: looking.Mind, values: np.ndarray, truth: int | None, arm: str) -> None:
    """What comes back from every level, and where the digit lies on each level's map."""
    started = time.perf_counter()
    found = {each: looking.seen(mind, each, values) for each in dict.fromkeys((arm, "global"))}
    milliseconds = 1000 * (time.perf_counter() - started)
    st.markdown("##### Given back from every level")
    for each, own in found.items():
        given_back(each, values, own)
    own = found[arm]
    st.markdown(f"##### Where it lies among {LAID_OUT} training digits")
    for level, place in enumerate(st.columns(mind.count, gap="small")):
        with place:
            layout(mind, arm, level, own, truth)
    st.caption(
        "A map (UMAP) of the 12 leading components of each level's codes; the digit lies between its five"
        " nearest training digits. Distances on a map are not distances between codes."
        f" :gray[{milliseconds:.0f} ms.]"
    )


def given_back(arm: str, values: np.ndarray, own: looking.Seen) -> None:
    """A row of pictures: what goes in, and what each level gives back."""
    st.markdown(f"**{NAMES[arm]}**")
    with st.container(horizontal=True, gap="small"):
        tile(values, "goes in", "What goes in")
        for level, (picture, error) in enumerate(zip(own.pictures, own.errors, strict=True), start=1):
            if picture is None:
                with st.container(width=SCALE * looking.SIDE):
                    st.caption(f"level {level}: no decoder was taught")
            else:
                tile(
                    picture, f"level {level}: {error:.2f}", f"What {NAMES[arm]} gives back from level {level}"
                )


def tile(values: np.ndarray, words: str, alt: str) -> None:
    """One digit with a line under it."""
    shown = images.enlarged(images.amounts(np.clip(values, 0, 1), page.palette()), SCALE)
    with st.container(width=SCALE * looking.SIDE, gap="small"):
        st.image(images.png(shown), width=SCALE * looking.SIDE, alt=alt, output_format="PNG")
        st.caption(words)


def layout(mind: looking.Mind, arm: str, level: int, own: looking.Seen, truth: int | None) -> None:
    """The map of one level, the digit's own class in colour."""
    alike = own.alike[level]
    asked = truth if truth is not None else max(set(alike), key=alike.count)
    labels = mind.labels[:LAID_OUT]
    x, y = own.places[level]
    chart = charts.points(
        mind.maps[arm, level].coordinates[:LAID_OUT],
        [str(label) for label in labels],
        ["idea" if label == asked else "" for label in labels],
        page.palette(),
        here={"here": (float(x), float(y), "other")},
        height=260,
    )
    words = f"Level {level + 1}. Nearest: {' '.join(map(str, alike))}."
    strange = f" Stranger than {own.strange[level]:.0%} of them." if own.strange[level] > 0.95 else ""
    page.figure(
        chart,
        f"{card.slug}-map{level}",
        words + strange,
        f"{'every' if truth is None else 'true'} {asked} in colour",
        moving=True,
    )


def standing(arm: str) -> None:
    """Probes over depth, and where gradients reach."""
    left, right = st.columns(2, gap="large")
    found = evidence.recorded(card.slug)
    with left:
        st.markdown("##### How easily digits are read from every level")
        if found is None:
            st.info("No run is recorded yet: `python -m mlcv_explore record hierarchical_representation`.")
        else:
            run, film = found
            cost = f"n = {len(run.seeds)} seeds · recorded{'' if run.current else ' by an earlier version'}"
            shown = ("supervised", *dict.fromkeys(("global", arm)), "random")
            command = page.command(card.slug, subject.config(**run.config), run.seeds)
            notice = "A probe with ten labels a class on 12 components; level 0 are the pixels."
            page.figure(
                depth_curves(film[-1], tuple(dict.fromkeys(shown))),
                f"{card.slug}-depth",
                notice,
                cost,
                command,
                moving=True,
            )
    with right:
        st.markdown("##### Which loss reaches which block")
        if arm not in looking.WIRED:
            st.caption(
                "Of the wirings alone: a learner in the autoencoder's place is taught level by level, as the"
                " greedy one is."
            )
            arm = "greedy_code"
        terms, blocks, table = looking.reached(arm)
        still, every = looking.without_gradient(arm)
        with np.errstate(invalid="ignore"):
            shares = table / np.nanmax(table, axis=1, keepdims=True)
        names = [
            term.replace("level", "level ") + ("'s own" if term.startswith("level") else " loss")
            for term in terms
        ]
        titles = ("loss", "block", "gradient, of the loss's largest")
        short = [f"{BLOCKS[block[:-2]]}\n{block[-1]}" for block in blocks]
        chart = charts.heat_map(shares, names, short, titles, page.palette(), signed=False)
        never = (
            f"{still:,} of {every:,} parameters never get a gradient."
            if still
            else "Every parameter gets a gradient."
        )
        words = (
            "up: encoders, own: their own decoders, down: the way down from the top. A dash: no gradient"
            " arrives."
        )
        page.figure(
            chart,
            f"{card.slug}-reach",
            f"{NAMES[arm]}: {never} {words}",
            "one backward pass a loss",
            moving=True,
        )


def depth_curves(frame: Any, arms: tuple[str, ...]) -> charts.Chart:
    """Accuracy of a probe from the pixels up, while a run is under way or at its end."""
    return over_depth({each: depth_curve(frame, each) for each in arms}, lowest=0.4)


def over_depth(curves: dict[str, np.ndarray], lowest: float) -> charts.Chart:
    """Accuracy (S, 1 + L) of each arm from the pixels up; an arm whose role is taken is
    drawn as another method.
    """
    lines: dict[str, Line] = {}
    taken: set[str] = set()
    for arm, values in curves.items():
        lines[NAMES[arm]] = Line("other" if ROLES[arm] in taken else ROLES[arm], values)
        taken.add(ROLES[arm])
    depth = next(iter(curves.values())).shape[1] - 1
    limits = {"x_domain": (0.0, float(depth)), "y_domain": (lowest, 1.0), "y_format": ".0%"}
    chart = charts.curves(
        np.arange(depth + 1.0), lines, "level", "test accuracy of a probe", palette=page.palette(), **limits
    )
    chart.spec["encoding"]["x"]["axis"]["tickMinStep"] = 1  # there is no level and a half
    return chart


SAYS = {
    "global": "The picture goes up all levels and down again; only the far end is compared with it.",
    "greedy_code": "Each level gives back the code below it; no gradient passes between levels.",
    "greedy_pixels": "Each level gives back the pixels in one step; no gradient passes between levels.",
    "joint_code": "Own losses reach the levels below as well, which then make themselves easy to give back.",
    "joint_pixels": "Every level gives back the pixels, and its loss reaches the levels below.",
    "both_code": "The global loss, and each level gives back the code below.",
    "both_pixels": "The global loss, and each level gives back the pixels.",
    "committed": "The global loss with a ReLU on the output: below the mean it can say nothing.",
    "denoising": "Each level sees a noisy code below and gives back the clean one.",
    "contrastive": "Each level tells two views of a digit from views of others; nothing decodes.",
    "random": "The weights that all arms start from.",
    "supervised": "The same levels, taught all training labels.",
}


def draw(film: Film, cost: str) -> None:
    """A run under way: probes over depth, losses, and the first seed's codes and
    reconstructions.
    """
    last = film[-1]
    notice = f"Probes at epoch {last.probed}; level 0 are the pixels. Means and 95 % bands over seeds."
    page.figure(depth_curves(last, CURVES), f"{card.slug}-live-depth", notice, cost, moving=True)
    if len(film) > 1:
        columns = st.columns(2, gap="medium")
        for place, arm in zip(columns, MAPPED, strict=True):
            with place:
                losses(film, arm, cost)
    for arm in MAPPED:
        codes(last, arm)


def losses(film: Film, arm: str, cost: str) -> None:
    """Every loss that an arm descends, over epochs."""
    values, x = loss_curves(film, arm), series(film[1:], "step").astype(float)  # (S, T, L + 1)
    count = values.shape[2] - 1
    roles = ("idea", "variant", "other", "control", "oracle")
    named = {
        f"level {level + 1}": Line(roles[level], values[:, :, level])
        for level in range(count)
        if values[:, :, level].any()
    }
    if values[:, :, count].any():
        named["far end"] = Line("baseline", values[:, :, count])
    limits = {"x_domain": (0.0, float(film[0].steps)), "y_format": ".2f"}
    chart = charts.curves(x, named, "epoch", f"loss: {NAMES[arm]}", palette=page.palette(), **limits)
    page.figure(
        chart,
        f"{card.slug}-live-loss-{arm}",
        "Losses of different levels cannot be compared: a code has no scale.",
        cost,
        moving=True,
    )


def codes(frame: Any, arm: str) -> None:
    """The first seed's codes on two components at every level, and what comes back."""
    place = MAPPED.index(arm)
    st.markdown(f"**{NAMES[arm]}**, validation digits of the first seed")
    for level, column in enumerate(st.columns(frame.places.shape[2], gap="small")):
        with column:
            labels = frame.labels[0]
            chart = charts.points(
                frame.places[0, place, level],
                [str(each) for each in labels],
                [""] * len(labels),
                page.palette(),
                height=220,
            )
            page.figure(
                chart,
                f"{card.slug}-live-codes-{arm}{level}",
                f"Level {level + 1}, two components.",
                f"epoch {frame.step}",
                moving=True,
            )
            shown = frame.shown[0, place, level]
            if shown.any() and shown.shape[1] == 1:
                sheet = images.grid(
                    np.clip(shown[:, 0] / SHADES, -1, 2.5), len(shown), low=-1, high=2.5, scale=6, gap=3
                )
                st.image(
                    images.png(sheet),
                    alt=f"Three digits given back from level {level + 1}",
                    output_format="PNG",
                )


def answer(command: str) -> None:
    """Beyond the claims: every wiring at every depth, the learners, the committed code,
    and other settings.
    """
    rows = evidence.rows(card.slug)
    left, right = st.columns(2, gap="medium")
    for place, measure, title in (
        (left, "level", "Ten fine classes"),
        (right, "coarse", "Three coarse classes: round, straight, bent"),
    ):
        with place:
            st.markdown(f"##### {title}")
            curves = tables.by_depth(rows, measure)
            chart = over_depth({arm: curves[arm] for arm in CURVES}, lowest=0.5)
            cost = f"n = {len(curves['global'])} seeds, one fixed split"
            page.figure(chart, f"{card.slug}-answer-{measure}", "Level 0 are the pixels.", cost, command)
    depth_table(rows)
    learner_table(rows)
    committed_table(rows)
    variation_table(rows)


def in_short(rows: list[dict[str, Any]]) -> None:
    """The question's parts answered in the evidence's own numbers."""
    said = {
        name: percent(tables.arm(rows, name))
        for name in ("global", "greedy_code", "greedy_pixels", "random", "pixels", "supervised")
    }
    rise = {
        name: percent(tables.arm(rows, name, "rise")) for name in ("global", "greedy_code", "greedy_pixels")
    }
    gain, at_pixels = (
        percent(tables.difference(rows, name, "global")) for name in ("greedy_code", "greedy_pixels")
    )
    words = {name: word for name, (_, _, word) in tables.learners(rows).items()}
    grouped = {
        word: [NAMES[name] for name, own in words.items() if own == word]
        for word in ("yes, and better", "yes", "open", "no")
    }
    can = "; ".join(f"{word}: {', '.join(names)}" for word, names in grouped.items() if names)
    gained = {each.name: percent(each.gain) for each in tables.variations(rows)}
    when = "; ".join(f"{words} {gained[name]}" for name, words in WHEN.items())
    st.markdown(
        "**Do own targets make probes rise with depth more than one global loss?** From the first level to"
        f" the third accuracy changes by {rise['greedy_code']} points under own targets (greedy, code below),"
        f" by {rise['greedy_pixels']} with the pixels as every target, and by {rise['global']} under one"
        f" global loss. At the top own targets read {gain} points more than the global loss, with pixels as"
        f" targets {at_pixels}. The raw pixels, cut to 12 components, have {said['pixels']} %, the top levels"
        f" {said['greedy_code']}, {said['greedy_pixels']} and {said['global']} %, a random encoder"
        f" {said['random']} %, the supervised bound {said['supervised']} %.\n\n**When?** Points that own"
        f" targets (greedy, code below) gain over the global loss at the top: {when}.\n\n**Can any"
        f" unsupervised learner replace the autoencoder?** At the top level, {100 * tables.REPLACES:g} points"
        f" below it being too many: {can}. The assumption that each of them breaks stands in a table below."
    )


def depth_table(rows: list[dict[str, Any]]) -> None:
    """Every arm at every level."""
    fine, coarse, errors = tables.by_depth(rows), tables.by_depth(rows, "coarse"), tables.errors(rows)
    st.markdown("##### Every wiring and learner, level by level")
    table: dict[str, list[str]] = {"arm": [NAMES[arm] for arm in ARMS]}
    for level in (1, 2, 3):
        table[f"level {level}, %"] = [percent(tables.t_interval(fine[arm][:, level])) for arm in ARMS]
    table["coarse, level 1, %"] = [percent(tables.t_interval(coarse[arm][:, 1])) for arm in ARMS]
    table["coarse, level 3, %"] = [percent(tables.t_interval(coarse[arm][:, 3])) for arm in ARMS]
    table["error, level 3"] = [
        "–" if errors[arm][2] is None else with_interval(*_bounds(errors[arm][2])) for arm in ARMS
    ]
    table["updates"] = [f"{tables.arm(rows, arm, 'updates').mean:.0f}" for arm in ARMS]
    st.table(table, hide_index=True)
    st.caption(
        "Test accuracy of a probe with ten labels a class; means and 95 % intervals over n ="
        f" {len(fine['global'])} seeds, not corrected for their number. Error: of standardised pixels given"
        " back from the top. Updates: of each level's encoder; PCA and k-means are fitted in one piece."
    )


def _bounds(interval: Any) -> tuple[float, float, float]:
    return interval.mean, interval.low, interval.high


def learner_table(rows: list[dict[str, Any]]) -> None:
    """The learners, what each breaks, and whether it replaces the autoencoder."""
    found = tables.learners(rows)
    st.markdown("##### Any unsupervised learner?")
    st.table(
        {
            "learner": [NAMES["autoencoder"], *(NAMES[name] for name in LEARNERS)],
            "top level, %": [
                percent(tables.arm(rows, "greedy_code")),
                *(percent(found[name][0]) for name in LEARNERS),
            ],
            "minus autoencoder, points": ["–", *(percent(found[name][1]) for name in LEARNERS)],
            "can stand in its place": ["–", *(found[name][2] for name in LEARNERS)],
            "assumption it breaks": [learners.BREAKS[name] for name in ("autoencoder", *LEARNERS)],
        },
        hide_index=True,
    )
    st.caption(
        "All level by level, each on the code below, at equal width; those that descend, with equal updates."
    )


def committed_table(rows: list[dict[str, Any]]) -> None:
    """The author's slips one by one."""
    st.markdown("##### The code as committed")
    top, shifted, frozen, repaired = (
        tables.arm(rows, name) for name in ("committed", "committed_shifted", "committed_frozen", "global")
    )
    errors = tables.errors(rows)
    still, every = looking.without_gradient("committed")
    first = f"{still:,} of {every:,} parameters without gradient (in the author's network 93,123 of 279,494)"
    st.table(
        {
            "slip": [
                "levels' own decoders are thrown away",
                "ReLU on the output",
                "the probe's weight is frozen",
                "the probes' loop is one too low",
            ],
            "what it does here": [
                first,
                (
                    f"error {with_interval(*_bounds(errors['committed'][2]))} in place of"
                    f" {with_interval(*_bounds(errors['global'][2]))}"
                ),
                f"the top level reads {percent(frozen)} % in place of {percent(top)} %",
                f"what is told of the top level is the second: {percent(shifted)} %",
            ],
        },
        hide_index=True,
    )
    st.caption(
        f"With a linear output the same network's top level reads {percent(repaired)} %. The first slip alone"
        " changes nothing that is read."
    )


def variation_table(rows: list[dict[str, Any]]) -> None:
    """The headline under other settings."""
    st.markdown("##### With other settings?")
    found = tables.variations(rows)
    names = ("global", "greedy_code", "greedy_pixels", "pca")
    st.table(
        {
            "changed": [each.name for each in found],
            **{f"{NAMES[arm]}, %": [percent(each.accuracy[arm]) for each in found] for arm in names},
            "code below − global, points": [percent(each.gain) for each in found],
            "pixels − global, points": [percent(each.pixels) for each in found],
        },
        hide_index=True,
    )
    st.caption(
        "One setting changed at a time; top level. Redrawn splits overlap, so their interval is the wider,"
        " corrected one. Intervals are not corrected for their number."
    )


what_to_do = (
    "Pick a digit, draw one or bring one, and choose how the levels were trained: see what each level gives"
    " back and where it puts the digit."
)
act = page.intro(
    card,
    what_to_do,
    HierarchicalRepresentationConfig,
    HierarchicalRepresentationView,
    choices={"source": SOURCES},
)
if act == "Play":
    play()
elif act == "Train":
    picture, controls = st.columns([3, 1], gap="medium")
    with controls:
        config, seeds = settings.ask(card.slug, HierarchicalRepresentationConfig, seeds=5)
    with picture:
        training.live(card, subject, config, seeds, draw)
elif act == "Answer":
    if evidence.study(card.slug):
        in_short(evidence.rows(card.slug))
    if found := evidence.answer(card, subject):
        answer(found["command"])
else:
    formulas = {
        "What a wiring asks": levels.losses,
        "An error between codes": levels.misfit,
        "Where gradients reach": levels.reach,
        "InfoNCE": learners.contrast,
        "k-means as a code": learners.nearness,
        "The frozen probe": course.fitted_bias,
    }
    page.read(card, subject.prior_work, formulas)
