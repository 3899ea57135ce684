"""Codes of many items in atoms of a dictionary, and what they cost and explain at equal
spent bits.

A code is m atoms an item. It costs m times the bits of an atom, and the item's share of
the dictionary's. Where bits do not divide evenly some items have one atom more than
others, so that equally many bits are spent on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.models import sparse_coding
from mlcv_explore.models.hierarchical_dictionary import Dictionary
from mlcv_explore.models.sparse_coding import bits_per_atom, coefficients, matching_pursuit, quantise

BUDGETS = tuple(range(40, 201, 20))  # bits per item at which codes are compared
BOUND = 99  # percentile of training items up to which a length or a coefficient is stored
LOW = 64  # frequencies of images that a code without indexes can use


@dataclass(frozen=True, eq=False)
class Code:
    """How items are stored: in the atoms that pursuit chooses, or in the first ones."""

    atoms: np.ndarray  # float32 (k, d), unit rows
    dictionary: float  # bits in all
    limits: np.ndarray  # float32 (1,) or (k,): the largest stored absolute coefficient
    bits: int  # of a coefficient
    ordered: bool = False  # the first m atoms, so that none needs an index
    source: Dictionary | None = None  # the atoms in levels, where they have any

    @property
    def atom_bits(self) -> float:
        """Bits of one atom of an item's code."""
        return self.bits if self.ordered else bits_per_atom(len(self.atoms), self.bits)

    def choose(self, values: np.ndarray) -> np.ndarray:
        """The atoms of items (n, d), int64 (n, m), −1 for none, as many as the largest
        budget pays for: the first of them are the code of fewer.
        """
        most = min(int(BUDGETS[-1] // self.atom_bits) + 1, len(self.atoms))
        if self.ordered:
            return np.tile(np.arange(most), (len(values), 1))
        return matching_pursuit(values, self.atoms, most)

    def stored(self, weights: np.ndarray) -> np.ndarray:
        """Coefficients (n, m) as they are stored."""
        limits = self.limits[: weights.shape[1]]
        return quantise(weights / limits, self.bits, 1.0) * limits

    def reconstruct(self, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Items (n, d) by the chosen atoms (n, m) with stored coefficients, (n, d)."""
        weights = self.stored(coefficients(values, self.atoms, chosen))
        return sparse_coding.reconstruct(self.atoms, chosen, weights)

    def shares(self, values: np.ndarray) -> np.ndarray:
        """The share of the energy of items (n, d) that 0, 1, … of their atoms explain,
        float64 (n, m + 1).
        """
        chosen, shares = self.choose(values), [np.zeros(len(values))]
        picked = np.where((chosen >= 0)[..., None], self.atoms[chosen], 0)  # (n, m, d)
        gram = (picked @ picked.transpose(0, 2, 1)).astype(np.float64)
        products = np.einsum("nmd,nd->nm", picked, values).astype(np.float64)
        steps, solvable = np.arange(chosen.shape[1]), gram.copy()
        solvable[:, steps, steps] += np.where(chosen >= 0, 1e-9, 1.0)
        energy = np.maximum((values.astype(np.float64) ** 2).sum(1), 1e-12)
        for most in steps + 1:
            own = products[:, :most]
            weights = self.stored(np.linalg.solve(solvable[:, :most, :most], own[..., None])[..., 0])
            twice = np.einsum("nm,nmk,nk->n", weights, gram[:, :most, :most], weights)
            shares.append((2 * (weights * own).sum(1) - twice) / energy)
        return np.stack(shares, axis=1)


@dataclass(frozen=True, eq=False)
class Curve:
    """What a code costs and explains; the atoms themselves are not kept."""

    dictionary: float
    atom_bits: float
    validation: np.ndarray  # (m + 1,): mean share of the energy with 0, 1, … atoms
    test: np.ndarray

    @classmethod
    def of(cls, code: Code, validation: np.ndarray, test: np.ndarray) -> "Curve":
        """The curve of a code on validation and test items, (n, d) each."""
        shares = code.shares(np.concatenate([validation, test]))
        parts = np.split(shares, [len(validation)])
        return cls(code.dictionary, code.atom_bits, *(part.mean(0) for part in parts))

    def atoms(self, bits: float, items: int) -> float:
        """The mean number of atoms for so many bits an item, where `items` share the
        dictionary; 0 where it alone costs more.
        """
        return min(max(0.0, (bits - self.dictionary / items) / self.atom_bits), len(self.test) - 1.0)

    def spent(self, bits: float, items: int) -> float:
        """Bits an item; 0 where there is no atom."""
        atoms = self.atoms(bits, items)
        return self.dictionary / items + atoms * self.atom_bits if atoms else 0.0

    def energy(self, shares: np.ndarray, bits: float, items: int) -> float:
        """Mean share of the energy, of `validation` or `test`, with so many bits."""
        return float(np.interp(self.atoms(bits, items), np.arange(len(shares)), shares))


def best(curves: Sequence[Curve], bits: float, items: int) -> int:
    """Which of the curves explains the most energy of validation items."""
    return int(np.argmax([curve.energy(curve.validation, bits, items) for curve in curves]))


def components(train: np.ndarray, sizes: Sequence[int], bits: int) -> list[Code]:
    """The first principal components of items (n, d), not centred, as many as each of
    `sizes`.
    """
    axes = np.linalg.svd(train, full_matrices=False)[2]
    atoms = sparse_coding.unit_rows(np.stack([quantise(axis, bits) for axis in axes]))
    used = (atoms[:size] for size in sorted({min(size, len(atoms)) for size in sizes}))
    return [_ordered(atoms, train, float(atoms.size * bits), bits) for atoms in used]


def cosines(train: np.ndarray, side: int, limit: np.ndarray, bits: int) -> list[Code]:
    """The discrete cosine transform of images, which costs nothing: its lowest frequencies,
    or those that pursuit chooses. None of a table.
    """
    if not side:
        return []
    places = np.arange(side)
    waves = np.cos(np.pi * (places + 0.5) * places[:, None] / side)
    order = np.argsort(np.add.outer(places, places), axis=None, kind="stable")
    atoms = sparse_coding.unit_rows(np.kron(waves, waves)[order])
    return [_ordered(atoms[:LOW], train, 0.0, bits), Code(atoms, 0.0, limit, bits)]


def _ordered(atoms: np.ndarray, train: np.ndarray, dictionary: float, bits: int) -> Code:
    """A code without indexes; the range of each coefficient is stored with the atoms."""
    limits = np.percentile(np.abs(train @ atoms.T), BOUND, axis=0).astype(np.float32)
    return Code(atoms, dictionary + len(atoms) * bits, np.maximum(limits, 1e-6), bits, True)
