"""Similarity of explanations by their strokes, of dictionaries by their atoms, and of
atoms to a grammar's parts.
"""

import numpy as np

from mlcv_explore.ideas.hierarchical_explanation import strokes
from mlcv_explore.ideas.hierarchical_explanation.datasets import WINDOW
from mlcv_explore.ideas.hierarchical_explanation.dictionary import Dictionary

CELL = 4  # pixels a side within which strokes of one orientation count as the same
FOUND = 0.9  # cosine from which a part counts as recovered
SHIFTS = 2  # pixels that a part may be off in its window


def spectrum(atoms: np.ndarray, weights: np.ndarray, side: int, first: int) -> np.ndarray:
    """The absolute weight of an explanation (n, m) in atoms of level 0 by orientation
    and cell of an image, or by column; rows sum to 1 (or 0).
    """
    size, places = first, atoms
    if side:
        kinds, rows, columns = strokes.place_of(atoms, side)
        across = side // CELL
        places = (kinds % strokes.ORIENTATIONS) * across**2 + rows // CELL * across + columns // CELL
        size = strokes.ORIENTATIONS * across**2
    amounts = np.where(atoms >= 0, np.abs(weights), 0.0)
    shares = np.zeros((len(atoms), size))
    np.add.at(shares, (np.arange(len(atoms))[:, None], np.where(atoms >= 0, places, 0)), amounts)
    return shares / np.maximum(shares.sum(1, keepdims=True), 1e-12)


def in_first(
    dictionary: Dictionary, chosen: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """An explanation (n, m) in level 0: atoms int64 (n, most), −1 for none, and
    coefficients; parts that share a stroke add up.
    """
    rows = []
    for own, amounts in zip(chosen, weights, strict=True):
        present = own >= 0
        row = (dictionary.in_first[own[present]].multiply(amounts[present][:, None])).sum(0)
        rows.append(np.asarray(row).ravel())
    most = max((np.count_nonzero(row) for row in rows), default=0)
    atoms, strengths = np.full((len(rows), most), -1, np.int64), np.zeros((len(rows), most), np.float32)
    for place, row in enumerate(rows):
        used = np.flatnonzero(row)
        atoms[place, : len(used)], strengths[place, : len(used)] = used, row[used]
    return atoms, strengths


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The shared weight of two spectra (n, size), Σ min, in [0, 1]."""
    return np.minimum(one, other).sum(1)


def matched(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute cosine of atoms (k, d) and (l, d) in the best one-to-one pairing."""
    from scipy.optimize import linear_sum_assignment

    if not len(one) or not len(other):
        return 0.0
    similarity = np.abs(one @ other.T)
    return float(similarity[linear_sum_assignment(-similarity)].mean())


def recovered(parts: np.ndarray, atoms: np.ndarray, side: int) -> float:
    """Share of the parts (P, WINDOW²) that equal some atom (k, side²), up to its place
    in its first window.
    """
    if not len(atoms):
        return 0.0
    corner = atoms.reshape(-1, side, side)[:, :WINDOW, :WINDOW].reshape(len(atoms), -1)
    corner = corner / np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-9)
    best = np.zeros(len(parts))
    for place, part in enumerate(parts.reshape(-1, WINDOW, WINDOW)):
        wide = np.pad(part, SHIFTS)
        moved = np.lib.stride_tricks.sliding_window_view(wide, (WINDOW, WINDOW)).reshape(-1, WINDOW**2)
        best[place] = np.abs(moved @ corner.T).max()
    return float((best >= FOUND).mean())
