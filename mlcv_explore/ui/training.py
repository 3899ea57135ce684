"""The Train act: start a run, follow it, cancel it, keep what it showed, add seeds to
it.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from mlcv_explore.config import Config
from mlcv_explore.experiment import film as films
from mlcv_explore.experiment import runs
from mlcv_explore.experiment.jobs import Busy, RunState
from mlcv_explore.idea import Card, Film, Idea
from mlcv_explore.ui import figures, server, settings, theme

REFRESH = 0.25  # seconds between two looks at a run under way
# how often a verdict on a page may be looked at while seeds are added; each look has its share of
# the level
LOOKS = 4
UNDER_WAY = ("waiting", "running")


@dataclass
class Shown:
    """What this visitor's Train act shows: runs of equal settings, one for each look."""

    config: Config
    seeds: list[tuple[int, ...]]
    runs: list[str]


class Visitor:
    """One browser session; the job engine is told when it is gone."""

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex

    def leave(self) -> None:
        """Give up this visitor's part in the runs under way."""
        server.jobs().leave(self.name)


@st.cache_resource(scope="session", show_spinner=False, on_release=Visitor.leave)
def visitor() -> Visitor:
    """This session's visitor; released when the browser goes."""
    return Visitor()


def show(
    card: Card, subject: Idea, draw: "Callable[[Film, Config, Sequence[int]], None]", seeds: int | None = None
) -> None:
    """The Train act: settings beside the run they start. `seeds` is how many a page
    begins with, where the usual ten would take too long.
    """
    image, controls = st.columns([3, 1], gap="medium")
    with controls:
        config, asked = settings.ask(card.slug, subject.config, seeds)
    with image:
        live(card, subject, config, asked, draw)


def live(
    card: Card,
    subject: Idea,
    config: Config,
    seeds: tuple[int, ...],
    draw: "Callable[[Film, Config, Sequence[int]], None]",
) -> None:
    """Train, follow, cancel: `draw(film, config, seeds)` is called with the frames so far
    and what they were run with, at most four times a second.
    """
    key = f"{card.slug}-shown"
    shown: Shown | None = st.session_state.get(key)
    engine, name = server.jobs(), visitor().name
    # so long ago that the engine let go of it
    if shown is not None and None in [engine.state(run) for run in shown.runs]:
        shown = st.session_state.pop(key) and None
    if shown is None and (known := _known(card.slug, config, seeds)):
        shown = st.session_state[key] = Shown(config, [seeds], [known])
    state = engine.state(shown.runs[-1]) if shown else None
    under_way = state is not None and state.status in UNDER_WAY

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Train",
            type="primary",
            icon=":material/play_arrow:",
            key=f"{card.slug}-train",
            disabled=under_way,
            on_click=_train,
            args=(card.slug, config, seeds),
        )
        st.button(
            "Cancel",
            icon=":material/stop:",
            key=f"{card.slug}-cancel",
            disabled=not under_way,
            on_click=_cancel,
            args=(card.slug,),
        )
        if shown and not under_way and state.status == "finished" and len(shown.runs) < LOOKS:
            count = len(shown.seeds[0])
            st.button(
                f"Add {count} more seed{'s' * (count > 1)}",
                icon=":material/add:",
                key=f"{card.slug}-add",
                on_click=_add_seeds,
                args=(card.slug,),
            )
    if message := st.session_state.pop(f"{card.slug}-busy", None):
        st.warning(message, icon=":material/hourglass:")
    if shown is None:
        st.info(
            "Press Train: the curves appear here within a second or two, every frame as it is made, and the"
            " verdict when the run is done.",
            icon=":material/show_chart:",
        )
        return
    if shown.config != config:
        st.caption(
            f"Shown below: {_difference(shown.config, config)}. Press Train for the settings beside it."
        )

    @st.fragment(run_every=REFRESH if under_way else None, key=f"{card.slug}-live")
    def panel() -> None:
        now = engine.state(shown.runs[-1])
        if now is None or (under_way and now.status not in UNDER_WAY):
            st.rerun()  # one full run: it stops the timer and sets the buttons
        if under_way:
            engine.watch(shown.runs[-1], name)
        _progress(now, len(shown.seeds[-1]))
        frames = _frames(shown, now)
        if frames:
            finished = now.status == "finished"
            drawn = tuple(seed for part in shown.seeds for seed in part) if finished else shown.seeds[-1]
            draw(frames, shown.config, drawn)
            st.caption(_cost(shown, now))
        if now.status == "finished":
            _results(card, subject, shown, frames)

    panel()


def _known(slug: str, config: Config, seeds: tuple[int, ...]) -> str | None:
    """The run this link describes, when it is under way or was kept; on a public server
    only Train asks for it.
    """
    if theme.public():
        return None
    identity = runs.identity(slug, config, seeds)
    if identity in st.session_state.get(f"{slug}-left", ()):
        return None
    if server.jobs().state(identity) is not None:
        return identity
    return server.jobs().start(slug, config, seeds, visitor().name) if runs.find(identity) else None


