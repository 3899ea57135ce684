"""Mixing in feature space: a desk to mix two pictures on, three experiments, and what
share of the benefit is the soft label.
"""

import time
from typing import Any

import numpy as np
import streamlit as st

from mlcv_explore import charts, idea
from mlcv_explore.charts import Bar, Line, images, percent
from mlcv_explore.config import Config, setting
from mlcv_explore.data.gallery import photographs
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Film
from mlcv_explore.ideas.feature_mixing import (
    ARMS,
    COARSE_ARMS,
    CORE,
    PASTE_ARMS,
    PASTE_MEASURES,
    PROBE_ARMS,
    FeatureMixingConfig,
    desk,
    mixing,
    pasting,
    pretraining,
)
from mlcv_explore.ideas.feature_mixing import evidence as tables
from mlcv_explore.ideas.feature_mixing import idea as subject
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.statistics import Interval, t_interval
from mlcv_explore.ui import evidence, inputs, page, settings, training

WORLDS = {"Scenes": "scenes", "Digits": "digits"}
MODES = ("sum", "convex", "extrapolate", "object", "rectangle")
SOURCES = ("Test set", "Gallery", "Upload")
TILE = 192  # pixels of a picture on the desk
SMALL = 64  # of a neighbour
NAMES = {
    "plain": "Neither (plain)", "soft": "Soft label alone", "mixed": "Mixed features alone", "both": "Features and labels",
    "smoothing": "Label smoothing, λ/(1 + λ)", "separate": "The same images one by one", "scrambled": "Unrelated partner's label",
    "input_mixup": "Input mixup", "cutmix": "CutMix", "manifold": "Manifold mixup", "oracle": "All labels",
    "paste_none": "Nothing pasted", "paste_object": "Object in features", "paste_rectangle": "Rectangle of its area",
    "paste_patch": "Patch of any area", "paste_image": "Object in the picture", "paste_scrambled": "Another object's mask",
    "paste_oracle": "Eight times the scenes",
    "probe_pixels": "Raw pixels", "probe_random": "Untaught encoder", "probe_unjittered": "No jitter", "probe_jitter": "Jittered pixels",
    "probe_noise": "Noise on features", "probe_mixed": "A little of another's features", "probe_both": "Pixels and features",
    "probe_supervised": "Taught by all labels",
}  # fmt: skip
ROLES = {
    "plain": "baseline", "soft": "variant", "mixed": "variant", "both": "idea", "smoothing": "other", "separate": "control",
    "scrambled": "control", "input_mixup": "other", "cutmix": "other", "manifold": "other", "oracle": "oracle",
    "paste_none": "baseline", "paste_object": "idea", "paste_rectangle": "control", "paste_patch": "other", "paste_image": "other",
    "paste_scrambled": "control", "paste_oracle": "oracle",
    "probe_pixels": "baseline", "probe_random": "control", "probe_unjittered": "control", "probe_jitter": "other", "probe_noise": "variant",
    "probe_mixed": "idea", "probe_both": "variant", "probe_supervised": "oracle",
}  # fmt: skip
SHORT = {"plain": "neither", "soft": "soft label", "mixed": "features", "both": "both"}
SCALINGS = {"sum_to_one": "divided by the sum", "softmax": "softmax, T = 1", "argmax": "the largest alone"}
STARTS = {
    "random": "at random",
    "autoencoder": "as an autoencoder",
    "rotation": "by rotations",
    "contrastive": "by contrast",
}


class FeatureMixingView(Config):
    """What is asked of the desk; nothing of it is trained."""

    first: int = setting(1, "First picture", low=1, high=desk.TESTED, step=1)
    second: int = setting(2, "Second picture", low=1, high=desk.TESTED, step=1)
    mixture: int = setting(
        2,
        "Images, m",
        low=1,
        high=desk.MOST_IMAGES,
        step=1,
        help="More than two: the next test pictures join, sharing λ.",
    )
    area: float = setting(
        0.25,
        "Rectangle's area",
        low=0,
        high=1,
        step=0.05,
        help="Share of the picture; at 0 nothing is pasted.",
    )
    place: float = setting(
        0.5,
        "Rectangle's place",
        low=0,
        high=1,
        step=0.05,
        help="From the upper left to the lower right corner.",
    )


