"""Saliency: maps of a picture side by side, doubted and tested; a classifier that reads
a tag; and what many models say.
"""

import shlex
import time
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mlcv_explore import charts, idea
from mlcv_explore.charts import Bar, Line, images
from mlcv_explore.config import Config, setting
from mlcv_explore.data import uploads
from mlcv_explore.data.gallery import photographs
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Film
from mlcv_explore.ideas.saliency import ARMS, MEASURES, RHOS, ROLES, SaliencyConfig
from mlcv_explore.ideas.saliency import evidence as tables
from mlcv_explore.ideas.saliency import idea as subject
from mlcv_explore.models import layers
from mlcv_explore.saliency import (
    METHODS,
    SaliencyError,
    SaliencySettings,
    convolutions,
    measures,
    uncertainty,
)
from mlcv_explore.saliency import methods as recipes
from mlcv_explore.saliency.scores import as_csv
from mlcv_explore.ui import attributions, evidence, inputs, page, settings, training

TILE = 220  # pixels of a map on the page, about
STUBBORN = 0.9  # rank correlation with the map of the trained network, above which a map has hardly changed
PROVISIONAL = 5.0  # times a map's own mean, the end of the scale until all maps are there
NAMES = {
    "truth": "True mask",
    "generated": "Generated",
    "single": "Best single input",
    "blind": "Sees the picture alone",
}


class SaliencyView(Config):
    """How maps are shown; nothing of it changes them."""

    scale: str = setting(
        "common",
        "Scale",
        choices=("common", "own"),
        help="Common: multiples of each map's own mean, one range for all. Own: raw.",
    )
    signs: str = setting(
        "signed",
        "Values",
        choices=("signed", "absolute"),
        help="Signed: orange speaks for the class, blue against it.",
    )
    overlay: float = setting(1.0, "Map over photograph", low=0, high=1, step=0.05, help="At 1 the map alone.")
    randomised: int = setting(
        0,
        "Layers randomised, from the top",
        low=0,
        high=60,
        step=1,
        help="A map that does not care does not show the model.",
    )
    removed: float = setting(
        0.0, "Share of pixels removed", low=0, high=1, step=0.05, help="The most salient ones first."
    )
    fill: str = setting(
        "mean",
        "Put in their place",
        choices=("mean", "blur", "noise"),
        help="The picture's mean colour, its blur, or noise like it.",
    )
    doubt: str = setting(
        "none",
        "Doubt",
        choices=("none", "draws", "seeds"),
        help="Hatched where five draws, or the seeds of the model, disagree.",
    )


SCORES = {
    "deletion": "deletion",
    "insertion": "insertion",
    "infidelity": "infidelity",
    "max_sensitivity": "sensitivity",
    "moved": "moved",
    "completeness_gap": "gap",
    "on_object": "on object",
    "on_tag": "on tag",
    "points_at_object": "points at object",
}

card = idea.card("saliency")


def label(arm: str) -> str:
    """What a method is called."""
    return METHODS[arm].label if arm in METHODS else NAMES[arm]


@dataclass(frozen=True, eq=False)
class Sight:
    """A picture as the model meets it, and what it is to explain there."""

    chosen: inputs.ChosenImage
    seen: np.ndarray  # float32 (3, side, side)
    shares: np.ndarray  # (classes,)
    target: "int | tuple[int, int]"


def play() -> None:
    """A picture or two, what a model says of them, and what many maps say of that."""
    left, right = st.columns([1, 3], gap="medium")
    with left:
        chosen = inputs.choose_image(card.slug)
        if chosen is None:
            return
        model = inputs.choose_model(card.slug)
        show_picture(chosen, model)
        second = inputs.compare_image(card.slug)
        if second is not None:
            show_picture(second, model)
    with right:
        first, minus = choose_target(model)
        sights = [sight(each, model, first, minus) for each in (chosen, second) if each is not None]
        for each in sights:
            order = np.argsort(each.shares)[::-1][:4]
            name = f"{each.chosen.name}: " if len(sights) > 1 else ""
            st.caption(
                f"{name}Says "
                + ", ".join(f"**{model.classes[index]}** {each.shares[index]:.1%}" for index in order)
                + "."
            )
        methods = st.multiselect(
            "Methods",
            list(METHODS),
            list(attributions.DEFAULT_METHODS),
            key=f"{card.slug}-methods",
            bind="query-params",
            max_selections=15,
        )
        if not methods:
            st.info("Choose a method; its map appears here.", icon=":material/grid_view:")
            return
        same = next(
            (
                each.target
                for each in sights
                if isinstance(each.target, tuple) and each.target[0] == each.target[1]
            ),
            None,
        )
        if same is not None:
            st.info(
                f"A difference needs two classes, and both are {model.classes[same[0]]}.",
                icon=":material/compare_arrows:",
            )
            return
        show_maps(sights, model, tuple(methods))


