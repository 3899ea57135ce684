"""Hierarchical explanations: an item as a tree of strokes; levels at equal bits."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config
from mlcv_explore.data.gallery import photographs
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_explanation import STAGES, inference, photograph, tables
from mlcv_explore.ideas.hierarchical_explanation import idea as subject
from mlcv_explore.ideas.hierarchical_explanation.checking import Checker, Rules
from mlcv_explore.ideas.hierarchical_explanation.datasets import GLYPHS, TABLES
from mlcv_explore.ideas.hierarchical_explanation.dictionary import Dictionary, learn
from mlcv_explore.ideas.hierarchical_explanation.inference import METHODS, Explainer, Explanation
from mlcv_explore.ideas.hierarchical_explanation.inference import HierarchicalExplanationView as View
from mlcv_explore.ideas.hierarchical_explanation.pieces import Piece
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.sparse_coding import matching_pursuit
from mlcv_explore.ui import attributions, figures, inputs, page, settings, theme
from mlcv_explore.ui.tree import Node, tree

SLUG = subject.slug
SOURCES = ("Glyph", "Digit", "Draw", "Table", "Photograph")  # as in the link

choice = partial(st.segmented_control, required=True, bind="query-params", wrap=True)


@st.fragment
def play() -> None:
    """Choose an item, and its explanation."""
    source = choice("Explain", SOURCES, default=SOURCES[0], key=f"{SLUG}-source")
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
        figures.badge(*("supported", "explained") if explained.passed else ("contradicted", "not explained"))
        st.markdown("  \n".join(explained.report(rules)))
        st.caption(inference.summary(base, values, explained, rules))
        if method == "pursuit" and not foreign:
            free = inference.can_be_added(base, added, explained, depth)
            add_atom(added, (explained.chosen, explained.weights), free)
        if explained.pieces:
            explanation_tree(base, values, explained)


def choose(source: str, strip, left) -> tuple[Explainer, np.ndarray | None, inputs.ChosenImage | None]:
    """The explainer, the item if there is one, and the photograph behind it."""
    if source in ("Glyph", "Digit"):
        base, key = inference.explainer(f"{source.lower()}s"), f"{SLUG}-{source.lower()}"
        items = inference.examples(base)
        thumbnails = {name: np.uint8(255 * values).reshape(16, 16) for name, values in items.items()}
        with strip:
            name = inputs.example_strip(key, thumbnails, "Test images, one of each class")
        return base, items[name], None
    if source == "Photograph":
        with strip:
            name = inputs.example_strip(f"{SLUG}-photograph", inputs.gallery_thumbnails(), "Photograph")
        with left:
            chosen = inputs.upload(f"{SLUG}-upload") or inputs.gallery_image(name)
            st.image(chosen.enlarged, alt=chosen.description)
            st.caption(f"{chosen.description}. {inference.PHOTOGRAPH_NOTE}")
        return inference.explainer("digits"), inference.from_photograph(chosen.pixels), chosen
    with left:
        if source == "Table":
            base = inference.explainer(choice("Table", TABLES, default=TABLES[0], key=f"{SLUG}-table"))
            row = settings.control(SLUG, View.setting("item"))
            return base, base.items[min(row, len(base.items)) - 1], None
        digit = inputs.draw_digit(f"{SLUG}-canvas")
        return inference.explainer("digits"), None if digit is None else inference.from_digit(digit), None


def controls(foreign: bool) -> tuple[str, int, int, Rules, bool]:
    """Method, atoms, levels, f, and whether E may hold the remainder."""
    about = "Pursuit: best-fitting atom first. Prototypes: nearest training images. Path: soft decision tree."
    method = choice("Method g", METHODS, default=METHODS[0], key=f"{SLUG}-g", disabled=foreign, help=about)
    most, depth = (settings.control(SLUG, View.setting(name)) for name in ("atoms", "depth"))
    energy = settings.control(SLUG, subject.config.setting("energy"))
    with st.expander("More"):
        names = ("energy_test", "label_test", "removal_test")
        tests = tuple(settings.control(SLUG, subject.config.setting(name)) for name in names)
        drop = settings.control(SLUG, replace(subject.config.setting("drop"), more=False))
        residual = settings.control(SLUG, View.setting("residual"))
    tests = (tests[0], False, False) if foreign else tests  # the classifier is trained on digits
    return METHODS[0] if foreign else method, most, depth, Rules(energy, drop, tests), residual


def growth(base: Explainer, values: np.ndarray, explained: Explanation) -> None:
    """E as levels are added from the top."""
    with st.container(horizontal=True, gap="small"):
        for text, image in explained.stages(values):
            png = drawing(base, image, 7, np.abs(values).max())
            st.image(png, text, width=112, alt=text, output_format="PNG")


def add_atom(added: list[inference.Accepted], new: inference.Accepted, free: bool) -> None:
    """Add an explanation to the last level, for this visitor; or remove those."""
    add = {"help": inference.ADDING_NOTE, "on_click": added.append, "args": (new,)}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Add to dictionary", key=f"{SLUG}-join", disabled=not free, **add)
        if added:
            st.button(f"Remove {len(added)} added", key=f"{SLUG}-forget", on_click=added.clear)


def explanation_tree(base: Explainer, values: np.ndarray, explained: Explanation) -> None:
    """The tree from the item to level 0 as images that open."""
    scale = np.abs(values).max()

    def grown(piece: Piece, opened: bool = False) -> Node:
        title, text, alt, share = inference.describe(piece)
        image, inside = drawing(base, piece.image, 6, scale), tuple(map(grown, piece.pieces))
        return Node(title, text, image, alt, share, children=inside, opened=opened)

    children = tuple(grown(piece, number == 0) for number, piece in enumerate(explained.pieces))
    root = Node("X", "", drawing(base, values, 6, scale), "The item", children=children, opened=True)
    tree(f"{SLUG}-tree", [root], "The explanation from the item down to level 0")
    st.caption(inference.TREE_NOTE)


def drawing(base: Explainer, values: np.ndarray, pixel: int, limit: float) -> bytes:
    """A vector as PNG, each value a square of `pixel` pixels."""
    signed = images.signed(inference.as_image(base, values), theme.palette(), limit or 1.0)
    return images.png(images.enlarged(signed, pixel))


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
        name, on, image = result.tree.name(place), place in result.path, b""
        inside = tuple(grown(inner, part, reached * part) for inner, part in result.branches(place))
        if place in result.maps:
            image = images.png(images.enlarged(images.attribution(result.maps[place], True, palette), 3))
        text, alt = f"reached with {reached:.0%}", f"pixels that decide between {name}"
        return Node(name, text, image, alt, share, on, inside, on)

    return [grown(result.tree.root, None, 1.0)], result.report()


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """The atoms that are learned, then how many items are explained over bits."""
    if curves := tables.explained_curves(film):
        lines = {label: Line(*line) for label, line in curves[1].items()}
        chart = charts.curves(curves[0], lines, palette=theme.palette(), **tables.AXES)
        about = {"command": figures.command(SLUG, config, seeds), "config": config, "moving": True}
        figures.figure(chart, f"{SLUG}-curves", f"{config.items:,} items share the dictionary.", **about)
    else:
        st.caption(f"Training, stage {film[-1].step} of {len(STAGES)}: {STAGES[film[-1].step - 1]}.")
    for name, atoms in tables.learned_atoms(film[-1]).items():
        sheet = images.grid(atoms, 12, scale=4, gap=3, paper=theme.palette().background)
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
choices = {"source": SOURCES, "g": METHODS, "table": TABLES, "photograph": tuple(photographs())}
choices |= {"glyph": GLYPHS, "digit": tuple("0123456789")}
shown = {"play": play, "draw": draw, "answer": answer, "example": example}
page.run(subject, **shown, formulas=formulas, views=(View,), choices=choices, seeds=3)
