"""Linear probes: components against scikit-learn's, a strength chosen on validation
codes, and no look at what is test_codes.
"""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from mlcv_explore.metrics.linear_probe import (
    COMPONENTS,
    MAX_ITERATIONS,
    STRENGTHS,
    bias_only_accuracy,
    fitted_bias,
    principal_components,
    probe,
    probe_accuracy,
    projected,
)
from mlcv_explore.seeds import numpy_stream


def some_codes(count: int = 80, wide: int = 20) -> np.ndarray:
    return numpy_stream(0, "codes").normal(size=(count, wide)) * np.linspace(3, 0.1, wide)


@pytest.mark.parametrize(("count", "wide"), [(80, 20), (9, 20), (80, 5)])
def test_components_are_the_principal_ones_with_total_variance_one(count: int, wide: int):
    codes = some_codes(count, wide)
    size = min(COMPONENTS, count, wide)
    log_probabilities = principal_components(codes).transform(codes)
    reference = PCA(size).fit(codes)
    expected = reference.transform(codes)
    assert log_probabilities.shape == (count, size)
    assert log_probabilities.var(0).sum() == pytest.approx(1)
    expected /= np.sqrt(expected.var(0).sum())
    np.testing.assert_allclose(np.abs(log_probabilities), np.abs(expected), atol=1e-9)
    for one, other in zip(log_probabilities.T[: count - 1], expected.T, strict=False):
        assert abs(one @ other) == pytest.approx(one @ one)  # one sign a component


def test_other_codes_are_projected_by_the_mean_and_basis_of_the_first():
    codes, others = some_codes(), 5 + some_codes()[:7] ** 2
    components = principal_components(codes, 3)
    reference = PCA(3).fit(codes)
    expected = reference.transform(others) / np.sqrt(reference.transform(codes).var(0).sum())
    np.testing.assert_allclose(np.abs(components.transform(others)), np.abs(expected), atol=1e-9)


def test_signs_are_settled_by_the_largest_entry():
    codes = some_codes()
    mirrored, plain = principal_components(-codes).basis, principal_components(codes).basis
    np.testing.assert_allclose(mirrored, plain, atol=1e-9)
    assert (np.take_along_axis(plain, np.abs(plain).argmax(0)[None], axis=0) > 0).all()


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_codes_far_from_zero_in_low_precision_lose_nothing_to_their_mean(kind: type):
    codes = (512 + np.round(16 * some_codes(3000, 6)) / 2).astype(kind)  # exact in half precision
    np.testing.assert_allclose(
        principal_components(codes, 2).basis,
        principal_components(codes.astype(float), 2).basis,
        rtol=1e-6,
        atol=1e-9,
    )
    np.testing.assert_allclose(principal_components(codes, 2).mean, codes.astype(float).mean(0))


def test_codes_that_are_all_the_same_have_components_of_zero():
    codes = np.ones((5, 3))
    assert (
        np.isfinite(principal_components(codes).transform(codes)).all()
        and not principal_components(codes).transform(codes).any()
    )


# --- the probe