def show_picture(chosen: inputs.ChosenImage, model: object) -> None:
    """The picture as it came."""
    st.image(images.png(chosen.enlarged), width="stretch", alt=chosen.description)
    squeezed = (
        ""
        if chosen.pixels.shape[:2] == (model.side, model.side)
        else f" The model sees it squeezed to {model.side} × {model.side} pixels."
    )
    st.caption(f"{chosen.description}.{squeezed}")


def sight(chosen: inputs.ChosenImage, model: object, first: str, minus: str) -> Sight:
    """A picture with the class that is explained: the one asked for, else the model's
    answer.
    """
    seen = attributions.model_input(chosen.digest, chosen.pixels, model.side)
    shares = attributions.probabilities(chosen.digest, model.key, model.network, seen)
    one = model.classes.index(first) if first in model.classes else int(shares.argmax())
    return Sight(chosen, seen, shares, (one, model.classes.index(minus)) if minus in model.classes else one)


def choose_target(model: object) -> tuple[str, str]:
    """The class to explain and the one to take off; "" is the model's answer, and
    nothing.
    """
    named, minus = st.columns(2)
    options = {"bind": "query-params", "filter_mode": None}
    first = named.selectbox(
        "Explain",
        ["", *model.classes],
        key=f"{card.slug}-target",
        format_func=lambda name: name or "the model's answer",
        **options,
    )
    second = minus.selectbox(
        "Minus",
        ["", *model.classes],
        key=f"{card.slug}-minus",
        format_func=lambda name: name or "nothing",
        **options,
    )
    return first, second


@st.fragment
def show_maps(sights: list[Sight], model: object, methods: tuple[str, ...]) -> None:
    """The maps side by side, under their controls; with two pictures those of one
    method are neighbours.
    """
    started = time.perf_counter()
    view = {}
    count = len(layers(model.network))
    for column, name in zip(
        st.columns([3, 3, 3, 4], gap="small"), ("scale", "signs", "doubt", "overlay"), strict=True
    ):
        with column:
            view[name] = settings.control(card.slug, SaliencyView.setting(name))
    randomised = settings.control(card.slug, replace(SaliencyView.setting("randomised"), high=count))
    with st.expander("How maps are made"):
        columns = st.columns(2)
        made = {}
        for place, item in enumerate(item for item in SaliencySettings.settings() if not item.more):
            with columns[place % 2]:
                made[item.name] = settings.control(card.slug, item)
        convolved = list(convolutions(model.network))
        layer = columns[1].selectbox(
            "Layer of Grad-CAM",
            convolved,
            max(0, len(convolved) - 1),
            key=f"{card.slug}-layer",
            bind="query-params",
            filter_mode=None,
        )
    how = SaliencySettings(**made)
    # other draws and other seeds speak of the network as it was trained
    doubted = view["doubt"] != "none" and not randomised
    across = 3 if len(sights) == 1 else 4
    tiles: dict[tuple[str, int], DeltaGenerator] = {}
    named_tiles = [(name, place) for name in methods for place in range(len(sights))]
    for row in range(0, len(named_tiles), across):
        tiles |= {
            tile: column.empty()
            for tile, column in zip(named_tiles[row : row + across], st.columns(across), strict=False)
        }
    maps = [
        attributions.maps(each.chosen.digest, model.key, each.target, how.key(), layer, randomised)
        for each in sights
    ]
    try:
        for place, each in enumerate(sights):
            for found in attributions.compute_missing(
                maps[place], model.network, each.seen, each.target, methods, how, layer, randomised
            ):
                with tiles[found.method, place].container():
                    tile(
                        each.chosen,
                        found,
                        model,
                        uncertainty.scale_to_mean(found.values),
                        PROVISIONAL,
                        view,
                        None,
                    )
        kinds = (view["doubt"], model)
        opinions = [
            (
                attributions.uncertainty(
                    each.chosen.digest,
                    model.key,
                    each.target,
                    methods,
                    how.key(),
                    layer,
                    *kinds,
                    each.seen,
                    how,
                )
                if doubted
                else {}
            )
            for each in sights
        ]
    except SaliencyError as error:
        st.error(str(error), icon=":material/error:")
        return
    values = [
        {name: said[name].mean if name in said else found[name].values for name in methods}
        for said, found in zip(opinions, maps, strict=True)
    ]
    shown = [
        {
            name: uncertainty.scale_to_mean(each) if view["scale"] == "common" else each
            for name, each in one.items()
        }
        for one in values
    ]
    limit = max(float(np.quantile(np.abs(each), 0.99)) for one in shown for each in one.values()) or 1.0
    for (name, place), spot in tiles.items():
        top = limit if view["scale"] == "common" else float(np.abs(shown[place][name]).max()) or 1.0
        unsure = ~opinions[place][name].stable if name in opinions[place] else None
        again = command(model, sights[place].target, name, how, layer)
        with spot.container():
            tile(
                sights[place].chosen,
                maps[place][name],
                model,
                shown[place][name],
                top,
                view,
                unsure,
                again,
                f"{card.slug}-{name}{place or ''}",
            )
    if randomised:
        show_likeness(sights, model, methods, how, layer, maps)
    words = f"{randomised} of {count} layers randomised" if randomised else "all layers as trained"
    if view["doubt"] != "none" and randomised:
        words += "; doubt is shown with all layers as trained"
    if doubted:
        words += (
            "; hatched where not stable"
            if any(opinions)
            else "; nothing to compare: these methods draw nothing, or no two seeds agree"
        )
    ranged = (
        f"One scale: 0 to ±{limit:.1f} times a map's own mean"
        if view["scale"] == "common"
        else "Each map on its own scale"
    )
    st.caption(f"{ranged}; {words}. :gray[Drawn in {1000 * (time.perf_counter() - started):.0f} ms.]")
    remove(sights[0], model, values[0])
    judge(sights, model, methods, how, layer)


