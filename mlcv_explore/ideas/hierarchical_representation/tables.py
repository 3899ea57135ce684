"""Arrays and tables that the page draws: a run's curves and codes from its frames, and
what Answer shows beyond the claims, from the rows of a study.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_representation import (
    ARMS,
    LEARNERS,
    MAPPED,
    SHADES,
    VARIATIONS,
    Frame,
    HierarchicalRepresentationConfig,
    decodes,
    depth_curve,
    split_sizes,
)
from mlcv_explore.ideas.hierarchical_representation import idea as subject
from mlcv_explore.statistics import Interval, interval

Columns = dict[str, list[Any]]  # head, with its unit → cells: text or Interval
LEVELS = 3  # of the study
LEVEL_ROLES = ("idea", "variant", "other", "control", "oracle")  # in the colour language
REPLACES = 0.02  # accuracy by which a learner may be worse than the autoencoder and still replace it
ASSUMPTIONS = {  # learner → which assumption behind "any unsupervised learner" it breaks
    "greedy_code": "None: it decodes, its code is continuous and differentiable.",
    "denoising": "Training and test inputs agree: it trains on noisy inputs and encodes clean ones.",
    "contrastive": "It reconstructs: there is no decoder, and invariances must be chosen.",
    "pca": "Stacking adds capacity: it is linear, so a second level only rotates the first.",
    "kmeans": "It is differentiable: no gradient passes through it, so one loss cannot train two levels.",
}
VARIED = ("global", "greedy_code", "greedy_pixels", "pca")


def run_depth(frame: Frame, arms: Sequence[str]) -> dict[str, np.ndarray]:
    """Accuracy (S, 1 + L) of each arm in a run, from the pixels up."""
    return {arm: depth_curve(frame, arm) for arm in dict.fromkeys(arms)}


def run_losses(film: Film, arm: str) -> tuple[np.ndarray, dict[str, tuple[str, np.ndarray]]]:
    """Epochs (T,) after the start, and of each loss that an arm has its role in the
    colour language and its values (S, T).
    """
    losses = series(film[1:], "loss")[:, :, ARMS.index(arm)]  # (S, T, L + 1)
    names = [*(f"level {level}" for level in range(1, losses.shape[2])), "end-to-end"]
    roles = [*LEVEL_ROLES[: losses.shape[2] - 1], "baseline"]
    columns = zip(names, roles, np.moveaxis(losses, 2, 0), strict=True)
    shown = {name: (role, values) for name, role, values in columns if values.any()}
    return series(film[1:], "step").astype(float), shown


def run_codes(frame: Frame, arm: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each level, from the first seed: validation codes on two components (n, 2),
    and grey reconstructions (m, h, w), standardised; none where nothing decodes.
    """
    place, levels = MAPPED.index(arm), []
    for points, shown in zip(frame.places[0, place], frame.shown[0, place], strict=True):
        grey = shown[:, 0] / SHADES if shown.any() and shown.shape[1] == 1 else shown[:0, 0]
        levels.append((points, grey))
    return levels


def study_depth(table: Table, measure: str, arms: Sequence[str] = ARMS) -> dict[str, np.ndarray]:
    """Accuracy (S, 1 + L) of each arm in the study, from the pixels up; `measure` is
    "level" for fine classes, "coarse" for coarse ones.
    """
    pixels = table.values("arms", "pixels", "accuracy" if measure == "level" else measure)
    return {
        arm: np.stack(
            [pixels, *(table.values("arms", arm, f"{measure}{level + 1}") for level in range(LEVELS))], axis=1
        )
        for arm in arms
    }


def details(table: Table, unreached: int, parameters: int) -> dict[str, tuple[Columns, str]]:
    """Key → a table of Answer and its note; in the original code `unreached` of
    `parameters` get no gradient.
    """
    return {
        "levels": (
            levels(table),
            "Probe accuracy with ten labels per class; 95 % intervals, not corrected for their number. Error:"
            " of standardised pixels. PCA and k-means are fitted in one piece.",
        ),
        "learners": (
            learners(table),
            f"All at equal width, trained level by level; {100 * REPLACES:g} points lower is too much.",
        ),
        "original": (
            original_code(table, unreached, parameters),
            "The errors of the author's code, one by one.",
        ),
        "variations": (
            variations(table),
            "Top level, one setting changed; intervals for redrawn splits are the wider, corrected ones.",
        ),
    }


