"""Hierarchical explanations: one item as a tree down to strokes; levels at equal bits."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config, setting
from mlcv_explore.data.gallery import photographs
from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_explanation import ARMS, STAGES, inference, photograph, tables
from mlcv_explore.ideas.hierarchical_explanation import HierarchicalExplanationConfig as RunConfig
from mlcv_explore.ideas.hierarchical_explanation import idea as subject
from mlcv_explore.ideas.hierarchical_explanation.checking import Checker, Rules
from mlcv_explore.ideas.hierarchical_explanation.datasets import GLYPHS, TABLES
from mlcv_explore.ideas.hierarchical_explanation.dictionary import Dictionary, learn
from mlcv_explore.ideas.hierarchical_explanation.inference import METHODS, Explainer, Explanation
from mlcv_explore.ideas.hierarchical_explanation.pieces import Piece
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.sparse_coding import matching_pursuit
from mlcv_explore.ui import attributions, figures, inputs, page, settings, theme
from mlcv_explore.ui.tree import Node, tree

SLUG = subject.slug
SOURCES = ("Glyph", "Digit", "Draw", "Table", "Photograph")  # as in the link
LINES = ("three", "two", "flat", "shuffled", "pixels")  # in a run's curves
CHOICES = {"source": SOURCES, "g": METHODS, "table": TABLES, "photograph": tuple(photographs())}
MOST_ADDED = 12  # explanations of a visitor that become atoms


class HierarchicalExplanationView(Config):
    """Settings of the demo; nothing of it is trained."""

    item: int = setting(3, "Test row", low=1, high=40, step=1)
    atoms: int = setting(4, "Atoms in E, at most", low=1, high=24, step=1)
    depth: int = setting(2, "Highest level", low=0, high=2, step=1, help="0: strokes, 1: parts, 2: wholes.")
    residual: bool = setting(False, "E may hold the remainder", help="One vector outside S, at its price.")


def choice(label: str, name: str, **options: Any) -> str:
    """Buttons for one of CHOICES; the first is the default."""
    options |= {"default": CHOICES[name][0], "required": True, "bind": "query-params", "wrap": True}
    return st.segmented_control(label, CHOICES[name], key=f"{SLUG}-{name}", **options)


@st.fragment
def play() -> None:
    """Choose an item, and its explanation."""
    source = choice("Explain", "source")
    strip, (left, right), foreign = st.container(), st.columns([2, 5], gap="large"), source == "Photograph"
    try:
        base, values, chosen = choose(source, strip, left)
    except CheckpointError as error:
        st.error(str(error), icon=":material/error:")
        return
    with left:
        method, most, depth, rules, residual = controls(foreign)
    if values is None:
        return
    added = st.session_state.setdefault(f"{SLUG}-joined", {}).setdefault(base.card["name"], [])
    base = inference.extended(base, added)
    explained = inference.explain(base, values, method, most, depth, rules, residual, foreign)
    with right:
        if chosen is not None:
            decision_path(chosen)
        growth(base, values, explained)
        verdict(base, values, explained, rules)
        if method == "pursuit" and not foreign:
            add_atom(added, explained, depth, len(base.dictionary.levels))
        if explained.pieces:
            explanation_tree(base, values, explained)


def choose(source: str, strip, left) -> tuple[Explainer, np.ndarray | None, inputs.ChosenImage | None]:
    """The explainer, the item (None while there is none), and the photograph behind it."""
    if source in ("Glyph", "Digit"):
        base = inference.explainer(f"{source.lower()}s")
        first = {name: base.items[(base.labels == index).argmax()] for index, name in enumerate(base.classes)}
        thumbnails = {name: np.uint8(255 * values).reshape(16, 16) for name, values in first.items()}
        with strip:
            name = inputs.example_strip(
                f"{SLUG}-{source.lower()}", thumbnails, "Test images, one of each class"
            )
        return base, first[name], None
    with left:
        if source == "Table":
            base = inference.explainer(choice("Table", "table"))
            row = settings.control(SLUG, HierarchicalExplanationView.setting("item"))
            return base, base.items[min(row, len(base.items)) - 1], None
        base = inference.explainer("digits")
        if source == "Draw":
            digit = inputs.draw_digit(f"{SLUG}-canvas")
            return base, None if digit is None else inference.from_digit(digit), None
    with strip:
        name = inputs.example_strip(f"{SLUG}-photograph", gallery(), "Photograph")
    with left:
        chosen = inputs.upload(f"{SLUG}-upload") or inputs.gallery_image(name)
        st.image(chosen.enlarged, alt=chosen.description)
        st.caption(
            f"{chosen.description}. Explained as 16 × 16 grey pixels minus their mean, by energy alone."
        )
    return base, inference.from_photograph(chosen.pixels), chosen


@st.cache_resource(show_spinner=False)
def gallery() -> dict[str, np.ndarray]:
    """The gallery's photographs as thumbnails."""
    return {name: image.read(80).pixels for name, image in photographs().items()}