def show_likeness(
    sights: list[Sight],
    model: object,
    methods: tuple[str, ...],
    how: SaliencySettings,
    layer: str | None,
    maps: list[dict[str, object]],
) -> None:
    """Which of these maps of a network with layers randomised are still those of the
    trained one, and so do not show what it learned.
    """
    likeness = {}
    for each, now in zip(sights, maps, strict=True):
        trained = attributions.maps(each.chosen.digest, model.key, each.target, how.key(), layer, 0)
        for _ in attributions.compute_missing(
            trained, model.network, each.seen, each.target, methods, how, layer, 0
        ):
            pass
        pairs = [np.stack([found[name].values for name in methods]) for found in (now, trained)]
        likeness[each.chosen.name] = [measures.similarity(*pairs, signed).rank for signed in (True, False)]
    stubborn = [
        label(name)
        for place, name in enumerate(methods)
        if all(max(abs(one[place]) for one in found) > STUBBORN for found in likeness.values())
    ]
    if stubborn:
        st.warning(
            f"Hardly changed by this: {', '.join(stubborn)}. Such a map does not show what these layers"
            " learned.",
            icon=":material/filter_none:",
        )
    else:
        st.info(
            f"Every one of these maps changes: none correlates over {STUBBORN:g} with that of the trained"
            " network.",
            icon=":material/shuffle:",
        )
    several = len(sights) > 1
    table = {"picture": [name for name in likeness for _ in methods]} if several else {}
    table |= {"map": [label(name) for _ in likeness for name in methods]}
    for place, kind in enumerate(("signed", "absolute")):
        table[f"like the trained map, {kind}"] = [
            f"{value:.2f}".replace("-", "−") for found in likeness.values() for value in found[place]
        ]
    with st.expander(
        "How like the maps of the trained network: rank correlations", key=f"{card.slug}-likeness"
    ):
        st.dataframe(
            table,
            height="content",
            hide_index=True,
            alt="Rank correlation of each map with that of the trained network",
        )


def command(
    model: object, target: "int | tuple[int, int]", method: str, how: SaliencySettings, layer: str | None
) -> str:
    """The one command that makes a map of the network as it was trained again."""
    about = {"model": model.name, "method": method, "target": target_name(model, target, ",")}
    flags = about | ({"layer": layer} if method == "gradcam" and layer else {}) | how.changed()
    words = [f"--{name} {shlex.quote(str(value))}" for name, value in flags.items()]
    return " ".join(["python -m mlcv_explore explain PICTURE", *words, "--out heat.png --raw map.npy"])


