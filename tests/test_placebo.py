"""The placebo test of the house: sham effects and effects of known size, sent down the
whole road from settings to verdict.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from mlcv_explore.config import Config, setting
from mlcv_explore.experiment import film, runs, studies
from mlcv_explore.idea import Cell, Film, Idea, Picture, Study
from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics import Claim, Verdict, power, smallest_detectable_effect

EXPERIMENTS = 1000
SEEDS = 8
STEPS = 4
NOISE = 0.02  # of one arm's accuracy
DEVIATION = NOISE * math.sqrt(2)  # of a paired difference
EFFECT = smallest_detectable_effect(DEVIATION, SEEDS)  # what is stated to be found in 80 of 100 cases
MARGIN = 0.01
LUCK = 0.2  # what the arms of a seed share; ten times their own noise


class PlaceboConfig(Config):
    effect: float = setting(0.0, "Effect", low=-1.0, high=1.0)
    noise: float = setting(NOISE, "Noise", low=0.0, high=1.0)


@dataclass(frozen=True)
class Frame:
    step: int
    steps: int
    accuracy: np.ndarray  # (S, 4) float64: plain, treated, twin, other


ARMS = ("plain", "treated", "twin", "other")


def run(config: PlaceboConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Accuracies drawn instead of trained: every arm of a seed has its luck, and a
    stream of its own.
    """
    luck = np.array([numpy_stream(seed, "split").normal(0.0, LUCK) for seed in seeds])
    noise = np.array(
        [[numpy_stream(seed, f"{arm} order").normal(0.0, config.noise) for arm in ARMS] for seed in seeds]
    )
    better = np.array([0.0, config.effect, 0.0, 0.0])
    for step in range(1, STEPS + 1):
        yield Frame(step, STEPS, 0.5 + luck[:, None] + (noise + better) * step / STEPS)


def metrics(_: PlaceboConfig, frames: Film) -> dict[str, np.ndarray]:
    return {
        f"{arm}_accuracy": column
        for arm, column in zip(ARMS, film.series(frames, "accuracy")[:, -1].T, strict=True)
    }


def picture(frames: Film) -> Picture:
    return Picture(film.series(frames, "step"), {"idea": film.series(frames, "accuracy")[:, :, 1]})


def claim(name: str, direction: str, margin: float, *others: str) -> Claim:
    return Claim(
        name,
        "Treatment matters.",
        "accuracy",
        "points",
        direction,
        margin,
        tuple(("treated", other) for other in others),
    )


placebo = Idea(
    config=PlaceboConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=(
        claim("better", "greater", 0.0, "plain"),
        claim("better by a margin", "greater", MARGIN, "plain"),
        claim("worse", "less", 0.0, "plain"),
        claim("tie", "equal", EFFECT, "plain"),
        claim("apart", "different", EFFECT, "plain"),
        claim("best", "greater", 0.0, "plain", "twin", "other"),
    ),
    quick=PlaceboConfig(),
    picture=picture,
)


def experiment(effect: float, number: int) -> list[Verdict]:
    """Settings, run, film as it travels, metrics, verdicts; every experiment has seeds
    of its own.
    """
    config = PlaceboConfig(effect=effect)
    travelled = film.unpack(
        film.pack(list(placebo.run(config, range(number * SEEDS, (number + 1) * SEEDS)))), placebo.frame
    )
    return runs.decided(placebo, config, placebo.metrics(config, travelled))


@pytest.fixture(scope="module")
def shams() -> list[list[Verdict]]:
    return [experiment(0.0, number) for number in range(EXPERIMENTS)]


@pytest.fixture(scope="module")
def implants() -> list[list[Verdict]]:
    """The effect is implanted beyond the margin of the second claim, and lies on the
    margin of tie and apart for the first.
    """
    return [experiment(EFFECT, number) for number in range(EXPERIMENTS, 2 * EXPERIMENTS)]


def share(experiments: list[list[Verdict]], name: str, status: str) -> float:
    """Of all experiments, those in which the claim of that name has this status."""
    index = [declared.name for declared in placebo.claims].index(name)
    return float(np.mean([verdicts[index].status == status for verdicts in experiments]))


