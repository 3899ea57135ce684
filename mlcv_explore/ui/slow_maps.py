"""Results of maps that take seconds: their progress, with time left, Cancel, and what failed."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from mlcv_explore.ui.background import Background, Report

REFRESH = 0.5  # seconds between two looks


@dataclass(frozen=True, eq=False)
class Work:
    """Results of one image that a page waits for."""

    background: Background
    identity: str  # of image, model, settings and kind of result
    pending: Sequence[str]  # the names whose results the page lacked when it was drawn
    missing: Callable[[], Sequence[str]]  # those that are lacking now
    compute: Callable[[str, Report], None]
    failed: Sequence[str]  # the names that are not computed until they are forgiven


def cancelled(slug: str) -> set[str]:
    """The identities of the work that this visitor cancelled."""
    return st.session_state.setdefault(f"{slug}-cancelled", set())


def show(works: Sequence[Work], labels: Mapping[str, str], slug: str, key: str) -> None:
    """Have results computed while the page is looked at, and draw the page again with each
    that is done. What failed is named, and tried again on demand.
    """
    _show_failed(works, labels, key)
    stopped, visitor = cancelled(slug), st.session_state.setdefault("slow-maps-visitor", uuid.uuid4().hex)
    works = [work for work in works if work.pending]
    going = [work for work in works if work.identity not in stopped]

    @st.fragment(run_every=REFRESH if going else None, key=f"{key}-background")
    def panel() -> None:
        progress = [work.background.look(work.missing(), visitor, work.compute) for work in going]
        left = [name for work in going for name in work.missing()]
        if len(left) < sum(len(work.pending) for work in going):
            st.rerun()  # one is done: it gets its place
        under_way = next((one for one in progress if one), None)
        text = f"{labels[under_way.name]}: {under_way.text()}" if under_way else "Starting…"
        text += f"; {len(left) - 1} more after it" if len(left) > 1 else ""
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(under_way.share if under_way else 0.0, text=text, width="stretch")
            if st.button("Cancel", key=f"{key}-cancel", icon=":material/stop:"):
                for work in going:
                    work.background.drop(work.missing(), visitor)
                    stopped.add(work.identity)
                st.rerun()

    if going:
        panel()
    elif works and st.button("Compute what was cancelled", key=f"{key}-resume", icon=":material/play_arrow:"):
        stopped.difference_update(work.identity for work in works)
        st.rerun(scope="app")


def _show_failed(works: Sequence[Work], labels: Mapping[str, str], key: str) -> None:
    names = dict.fromkeys(labels[name] for work in works for name in work.failed)
    if not names:
        return

    def forgive() -> None:
        for work in works:
            work.background.forgive(work.failed)

    text = f"Could not be computed: {', '.join(names)}. The server's log has the reason."
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(text, icon=":material/error:", width="stretch")
        st.button("Try again", key=f"{key}-again", icon=":material/refresh:", on_click=forgive)
