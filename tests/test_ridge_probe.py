"""Ridge probes: against scikit-learn's, in the labelled span and outside it, penalties
chosen on validation features alone.
"""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from mlcv_explore.metrics import ridge_probe
from mlcv_explore.metrics.ridge_probe import PENALTIES, leading, probe_accuracy, span

CLASSES = np.array([0, 1, 3])  # one number has no image


@pytest.fixture
def parts() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Codes of 60 numbers and labels: 30 labelled, 40 for validation, 50 for testing."""
    rng = np.random.default_rng(0)
    centres, labels = rng.normal(size=(4, 60)), [rng.choice(CLASSES, size) for size in (30, 40, 50)]
    return [centres[own] + 2.5 * rng.normal(size=(len(own), 60)) + 5 for own in labels], labels


def by_scikit_learn(codes: list[np.ndarray], labels: list[np.ndarray]) -> float:
    """The same choice among the same penalties."""
    targets = (labels[0][:, None] == CLASSES).astype(float)
    scale = np.square(codes[0] - codes[0].mean(0)).sum() / len(codes[0])
    best = (-1.0, 0.0)
    for penalty in PENALTIES:
        fitted = Ridge(penalty * scale).fit(codes[0], targets)
        validation, test = (
            float((CLASSES[fitted.predict(codes[part]).argmax(1)] == labels[part]).mean()) for part in (1, 2)
        )
        best = max(best, (validation, test), key=lambda pair: pair[0])
    return best[1]


def test_a_probe_of_the_labelled_span_is_ridge_regression_on_the_whole_code(parts):
    codes, labels = parts
    inside = [span(codes[0]).transform(own) for own in codes]
    assert inside[0].shape == (30, 30)
    expected = by_scikit_learn(codes, labels)
    assert probe_accuracy(inside, labels) == pytest.approx(expected) and 0.5 < expected < 1


def test_shift_scale_and_rotation_change_nothing(parts):
    codes, labels = parts
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(60, 60)))[0]
    moved = [1000 * (own @ turn) - 7 for own in codes]
    first, other = ([span(own[0]).transform(part) for part in own] for own in (codes, moved))
    assert probe_accuracy(first, labels) == probe_accuracy(other, labels)


def test_the_penalty_is_chosen_on_validation_features_alone(parts, monkeypatch):
    """Also where other validation labels lead to a penalty that is not the best on test."""
    codes, labels = parts
    inside = [span(codes[0]).transform(own) for own in codes]
    shifted = [[labels[0], np.roll(labels[1], places), labels[2]] for places in range(6)]
    chosen = [probe_accuracy(inside, own) for own in shifted]
    assert chosen == pytest.approx([by_scikit_learn(codes, own) for own in shifted])
    alone = []
    for penalty in PENALTIES:
        monkeypatch.setattr(ridge_probe, "PENALTIES", (penalty,))
        alone.append(probe_accuracy(inside, labels))
    assert set(chosen) <= set(alone) and min(chosen) < max(alone)


@pytest.mark.parametrize("count", [20, 200])
def test_leading_components_are_those_of_principal_component_analysis(count):
    """More images than numbers, and fewer."""
    rng = np.random.default_rng(2)
    train, other = (rng.normal(size=(size, 60)) * np.linspace(1, 3, 60) + 1 for size in (count, 10))
    expected, own = PCA(12).fit(train).transform(other), leading(train, 12).transform(other)
    assert np.abs(own) == pytest.approx(np.abs(expected), rel=1e-4, abs=1e-4)
    assert leading(train[:5], 12).basis.shape == (60, 5)


def test_a_dead_code_is_chance(parts):
    labels = parts[1]
    dead = [np.zeros((len(own), 8)) for own in labels]
    accuracy = probe_accuracy([span(dead[0]).transform(own) for own in dead], labels)
    assert accuracy == pytest.approx(
        np.bincount(labels[2], minlength=4)[np.bincount(labels[0]).argmax()] / 50
    )
