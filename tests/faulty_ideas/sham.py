"""Idea: 98
Section: Noise
Title: A sham
Question: What does the engine make of a run that fails in every way a run can?

For the tests of the engine: its frames come as slowly as asked, and at the asked step
it does the asked harm.

Source: none.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlcv_explore.config import Config, setting
from mlcv_explore.experiment import film
from mlcv_explore.idea import Film, Idea, Picture
from mlcv_explore.statistics import Claim

KINDS = ("good", "refuses", "diverges", "breaks", "hogs", "sleeps", "goes back", "talks", "undefined")


class ShamConfig(Config):
    kind: str = setting("good", "What happens", choices=KINDS)
    at: int = setting(2, "At step", low=1, high=1000)
    steps: int = setting(5, "Steps", low=1, high=1000)
    pace: float = setting(0.0, "Seconds a step", low=0.0, high=60.0)
    size: int = setting(1, "Numbers a frame", low=1, high=10_000_000)
    name: int = setting(0, "Name", low=0, high=1_000_000, help="Runs of other names are other runs.")


@dataclass(frozen=True)
class Frame:
    step: int
    steps: int
    process: int
    values: np.ndarray  # (S, size) float64


def run(config: ShamConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Frames of noise; a line is added to `begun` in the home folder as the run begins,
    and to `closed` when it is closed early.
    """
    _note("begun", config)
    try:
        for step in range(1, config.steps + 1):
            time.sleep(config.pace)
            if step == config.at:
                _harm(config)
            reported = 1 if config.kind == "goes back" and step == config.at else step
            values = np.stack(
                [np.random.default_rng([seed, step]).normal(size=config.size) for seed in seeds]
            )
            yield Frame(reported, config.steps, os.getpid(), values)
    except GeneratorExit:
        _note("closed", config)


def _note(name: str, config: ShamConfig) -> None:
    with (Path(os.environ["MLCV_HOME"]) / name).open("a") as file:
        file.write(f"{config.name}\n")


def _harm(config: ShamConfig) -> None:
    if config.kind == "refuses":
        raise ValueError("The sham refuses\nat this step; ask for less.")
    if config.kind == "diverges":
        raise FloatingPointError("The loss is no number any more at step 2; lower the learning rate.")
    if config.kind == "breaks":
        raise KeyError("a\nmistake")
    if config.kind == "talks":
        os.write(1, b"epoch\n" * 50_000)
    if config.kind == "hogs":
        hoard = []
        while True:
            hoard.append(np.ones(4_000_000))
            time.sleep(0.02)
    if config.kind == "sleeps":
        time.sleep(60)


def metrics(config: ShamConfig, frames: Film) -> dict[str, np.ndarray]:
    last = frames[-1].values[:, 0]
    return {
        "sham_value": np.full_like(last, np.nan) if config.kind == "undefined" else last,
        "other_value": last + 1,
    }


def picture(frames: Film) -> Picture:
    return Picture(x=film.series(frames, "step"), lines={"idea": film.series(frames, "values")[:, :, 0]})


idea = Idea(
    config=ShamConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=(
        Claim(
            "other_wins",
            "The other arm is above by more than a half.",
            "value",
            "points",
            "greater",
            0.5,
            (("other", "sham"),),
        ),
    ),
    quick=ShamConfig(),
    picture=picture,
)
