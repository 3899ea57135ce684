"""The runs page: what was kept on disk, replayed, compared, taken along or deleted."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from mlcv_explore import charts, idea, statistics
from mlcv_explore.experiment import film, runs
from mlcv_explore.experiment.runs import Run
from mlcv_explore.idea import Picture
from mlcv_explore.ui import figures, theme


def search() -> list[Run]:
    """The runs this visitor may see that hold the words searched for; says how much is
    kept and what is damaged.
    """
    kept, damaged = runs.all_runs()
    if theme.public():
        kept = [run for run in kept if run.id in st.session_state.get("own-runs", set())]
    shipped = [run for card in idea.cards() if (run := runs.recorded(card.slug))]
    everything = [*kept, *shipped]
    words = st.text_input(
        "Search",
        key="runs-search",
        bind="query-params",
        placeholder="an idea, a setting, a verdict: “label noise sigma 2 supported”",
    )
    found = [run for run in everything if all(word in _text(run) for word in words.lower().split())]
    limit = runs.limit_megabytes()
    size = f"{runs.total_bytes() / 1e6:.1f} MB of at most {limit:g} MB kept; the oldest go first."
    st.caption(f"{len(found)} of {len(everything)} runs · {len(shipped)} shipped · {size}")
    for folder in damaged if not theme.public() else ():
        st.warning(f"Skipped {folder.folder.name}: {folder.reason}", icon=":material/broken_image:")
    if not kept:
        st.info(
            "Runs appear here when a Train act is finished. Until then there are the shipped ones.",
            icon=":material/folder_open:",
        )
    _table(found)
    return found


def choose(found: Sequence[Run]) -> tuple[Run | None, Run | None]:
    """The run to open and the one to compare it with; both stand in the link."""
    by_id = {run.id: run for run in found}
    left, right = st.columns(2)
    names = {run.id: _name(run) for run in found}
    opened = left.selectbox(
        "Open a run",
        list(by_id),
        index=None,
        key="runs-open",
        bind="query-params",
        format_func=names.get,
        placeholder="Choose a run",
    )
    same = [run.id for run in found if opened and run.slug == by_id[opened].slug and run.id != opened]
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
            figures.badge(verdict["status"])
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
    return charts.Difference(
        name.replace("_", " "), interval.mean, interval.low, interval.high, difference, "idea", ""
    )


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
        st.error(f"This run cannot be replayed: {error}", icon=":material/broken_image:")
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
    names = list(dict.fromkeys(name for run in columns.values() for name in run.metrics))
    table = {"measure": [name.replace("_", " ") for name in names]}
    for label, run in columns.items():
        table[label] = [_interval(run.metrics.get(name)) for name in names]
    st.table(table, hide_index=True)


def _interval(metric: dict | None) -> str:
    if not metric or metric["mean"] is None:
        return "–"
    if metric["low"] is None:
        return f"{metric['mean']:.3f}"
    return f"{metric['mean']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"


def _table(found: Sequence[Run]) -> None:
    if not found:
        return
    st.dataframe(
        {
            "idea": [idea.card(run.slug).title for run in found],
            "settings": [_changed(run) for run in found],
            "seeds": [len(run.seeds) for run in found],
            "verdict": [run.verdicts[0]["status"] if run.verdicts else "–" for run in found],
            "seconds": [round(run.seconds, 1) for run in found],
            "started": [run.started[:16].replace("T", " ") for run in found],
        },
        hide_index=True,
        height=min(35 * (len(found) + 1) + 3, 300),
        alt="Table of the runs that were kept, newest first",
    )


def _changed(run: Run) -> str:
    return (
        ", ".join(f"{name} {value}" for name, value in run.config.items() if _differs(run.slug, name, value))
        or "defaults"
    )


def _differs(slug: str, name: str, value: object) -> bool:
    fields = idea.load(slug).config.model_fields
    return name not in fields or fields[name].default != value


def _name(run: Run) -> str:
    origin = "shipped" if run.folder.is_relative_to(idea.ASSETS) else run.started[:16].replace("T", " ")
    return f"{idea.card(run.slug).title} · {_changed(run)} · seeds {run.seeds[0]}–{run.seeds[-1]} · {origin}"


def _text(run: Run) -> str:
    settings = " ".join(f"{name} {value}" for name, value in run.config.items())
    return f"{run.slug} {idea.card(run.slug).title} {settings} {' '.join(verdict['status'] for verdict in run.verdicts)} {run.id}".lower().replace(
        "_", " "
    )


def _cost(run: Run) -> str:
    return f"n = {len(run.seeds)} seeds · {run.seconds:.0f} s · recorded"


def _command(run: Run) -> str:
    return figures.command(run.slug, idea.load(run.slug).config(**run.config), run.seeds)
