"""Frames of arms by measures: filled step by step, a seed a row."""

from collections.abc import Iterator

import numpy as np
import pytest

from mlcv_explore.experiment import measured_arms
from mlcv_explore.experiment.measured_arms import Measured

ARMS, MEASURES = ("plain", "robust"), ("accuracy", "loss")


def seed(number: int) -> Iterator[Measured]:
    yield {}
    yield {"robust": {"loss": number + 0.5}}
    yield {"plain": {"accuracy": number}, "robust": {"accuracy": 10 + number}}


def test_a_frame_holds_what_every_seed_has_measured_until_then() -> None:
    film = list(measured_arms.frames([seed(1), seed(2)], 3, ARMS, MEASURES))
    assert [(frame.step, frame.steps) for frame in film] == [(1, 3), (2, 3), (3, 3)]
    expected = [
        np.zeros((2, 2, 2)),
        [[[0, 0], [0, 1.5]], [[0, 0], [0, 2.5]]],
        [[[1, 0], [11, 1.5]], [[2, 0], [12, 2.5]]],
    ]
    assert all(np.array_equal(frame.measured, table) for frame, table in zip(film, expected, strict=True))
    assert all(frame.measured.dtype == np.float32 for frame in film)
    kept = {"robust": ("loss", "accuracy"), "plain": ("accuracy",)}
    columns = measured_arms.columns(film[-1], ARMS, MEASURES, kept)
    assert {name: values.tolist() for name, values in columns.items()} == {
        "robust_loss": [1.5, 2.5],
        "robust_accuracy": [11, 12],
        "plain_accuracy": [1, 2],
    }


def test_an_arm_or_measure_that_is_not_declared_is_an_error() -> None:
    for wrong in ({"other": {"loss": 1.0}}, {"plain": {"other": 1.0}}):
        with pytest.raises(ValueError):
            list(measured_arms.frames([iter([wrong])], 1, ARMS, MEASURES))
