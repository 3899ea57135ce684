"""What Train shows of a run's frames. Numbers only."""

from collections.abc import Mapping

import numpy as np

from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas import learned_salience as own
from mlcv_explore.ideas.learned_salience import ARMS, ORDER, Frame, arms
from mlcv_explore.ideas.learned_salience import LearnedSalienceConfig as Experiment
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
    rows = [{"arm": "learned", "minus": arm} for arm in (*own.METHODS, *own.CONTROLS)]
    columns = {head: {"claim": cell, "measure": measure} for head, (cell, measure) in LEADS.items()}
    return {"Learned mask −": [labels[row["minus"]] for row in rows]} | table.cross(rows, columns)


def orders(table: Table, labels: Mapping[str, str]) -> dict[str, list[Interval | str]]:
    """Head → what each arm on the order of two tasks reaches, a row for each length of
    its training; arms by `labels`.
    """
    lengths = {"orders_600": 600, "orders": 1200}
    rows = [{"claim": claim, "arm": arm} for arm in ORDER for claim in lengths]
    rows.remove({"claim": "orders", "arm": "classify_half"})  # it is "classify only" of the shorter one
    half = {"claim": "orders_600", "arm": "classify_half"}
    updates = [lengths[row["claim"]] // (2 if row == half else 1) for row in rows]
    shown = [labels["classify_only" if row == half else row["arm"]] for row in rows]
    heads = {"Swapped backgrounds (%)": "swapped", "Accuracy (%)": "accuracy", "IoU (%)": "iou"}
    named = {"Arm": shown, "Updates of the encoder": [*map(str, updates)]}
    return named | table.cross(rows, {head: {"measure": name} for head, name in heads.items()})


def training_curves(config: Experiment, film: Film) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Curves (S, T) of every arm in each experiment's latest training: {(experiment,
    name of the curve): {arm: curve}}.
    """
    count, latest = own.frames_per_stage(config), {}
    stages = [(name, index) for name in own.experiments(config) for index in range(own.STAGES[name])]
    for place, stage in enumerate(stages):
        if stage in TRAINING and (frames := film[place * count : (place + 1) * count]):
            latest[stage[0]] = (series(frames, "curves"), *TRAINING[stage])  # (S, T, A, C)
    curves: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for name, (values, names, titles) in latest.items():
        for index, title in enumerate(titles):
            every = {arm: values[:, :, ARMS.index(arm), index] for arm in names if arm in arms(config)}
            if shown := {arm: curve for arm, curve in every.items() if curve.any()}:
                curves[name, title] = shown
    return curves


def measured(config: Experiment, film: Film, measure: str) -> dict[str, np.ndarray]:
    """A measure (S,) of every arm that has it; empty while it is not measured."""
    columns = own.metrics(config, film)
    known = [arm for arm in arms(config) if measure in own.measures_of(config, arm)]
    values = {arm: columns[f"{arm}_{measure}"] for arm in known}
    return values if np.any([*values.values()]) else {}


def shown_maps(frame: Frame) -> dict[str, np.ndarray]:
    """The maps (h, w) float64 of the first seed's scene, up to 127, by arm."""
    maps = {arm: frame.shown[0, index].astype(float) for index, arm in enumerate(ARMS)}
    return {arm: values for arm, values in maps.items() if values.any()}
