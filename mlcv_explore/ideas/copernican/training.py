"""What one part of a run computes for one seed."""

import numpy as np

from mlcv_explore.ideas.copernican import SHOWN, CopernicanConfig
from mlcv_explore.ideas.copernican.forecasts import LEVELS, MEASURES, METHODS, STOPS, evaluate
from mlcv_explore.ideas.copernican.learners import RULES, regrets
from mlcv_explore.ideas.copernican.lifetimes import SIMULATED, coverage
from mlcv_explore.models.learning_curves import KINDS, LONGEST, draw_curves
from mlcv_explore.seeds import numpy_stream


def compute(config: CopernicanConfig, part: str, seed: int, keep_curves: bool) -> dict[str, np.ndarray]:
    """A frame's arrays of one part and seed, without the seed axis; other parts' are 0."""
    sizes: dict[str, tuple[int, ...]] = {
        "simulated": (len(SIMULATED), len(LEVELS) + 1),
        "calibration": (len(STOPS), len(LEVELS)),
        "measured": (len(STOPS), len(METHODS), len(MEASURES)),
        "unused": (),
        "regret": (len(RULES),),
        "fits": (len(RULES),),
        "shown": (SHOWN, LONGEST + 1),
    }
    arrays = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
    arrays["lengths"] = np.zeros((SHOWN, 2), np.int32)
    if part == "lives":
        levels = np.append(LEVELS, config.confidence)
        arrays["simulated"][:] = [
            coverage(
                law, way, levels, config.lifetimes, numpy_stream(seed, f"{law} lives inspected by {way}")
            )
            for law, way in SIMULATED
        ]
    elif part in KINDS:
        rng = numpy_stream(seed, f"curves of {part}")
        drawn, unused = draw_curves(part, config.curves, config.rounds, rng)
        arrays["measured"][:], arrays["calibration"][:] = evaluate(drawn, config.confidence, part != "epochs")
        arrays["unused"] = np.float32(unused / (unused + len(drawn)))
        for place, curve in enumerate(drawn[: SHOWN if keep_curves else 0]):
            steps = len(curve.past)
            arrays["shown"][place, : steps + 1] = curve.progress / curve.progress[-1]
            arrays["lengths"][place] = steps, curve.horizon
    else:
        rng = numpy_stream(seed, f"problems of {part}")
        arrays["regret"][:], arrays["fits"][:] = regrets(part, config.problems, rng)
    return arrays
