"""The furniture of every page: question, acts, figures with their cost and downloads,
words and prior art.
"""

import os
import platform
import shlex
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import streamlit as st

from mlcv_explore.idea import Card, Prior
from mlcv_explore.ui.settings import check_link

if TYPE_CHECKING:
    from mlcv_explore.charts import Chart, Palette
    from mlcv_explore.config import Config

ACTS = {
    "Play": "alive at once: move a slider, pick another",
    "Train": "the experiment itself, with your settings and seeds",
    "Answer": "the claim written down beforehand, and what many seeds say",
    "Read": "the words, what was done before, the formula and its source",
}
WORDS = {"supported": "green", "contradicted": "orange", "undecided": "gray", "not asked yet": "gray"}


def public() -> bool:
    """Whether this server is open to strangers (MLCV_PUBLIC=1): they see their own
    session's runs only.
    """
    return os.environ.get("MLCV_PUBLIC", "") == "1"


def scheme() -> str:
    """ "light" or "dark": the theme this visitor looks at."""
    return "dark" if st.context.theme.type == "dark" else "light"


def palette() -> "Palette":
    """The colours of the theme this visitor looks at."""
    from mlcv_explore.charts import PALETTES

    return PALETTES[scheme()]


def machine() -> None:
    """One line at the foot of the sidebar: device and cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    st.sidebar.caption(f"{platform.machine()} processor · {cores} cores · works offline")


def intro(
    card: Card,
    what_to_do: str,
    *configs: "type[Config]",
    choices: Mapping[str, Collection[str] | None] | None = None,
) -> str:
    """The question as the title, one sentence of what to do, and the acts; returns the
    chosen act.

    `configs` are all whose settings this page's link may hold, `choices` the names
    beside them with what each may be: values that cannot be used are named first.
    """
    st.caption(f"{card.section} · idea {card.number}".upper())
    st.title(card.question, anchor=False)
    st.markdown(what_to_do)
    check_link(card.slug, *configs, choices=choices)
    act = st.segmented_control(
        "Act",
        list(ACTS),
        default="Play",
        required=True,
        key=f"{card.slug}-act",
        bind="query-params",
        label_visibility="collapsed",
    )
    st.caption(f"{act}: {ACTS[act]}.")
    return act


def verdict_badge(status: str, text: str = "") -> None:
    """A verdict as a word in a chip, never as a colour alone."""
    st.badge(text or status, color=WORDS.get(status, "gray"))


def figure(
    chart: "Chart",
    key: str,
    notice: str,
    cost: str,
    command: str = "",
    config: "Config | None" = None,
    moving: bool = False,
) -> None:
    """A chart with what to notice, what it cost, and its downloads. A moving one keeps
    its words, so that new numbers redraw in place.
    """
    st.vega_lite_chart(
        chart.data, chart.spec, key=key, theme=None, alt=chart.subject if moving else chart.description
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.caption(f"{notice} :gray[{cost}.]", width="stretch")
        downloads(chart, key, command, config)


def downloads(chart: "Chart", key: str, command: str = "", config: "Config | None" = None) -> None:
    """The picture as PNG and SVG, the numbers, the settings, and the command that makes
    this view again.
    """
    shelf = st.popover(
        "",
        icon=":material/download:",
        type="tertiary",
        help="Download picture, numbers, settings, command",
        key=f"{key}-downloads",
        on_change="rerun",
    )
    if not shelf.open:  # four closed ones would cost a third of a slider's move
        return
    files: dict[str, tuple[Callable[[], str | bytes], str, str]] = {
        "Picture (PNG)": (chart.png, f"{key}.png", "image/png"),
        "Picture (SVG)": (chart.svg, f"{key}.svg", "image/svg+xml"),
        "Numbers (CSV)": (chart.csv, f"{key}.csv", "text/csv"),
    }
    if config is not None:
        files["Settings (JSON)"] = (config.canonical, f"{key}.json", "application/json")
    with shelf:
        for label, (make, name, kind) in files.items():
            st.download_button(
                label, make, name, kind, key=f"{key}-{name}", on_click="ignore", width="stretch"
            )
        if command:
            st.caption("The same from the command line")
            st.code(command, language="bash", wrap_lines=True)


def command(slug: str, config: "Config", seeds: tuple[int, ...]) -> str:
    """The one command that reproduces a run."""
    flags = [f"--{name} {shlex.quote(str(value))}" for name, value in config.changed().items()]
    first = [f"--first-seed {seeds[0]}"] if seeds and seeds[0] else []
    return " ".join(["python -m mlcv_explore run", slug, *flags, f"--seeds {len(seeds)}", *first])


def read(card: Card, works: tuple[Prior, ...], functions: Mapping[str, Any]) -> None:
    """The Read act: the words, what was done before, the formula's own code, and where
    to say what is wrong.
    """
    st.markdown(card.text)
    done_before(works)
    source(functions)
    feedback(card)


def done_before(works: tuple[Prior, ...]) -> None:
    """Earlier work with its numbers, and what differs here."""
    st.subheader("Done before?", anchor=False)
    for work in works:
        with st.container(border=True):
            st.markdown(f"**[{work.title}]({work.link})**" if work.link else f"**{work.title}**")
            st.markdown(f"Found: {work.found}")
            st.markdown(f"Here: {work.differs}")


def source(functions: Mapping[str, Any]) -> None:
    """The formula's own code, folded: short code is the explanation."""
    import inspect

    st.subheader("The formula, as it runs", anchor=False)
    for label, function in functions.items():
        with st.expander(label):
            st.code(inspect.getsource(function), language="python", wrap_lines=True)


def feedback(card: Card) -> None:
    """A link to say what is wrong or missing; hidden when MLCV_FEEDBACK_URL is unset."""
    url = os.environ.get("MLCV_FEEDBACK_URL", "")
    if url:
        joint = "&" if "?" in url else "?"
        st.link_button(
            "Say what is wrong or missing",
            f"{url}{joint}idea={quote(card.slug)}",
            icon=":material/chat:",
            type="tertiary",
        )
