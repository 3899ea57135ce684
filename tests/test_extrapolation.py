"""Saturating fits: what they recover and how their intervals cover."""

import numpy as np
import pytest

from mlcv_explore.statistics.extrapolation import FAMILIES, grid_fits, predicted_growth

FORMULAS = {
    "exponential": lambda time: 3 * -np.expm1(-time / 17.0),
    "power": lambda time: 3 * (1 - (1 + time) ** -0.6),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fit_recovers_a_curve_of_its_own_family(family):
    values = FORMULAS[family](np.arange(1.0, 61))
    best, low, high = predicted_growth(values, 60, family, 0.9)
    truth = values[-1] - values
    assert np.abs(np.log(best[9:-1] / truth[9:-1])).max() < 0.06  # the grid is that coarse
    assert (low <= best + 1e-9)[2:].all() and (best <= high + 1e-9)[2:].all()
    assert np.isnan(best[0]) and (low[0], high[0]) == (-np.inf, np.inf)  # one step fits every constant
    assert best[-1] == pytest.approx(0, abs=1e-9)  # at the horizon nothing is still to come
    futures, likelihood, _ = grid_fits(values, 60, family)
    assert (futures >= 0).all() and likelihood.max(0) == pytest.approx(1)


def test_a_fit_does_not_see_what_comes_later():
    values = FORMULAS["power"](np.arange(1.0, 41))
    other = np.concatenate([values[:20], values[19] + np.arange(20.0)])
    np.testing.assert_array_equal(
        grid_fits(values, 40, "power")[0][:, :20], grid_fits(other, 40, "power")[0][:, :20]
    )
    for one, two in zip(
        predicted_growth(values, 40, "power", 0.9), predicted_growth(other, 40, "power", 0.9), strict=True
    ):
        np.testing.assert_allclose(one[4:20], two[4:20], atol=1e-6)
        assert not np.allclose(one[20:], two[20:], atol=1e-6)


def test_noise_widens_the_interval():
    values = FORMULAS["exponential"](np.arange(1.0, 31))
    noisy = values + 0.1 * (-1.0) ** np.arange(30)
    (_, low, high), (_, below, above) = (
        predicted_growth(curve, 60, "exponential", 0.9) for curve in (values, noisy)
    )
    assert (above - below)[5:].min() > (high - low)[5:].max()


@pytest.mark.parametrize("family", FAMILIES)
def test_rounding_does_not_choose_the_fit(family):
    """One step is fitted exactly by every constant, and a curve of the family by its own:
    the last bits of the values must not matter.
    """
    values = FORMULAS[family](np.arange(1.0, 41))
    for unit in (0.3, 7.0, 1e3 / 3):
        np.testing.assert_allclose(grid_fits(unit * values, 60, family)[1][:, 0], 1, atol=1e-3)
    shaken = values * (1 + 1e-15 * np.random.default_rng(0).standard_normal(40))
    for curve, other in ((values, shaken), (3 * values, values)):
        unit = curve[-1] / other[-1]
        one, two = (predicted_growth(part, 60, family, 0.9) for part in (curve, other))
        for first, second in zip(one, two, strict=True):
            np.testing.assert_allclose(first[1:], unit * second[1:], rtol=1e-3, atol=1e-5)