card = idea.card("feature_mixing")


@st.fragment
def play() -> None:
    """The desk: choose, mix, look."""
    left, right = st.columns([1, 3], gap="large")
    with left:
        world = st.segmented_control(
            "Pictures",
            list(WORLDS),
            default="Scenes",
            required=True,
            key=f"{card.slug}-world",
            bind="query-params",
        )
        try:
            shown = desk.shelf(WORLDS[world])
        except CheckpointError as error:
            st.error(str(error), icon=":material/error:")
            return
        how, count = ask()
    with right:
        first_place, second_place, mixed_place = st.columns(3, gap="medium")
        with first_place:
            first = choose(shown, "first")
        with second_place:
            second = choose(shown, "second")
        with mixed_place:
            if first is None or second is None:
                st.info("Their mixture appears here once both are chosen.", icon=":material/image:")
                return
            started = time.perf_counter()
            found = desk.mix(shown, first, others(shown, second, count), how)
            tell(shown, found, how, count)
        results(shown, found, how)
        st.caption(
            f":gray[{1000 * (time.perf_counter() - started):.0f} ms.] Nothing here is trained: move what you"
            " like."
        )


def ask() -> tuple[desk.How, int]:
    """How to mix, and how many."""
    mode = st.segmented_control(
        "Mode",
        MODES,
        default=MODES[0],
        required=True,
        key=f"{card.slug}-mixing",
        bind="query-params",
        wrap=True,
        help=(
            "Sum F_i + λF_j, convex over 1 + λ, extrapolate F_i + λ(F_i − F_j); or paste the second's object,"
            " or a rectangle of it."
        ),
    )
    pasting_now = mode in desk.PASTES
    area, place, weight = 0.25, 0.5, 0.5
    if mode == "rectangle":
        area = settings.control(card.slug, FeatureMixingView.setting("area"))
        place = settings.control(card.slug, FeatureMixingView.setting("place"))
    if not pasting_now:
        weight = settings.control(card.slug, FeatureMixingConfig.setting("weight"))
    depth = settings.control(card.slug, FeatureMixingConfig.setting("depth"))
    scaling, temperature, count = "sum_to_one", 1.0, 2
    if not pasting_now:
        scaling = settings.control(card.slug, FeatureMixingConfig.setting("scaling"))
        if scaling == "softmax":
            temperature = settings.control(card.slug, FeatureMixingConfig.setting("temperature"))
        count = settings.control(card.slug, FeatureMixingView.setting("mixture"))
    return desk.How(mode, weight, depth, scaling, temperature, area, place), count


def choose(shown: desk.Shelf, which: str) -> desk.Side | None:
    """One of the two pictures, and where it comes from."""
    title = which.capitalize()
    offers = SOURCES if shown.name == "scenes" else (SOURCES[0], SOURCES[2])
    source = st.segmented_control(
        f"{title} picture from",
        offers,
        default=SOURCES[0],
        required=True,
        key=f"{card.slug}-{which}-source",
        bind="query-params",
        wrap=True,
    )
    if source == SOURCES[0]:
        number = settings.control(card.slug, FeatureMixingView.setting(which))
        side, words = desk.of_test(shown, number - 1), ""
    elif source == SOURCES[1]:
        name = st.selectbox(
            "Photograph",
            list(photographs()),
            key=f"{card.slug}-{which}-photograph",
            bind="query-params",
            filter_mode=None,
        )
        chosen = inputs.gallery_image(name)
        side, words = seen(shown.name, chosen.digest, chosen.pixels), f"{chosen.description}. "
    else:
        chosen = inputs.upload(f"{card.slug}-{which}-upload", f"{title} image of your own")
        if chosen is None:
            return None
        side, words = seen(shown.name, chosen.digest, chosen.pixels), f"{chosen.description}. "
    st.image(tile(side.picture, TILE), width=TILE, alt=f"{title} picture. {words}", output_format="PNG")
    known = (
        f"It is: {shown.classes[side.label]}."
        if side.label is not None
        else "As the desk sees it; its object is guessed."
    )
    st.caption(f"{words}{known}")
    return side


