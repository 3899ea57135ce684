"""Processor time that means the same on slower and busier machines."""

import time

import numpy as np

REFERENCE = 0.015  # CPU-seconds of `_work` on the machine the budgets were set on
LASTS = 20.0  # seconds a measurement is used
_measured: list[float] = []  # when, and how slow


def _work() -> float:
    matrix, started = np.random.default_rng(0).random((160, 160)), time.process_time()
    for _ in range(30):
        matrix = matrix @ matrix
        matrix /= np.abs(matrix).max()
        sum(float(value) for value in matrix[:40].ravel())
    return time.process_time() - started


def slowness(anew: bool = False) -> float:
    """How many times longer this machine takes now than the reference, at least 1;
    measured `anew`, or not long ago.
    """
    now = time.monotonic()
    if anew or not _measured or now - _measured[0] > LASTS:
        _measured[:] = [now, max(1.0, float(np.median([_work() for _ in range(5)])) / REFERENCE)]
    return _measured[1]
