"""The table of arms and measures that fills while a run goes on."""

from collections.abc import Iterator

import numpy as np
import pytest

from mlcv_explore.experiment.measured import Axes

AXES = Axes(("plain", "noisy", "oracle"), ("accuracy", "loss"))


def part(seed: int) -> Iterator[dict[tuple[str, str], float]]:
    yield {}
    yield {("noisy", "accuracy"): 0.5 + seed, ("noisy", "loss"): 2.0}
    yield {("plain", "accuracy"): 0.25}


def test_a_film_fills_and_its_values_are_called_by_arm_and_measure() -> None:
    film = list(AXES.film([part(0), part(1)], 3))
    assert [(frame.step, frame.steps) for frame in film] == [(1, 3), (2, 3), (3, 3)]
    assert not film[0].measured.any() and np.count_nonzero(film[1].measured) == 4
    assert film[-1].measured.shape == (2, 3, 2) and film[-1].measured.dtype == np.float32
    assert AXES.values(film, ["noisy", "plain"], ["accuracy"]).tolist() == [[[0.5], [0.25]], [[1.5], [0.25]]]
    found = AXES.metrics(film, {"noisy": ("loss", "accuracy"), "plain": ("accuracy",)})
    assert {name: values.tolist() for name, values in found.items()} == {
        "noisy_loss": [2.0, 2.0],
        "noisy_accuracy": [0.5, 1.5],
        "plain_accuracy": [0.25, 0.25],
    }
    assert {values.dtype for values in found.values()} == {np.dtype(float)}


def test_a_name_on_neither_axis_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        list(AXES.film([iter([{("noise", "accuracy"): 1.0}])], 1))
