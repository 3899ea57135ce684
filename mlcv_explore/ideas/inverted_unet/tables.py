"""Tables of the Answer act beyond the claims, from the rows of a study: numbers only."""

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.inverted_unet import idea
from mlcv_explore.ideas.inverted_unet.claims import COMPARED, LEVEL_ARMS
from mlcv_explore.statistics import Interval

LEVELS_NOTE = (
    "Explained variance of the object after 800 updates; 95 % intervals, not corrected for their number."
    " Sizes after zlib. A dash: unknown. Demo networks: one seed, 2,000 updates, half as many images again."
    " Edges explain most of the background and little of the object."
)
ARMS_NOTE = (
    "Every arm, given the class mask. Gradient energy below 1 is blur. Segmenter and classifier are trained"
    " on true images; the true image's row is their bound, chance for the texture is 25 %. Best-of-5 arms"
    " choose by the true image."
)


def level_values(table: Table, level: str) -> dict[str, np.ndarray]:
    """Explained variance of ceiling, U-Net and region means at a level, (S,) each; no
    ceiling where it is unknown.
    """
    columns = table.columns("ladder")
    names = {arm: f"{level}_{arm}_explained" for arm in ("ceiling", "l2", "region")}
    return {arm: columns[name] for arm, name in names.items() if name in columns}


def levels(table: Table) -> dict[str, list[Interval | str]]:
    """Size of the input and explained variance at every conditioning level, a column an
    arm; a dash where there is no ceiling.
    """
    columns = {
        "Size (bytes)": ("l2", "bytes"),
        **{f"{idea.label(arm)} (%)": (arm, "explained") for arm in COMPARED},
        "Background, U-Net (%)": ("l2", "background"),
    }
    cells = {"Network input": [idea.label(level) for level in LEVEL_ARMS]}
    for head, (arm, measure) in columns.items():
        rows = [{"arm": f"{level}_{arm}"} for level in LEVEL_ARMS]
        cells |= table.cross(rows, {head: {"claim": "ladder", "measure": measure}})
    return cells
