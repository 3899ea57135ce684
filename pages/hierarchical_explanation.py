"""Hierarchical explanations: one item as a tree from the whole down to strokes, and f's
verdict; train it; what levels save at equal bits.
"""

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from mlcv_explore import charts, idea
from mlcv_explore.charts import Bar, Line, images, percent
from mlcv_explore.config import Config, setting
from mlcv_explore.data.gallery import photographs
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_explanation import (
    ARMS,
    BUDGETED,
    EXPLAINING,
    ROLES,
    SHARING,
    SIDE,
    HierarchicalExplanationConfig,
    checking,
    explaining,
    pursuit,
    vocabulary,
    worlds,
)
from mlcv_explore.ideas.hierarchical_explanation import evidence as tables
from mlcv_explore.ideas.hierarchical_explanation import forks as photograph_forks
from mlcv_explore.ideas.hierarchical_explanation import idea as subject
from mlcv_explore.ideas.hierarchical_explanation.checking import Rules
from mlcv_explore.ideas.hierarchical_explanation.explaining import Explanation, Mind, Piece
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.statistics import t_interval
from mlcv_explore.ui import attributions, evidence, inputs, page, settings, training
from mlcv_explore.ui.tree import Node, tree

SOURCES = ("Digit", "Glyph", "Draw", "Table", "Photograph")  # as the link names them
SCALE = 6  # a pixel of a node's picture
MOST_JOINED = 12  # explanations of a visitor that become atoms
ROW = 15  # columns of a table side by side
NAMES = {
    "pixels": "single pixels", "flat": "flat dictionary", "prototypes": "prototypes", "two": "two levels", "three": "three levels",
    "spelled": "spelled out in strokes", "shuffled": "shuffled hierarchy", "soft": "way down (soft tree)", "cart": "hard tree (CART)",
    "spanned": "the item itself", "backed": "neural-backed tree", "random": "the same tree, classes dealt at random", "cnn": "network",
    "directions": "way up and way down, same item", "strangers": "way up and way down, different items", "halves": "two ways up, same item",
}  # fmt: skip
LINES = ("three", "two", "flat", "shuffled", "pixels")  # what a run's curves show


class HierarchicalExplanationView(Config):
    """What the Play act shows; nothing of it is trained."""

    item: int = setting(3, "Item", low=1, high=40, step=1, help="Test items, which nothing was learned from.")
    atoms: int = setting(
        6,
        "Atoms, m",
        low=explaining.FEWEST,
        high=explaining.MOST,
        step=1,
        help="So many atoms E may have, at most.",
    )
    depth: int = setting(
        2, "Levels up to", low=0, high=2, step=1, help="0: strokes alone. 1: parts as well. 2: and wholes."
    )
    residual: bool = setting(
        False,
        "E may hold the rest",
        help="One vector outside S: what the atoms leave over, at its full price in bits.",
    )


card = idea.card("hierarchical_explanation")


@st.fragment
def play() -> None:
    """Choose an item, and see it explained."""
    left, right = st.columns([4, 7], gap="large")
    with left:
        source = st.segmented_control(
            "What to explain",
            SOURCES,
            default=SOURCES[0],
            required=True,
            key=f"{card.slug}-source",
            bind="query-params",
            wrap=True,
        )
        picture = st.container()
        try:
            mind, values = choose(source, picture)
        except CheckpointError as error:
            st.error(str(error), icon=":material/error:")
            return
        g, most, depth, rules, residual = ask(source)
    if values is None:
        return
    mine = st.session_state.setdefault(f"{card.slug}-joined", {}).setdefault(mind.card["name"], [])
    mind = explaining.joined(mind, mine)
    with right:
        if source == "Photograph":
            forks()
        started = time.perf_counter()
        found = explaining.explain(
            mind, values, g, most, depth, rules, residual, foreign=source == "Photograph"
        )
        milliseconds = 1000 * (time.perf_counter() - started)
        with picture:
            seen(mind, values, found, source)
        if source == "Photograph":
            st.markdown("##### The same photograph in strokes")
        verdict(found, rules, milliseconds)
        if g == "pursuit" and source != "Photograph":
            join(mine, found, depth, residual, len(mind.vocabulary.levels))
        if found.pieces:
            growth(mind, values, found)
            branches(mind, values, found)


