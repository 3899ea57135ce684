"""What pages are made of: charts with their downloads, bars, tables of results, badges."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import streamlit as st

from mlcv_explore.idea import Film, Idea
from mlcv_explore.ui import theme

if TYPE_CHECKING:
    import numpy as np

    from mlcv_explore.charts import Chart
    from mlcv_explore.config import Config
    from mlcv_explore.experiment.studies import Table
    from mlcv_explore.statistics import Split

COLOURS = {"supported": "green", "contradicted": "orange"}
Files = Mapping[str, tuple[Callable[[], str | bytes], str, str]]  # label → content, file name, MIME type


@contextmanager
def reported(*errors: type[Exception]) -> Iterator[None]:
    """An error of these classes is shown as its sentence, where it happened."""
    try:
        yield
    except errors as error:
        st.error(str(error), icon=":material/error:")


def badge(status: str, text: str = "") -> None:
    """A status as a word in a chip, never as a colour alone."""
    st.badge(text or status, color=COLOURS.get(status, "gray"))


def figure(
    chart: "Chart",
    key: str,
    notice: str,
    *,
    command: str = "",
    config: "Config | None" = None,
    moving: bool = False,
) -> None:
    """A chart with one line on what to notice and its downloads. A moving one keeps its
    words, so that new numbers redraw in place.
    """
    st.vega_lite_chart(
        chart.data, chart.spec, key=key, theme=None, alt=chart.subject if moving else chart.description
    )
    files: dict[str, tuple[Callable[[], str | bytes], str, str]] = {
        "Picture (PNG)": (chart.png, f"{key}.png", "image/png"),
        "Picture (SVG)": (chart.svg, f"{key}.svg", "image/svg+xml"),
        "Numbers (CSV)": (chart.csv, f"{key}.csv", "text/csv"),
    }
    if config is not None:
        files["Settings (JSON)"] = (config.canonical, f"{key}.json", "application/json")
    caption(notice, key, files, command)


def caption(text: str, key: str, files: Files, command: str = "") -> None:
    """A caption with a downloads menu at its end."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.caption(text, width="stretch")
        downloads(key, files, command)


def downloads(key: str, files: Files, command: str = "") -> None:
    """A menu of files, and the command that makes the view again. Its content is made
    only when it is opened.
    """
    menu = st.popover(
        "",
        icon=":material/download:",
        type="tertiary",
        help="Download image, numbers, settings, command",
        key=f"{key}-downloads",
        on_change="rerun",
    )
    if not menu.open:  # four closed ones would cost a third of a slider's move
        return
    with menu:
        for label, (content, name, kind) in files.items():
            st.download_button(
                label, content, name, kind, key=f"{key}-{name}", on_click="ignore", width="stretch"
            )
        if command:
            st.caption("The same from the command line")
            st.code(command, language=None, wrap_lines=True)


def duration(seconds: float | None) -> str:
    """A time in words, such as "40 s" or "2.5 min"."""
    if seconds is None:
        return "?"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def command(slug: str, config: "Config", seeds: Sequence[int]) -> str:
    """The one command that reproduces a run."""
    flags = [f"--{name} {shlex.quote(str(value))}" for name, value in config.changed().items()]
    first = [f"--first-seed {seeds[0]}"] if seeds and seeds[0] else []
    return " ".join(["python -m mlcv_explore run", slug, *flags, f"--seeds {len(seeds)}", *first])


def run_curves(subject: Idea, film: Film, config: "Config", seeds: Sequence[int]) -> None:
    """A run as the curves of its `picture`, means over seeds with 95 % bands."""
    from mlcv_explore import charts

    picture = subject.picture(film)
    lines = {
        picture.labels.get(role, role): charts.Line(role, values) for role, values in picture.lines.items()
    }
    chart = charts.curves(picture.x, lines, picture.x_title, picture.y_title, palette=theme.palette())
    again = command(subject.slug, config, seeds)
    notice = f"Means and 95 % bands over {len(seeds)} seeds."
    figure(chart, f"{subject.slug}-curves", notice, command=again, config=config)


def bars(
    subject: Idea,
    values: Mapping[str, "np.ndarray"],
    measure: str,
    key: str,
    notice: str,
    *,
    split: "Split | None" = None,
    command: str = "",
    labels: Mapping[str, str] | None = None,
    medians: bool = False,
) -> None:
    """The means of arms, {arm: (S,)}, or their medians, as bars with 95 % intervals,
    labelled and coloured as the idea declares its arms; `labels` overrides.
    """
    from mlcv_explore import charts, statistics

    about = subject.measure(measure)
    shown = []
    for name, column in values.items():
        arm = subject.arm(name)
        interval = statistics.median_interval(column) if medians else statistics.interval(column, split)
        low, high = interval.low, interval.high
        if about.unit == "%" and len(column) > 1 and column.min() >= 0 and column.max() <= 1:
            low, high = max(low, 0.0), min(high, 1.0)  # a share's interval ends where shares end
        shown.append(charts.Bar((labels or {}).get(name, arm.label), interval.mean, low, high, arm.role))
    title = about.label if about.unit in ("", "%", "points") else f"{about.label}, {about.unit}"
    title += ", median" * medians + ", lower is better" * (about.better == "lower")
    form = ".1~%" if about.unit in ("%", "points") else ".3~g"  # 0 and 0.1, not 0.00 and 0.100
    chart = charts.bars_with_intervals(shown, title, theme.palette(), x_format=form)
    figure(chart, key, notice, command=command)


