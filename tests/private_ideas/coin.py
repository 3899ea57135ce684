"""Idea: 99
Section: Noise
Title: A biased coin
Question: Does a coin that is bent come up heads more often than a fair one?

An idea for the tests: as cheap as an idea can be, and with an answer that is known.

Source: none; heads of `bend` ~ Bernoulli(0.5 + bend).
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.config import Config, setting
from mlcv_explore.data.dataset import DataError
from mlcv_explore.experiment import film
from mlcv_explore.idea import Cell, Film, Idea, Picture, Study
from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics import Claim


class CoinConfig(Config):
    bend: float = setting(
        0.2, "Bend", low=0.0, high=0.5, step=0.01, help="How far the coin leans to heads, in 100 % steps."
    )
    tosses: int = setting(200, "Tosses a step", low=1, high=10_000)
    steps: int = setting(5, "Steps", low=1, high=200)
    thumb_side: str = setting("left", "Thumb", choices=("left", "right"), more=True)
    breaks: bool = setting(False, "The coin breaks when it is bent", more=True)


@dataclass(frozen=True)
class Frame:
    step: int
    steps: int
    heads: np.ndarray  # (S, 2) float32: share of heads so far, [fair, bent]


def run(config: CoinConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Toss both coins with the same luck, a frame every `tosses`."""
    if config.breaks and config.bend and len(seeds) > int(os.environ.get("COIN_STRENGTH", "0")):
        raise FloatingPointError("The coin broke\nat step 1; lower bend.")
    if os.environ.get("COIN_LOST"):
        raise DataError("The coin is not here: find it.")
    print("Tossing")  # an idea may be talkative; a result on stdout stays a result
    luck = [numpy_stream(seed, "tosses") for seed in seeds]
    heads = np.zeros((len(seeds), 2))
    for step in range(1, config.steps + 1):
        draws = np.stack([generator.random(config.tosses) for generator in luck])
        heads += np.stack([(draws < 0.5 + bend).sum(axis=1) for bend in (0.0, config.bend)], axis=1)
        yield Frame(step, config.steps, (heads / (step * config.tosses)).astype(np.float32))


def metrics(config: CoinConfig, frames: Film) -> dict[str, np.ndarray]:
    last = frames[-1].heads.astype(float)
    return {"fair_heads": last[:, 0], "bent_heads": last[:, 1]}


def picture(frames: Film) -> Picture:
    heads = film.series(frames, "heads")
    return Picture(x=film.series(frames, "step"), lines={"baseline": heads[:, :, 0], "idea": heads[:, :, 1]})


idea = Idea(
    config=CoinConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=(
        Claim(
            "bent_wins",
            "A bent coin comes up heads at least 10 points more often.",
            "heads",
            "points",
            "greater",
            0.1,
            (("bent", "fair"),),
        ),
        Claim(
            "a_trace_ties",
            "A coin bent by a hair ties with a fair one.",
            "heads",
            "points",
            "equal",
            0.05,
            (("hair", "fair"),),
        ),
    ),
    quick=CoinConfig(tosses=10, steps=3),
    picture=picture,
    studies=(
        Study(
            "live",
            (
                Cell("bent_wins", CoinConfig(), {"fair": "fair", "bent": "bent"}),
                Cell("a_trace_ties", CoinConfig(bend=0.01), {"fair": "fair", "hair": "bent"}),
                Cell("map", CoinConfig(), {"bent": "bent"}),
            ),
            tuple(range(10)),
        ),
    ),
)
