"""How alike two explanations are: in the strokes they come down to, in the atoms two
vocabularies hold, in the true parts of a grammar.
"""

import numpy as np

from mlcv_explore.ideas.hierarchical_explanation import strokes
from mlcv_explore.ideas.hierarchical_explanation.vocabulary import Vocabulary
from mlcv_explore.ideas.hierarchical_explanation.worlds import WINDOW

CELL = 4  # pixels a side within which strokes of one orientation count as the same
FOUND = 0.9  # cosine from which a true part counts as recovered
SHIFTS = 2  # pixels that a part may be off in its window


def spectrum(atoms: np.ndarray, weights: np.ndarray, side: int, first: int) -> np.ndarray:
    """How an explanation (n, m) of level 0 spends itself, rows that sum to 1 (or 0):
    over orientations and cells of a picture, or over columns.
    """
    size, places = first, atoms
    if side:
        kinds, rows, columns = strokes.place_of(atoms, side)
        across = side // CELL
        places = (kinds % strokes.ORIENTATIONS) * across**2 + rows // CELL * across + columns // CELL
        size = strokes.ORIENTATIONS * across**2
    amounts = np.where(atoms >= 0, np.abs(weights), 0.0)
    found = np.zeros((len(atoms), size))
    np.add.at(found, (np.arange(len(atoms))[:, None], np.where(atoms >= 0, places, 0)), amounts)
    return found / np.maximum(found.sum(1, keepdims=True), 1e-12)


def in_first(
    vocabulary: Vocabulary, chosen: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """An explanation (n, m) told in level 0: atoms int64 (n, most), −1 for none, and
    coefficients; parts that share a stroke add up.
    """
    told = []
    for own, amounts in zip(chosen, weights, strict=True):
        present = own >= 0
        row = (vocabulary.in_first[own[present]].multiply(amounts[present][:, None])).sum(0)
        told.append(np.asarray(row).ravel())
    most = max((np.count_nonzero(row) for row in told), default=0)
    atoms, strengths = np.full((len(told), most), -1, np.int64), np.zeros((len(told), most), np.float32)
    for place, row in enumerate(told):
        used = np.flatnonzero(row)
        atoms[place, : len(used)], strengths[place, : len(used)] = used, row[used]
    return atoms, strengths


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """What two spectra (n, size) have in common, Σ min, in [0, 1]."""
    return np.minimum(one, other).sum(1)


def matched(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute cosine of atoms (k, d) and (l, d) paired as well as they can be,
    each once.
    """
    from scipy.optimize import linear_sum_assignment

    if not len(one) or not len(other):
        return 0.0
    alike = np.abs(one @ other.T)
    return float(alike[linear_sum_assignment(-alike)].mean())


def recovered(parts: np.ndarray, atoms: np.ndarray, side: int) -> float:
    """Share of the true parts (P, WINDOW²) that some atom (k, side²) is, up to its
    place in its first window.
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
