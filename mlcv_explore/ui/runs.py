"""The page of saved runs: search, replay, compare, export, delete."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts, idea, statistics
from mlcv_explore.experiment import film, runs
from mlcv_explore.experiment.runs import Run
from mlcv_explore.idea import Picture
from mlcv_explore.ui import evidence, figures, theme


def search() -> list[Run]:
    """The runs this visitor may see that match the search; names what is damaged."""
    saved, damaged = runs.all_runs()
    if theme.public():
        saved = [run for run in saved if run.id in st.session_state.get("own-runs", set())]
    shipped = [run for card in idea.cards() if (run := runs.recorded(card.slug))]
    same = {run.id for run in shipped}  # an own run equal to a shipped one is listed once
    everything = [*(run for run in saved if run.id not in same), *shipped]
    words = st.text_input(
        "Search",
        key="runs-search",
        bind="query-params",
        placeholder="an idea, a setting, a verdict: “label noise sigma 2 supported”",
    )
    matches = [run for run in everything if all(word in _text(run) for word in words.lower().split())]
    limit = runs.limit_megabytes()
    size = f"{runs.total_bytes() / 1e6:.1f} MB of at most {limit:g} MB; oldest deleted first."
    st.caption(f"{len(matches)} of {len(everything)} runs · {len(shipped)} shipped · {size}")
    for folder in damaged if not theme.public() else ():
        st.warning(f"Skipped {folder.folder.name}: {folder.reason}", icon=":material/broken_image:")
    if not saved:
        st.info(
            "Runs appear here once a training has finished. Shipped runs are listed meanwhile.",
            icon=":material/folder_open:",
        )
    _table(matches)
    return matches


def choose(matches: Sequence[Run]) -> tuple[Run | None, Run | None]:
    """The run to open and the one to compare it with; both stand in the link."""
    by_id = {run.id: run for run in matches}
    left, right = st.columns(2)
    names = {run.id: _name(run) for run in matches}
    opened = left.selectbox(
        "Open a run",
        list(by_id),
        index=None,
        key="runs-open",
        bind="query-params",
        format_func=names.get,
        placeholder="Choose a run",
    )
    same = [run.id for run in matches if opened and run.slug == by_id[opened].slug and run.id != opened]
    other = right.selectbox(
        "Compare with",
        same,
        index=None,
        key="runs-with",
        bind="query-params",
        format_func=names.get,
        disabled=not same,
        placeholder="A run of the same idea",
    )
    return by_id.get(opened), by_id.get(other)


def replay(run: Run) -> None:
    """The film with a scrubber, what it measured, and what can be done with it."""
    frames = _film(run)
    if frames is None:
        return
    subject = idea.load(run.slug)
    _actions(run)
    last = len(frames) - 1
    at = st.slider("Frame", 0, last, last, key=f"runs-frame-{run.id}") if last else 0
    picture = subject.picture(frames)
    place = round(at * (len(picture.x) - 1) / max(1, last))  # a picture need not have a point for every frame
    chart = _curves({"": picture}, {"now": float(picture.x[place])})
    notice = f"Step {frames[at].step} of {frames[at].steps}. {_cost(run)}."
    figures.figure(chart, "runs-film", notice, command=_command(run))
    _metrics({_name(run): run})
    for verdict in run.verdicts:
        with st.container(border=True):
            figures.badge(verdict["status"], f"this run: {verdict['status']}")
            st.markdown(verdict["sentence"])


def compare(first: Run, second: Run) -> None:
    """Curves on one another, what differs in the settings, and the paired difference
    over the seeds both have.
    """
    films = {"A": _film(first), "B": _film(second)}
    if None in films.values():
        return
    subject = idea.load(first.slug)
    st.markdown(f"**A** {_name(first)}  \n**B** {_name(second)}")
    differing = [name for name in first.config if first.config[name] != second.config.get(name)]
    st.table(
        (
            {
                "setting": differing,
                "A": [str(first.config[name]) for name in differing],
                "B": [str(second.config.get(name)) for name in differing],
            }
            if differing
            else {
                "setting": ["all settings are equal"],
                "A": [f"seeds {first.seeds[0]}–{first.seeds[-1]}"],
                "B": [f"seeds {second.seeds[0]}–{second.seeds[-1]}"],
            }
        ),
        hide_index=True,
    )
    figures.figure(
        _curves({name: subject.picture(frames) for name, frames in films.items()}, {}),
        "runs-compare",
        f"A is drawn as on its page; B in the other colours. {_cost(first)}.",
    )
    shared = [seed for seed in first.seeds if seed in second.seeds]
    rows = [row for name in first.metrics if (row := _paired(name, first, second, shared))]
    if rows:
        figures.figure(
            charts.paired_differences(rows, theme.palette()),
            "runs-paired",
            f"B minus A, seed by seed; right of zero B is higher. n = {len(shared)} shared seeds.",
        )
    else:
        st.info(
            f"A paired difference needs at least two seeds that both runs have; they share {len(shared)}."
        )
    _metrics({"A": first, "B": second})


def _paired(name: str, first: Run, second: Run, shared: list[int]) -> charts.Difference | None:
    if len(shared) < 2 or name not in second.metrics:
        return None
    values = [
        np.array([run.metrics[name]["per_seed"][run.seeds.index(seed)] for seed in shared], dtype=float)
        for run in (first, second)
    ]
    difference = values[1] - values[0]
    if not np.isfinite(difference).all():
        return None
    interval = statistics.t_interval(difference)
    label = _metric_label(idea.load(first.slug), name)
    return charts.Difference(label, interval.mean, interval.low, interval.high, difference, "idea", "")


def _actions(run: Run) -> None:
    shipped = run.folder.is_relative_to(idea.ASSETS)
    with st.container(horizontal=True):
        card = idea.card(run.slug)
        query = {f"{run.slug}-{name}": str(value) for name, value in run.config.items()}
        query |= {
            f"{run.slug}-act": "Train",
            f"{run.slug}-seeds": str(len(run.seeds)),
            f"{run.slug}-first_seed": str(run.seeds[0]),
        }
        st.page_link(
            f"{run.slug}.py",
            label=f"Open on the page “{card.title}”",
            icon=":material/open_in_new:",
            query_params=query,
        )
        st.download_button(
            "Export as zip",
            lambda: runs.as_zip(run),
            f"{run.slug}-{run.id}.zip",
            "application/zip",
            on_click="ignore",
            icon=":material/folder_zip:",
            key="runs-zip",
        )
        if not shipped and not theme.public():
            with st.popover("Delete", icon=":material/delete:"):
                st.markdown("The run, its film and its numbers are removed from this machine.")
                st.button("Delete this run", key="runs-delete", on_click=_delete, args=(run,), type="primary")
    if not run.current:
        st.caption(
            f"Made by an earlier version ({run.fingerprint}); the same settings may give other numbers now."
        )


def _delete(run: Run) -> None:
    runs.delete(run)
    st.session_state["runs-open"] = None
    st.toast("Deleted.")


def _film(run: Run) -> list | None:
    try:
        return film.unpack(runs.film_bytes(run), idea.load(run.slug).frame)
    except (ValueError, OSError) as error:
        made = "" if run.current else " It was made by an earlier version."
        st.error(f"This run cannot be replayed.{made} {error}", icon=":material/broken_image:")
        return None


def _curves(pictures: dict[str, Picture], marks: dict[str, float]) -> charts.Chart:
    others = {"baseline": "control", "idea": "variant", "oracle": "other"}
    lines = {}
    for position, (name, picture) in enumerate(pictures.items()):
        for role, values in picture.lines.items():
            label = " ".join(filter(None, (name, picture.labels.get(role, role))))
            lines[label] = charts.Line(others.get(role, role) if position else role, np.asarray(values))
    first = next(iter(pictures.values()))
    return charts.curves(first.x, lines, first.x_title, first.y_title, marks=marks, palette=theme.palette())


def _metrics(columns: dict[str, Run]) -> None:
    """One run: arms by measures; two: their measures side by side."""
    subject = idea.load(next(iter(columns.values())).slug)
    if len(columns) == 1:
        (run,) = columns.values()
        values = {name: np.array(metric["per_seed"], dtype=float) for name, metric in run.metrics.items()}
        figures.results(subject, values, "runs-results")
        return
    names = list(dict.fromkeys(name for run in columns.values() for name in run.metrics))
    table = {"Arm and measure": [_metric_label(subject, name) for name in names]}
    for label, run in columns.items():
        table[label] = [_interval(subject, name, run.metrics.get(name)) for name in names]
    st.dataframe(table, hide_index=True, height="content", alt="Measures of both runs with 95 % intervals")


def _metric_label(subject: idea.Idea, name: str) -> str:
    arm, _, measure = name.rpartition("_")
    return f"{subject.label(arm)}: {subject.measure(measure).label.lower()}"


def _interval(subject: idea.Idea, name: str, metric: dict | None) -> str:
    if not metric:
        return "–"
    values = np.array(metric["per_seed"], dtype=float)
    return statistics.t_interval(values).text(subject.measure(name.rpartition("_")[2]).unit)


def _table(matches: Sequence[Run]) -> None:
    if not matches:
        return
    st.dataframe(
        {
            "Idea": [idea.card(run.slug).title for run in matches],
            "Idea's verdict": [evidence.chip(idea.card(run.slug))[1] for run in matches],
            "This run": [run.verdicts[0]["status"] if run.verdicts else "not tested" for run in matches],
            "Settings": [_changed(run) for run in matches],
            "Seeds": [len(run.seeds) for run in matches],
            "Seconds": [round(run.seconds, 1) for run in matches],
            "Started": [run.started[:16].replace("T", " ") for run in matches],
        },
        hide_index=True,
        height=min(35 * (len(matches) + 1) + 3, 300),
        alt="Table of the saved runs, newest first",
    )


def _changed(run: Run) -> str:
    """The settings that differ from their defaults, by their labels."""
    config, changed = idea.load(run.slug).config, []
    for name, value in run.config.items():
        known = name in config.model_fields
        if not known or config.model_fields[name].default != value:
            changed.append(f"{config.setting(name).label if known else name} {value}")
    return ", ".join(changed) or "defaults"


def _name(run: Run) -> str:
    origin = "shipped" if run.folder.is_relative_to(idea.ASSETS) else run.started[:16].replace("T", " ")
    return f"{idea.card(run.slug).title} · {_changed(run)} · seeds {run.seeds[0]}–{run.seeds[-1]} · {origin}"


def _text(run: Run) -> str:
    """All that the search looks at."""
    settings = " ".join(f"{name} {value}" for name, value in run.config.items())
    statuses = " ".join(verdict["status"] for verdict in run.verdicts)
    about = f"{run.slug} {idea.card(run.slug).title} {settings} {_changed(run)} {statuses} {run.id}"
    return about.lower().replace("_", " ")


def _cost(run: Run) -> str:
    return f"n = {len(run.seeds)} seeds · {run.seconds:.0f} s "


def _command(run: Run) -> str:
    return figures.command(run.slug, idea.load(run.slug).config(**run.config), run.seeds)
