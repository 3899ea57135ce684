"""Hierarchical explanations: an item as a tree of strokes; levels at equal bits."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config
from mlcv_explore.data import gallery, glyphs, vectors
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_explanation import codes, inference, stages, tables
from mlcv_explore.ideas.hierarchical_explanation import idea as subject
from mlcv_explore.ideas.hierarchical_explanation.inference import METHODS, Explainer, Explanation
from mlcv_explore.ideas.hierarchical_explanation.inference import HierarchicalExplanationView as View
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.hierarchical_dictionary import learn
from mlcv_explore.models.item_codes import best
from mlcv_explore.models.sparse_coding import matching_pursuit
from mlcv_explore.saliency.acceptance import Checker, Rules
from mlcv_explore.saliency.contribution_trees import Piece, describe
from mlcv_explore.ui import decision_tree, evidence, figures, inputs, page, settings, theme
from mlcv_explore.ui.small_image_input import buttons, draw_digit
from mlcv_explore.ui.tree import Node, tree

SLUG = subject.slug
SOURCES = ("Glyph", "Digit", "Draw", "Table", "Photograph")  # as in the link
METHOD = "Pursuit: best-fitting atom first. Prototypes: nearest training images. Path: soft decision tree."
ADDING_NOTE = f"An accepted E with all levels becomes an atom, for you alone; at most {inference.MOST_ADDED}."
PHOTOGRAPH_NOTE = "Explained as 16 × 16 grey pixels minus their mean, by energy alone."
TREE_NOTE = (
    "Orange adds, blue subtracts. Bars: share of X's energy. Logit: part of the classifier's logit of X's"
    " class, by contextual decomposition; parts need not add up."
)
ACCURACIES = (  # `python -m bench.hierarchical_explanation`
    "On 10,000 CIFAR-10 test photographs: network 88.8 %, tree 87.3 %, random tree of equal shape 86.3 %"
    " [86.0, 86.6], 10 draws."
)
control = partial(settings.control, SLUG)


@st.fragment
def play() -> None:
    """Choose an item, and its explanation."""
    source = buttons(f"{SLUG}-source", "Explain", SOURCES)
    strip, (left, right), foreign = st.container(), st.columns([2, 5], gap="large"), source == "Photograph"
    with figures.reported(CheckpointError):
        base, values, chosen = choose(source, strip, left)
        with left:
            method, most, depth, rules, residual = controls(foreign)
        if values is None:
            return
        added = st.session_state.setdefault(f"{SLUG}-joined", {}).setdefault(base.card["name"], [])
        base = inference.extended(base, added)
        explained = inference.explain(base, values, method, most, depth, rules, residual, foreign)
        with right:
            if chosen is not None:
                decision_tree.decision_path(f"{SLUG}-forks", chosen, "cifar10/0", ACCURACIES)
            growth(base, explained)
            outcome = ("supported", "explained") if explained.passed else ("contradicted", "not explained")
            figures.badge(*outcome)
            st.markdown("  \n".join(explained.report(rules)))
            st.caption(inference.summary(base, explained, rules))
            if method == "pursuit" and not foreign:
                free = inference.can_be_added(base, added, explained, depth)
                add_atom(added, (explained.chosen, explained.weights), free)
            if explained.pieces:
                explanation_tree(base, explained)


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
            st.caption(f"{chosen.description}. {PHOTOGRAPH_NOTE}")
        return inference.explainer("digits"), vectors.from_photograph(chosen.pixels, glyphs.SIDE), chosen
    with left:
        if source == "Table":
            base = inference.explainer(buttons(f"{SLUG}-table", "Table", vectors.TABLES))
            return base, base.items[min(control(View.setting("item")), len(base.items)) - 1], None
        digit = draw_digit(f"{SLUG}-canvas")
        values = None if digit is None else vectors.from_digit(digit, glyphs.SIDE)
        return inference.explainer("digits"), values, None


def controls(foreign: bool) -> tuple[str, int, int, Rules, bool]:
    """Method, atoms, levels, f, and whether E may hold the remainder."""
    method = buttons(f"{SLUG}-g", "Method g", METHODS, disabled=foreign, help=METHOD)
    most, depth = (control(View.setting(name)) for name in ("atoms", "depth"))
    energy = control(subject.config.setting("energy"))
    with st.expander("More"):
        tests = tuple(control(View.setting(f"{name}_test")) for name in ("energy", "label", "removal"))
        drop = control(replace(subject.config.setting("drop"), more=False))
        residual = control(View.setting("residual"))
    tests = (tests[0], False, False) if foreign else tests  # the classifier is trained on digits
    return METHODS[0] if foreign else method, most, depth, Rules(energy, drop, tests), residual


def growth(base: Explainer, explained: Explanation) -> None:
    """E as levels are added from the top."""
    with st.container(horizontal=True, gap="small"):
        for text, image in explained.stages():
            st.image(drawing(base, image, 7, explained.item), text, 112, alt=text, output_format="PNG")


def add_atom(added: list[inference.Accepted], new: inference.Accepted, free: bool) -> None:
    """Add an explanation to the last level, for this visitor; or remove those."""
    add = {"help": ADDING_NOTE, "on_click": added.append, "args": (new,)}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Add to dictionary", key=f"{SLUG}-join", disabled=not free, **add)
        if added:
            st.button(f"Remove {len(added)} added", key=f"{SLUG}-forget", on_click=added.clear)


def explanation_tree(base: Explainer, explained: Explanation) -> None:
    """The tree from the item to level 0 as images that open."""
    draw_piece = partial(drawing, base, pixel=6, like=explained.item)

    def grown(piece: Piece, opened: bool = False) -> Node:
        title, text, alt, share = describe(piece)
        inside = tuple(map(grown, piece.pieces))
        return Node(title, text, draw_piece(piece.image), alt, share, children=inside, opened=opened)

    children = tuple(grown(piece, number == 0) for number, piece in enumerate(explained.pieces))
    root = Node("X", "", draw_piece(explained.item), "The item", children=children, opened=True)
    tree(f"{SLUG}-tree", [root], "The explanation from the item down to level 0")
    st.caption(TREE_NOTE)


def drawing(base: Explainer, values: np.ndarray, pixel: int, like: np.ndarray) -> bytes:
    """A vector as PNG, each value a square, in the colours of the range of another."""
    square = vectors.as_image(values, base.dictionary.side)
    image = images.signed(square, theme.palette(), np.abs(like).max() or 1.0)
    return images.png(images.enlarged(image, pixel))


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """How much energy is explained over bits, and the atoms that are learned."""
    if film[-1].bits:
        figures.run_curves(subject, [frame for frame in film if frame.bits], config, seeds)
    else:
        st.caption(
            f"Training: {stages(config)[film[-1].step - 1]}, step {film[-1].step} of {film[-1].steps}."
        )
    names = "Parts, level 1, first seed", "Wholes, level 2, first seed"
    for name, atoms in zip(names, np.split(film[-1].shown[0], 2), strict=True):
        if (learned := atoms[atoms.any((1, 2))]).size:
            sheet = images.grid(learned, 12, scale=4, gap=3, paper=theme.palette().background)
            st.image(images.png(sheet), name, width="stretch", alt=name, output_format="PNG")


def example() -> None:
    """One glyph explained by four atoms of three levels."""
    base = inference.explainer("glyphs")
    growth(base, inference.explain(base, inference.examples(base)["A"], METHODS[0], 4, 2, Rules()))
    st.caption("A test glyph X and its explanation by four atoms, added from the highest level down.")


def answer(table: Table) -> None:
    """Energy over N and bits on both kinds of data, every arm, agreement; f over τ."""
    studies = {"Digits": table}
    if evidence.study(SLUG, "photographs") is not None:
        studies["Photographs"] = evidence.table(SLUG, "photographs")
    look, titles = theme.palette(), ("N", "bits per item", "levels − best without, points of energy")
    for name, rows in studies.items():
        *cells, beyond = tables.grid(rows)
        chart = charts.heat_map(*cells, titles, look, significant=beyond, value_format="+.1f")
        figures.figure(chart, f"{SLUG}-{name}-grid", f"{name}. Hatched: not significant, corrected.")
        for part, (columns, note) in tables.details(rows).items():
            figures.intervals(columns, f"{SLUG}-{name}-{part}", f"{name}. {note}")
    sweep = tables.sweep(table)
    lines = {subject.label(arm): Line(subject.arm(arm).role, shares) for arm, shares in sweep.items()}
    chart = charts.curves(
        np.array(codes.THRESHOLDS), lines, "τ, per cent", "share accepted by f", palette=look
    )
    figures.figure(chart, f"{SLUG}-threshold", "Digits that f accepts over τ, at 100 bits and N = 1,000.")


formulas = {"Pursuit": matching_pursuit, "f": Checker, "Levels": learn, "Choice at equal bits": best}
choices = {"source": SOURCES, "g": METHODS, "table": vectors.TABLES, "glyph": glyphs.CLASSES}
choices |= {"photograph": tuple(gallery.photographs()), "digit": tuple("0123456789")}
shown = {"play": play, "draw": draw, "answer": answer, "example": example}
page.run(subject, **shown, formulas=formulas, views=(View,), choices=choices, seeds=3)
