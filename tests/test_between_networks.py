"""The spread between networks: against slow sums, simulations and hand-made cases."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from mlcv_explore.metrics import between_networks
from mlcv_explore.metrics.between_networks import (
    agreement_line,
    agreements,
    bootstrap,
    disagreement,
    excess_variance,
    on_logit_scale,
    signed_root,
    sorted_by_class,
    spread,
    summary,
)


def drawn(count: int, images: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Whether networks, some better than others by `deviation`, are correct on images of unequal
    difficulty.
    """
    hard, good = rng.normal(0, 1, images), deviation * rng.normal(0, 1, count)
    return rng.random((count, images)) < norm.cdf(0.8 + hard + good[:, None])


def test_excess_variance_is_the_mean_covariance_over_pairs_of_different_images() -> None:
    correct = drawn(7, 12, 0.5, np.random.default_rng(0))
    covariance = np.cov(correct.astype(float).T)
    pairs = [covariance[one, other] for one, other in itertools.permutations(range(12), 2)]
    assert excess_variance(correct) == pytest.approx(sum(pairs) / 12**2)


def test_independent_mistakes_have_no_excess_and_the_interval_covers_0_about_as_often_as_it_states() -> None:
    rng, covered, found, binomial = np.random.default_rng(1), 0, [], []
    for _ in range(300):
        correct = drawn(30, 200, 0.0, rng)
        interval = bootstrap(correct, rng)
        covered += interval.low <= 0 <= interval.high
        found.append(excess_variance(correct))
        share = correct.mean()
        binomial.append(correct.mean(1).var(ddof=1) - share * (1 - share) / 200)
    assert 0.90 <= covered / 300 <= 0.98
    assert abs(np.mean(found)) < 3 * np.std(found) / 300**0.5
    assert np.mean(np.array(binomial) < 0) > 0.8  # the usual formula is negative


def test_a_spread_that_is_there_is_found_with_its_size() -> None:
    rng = np.random.default_rng(2)
    truth = norm.cdf((0.8 + 0.2 * rng.normal(0, 1, 100_000)) / 2**0.5).std()
    intervals = [bootstrap(drawn(30, 300, 0.2, rng), rng) for _ in range(100)]
    assert np.mean([each.mean for each in intervals]) == pytest.approx(truth, rel=0.06)
    assert np.mean([each.low <= truth <= each.high for each in intervals]) >= 0.88


def test_clones_differ_in_nothing_and_one_network_has_no_spread() -> None:
    classes, truth = np.tile([0, 1, 2, 1], (5, 1)), np.array([0, 1, 1, 1])
    found = spread(classes, truth, np.random.default_rng(0))
    assert (found.disagreement, found.excess.mean, found.accuracy) == (0, 0, 0.75)
    assert not found.outvoted.any() and excess_variance(classes == truth) == 0
    for alone in (lambda: excess_variance(classes[:1]), lambda: disagreement(classes[:1])):
        with pytest.raises(ValueError, match="needs at least two, got 1"):
            alone()


def test_disagreement_and_agreements_by_hand() -> None:
    classes = np.array([[0, 1, 2, 2], [0, 1, 2, 0], [1, 1, 2, 2]])
    np.testing.assert_allclose(agreements(classes), [[1, 0.75, 0.75], [0.75, 1, 0.5], [0.75, 0.5, 1]])
    assert disagreement(classes) == pytest.approx(1 - (0.75 + 0.75 + 0.5) / 3)
    found = spread(classes, np.array([0, 1, 2, 2]), np.random.default_rng(0))
    np.testing.assert_allclose(found.outvoted, [1 / 3, 0, 0, 1 / 3])


def test_the_agreement_line_is_straight_where_shifted_pairs_agree_as_clean_ones_do() -> None:
    rng = np.random.default_rng(3)
    base = rng.integers(0, 10, 4000)
    clean, shifted = (
        np.stack([np.where(rng.random(4000) < rate, rng.integers(0, 10, 4000), base) for rate in rates])
        for rates in (np.linspace(0.05, 0.5, 8), np.linspace(0.2, 0.8, 8))
    )
    assert agreement_line(clean, shifted) > 0.9
    assert agreement_line(clean, shifted[rng.permutation(8)]) < agreement_line(clean, shifted)
    assert agreement_line(np.tile(base, (4, 1)), shifted[:4]) == 0


def test_roots_keep_their_sign_and_logits_their_slope() -> None:
    assert (signed_root(0.04), signed_root(-0.04), signed_root(0.0)) == (0.2, -0.2, 0.0)
    step = np.log(0.9 / 0.1) - np.log(0.899 / 0.101)
    assert on_logit_scale(0.001, 0.9) == pytest.approx(step, rel=0.01)
    assert on_logit_scale(0.001, 1.0) == pytest.approx(0.001 / (0.005 * 0.995))


def test_the_summary_averages_variances_over_kinds_and_leaves_the_clean_ones_out() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 50)
    predictions = {
        name: np.where(drawn(6, 50, size, rng), truth, 9)
        for name, size in {"clean": 0, "fog": 1, "noise": 2}.items()
    }
    found = summary(predictions, truth)
    variances = [excess_variance(predictions[kind] == truth) for kind in ("fog", "noise")]
    assert found["excess"] == pytest.approx(np.mean(variances) ** 0.5)
    assert found["noise"] == pytest.approx(variances[1] ** 0.5)
    assert found["clean"] == (predictions["clean"] == truth).mean()
    assert found["iid"] == pytest.approx(signed_root(excess_variance(predictions["clean"] == truth)))
    assert found["disagreement"] == pytest.approx(
        np.mean([disagreement(predictions[kind]) for kind in ("fog", "noise")])
    )


def test_cells_are_sorted_within_their_class() -> None:
    table = sorted_by_class(np.array([0.1, 0.5, 0.3, 0.2, 0.9]), np.array([0, 0, 1, 1, 1]))
    np.testing.assert_array_equal(table, [[0.5, 0.1], [0.9, 0.3]])
    assert between_networks.DRAWS >= 200
