"""Orthogonal matching pursuit of many items at once: which few atoms of a vocabulary
picture an item best, greedily.

Source: Pati, Rezaiifar, Krishnaprasad, Orthogonal Matching Pursuit, 27th Asilomar
Conference, 1993.
"""

import numpy as np

# of an item's length: a residual this short is none, and what is left of an atom beside the chosen
# ones is nothing new
NOTHING = 1e-5


def pursue(items: np.ndarray, atoms: np.ndarray, most: int) -> np.ndarray:
    """For each item (n, d) the atoms chosen one after another, int64 (n, most): indexes
    into `atoms`, unit rows (k, d); −1 once nothing is left.

    Each step takes the atom with the largest absolute product with the residual, and
    makes the residual orthogonal to all that are chosen.
    """
    items, atoms = np.asarray(items, np.float32), np.asarray(atoms, np.float32)
    count, size = items.shape
    residual, basis = items.copy(), np.zeros((count, most, size), np.float32)
    chosen = np.full((count, most), -1, np.int64)
    enough = NOTHING * np.maximum(np.linalg.norm(items, axis=1), NOTHING)
    for step in range(most if len(atoms) else 0):
        products = residual @ atoms.T  # (n, k)
        best = np.abs(products).argmax(1)
        fresh = atoms[best]
        for _ in range(2):  # once more against rounding, which atoms that are nearly alike would magnify
            fresh = fresh - np.einsum(
                "nsd,ns->nd", basis[:, :step], np.einsum("nsd,nd->ns", basis[:, :step], fresh)
            )
        length = np.linalg.norm(fresh, axis=1)
        live = (np.abs(np.take_along_axis(products, best[:, None], 1)[:, 0]) > enough) & (length > NOTHING)
        direction = np.where(live[:, None], fresh / np.maximum(length, NOTHING)[:, None], 0)
        basis[:, step] = direction
        residual -= direction * np.einsum("nd,nd->n", direction, residual)[:, None]
        chosen[live, step] = best[live]
        if not live.any():
            break
    return chosen


def coefficients(items: np.ndarray, atoms: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The least-squares coefficients float32 (n, m) of the chosen atoms (n, m), 0 where
    none was chosen.
    """
    present = chosen >= 0
    picked = np.where(present[..., None], np.asarray(atoms, np.float64)[chosen], 0.0)  # (n, m, d)
    gram = picked @ picked.transpose(0, 2, 1)
    steps = np.arange(chosen.shape[1])
    gram[:, steps, steps] += np.where(present, 1e-9, 1.0)
    return np.linalg.solve(gram, np.einsum("nmd,nd->nm", picked, items)[..., None])[..., 0].astype(np.float32)


def pictured(atoms: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What the chosen atoms (n, m) with these coefficients (n, m) add up to, float32
    (n, d).
    """
    return np.einsum("nm,nmd->nd", np.where(chosen >= 0, weights, 0), atoms[chosen]).astype(np.float32)


def explained(items: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """The share of each item's energy that its picture explains, 1 − ‖x − x̂‖² / ‖x‖²,
    (n,); 0 for an item that is nothing, pictured by nothing.
    """
    energy = (items**2).sum(-1)
    missed = ((items - pictures) ** 2).sum(-1)
    return np.where(energy > 0, 1 - missed / np.maximum(energy, 1e-12), np.where(missed > 0, -1.0, 0.0))


def quantised(values: np.ndarray, bits: int, limit: float | None = None) -> np.ndarray:
    """Numbers as they are written down in so many bits: the nearest of 2^bits − 1
    evenly spaced in ±limit (default: the largest), float32.
    """
    limit = float(np.abs(values).max(initial=0.0)) if limit is None else limit
    step = limit / (2 ** (bits - 1) - 1) or 1.0
    return (np.clip(np.rint(values / step), -(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1) * step).astype(
        np.float32
    )