def levels(table: Table) -> Columns:
    """Every arm: accuracy at each level, on coarse classes, and error from the top."""
    columns: Columns = {"Arm": [subject.label(arm) for arm in ARMS]}
    heads = {f"level{level}": f"Level {level} (%)" for level in range(1, LEVELS + 1)}
    heads |= {"coarse1": "Coarse, level 1 (%)", f"coarse{LEVELS}": f"Coarse, level {LEVELS} (%)"}
    for measure, head in heads.items():
        columns[head] = [table.interval("arms", arm, measure) for arm in ARMS]
    columns[f"Error, level {LEVELS}"] = [
        table.interval("arms", arm, f"error{LEVELS}") if decodes(arm, LEVELS - 1, LEVELS) else "–"
        for arm in ARMS
    ]
    updates = [table.values("arms", arm, "updates").mean() for arm in ARMS]
    return columns | {"Updates per encoder": [f"{count:.0f}" for count in updates]}


def replaces(difference: Interval) -> str:
    """Whether a learner can replace the autoencoder, from its difference to it."""
    if difference.low > 0:
        return "yes, better"
    if difference.low > -REPLACES:
        return "yes"
    return "no" if difference.high < -REPLACES else "unclear"


def learners(table: Table) -> Columns:
    """The learners against the autoencoder, and the assumption each breaks."""
    differences = [table.difference("arms", name, "greedy_code", "accuracy") for name in LEARNERS]
    names = ("greedy_code", *LEARNERS)
    return {
        "Learner": ["Autoencoder", *(subject.label(name) for name in LEARNERS)],
        "Top level (%)": [table.interval("arms", name, "accuracy") for name in names],
        "Minus autoencoder (points)": ["–", *differences],
        "Can replace it": ["–", *map(replaces, differences)],
        "Assumption it breaks": [ASSUMPTIONS[name] for name in names],
    }


def original_code(table: Table, unreached: int, parameters: int) -> Columns:
    """The four errors of the author's code one by one; `unreached` of `parameters` get
    no gradient.
    """
    names = ("committed", "committed_shifted", "committed_frozen", "global")
    top, shifted, frozen, repaired = (table.interval("arms", arm, "accuracy").text("%") for arm in names)
    error, linear = (table.interval("arms", arm, f"error{LEVELS}").text() for arm in ("committed", "global"))
    effects = {
        "Own decoders discarded": f"{unreached:,} of {parameters:,} parameters get no gradient (in the"
        " author's network 93,123 of 279,494); accuracy is unchanged",
        "ReLU on the output": f"error {error} instead of {linear}, accuracy {top} instead of {repaired}",
        "Probe's weight frozen": f"top level {frozen} instead of {top}",
        "Probes one level too low": f"the top level's number is the second level's, {shifted}",
    }
    return {"Error": list(effects), "Effect": list(effects.values())}


def variations(table: Table) -> Columns:
    """The headline with one setting changed at a time."""
    columns: Columns = {"Changed": []}
    for change in VARIATIONS:
        config = HierarchicalRepresentationConfig(**change)
        settings = {name: getattr(config, name) for name in ("split", "epochs", "width", "labels", "levels")}
        values = {arm: table.values("varied", arm, "accuracy", **settings) for arm in VARIED}
        cells = {f"{subject.label(arm)} (%)": own for arm, own in values.items()}
        for arm, name in (("greedy_code", "Layer-wise"), ("greedy_pixels", "Pixel target")):
            cells[f"{name} − end-to-end (points)"] = values[arm] - values["global"]
        columns["Changed"].append(", ".join(f"{name} {value}" for name, value in change.items()) or "–")
        for head, own in cells.items():  # a redrawn split has the wider, corrected interval
            columns.setdefault(head, []).append(interval(own, split_sizes(config)))
    return columns
