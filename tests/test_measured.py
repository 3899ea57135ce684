"""The table of arms and measures that fills while a run goes on."""

from collections.abc import Iterator

import numpy as np
import pytest

from mlcv_explore.experiment.measured import Axes

AXES = Axes(("plain", "noisy", "oracle"), ("accuracy", "loss"))


def part(seed: int) -> Iterator[dict[tuple[str, str], float]]:
    yield {}
    yield {("noisy", "loss"): seed + 0.5}
    yield {("plain", "accuracy"): 0.25, ("noisy", "accuracy"): 10 + seed}


def test_a_frame_holds_what_every_seed_has_measured_until_then() -> None:
    film = list(AXES.film([part(0), part(1)], 3))
    assert [(frame.step, frame.steps) for frame in film] == [(1, 3), (2, 3), (3, 3)]
    expected = [
        np.zeros((2, 3, 2)),
        [[[0, 0], [0, 0.5], [0, 0]], [[0, 0], [0, 1.5], [0, 0]]],
        [[[0.25, 0], [10, 0.5], [0, 0]], [[0.25, 0], [11, 1.5], [0, 0]]],
    ]
    assert all(np.array_equal(frame.measured, table) for frame, table in zip(film, expected, strict=True))
    assert all(frame.measured.dtype == np.float32 for frame in film)


def test_values_and_metrics_are_called_by_arm_and_measure() -> None:
    film = list(AXES.film([part(0), part(1)], 3))
    assert AXES.values(film, ["noisy", "plain"], ["accuracy"]).tolist() == [[[10], [0.25]], [[11], [0.25]]]
    found = AXES.metrics(film, {"noisy": ("loss", "accuracy"), "plain": ("accuracy",)})
    assert {name: values.tolist() for name, values in found.items()} == {
        "noisy_loss": [0.5, 1.5],
        "noisy_accuracy": [10, 11],
        "plain_accuracy": [0.25, 0.25],
    }
    assert {values.dtype for values in found.values()} == {np.dtype(float)}


@pytest.mark.parametrize("name", [("noise", "accuracy"), ("plain", "losses")])
def test_a_name_on_neither_axis_is_an_error(name: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        list(AXES.film([iter([{name: 1.0}])], 1))
