"""The Answer act: the answer, what contradicts it, the numbers, and where they come
from.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from mlcv_explore import idea as ideas
from mlcv_explore import statistics
from mlcv_explore.experiment import fingerprint
from mlcv_explore.idea import Card, Idea, Prior, Provenance
from mlcv_explore.ui import evidence, figures
from mlcv_explore.ui.evidence import PHOTOGRAPHS

if TYPE_CHECKING:
    from mlcv_explore.experiment.studies import Table


ROW = 66  # pixels: a claim takes up to three lines, and Streamlit wraps from 65 on
SMALL_MARGIN = ", too small for n"


def show(
    card: Card,
    subject: Idea,
    details: "Callable[[Table], None] | None" = None,
    example: Callable[[], None] | None = None,
) -> None:
    """The whole act. `example` draws one real image of the idea at work; `details`
    draws sweeps and tables beyond the claims, folded.
    """
    record = evidence.study(card.slug)
    if record is None:
        st.info(
            f"No evidence ships yet. `python -m mlcv_explore evidence {card.slug}` computes it in minutes"
            " on two cores.",
            icon=":material/science:",
        )
        return
    _summary(card, subject, record)
    _headline(card, subject, record, example)
    _claims(card, subject, record)
    if details is not None:
        with st.expander(
            "More results: sweeps and comparisons", key=f"{card.slug}-details", on_change="rerun"
        ) as more:
            if more.open:
                details(evidence.table(card.slug))
    _limits(card, subject, record)
    _reproduce(card, subject, record)


def _summary(card: Card, subject: Idea, record: dict[str, Any]) -> None:
    status, text = evidence.chip(card)
    figures.badge(status, text)
    st.markdown(f"### {card.answer or subject.claims[0].sentence}")
    if card.terms:
        st.caption(card.terms)
    if card.but:
        st.markdown(f"**But:** {card.but}")
    if card.holds_when or card.fails_when:
        st.markdown(f"- **Holds when:** {card.holds_when}\n- **Fails when:** {card.fails_when}")


def _headline(card: Card, subject: Idea, record: dict[str, Any], example: Callable[[], None] | None) -> None:
    claim = subject.claims[0]
    left, right = st.columns([2, 1], gap="medium") if example else (st.container(), None)
    with left:
        rows = evidence.table(card.slug)
        values = {}
        for arm in rows.arms(claim.name):
            try:
                values[arm] = rows.values(claim.name, arm, claim.measure)
            except (KeyError, ValueError):  # an arm without this measure, or one of several settings
                continue
        notice = _notice(card, record)
        options = {"split": rows.split(claim.name), "command": record["command"]}
        figures.bars(subject, values, claim.measure, f"{card.slug}-headline", notice, **options)
    if example and right is not None:
        with right:
            example()


def _notice(card: Card, record: dict[str, Any]) -> str:
    """The headline contrast in every study that ships, with data, n and margin."""
    first, margin = record["verdicts"][0]["estimates"][0], record["verdicts"][0]["margin"]
    effects = []
    for name, sample in evidence.samples(card).items():
        verdict = evidence.study(card.slug, name)["verdicts"][0]
        effect = evidence.interval_of(verdict["estimates"][0]).text(verdict["unit"], signed=True)
        effects.append(f"**{effect}** ({sample})")
    labels, unit = " − ".join(first.get("labels", first["contrast"])), record["verdicts"][0]["unit"]
    shown = " The bars show the first." if len(effects) > 1 else ""
    kind = "95 % intervals" + " of the median" * (record["verdicts"][0]["interval"] == "median")
    return f"{labels}: {'; '.join(effects)}. {kind}; margin {_amount(margin, unit)}.{shown}"


def _claims(card: Card, subject: Idea, record: dict[str, Any]) -> None:
    st.subheader("All claims", anchor=False)
    sentences = {claim.name: claim.sentence for claim in subject.claims}
    rows = [
        (verdict, estimate)
        for verdict in record["verdicts"]
        for estimate in verdict["estimates"]
        if verdict["claim"] in sentences
    ]
    table = {
        "Claim": [sentences[verdict["claim"]] for verdict, _ in rows],
        "Status": [estimate["status"] for _, estimate in rows],
        "Role": [verdict["role"] for verdict, _ in rows],
        "Difference": [" − ".join(estimate.get("labels", estimate["contrast"])) for _, estimate in rows],
        "Effect": [
            evidence.interval_of(estimate).text(verdict["unit"], signed=True) for verdict, estimate in rows
        ],
        "Margin": [
            _amount(verdict["margin"], verdict["unit"]) + SMALL_MARGIN * verdict["small_margin"]
            for verdict, _ in rows
        ],
        "n": [estimate["n"] for _, estimate in rows],
    }
    photographs = evidence.study(card.slug, PHOTOGRAPHS)
    if photographs is not None:
        found = _effects(photographs)
        names = [(verdict["claim"], tuple(estimate["contrast"])) for verdict, estimate in rows]
        table["On photographs"] = [found.get(name, "not run") for name in names]
    st.dataframe(
        table,
        hide_index=True,
        height=min(ROW * len(rows) + 38, 560),
        row_height=ROW,
        key=f"{card.slug}-claims",
        column_config={
            "Claim": st.column_config.TextColumn(width=232 if photographs else 290),
            "Status": st.column_config.TextColumn(width=95 if photographs else 100),
            "Role": st.column_config.TextColumn(width=98),
            "Difference": st.column_config.TextColumn(width=120 if photographs else 165),
            "Effect": st.column_config.TextColumn(width=105 if photographs else 150),
            "Margin": st.column_config.TextColumn(width=65 if photographs else 97),
            "n": st.column_config.NumberColumn(width=35 if photographs else 40),
            "On photographs": st.column_config.TextColumn(width=190),
        },
        alt=f"Table of {len(record['verdicts'])} claims with status, effect, 95 % interval and n",
    )
    st.caption(
        "Click a heading to sort. Several differences of one claim must all hold; where they do not, each is"
        " Holm-corrected. Secondary: not corrected for the number of claims."
    )
    for line in _caveats(rows):
        st.caption(line)
    if photographs is not None:
        st.caption(f"Status, effect and n: {card.data}. On photographs the margins are the same.")


def _caveats(rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[str]:
    """What limits the verdicts shown: medians, collapsed runs, margins too small for n."""
    verdicts, lines = [verdict for verdict, _ in rows], []
    if any(verdict["interval"] == "median" for verdict in verdicts):
        medians = sum(verdict["interval"] == "median" for verdict in verdicts)
        lines.append(f"Effects of {medians} rows are medians, by order statistics: single runs may collapse.")
    shares = [each["collapsed"] for each in verdicts if each["collapsed"] and each["collapsed"]["mean"]]
    if shares:
        worst = max(shares, key=lambda share: share["mean"])
        text = evidence.interval_of(worst).text("%")
        lines.append(f"{round(worst['mean'] * worst['n'])} of {worst['n']} runs collapsed: {text}.")
    if any(verdict["small_margin"] for verdict in verdicts):
        lines.append("Too small for n: a margin below a fifth of the smallest detectable effect.")
    return lines


def _effects(record: dict[str, Any]) -> dict[tuple[str, tuple[str, ...]], str]:
    """(claim, contrast) → status, effect and n of a study's verdicts with any seeds."""
    return {
        (verdict["claim"], tuple(estimate["contrast"])): (
            f"{estimate['status']}, {evidence.interval_of(estimate).text(verdict['unit'], signed=True)},"
            f" n = {estimate['n']}"
        )
        for verdict in record["verdicts"]
        for estimate in verdict["estimates"]
        if estimate["n"]
    }