def tile(
    chosen: inputs.ChosenImage,
    found: object,
    model: object,
    values: np.ndarray,
    top: float,
    view: dict,
    unsure: np.ndarray | None,
    again: str = "",
    slot: str = "",
) -> None:
    """One map with its cost; with its downloads, under the key `slot`, once there is a
    command.
    """
    shape = chosen.size_within(TILE)
    spread = uploads.upsampled(values, shape)
    palette = page.palette()
    drawn = images.attribution(spread, found.signed and view["signs"] == "signed", palette, top)
    if view["overlay"] < 1:  # at 1 the map alone
        under = attributions.resized(chosen.digest, chosen.pixels, shape)
        drawn = images.overlaid(under, drawn, np.abs(spread) / top, view["overlay"])
    if unsure is not None:
        drawn = images.hatched(drawn, uploads.upsampled(unsure.astype(np.float32), shape) > 0.5, palette)
    st.image(
        images.png(drawn),
        width="stretch",
        alt=f"{label(found.method)}: where the answer rests",
        output_format="PNG",
    )
    facts = [ends(found.values), f"{found.milliseconds:.0f} ms", f"{found.forwards + found.backwards} passes"]
    if "completeness_gap" in found.checks:
        facts.append(f"gap {found.checks['completeness_gap']:.1%}")
    if chosen.truth is not None:
        facts.append(f"{measures.mass_in_mask(found.values, chosen.truth.mask):.0%} on object")
    told = "\u00a0· ".join(fact.replace(" ", "\u00a0", 1) for fact in facts)  # no line begins with a dot
    words = f"**{label(found.method)}** of {target_name(model, found.target)}  \n{told}"
    if not again:
        st.caption(words)
        return
    with st.container(horizontal=True, vertical_alignment="top", gap="small", wrap=False):
        st.caption(words, width="stretch")
        shelf = st.popover(
            "",
            icon=":material/download:",
            type="tertiary",
            key=f"{slot}-downloads",
            on_change="rerun",
            help="Download",
        )
        if shelf.open:
            with shelf:
                st.download_button(
                    "Heat map (PNG, the picture's size)",
                    lambda: images.png(
                        images.attribution(
                            uploads.upsampled(found.values, chosen.size), found.signed, palette
                        )
                    ),
                    f"{chosen.name}-{found.method}.png",
                    "image/png",
                    key=f"{slot}-png",
                    on_click="ignore",
                )
                st.download_button(
                    "The map itself (NPY)",
                    lambda: attributions.npy(found.values),
                    f"{chosen.name}-{found.method}.npy",
                    key=f"{slot}-npy",
                    on_click="ignore",
                )
                st.code(again, language="bash", wrap_lines=True)


def target_name(model: object, target: "int | tuple[int, int]", joint: str = " − ") -> str:
    """The class that is explained, or the two whose difference is."""
    return joint.join(model.classes[index] for index in (target if isinstance(target, tuple) else (target,)))


def ends(values: np.ndarray) -> str:
    """The range of a map, to two digits of its larger end."""
    low, high = float(values.min()), float(values.max())
    places = 1 - int(np.floor(np.log10(max(abs(low), abs(high), 1e-30))))
    return f"{round(low, places) + 0.0:.2g} to {round(high, places) + 0.0:.2g}".replace("-", "−")


