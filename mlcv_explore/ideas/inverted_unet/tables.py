"""Tables of the Answer act beyond the claims, from the rows of a study: numbers only."""

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.inverted_unet.claims import COMPARED, LABELS, LEVEL_ARMS
from mlcv_explore.statistics import Interval

LEVELS_NOTE = (
    "Explained variance of the object after 800 updates; 95 % intervals, not corrected for their number."
    " Sizes after zlib. Demo networks: one seed, 2,000 updates, half as many images again. Edges explain"
    " most of the background and little of the object."
)
ARMS_NOTE = (
    "Every arm, given the class mask. Gradient energy below 1 is blur. Segmenter and classifier are trained"
    " on true images; the true image's row is their bound, chance for the texture is 25 %. Best-of-5 arms"
    " choose by the true image."
)


def arm_columns(table: Table) -> dict[str, np.ndarray]:
    """Every measure of every arm given the class mask: {"<arm>_<measure>": (S,)}."""
    pairs = dict.fromkeys((row["arm"], row["measure"]) for row in table.rows if row["claim"] == "arms")
    return {f"{arm}_{measure}": table.values("arms", arm, measure) for arm, measure in pairs}


def level_values(table: Table, level: str) -> dict[str, np.ndarray]:
    """Explained variance of ceiling, U-Net and region means at a level, (S,) each; no
    ceiling where it is unknown.
    """
    known = set(table.arms("ladder"))
    arms = [arm for arm in ("ceiling", "l2", "region") if f"{level}_{arm}" in known]
    return {arm: table.values("ladder", f"{level}_{arm}", "explained") for arm in arms}


def levels(table: Table) -> dict[str, list[Interval | str]]:
    """Size of the input and explained variance at every conditioning level, a column an
    arm; "unknown" where there is no ceiling.
    """
    known = set(table.arms("ladder"))

    def column(arm: str, measure: str = "explained") -> list[Interval | str]:
        return [
            table.interval("ladder", f"{level}_{arm}", measure) if f"{level}_{arm}" in known else "unknown"
            for level in LEVEL_ARMS
        ]

    return {
        "Network input": [LABELS[level] for level in LEVEL_ARMS],
        "Size (bytes)": [f"{size.mean:.0f}" for size in column("l2", "bytes")],
        **{f"{LABELS[arm]} (%)": column(arm) for arm in COMPARED},
        "Background, U-Net (%)": column("l2", "background"),
    }
