"""The answer as a table: which arms lead, in every case that was run."""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from mlcv_explore.idea import Idea
from mlcv_explore.ui import evidence

NOTICE = (
    "First the best by {measure}, then those not clearly worse: the 95 % interval of their paired"
    " difference holds 0. Not corrected for their number."
)


def leaders(
    subject: Idea,
    title: str,
    studies: Mapping[str, str],
    claim: str,
    arms: Mapping[str, str],
    measure: str,
    down: Sequence[str],
    across: str,
    *,
    called: Callable[..., str],
    head: Callable[[str], str],
) -> None:
    """A table of the leading arms: a row for every study, {its name: what it is called}, and
    combination of the settings `down`, called `called(*values)`; a column for every value
    of `across`, in numeric order, with its `head(value)`. `arms` are those compared, each
    with what a cell calls it.
    """
    cells: dict[str, dict[str, str]] = {}
    for study, name in studies.items():
        if evidence.study(subject.slug, study) is None:
            continue
        table = evidence.table(subject.slug, study)
        for row in table.cases(claim, (*down, across)):
            best = table.leaders(claim, tuple(arms), measure, **row)
            label = f"{name}: {called(*(row[each] for each in down))}"
            cells.setdefault(label, {})[row[across]] = ", ".join(arms[arm] for arm in best)
    levels = sorted({level for texts in cells.values() for level in texts}, key=float)
    columns = {head(level): [texts.get(level, "–") for texts in cells.values()] for level in levels}
    notice = NOTICE.format(measure=subject.measure(measure).label.lower())
    st.markdown(f"**{title}**")
    st.table({"": list(cells), **columns}, border="horizontal", hide_index=True, alt=f"{title}. {notice}")
    st.caption(notice)