def choose(source: str, place: Any) -> tuple[Mind, np.ndarray | None]:
    """The mind that explains, and the item; None while there is none."""
    if source == "Draw":
        with place:
            return explaining.mind("digits"), drawn()
    if source == "Photograph":
        return explaining.mind("digits"), photograph()
    name = {"Digit": "digits", "Glyph": "glyphs"}.get(source)
    if source == "Table":
        name = st.selectbox(
            "Table", worlds.TABLES, key=f"{card.slug}-table", bind="query-params", filter_mode=None
        )
    mind = explaining.mind(name)
    item = HierarchicalExplanationView.setting("item")
    place_of = settings.control(card.slug, item)
    if place_of > len(mind.items):
        st.caption(f"This table has {len(mind.items)} items; the last is shown.")
    return mind, mind.items[min(place_of, len(mind.items)) - 1]


def ask(source: str) -> tuple[str, int, int, Rules, bool]:
    """g, m, levels, what f asks, and whether E may hold the rest."""
    fixed = source == "Photograph"
    g = st.segmented_control(
        "g, how E is found",
        explaining.EXPLAINERS,
        default=explaining.EXPLAINERS[0],
        required=True,
        key=f"{card.slug}-g",
        bind="query-params",
        wrap=True,
        disabled=fixed,
        help=(
            "pursuit: the atom that fits best, again and again. prototypes: the nearest known items. path:"
            " strokes that a soft tree looks at."
        ),
    )
    most = settings.control(card.slug, HierarchicalExplanationView.setting("atoms"))
    depth = settings.control(card.slug, HierarchicalExplanationView.setting("depth"))
    energy = settings.control(card.slug, HierarchicalExplanationConfig.setting("energy"))
    with st.expander("What f asks, and what E may hold"):
        tests = tuple(
            settings.control(card.slug, HierarchicalExplanationConfig.setting(name))
            for name in ("energy_test", "label_test", "removal_test")
        )
        drop = settings.control(card.slug, replace(HierarchicalExplanationConfig.setting("drop"), more=False))
        residual = settings.control(card.slug, HierarchicalExplanationView.setting("residual"))
    if fixed:
        tests = (tests[0], False, False)  # the judge knows digits only
    return explaining.EXPLAINERS[0] if fixed else g, most, depth, Rules(energy, drop, tests), residual


def drawn() -> np.ndarray | None:
    """What the reader draws, as the digits were made; None, and what to do, while there
    is nothing.
    """
    digit = inputs.draw_digit(f"{card.slug}-canvas")
    return None if digit is None else explaining.from_digit(digit)


def brought() -> inputs.ChosenImage | None:
    """A photograph of the gallery, or the reader's own."""
    names = list(photographs())
    name = st.selectbox(
        "Photograph", names, key=f"{card.slug}-photograph", bind="query-params", filter_mode=None
    )
    return inputs.upload(f"{card.slug}-upload", "Or one of your own") or inputs.gallery_image(name)


def photograph() -> np.ndarray | None:
    """The photograph small and grey, its mean taken off; it is kept for the forks."""
    found = brought()
    st.session_state[f"{card.slug}-square"] = None if found is None else found
    return None if found is None else explaining.from_photograph(found.pixels)


def seen(mind: Mind, values: np.ndarray, found: Explanation, source: str) -> None:
    """The item, and what the judge makes of it."""
    if source == "Photograph":
        chosen = st.session_state[f"{card.slug}-square"]
        st.image(chosen.enlarged, width="stretch", alt=chosen.description)
        st.caption(
            f"{chosen.description}. In strokes it is 16 × 16 grey pixels around their mean, and f asks for energy"
            " alone: the judge knows digits."
        )
        return
    if source != "Draw":
        st.image(
            drawing(mind, values, 12),
            width=SIDE * 12 if mind.vocabulary.side else "stretch",
            alt="The item to explain",
            output_format="PNG",
        )
    likely = ", ".join(f"{name} {share:.0%}" for name, share in explaining.answers(mind, values))
    truth = "" if source == "Draw" else f" It is {mind.classes[labels(mind, values)]}."
    st.caption(f"The judge says {likely}.{truth}")


def labels(mind: Mind, values: np.ndarray) -> int:
    """The true class of a test item."""
    return int(mind.labels[np.flatnonzero((mind.items == values).all(1))[0]])


