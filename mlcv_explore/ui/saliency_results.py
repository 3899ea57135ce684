"""What Answer of Saliency shows beyond the claims: every method on photographs and on
scenes.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from mlcv_explore import charts
from mlcv_explore.idea import Idea
from mlcv_explore.ideas.saliency import ATTRIBUTIONS, GENERATED, PLACES, RHOS, tables
from mlcv_explore.saliency.measures import kendall
from mlcv_explore.statistics import significant_cells
from mlcv_explore.ui import evidence, figures, saliency_composites, theme

if TYPE_CHECKING:
    from mlcv_explore.experiment.studies import Table


def show(subject: Idea, table: "Table", labels: Mapping[str, str]) -> None:
    """Methods on photographs, where that study ships, and on scenes; the agreement of the
    rankings; the learned map.
    """
    slug = subject.slug
    if evidence.study(slug, "photographs") is not None:
        photographs = evidence.table(slug, "photographs")
        st.subheader("On photographs (objects pasted on backgrounds)", anchor=False)
        objects = len(photographs.values("photographs", "edges", "mass"))
        note = (
            f"The ImageNet network, {objects} objects, each at {PLACES} places. On the object: share of the"
            " map, also minus the best control's and its own where the last layer is random. No method may"
            " exceed the control where the last layer is random or nothing is trained. Deletion, insertion"
            " and model dependence at one place each: low, high and high are good. Evaluations of the"
            " network, forward and back. Intervals are not corrected for their number."
        )
        figures.intervals(tables.on_photographs(photographs, labels), f"{slug}-photographs", note)
        saliency_composites.show(labels[saliency_composites.METHOD])
        _properties(subject, photographs, labels, None, "photographs")
    for rho in RHOS:
        tag = "an uninformative tag" if rho == RHOS[0] else "a tag that always agrees with the class"
        st.subheader(f"Trained with {tag} (ρ = {rho:g})", anchor=False)
        _properties(subject, table, labels, rho, f"{rho:g}")
        figures.results(subject, table.columns("tags", rho=rho), f"{slug}-measures-{rho:g}")
    rows = [{"arm": arm} for arm in GENERATED]
    columns = {"Map": [labels[arm] for arm in GENERATED]} | table.cross(rows, tables.LEARNED)
    note = "A generated map that stays on the object when the tag is the cause depends on the image alone."
    figures.intervals(columns, f"{slug}-learned", note)


def _properties(
    subject: Idea, table: "Table", labels: Mapping[str, str], rho: float | None, key: str
) -> None:
    """Every method against the best control, and how far the rankings agree."""
    slug = subject.slug
    controls, differences = tables.over_best_control(table, rho)
    mean, *_, significant = significant_cells(differences)
    heads = [f"{name}\n− {labels[best]}" for name, best in zip(tables.PROPERTIES, controls, strict=True)]
    titles = ("", "property", "difference from the best control")
    names = [labels[arm] for arm in ATTRIBUTIONS]
    chart = charts.heat_map(mean, names, heads, titles, theme.palette(), significant=significant)
    notice = f"Hatched: not significant, Holm-corrected over {mean.size} cells. Exploratory."
    figures.figure(chart, f"{slug}-properties-{key}", notice)
    agreed = kendall(tables.rankings(table, rho))
    pairs = {"Rankings": [" and ".join(pair) for pair in agreed], "Kendall's τ": list(agreed.values())}
    note = "Agreement of two rankings of the twelve methods, from −1 to 1; bootstrap intervals."
    figures.intervals(pairs, f"{slug}-agreement-{key}", note)