@st.cache_resource(max_entries=50, show_spinner=False)
def seen(world: str, digest: str, _pixels: np.ndarray) -> desk.Side:
    """A photograph as a desk sees it."""
    return desk.of_photograph(desk.shelf(world), _pixels)


def others(shown: desk.Shelf, second: desk.Side, count: int) -> tuple[desk.Side, ...]:
    """The partners: none, the second picture, or it and the next test pictures."""
    number = int(st.session_state.get(f"{card.slug}-second", 2))
    more = [desk.of_test(shown, (number + step) % desk.TESTED) for step in range(count - 2)]
    return (second, *more)[: count - 1]


def tell(shown: desk.Shelf, found: desk.Mixture, how: desk.How, count: int) -> None:
    """The mixture as a picture, and in words what it is."""
    st.markdown("**Mixed, decoded**")
    st.image(
        tile(found.picture, TILE),
        width=TILE,
        alt="The mixed feature, decoded back to a picture",
        output_format="PNG",
    )
    doubts = [shown.classes[label] for label, guess in zip(found.labels, found.guessed, strict=True) if guess]
    says = [f"The network takes {' and '.join(doubts)} for the upload's class."] if doubts else []
    if found.pasted is not None and not found.pasted.any():
        says.append("The mask is empty: nothing is pasted, and the mixture is the first picture itself.")
    if count == 1:
        says.append("With m = 1 nothing is mixed.")
    if how.depth == 0:
        says.append("At depth 0 pixels are mixed; what leaves 0 to 1 is cut for the eye.")
    st.caption(
        " ".join(says) or f"Decoded from depth {how.depth} by a decoder that was taught real features only."
    )


def results(shown: desk.Shelf, found: desk.Mixture, how: desk.How) -> None:
    """Labels, map, neighbours."""
    bars, plane = st.columns([2, 3], gap="large")
    with bars:
        st.markdown("##### What is asked for, and what is said")
        chart = charts.shares(
            shown.classes,
            {"asked for": ("idea", found.label), "said": ("baseline", found.said)},
            page.palette(),
        )
        page.figure(
            chart,
            f"{card.slug}-labels-{shown.name}",
            "Blue: asked for in training. Grey: said of the mixture.",
            "live",
            moving=True,
        )
    with plane:
        st.markdown(f"##### Where it lies among the features of depth {how.depth}")
        page.figure(
            on_the_map(shown, found, how),
            f"{card.slug}-map-{shown.name}-{how.depth}",
            map_notice(shown, found, how),
            "live",
            moving=True,
        )
    neighbours(shown, found)


def on_the_map(shown: desk.Shelf, found: desk.Mixture, how: desk.How) -> charts.Chart:
    """The fitted map, the two pictures, the mixture, and its way as λ moves."""
    laid_out = desk.fitted(shown.name, how.depth)
    labels = shown.mapped.labels
    names = np.array(shown.classes, dtype=object)[labels]
    groups = np.full(len(labels), "", dtype=object)
    partner = found.labels[1] if len(found.labels) > 1 else None
    if partner is not None:
        groups[labels == partner] = "other"
    groups[labels == found.labels[0]] = "variant"
    here = {
        "first": (*found.ends[0].tolist(), "variant"),
        **({"second": (*found.ends[1].tolist(), "other")} if partner is not None else {}),
        "mixed": (*found.place.tolist(), "idea"),
    }
    titles = {"variant": shown.classes[found.labels[0]]} | (
        {"other": shown.classes[partner]} if partner not in (None, found.labels[0]) else {}
    )
    return charts.points(
        laid_out.coordinates, names, groups, page.palette(), trail=found.trail, here=here, names=titles
    )


def map_notice(shown: desk.Shelf, found: desk.Mixture, how: desk.How) -> str:
    """How far it is from real features, and how good the map is."""
    median, late = desk.map_error(shown.name, how.depth)
    way = "The line is its way as λ goes from 0 to 2. " if len(found.trail) else ""
    return (
        f"{way}Its fifth nearest training feature is **{found.distance:.2f} times** as far as a test"
        f" picture's, farther than that of **{found.novelty_percentile:.0%}** of the training features. New points"
        f" are placed by five neighbours, in the median {median:.1%} of the map's width from UMAP's own, nine"
        f" in ten within {late:.1%}."
    )


