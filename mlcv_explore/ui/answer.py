"""The Answer act: the answer, what contradicts it, the numbers, and where they come
from.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from mlcv_explore import idea as ideas
from mlcv_explore.experiment import fingerprint
from mlcv_explore.idea import Card, Idea, Prior, Provenance
from mlcv_explore.ui import claims, evidence, figures
from mlcv_explore.ui.evidence import PHOTOGRAPHS

if TYPE_CHECKING:
    from mlcv_explore.experiment.studies import Table


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
    _headline(card, subject, example)
    claims.show(card, subject, record)
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
    if card.but:
        st.markdown(f"**But:** {card.but}")
    if card.holds_when or card.fails_when:
        st.markdown(
            f"- **{card.subject} holds when:** {card.holds_when}\n- **It fails when:** {card.fails_when}"
        )


def _headline(card: Card, subject: Idea, example: Callable[[], None] | None) -> None:
    claim = subject.claims[0]
    left, right = st.columns([2, 1], gap="medium") if example else (st.container(), None)
    with left:
        name = list(evidence.samples(card))[-1]  # of photographs, where such a study ships
        rows, record = evidence.table(card.slug, name), evidence.study(card.slug, name)
        values = {}
        for arm in rows.arms(claim.name):
            try:
                values[arm] = rows.values(claim.name, arm, claim.measure)
            except (KeyError, ValueError):  # an arm without this measure, or one of several settings
                continue
        notice = _notice(card)
        options = {"split": rows.split(claim.name), "command": record["command"]}
        figures.bars(subject, values, claim.measure, f"{card.slug}-headline", notice, **options)
    if example and right is not None:
        with right:
            example()


def _notice(card: Card) -> str:
    """The headline contrast in every study that ships, with data, n and margin; the last
    is that of the bars.
    """
    effects = []
    for name, sample in evidence.samples(card).items():
        verdict = evidence.study(card.slug, name)["verdicts"][0]
        effects.append(f"**{evidence.effect(verdict, verdict['estimates'][0])}** ({sample})")
    first = verdict["estimates"][0]
    labels = " − ".join(first.get("labels", first["contrast"]))
    shown = " The bars show the last." if len(effects) > 1 else ""
    median = verdict["interval"] == "median"
    kind = f"95 % intervals{' of the median; the bars are means' * median}"
    margin = claims.amount(verdict["margin"], verdict["unit"])
    return f"{labels}: {'; '.join(effects)}. {kind}; margin {margin}.{shown}"


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
