"""The Train act: start a run, follow it, cancel it, keep what it showed, add seeds to
it.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from mlcv_explore.config import Config, SettingError
from mlcv_explore.data.own_folders import Unread, deferred
from mlcv_explore.experiment import runs
from mlcv_explore.experiment.job import RunState
from mlcv_explore.experiment.jobs import Busy
from mlcv_explore.idea import Card, Film, Idea
from mlcv_explore.ui import figures, folder_reading, photograph_strip, server, settings, theme

REFRESH = 0.25  # seconds between two looks at a run under way
# how often a verdict on a page may be looked at while seeds are added; each look has its share of
# the level
LOOKS = 4
UNDER_WAY = ("waiting", "running")


@dataclass
class Shown:
    """What this visitor's Train act shows: one run, and seeds that are being added to
    it.
    """

    config: Config
    seeds: tuple[int, ...]
    run: str
    looks: int = 1  # interim analyses so far
    added: str = ""  # the run of more seeds, until it has joined the first
    added_seeds: tuple[int, ...] = ()

    @property
    def followed(self) -> str:
        """The run whose frames are drawn: the added seeds' while they are trained."""
        return self.added or self.run


class Visitor:
    """One browser session; the job engine is notified when it is gone."""

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
    try:
        with controls, deferred():
            config, seed_list = settings.ask(card.slug, subject.config, seeds)
            runs.data_note(subject, config)  # reads an own folder that the settings did not look into
    except Unread as unread:
        with image:
            folder_reading.show(card.slug, unread.name)
        return
    except SettingError as error:
        image.error(str(error), icon=":material/error:", title="The folder does not suffice")
        return
    with image:
        live(card, subject, config, seed_list, draw)
        photograph_strip.show(getattr(config, "dataset", ""))


