"""Sparse coding of many signals at once: orthogonal matching pursuit, least squares,
quantisation, and a dictionary learned by the method of optimal directions.

Signals are rows (n, d), a dictionary is unit rows (k, d), a code is the indexes of its
atoms (n, m), −1 for none, with coefficients (n, m).

Source: Pati, Rezaiifar, Krishnaprasad, Orthogonal Matching Pursuit, 27th Asilomar
Conference, 1993; Engan, Aase, Hakon Husøy, Method of optimal directions for frame
design, ICASSP 1999.
"""

import math

import numpy as np

from mlcv_explore.seeds import numpy_stream

# of a signal's length: a shorter residual counts as zero, and so does what is left of an atom beside
# the chosen ones
NEGLIGIBLE = 1e-5
ROUNDS = 12  # of dictionary learning
SPARSITY = 4  # atoms a signal while a dictionary is learned


def matching_pursuit(signals: np.ndarray, atoms: np.ndarray, most: int) -> np.ndarray:
    """For each signal (n, d) the atoms chosen one after another, int64 (n, most):
    indexes into `atoms`, unit rows (k, d); −1 once nothing is left.

    Each step takes the atom with the largest absolute product with the residual, and
    makes the residual orthogonal to all that are chosen.
    """
    signals, atoms = np.asarray(signals, np.float32), np.asarray(atoms, np.float32)
    count, size = signals.shape
    residual, basis = signals.copy(), np.zeros((count, most, size), np.float32)
    chosen = np.full((count, most), -1, np.int64)
    enough = NEGLIGIBLE * np.maximum(np.linalg.norm(signals, axis=1), NEGLIGIBLE)
    for step in range(most if len(atoms) else 0):
        products = residual @ atoms.T  # (n, k)
        best = np.abs(products).argmax(1)
        fresh = atoms[best]
        for _ in range(2):  # once more against rounding, which atoms that are nearly alike would magnify
            fresh = fresh - np.einsum(
                "nsd,ns->nd", basis[:, :step], np.einsum("nsd,nd->ns", basis[:, :step], fresh)
            )
        length = np.linalg.norm(fresh, axis=1)
        live = (np.abs(np.take_along_axis(products, best[:, None], 1)[:, 0]) > enough) & (length > NEGLIGIBLE)
        direction = np.where(live[:, None], fresh / np.maximum(length, NEGLIGIBLE)[:, None], 0)
        basis[:, step] = direction
        residual -= direction * np.einsum("nd,nd->n", direction, residual)[:, None]
        chosen[live, step] = best[live]
        if not live.any():
            break
    return chosen


def coefficients(signals: np.ndarray, atoms: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The least-squares coefficients float32 (n, m) of the chosen atoms (n, m), 0 where
    none was chosen.
    """
    present = chosen >= 0
    picked = np.where(present[..., None], np.asarray(atoms, np.float64)[chosen], 0.0)  # (n, m, d)
    gram = picked @ picked.transpose(0, 2, 1)
    steps = np.arange(chosen.shape[1])
    gram[:, steps, steps] += np.where(present, 1e-9, 1.0)
    products = np.einsum("nmd,nd->nm", picked, signals)
    return np.linalg.solve(gram, products[..., None])[..., 0].astype(np.float32)


def reconstruct(atoms: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The sum of the chosen atoms (n, m) with these coefficients (n, m), float32 (n,
    d).
    """
    return np.einsum("nm,nmd->nd", np.where(chosen >= 0, weights, 0), atoms[chosen]).astype(np.float32)


def explained_energy(signals: np.ndarray, reconstructions: np.ndarray) -> np.ndarray:
    """The share of each signal's energy that is explained, 1 − ‖x − x̂‖² / ‖x‖², (n,);
    0 for a zero signal reconstructed as zero.
    """
    energy = (signals**2).sum(-1)
    missed = ((signals - reconstructions) ** 2).sum(-1)
    return np.where(energy > 0, 1 - missed / np.maximum(energy, 1e-12), np.where(missed > 0, -1.0, 0.0))


def quantise(values: np.ndarray, bits: int, limit: float | None = None) -> np.ndarray:
    """The nearest of 2^bits − 1 evenly spaced numbers in ±limit (default: the largest
    absolute value), float32.
    """
    limit = float(np.abs(values).max(initial=0.0)) if limit is None else limit
    most = 2 ** (bits - 1) - 1
    step = limit / most or 1.0
    return (np.clip(np.rint(values / step), -most, most) * step).astype(np.float32)


def codes_of(dense: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of all atoms (n, k), most of them 0, as a code: atoms int64 (n, m),
    −1 for none, and coefficients float32 (n, m), with m the most of any row.
    """
    most = int((dense != 0).sum(1).max(initial=0))
    chosen, weights = np.full((len(dense), most), -1), np.zeros((len(dense), most), np.float32)
    for place, row in enumerate(dense):
        used = np.flatnonzero(row)
        chosen[place, : len(used)], weights[place, : len(used)] = used, row[used]
    return chosen, weights


def bits_per_atom(count: int, coefficient_bits: int) -> float:
    """Bits of one atom of a code: its index among `count`, and its coefficient."""
    return math.log2(max(count, 2)) + coefficient_bits


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Rows scaled to unit length, float32."""
    return (values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def learn_dictionary(
    signals: np.ndarray, size: int, bits: int, seed: int, purpose: str = "dictionary"
) -> np.ndarray:
    """A dictionary float32 (size, d) of unit rows, each entry quantised to `bits`, by
    the method of optimal directions: pursuit, then the least-squares dictionary for the
    codes, in turns. `purpose` names the stream of its draws.
    """
    draw = numpy_stream(seed, purpose)
    atoms = unit_rows(signals[draw.permutation(len(signals))[:size]])
    for _ in range(ROUNDS):
        chosen = matching_pursuit(signals, atoms, min(SPARSITY, len(atoms)))
        weights = coefficients(signals, atoms, chosen)
        codes = np.zeros((len(signals), len(atoms)), np.float32)
        rows, steps = np.nonzero(chosen >= 0)
        codes[rows, chosen[rows, steps]] = weights[rows, steps]
        unused = (codes != 0).sum(0) < 2
        better = np.linalg.lstsq(codes, signals, rcond=1e-4)[0]
        better[unused] = signals[draw.integers(len(signals), size=int(unused.sum()))]
        atoms = unit_rows(better)
    return unit_rows(np.stack([quantise(atom, bits) for atom in atoms]))
