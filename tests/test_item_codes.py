"""Codes of items at equal spent bits: what they cost and explain, by hand and by slow references."""

import dataclasses

import numpy as np
import pytest

from mlcv_explore.models.item_codes import BUDGETS, Code, Curve, best, components, cosines
from mlcv_explore.models.sparse_coding import explained_energy, unit_rows
from mlcv_explore.seeds import numpy_stream

CURVE = Curve(20_000.0, 15.0, np.linspace(0, 0.6, 7), np.array([0, 0.5, 0.7, 0.8, 0.85, 0.88, 0.9]))
LIMIT = np.array([12.0], np.float32)


def items(count: int = 40) -> np.ndarray:
    """Items of 256 numbers with most of their energy in a few directions."""
    draw = numpy_stream(0, "items")
    return (draw.standard_normal((count, 6)) @ draw.standard_normal((6, 256)) / 16).astype(np.float32)


def test_bits_are_spent_to_the_last_one_by_hand() -> None:
    """100 bits, of which a thousandth of 20,000 for the dictionary: 80 / 15 atoms."""
    assert CURVE.atoms(100, 1000) == pytest.approx(16 / 3) and CURVE.spent(100, 1000) == 100
    assert CURVE.energy(CURVE.test, 100, 1000) == pytest.approx(0.88 + 0.02 / 3)
    for bits, count in ((20, 1000), (199, 100)):  # the dictionary alone costs as much, or more
        assert (CURVE.atoms(bits, count), CURVE.spent(bits, count)) == (0, 0)
        assert CURVE.energy(CURVE.test, bits, count) == 0
    free = dataclasses.replace(CURVE, dictionary=0.0)
    assert free.atoms(1000, 100) == 6 and free.spent(1000, 100) == 90  # there are no more atoms
    good = dataclasses.replace(CURVE, validation=CURVE.validation + 0.1, test=CURVE.test - 0.2)
    assert best([CURVE, good, CURVE], 100, 1000) == 1  # by validation items


def test_a_curve_is_the_mean_energy_of_reconstructions() -> None:
    values = items()
    atoms = unit_rows(numpy_stream(1, "atoms").standard_normal((30, 256)))
    codes = [Code(atoms, 100.0, LIMIT, 5), *cosines(values, 16, LIMIT, 5), *components(values, [4], 5)]
    for code in codes:
        chosen, shares = code.choose(values), code.shares(values)
        assert chosen.shape[1] * code.atom_bits >= BUDGETS[-1] or chosen.shape[1] == len(code.atoms)
        for most in (1, 2, chosen.shape[1]):
            reference = explained_energy(values, code.reconstruct(values, chosen[:, :most]))
            np.testing.assert_allclose(shares[:, most], reference, atol=2e-3)
        curve = Curve.of(code, values[:10], values[10:])
        np.testing.assert_allclose(curve.validation, shares[:10].mean(0), atol=1e-9)
        np.testing.assert_allclose(curve.test, shares[10:].mean(0), atol=1e-9)
        assert not shares[:, 0].any() and curve.dictionary == code.dictionary


def test_cosines_are_a_basis_that_costs_nothing_but_ranges() -> None:
    lowest, pursued = cosines(items(), 16, LIMIT, 5)
    np.testing.assert_allclose(pursued.atoms @ pursued.atoms.T, np.eye(256), atol=1e-5)
    np.testing.assert_allclose(lowest.atoms[0], 1 / 16, atol=1e-6)
    across, down = lowest.atoms[1].reshape(16, 16), lowest.atoms[2].reshape(16, 16)
    assert np.ptp(across, axis=0).max() < 1e-6 < np.ptp(down, axis=0).max()
    assert (lowest.atom_bits, lowest.dictionary) == (5, 64 * 5)
    assert (pursued.atom_bits, pursued.dictionary) == (8 + 5, 0) and cosines(items(), 0, LIMIT, 5) == []


def test_components_have_the_least_error_and_cost_their_numbers_and_ranges() -> None:
    train = items()
    (fine,) = components(train, [3], 12)
    left = 1 - (np.linalg.svd(train, compute_uv=False)[3:] ** 2).sum() / (train**2).sum()
    stored = fine.reconstruct(train, fine.choose(train))
    assert 1 - ((train - stored) ** 2).sum() / (train**2).sum() == pytest.approx(left, abs=0.02)
    assert fine.dictionary == 3 * (256 + 1) * 12 and fine.atom_bits == 12
    assert [len(code.atoms) for code in components(train, [2, 4, 400, 800], 5)] == [2, 4, 40]