def controls(foreign: bool) -> tuple[str, int, int, Rules, bool]:
    """Method, atoms, levels, f, and whether E may hold the remainder."""
    about = "Pursuit: best-fitting atom first. Prototypes: nearest training images. Path: soft decision tree."
    method = choice("Method g", "g", disabled=foreign, help=about)
    view = HierarchicalExplanationView
    most, depth = (settings.control(SLUG, view.setting(name)) for name in ("atoms", "depth"))
    energy = settings.control(SLUG, RunConfig.setting("energy"))
    with st.expander("More"):
        names = ("energy_test", "label_test", "removal_test")
        tests = tuple(settings.control(SLUG, RunConfig.setting(name)) for name in names)
        drop = settings.control(SLUG, replace(RunConfig.setting("drop"), more=False))
        residual = settings.control(SLUG, view.setting("residual"))
    tests = (tests[0], False, False) if foreign else tests  # the classifier is trained on digits
    return METHODS[0] if foreign else method, most, depth, Rules(energy, drop, tests), residual


def verdict(base: Explainer, values: np.ndarray, explained: Explanation, rules: Rules) -> None:
    """The result of f test by test, and the bits."""
    status, text = ("supported", "explained") if explained.passed else ("contradicted", "not explained")
    figures.badge(status, text)
    st.markdown(
        "  \n".join(explained.report(rules)) if explained.atoms or explained.remainder else "E is empty."
    )
    likely = ", ".join(f"{name} {share:.0%}" for name, share in inference.predictions(base, values))
    st.caption(
        f"E: {explained.atoms} of {explained.size:,} atoms{' and the remainder' * explained.remainder},"
        f" {explained.bits:.0f} bits. Dictionary S: {explained.dictionary:,.0f} bits, shared by all items."
        f"{f' Classifier: {likely}.' * rules.tests[1]}"
    )


def growth(base: Explainer, values: np.ndarray, explained: Explanation) -> None:
    """E as levels are added from the top."""
    with st.container(horizontal=True, gap="small"):
        for name, image, energy in (("X", values, None), *explained.growth):
            text = "X, the item" if energy is None else f"+ {name}: {energy:.0%}"
            png = drawing(base, image, 7, np.abs(values).max())
            st.image(png, text, width=112, alt=text, output_format="PNG")


def add_atom(added: list[inference.Accepted], explained: Explanation, depth: int, top: int) -> None:
    """Add an accepted explanation to the last level, for this visitor; or remove those."""
    free = explained.passed and depth == top and not explained.remainder
    free = free and explained.atoms > 1 and len(added) < MOST_ADDED
    about = f"An accepted E with all levels becomes an atom, for you alone; at most {MOST_ADDED}."
    add = {"on_click": added.append, "args": ((explained.chosen, explained.weights),)}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Add to dictionary", key=f"{SLUG}-join", disabled=not free, help=about, **add)
        if added:
            st.button(f"Remove {len(added)} added", key=f"{SLUG}-forget", on_click=added.clear)


def explanation_tree(base: Explainer, values: np.ndarray, explained: Explanation) -> None:
    """The tree from the item to level 0 as images that open."""
    scale = np.abs(values).max()
    children = tuple(node(base, piece, scale, number == 0) for number, piece in enumerate(explained.pieces))
    root = Node("X", "", drawing(base, values, 6, scale), "The item", children=children, opened=True)
    tree(f"{SLUG}-tree", [root], "The explanation from the item down to level 0")
    text = (
        "Orange adds, blue subtracts. Bars: share of X's energy. Logit: part of the classifier's logit of X's"
    )
    st.caption(f"{text} class, by contextual decomposition; parts need not add up.")


def node(base: Explainer, piece: Piece, scale: float, opened: bool = False) -> Node:
    """A piece as a card of the tree."""
    inside = tuple(node(base, each, scale) for each in piece.pieces)
    title = piece.name if piece.level < 0 else f"level {piece.level}: {piece.name}"
    logit = "" if math.isnan(piece.logit) else f", logit {piece.logit:+.1f}"
    text, image = f"× {piece.weight:.2f}{logit}".replace("-", "−"), drawing(base, piece.image, 6, scale)
    alt = f"{title}, {piece.share:.0%} of the energy, made of {len(inside)} pieces"
    return Node(title, text, image, alt, min(1.0, max(0.0, piece.share)), children=inside, opened=opened)


