"""Sparse coding: pursuit against scikit-learn's, and what a learned dictionary explains."""

import numpy as np
import pytest
from sklearn.linear_model import orthogonal_mp

from mlcv_explore.models.sparse_coding import (
    bits_per_atom,
    codes_of,
    coefficients,
    explained_energy,
    learn_dictionary,
    matching_pursuit,
    quantise,
    reconstruct,
    unit_rows,
)
from mlcv_explore.seeds import numpy_stream


def some_signals(count: int, size: int) -> np.ndarray:
    return numpy_stream(1, "signals").standard_normal((count, size)).astype(np.float32)


def some_atoms(count: int, size: int) -> np.ndarray:
    return unit_rows(numpy_stream(count, "atoms").standard_normal((count, size)))


def energy(signals: np.ndarray, atoms: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return explained_energy(signals, reconstruct(atoms, chosen, coefficients(signals, atoms, chosen)))


@pytest.mark.parametrize("most", [1, 3, 6])
def test_residuals_equal_scikit_learns(most: int) -> None:
    atoms, signals = some_atoms(40, 16), some_signals(25, 16)
    chosen = matching_pursuit(signals, atoms, most)
    own = signals - reconstruct(atoms, chosen, coefficients(signals, atoms, chosen))
    columns = atoms.T.astype(float)
    theirs = signals - (columns @ orthogonal_mp(columns, signals.T.astype(float), n_nonzero_coefs=most)).T
    np.testing.assert_allclose(np.linalg.norm(own, axis=1), np.linalg.norm(theirs, axis=1), atol=1e-4)


def test_energy_never_falls_with_more_atoms() -> None:
    signals, atoms = some_signals(30, 24), some_atoms(60, 24)
    chosen = matching_pursuit(signals, atoms, 16)
    energies = np.stack([energy(signals, atoms, chosen[:, :m]) for m in range(1, 17)])
    assert (np.diff(energies, axis=0) >= -1e-5).all()
    assert energies[-1].mean() > energies[0].mean() + 0.1


def test_pursuit_stops_when_nothing_is_left_and_never_takes_an_atom_twice() -> None:
    atoms = some_atoms(5, 30)
    signal = (2 * atoms[1] - 3 * atoms[4])[None]
    chosen = matching_pursuit(signal, atoms, 4)
    assert set(chosen[0, :2]) == {1, 4}
    assert (chosen[0, 2:] == -1).all()
    np.testing.assert_allclose(sorted(coefficients(signal, atoms, chosen)[0]), [-3, 0, 0, 2], atol=1e-4)
    twins = np.concatenate([atoms, atoms])
    for row in matching_pursuit(numpy_stream(2, "signals").standard_normal((9, 30)), twins, 5):
        assert len({place % 5 for place in row}) == 5
    assert (matching_pursuit(np.zeros((2, 30), np.float32), atoms, 3) == -1).all()
    assert (matching_pursuit(signal, atoms[:0], 3) == -1).all()


def test_explained_energy_by_hand() -> None:
    signals = np.array([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0], [0.0, 0.0]])
    images = np.array([[3.0, 0.0], [-3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(explained_energy(signals, images), [9 / 25, 1 - 36 / 25, 0, -1])


def test_quantised_numbers_are_evenly_spaced_and_the_nearest() -> None:
    values = np.linspace(-1, 1, 101)
    stored = quantise(values, 4)
    assert len(np.unique(stored)) == 15
    assert np.abs(stored - values).max() <= 1 / 14 + 1e-6
    np.testing.assert_allclose(quantise(np.array([5.0, -9.0, 0.0]), 5, limit=3.0), [3, -3, 0], atol=1e-6)
    assert not quantise(np.zeros(3), 5).any()


def test_a_code_holds_what_is_not_zero_and_costs_index_and_coefficient() -> None:
    chosen, weights = codes_of(np.array([[0, 2.0, 0, -1.0], [0, 0, 0, 0], [0, 0, 0.5, 0]]))
    assert chosen.tolist() == [[1, 3], [-1, -1], [2, -1]]
    assert weights.tolist() == [[2, -1], [0, 0], [0.5, 0]]
    assert codes_of(np.zeros((2, 3)))[0].shape == (2, 0)
    assert bits_per_atom(1024, 5) == 15 and bits_per_atom(1, 5) == 6


def test_a_learned_dictionary_explains_more_than_the_signals_it_began_with() -> None:
    hidden = some_atoms(12, 40)
    draw = numpy_stream(0, "mixtures")
    signals = np.zeros((150, 40), np.float32)
    for signal in signals:
        signal += draw.uniform(0.5, 1, 3) @ hidden[draw.choice(12, 3, replace=False)]
    atoms = learn_dictionary(signals, 12, 8, 0, "a test")
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-5)
    begun = unit_rows(signals[numpy_stream(0, "a test").permutation(len(signals))[:12]])
    shares = [
        energy(signals, dictionary, matching_pursuit(signals, dictionary, 4)).mean()
        for dictionary in (begun, atoms)
    ]
    assert shares[1] > shares[0] + 0.02
    np.testing.assert_array_equal(atoms, learn_dictionary(signals, 12, 8, 0, "a test"))
    assert not np.array_equal(atoms, learn_dictionary(signals, 12, 8, 1, "a test"))
