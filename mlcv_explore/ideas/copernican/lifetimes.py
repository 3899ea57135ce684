"""Simulated lifetimes, inspected in eight ways: how often Gott's interval covers."""

import numpy as np

from mlcv_explore.ideas.copernican.intervals import covers
from mlcv_explore.statistics.lifetimes import LAWS, draw_lifetimes, exceeds

AGES = {"age001": 0.01, "age01": 0.1, "age1": 1.0, "age10": 10.0}  # fixed ages, in mean lifetimes
INSPECTIONS = ("time", "importance", "decelerating", "improving", *AGES)
BY_CONSTRUCTION = ("time", "importance")  # the interval covers whatever the law
BEND = 1 / 3  # "decelerating": importance grows as (t/T)^BEND, the moment is uniform in time
IMPROVEMENTS = 20.0  # "improving": expected number in a lifetime, at a rate that falls as 1/√t
WINDOW = 0.05  # share of a lifetime in which the last improvement must lie
# the pairs (law, inspection) that are simulated
SIMULATED = tuple((law, way) for law in LAWS for way in INSPECTIONS if exceeds(law, AGES.get(way, 0.0)))


def inspect(law: str, inspection: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Past and future of `count` inspected lifetimes, each (count,).

    *time*: the moment is uniform in each lifetime. *importance*: importance grows as
    (t/T)^p, p from 1/3 to 3, and the moment is uniform in importance; past and future
    are importance. *decelerating*: importance grows as (t/T)^(1/3), the moment is
    uniform in time. *improving*: uniform in time, given an improvement within the last
    twentieth of the lifetime. *age…*: at that age, of the lifetimes that exceed it.
    """
    age = AGES.get(inspection, 0.0)
    lasted = draw_lifetimes(law, count, rng, age)
    if age:
        return np.full(count, age), lasted - age
    share = rng.random(count)
    if inspection == "importance":
        power = 3.0 ** rng.uniform(-1, 1, count)
        moment = share ** (1 / power)  # of time, at which the importance is this share of its end
        share = moment**power
    elif inspection == "decelerating":
        share = share**BEND
    elif inspection == "improving":
        grid = np.linspace(0, 1, 2001)
        expected = IMPROVEMENTS * (np.sqrt(grid) - np.sqrt(np.maximum(grid - WINDOW, 0)))
        density = -np.expm1(-expected)  # ∝ P(an improvement within the window)
        reached = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
        share = np.interp(rng.random(count), reached / reached[-1], grid)
    return share * lasted, (1 - share) * lasted


def coverage(
    law: str, inspection: str, confidences: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Share of `count` futures in Gott's interval at each confidence, (C,)."""
    past, future = inspect(law, inspection, count, rng)
    return np.array([covers(past, future, confidence).mean() for confidence in confidences])
