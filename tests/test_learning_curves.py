"""Random curves of small models: what all kinds share, and which draws are not used."""

import numpy as np
import pytest

from mlcv_explore.data.tabular import WIDE
from mlcv_explore.models import learning_curves
from mlcv_explore.seeds import numpy_stream


@pytest.mark.parametrize("kind", learning_curves.KINDS)
def test_curves_grow_from_nothing_to_their_last_gain(kind):
    drawn = learning_curves.draw_curves(kind, WIDE, 3, 25, numpy_stream(11, kind))
    assert len(drawn) == 3
    for curve in drawn:
        assert curve.progress[0] == 0 and (np.diff(curve.progress) >= 0).all()
        assert curve.progress[-1] > curve.progress[-2] and 2 <= len(curve.progress) - 1 <= curve.horizon
        assert curve.past[:-1].any()
    other = learning_curves.draw_curves(kind, WIDE, 3, 25, numpy_stream(12, kind))
    assert any(not np.array_equal(a.progress, b.progress) for a, b in zip(drawn, other, strict=True))


def test_draws_that_do_not_grow_are_not_used(monkeypatch):
    falling = np.linspace(2, 1, 31)
    flat, late = np.ones(31), np.where(np.arange(31) < 30, 2.0, 1.0)
    drawn = iter([flat, late, falling])
    monkeypatch.setattr(learning_curves, "perceptron_losses", lambda *_: (next(drawn), None))
    (curve,) = learning_curves.draw_curves("training", ("iris",), 1, 30, numpy_stream(0, "x"))
    assert len(curve.past) == 30
    monkeypatch.setattr(learning_curves, "perceptron_losses", lambda *_: (flat, None))
    with pytest.raises(FloatingPointError, match="Only 0 of 40 curves of the kind training"):
        learning_curves.draw_curves("training", ("iris",), 2, 30, numpy_stream(0, "x"))


def test_a_falling_loss_ends_at_its_last_gain():
    curve = learning_curves.falling_loss(np.array([5.0, 3, 4, 1, 2, 1]), 5)
    assert curve.past.tolist() == [2, 2, 4] and curve.future.tolist() == [2, 2, 0] and curve.horizon == 5
    assert learning_curves.falling_loss(np.array([5.0, 3, 4]), 2) is None


def test_a_spectrum_ends_at_its_share_of_the_variance():
    columns = numpy_stream(3, "spectrum").standard_normal((80, 5)) * [30, 20, 10, 1, 0.1]
    curve = learning_curves.spectrum(columns)
    assert len(curve.past) == 3 < curve.horizon == 5 and 0.999 <= curve.progress[-1] < 1
