"""The skeleton of an idea's page: question, acts, and what each act shows."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import streamlit as st

from mlcv_explore import idea as ideas
from mlcv_explore.idea import Card, Film, Idea, Prior
from mlcv_explore.ui import answer as answers
from mlcv_explore.ui import evidence, figures, settings, training

if TYPE_CHECKING:
    from mlcv_explore.config import Config
    from mlcv_explore.experiment.runs import Run
    from mlcv_explore.experiment.studies import Table

ACTS = {
    "Play": "Interactive demo",
    "Train": "Run the experiment with your settings and seeds",
    "Answer": "Means and 95 % intervals. *Undecided*: the interval allows either answer",
    "Read": "Background, related work, code",
}


def run(
    subject: Idea,
    *,
    play: Callable[[], None] | None = None,
    draw: "Callable[[Film, Config, Sequence[int]], None] | None" = None,
    answer: "Callable[[Table], None] | None" = None,
    example: Callable[[], None] | None = None,
    overview: Callable[[], None] | None = None,
    formulas: Mapping[str, Any] | None = None,
    views: "Sequence[type[Config]]" = (),
    choices: Mapping[str, Collection[str] | None] | None = None,
    seeds: int | None = None,
) -> None:
    """The page of an idea.

    `draw(film, config, seeds)` draws a run with the settings it was run with, by
    default its curves; `play` is the interactive demo, by default the recorded run;
    `answer(table)` draws results beyond the claims, `overview()` the answer as a table and
    `example()` one image of the idea at work; `formulas` are functions whose code is
    shown. `views` are settings of the demo alone, `choices` other names the link may hold
    with what each may be, `seeds` how many a training begins with.
    """
    card = ideas.card(subject.slug)
    draw = draw or partial(figures.run_curves, subject)
    act = _intro(card, subject.config, *views, choices=choices)
    if act == "Play":
        play() if play else _recorded(subject, draw)
    elif act == "Train":
        training.show(card, subject, draw, seeds)
    elif act == "Answer":
        answers.show(card, subject, answer, example, overview)
    else:
        _read(card, subject.prior_work, formulas or {})


def recorded(slug: str) -> "tuple[Run, Film] | None":
    """An idea's recorded run with its film; None, and a hint, while there is none."""
    if (shipped := evidence.recorded(slug)) is None:
        st.info(f"No run is recorded yet: `python -m mlcv_explore record {slug}`.")
    return shipped


def _recorded(subject: Idea, draw: "Callable[[Film, Config, Sequence[int]], None]") -> None:
    if shipped := recorded(subject.slug):
        run, film = shipped
        draw(film, subject.config(**run.config), run.seeds)


def _intro(card: Card, *configs: "type[Config]", choices: Mapping[str, Collection[str] | None] | None) -> str:
    """Title, instruction and acts; returns the chosen act. Values in the link that
    cannot be used are named first.
    """
    st.title(card.question, anchor=False)
    settings.check_link(card.slug, *configs, choices=choices)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        act = st.segmented_control(
            "Act",
            list(ACTS),
            default="Play",
            required=True,
            key=f"{card.slug}-act",
            bind="query-params",
            label_visibility="collapsed",
        )
        act = act or "Play"  # an empty value in the link
        st.caption(card.instruction if act == "Play" and card.instruction else f"{ACTS[act]}.")
    return act


def _read(card: Card, works: Sequence[Prior], formulas: Mapping[str, Any]) -> None:
    st.markdown(card.text)
    st.subheader("Related work", anchor=False)
    for work in works:
        with st.container(border=True):
            st.markdown(f"**[{work.title}]({work.link})**" if work.link else f"**{work.title}**")
            st.markdown(f"Result: {work.result}")
            st.markdown(f"Here: {work.differs}")
    _code(formulas)
    _feedback(card)


def _code(formulas: Mapping[str, Any]) -> None:
    """The formula's own code, folded: short code is the explanation."""
    import inspect

    st.subheader("Code of the formulas", anchor=False)
    for label, function in formulas.items():
        with st.expander(label):
            st.code(inspect.getsource(function), language="python", wrap_lines=True)


def _feedback(card: Card) -> None:
    """A link to report what is wrong or missing; hidden when MLCV_FEEDBACK_URL is
    unset.
    """
    url = os.environ.get("MLCV_FEEDBACK_URL", "")
    if url:
        joint = "&" if "?" in url else "?"
        address = f"{url}{joint}idea={quote(card.slug)}"
        st.link_button("Report a problem", address, icon=":material/chat:", type="tertiary")