def live(
    card: Card,
    subject: Idea,
    config: Config,
    seeds: tuple[int, ...],
    draw: "Callable[[Film, Config, Sequence[int]], None]",
) -> None:
    """Train, follow, cancel: `draw(film, config, seeds)` is called with the frames so
    far and what they were run with, at most four times a second.
    """
    engine, name = server.jobs(), visitor().name
    shown = _shown(card.slug, config, seeds)
    state = engine.state(shown.followed) if shown else None
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
        if shown and not under_way and state.status == "finished" and shown.looks < LOOKS:
            count = min(len(shown.seeds) // shown.looks, settings.MOST_SEEDS - len(shown.seeds))
            st.button(
                f"Add {count} more seed{'s' * (count > 1)}",
                icon=":material/add:",
                key=f"{card.slug}-add",
                disabled=count < 1,
                on_click=_add_seeds,
                args=(card.slug, count),
            )
    if note := runs.data_note(subject, config):
        st.caption(note)
    if message := st.session_state.pop(f"{card.slug}-busy", None):
        st.warning(message, icon=":material/hourglass:")
    if shown is None:
        st.info(
            "Press Train: results appear here as it runs, the first within a second or two, and the"
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
        now = engine.state(shown.followed)
        if now is None or (under_way and now.status not in UNDER_WAY):
            st.rerun()  # one full run: it stops the timer and sets the buttons
        if under_way:
            engine.watch(shown.followed, name)
        drawn = shown.added_seeds or shown.seeds
        _progress(now, len(drawn))
        frames = engine.frames(shown.followed)
        if frames:
            draw(frames, shown.config, drawn)
            st.caption(f"n = {len(drawn)} seed{'s' * (len(drawn) != 1)} · {figures.duration(now.elapsed)}")
        if now.status == "finished":
            _results(card, subject, shown, frames)

    panel()


def _shown(slug: str, config: Config, seeds: tuple[int, ...]) -> Shown | None:
    """What is shown now: the visitor's own run, else the run the link describes. Added
    seeds that are finished join it here.
    """
    key, engine = f"{slug}-shown", server.jobs()
    shown: Shown | None = st.session_state.get(key)
    if shown is None or None in (engine.state(shown.run), engine.state(shown.followed)):
        st.session_state.pop(key, None)  # so long ago that the engine let go of it
        shown = _known(slug, config, seeds)
        if shown is not None:
            st.session_state[key] = shown
        return shown
    if shown.added:
        part = engine.state(shown.added)
        if part.status == "finished":
            shown.looks += 1
            shown.run = engine.join((shown.run, shown.added), shown.looks, LOOKS)
            shown.seeds += shown.added_seeds
            st.session_state.setdefault("own-runs", set()).add(shown.run)
        elif part.status not in UNDER_WAY:
            st.session_state[f"{slug}-busy"] = part.message or "Cancelled: no seeds were added."
        if part.status not in UNDER_WAY:
            shown.added, shown.added_seeds = "", ()
    return shown


def _known(slug: str, config: Config, seeds: tuple[int, ...]) -> Shown | None:
    """The run this link describes, when it is under way or was saved; on a public
    server only Train requests it.
    """
    if theme.public():
        return None
    identity, engine = runs.identity(slug, config, seeds), server.jobs()
    if identity in st.session_state.get(f"{slug}-left", ()):
        return None
    if engine.state(identity) is None and not runs.find(identity):
        return None
    engine.start(slug, config, seeds, visitor().name)
    run = engine.state(identity).run
    return Shown(config, seeds, identity, run.looks if run else 1)


def _train(slug: str, config: Config, seeds: tuple[int, ...]) -> None:
    if (run := _start(slug, config, seeds)) is not None:
        st.session_state[f"{slug}-shown"] = Shown(config, seeds, run)


def _add_seeds(slug: str, count: int) -> None:
    shown: Shown = st.session_state[f"{slug}-shown"]
    seeds = tuple(range(shown.seeds[-1] + 1, shown.seeds[-1] + 1 + count))
    if (run := _start(slug, shown.config, seeds)) is not None:
        shown.added, shown.added_seeds = run, seeds
        # the link and the command hold all seeds of what becomes one run
        st.session_state[f"{slug}-seeds"] = len(shown.seeds) + count


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
    ended = server.jobs().cancel(shown.followed, visitor().name)
    state = server.jobs().state(shown.followed)
    if not ended and state is not None and state.status in UNDER_WAY:
        st.toast("Others follow this run: it goes on without you.")
        st.session_state.setdefault(f"{slug}-left", set()).add(shown.followed)
        if shown.added:
            shown.added, shown.added_seeds = "", ()
        else:
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
        left = (
            f" · about {figures.duration(state.seconds_left)} left" if state.seconds_left is not None else ""
        )
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


def _results(card: Card, subject: Idea, shown: Shown, frames: Film) -> None:
    """Every arm's measures with intervals, then every claim this run is about, at the
    level of this look.
    """
    look = shown.looks
    columns = subject.metrics(shown.config, frames)
    st.subheader("Results", anchor=False)
    figures.results(subject, columns, f"{card.slug}-results", subject.split_sizes(shown.config))
    for verdict in runs.decided(subject, shown.config, columns, look, LOOKS):
        with st.container(border=True):
            figures.badge(verdict.status, f"this run: {verdict.status}")
            st.markdown(f"**{verdict.claim.sentence}**")
            st.markdown(verdict.sentence)
    skipped = {claim.sentence: runs.reason_untested(claim, shown.config, columns) for claim in subject.claims}
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
    command = figures.command(card.slug, shown.config, shown.seeds)
    st.code(command, language=None, wrap_lines=True)


def _difference(shown: Config, requested: Config) -> str:
    names = [
        setting
        for setting in shown.settings()
        if getattr(shown, setting.name) != getattr(requested, setting.name)
    ]
    return "a run with " + ", ".join(f"{setting.label} {getattr(shown, setting.name)}" for setting in names)
