"""Lifetimes of mean 1, drawn from four laws, also given that an age is exceeded."""

import numpy as np

LAWS = ("uniform", "exponential", "pareto", "lognormal")
TAIL = 1.5  # of the Pareto law
LOG_STD = 1.0  # standard deviation of the logarithm of a log-normal lifetime


def exceeds(law: str, age: float) -> bool:
    """Whether any lifetime exceeds an age. Raises ValueError on an unknown law."""
    if law not in LAWS:
        raise ValueError(f"The law of lifetimes must be one of {', '.join(LAWS)}, got {law!r}.")
    return law != "uniform" or age < 2


def draw_lifetimes(law: str, count: int, rng: np.random.Generator, age: float = 0.0) -> np.ndarray:
    """(count,) lifetimes that exceed an age: uniform on 0…2, exponential, Pareto with
    tail 1.5, log-normal with log-deviation 1, all of mean 1. Raises ValueError on an
    unknown law and where no lifetime exceeds the age.
    """
    if not exceeds(law, age):
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