def run_bars(subject: Idea, film: Film, config: "Config", seeds: Sequence[int], measure: str = "") -> None:
    """The arms of a run that are measured so far as bars, of the headline's measure unless
    another is named; a hint while there are none.
    """
    columns, measure = subject.metrics(config, film), measure or subject.claims[0].measure
    found = {arm.name: columns.get(f"{arm.name}_{measure}") for arm in subject.arms}
    values = {arm: column for arm, column in found.items() if column is not None and column.any()}
    if not values:
        st.info("Bars begin when the first network is trained.", icon=":material/hourglass_empty:")
        return
    about = {"split": subject.split_sizes(config), "command": command(subject.slug, config, seeds)}
    bars(subject, values, measure, f"{subject.slug}-run", "On test images. 95 % intervals.", **about)


def results(
    subject: Idea, columns: Mapping[str, "np.ndarray"], key: str, split: "Split | None" = None
) -> None:
    """Every declared arm with every declared measure it has, {"<arm>_<measure>": (S,)},
    as a table of means with 95 % intervals.
    """
    measures = [
        measure
        for measure in subject.measures
        if any(f"{arm.name}_{measure.name}" in columns for arm in subject.arms)
    ]
    arms = [
        arm for arm in subject.arms if any(f"{arm.name}_{measure.name}" in columns for measure in measures)
    ]
    if not arms:
        return
    table: dict[str, list[str]] = {"Arm": [arm.label for arm in arms]}
    for measure in measures:
        better = f", {measure.better} is better" if measure.better else ""
        head = f"{measure.label}{f' ({measure.unit})' if measure.unit else ''}{better}"
        cells = (columns.get(f"{arm.name}_{measure.name}") for arm in arms)
        table[head] = ["" if column is None else _cell(column, measure.unit, split) for column in cells]
    st.dataframe(
        table,
        hide_index=True,
        height=min(35 * (len(arms) + 1) + 3, 460),
        key=key,
        alt=f"Results of {len(arms)} arms with 95 % intervals",
    )


def _cell(column: "np.ndarray", unit: str, split: "Split | None") -> str:
    from mlcv_explore import statistics

    text = statistics.interval(column, split).text(unit)
    return text.replace(f" {unit}", "", 1) if unit else text


def comparison(
    subject: Idea,
    table: "Table",
    claim: str,
    names: Sequence[str],
    pair: tuple[str, str],
    measure: str,
    head: str,
    *,
    called: Callable[..., str] | None = None,
) -> None:
    """Two arms and their paired difference, first − second, for every combination of
    the settings `names` in a claim's rows; `called` makes a row's label of their
    values.
    """
    about, key = subject.measure(measure), "-".join((subject.slug, claim, measure, *names))
    values = dict.fromkeys(tuple(row[name] for name in names) for row in table.rows if row["claim"] == claim)
    levels = [dict(zip(names, keys, strict=True)) for keys in values]
    unit = f" ({about.unit})" if about.unit else ""
    columns: dict[str, list[Any]] = {head: [called(*keys) if called else " ".join(keys) for keys in values]}
    for arm in reversed(pair):
        columns[f"{subject.label(arm)}{unit}"] = [
            table.interval(claim, arm, measure, **keys) for keys in levels
        ]
    difference = " (points)" if about.unit == "%" else unit
    columns[f"{subject.label(pair[0])} − {subject.label(pair[1])}{difference}"] = [
        table.difference(claim, *pair, measure, **keys) for keys in levels
    ]
    note = f"{about.label}; 95 % intervals over seeds, not corrected for their number."
    intervals(columns, key, note)


def measures(
    subject: Idea,
    table: "Table",
    title: str,
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    note: str,
    labels: Sequence[str] = (),
) -> None:
    """A table of the Answer act: arms of a study, one a row, with some measures, called as
    the idea declares them unless `labels` says otherwise.
    """
    heads = {}
    for name, label in zip(names, labels or [subject.measure(name).label for name in names], strict=True):
        heads[f"{label}{' (%)' * (subject.measure(name).unit == '%')}"] = {"measure": name}
    arms = [subject.label(row["arm"]) for row in rows]
    intervals({title: arms, **table.cross(rows, heads)}, f"{subject.slug}-{title}", f"{note} 95 % intervals.")


def intervals(table: Mapping[str, Sequence[Any]], key: str, note: str) -> None:
    """A table of the Answer act with its note: columns of text or `Interval`s in the
    unit that stands in parentheses at the end of their head.
    """
    shown = {head: [_written(cell, head) for cell in column] for head, column in table.items()}
    st.dataframe(shown, hide_index=True, height="content", key=key, alt=note)
    st.caption(note)


def _written(cell: Any, head: str) -> str:
    from mlcv_explore import statistics

    if not isinstance(cell, statistics.Interval):
        return str(cell)
    unit = head.rpartition("(")[2].removesuffix(")") if head.endswith(")") else ""
    return cell.text(unit).replace(f" {unit}", "", 1) if unit in statistics.UNITS else cell.text()