def neighbours(shown: desk.Shelf, found: desk.Mixture) -> None:
    """The training pictures whose features are nearest."""
    st.markdown("##### Nearest training pictures")
    pictures = [enlarged(shown.mapped.images[place].transpose(1, 2, 0), SMALL) for place in found.nearest]
    row = images.grid(np.stack(pictures), len(pictures), gap=6, paper=page.palette().background)
    told = ", ".join(shown.classes[shown.mapped.labels[place]] for place in found.nearest)
    st.image(images.png(row), alt=f"Nearest training pictures: {told}", output_format="PNG")
    st.caption(f"{told}.")


def tile(picture: np.ndarray, size: int) -> bytes:
    """A picture (C, side, side) in [0, 1] as PNG, its pixels enlarged to about `size`."""
    return images.png(enlarged(np.rint(255 * picture.transpose(1, 2, 0)).astype(np.uint8), size))


def enlarged(picture: np.ndarray, size: int) -> np.ndarray:
    """(side, side, C) uint8 as (size, size, 3), every pixel a square."""
    coloured = picture if picture.shape[-1] == 3 else np.repeat(picture, 3, axis=-1)
    return images.enlarged(coloured, size // picture.shape[0])


def example() -> None:
    """The document's own example of the scaling."""
    st.markdown("##### Why the scaling matters: the author's own example")
    found = desk.worked_example()
    table: dict[str, list[str]] = {"y_i + 0.5·y_j, four classes": [SCALINGS[name] for name in found]}
    for place in range(4):
        table[f"class {place + 1}"] = [f"{label[place]:.3f}" for label in found.values()]
    st.table(table, hide_index=True)
    st.caption(
        "The image is of class 3, its partner of class 2. The softmax leaves 0.157 to each class that neither"
        " has: even at λ = 0 it is label smoothing of 0.70 for four classes and of 0.85 for ten."
    )


def draw(film: Film, cost: str) -> None:
    """What a run under way shows, by what it has."""
    shown = [frame for frame in film if frame.stage == "mixing"]
    if shown:
        mixing_so_far(film, shown, cost)
    if any(frame.stage == "paste" for frame in film):
        bars = [
            bar(
                f"{NAMES[arm]}: {'classified' if measure == 'accuracy' else 'boxed'}",
                film[-1].pasted[:, place, index],
                ROLES[arm],
            )
            for place, arm in enumerate(PASTE_ARMS)
            for index, measure in enumerate(PASTE_MEASURES)
        ]
        chart = charts.bars_with_intervals(
            bars, "share of test scenes", page.palette(), x_format=".1%", x_domain=(0.0, 1.0)
        )
        page.figure(
            chart,
            f"{card.slug}-live-paste",
            "Classified right; and boxed right, with the class and an overlap of half.",
            cost,
        )
    if any(frame.stage == "contrastive" for frame in film):
        done = film[-1].probes.any(axis=0)
        bars = [
            bar(NAMES[arm], film[-1].probes[:, place], ROLES[arm])
            for place, arm in enumerate(PROBE_ARMS)
            if done[place]
        ]
        chart = charts.bars_with_intervals(
            bars, "probe's test accuracy", page.palette(), x_format=".1%", x_domain=(0.0, 1.0)
        )
        page.figure(
            chart, f"{card.slug}-live-probes", "Learned without labels, then probed with a few.", cost
        )


def mixing_so_far(film: Film, shown: list[Any], cost: str) -> None:
    """The four arms over the training, what each factor does, and some mixtures among
    the features.
    """
    accuracy = series(shown, "measured")[..., 0]
    lines = {
        SHORT[arm]: Line(ROLES[arm] if arm != "mixed" else "control", accuracy[:, :, ARMS.index(arm)])
        for arm in CORE
    }
    lines["all labels"] = Line("oracle", accuracy[:, :, ARMS.index("oracle")])
    chart = charts.curves(
        np.arange(1, len(shown) + 1),
        lines,
        "part of the training",
        "test accuracy",
        palette=page.palette(),
        y_format=".0%",
    )
    page.figure(chart, f"{card.slug}-live-accuracy", "Means and 95 % bands over seeds.", cost, moving=True)
    left, right = st.columns(2, gap="large")
    last = shown[-1].measured
    with left:
        st.markdown("##### The 2×2")
        chart = effects_chart(
            tables.effects_of({arm: last[:, ARMS.index(arm), 0].astype(float) for arm in CORE})
        )
        page.figure(chart, f"{card.slug}-live-effects", EFFECTS, cost)
    with right:
        st.markdown("##### Features, and mixtures of them")
        page.figure(
            cloud(shown[-1].cloud[0]),
            f"{card.slug}-live-cloud",
            "First seed, two leading components; digits: images, dots: mixtures.",
            cost,
        )
    bars = [bar(NAMES[arm], last[:, place, 0], ROLES[arm]) for place, arm in enumerate(ARMS)]
    chart = charts.bars_with_intervals(
        bars, "test accuracy", page.palette(), x_format=".1%", x_domain=(0.0, 1.0)
    )
    page.figure(chart, f"{card.slug}-live-arms", "Every arm so far.", cost)
    if any(frame.stage == "coarser" for frame in film):
        bars = [
            bar(
                f"Second network: {SHORT[arm.removeprefix('coarse_')]}",
                film[-1].coarse[:, place, 0],
                ROLES[arm.removeprefix("coarse_")],
            )
            for place, arm in enumerate(COARSE_ARMS)
        ]
        chart = charts.bars_with_intervals(
            bars, "test accuracy, coarse classes", page.palette(), x_format=".1%", x_domain=(0.0, 1.0)
        )
        page.figure(
            chart,
            f"{card.slug}-live-coarse",
            "Taught coarse classes on the plainly trained network's features.",
            cost,
        )


EFFECTS = "Each factor averaged over the other; below zero, the two give less together than apart."


def effects_chart(found: tables.Effects) -> charts.Chart:
    """Main effects and interaction with their intervals."""
    rows = [
        difference("mixing features", found.mixing, "idea"),
        difference("softening labels", found.soft, "variant"),
        difference("both beyond the sum", found.interaction, "control"),
        difference("both − neither", found.benefit, "idea"),
    ]
    return charts.paired_differences(rows, page.palette())


def difference(name: str, found: Interval, role: str) -> charts.Difference:
    """An effect in points."""
    return charts.Difference(
        name, *(100 * value for value in (found.mean, found.low, found.high)), (), role, unit="points"
    )


def cloud(values: np.ndarray) -> charts.Chart:
    """Some pictures' features, (n, 5), and where their mixtures lie."""
    real, labels, mixtures = values[:, :2], values[:, 2].astype(int).astype(str), values[:, 3:]
    places = np.concatenate([real, mixtures])
    texts = [*labels, *["·"] * len(mixtures)]
    groups = [*[""] * len(real), *["idea"] * len(mixtures)]
    return charts.points(places, texts, groups, page.palette(), names={"idea": "mixtures"}, height=300)


def bar(name: str, values: np.ndarray, role: str) -> Bar:
    """A mean share over seeds with its interval, which ends where a share does."""
    found = t_interval(values.astype(float))
    low, high = (max(0.0, found.low), min(1.0, found.high)) if found.n > 1 else (found.low, found.high)
    return Bar(name, found.mean, low, high, role)


def answer(command: str) -> None:
    """Beyond the claims: the share, the arms, what every setting does, pretraining,
    pasting, contrast.
    """
    rows = evidence.rows(card.slug)
    found, every = tables.effects(rows), tables.arms(rows)
    n = found.benefit.n
    note = f"95 % intervals over n = {n} seeds, one fixed split, not corrected for their number."
    st.markdown("##### The 2×2")
    chart = effects_chart(found)
    page.figure(chart, f"{card.slug}-effects", EFFECTS, f"n = {n} seeds", command)
    st.markdown("##### Every arm")
    table = {"arm": [NAMES[arm] for arm in ARMS]}
    table |= {
        "accuracy, %": [percent(every[arm]["accuracy"]) for arm in ARMS],
        "at the best validation, %": [percent(every[arm]["stopped"]) for arm in ARMS],
        "−log likelihood, nats": [plain(every[arm]["nll"]) for arm in ARMS],
        "calibration error, %": [percent(every[arm]["miscalibration"]) for arm in ARMS],
    }
    st.table(table, hide_index=True)
    st.caption(
        f"{note} Equal steps and batches; the last arm has every label. Soft labels keep the network from"
        " being sure, so its confidence errs low."
    )
    varied(rows, note)
    st.markdown("##### Does pretraining first matter?")
    for name, gains in tables.starts(rows).items():
        st.markdown(f"**Encoder {name}**")
        gain_table("encoder starts", gains, STARTS)
    st.caption(note)
    experiments(rows, every, note)
    example()
    st.code(command, language="bash", wrap_lines=True)


def in_short(rows: list[dict[str, Any]]) -> None:
    """The questions, answered in a sentence or two each."""
    found, every = tables.effects(rows), tables.arms(rows)
    total = f"both give {points(found.benefit)} points over neither"
    if found.alone is None:
        told = f"**No share is told**: {total}, not surely more than one."
    else:
        told = (
            f"**The soft label alone gives {percent(found.alone)} % of the benefit** (Fieller): {total}."
            f" Averaged over both orders its share is {percent(found.averaged)} %."
        )
    scaled = {gain.name: gain for gain in tables.varied(rows)["scaling"]}
    best = max(scaled.values(), key=lambda gain: gain.both.mean)
    surest = min(scaled.values(), key=lambda gain: gain.nll.mean)
    started = tables.starts(rows)["tuned"]
    most = max(started, key=lambda gain: gain.both.mean)
    way, top = max(
        ((name, gain) for name, gains in tables.starts(rows).items() for gain in gains),
        key=lambda item: item[1].plain.mean,
    )
    pasted = tables.pasted(rows)
    says = [
        told,
        (
            f"**Which scaling?** Highest accuracy: {best.name}, {percent(best.both)} %; lowest −log"
            f" likelihood: {surest.name}, {plain(surest.nll)} nats. Divided by the sum:"
            f" {percent(scaled['divided by the sum'].both)} % and {plain(scaled['divided by the sum'].nll)}"
            " nats."
        ),
        (
            f"**Does pretraining first matter?** From a start {STARTS[most.name]} mixing ends at"
            f" {percent(most.both)} %, from one {STARTS['random']} at {percent(started[0].both)} %; the"
            f" benefit of mixing is {points(most.benefit)} and {points(started[0].benefit)} points. Without"
            f" any mixing the best start is {STARTS[top.name]}, {way}: {percent(top.plain)} %."
        ),
        (
            f"**Likelihood.** Both: {plain(every['both']['nll'])} nats; soft label alone:"
            f" {plain(every['soft']['nll'])}; neither: {plain(every['plain']['nll'])}."
        ),
        (
            f"**Copy-paste?** A classifier of scenes comes from {percent(pasted['paste_none']['accuracy'])}"
            f" to {percent(pasted['paste_object']['accuracy'])} % with objects pasted into features, and to"
            f" {percent(pasted['paste_image']['accuracy'])} % with objects pasted into pictures."
        ),
    ]
    st.markdown("\n".join(f"- {each}" for each in says))


def varied(rows: list[dict[str, Any]], note: str) -> None:
    """What every setting does to the 2×2."""
    st.markdown("##### One setting at a time")
    for title, gains in tables.varied(rows).items():
        gain_table(title, gains)
    st.caption(
        f"{note} The other settings at their defaults. A share of the benefit is told where that is surely"
        " above a point."
    )


def gain_table(title: str, gains: list[tables.Gain], names: dict[str, str] | None = None) -> None:
    """The 2×2, one row a setting."""
    table = {title: [(names or {}).get(gain.name, gain.name) for gain in gains]}
    table |= {
        "neither, %": [percent(gain.plain) for gain in gains],
        "both, %": [percent(gain.both) for gain in gains],
        "both − neither, points": [points(gain.benefit) for gain in gains],
        "soft label alone": [points(gain.soft) for gain in gains],
        "features alone": [points(gain.mixed) for gain in gains],
        "share of the soft label, %": ["–" if gain.share is None else percent(gain.share) for gain in gains],
        "both: −log likelihood": [plain(gain.nll) for gain in gains],
    }
    st.table(table, hide_index=True)


def experiments(rows: list[dict[str, Any]], every: dict[str, dict[str, Interval]], note: str) -> None:
    """The second network, pasting and contrast."""
    st.markdown("##### Fed into another network, for a coarser task")
    table = {"second network taught on": [SHORT[arm.removeprefix("coarse_")] for arm in COARSE_ARMS]}
    table |= {
        "accuracy, %": [percent(every[arm]["accuracy"]) for arm in COARSE_ARMS],
        "−log likelihood, nats": [plain(every[arm]["nll"]) for arm in COARSE_ARMS],
    }
    st.table(table, hide_index=True)
    st.caption(
        f"{note} Digits by their strokes, round, straight or bent; features of the plainly trained network at"
        " depth 2."
    )
    st.markdown("##### Copy-paste in feature space")
    found = tables.pasted(rows)
    table = {"pasted": [NAMES[arm] for arm in PASTE_ARMS]}
    table |= {
        "classified, %": [percent(found[arm]["accuracy"]) for arm in PASTE_ARMS],
        "boxed, %": [percent(found[arm]["boxes"]) for arm in PASTE_ARMS],
    }
    st.table(table, hide_index=True)
    own = note.replace("one fixed split", "each with scenes of its own")
    st.caption(
        f"{own} 200 scenes, half of each batch pasted into, features of 16 × 16 cells; boxed: right class and"
        " an overlap of half."
    )
    st.markdown("##### Contrast on features")
    probed = tables.probes(rows)
    st.table(
        {
            "views differ by": [NAMES[arm] for arm in PROBE_ARMS],
            "probe, %": [percent(probed[arm]["accuracy"]) for arm in PROBE_ARMS],
        },
        hide_index=True,
    )
    st.caption(
        f"{note} 600 digits without labels, then a linear probe with ten labels a class; every jitter's"
        " strength is the best of four on validation."
    )


def points(found: Interval) -> str:
    """A difference of shares in points; without bounds where there is no width."""
    if found.low == found.high:
        return f"{100 * found.mean:g}".replace("-", "−")
    return charts.with_interval(*(100 * value for value in (found.mean, found.low, found.high)))


def plain(found: Interval) -> str:
    """A mean with its interval."""
    return charts.with_interval(found.mean, found.low, found.high)


what_to_do = (
    "Pick two pictures and move λ: their features are added inside a network, decoded back, judged, and"
    " followed over the map."
)
link = {
    "world": list(WORLDS),
    "mixing": MODES,
    "first-source": SOURCES,
    "second-source": SOURCES,
    "first-photograph": list(photographs()),
    "second-photograph": list(photographs()),
}
act = page.intro(card, what_to_do, FeatureMixingConfig, FeatureMixingView, choices=link)
if act == "Play":
    play()
    example()
elif act == "Train":
    picture, controls = st.columns([3, 1], gap="medium")
    with controls:
        config, seeds = settings.ask(card.slug, FeatureMixingConfig)
    with picture:
        st.caption("Mixing takes about three seconds a seed, contrast four, pasting a minute.")
        training.live(card, subject, config, seeds, draw)
elif act == "Answer":
    if evidence.study(card.slug):
        in_short(evidence.rows(card.slug))
    if found := evidence.answer(card, subject):
        answer(found["command"])
else:
    formulas = {
        "Mixed features": mixing.mixed,
        "Soft labels": mixing.soft_labels,
        "Matched label smoothing": mixing.smoothed,
        "Pasting": mixing.pasted,
        "Labels after pasting": pasting.visible_labels,
        "What views are compared by": pretraining.contrastive_loss,
    }
    page.read(card, subject.prior_work, formulas)
