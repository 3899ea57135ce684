"""Curves and atoms of a run, and tables of the Answer act beyond the claims: columns of
text and intervals.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_explanation import (
    ARMS,
    BUDGETED,
    BUDGETS,
    CLASSIFYING,
    COMPARING,
    EXPLAINING,
    SHARING,
    STUDIED,
    Frame,
)
from mlcv_explore.ideas.hierarchical_explanation import idea as subject

Columns = dict[str, list[Any]]  # head → text or intervals
SHOWN = EXPLAINING[:-1]  # without the item itself
CURVES = ("three", "two", "flat", "shuffled", "pixels")  # arms of a run's curves
AXES = {
    "x_title": "bits per item",
    "y_title": "test items explained",
    "x_domain": (float(BUDGETS[0]), float(BUDGETS[-1])),
    "y_domain": (0.0, 1.0),
    "y_format": ".0%",
}


def explained_curves(film: Film) -> tuple[np.ndarray, dict[str, tuple[str, np.ndarray]]] | None:
    """Bits per item (T,), and label → role and share of the items explained (S, T);
    None while the run is in training.
    """
    explained = [frame for frame in film if frame.bits]
    if not explained:
        return None
    passes, arms = series(explained, "passes"), [subject.arm(name) for name in CURVES]
    lines = {arm.label: (arm.role, passes[:, :, ARMS.index(arm.name)]) for arm in arms}
    return series(explained, "bits").astype(float), lines


def learned_atoms(frame: Frame) -> dict[str, np.ndarray]:
    """What they are → the first seed's atoms (n, 16, 16) learned so far."""
    parts, wholes = np.split(frame.shown[0], 2)
    atoms = {"Parts, level 1, first seed": parts, "Wholes, level 2, first seed": wholes}
    return {name: images[images.any((1, 2))] for name, images in atoms.items() if images.any()}


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