def verdict(found: Explanation, rules: Rules, milliseconds: float) -> None:
    """f's answer with its reasons, and what E costs."""
    passed = bool(found.check.passed[0])
    st.badge(
        "f(X, E) is True: explained" if passed else "f(X, E) is False: not explained",
        color="green" if passed else "orange",
    )
    if found.reasons:
        st.markdown("Because " + "; and ".join(found.reasons) + ".")
    energy, drop, wanted = (float(getattr(found.check, name)[0]) for name in ("energy", "drop", "wanted"))
    asked = {
        "energy": f"{energy:.1%} of X's energy; τ is {rules.energy:.0%}",
        "label": f"the judge calls E's picture {found.said}, and X {found.label}",
        "removal": (
            f"without E the log-odds fall by {drop:.2f} more than without a random set; δ comes to"
            f" {wanted:.2f}"
        ),
    }
    for (name, words), on in zip(asked.items(), rules.tests, strict=True):
        if on:
            st.markdown(f"**{name.capitalize()}**: {words}.")
    off = [name for name, on in zip(asked, rules.tests, strict=True) if not on]
    if off:
        st.caption(
            f"Not asked: {', '.join(off)}."
            + (" With nothing asked, any E but an empty one will do." if len(off) == len(asked) else "")
        )
    rest = (
        ""
        if found.bits <= found.atoms * (math.log2(max(found.vocabulary, 2)) + explaining.BITS) + 1
        else ", the rest as one vector included"
    )
    st.caption(
        f"E: {found.atoms} of {found.vocabulary:,} atoms, {found.bits:.0f} bits{rest}; the vocabulary"
        f" {found.dictionary:,.0f} bits, shared by all. :gray[{milliseconds:.0f} ms.]"
    )


def join(
    mine: list[tuple[np.ndarray, np.ndarray]], found: Explanation, depth: int, residual: bool, top: int
) -> None:
    """An explanation that f accepts may join the last level, for this visitor; and
    those that did may be forgotten.
    """
    free = (
        bool(found.check.passed[0])
        and depth == top
        and not residual
        and found.atoms > 1
        and len(mine) < MOST_JOINED
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Let E join level {top}",
            icon=":material/add:",
            key=f"{card.slug}-join",
            disabled=not free,
            on_click=mine.append,
            args=((found.chosen, found.weights),),
            help=(
                "An accepted E becomes an atom, for you alone. f must be True, with all levels and two atoms"
                f" or more; at most {MOST_JOINED}."
            ),
        )
        if mine:
            st.button(
                "Forget mine",
                icon=":material/undo:",
                key=f"{card.slug}-forget",
                on_click=mine.clear,
                type="tertiary",
            )
            st.caption(f"{len(mine)} of yours joined.", width="content")


def growth(mind: Mind, values: np.ndarray, found: Explanation) -> None:
    """The picture of E as levels join from the top."""
    tiles = [("X", values, None), *found.grown]
    scale = 7 if mind.vocabulary.side else 12
    with st.container(horizontal=True, gap="small"):
        for number, (name, picture, energy) in enumerate(tiles):
            with st.container(width=SIDE * 7 + 8, gap="small"):
                words = (
                    "The item itself"
                    if energy is None
                    else f"What is pictured once {name} has joined: {energy:.0%} of the energy"
                )
                st.image(
                    drawing(mind, picture, scale, values), width=SIDE * 7, alt=words, output_format="PNG"
                )
                st.caption(
                    "**X**" if energy is None else f"{'then ' if number > 1 else ''}{name}: {energy:.0%}"
                )


def branches(mind: Mind, values: np.ndarray, found: Explanation) -> None:
    """The tree SN → S0 as pictures that open."""
    scale = np.abs(values).max()
    roots = [
        Node(
            "X, the whole" if mind.vocabulary.side else "X, the row",
            f"E explains {float(found.check.energy[0]):.0%}",
            drawing(mind, values, SCALE),
            "The item itself",
            children=tuple(
                node(mind, piece, scale, opened=number == 0) for number, piece in enumerate(found.pieces)
            ),
            opened=True,
        )
    ]
    tree(f"{card.slug}-tree", roots, "The explanation from the whole down to level 0")
    st.caption(
        "The tree goes from the whole down to level 0. Orange adds, blue takes away. The bar is the piece's"
        " share of X's energy: shares add up to what E explains, and one below zero is drawn as none. Logit:"
        " what a piece brings to the judge's logit of X's class, by contextual decomposition; these need not"
        " add up."
    )