def at_most(probability: float) -> float:
    """A probability and three binomial standard errors."""
    return probability + 3 * math.sqrt(probability * (1 - probability) / EXPERIMENTS)


@pytest.mark.parametrize("name", ["better", "worse", "best"])
def test_shams_are_seldom_supported(shams: list[list[Verdict]], name: str) -> None:
    assert share(shams, name, "supported") <= at_most(0.025)


@pytest.mark.parametrize("name", ["better", "worse", "best"])
def test_shams_are_seldom_contradicted(shams: list[list[Verdict]], name: str) -> None:
    assert share(shams, name, "contradicted") <= at_most(0.025)


def test_the_level_is_used_up(shams: list[list[Verdict]]) -> None:
    """Rates far under the level would mean intervals too wide, and seeds spent for
    nothing.
    """
    assert share(shams, "better", "supported") + share(
        shams, "better", "contradicted"
    ) >= 0.05 - 3 * math.sqrt(0.05 * 0.95 / EXPERIMENTS)


def test_the_printed_power_is_the_share_of_implanted_effects_that_are_found(
    implants: list[list[Verdict]],
) -> None:
    assert share(implants, "better", "supported") == pytest.approx(0.8, abs=0.05)
    assert share(implants, "better by a margin", "supported") == pytest.approx(
        power(EFFECT - MARGIN, DEVIATION, SEEDS), abs=0.05
    )
    assert share(implants, "worse", "supported") <= 0.001


def test_an_effect_on_the_margin_is_seldom_a_tie_and_seldom_apart(implants: list[list[Verdict]]) -> None:
    assert share(implants, "tie", "supported") <= at_most(0.05)
    assert share(implants, "tie", "supported") >= 0.01
    assert share(implants, "tie", "contradicted") <= at_most(0.025)
    assert share(implants, "apart", "supported") <= at_most(0.025)


def test_the_smallest_effect_that_is_printed_is_the_one_with_that_power(
    implants: list[list[Verdict]],
) -> None:
    printed = np.array([verdicts[0].smallest_effect for verdicts in implants])
    assert np.sqrt(np.mean(printed**2)) == pytest.approx(EFFECT, rel=0.05)  # its square is unbiased


def test_intervals_cover_the_implanted_effect(implants: list[list[Verdict]]) -> None:
    intervals = [verdicts[0].estimates[0].interval for verdicts in implants]
    covered = np.mean([interval.low <= EFFECT <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=3 * math.sqrt(0.05 * 0.95 / EXPERIMENTS))


def test_without_noise_the_arms_are_the_same_bit_for_bit_and_nothing_is_claimed() -> None:
    config = PlaceboConfig(noise=0.0)
    columns = placebo.metrics(config, list(placebo.run(config, range(SEEDS))))
    assert np.array_equal(columns["plain_accuracy"], columns["treated_accuracy"])
    statuses = [verdict.status for verdict in runs.decided(placebo, config, columns)]
    assert statuses == ["undecided", "contradicted", "undecided", "supported", "contradicted", "undecided"]


@pytest.mark.parametrize("number", range(3))
def test_a_study_decides_as_the_run_does(number: int) -> None:
    config, seeds = PlaceboConfig(effect=EFFECT), tuple(range(number * SEEDS, (number + 1) * SEEDS))
    study = Study(
        "live",
        tuple(Cell(declared.name, config, {arm: arm for arm in ARMS}) for declared in placebo.claims),
        seeds,
    )
    subject = dataclasses.replace(placebo, studies=(study,))
    columns = placebo.metrics(config, list(placebo.run(config, seeds)))
    outcome = {
        "metrics": {name: column.tolist() for name, column in columns.items()},
        "failed": {},
        "seconds": 0.0,
    }
    from_rows = studies.verdicts(subject, study, studies.rows(study, {config.key(): outcome}))
    assert from_rows == [verdict.as_json() for verdict in runs.decided(placebo, config, columns)]
