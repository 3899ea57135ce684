"""Similarity of explanations by their strokes, and of atoms to known patterns."""

import math

import numpy as np

from mlcv_explore.data.strokes import ORIENTATIONS, place_of

CELL = 4  # pixels a side within which strokes of one orientation count as the same
RECOVERED = 0.9  # cosine from which a pattern counts as recovered
SHIFTS = 2  # pixels that a pattern may be off in its window


def orientation_histogram(strokes: np.ndarray, weights: np.ndarray, side: int, count: int) -> np.ndarray:
    """The absolute weight of codes (n, m) by orientation and cell of an image; rows sum
    to 1 (or 0).

    `strokes` are rows of `placed(side)`, −1 for none; where `side` is 0 they are
    columns of a table, out of `count`, and each is a bin of its own.
    """
    size, places = count, strokes
    if side:
        kinds, rows, columns = place_of(strokes, side)
        across = side // CELL
        places = (kinds % ORIENTATIONS) * across**2 + rows // CELL * across + columns // CELL
        size = ORIENTATIONS * across**2
    amounts = np.where(strokes >= 0, np.abs(weights), 0.0)
    shares = np.zeros((len(strokes), size))
    np.add.at(shares, (np.arange(len(strokes))[:, None], np.where(strokes >= 0, places, 0)), amounts)
    return shares / np.maximum(shares.sum(1, keepdims=True), 1e-12)


def intersection(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The shared weight of two histograms (n, size), Σ min, (n,) in [0, 1]."""
    return np.minimum(one, other).sum(1)


def recovered_share(patterns: np.ndarray, atoms: np.ndarray, side: int) -> float:
    """Share of unit patterns (P, w²) that equal some atom (k, side²) with its content
    in the top left corner, but for a shift.
    """
    if not len(atoms):
        return 0.0
    window = math.isqrt(patterns.shape[1])
    corner = atoms.reshape(-1, side, side)[:, :window, :window].reshape(len(atoms), -1)
    corner = corner / np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-9)
    best = np.zeros(len(patterns))
    for place, pattern in enumerate(patterns.reshape(-1, window, window)):
        moved = np.lib.stride_tricks.sliding_window_view(np.pad(pattern, SHIFTS), (window, window))
        best[place] = np.abs(moved.reshape(-1, window**2) @ corner.T).max()
    return float((best >= RECOVERED).mean())
