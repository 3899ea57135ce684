"""What Train shows of a run's frames. Numbers only."""

from collections.abc import Mapping

import numpy as np

from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.learned_salience import (
    ARMS,
    CONTROLS,
    METHODS,
    ORDER,
    STAGES,
    Frame,
    LearnedSalienceConfig,
    arms,
    experiments,
    frames_per_stage,
    measures_of,
    metrics,
)
from mlcv_explore.statistics import Interval

ACCURACIES = ("accuracy", "accuracy, swapped backgrounds", "IoU with the object")
AGREEMENTS = ("class kept by the mask", "class kept by the complement", "mean of the mask")
TRAINING = {  # experiment, stage → arms, names of their curves in the order of CURVES
    ("salience", 0): (("classifier",), ACCURACIES),
    ("salience", 1): (("learned",), AGREEMENTS),
    ("order", 0): (ORDER, ACCURACIES),
}

CELLS = {  # study → its cells and their titles
    "live": {
        "silhouettes": "Classifiers that use the silhouette",
        "tagged": "Classifiers that read the tag",
        "texture": "Classifiers that use the texture",
    },
    "photographs": {"maps": "Maps of the ImageNet network, on photographs"},
}
ON = {"live": "scenes", "photographs": "objects pasted on photographs, held out"}  # study → its images
LEADS = {  # head → cell, measure
    "On the object": ("silhouettes", "mass"),
    "Maximum on it": ("silhouettes", "pointing"),
    "Faithful": ("silhouettes", "faithful"),
    "Faithful, noise fill": ("silhouettes", "noisy"),
    "On the tag": ("tagged", "tag"),
}


def leads(table: Table, labels: Mapping[str, str]) -> dict[str, list[Interval | str]]:
    """Head → the learned mask's lead over every other map, in the rows of scenes; the
    first column names the maps by `labels`.
    """
    rows = [{"arm": "learned", "minus": arm} for arm in (*METHODS, *CONTROLS)]
    columns = {head: {"claim": cell, "measure": measure} for head, (cell, measure) in LEADS.items()}
    return {"Learned mask −": [labels[row["minus"]] for row in rows]} | table.cross(rows, columns)


def orders(table: Table, labels: Mapping[str, str]) -> dict[str, list[Interval | str]]:
    """Head → what each arm on the order of two tasks reaches, a row for each length of
    its training; arms by `labels`.
    """
    rows, named = [], {"Arm": [], "Updates of the encoder": []}
    for arm in ORDER:
        for claim, updates in {"orders_600": 600, "orders": 1200}.items():
            half = arm == "classify_half"
            if not half or updates == 600:  # half of the longer one is "classify only" of the shorter
                rows.append({"claim": claim, "arm": arm})
                named["Arm"].append(labels["classify_only" if half else arm])
                named["Updates of the encoder"].append(str(updates // 2 if half else updates))
    heads = {"Swapped backgrounds (%)": "swapped", "Accuracy (%)": "accuracy", "IoU (%)": "iou"}
    return named | table.cross(rows, {head: {"measure": name} for head, name in heads.items()})


def training_curves(
    config: LearnedSalienceConfig, film: Film
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Curves (S, T) of every arm in each experiment's latest training: {(experiment,
    name of the curve): {arm: curve}}.
    """
    count, latest = frames_per_stage(config), {}
    stages = [(name, index) for name in experiments(config) for index in range(STAGES[name])]
    for place, stage in enumerate(stages):
        if stage in TRAINING and (frames := film[place * count : (place + 1) * count]):
            latest[stage[0]] = (series(frames, "curves"), *TRAINING[stage])  # (S, T, A, C)
    curves = {
        (name, title): {arm: values[:, :, ARMS.index(arm), index] for arm in names if arm in arms(config)}
        for name, (values, names, titles) in latest.items()
        for index, title in enumerate(titles)
    }
    shown = {
        key: {arm: curve for arm, curve in by_arm.items() if curve.any()} for key, by_arm in curves.items()
    }
    return {key: by_arm for key, by_arm in shown.items() if by_arm}


def measured(config: LearnedSalienceConfig, film: Film, measure: str) -> dict[str, np.ndarray]:
    """A measure (S,) of every arm that has it; empty while it is not measured."""
    names, columns = (
        [arm for arm in arms(config) if measure in measures_of(config, arm)],
        metrics(config, film),
    )
    measures = {arm: columns[f"{arm}_{measure}"] for arm in names}
    return measures if any(values.any() for values in measures.values()) else {}


def shown_maps(frame: Frame) -> dict[str, np.ndarray]:
    """The maps (h, w) float64 of the first seed's scene, up to 127, by arm."""
    maps = {arm: frame.shown[0, index].astype(float) for index, arm in enumerate(ARMS)}
    return {arm: values for arm, values in maps.items() if values.any()}
