"""Random curves of small models: what all kinds share, and which draws are not used."""

import numpy as np
import pytest

from mlcv_explore.models import learning_curves
from mlcv_explore.seeds import numpy_stream


@pytest.mark.parametrize("kind", learning_curves.KINDS)
def test_curves_grow_from_nothing_to_their_last_gain(kind):
    drawn, unused = learning_curves.draw_curves(kind, 3, 25, numpy_stream(11, kind))
    assert len(drawn) == 3 and unused >= 0
    for curve in drawn:
        assert curve.progress[0] == 0 and (np.diff(curve.progress) >= 0).all()
        assert curve.progress[-1] > curve.progress[-2] and 2 <= len(curve.progress) - 1 <= curve.horizon
        assert len(curve.signal) == len(curve.progress) and (np.diff(curve.signal) >= -1e-12).all()
    other, _ = learning_curves.draw_curves(kind, 3, 25, numpy_stream(12, kind))
    assert any(not np.array_equal(a.progress, b.progress) for a, b in zip(drawn, other, strict=True))


def test_a_best_epoch_at_the_end_of_the_budget_is_not_used(monkeypatch):
    falling, valley = np.linspace(2, 1, 31), np.abs(np.arange(31.0) - 12)
    monkeypatch.setattr(learning_curves, "drawn_losses", lambda rounds, rng: (None, falling))
    assert learning_curves.epochs(30, numpy_stream(0, "x")) is None
    with pytest.raises(FloatingPointError, match="Only 0 of 41 curves of the kind epochs"):
        learning_curves.draw_curves("epochs", 2, 30, numpy_stream(0, "x"))
    monkeypatch.setattr(learning_curves, "drawn_losses", lambda rounds, rng: (None, valley))
    assert len(learning_curves.epochs(30, numpy_stream(0, "x")).past) == 12


def test_a_falling_loss_ends_at_its_last_gain():
    curve = learning_curves.falling_loss(np.array([5.0, 3, 4, 1, 2, 1]), 5)
    assert curve.past.tolist() == [2, 2, 4] and curve.future.tolist() == [2, 2, 0] and curve.horizon == 5
    assert learning_curves.falling_loss(np.array([5.0, 3, 4]), 2) is None


def test_a_spectrum_ends_at_its_share_of_the_variance():
    columns = numpy_stream(3, "spectrum").standard_normal((80, 5)) * [30, 20, 10, 1, 0.1]
    curve = learning_curves.spectrum(columns)
    assert len(curve.past) == 3 < curve.horizon == 5 and 0.999 <= curve.progress[-1] < 1
