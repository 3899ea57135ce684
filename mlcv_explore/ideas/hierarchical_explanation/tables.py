"""Tables of the Answer act beyond the claims: columns of text and intervals."""

from collections.abc import Sequence
from typing import Any

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.hierarchical_explanation import (
    BUDGETED,
    CLASSIFYING,
    COMPARING,
    EXPLAINING,
    SHARING,
    STUDIED,
)
from mlcv_explore.ideas.hierarchical_explanation import idea as subject

Columns = dict[str, list[Any]]  # head → text or intervals
SHOWN = EXPLAINING[:-1]  # without the item itself


def details(table: Table) -> dict[str, tuple[Columns, str]]:
    """Key → a table and its note."""
    return {
        "arms": (
            by_dataset(table, SHOWN, "passes", "Arm"),
            "Explained with at most 100 bits per item, N = 1,000; 95 % intervals over seeds, not corrected.",
        ),
        "costs": (
            costs(table),
            "Glyphs. Accuracy: of the classifier on the reconstruction; of trees and network, their own.",
        ),
        "budget": (
            by_setting(table, "budget", "bits", "Bits per item", BUDGETED),
            "Explained glyphs, N = 1,000; dictionary sizes chosen at each budget.",
        ),
        "sharing": (
            by_setting(table, "sharing", "items", "Items sharing the dictionary, N", SHARING),
            "Explained glyphs, 100 bits. Levels save dictionary bits only.",
        ),
        "overlap": (
            by_dataset(table, COMPARING, "overlap", "Compared"),
            "Shared strokes: orientations in cells of 4 × 4 pixels, or columns of a table.",
        ),
        "stability": (
            by_dataset(table, ("three", "flat"), "stability", "Dictionary"),
            "Similarity of dictionaries learned from two halves: mean cosine of matched atoms.",
        ),
    }


def by_dataset(table: Table, arms: Sequence[str], measure: str, head: str) -> Columns:
    """One row for each arm, one column for each data set."""
    columns: Columns = {head: [subject.label(arm) for arm in arms]}
    for name in STUDIED:
        cells = [table.interval("arms", arm, measure, dataset=name) for arm in arms]
        columns[f"{name.replace('_', ' ').capitalize()} (%)"] = cells
    return columns


def costs(table: Table) -> Columns:
    """Accuracy, atoms and bits of every arm on glyphs; trees and network have only the
    first.
    """
    columns: Columns = {"Arm": [subject.label(arm) for arm in (*SHOWN, *CLASSIFYING)]}
    for name, more in (("accuracy", CLASSIFYING), ("atoms", ()), ("bits", ())):
        measure = subject.measure(name)
        head = f"{measure.label} ({measure.unit})" if measure.unit else measure.label
        cells = [table.interval("arms", arm, name, dataset="glyphs") for arm in (*SHOWN, *more)]
        columns[head] = cells + [""] * (len(columns["Arm"]) - len(cells))
    return columns


def by_setting(table: Table, claim: str, setting: str, head: str, arms: Sequence[str]) -> Columns:
    """The share explained by each arm at every level of one setting."""
    levels = sorted(table.levels(claim, setting), key=int)
    columns: Columns = {head: [f"{int(level):,}" for level in levels]}
    for arm in arms:
        cells = [table.interval(claim, arm, "passes", **{setting: level}) for level in levels]
        columns[f"{subject.label(arm)} (%)"] = cells
    return columns
