"""Oriented strokes: short lines of sixteen kinds, anywhere in an image."""

from functools import cache

import numpy as np

ORIENTATIONS = 8
LENGTHS = (3.0, 6.0)  # pixels
KINDS = ORIENTATIONS * len(LENGTHS)
THICKNESS = 0.7  # pixels, standard deviation of a stroke's profile
FAINTEST = 0.001  # of the brightest


def stroke(kind: int, row: float, column: float, side: int) -> np.ndarray:
    """One stroke with its middle at (row, column), brightness (side, side), of unit
    length as a vector and cut off at the border.

    `kind` counts orientations from upright on, by 22.5° against the clock, the short
    ones first.
    """
    length, angle = LENGTHS[kind // ORIENTATIONS], np.pi * (kind % ORIENTATIONS) / ORIENTATIONS
    rows, columns = np.mgrid[:side, :side].astype(float)
    down, across = rows - row, columns - column
    along = -down * np.cos(angle) - across * np.sin(angle)
    beside = across * np.cos(angle) - down * np.sin(angle)
    beyond = np.maximum(np.abs(along) - (length - 1) / 2, 0)
    image = np.exp(-(beside**2 + beyond**2) / (2 * THICKNESS**2))
    image[image < FAINTEST] = 0  # denormal numbers would slow every product down
    return image / np.linalg.norm(image)


@cache
def placed(side: int) -> np.ndarray:
    """Every stroke at every pixel, float32 (KINDS·side², side²), unit rows; kind first,
    then row, then column.
    """
    places = [(row, column) for row in range(side) for column in range(side)]
    every = np.stack([stroke(kind, *place, side) for kind in range(KINDS) for place in places])
    every = every.reshape(-1, side * side).astype(np.float32)
    every.flags.writeable = False
    return every


def place_of(index: np.ndarray | int, side: int) -> tuple:
    """Kind, row and column of a row of `placed(side)`."""
    return index // side**2, index // side % side, index % side
