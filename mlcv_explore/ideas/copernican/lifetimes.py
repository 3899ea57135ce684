"""Simulated lifetimes: four laws of mean 1, and eight ways to inspect one."""

import numpy as np

from mlcv_explore.ideas.copernican.intervals import covers

LAWS = ("uniform", "exponential", "pareto", "lognormal")
AGES = {"age001": 0.01, "age01": 0.1, "age1": 1.0, "age10": 10.0}  # fixed ages, in mean lifetimes
INSPECTIONS = ("time", "importance", "decelerating", "improving", *AGES)
BY_CONSTRUCTION = ("time", "importance")  # the interval covers whatever the law
TAIL = 1.5  # of the Pareto law
LOG_STD = 1.0  # standard deviation of the logarithm of a log-normal lifetime
BEND = 1 / 3  # "decelerating": importance grows as (t/T)^BEND, the moment is uniform in time
IMPROVEMENTS = 20.0  # "improving": expected number in a lifetime, at a rate that falls as 1/√t
WINDOW = 0.05  # share of a lifetime in which the last improvement must lie


def lasts(law: str, age: float) -> bool:
    """Whether any lifetime exceeds an age. Raises ValueError on an unknown law."""
    if law not in LAWS:
        raise ValueError(f"The law of lifetimes must be one of {', '.join(LAWS)}, got {law!r}.")
    return law != "uniform" or age < 2


# the pairs (law, inspection) that are simulated
SIMULATED = tuple(
    (law, inspection) for law in LAWS for inspection in INSPECTIONS if lasts(law, AGES.get(inspection, 0.0))
)


def lifetimes(law: str, count: int, rng: np.random.Generator, age: float = 0.0) -> np.ndarray:
    """(count,) lifetimes that exceed an age: uniform on 0…2, exponential, Pareto with
    tail 1.5, log-normal with log-deviation 1, all of mean 1. Raises ValueError on an
    unknown law and where no lifetime exceeds the age.
    """
    if not lasts(law, age):
        raise ValueError(f"No lifetime of the {law} law exceeds {age:g}.")
    if law == "uniform":
        return age + (2 - age) * rng.random(count)
    if law == "exponential":
        return age + rng.standard_exponential(count)
    if law == "pareto":
        return max(age, (TAIL - 1) / TAIL) * (rng.pareto(TAIL, count) + 1)
    if age == 0:
        return np.exp(LOG_STD * rng.standard_normal(count) - LOG_STD**2 / 2)
    from scipy.special import ndtr, ndtri

    longer = ndtr(-(np.log(age) + LOG_STD**2 / 2) / LOG_STD)
    return np.exp(-LOG_STD * ndtri(longer * (1 - rng.random(count))) - LOG_STD**2 / 2)


def inspect(law: str, inspection: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Past and future of `count` inspected lifetimes, each (count,).

    *time*: the moment is uniform in each lifetime. *importance*: importance grows as
    (t/T)^p, p from 1/3 to 3, and the moment is uniform in importance; past and future
    are importance. *decelerating*: importance grows as (t/T)^(1/3), the moment is
    uniform in time. *improving*: uniform in time, given an improvement within the last
    twentieth of the lifetime. *age…*: at that age, of the lifetimes that exceed it.
    """
    age = AGES.get(inspection, 0.0)
    lasted = lifetimes(law, count, rng, age)
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
        share = improving_moments(count, rng)
    return share * lasted, (1 - share) * lasted


def improving_moments(count: int, rng: np.random.Generator) -> np.ndarray:
    """Shares (count,) of a lifetime with density ∝ P(an improvement within the window)."""
    grid = np.linspace(0, 1, 2001)
    expected = IMPROVEMENTS * (np.sqrt(grid) - np.sqrt(np.maximum(grid - WINDOW, 0)))
    density = -np.expm1(-expected)
    reached = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(rng.random(count), reached / reached[-1], grid)


def coverage(
    law: str, inspection: str, confidences: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Share of `count` futures in Gott's interval at each confidence, (C,)."""
    past, future = inspect(law, inspection, count, rng)
    return np.array([covers(past, future, confidence).mean() for confidence in confidences])