def drawing(base: Explainer, values: np.ndarray, pixel: int, limit: float) -> bytes:
    """A vector as PNG: 16 × 16, or a table's columns in rows of fifteen."""
    shape = (16, 16) if base.dictionary.side else (-(-len(values) // 15), min(15, len(values)))
    filled = np.append(values, np.full(shape[0] * shape[1] - len(values), np.nan)).reshape(shape)
    return images.png(images.enlarged(images.signed(filled, theme.palette(), limit or 1.0), pixel))


def decision_path(chosen: inputs.ChosenImage) -> None:
    """The photograph's path through the neural-backed tree."""
    roots, text = forks(chosen.digest, chosen.pixels, theme.scheme())
    tree(f"{SLUG}-forks", roots, "Decision path through the tree of classes")
    st.caption(f"{text} Bars: probability of each side. Maps: gradient × input, orange for the left side.")


@st.cache_data(max_entries=attributions.CACHE_ENTRIES, show_spinner=False)
def forks(digest: str, _pixels: np.ndarray, scheme: str) -> tuple[list[Node], str]:
    """The tree of forks for one photograph, and its result in words."""
    result, palette = photograph.classify(_pixels), charts.PALETTES[scheme]

    def grown(place: int, share: float | None, reached: float) -> Node:
        name, on, text = result.tree.name(place), place in result.path, f"reached with {reached:.0%}"
        leaves, inside, image = len(result.tree.classes), (), b""
        if place >= leaves:
            fork, (left, right) = result.tree.fork(place), result.at_forks[place - leaves].tolist()
            inside = grown(fork.left, left, reached * left), grown(fork.right, right, reached * right)
        if place in result.maps:
            image = images.png(images.enlarged(images.attribution(result.maps[place], True, palette), 3))
        return Node(name, text, image, f"pixels that decide between {name}", share, on, inside, on)

    return [grown(result.tree.root, None, 1.0)], result.report()


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """The atoms that are learned, then how many items are explained over bits."""
    explained = [frame for frame in film if frame.bits]
    if explained:
        passes, palette = series(explained, "passes"), theme.palette()
        arms = {arm: passes[:, :, ARMS.index(arm)] for arm in LINES}
        lines = {subject.label(arm): Line(subject.arm(arm).role, values) for arm, values in arms.items()}
        axes = {"palette": palette, "x_domain": (40.0, 240.0), "y_domain": (0.0, 1.0), "y_format": ".0%"}
        bits = series(explained, "bits").astype(float)
        chart = charts.curves(bits, lines, "bits per item", "test items explained", **axes)
        notice, command = (
            f"{config.items:,} items share the dictionary.",
            figures.command(SLUG, config, seeds),
        )
        figures.figure(chart, f"{SLUG}-curves", notice, command=command, config=config, moving=True)
    else:
        st.caption(f"Training, stage {film[-1].step} of {len(STAGES)}: {STAGES[film[-1].step - 1]}.")
    names = "Parts, level 1, first seed", "Wholes, level 2, first seed"
    for name, atoms in zip(names, np.split(film[-1].shown[0], 2), strict=True):
        if atoms.any():
            paper = theme.palette().background
            sheet = images.grid(atoms[atoms.any((1, 2))], 12, scale=4, gap=3, paper=paper)
            st.image(images.png(sheet), name, width="stretch", alt=name, output_format="PNG")


def example() -> None:
    """One glyph explained by four atoms of three levels."""
    base = inference.explainer("glyphs")
    values = base.items[(base.labels == 0).argmax()]
    growth(base, values, inference.explain(base, values, METHODS[0], 4, 2, Rules()))
    st.caption("A test glyph X and its explanation by four atoms, added from the highest level down.")


def answer(table: Table) -> None:
    """Every arm on every data set, other budgets, sharing, and agreement."""
    for name, (columns, note) in tables.details(table).items():
        figures.intervals(columns, f"{SLUG}-{name}", note)


formulas = {"Matching pursuit": matching_pursuit, "f": Checker, "Levels": learn, "Bits": Dictionary.bits}
choices = CHOICES | {"glyph": GLYPHS, "digit": tuple("0123456789")}
views = (HierarchicalExplanationView,)
shown = {"play": play, "draw": draw, "answer": answer, "example": example}
page.run(subject, **shown, formulas=formulas, views=views, choices=choices, seeds=3)
