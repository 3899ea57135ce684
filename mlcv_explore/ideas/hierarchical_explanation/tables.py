"""Tables of the Answer act beyond the claims."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.hierarchical_explanation import CLASSIFYING, CODED, COMPARING, claims, codes
from mlcv_explore.ideas.hierarchical_explanation import idea as subject

Columns = dict[str, list[Any]]  # head → text or intervals
SWEPT = ("levels", "baseline", "flat", "shuffled")  # arms of the sweep over τ


def grid(table: Table) -> tuple[np.ndarray, list[str], list[str], np.ndarray]:
    """Energy explained by levels minus the best code without: mean points (N, bits), the
    texts of N and of bits, and whether the intervals, Bonferroni-corrected over all
    cells, leave out 0.
    """
    level = 1 - 0.05 / (len(claims.SHARING) * len(claims.BITS))
    pair = "grid", "levels", "baseline", "energy", level
    cells = [
        [table.difference(*pair, items=items, bits=bits) for bits in claims.BITS] for items in claims.SHARING
    ]
    mean = np.array([[100 * cell.mean for cell in row] for row in cells])
    beyond = np.array([[cell.low > 0 or cell.high < 0 for cell in row] for row in cells])
    return mean, [f"{items:,}" for items in claims.SHARING], list(map(str, claims.BITS)), beyond


def sweep(table: Table) -> dict[str, np.ndarray]:
    """Arm → share of digits that f accepts over THRESHOLDS, (S, T)."""
    measures = [f"passes{percent}" for percent in codes.THRESHOLDS]
    return {
        arm: np.stack([table.values("explained", arm, name) for name in measures], axis=1) for arm in SWEPT
    }


def details(table: Table) -> dict[str, tuple[Columns, str]]:
    """Key → a table, columns of text and intervals, and its note. The study on
    photographs has only the first two.
    """

    def by_arm(head: str, arms: Iterable[str], columns: dict[str, dict[str, Any]], **query: Any) -> Columns:
        rows = [{"arm": arm, **query} for arm in arms]
        return {head: [subject.label(arm) for arm in arms], **table.cross(rows, columns)}

    at = {"claim": "grid", "measure": "energy", "items": 1000}
    shares, points = (
        {f"{bits} bits ({unit})": {"bits": bits} for bits in claims.BITS} for unit in ("%", "points")
    )
    others = [arm for arm in CODED if arm != "baseline"]
    shown = {
        "energy": (by_arm("Arm", CODED, shares, **at), "Energy explained, N = 1,000; 95 % intervals."),
        "minus": (by_arm("Arm", others, points, minus="baseline", **at), "Minus the best without levels."),
    }
    if "explained" not in {row["claim"] for row in table.rows}:
        return shown

    def heads(*names: str) -> dict[str, dict[str, str]]:
        about = map(subject.measure, names)
        return {f"{one.label} ({one.unit})".removesuffix(" ()"): {"measure": one.name} for one in about}

    costs = heads("atoms", "bits", "accuracy", "passes")
    return shown | {
        "check": (
            by_arm("Arm", CODED, heads("energy", "recovered"), claim="check"),
            "Glyphs at 100 bits, N = 1,000: drawn from known parts, so a check and no finding.",
        ),
        "costs": (
            by_arm("Arm", (*CODED, "soft", *CLASSIFYING), costs, claim="explained"),
            "Accuracy: of the classifier on the reconstruction; of trees and network, their own.",
        ),
        "overlap": (
            by_arm("Compared", COMPARING, heads("overlap"), claim="explained"),
            "Strokes count as shared within an orientation and a cell of 4 × 4 pixels.",
        ),
    }
