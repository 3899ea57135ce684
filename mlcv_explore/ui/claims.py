"""The Answer act's table of claims: one row a claim, one line for each of its
differences, and what its words mean.
"""

from html import escape
from typing import Any

import streamlit as st

from mlcv_explore import statistics
from mlcv_explore.idea import Card, Idea
from mlcv_explore.ui import evidence
from mlcv_explore.ui.evidence import PHOTOGRAPHS

SMALL_MARGIN = ", too small for n"
WORDS = (  # of the table
    "**Status**, read off unrounded numbers. *Supported*: the claim holds as worded, margin included."
    " *Contradicted*: the claim as worded, margin included, is refuted; its effect can be real and smaller"
    " than the margin. *Undecided*: neither is shown. **Margin**: what a difference must exceed; of a tie,"
    " what it must stay within. **Role**. The first claim is the headline: *confirmatory* if it was fixed"
    " before the first results, else *post hoc*. *Secondary* claims are not corrected for their number."
)
SEVERAL = (  # where a claim compares more than one pair
    " Several differences of one claim must all hold; where they do not, each is corrected for their number"
    " by *Holm*'s method, which demands stronger evidence of each."
)
TOO_SMALL = (
    " Too small for n: a margin below a fifth of the smallest detectable effect, so that n decides the sign"
    " alone."
)


def show(card: Card, subject: Idea, record: dict[str, Any]) -> None:
    """Every claim of the shipped evidence, beside its numbers on photographs where a
    study of them ships.
    """
    st.subheader("All claims", anchor=False)
    photographs = evidence.study(card.slug, PHOTOGRAPHS)
    sentences = {claim.name: claim.sentence for claim in subject.claims}
    verdicts = [verdict for verdict in record["verdicts"] if verdict["claim"] in sentences]
    heads = ["Claim", "Status", "Difference", "Effect [95 % interval]", "Margin", "n", "Role"]
    beside = None
    if photographs is not None:
        where = evidence.data(card)[PHOTOGRAPHS]
        heads.append(f"On {where}: status, effect")
        beside = _effects(photographs)
    lines = [line for verdict in verdicts for line in _lines(sentences, verdict, beside)]
    row = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    words = f"{len(verdicts)} claims with status, effect, 95 % interval and n"
    st.html(
        f'<div class="claims" role="region" tabindex="0" aria-label="{words}">'
        f"<table><thead><tr>{row}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )
    _captions(card, verdicts, photographs is not None)


def _lines(
    sentences: dict[str, str], verdict: dict[str, Any], beside: dict[tuple[str, tuple[str, ...]], str] | None
) -> list[str]:
    """One table row a difference; what belongs to the whole claim spans them."""
    estimates = verdict["estimates"]
    span = f' rowspan="{len(estimates)}"' if len(estimates) > 1 else ""
    whole = f'<span class="whole">All together: {verdict["status"]}</span>' if span else ""
    margin = amount(verdict["margin"], verdict["unit"]) + SMALL_MARGIN * verdict["small_margin"]
    lines = []
    for place, estimate in enumerate(estimates):
        name = " − ".join(estimate.get("labels", estimate["contrast"]))
        cells = [estimate["status"], name, evidence.effect(verdict, estimate)]
        row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        if not place:
            sentence = escape(sentences[verdict["claim"]])
            row = f'<th scope="rowgroup"{span}>{sentence}{whole}</th>{row}<td{span}>{escape(margin)}</td>'
        row += f"<td>{estimate['n']}</td>"
        if not place:
            row += f"<td{span}>{escape(verdict['role'])}</td>"
        if beside is not None:
            text = beside.get((verdict["claim"], tuple(estimate["contrast"])), "not run")
            row += f"<td>{escape(text)}</td>"
        lines.append(f"<tr>{row}</tr>")
    return lines


def _captions(card: Card, verdicts: list[dict[str, Any]], photographs: bool) -> None:
    """What the words of the table mean, then what limits these verdicts."""
    several = any(len(verdict["estimates"]) > 1 for verdict in verdicts)
    small = any(verdict["small_margin"] for verdict in verdicts)
    st.caption(WORDS + SEVERAL * several + TOO_SMALL * small)
    lines = []
    if medians := sum(verdict["interval"] == "median" for verdict in verdicts):
        lines.append(f"Effects of {medians} rows are medians, by order statistics: single runs may collapse.")
    shares = [each["collapsed"] for each in verdicts if each["collapsed"] and each["collapsed"]["mean"]]
    if shares:
        worst = max(shares, key=lambda share: share["mean"])
        text = evidence.interval_of(worst).text("%")
        lines.append(f"{round(worst['mean'] * worst['n'])} of {worst['n']} runs collapsed: {text}.")
    if photographs:
        lines.append(f"Status, effect and n: {card.data}. Last column: another study, with the same margins.")
    if lines:
        st.caption(" ".join(lines))


def _effects(record: dict[str, Any]) -> dict[tuple[str, tuple[str, ...]], str]:
    """(claim, contrast) → status, effect and n of a study's verdicts with any seeds."""
    return {
        (verdict["claim"], tuple(estimate["contrast"])): (
            f"{estimate['status']}, {evidence.effect(verdict, estimate)}, n = {estimate['n']}"
        )
        for verdict in record["verdicts"]
        for estimate in verdict["estimates"]
        if estimate["n"]
    }


def amount(margin: float, unit: str) -> str:
    """A margin in the unit shown: "1 point", "0.05"."""
    text = f"{statistics.in_unit(margin, unit):.4g} {unit}".strip()
    return text.removesuffix("s") if text == "1 points" else text
