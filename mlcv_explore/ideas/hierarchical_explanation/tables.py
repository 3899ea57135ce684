"""Tables of the Answer act beyond the claims."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.hierarchical_explanation import CLASSIFYING, CODED, COMPARING, claims, codes
from mlcv_explore.ideas.hierarchical_explanation import idea as subject

Columns = dict[str, list[Any]]  # head → text or intervals
EXPLAINING = (*CODED, "soft")
SWEPT = ("levels", "baseline", "flat", "shuffled")  # arms of the sweep over τ


def grid(table: Table) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Energy explained by levels minus the best code without, over N and bits: the texts
    of both, mean differences (N, bits), and whether their intervals, Bonferroni-corrected
    over all cells, leave out 0.
    """
    level = 1 - 0.05 / (len(claims.SHARING) * len(claims.BITS))
    cells = [
        [
            table.difference("grid", "levels", "baseline", "energy", level, items=items, bits=bits)
            for bits in claims.BITS
        ]
        for items in claims.SHARING
    ]
    mean, beyond = (
        np.array([[read(cell) for cell in row] for row in cells])
        for read in (lambda cell: cell.mean, lambda cell: cell.low > 0 or cell.high < 0)
    )
    return [f"{items:,}" for items in claims.SHARING], list(map(str, claims.BITS)), mean, beyond


def details(table: Table) -> dict[str, tuple[Columns, str]]:
    """Key → a table, columns of text and intervals, and its note. The study on
    photographs has only the first two.
    """

    def by_arm(head: str, arms: Iterable[str], columns: dict[str, dict[str, Any]], **query: Any) -> Columns:
        rows = [{"arm": arm, **query} for arm in arms]
        return {head: [subject.label(arm) for arm in arms], **table.cross(rows, columns)}

    def at_bits(items: int, minus: str = "") -> Columns:
        columns = {
            f"{bits} bits ({'points' if minus else '%'})": {
                "bits": bits,
                **({"minus": minus} if minus else {}),
            }
            for bits in claims.BITS
        }
        arms = [arm for arm in CODED if arm != minus]
        return by_arm("Arm", arms, columns, claim="grid", measure="energy", items=items)

    shown = {
        "energy": (
            at_bits(1000),
            "Energy of test items explained, N = 1,000; 95 % intervals, not corrected.",
        ),
        "minus": (at_bits(1000, "baseline"), "The same, minus the best code without levels."),
    }
    if "explained" not in {row["claim"] for row in table.rows}:
        return shown
    costs = {}
    for measure in map(subject.measure, ("atoms", "bits", "accuracy", "passes")):
        costs[f"{measure.label} ({measure.unit})" if measure.unit else measure.label] = {
            "measure": measure.name
        }
    sweep = {f"{subject.label(arm)} (%)": {"arm": arm} for arm in SWEPT}
    rows = [{"claim": "explained", "measure": f"passes{percent}"} for percent in codes.THRESHOLDS]
    thresholds = [f"{percent} %" for percent in codes.THRESHOLDS]
    known = {f"{subject.measure(name).label} (%)": {"measure": name} for name in ("energy", "recovered")}
    shared = {"Shared strokes (%)": {"measure": "overlap"}}
    return shown | {
        "threshold": (
            {"Energy threshold τ": thresholds, **table.cross(rows, sweep)},
            "Digits that f accepts at 100 bits, N = 1,000, over its threshold τ.",
        ),
        "check": (
            by_arm("Arm", CODED, known, claim="check"),
            "Glyphs at 100 bits, N = 1,000: drawn from known parts, so a check and no finding.",
        ),
        "costs": (
            by_arm("Arm", (*EXPLAINING, *CLASSIFYING), costs, claim="explained"),
            "Digits. Accuracy: of the classifier on the reconstruction; of trees and network, their own.",
        ),
        "overlap": (
            by_arm("Compared", COMPARING, shared, claim="explained"),
            "Digits. Strokes count as shared within an orientation and a cell of 4 × 4 pixels.",
        ),
    }
