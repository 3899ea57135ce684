"""The tables of the Answer act from rows made by hand."""

import numpy as np
import pytest

from mlcv_explore.ideas.label_noise import evidence
from mlcv_explore.ideas.label_noise.noise import equivalent_sigma

SEEDS = 8


def rows(claim: str, values: dict[str, list[float | None]], **settings: str) -> list[dict]:
    """One row a seed and arm; the settings not named are those of the default."""
    known = {
        "corruption": "0.4",
        "sigma": "1.0",
        "shape": "gaussian",
        "kind": "symmetric",
        "optimiser": "adam",
        "learning_rate": "0.003",
    } | settings
    return [
        {"claim": claim, "arm": arm, **known, "seed": seed, "measure": "accuracy", "value": value}
        for arm, column in values.items()
        for seed, value in enumerate(column)
    ]


def near(centre: float, spread: float = 0.001) -> list[float]:
    """Values around a centre, one a seed, with that mean exactly."""
    return [centre + spread * (seed - (SEEDS - 1) / 2) for seed in range(SEEDS)]


def test_the_map_has_corruptions_as_rows_and_doubts_what_is_not_significant():
    table = []
    for corruption in ("0.4", "0.0"):
        for sigma in ("2.0", "0.5"):
            gain = float(corruption) * float(sigma)
            wobble = [0.0] * SEEDS if corruption == "0.4" else [0.01, -0.01] * (SEEDS // 2)
            noisy = [plain + gain + more for plain, more in zip(near(0.6), wobble, strict=True)]
            table += rows("map", {"plain": near(0.6), "noisy": noisy}, corruption=corruption, sigma=sigma)
    found = evidence.gain_map(table)
    assert (found.corruptions, found.sigmas, found.n) == ([0.0, 0.4], [0.5, 2.0], SEEDS)
    assert found.mean == pytest.approx(np.array([[0.0, 0.0], [0.2, 0.8]]))
    assert found.significant.tolist() == [[False, False], [True, True]]


def test_late_memorisation_is_the_share_that_stopping_takes_away():
    arms = {
        "plain": near(0.6),
        "noisy": near(0.8),
        "early_stopped": near(0.75),
        "noisy_early_stopped": near(0.80),
    }
    assert evidence.late_memorisation(rows("gain", arms)).mean == pytest.approx(1 - 0.05 / 0.2)
    better = {**arms, "early_stopped": near(0.82, 0.002)}
    share = evidence.late_memorisation(rows("gain", better))
    assert share.mean == pytest.approx(1.1) and share.low < share.mean < share.high


def test_tables_pair_by_seed_and_keep_the_order():
    table = rows("shapes", {"plain": near(0.6), "noisy": near(0.7)}, shape="laplace")
    table += rows("shapes", {"plain": near(0.6), "noisy": near(0.8)}, shape="gaussian")
    gaussian, laplace = evidence.shapes(table)
    assert (gaussian.name, laplace.name) == ("gaussian", "laplace")
    # paired: no spread is left
    assert gaussian.gain.mean == pytest.approx(0.2) and gaussian.gain.high == pytest.approx(0.2)
    assert laplace.noisy.high > laplace.noisy.mean
    table = rows("optimisers", {"plain": near(0.6), "noisy": near(0.1)}, optimiser="sgd", learning_rate="0.1")
    assert [(gain.name, round(gain.gain.mean, 6)) for gain in evidence.optimisers(table)] == [
        ("sgd 0.1", -0.5)
    ]


def test_a_seed_without_a_number_leaves_the_table_undefined_and_the_cell_unsure():
    noisy: list[float | None] = [None, *near(0.9)[1:]]
    table = rows("map", {"plain": near(0.6), "noisy": noisy})
    found = evidence.gain_map(table)
    assert np.isnan(found.mean[0, 0]) and not found.significant[0, 0]


def test_the_sweep_starts_with_plain_training():
    table = rows("map", {"plain": near(0.5), "noisy": near(0.7)}, sigma="0.5") + rows(
        "map", {"plain": near(0.5), "noisy": near(0.8)}, sigma="1.0"
    )
    sigmas, accuracy = evidence.sigma_curve(table)
    assert sigmas.tolist() == [0.0, 0.5, 1.0]
    assert accuracy.shape == (SEEDS, 3) and accuracy.mean(0) == pytest.approx([0.5, 0.7, 0.8])


def test_published_numbers_and_the_equivalent_noise():
    assert len(evidence.PUBLISHED_SIGMAS) == len(evidence.PUBLISHED_ACCURACY) == 11
    assert evidence.PUBLISHED_ACCURACY[evidence.PUBLISHED_SIGMAS == 1.0] == 0.80
    assert (
        evidence.equivalent("static_smoothing", 1.0) == 0.0 and evidence.equivalent("gaussian", 1.0) is None
    )
    assert (
        evidence.equivalent("fresh_smoothing", 1.0)
        == pytest.approx(equivalent_sigma(0.5, 10))
        == pytest.approx(0.5 / np.sqrt(110))
    )
