"""Arrays and tables that the page draws: a run's losses and codes from its frames, and
what Answer shows beyond the claims, from the rows of a study.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlcv_explore.data.catalogue import CATALOGUE, DIGITS
from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_representation import BASES, VARIATIONS
from mlcv_explore.ideas.hierarchical_representation import idea as subject
from mlcv_explore.ideas.hierarchical_representation.settings import (
    ARMS,
    LEARNERS,
    MAPPED,
    SHADES,
    Frame,
    HierarchicalRepresentationConfig,
    split_sizes,
)
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
MOST_NAMED = 10  # classes
COMPARED = ("global", "greedy_code", "greedy_pixels", "pca")  # under each variation
STUDIES = {  # study → its title, coarse classes, and the lowest accuracy on its charts
    "live": ("Handwritten digits", "Three coarse classes: round, straight, bent", 0.5),
    "photographs": ("Features of photographs", "Two coarse classes: vehicles, animals", 0.2),
}
NOTES = (  # on the tables of Answer: levels, learners, original code, variations
    "Probe accuracy with ten labels per class; 95 % intervals, not corrected for their number."
    " Error: of the standardised input. PCA and k-means are fitted in one piece.",
    f"All at equal width, trained level by level; {100 * REPLACES:g} points lower is too much.",
    "The errors of the author's code, one by one.",
    "Top level, one setting changed; intervals for redrawn splits are the wider, corrected ones.",
)


def depth_note(film: Film, config: HierarchicalRepresentationConfig, seeds: int) -> str:
    """What is drawn over depth, of how many seeds and of which data."""
    known = CATALOGUE.get(config.dataset)
    return (
        f"Linear probe, {config.labels} labels per class, epoch {film[-1].probed}. Level 0: the input."
        f" n = {seeds} seeds. Data: {known.title if known else config.dataset}."
    )


def class_key(config: HierarchicalRepresentationConfig) -> str:
    """The classes that the numbers on a map stand for, after a comma; "" where the
    numbers are their names or the classes are many or an own folder's.
    """
    known = CATALOGUE.get(config.dataset)
    if known is None or known.classes == DIGITS or len(known.classes) > MOST_NAMED:
        return ""
    return ", " + ", ".join(f"{number} {name}" for number, name in enumerate(known.classes))


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
    place = MAPPED.index(arm)
    return [
        (points, shown[:, 0] / SHADES if shown.any() and shown.shape[1] == 1 else shown[:0, 0])
        for points, shown in zip(frame.places[0, place], frame.shown[0, place], strict=True)
    ]


def study_depth(table: Table, measure: str, arms: Sequence[str] = ARMS) -> dict[str, np.ndarray]:
    """Accuracy (S, 1 + L) of each arm in the study, from the input up; `measure` is
    "level" for fine classes, "coarse" for coarse ones.
    """
    columns = table.columns("arms")
    pixels = columns[f"pixels_{measure}".replace("level", "accuracy")]
    levels = range(1, LEVELS + 1)
    return {arm: np.stack([pixels, *(columns[f"{arm}_{measure}{at}"] for at in levels)], 1) for arm in arms}


def levels(table: Table) -> Columns:
    """Every arm: accuracy at each level, on coarse classes, and error from the top."""
    heads = {f"Level {level} (%)": f"level{level}" for level in range(1, LEVELS + 1)}
    heads |= {f"Coarse, level {level} (%)": f"coarse{level}" for level in (1, LEVELS)}
    heads[f"Error, level {LEVELS}"] = f"error{LEVELS}"
    rows = [{"claim": "arms", "arm": arm} for arm in ARMS]
    updates = [f"{table.values(**row, measure='updates').mean():.0f}" for row in rows]
    measured = table.cross(rows, {head: {"measure": measure} for head, measure in heads.items()})
    return {"Arm": [subject.label(arm) for arm in ARMS], **measured, "Updates per encoder": updates}


def replaces(difference: Interval) -> str:
    """Whether a learner can replace the autoencoder, from its difference to it."""
    if difference.low > 0:
        return "yes, better"
    if difference.low > -REPLACES:
        return "yes"
    return "no" if difference.high < -REPLACES else "unclear"


def learners(table: Table) -> Columns:
    """The learners against the autoencoder, and the assumption each breaks."""
    rows = [{"claim": "arms", "arm": arm, "measure": "accuracy"} for arm in ("greedy_code", *LEARNERS)]
    differences = table.cross(rows[1:], {"difference": {"minus": "greedy_code"}})["difference"]
    return {
        "Learner": ["Autoencoder", *map(subject.label, LEARNERS)],
        **table.cross(rows, {"Top level (%)": {}}),
        "Minus autoencoder (points)": ["–", *differences],
        "Can replace it": ["–", *map(replaces, differences)],
        "Assumption it breaks": [ASSUMPTIONS[row["arm"]] for row in rows],
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


def details(table: Table, study: str, unreached: int, parameters: int) -> list[tuple[Columns, str]]:
    """The tables of one study, each with its note."""
    shown = levels(table), learners(table), original_code(table, unreached, parameters)
    return list(zip((*shown, variations(table, study)), NOTES, strict=True))


def variations(table: Table, study: str = "live") -> Columns:
    """The headline with one setting changed at a time."""
    changes = VARIATIONS[study]
    texts = (", ".join(f"{name} {value}" for name, value in change.items()) for change in changes)
    columns: Columns = {"Changed": [text or "–" for text in texts]}
    for config in (BASES[study].replace(**change) for change in changes):
        settings = {name: getattr(config, name) for change in changes for name in change}
        values = {arm: table.values("varied", arm, "accuracy", **settings) for arm in COMPARED}
        cells = {f"{subject.label(arm)} (%)": own for arm, own in values.items()}
        for arm, name in (("greedy_code", "Layer-wise"), ("greedy_pixels", "Input target")):
            cells[f"{name} − end-to-end (points)"] = values[arm] - values["global"]
        for head, own in cells.items():  # a redrawn split has the wider, corrected interval
            columns.setdefault(head, []).append(interval(own, split_sizes(config)))
    return columns
