"""What logits are worth: by hand, at the limits of calibration, and whatever the shape
of the batch.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcv_explore.metrics.classification import (
    BINS,
    accuracy,
    calibration_error,
    inverse_temperature,
    log_odds,
    negative_log_likelihood,
)
from mlcv_explore.seeds import numpy_stream

MEASURES = (accuracy, negative_log_likelihood, calibration_error)
measures = pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)


def logits_of(probabilities: list[list[float]]) -> np.ndarray:
    return np.log(np.array(probabilities))


def test_by_hand():
    """Right, wrong, right, wrong at 0.9, 0.92, 0.6 and 0.5: the first two share the bin
    13/15…14/15, the others have their own.
    """
    logits = logits_of([[0.9, 0.1, 1e-9], [0.92, 0.08, 1e-9], [0.2, 0.6, 0.2], [0.3, 0.2, 0.5]])
    labels = np.array([0, 1, 1, 0])
    assert accuracy(logits, labels) == 0.5
    assert negative_log_likelihood(logits, labels) == pytest.approx(
        -(math.log(0.9) + math.log(0.08) + math.log(0.6) + math.log(0.3)) / 4
    )
    # within a bin gaps cancel, between bins they do not
    expected = (abs((1 - 0.9) + (0 - 0.92)) + abs(1 - 0.6) + abs(0 - 0.5)) / 4
    assert calibration_error(logits, labels) == pytest.approx(expected)


def test_log_odds_by_hand():
    odds = log_odds(np.log([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]]), np.array([0, 1]))
    np.testing.assert_allclose(odds, np.log([0.7 / 0.3, 0.25 / 0.75]), atol=1e-6)


def test_even_logits_know_nothing_and_cost_the_logarithm_of_the_classes():
    assert negative_log_likelihood(np.zeros((6, 7)), np.arange(6)) == pytest.approx(math.log(7))


def test_certain_and_right_is_perfect_and_certain_and_wrong_is_the_worst():
    confident, labels = 1000 * np.eye(4), np.arange(4)
    assert [float(measure(confident, labels)) for measure in MEASURES] == [1, 0, 0]
    wrong = np.roll(labels, 1)
    assert [float(measure(confident, wrong)) for measure in MEASURES] == [0, 1000, 1]


def drawn_as_said(count: int, sharper: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels that fall as often as the probabilities say, and the logits, `sharper`
    times as far apart.
    """
    rng = numpy_stream(0, "calibrated")
    logits = rng.normal(0, 1.5, (count, 5))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)  # a draw from the softmax
    return sharper * logits, labels


def test_a_forecast_of_the_true_rate_is_calibrated_and_one_above_or_below_is_not():
    honest, over, under = (
        float(calibration_error(*drawn_as_said(40_000, sharper))) for sharper in (1.0, 3.0, 0.3)
    )
    assert honest < 0.01 and over > 0.15 and under > 0.15
    likelihoods = [
        float(negative_log_likelihood(*drawn_as_said(40_000, sharper))) for sharper in (1.0, 3.0, 0.3)
    ]
    assert likelihoods[0] < min(likelihoods[1:])
    assert len({float(accuracy(*drawn_as_said(40_000, sharper))) for sharper in (1.0, 3.0, 0.3)}) == 1


@measures
@given(constant=st.floats(-1e4, 1e4), seed=st.integers(0, 2**32 - 1))
def test_a_constant_added_to_all_logits_of_an_item_changes_nothing(measure, constant: float, seed: int):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 2, (30, 4)), rng.integers(0, 4, 30)
    shifts = np.where(np.arange(30) % 2, constant, 0.0)[:, None]
    assert measure(logits + shifts, labels) == pytest.approx(measure(logits, labels), abs=1e-8)


@measures
def test_the_axes_before_the_last_two_are_a_batch(measure):
    rng = numpy_stream(1, "batch")
    logits, labels = rng.normal(0, 2, (2, 3, 50, 4)), rng.integers(0, 4, (2, 3, 50))
    shared, own = measure(logits, labels[0, 0]), measure(logits, labels)
    assert shared.shape == own.shape == (2, 3)
    for place in np.ndindex(2, 3):
        assert shared[place] == pytest.approx(measure(logits[place], labels[0, 0]))
        assert own[place] == pytest.approx(measure(logits[place], labels[place]))


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_the_calibration_error_is_that_of_a_loop_over_bins(seed: int, count: int):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 3, (count, 3)).astype(np.float32), rng.integers(0, 3, count)
    total = 0.0
    shares = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(1, keepdims=True)
    for low in np.arange(BINS) / BINS:
        inside = (shares.max(1) >= low) & (shares.max(1) < low + 1 / BINS)
        if inside.any():
            total += inside.mean() * abs(
                (shares.argmax(1) == labels)[inside].mean() - shares.max(1)[inside].mean()
            )
    assert calibration_error(logits, labels) == pytest.approx(total, abs=1e-9)


def test_logits_in_half_precision_lose_no_more_than_their_digits():
    logits, labels = drawn_as_said(500, 1.0)
    for measure in MEASURES:
        assert measure(logits.astype(np.float16), labels) == pytest.approx(measure(logits, labels), abs=5e-3)


def test_the_best_temperature_by_hand_and_whatever_the_logits_scale() -> None:
    """Two classes, three of four right at margin 2: β·2 = log(0.75/0.25)."""
    logits = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 0.0]])
    labels = np.array([0, 1, 0, 1])
    assert inverse_temperature(logits, labels) == pytest.approx(math.log(3) / 2)
    drawn = numpy_stream(0, "logits").standard_normal((2, 200, 5))
    drawn[..., 0] += 1  # the label's: better than chance
    scales = inverse_temperature(np.stack([drawn[0], 30 * drawn[0], 0.01 * drawn[0]]), np.zeros(200, int))
    assert scales[1:] == pytest.approx(scales[0] / np.array([30, 0.01]))
    best = negative_log_likelihood(scales[0] * drawn[0], np.zeros(200, int))
    for other in (0.9, 1.1):
        assert negative_log_likelihood(other * scales[0] * drawn[0], np.zeros(200, int)) > best
    certain = inverse_temperature(np.array([[9.0, 0.0]]), np.array([0]))  # no finite optimum
    assert np.isfinite(certain) and certain > 1
