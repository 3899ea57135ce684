"""What Train and Answer show: curves and measures of a run's frames, and the cells of a
study. Numbers only.
"""

import numpy as np

from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.learned_salience import (
    ARMS,
    CLASSIFIERS,
    DETECT,
    MASKERS,
    MEASURES,
    ORDER,
    Frame,
    LearnedSalienceConfig,
    arms,
    measures_of,
    stages,
)

CELLS = {  # cell of the study → what it is
    "honest": "Classifiers that use the object",
    "tagged": "Classifiers that read the tag",
    "textures": "The class is the texture",
    "encoder": "Two tasks, equal encoder updates",
    "task": "Two tasks, equal updates per task",
    "boxes": "Box heads, uninformative backgrounds",
}
ACCURACIES = ("accuracy", "accuracy, swapped backgrounds", "IoU with the object")
AGREEMENTS = ("class kept by the mask", "class kept by the complement", "mean of the mask")
TRAINING = {  # experiment, stage → arms, names of their curves in the order of CURVES
    ("salience", 0): (CLASSIFIERS, ACCURACIES),
    ("salience", 1): (MASKERS, AGREEMENTS),
    ("order", 0): (ORDER, ACCURACIES),
    ("boxes", 0): (("classify_only", *DETECT), ACCURACIES),
}


def cell_columns(table: Table, cell: str) -> dict[str, np.ndarray]:
    """Every measure of every arm of a cell: {"<arm>_<measure>": (S,)} for S seeds."""
    pairs = dict.fromkeys((row["arm"], row["measure"]) for row in table.rows if row["claim"] == cell)
    return {f"{arm}_{measure}": table.values(cell, arm, measure) for arm, measure in pairs}


def training_curves(
    config: LearnedSalienceConfig, film: Film
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Curves (S, T) of every arm in each experiment's latest training: {(experiment,
    name of the curve): {arm: curve}}.
    """
    begun = [each for each in stages(config, film) if each[:2] in TRAINING]
    latest = {experiment: (TRAINING[experiment, stage], frames) for experiment, stage, frames in begun}
    found = {}
    for experiment, ((names, titles), frames) in latest.items():
        values = series(frames, "curves")  # (S, T, A, C)
        for index, title in enumerate(titles):
            curves = {arm: values[:, :, ARMS.index(arm), index] for arm in names if arm in arms(config)}
            found[experiment, title] = {arm: curve for arm, curve in curves.items() if curve.any()}
    return {key: curves for key, curves in found.items() if curves}


def measured(config: LearnedSalienceConfig, frame: Frame, measure: str) -> dict[str, np.ndarray]:
    """A measure (S,) of every arm that has it; empty while it is not measured."""
    found = {
        arm: frame.measured[:, ARMS.index(arm), MEASURES.index(measure)].astype(float)
        for arm in arms(config)
        if measure in measures_of(config, arm)
    }
    return found if any(values.any() for values in found.values()) else {}


def shown_maps(frame: Frame) -> dict[str, np.ndarray]:
    """The maps (h, w) float64 of the first seed's scene, up to 127, by arm."""
    maps = {arm: frame.shown[0, index].astype(float) for index, arm in enumerate(ARMS)}
    return {arm: values for arm, values in maps.items() if values.any()}