def _amount(margin: float, unit: str) -> str:
    text = f"{statistics.in_unit(margin, unit):.4g} {unit}".strip()
    return text.removesuffix("s") if text == "1 points" else text


def _limits(card: Card, subject: Idea, record: dict[str, Any]) -> None:
    st.subheader("Limits and provenance", anchor=False)
    lines = [f"- {limit}" for limit in subject.limits]
    lines.append(f"- Estimand: {record['verdicts'][0]['estimand']}.")
    lines.append(f"- Cost: {record['seconds'] / 60:.0f} core-minutes, {len(record['seeds'])} seeds, CPU.")
    photographs = evidence.study(card.slug, PHOTOGRAPHS)
    if photographs is not None:
        cost = f"{photographs['seconds'] / 60:.0f} core-minutes, {len(photographs['seeds'])} seeds, CPU"
        lines.append(f"- Cost of the study on photographs: {cost}.")
        if photographs["verdicts"][0]["estimand"] != record["verdicts"][0]["estimand"]:
            lines.append(f"- Estimand on photographs: {photographs['verdicts'][0]['estimand']}.")
    lines += [f"- {line}" for line in provenance(subject.provenance)]
    if record["fingerprint"] != fingerprint.fingerprint(card.slug):
        lines.append("- Computed by an earlier version of the code; the command below computes it again.")
    st.markdown("\n".join(lines))


def provenance(about: Provenance | None) -> list[str]:
    """How claims and evidence came about, one sentence each."""
    if about is None:
        return ["Provenance is not recorded."]
    order = "before" if about.before_evidence else "after"
    times = {1: "once", 2: "twice"}.get(about.evidence_made, f"{about.evidence_made} times")
    fixed = f"Claims fixed on {about.claims_fixed}, {order} the first results; evidence computed {times}."
    return [fixed, *about.changed]


def _reproduce(card: Card, subject: Idea, record: dict[str, Any]) -> None:
    st.subheader("Reproduce", anchor=False)
    photographs = evidence.study(card.slug, PHOTOGRAPHS)
    commands = [each["command"] for each in (record, photographs) if each is not None]
    st.code("\n".join(commands), language=None, wrap_lines=True)
    folder = ideas.ASSETS / card.slug
    with st.container(horizontal=True):
        for label, content, name, kind in (
            ("All rows (CSV)", lambda: (folder / "live.csv").read_bytes(), f"{card.slug}.csv", "text/csv"),
            (
                "Verdicts (JSON)",
                lambda: (folder / "live.json").read_bytes(),
                f"{card.slug}.json",
                "application/json",
            ),
            ("Sources (BibTeX)", lambda: bibtex(subject.prior_work), f"{card.slug}.bib", "text/plain"),
        ):
            st.download_button(label, content, name, kind, key=f"{card.slug}-{name}", on_click="ignore")


def bibtex(works: tuple[Prior, ...]) -> str:
    """Prior work as BibTeX entries with title and link."""
    entries = []
    for work in works:
        key = re.sub(r"[^a-z0-9]+", "", work.title.lower())[:24]
        year = re.search(r"\b(19|20)\d\d\b", work.title)
        dated = f",\n  year = {{{year[0]}}}" if year else ""
        entries.append(f"@misc{{{key},\n  title = {{{work.title}}},\n  url = {{{work.link}}}{dated}\n}}\n")
    return "\n".join(entries)
