"""The Answer act: the answer, what contradicts it, the numbers, and where they come
from.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import streamlit as st

from mlcv_explore import idea as ideas
from mlcv_explore.experiment import fingerprint
from mlcv_explore.idea import Bars, Card, Idea, Prior, Provenance
from mlcv_explore.ui import claims as table
from mlcv_explore.ui import evidence, figures
from mlcv_explore.ui.evidence import PHOTOGRAPHS

if TYPE_CHECKING:
    import numpy as np

    from mlcv_explore.experiment.studies import Table


def show(
    card: Card,
    subject: Idea,
    details: "Callable[[Table], None] | None" = None,
    example: Callable[[], None] | None = None,
    overview: Callable[[], None] | None = None,
) -> None:
    """The whole act. `example` draws one real image of the idea at work, `overview` the
    answer as a table; `details` draws sweeps and tables beyond the claims, folded.
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
    _charts(card, subject)
    if overview is not None:
        overview()
    _conditions(card, example)
    table.show(card, subject, record)
    if details is not None:
        with st.expander(
            "More results: sweeps and comparisons", key=f"{card.slug}-details", on_change="rerun"
        ) as more:
            if more.open:
                details(evidence.table(card.slug))
    _limits(subject)
    _provenance(card, subject, record)
    _reproduce(card, subject, record)


def _summary(card: Card, subject: Idea, record: dict[str, Any]) -> None:
    status, text = evidence.chip(card)
    figures.badge(status, text)
    st.markdown(f"### {card.answer or subject.claims[0].sentence}")
    if card.terms:
        st.caption(card.terms)


def _charts(card: Card, subject: Idea) -> None:
    """The arms behind the answer as bars, one chart a data set, two side by side."""
    headline = subject.claims[0].name
    shown = [bars for bars in subject.bars if evidence.study(card.slug, bars.study)] or [
        Bars(title, tuple(evidence.table(card.slug, name).arms(headline)), study=name)
        for name, title in evidence.data(card).items()
    ]
    for first in range(0, len(shown), 2):  # three would cut the names of arms short
        pair = shown[first : first + 2]
        for place, (column, bars) in enumerate(zip(st.columns(2, gap="medium"), pair, strict=False), first):
            with column:
                _chart(card, subject, bars, f"{card.slug}-headline-{place}")


def _chart(card: Card, subject: Idea, bars: Bars, key: str) -> None:
    measure = bars.measure or subject.claims[0].measure
    rows, record = evidence.table(card.slug, bars.study), evidence.study(card.slug, bars.study)
    groups = (bars.rows,) if bars.rows else [claim.name for claim in subject.claims]
    owners = {arm: next(group for group in groups if arm in rows.arms(group)) for arm in bars.arms}
    values: dict[str, np.ndarray] = {}
    for arm, owner in owners.items():
        with suppress(KeyError):  # an arm without this measure
            values[arm] = rows.values(owner, arm, measure, **bars.settings)
    count = evidence.EQUALS.join(("n", str(max(map(len, values.values())))))
    unit = card.photographs_unit if bars.study == PHOTOGRAPHS else card.unit
    st.markdown(f"**{bars.title[0].upper()}{bars.title[1:]}**, {f'{count} {unit}'.strip()}")
    options = {"split": rows.split(owners[bars.arms[0]], **bars.settings), "command": record["command"]}
    options["medians"] = subject.claims[0].interval == "median"
    figures.bars(subject, values, measure, key, _notice(subject, record, bars, measure, rows), **options)


def _notice(subject: Idea, record: dict[str, Any], bars: Bars, measure: str, rows: "Table") -> str:
    """The differences of the first arm to the next two, where claims are about them, and
    from where a difference counts. Bars of other rows than the claims' have these rows' own.
    """
    arms = bars.arms
    verdicts, texts, margins = {each["claim"]: each for each in record["verdicts"]}, {}, {}
    for claim in subject.claims:
        verdict = verdicts[claim.name]
        for estimate in verdict["estimates"] if claim.measure == measure else ():
            first, other = estimate["contrast"]
            if first == arms[0] and other in arms[1:3] and other not in texts and estimate["n"]:
                labels = " − ".join(estimate.get("labels", (first, other)))
                kind = "median difference " * (verdict["interval"] == "median")
                text = evidence.effect(verdict, estimate)
                if bars.rows:
                    own = rows.difference(bars.rows, first, other, measure, **bars.settings)
                    text = own.text(verdict["unit"], signed=True)
                texts[other] = f"{labels}: {kind}**{text}**"
                margins[table.amount(verdict["margin"], verdict["unit"])] = verdict["margin"]
    if not texts:
        return "Lines: 95 % intervals."
    counts = " and ".join(text for text, margin in margins.items() if margin)
    return f"{'; '.join(texts.values())}.{f' A difference counts above {counts}.' * bool(counts)}"


def _conditions(card: Card, example: Callable[[], None] | None) -> None:
    """What speaks against the answer and where it turns, beside an image of the idea."""
    left, right = st.columns([2, 1], gap="medium") if example else (st.container(), None)
    with left:
        if card.but:
            st.markdown(f"**But:** {card.but}")
        if card.holds_when or card.fails_when:
            first, second = conditions(card)
            st.markdown(f"- **{first}:** {card.holds_when}\n- **{second}:** {card.fails_when}")
    if example and right is not None:
        with right:
            example()


def conditions(card: Card) -> tuple[str, str]:
    """What stands before the two conditions: "A gain holds when", "It fails when", or the
    two halves of the subject where it has a "|".
    """
    first, _, second = card.subject.partition(" | ")
    return (f"{first} when", f"{second} when") if second else (f"{first} holds when", "It fails when")


def _limits(subject: Idea) -> None:
    if subject.limits:
        st.subheader("Limits", anchor=False)
        st.markdown("\n".join(f"- {limit}" for limit in subject.limits))


def _provenance(card: Card, subject: Idea, record: dict[str, Any]) -> None:
    st.subheader("Provenance", anchor=False)
    lines = [
        f"- Estimand: {record['verdicts'][0]['estimand']}.",
        f"- Cost: {record['seconds'] / 60:.0f} core-minutes, {len(record['seeds'])} seeds, CPU.",
    ]
    photographs = evidence.study(card.slug, PHOTOGRAPHS)
    if photographs is not None:
        where = evidence.data(card)[PHOTOGRAPHS]
        cost = f"{photographs['seconds'] / 60:.0f} core-minutes, {len(photographs['seeds'])} seeds, CPU"
        lines.append(f"- Cost on {where}: {cost}.")
        if photographs["verdicts"][0]["estimand"] != record["verdicts"][0]["estimand"]:
            lines.append(f"- Estimand on {where}: {photographs['verdicts'][0]['estimand']}.")
    if record["fingerprint"] != fingerprint.fingerprint(card.slug):
        lines.append("- Computed by an earlier version of the code; the command below computes it again.")
    fixed, *changed = provenance(subject.provenance)
    lines.append(f"- {fixed}")
    st.markdown("\n".join(lines))
    if changed:
        st.markdown("\n".join(["What changed, and what was known before:", "", *map("- {}".format, changed)]))


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