def node(mind: Mind, piece: Piece, scale: float, opened: bool = False) -> Node:
    """A piece as a card of the tree."""
    inside = tuple(node(mind, each, scale) for each in piece.pieces)
    title = piece.name if piece.level < 0 else f"level {piece.level}: {piece.name}"
    told = [f"× {piece.weight:.2f}"] * (piece.level >= 0) + [f"logit {piece.logit:+.1f}"] * math.isfinite(
        piece.logit
    )
    text = ", ".join(told).replace("-", "−")
    alt = f"{title}, {piece.share:.0%} of the energy" + (f", made of {len(inside)} pieces" if inside else "")
    return Node(
        title,
        text,
        drawing(mind, piece.picture, SCALE, scale=scale),
        alt,
        share=min(1.0, max(0.0, piece.share)),
        children=inside,
        opened=opened,
    )


def drawing(
    mind: Mind, values: np.ndarray, pixel: int, like: np.ndarray | None = None, scale: float | None = None
) -> bytes:
    """A vector as PNG, orange above and blue below zero, on the scale of another: 16 ×
    16, or the columns of a table in rows of fifteen.
    """
    limit = scale if scale is not None else float(np.abs(values if like is None else like).max()) or 1.0
    shape = (SIDE, SIDE)
    if not mind.vocabulary.side:
        shape = (-(-len(values) // ROW), min(ROW, len(values)))
        values = np.append(values, np.full(shape[0] * shape[1] - len(values), np.nan))
    return images.png(
        images.enlarged(images.signed(values.reshape(shape), page.palette(), limit or 1.0), pixel)
    )


def forks() -> None:
    """A photograph's way through the neural-backed tree, with the probability at every
    fork.
    """
    chosen = st.session_state[f"{card.slug}-square"]
    st.markdown("##### Fork by fork: a network's last layer read as a tree")
    try:
        roots, words, took = forked(chosen.digest, chosen.pixels, page.scheme())
    except CheckpointError as error:
        st.error(str(error), icon=":material/error:")
        return
    tree(f"{card.slug}-forks", roots, "The photograph's way through the tree of classes")
    st.caption(f"{words} :gray[{took:.0f} ms.]")


@st.cache_data(max_entries=attributions.CACHE_ENTRIES, show_spinner=False)
def forked(digest: str, _pixels: np.ndarray, scheme: str) -> tuple[list[Node], str, float]:
    """The tree of forks for one photograph as nodes, what was found in words, and
    milliseconds; kept under the photograph's digest.
    """
    started = time.perf_counter()
    way = photograph_forks.way(_pixels)
    words, palette = way.tree, charts.PALETTES[scheme]

    def grown(place: int, share: float | None, reached: float) -> Node:
        if place < len(words.classes):
            text = f"reached with {reached:.0%}"
            return Node(
                words.classes[place],
                text,
                alt=f"class {words.classes[place]}",
                share=share,
                marked=place in way.path,
            )
        fork = words.fork(place)
        left, right = (float(each) for each in way.at_forks[place - len(words.classes)])
        inside = (grown(fork.left, left, reached * left), grown(fork.right, right, reached * right))
        picture, alt = b"", "a fork that is not on the way"
        if place in way.maps:
            picture = images.png(images.enlarged(images.attribution(way.maps[place], True, palette), 3))
            alt = (
                f"which pixels speak for {words.name(fork.left)} (orange) or for {words.name(fork.right)}"
                " (blue)"
            )
        return Node(
            words.name(place),
            f"reached with {reached:.0%}",
            picture,
            alt,
            share,
            place in way.path,
            inside,
            place in way.path,
        )

    roots = [grown(words.root, None, 1.0)]
    best, network = int(way.leaves.argmax()), int(way.network.argmax())
    said = (
        f"The tree says {words.classes[best]} ({way.leaves[best]:.0%}), the network {words.classes[network]}"
        f" ({way.network[network]:.0%}). Bars: how likely each side of a fork is. Pictures: gradient × input"
        " of the fork, orange for the side that stands first. The network knows ten classes and has no word"
        " for anything else. On CIFAR-10's 10,000 test photographs the network is right on 88.8 %, the tree"
        " on 87.3 %, a tree of the same shape with the classes dealt at random on 86.3 % [86.0, 86.6] (10"
        " deals): the shape tells much, the weights little."
    )
    return roots, said, 1000 * (time.perf_counter() - started)


def draw(film: Film, cost: str) -> None:
    """A run under way: the atoms that are learned, then how many items are explained by
    bits.
    """
    explained = [frame for frame in film if frame.bits]
    if explained:
        x, passes = series(explained, "bits").astype(float), series(explained, "passes")
        lines = {NAMES[arm]: Line(ROLES[arm], passes[:, :, ARMS.index(arm)]) for arm in LINES}
        limits = {"x_domain": (40.0, 240.0), "y_domain": (0.0, 1.0), "y_format": ".0%"}
        chart = charts.curves(
            x, lines, "bits an item", "test items explained", palette=page.palette(), **limits
        )
        page.figure(
            chart,
            f"{card.slug}-live-curves",
            "Dictionaries are paid for; the setting N says by how many items.",
            cost,
            moving=True,
        )
    else:
        st.caption(f"Learning, stage {film[-1].step} of 5: judge, network, levels, rivals, trees. {cost}.")
    shown = film[-1].shown[0]
    for words, own in (
        ("Parts, level 1", shown[: len(shown) // 2]),
        ("Wholes, level 2", shown[len(shown) // 2 :]),
    ):
        if own.any():
            st.caption(f"{words}, of the first seed.")
            sheet = images.grid(own[own.any((1, 2))], 12, scale=4, gap=3, paper=page.palette().background)
            st.image(images.png(sheet), width="stretch", alt=words, output_format="PNG")
    if film[-1].measured.any():
        bars = [
            bar(arm, t_interval(film[-1].measured[:, ARMS.index(arm), 0].astype(float))) for arm in EXPLAINING
        ]
        chart = charts.bars_with_intervals(
            bars, "test items explained", page.palette(), x_format=".0%", x_domain=(0.0, 1.0)
        )
        page.figure(
            chart,
            f"{card.slug}-live-bars",
            "At the bits that were set; the item itself costs 1,280. Means and 95 % intervals.",
            cost,
        )


def bar(arm: str, interval: Any) -> Bar:
    """One arm's mean over seeds with its interval."""
    return Bar(NAMES[arm], interval.mean, interval.low, interval.high, ROLES[arm])


def answer(command: str) -> None:
    """Beyond the claims: every arm on every data set, how many must share a dictionary,
    and how alike explanations are.
    """
    rows = evidence.rows(card.slug)
    glyphs = tables.arms(rows, "glyphs")
    n = glyphs["three"]["passes"].n
    names = {name: tables.arms(rows, name) for name in tables.DATASETS}
    found = tables.sharing(rows)
    in_short(names, found, tables.budget(rows))
    st.markdown("##### Explained at equal bits")
    shown = [arm for arm in EXPLAINING if arm not in ("spanned",)]
    table: dict[str, list[str]] = {"arm": [NAMES[arm] for arm in shown]}
    table |= {
        f"{name.replace('_', ' ')}, %": [percent(found[arm]["passes"]) for arm in shown]
        for name, found in names.items()
    }
    table["atoms, glyphs"] = [f"{glyphs[arm]['atoms'].mean:.1f}" for arm in shown]
    table["bits, glyphs"] = [f"{glyphs[arm]['bits'].mean:.0f}" for arm in shown]
    table["named right, glyphs, %"] = [percent(glyphs[arm]["accuracy"]) for arm in shown]
    st.table(table, hide_index=True)
    st.caption(
        "Share of new items that f finds explained in at most 100 bits each, N = 1,000; means and 95 %"
        f" intervals over n = {n} seeds, not corrected for their number. Sizes of vocabularies chosen on"
        " validation items. Named right: by the judge from E's picture, by trees themselves; the network"
        f" itself {percent(glyphs['cnn']['accuracy'])} %, read as a tree"
        f" {percent(glyphs['backed']['accuracy'])} %, with its classes dealt at random"
        f" {percent(glyphs['random']['accuracy'])} %."
    )
    st.markdown("##### At other budgets?")
    spent = tables.budget(rows)
    st.table(
        {
            "bits an item": [str(bits) for bits in spent],
            **{f"{NAMES[arm]}, %": [percent(line[arm]) for line in spent.values()] for arm in BUDGETED},
        },
        hide_index=True,
    )
    st.caption(
        "Glyphs, N = 1,000; sizes chosen anew at each budget. The curves of a run keep the sizes chosen at"
        " its own."
    )
    st.markdown("##### How many items must share the dictionary?")
    st.table(
        {
            "N": [f"{count:,}" for count in found],
            **{f"{NAMES[arm]}, %": [percent(line[arm]) for line in found.values()] for arm in SHARING},
        },
        hide_index=True,
    )
    st.caption(
        "Glyphs, 100 bits. What levels save is dictionary; when very many share it, there is little left to"
        " save."
    )
    st.markdown("##### How alike are explanations?")
    alike = {"directions": "overlap", "strangers": "overlap", "halves": "overlap"}
    st.table(
        {
            "compared": [NAMES[arm] for arm in alike],
            **{
                f"{name.replace('_', ' ')}, %": [
                    percent(names[name][arm][measure]) for arm, measure in alike.items()
                ]
                for name in tables.DATASETS
            },
        },
        hide_index=True,
    )
    stable = "; ".join(
        f"{name.replace('_', ' ')}: levels {percent(names[name]['three']['stability'])} %, flat"
        f" {percent(names[name]['flat']['stability'])} %"
        for name in ("glyphs", "digits")
    )
    st.caption(
        "What two explanations have in common in level 0: orientations in cells of 4 × 4 pixels, or columns."
        f" Stability, the mean cosine of matched atoms from two halves of the items: {stable}. True parts"
        f" recovered: levels {percent(glyphs['three']['recovered'])} %, shuffled"
        f" {percent(glyphs['shuffled']['recovered'])} %."
    )
    st.code(command, language="bash", wrap_lines=True)


def in_short(names: dict[str, Any], shared: dict[int, Any], spent: dict[int, Any]) -> None:
    """The question's parts answered in the evidence's own numbers."""
    glyphs, digits = (
        {arm: percent(names[name][arm]["passes"]) for arm in ("three", "flat", "shuffled", "spelled")}
        for name in ("glyphs", "digits")
    )
    alike = {arm: percent(names["glyphs"][arm]["overlap"]) for arm in ("directions", "strangers", "halves")}
    fewest, most = min(shared), max(shared)
    least, top = (
        {arm: percent(spent[bits][arm]) for arm in ("three", "flat")} for bits in (min(spent), max(spent))
    )
    st.markdown(
        f"**More at equal bits?** Of glyphs made of parts three levels explain {glyphs['three']} % in 100"
        f" bits, a flat dictionary {glyphs['flat']} %, a shuffled hierarchy {glyphs['shuffled']} %; in"
        f" {min(spent)} bits levels {least['three']} and flat {least['flat']} %, in {max(spent)} bits"
        f" {top['three']} and {top['flat']} %. Of handwritten digits three levels explain {digits['three']}"
        f" %, a flat dictionary {digits['flat']} %, a shuffled hierarchy {digits['shuffled']} %.\n\n**Where"
        " from?** From dictionary bits alone: the same vocabulary spelled out in strokes explains"
        f" {glyphs['spelled']} % of the glyphs. When {fewest:,} items share a dictionary, levels explain"
        f" {percent(shared[fewest]['three'])} % and flat ones {percent(shared[fewest]['flat'])} %; when"
        f" {most:,} do, {percent(shared[most]['three'])} % and {percent(shared[most]['flat'])} %.\n\n**Do"
        f" both directions give the same E?** Way up and way down have {alike['directions']} % of their"
        f" strokes in common on the same glyph, {alike['strangers']} % on different ones; two vocabularies of"
        f" the same direction {alike['halves']} %."
    )


what_to_do = (
    "Pick an item or draw one. On the right f says whether its few atoms explain it; open the tree below,"
    " down to single strokes."
)
choices = {
    "source": SOURCES,
    "g": explaining.EXPLAINERS,
    "table": worlds.TABLES,
    "photograph": list(photographs()),
}
act = page.intro(
    card, what_to_do, HierarchicalExplanationConfig, HierarchicalExplanationView, choices=choices
)
if act == "Play":
    play()
elif act == "Train":
    picture, controls = st.columns([3, 1], gap="medium")
    with controls:
        config, seeds = settings.ask(card.slug, HierarchicalExplanationConfig, seeds=3)
    with picture:
        st.caption("About 13 seconds a seed on one core for pictures, a second for tables.")
        training.live(card, subject, config, seeds, draw)
elif act == "Answer":
    if found := evidence.answer(card, subject):
        answer(found["command"])
else:
    formulas = {
        "g: orthogonal matching pursuit": pursuit.pursue,
        "f": checking.Checker,
        "Levels": vocabulary.learned_sizes,
        "Bits of a vocabulary": vocabulary.Vocabulary.bits,
    }
    page.read(card, subject.prior_work, formulas)
