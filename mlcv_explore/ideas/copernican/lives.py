"""Simulated lives: four laws of lifetimes of mean 1, and four ways to come upon one."""

import numpy as np

from mlcv_explore.ideas.copernican.intervals import covers

LAWS = ("uniform", "exponential", "pareto", "lognormal")  # of lifetimes; the mean of each is 1
AGES = (0.01, 0.1, 1.0, 10.0)  # at which lives are looked at, in mean lifetimes
INSPECTIONS = (
    "time",
    "importance",
    "decelerating",
    "improving",
    *(f"age{age:g}".replace(".", "") for age in AGES),
)
TRUE_BY_CONSTRUCTION = ("time", "importance")
TAIL = 1.5  # of the Pareto law
SPREAD = 1.0  # standard deviation of the logarithm of a log-normal lifetime
BEND = 1 / 3  # "decelerating": importance grows as (t/T)^BEND, and the moment is uniform in time
IMPROVEMENTS = 20.0  # "improving": expected number along a life, at a rate that falls as 1/√t
WINDOW = 0.05  # share of a life in which the last improvement must lie


def lifetimes(law: str, count: int, luck: np.random.Generator, age: float = 0.0) -> np.ndarray:
    """(count,) lifetimes above an age, of the law of mean 1: uniform on 0…2,
    exponential, Pareto with tail 1.5, log-normal of spread 1.

    Raises ValueError on another law, and where no life lasts so long.
    """
    if not lasts(law, age):
        raise ValueError(f"No life of the {law} law lasts longer than {age:g}.")
    if law == "uniform":
        return age + (2 - age) * luck.random(count)
    if law == "exponential":
        return age + luck.standard_exponential(count)
    if law == "pareto":
        return max(age, (TAIL - 1) / TAIL) * (luck.pareto(TAIL, count) + 1)
    if age == 0:
        return np.exp(SPREAD * luck.standard_normal(count) - SPREAD**2 / 2)
    from scipy.special import ndtr, ndtri

    longer = ndtr(-(np.log(age) + SPREAD**2 / 2) / SPREAD)
    return np.exp(-SPREAD * ndtri(longer * (1 - luck.random(count))) - SPREAD**2 / 2)


def lasts(law: str, age: float) -> bool:
    """Whether any life of a law lasts longer than an age; raises ValueError on a law
    that is none of LAWS.
    """
    if law not in LAWS:
        raise ValueError(f"The law of lifetimes must be one of {', '.join(LAWS)}, got {law!r}.")
    return law != "uniform" or age < 2


def age_of(inspection: str) -> float:
    """The age at which an inspection takes place, 0 where it is at none."""
    return (
        AGES[INSPECTIONS.index(inspection) - len(INSPECTIONS) + len(AGES)]
        if inspection.startswith("age")
        else 0.0
    )


def inspected(
    law: str, inspection: str, count: int, luck: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Past and future of `count` lives that are come upon, each (count,).

    *time*: the moment is uniform within each life. *importance*: a life's importance
    grows as (t/T)^p, p drawn for each from 1/3 to 3, and the moment is uniform in
    importance; past and future are importance, so that p falls out. *decelerating*:
    importance grows as (t/T)^(1/3), the moment is uniform in time. *improving*: the
    moment is uniform in time, but taken only if an improvement came in the last
    twentieth of the life; improvements come at random, 20 a life, at a rate that falls
    as one over the root of the age. *age…*: at that age, of the lives that last longer.
    Raises ValueError where none does.
    """
    age = age_of(inspection)
    lasted = lifetimes(law, count, luck, age)
    if age:
        return np.full(count, age), lasted - age
    share = luck.random(count)
    if inspection == "importance":
        power = 3.0 ** luck.uniform(-1, 1, count)
        moment = share ** (1 / power)  # of time, at which the importance is this share of its end
        share = moment**power
    elif inspection == "decelerating":
        share = share**BEND
    elif inspection == "improving":
        share = improving_shares(count, luck)
    return share * lasted, (1 - share) * lasted


def improving_shares(count: int, luck: np.random.Generator) -> np.ndarray:
    """Shares (count,) of a life at which it is found still improving: of the law with
    density ∝ P(an improvement came within the window).
    """
    grid = np.linspace(0, 1, 2001)
    expected = IMPROVEMENTS * (np.sqrt(grid) - np.sqrt(np.maximum(grid - WINDOW, 0)))
    density = -np.expm1(-expected)
    reached = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(luck.random(count), reached / reached[-1], grid)


def coverage(
    law: str, inspection: str, confidences: np.ndarray, count: int, luck: np.random.Generator
) -> np.ndarray:
    """Share of `count` lives whose future lies in Gott's interval, (C,) for each
    confidence.
    """
    past, future = inspected(law, inspection, count, luck)
    return np.array([covers(past, future, confidence).mean() for confidence in confidences])


def exponential_coverage(age: float, confidence: float) -> float:
    """The exact share for exponential lives of mean 1 at a fixed age: what remains is
    exponential again, e^(−age/k) − e^(−k·age), k = (1+c)/(1−c).
    """
    times = (1 + confidence) / (1 - confidence)
    return float(np.exp(-age / times) - np.exp(-age * times))