def _train(slug: str, config: Config, seeds: tuple[int, ...]) -> None:
    if (run := _start(slug, config, seeds)) is not None:
        st.session_state[f"{slug}-shown"] = Shown(config, [seeds], [run])


def _add_seeds(slug: str) -> None:
    shown: Shown = st.session_state[f"{slug}-shown"]
    first = shown.seeds[-1][-1] + 1
    seeds = tuple(range(first, first + len(shown.seeds[0])))
    if (run := _start(slug, shown.config, seeds)) is not None:
        shown.seeds.append(seeds)
        shown.runs.append(run)


def _start(slug: str, config: Config, seeds: tuple[int, ...]) -> str | None:
    try:
        run = server.jobs().start(slug, config, seeds, visitor().name)
        st.session_state.get(f"{slug}-left", set()).discard(run)
    except Busy as busy:
        st.session_state[f"{slug}-busy"] = str(busy)
        return None
    st.session_state.setdefault("own-runs", set()).add(run)
    return run


def _cancel(slug: str) -> None:
    shown: Shown = st.session_state[f"{slug}-shown"]
    ended = server.jobs().cancel(shown.runs[-1], visitor().name)
    state = server.jobs().state(shown.runs[-1])
    if not ended and state is not None and state.status in UNDER_WAY:
        st.toast("Others follow this run: it goes on without you.")
        st.session_state.setdefault(f"{slug}-left", set()).add(shown.runs[-1])
        del st.session_state[f"{slug}-shown"]


def _progress(state: RunState, seeds: int) -> None:
    if state.status == "waiting":
        st.progress(
            0.0,
            text=(
                f"Busy: {state.ahead} run{'s' * (state.ahead != 1)} ahead of yours."
                if state.ahead
                else "A worker is getting ready …"
            ),
        )
    elif state.status == "running" and not state.steps:
        st.progress(0.0, text=f"Starting… · {seeds} seeds")
    elif state.status == "running":
        left = f" · about {_duration(state.seconds_left)} left" if state.seconds_left is not None else ""
        st.progress(
            min(1.0, state.step / max(1, state.steps)),
            text=f"Step {state.step} of {state.steps} · {seeds} seeds{left}",
        )
    elif state.status == "cancelled":
        st.info(
            "Cancelled. What was shown until then stays; Train starts afresh.", icon=":material/stop_circle:"
        )
    elif state.status == "failed":
        st.error(state.message, icon=":material/error:", title="The run stopped")
    elif state.message:
        st.warning(state.message, icon=":material/save:")


def _frames(shown: Shown, state: RunState) -> list:
    """The film of all looks joined, or of the last one alone while it is under way."""
    engine = server.jobs()
    if state.status != "finished":
        return engine.frames(shown.runs[-1])
    return films.join([engine.frames(run) for run in shown.runs])


def _cost(shown: Shown, state: RunState) -> str:
    count = sum(map(len, shown.seeds)) if state.status == "finished" else len(shown.seeds[-1])
    return f"n = {count} seed{'s' * (count != 1)} · {_duration(state.elapsed)}"


def _results(card: Card, subject: Idea, shown: Shown, frames: Film) -> None:
    """Every arm's measures with intervals, then every claim this run speaks of, at the
    level of this look.
    """
    look = len(shown.runs)
    columns = subject.metrics(shown.config, frames)
    st.subheader("Results", anchor=False)
    figures.results(subject, columns, f"{card.slug}-results", subject.split_sizes(shown.config))
    for verdict in runs.decided(subject, shown.config, columns, look, LOOKS):
        with st.container(border=True):
            figures.badge(verdict.status, f"this run: {verdict.status}")
            st.markdown(f"**{verdict.claim.sentence}**")
            st.markdown(verdict.sentence)
    skipped = {claim.sentence: runs.unjudged(claim, shown.config, columns) for claim in subject.claims}
    skipped = {sentence: reason for sentence, reason in skipped.items() if reason}
    if skipped:
        with st.expander(f"Claims this run does not test ({len(skipped)})"):
            st.markdown(
                "\n".join(f"- {sentence} Not tested: {reason}." for sentence, reason in skipped.items())
            )
    st.caption(
        f"Interim analysis {look} of {LOOKS}: seeds can be added, so each is tested at level"
        f" {0.05 / LOOKS:g}. The evidence under Answer has its own level."
    )
    seeds = tuple(seed for part in shown.seeds for seed in part)
    st.code(figures.command(card.slug, shown.config, seeds), language="bash", wrap_lines=True)


def _difference(shown: Config, asked: Config) -> str:
    names = [item for item in shown.settings() if getattr(shown, item.name) != getattr(asked, item.name)]
    return "a run with " + ", ".join(f"{item.label} {getattr(shown, item.name)}" for item in names)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
