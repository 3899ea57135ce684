"""The run of idea 19: simulated lives, the real curves of every kind, the three
learners; a frame each.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from mlcv_explore.ideas.copernican import LIVES, SHOWN, CopernicanConfig, Frame, parts
from mlcv_explore.ideas.copernican.forecasts import LEVELS, MEASURES, METHODS, STOPS, measured
from mlcv_explore.ideas.copernican.growth import KINDS, LONGEST, Curve, curves
from mlcv_explore.ideas.copernican.learners import RULES, regrets
from mlcv_explore.ideas.copernican.lives import coverage
from mlcv_explore.seeds import numpy_stream


def run(config: CopernicanConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """One frame a part, all seeds in each. Every part of a seed has a stream of its
    own, so that none moves another.
    """
    wanted = parts(config)
    for step, part in enumerate(wanted, start=1):
        found = [of_part(config, part, seed, place == 0) for place, seed in enumerate(seeds)]
        yield Frame(
            step,
            len(wanted),
            part,
            **{name: np.stack([values[name] for values in found]) for name in found[0]},
        )


def of_part(config: CopernicanConfig, part: str, seed: int, shown: bool) -> dict[str, np.ndarray]:
    """What one seed adds to a frame, without the seed axis; its first curves too where
    `shown` says so.
    """
    made = empty()
    if part == "lives":
        levels = np.append(LEVELS, config.confidence)
        found = [
            coverage(law, way, levels, config.lives, numpy_stream(seed, f"{law} lives inspected by {way}"))
            for law, way in LIVES
        ]
        made["simulated"][:] = found
    elif part in KINDS:
        grown, unused = curves(part, config.curves, config.rounds, numpy_stream(seed, f"curves of {part}"))
        made["measured"][:], made["calibration"][:] = measured(grown, config.confidence, part != "epochs")
        made["unused"] = np.float32(unused / (unused + len(grown)))
        for place, curve in enumerate(grown[: SHOWN if shown else 0]):
            show(made, place, curve)
    else:
        made["regret"][:], made["fits"][:] = regrets(
            part, config.problems, numpy_stream(seed, f"problems of {part}")
        )
    return made


def empty() -> dict[str, np.ndarray]:
    """Nothing yet, in the shapes of a frame without the seed axis."""
    sizes: dict[str, tuple[int, ...]] = {
        "simulated": (len(LIVES), len(LEVELS) + 1),
        "calibration": (len(STOPS), len(LEVELS)),
        "measured": (len(STOPS), len(METHODS), len(MEASURES)),
        "unused": (),
        "regret": (len(RULES),),
        "fits": (len(RULES),),
        "shown": (SHOWN, LONGEST + 1),
        "signals": (SHOWN, LONGEST + 1),
    }
    return {name: np.zeros(size, np.float32) for name, size in sizes.items()} | {
        "lengths": np.zeros((SHOWN, 2), np.int32)
    }


def show(made: dict[str, np.ndarray], place: int, curve: Curve) -> None:
    """Keep a curve to be played with."""
    steps = len(curve.importance) - 1
    made["shown"][place, : steps + 1] = curve.importance / curve.importance[-1]
    made["signals"][place, : steps + 1] = curve.signal / max(curve.signal[-1], 1e-12)
    made["lengths"][place] = steps, curve.horizon