def two_signs() -> tuple[np.ndarray, np.ndarray]:
    """Labelled codes whose first feature is ±0.05 by the class and whose second is ±1,
    by the class in four cases of five.
    """
    labels = np.arange(200) % 2
    side = 2.0 * labels - 1
    return np.stack([0.05 * side, side * np.where(np.arange(200) // 2 % 5 == 0, -1, 1)], axis=1), labels


def two_classes(small: int, large: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes of both classes whose small and whose large feature predicts the class (1), or
    the other (−1).
    """
    labels = np.arange(20) % 2
    side = 2.0 * labels - 1
    return np.stack([0.05 * small * side, large * side], axis=1), labels


@pytest.mark.parametrize(("small", "large", "chosen"), [(-1, 1, STRENGTHS[0]), (1, 1, STRENGTHS[0])])
def test_a_strong_penalty_is_taken_where_it_validates_best_and_where_all_are_equal(
    small: int, large: int, chosen: float
):
    codes, labels = two_signs()
    test_codes = numpy_stream(1, "test_codes").normal(size=(9, 2)) * [0.05, 1]
    expected = (
        LogisticRegression(C=chosen, max_iter=MAX_ITERATIONS).fit(codes, labels).predict_log_proba(test_codes)
    )
    np.testing.assert_allclose(probe(codes, labels, *two_classes(small, large), test_codes), expected)


def test_a_weak_penalty_is_taken_where_only_it_validates_well():
    codes, labels = two_signs()
    test_codes = numpy_stream(1, "test_codes").normal(size=(9, 2)) * [0.05, 1]
    fits = [
        LogisticRegression(C=strength, max_iter=MAX_ITERATIONS).fit(codes, labels) for strength in STRENGTHS
    ]
    validation_codes, validation_labels = two_classes(1, -1)  # the large feature misleads
    accuracies = [fit.score(validation_codes, validation_labels) for fit in fits]
    assert accuracies[0] == 0 and accuracies[-1] == 1  # so that there is something to choose
    log_probabilities = probe(codes, labels, validation_codes, validation_labels, test_codes)
    np.testing.assert_allclose(log_probabilities, fits[accuracies.index(1)].predict_log_proba(test_codes))
    assert np.abs(log_probabilities - fits[0].predict_log_proba(test_codes)).max() > 0.1


def test_the_test_codes_are_only_evaluated():
    """In another order they give the same rows in that order, and each gives the same
    alone.
    """
    rng = numpy_stream(2, "probe")
    codes, labels = rng.normal(size=(60, 4)), np.arange(60) % 3
    codes[:, :3] += np.eye(3)[labels]
    validation_codes, test_codes = rng.normal(size=(30, 4)), 100 * rng.normal(size=(12, 4))
    log_probabilities, order = (
        probe(codes, labels, validation_codes, np.arange(30) % 3, test_codes),
        rng.permutation(12),
    )
    np.testing.assert_allclose(
        probe(codes, labels, validation_codes, np.arange(30) % 3, test_codes[order]), log_probabilities[order]
    )
    for row, one in zip(log_probabilities, test_codes, strict=True):
        np.testing.assert_allclose(
            probe(codes, labels, validation_codes, np.arange(30) % 3, one[None])[0], row
        )


def test_rows_are_log_probabilities_and_a_class_without_codes_has_next_to_nothing():
    codes, labels = two_signs()
    log_probabilities = probe(codes, 3 * labels, two_classes(1, 1)[0], 3 * two_classes(1, 1)[1], codes)
    assert log_probabilities.shape == (200, 4)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(1), 1)
    assert (log_probabilities[:, 1:3] == -50).all() and (log_probabilities[:, [0, 3]] > -50).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_codes_far_out_have_finite_log_probabilities(classes: int):
    labels = np.arange(60) % classes
    codes = np.eye(3)[labels]
    log_probabilities = probe(codes, labels, codes, labels, 1e4 * np.eye(3)[:classes])
    assert (
        np.isfinite(log_probabilities).all()
        and log_probabilities.min() < -1000
        and (log_probabilities.argmax(1) == np.arange(classes)).all()
    )


def test_clear_classes_are_read_without_a_fault():
    rng = numpy_stream(3, "probe")
    labels = np.arange(90) % 3
    codes = np.eye(3)[labels] + rng.normal(0, 0.05, (90, 3))
    assert (
        probe(codes[:60], labels[:60], codes[60:75], labels[60:75], codes[75:]).argmax(1) == labels[75:]
    ).all()


def test_parts_are_projected_on_components_of_the_training_codes_alone():
    codes, others = some_codes(), 5 + some_codes()[:7] ** 2
    for part, own in zip((codes, others), projected(codes, codes, others), strict=True):
        np.testing.assert_array_equal(own, principal_components(codes).transform(part))


def test_accuracy_is_the_share_of_test_codes_that_the_probe_has_right():
    codes, labels = two_signs()
    (validation, validation_labels), test = two_classes(1, 1), numpy_stream(4, "probe").normal(size=(40, 2))
    test_labels = np.arange(40) % 2
    right = probe(codes, labels, validation, validation_labels, test).argmax(1) == test_labels
    accuracy = probe_accuracy((codes, validation, test), (labels, validation_labels, test_labels))
    assert accuracy == right.mean() and 0 < accuracy < 1


def test_a_bias_alone_is_fitted_until_predicted_classes_are_as_frequent_as_true_ones():
    logits = np.random.default_rng(0).normal(size=(50, 3))
    shares = np.exp(logits + fitted_bias(logits, np.repeat([0, 1, 2], [30, 15, 5])))
    assert (shares / shares.sum(1, keepdims=True)).mean(0) == pytest.approx([0.6, 0.3, 0.1], abs=1e-6)


def test_a_layer_of_which_only_the_bias_is_trained_has_the_weight_that_was_drawn():
    rng = numpy_stream(5, "probe")
    labels = np.arange(60) % 3
    codes = np.eye(4)[labels] + rng.normal(0, 0.1, (60, 4))
    weight = np.random.default_rng(7).uniform(-0.5, 0.5, (4, 3))
    bias = fitted_bias(codes @ weight, labels)
    expected = ((codes @ weight + bias).argmax(1) == labels).mean()
    given = (codes, None, codes), (labels, None, labels), np.random.default_rng(7)
    assert bias_only_accuracy(*given) == expected < 0.9
