"""Tables of the Answer act beyond the claims."""

from collections.abc import Iterable, Mapping
from typing import Any

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.hierarchical_explanation import CLASSIFYING, COMPARING, EXPLAINING
from mlcv_explore.ideas.hierarchical_explanation import idea as subject

Columns = dict[str, list[Any]]  # head → text or intervals
SHOWN = EXPLAINING[:-1]  # without the item itself


def details(table: Table) -> dict[str, tuple[Columns, str]]:
    """Key → a table, columns of text and intervals, and its note."""
    names = table.levels("arms", "dataset")
    data = {f"{name.replace('_', ' ').capitalize()} (%)": {"dataset": name} for name in names}
    costs = {}
    for measure in (subject.measure(name) for name in ("accuracy", "atoms", "bits")):
        head = f"{measure.label} ({measure.unit})" if measure.unit else measure.label
        costs[head] = {"claim": "arms", "dataset": "glyphs", "measure": measure.name}

    def by_arm(
        head: str, arms: Iterable[str], columns: Mapping[str, Mapping[str, str]], **query: str
    ) -> Columns:
        rows = [{"arm": arm, **query} for arm in arms]
        return {head: [subject.label(arm) for arm in arms], **table.cross(rows, columns)}

    def by_level(head: str, claim: str, setting: str) -> Columns:
        levels = sorted(map(int, table.levels(claim, setting)))
        rows = [{"claim": claim, "measure": "passes", setting: level} for level in levels]
        columns = {f"{subject.label(arm)} (%)": {"arm": arm} for arm in table.arms(claim)}
        return {head: [f"{level:,}" for level in levels], **table.cross(rows, columns)}

    return {
        "arms": (
            by_arm("Arm", SHOWN, data, claim="arms", measure="passes"),
            "Explained with at most 100 bits per item, N = 1,000; 95 % intervals over seeds, not corrected.",
        ),
        "costs": (
            by_arm("Arm", (*SHOWN, *CLASSIFYING), costs),
            "Glyphs. Accuracy: of the classifier on the reconstruction; of trees and network, their own.",
        ),
        "budget": (
            by_level("Bits per item", "budget", "bits"),
            "Explained glyphs, N = 1,000; dictionary sizes chosen at each budget.",
        ),
        "sharing": (
            by_level("Items sharing the dictionary, N", "sharing", "items"),
            "Explained glyphs, 100 bits. Levels save dictionary bits only.",
        ),
        "overlap": (
            by_arm("Compared", COMPARING, data, claim="arms", measure="overlap"),
            "Shared strokes: orientations in cells of 4 × 4 pixels, or columns of a table.",
        ),
        "stability": (
            by_arm("Dictionary", ("three", "flat"), data, claim="arms", measure="stability"),
            "Similarity of dictionaries learned from two halves: mean cosine of matched atoms.",
        ),
    }