@st.fragment
def remove(sight: Sight, model: object, values: dict[str, np.ndarray]) -> None:
    """Drag the most salient pixels of the first picture away and see what the model
    then says.
    """
    st.markdown("##### Take the most salient pixels away")
    pick, place, slide = st.columns([3, 3, 4], gap="small")
    method = pick.selectbox(
        "By the map of", list(values), key=f"{card.slug}-by", bind="query-params", filter_mode=None
    )
    with place:
        fill = settings.control(card.slug, SaliencyView.setting("fill"))
    with slide:
        share = settings.control(card.slug, SaliencyView.setting("removed"))
    seen, wanted = sight.seen, sight.target[0] if isinstance(sight.target, tuple) else sight.target
    known = attributions.deletion_insertion(
        sight.chosen.digest,
        model.key,
        wanted,
        inputs.array_digest(values[method]),
        fill,
        model.network,
        seen,
        values[method],
    )
    changed = attributions.without_top(seen, values[method], share, fill)
    now = float(
        attributions.probabilities(inputs.array_digest(changed), model.key, model.network, changed)[wanted]
    )
    picture, plot = st.columns([1, 2], gap="medium")
    with picture:
        scale = max(1, TILE // model.side)
        pixels = np.rint(255 * changed.transpose(1, 2, 0)).astype(np.uint8)
        st.image(
            images.png(images.enlarged(pixels, scale)),
            width="stretch",
            alt=f"The picture without {share:.0%} of its pixels",
        )
        st.progress(now, f"**{model.classes[wanted]}** {now:.1%}")
        st.caption(f"As the model sees it, without {share:.0%} of its pixels.")
    with plot:
        x = np.linspace(0, 1, known.shape[1])
        lines = {"removed first": Line("idea", known[0]), "shown first": Line("variant", known[1])}
        options = {
            "x_domain": (0.0, 1.0),
            "y_domain": (0.0, 1.0),
            "y_format": ".0%",
            "marks": {f"{share:.0%}": share},
        }
        chart = charts.curves(
            x,
            lines,
            "share of pixels",
            f"probability of {model.classes[wanted]}",
            palette=page.palette(),
            **options,
        )
        page.figure(
            chart,
            f"{card.slug}-deletion",
            "A faithful map falls fast when removed and rises fast when shown.",
            "One picture",
            moving=True,
        )


@st.fragment
def judge(
    sights: list[Sight], model: object, methods: tuple[str, ...], how: SaliencySettings, layer: str | None
) -> None:
    """Every measure of every map, made when it is asked for."""
    shelf = st.expander(
        "Scores of these maps",
        key=f"{card.slug}-scores",
        on_change="rerun",
        bind="query-params",
        icon=":material/table_chart:",
    )
    if not shelf.open:
        return
    with shelf:
        judged = {}
        with st.spinner("Asking every method about pictures nearby, and about random weights"):
            for each in sights:
                found = attributions.maps(each.chosen.digest, model.key, each.target, how.key(), layer, 0)
                for _ in attributions.compute_missing(
                    found, model.network, each.seen, each.target, methods, how, layer, 0
                ):
                    pass
                given = (model.network, each.seen, [found[name] for name in methods], how, each.chosen.truth)
                judged[each.chosen.name] = attributions.scores(
                    each.chosen.digest, model.key, each.target, methods, how.key(), layer, *given
                )
        heads = {
            field: head
            for field, head in SCORES.items()
            if any(getattr(row, field) is not None for rows in judged.values() for row in rows)
        }
        pairs = [(name, row) for name, rows in judged.items() for row in rows]
        table = {"picture": [name for name, _ in pairs]} if len(sights) > 1 else {}
        table |= {"map": [label(row.method) for _, row in pairs]}
        table |= {head: [shortened(getattr(row, field)) for _, row in pairs] for field, head in heads.items()}
        st.dataframe(table, height="content", hide_index=True, alt="The scores of these maps")
        st.caption(
            "Of one picture and the network as trained: no interval, so no ranking of methods; the Answer act"
            " has one. Deletion and insertion: areas under the curves, low and high are faithful. Infidelity:"
            " what the map does not foretell of the logit's change under noise, at its best scale."
            " Sensitivity: the largest relative change of the map when every pixel moves by up to 2 %. Moved:"
            " 1 − rank correlation with the map of random weights; 0 says that the model has no part in it."
            " Gap: of completeness, where the method promises none."
        )
        st.download_button(
            "Scores (CSV)",
            lambda: as_csv(judged),
            f"{sights[0].chosen.name}-scores.csv",
            "text/csv",
            key=f"{card.slug}-scores-csv",
            on_click="ignore",
            icon=":material/download:",
        )


def shortened(value: float | None) -> str:
    """Two or three significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.3g}".replace("-", "−")


def draw(film: Film, cost: str) -> None:
    """A run under way: does the classifier read the tag, and which maps say so?"""
    epochs = [frame for frame in film if not frame.measured.any()]
    lines = {
        "as trained": ("oracle", "accuracy"),
        "tags redrawn": ("idea", "swapped"),
        "given the tag's class": ("control", "follows"),
    }
    drawn = {name: Line(role, series(epochs or film, field)) for name, (role, field) in lines.items()}
    x = series(epochs or film, "step").astype(float)
    limits = {"y_domain": (0.0, 1.0), "y_format": ".0%"}
    chart = charts.curves(x, drawn, "epoch", "share of fresh scenes", palette=page.palette(), **limits)
    page.figure(
        chart,
        f"{card.slug}-live-reading",
        "Where the last line is high, the classifier reads the tag.",
        cost,
        moving=True,
    )
    last = film[-1]
    if not last.measured.any():
        return
    arms = [arm for arm in ARMS if last.measured[:, ARMS.index(arm)].any()]
    left, right = st.columns(2, gap="medium")
    for place, measure, title in (
        (left, "mass", "share of the map on the object"),
        (right, "tag", "share of the map on the tag"),
    ):
        with place:
            bars = [bar(arm, last.measured[:, ARMS.index(arm), MEASURES.index(measure)]) for arm in arms]
            chart = charts.bars_with_intervals(bars, title, page.palette(), x_format=".0%")
            page.figure(chart, f"{card.slug}-live-{measure}", "Means and 95 % intervals over models.", cost)
    first = next((frame for frame in film if frame.shown.any()), None)
    if first is not None:
        drawn_maps = [
            images.enlarged(
                images.signed(first.shown[0, ARMS.index(arm)].astype(float), page.palette(), 127.0), 3
            )
            for arm in arms
        ]
        st.image(
            images.png(images.grid(np.stack(drawn_maps), 6, gap=8, paper=page.palette().background)),
            alt="The maps of one scene: " + ", ".join(label(arm) for arm in arms),
        )
        st.caption(
            "One scene of the first seed, each map on its own scale, row by row: "
            + ", ".join(label(arm) for arm in arms)
            + "."
        )


def bar(arm: str, values: np.ndarray) -> Bar:
    """One arm's mean over models with its interval."""
    from mlcv_explore.statistics import t_interval

    interval = t_interval(values)
    return Bar(label(arm), interval.mean, interval.low, interval.high, ROLES[arm])


def answer(command: str) -> None:
    """Beyond the claims: every method by every measure, whether the three rankings
    agree, and the generated map.
    """
    rows = evidence.rows(card.slug)
    for rho in tables.rhos(rows):
        told = tables.classifiers(rows, rho)
        reads = "the tag tells nothing" if float(rho) == 0.25 else "the tag always names the class"
        st.markdown(f"##### Trained where {reads} (ρ = {float(rho):g})")
        accuracy, swapped, follows = (told[name] for name in ("accuracy", "swapped", "follows"))
        st.markdown(
            f"The classifiers are {percent(accuracy)} right, {percent(swapped)} once tags are redrawn, and"
            f" give the tag's class to {percent(follows)} of the scenes whose tag names another one (n ="
            f" {accuracy.n} models)."
        )
        properties(rows, rho)
        st.markdown(
            "**Do the three rankings agree?** Kendall's τ between the rankings of the twelve recipes, mean"
            " over models, bootstrap intervals:"
        )
        agreed = tables.agreement(rows, rho)
        st.table(
            {
                "between": [" and ".join(pair) for pair in agreed],
                "τ": [digits(interval) for interval in agreed.values()],
            },
            hide_index=True,
        )
        with st.expander(f"Every measure of every map, ρ = {float(rho):g}"):
            every_measure(rows, rho)
    st.markdown("##### A map that is learned")
    made = tables.generation(rows)
    table = {"map": [label(arm) for arm in made]}
    table |= {
        f"mass on the {cause}, where that is the cause": [digits(found[cause]) for found in made.values()]
        for cause in ("object", "tag")
    }
    st.table(table, hide_index=True)
    st.caption(
        "Learned on classifiers that use the object. A map that stays on the object when the classifier reads"
        " the tag has learned the picture."
    )
    st.code(command, language="bash", wrap_lines=True)


def properties(rows: list[dict], rho: str) -> None:
    """Which recipes are model-dependent, faithful, on the true cause: each against the
    best of the maps that know nothing of the model.
    """
    found = tables.lead(rows, rho)
    order = np.argsort(-found.mean[:, -1], kind="stable")
    names = [label(tables.RECIPES[place]) for place in order]
    sure = found.sure & (found.mean > 0)
    for place, (name, control) in enumerate(zip(tables.PROPERTIES, found.controls, strict=True)):
        those = sorted((row for row in order if sure[row, place]), key=lambda row: -found.mean[row, place])
        said = "none"
        if those:
            listed = (
                f"all {len(names)}"
                if len(those) == len(names)
                else ", ".join(label(tables.RECIPES[row]) for row in those)
            )
            most, least = (
                f"{digits(found.interval(row, place))} ({label(tables.RECIPES[row])})"
                for row in (those[0], those[-1])
            )
            said = f"{listed}; above the best control, {label(control)}, by {least} to {most}"
        st.markdown(f"**{name[0].upper()}{name[1:]}**: {said}.")
    heads = ["model-\ndependent", "faithful", "on the\ntrue cause"]
    titles = ("", "property", "above the best control")
    chart = charts.heat_map(
        found.mean[order], names, heads, titles, page.palette(), significant=found.sure[order]
    )
    n = tables.classifiers(rows, rho)["accuracy"].n
    notice = (
        "Orange: above every control. Hatched: not sure, Holm-corrected over all 36. Described, not claimed"
        " beforehand."
    )
    page.figure(chart, f"{card.slug}-properties-{float(rho):g}", notice, f"n = {n} models")
    with st.expander("The intervals of these differences"):
        table = {"map": names}
        for place, (name, control) in enumerate(zip(tables.PROPERTIES, found.controls, strict=True)):
            table[f"{name} − {label(control)}"] = [digits(found.interval(row, place)) for row in order]
        st.table(table, hide_index=True)
    st.caption(
        "Model-dependent: 1 − rank correlation with the map of a network of random weights; for the controls"
        " it is 0. Faithful: area under insertion minus area under deletion. On the true cause: share of the"
        f" map on the {'tag' if float(rho) == 1 else 'object'}."
    )


def every_measure(rows: list[dict], rho: str) -> None:
    """The table of methods by measures."""
    lines = tables.table(rows, rho)
    heads = {"mass": "on object", "tag": "on tag", "pointing": "points at object"} | {
        name: name for name in ("deletion", "insertion", "moved")
    }
    table = {"map": [label(line.arm) for line in lines]}
    table |= {head: [digits(line.measures[measure]) for line in lines] for measure, head in heads.items()}
    st.table(table, hide_index=True)
    st.caption(
        "Shares; 95 % intervals over models, not corrected for their number. Deletion: lower is more"
        " faithful; insertion: higher. Moved: 1 − rank correlation with the map of a network of random"
        " weights."
    )


def digits(interval: object) -> str:
    """A share or a correlation with its interval."""
    # no minus before a zero
    mean, low, high = (round(value, 2) + 0.0 for value in (interval.mean, interval.low, interval.high))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def percent(interval: object) -> str:
    """A share with its interval, in per cent."""
    return f"**{100 * interval.mean:.0f} %** [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


what_to_do = (
    "Pick a picture, or bring your own; compare the maps on one scale, then try to break them: randomise"
    " layers, draw again, take pixels away."
)
choices = {
    "source": inputs.SOURCES,
    "photograph": tuple(photographs()),
    "scene": tuple(str(number) for number in range(1, inputs.SCENES + 1)),
    "compare": inputs.compare_choices(),
    "scores": ("true", "false"),
    "methods": tuple(METHODS),
    "by": tuple(METHODS),
    "model": inputs.model_names(),
    **dict.fromkeys(("target", "minus", "layer")),  # they hang on the model
}
act = page.intro(card, what_to_do, SaliencyConfig, SaliencyView, SaliencySettings, choices=choices)
if act == "Play":
    play()
elif act == "Train":
    picture, controls = st.columns([3, 1], gap="medium")
    with controls:
        config, seeds = settings.ask(card.slug, SaliencyConfig)
    with picture:
        if config.rho > RHOS[0]:
            st.caption(
                f"The claims speak of classifiers that use the object. At {config.rho:g} the tag tells more"
                " than chance does, so a verdict here says what that does to the maps; ask the claims as"
                f" they were written at {RHOS[0]:g}."
            )
        training.live(card, subject, config, seeds, draw)
elif act == "Answer":
    if found := evidence.answer(card, subject):
        answer(found["command"])
else:
    page.read(
        card,
        subject.prior_work,
        {
            "Integrated gradients": recipes.integrated_gradients,
            "Grad-CAM": recipes.grad_cam,
            "RISE": recipes.rise,
        },
    )
