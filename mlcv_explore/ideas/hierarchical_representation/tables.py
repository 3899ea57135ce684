"""Arrays and tables that the page draws: a run's losses and codes from its frames, and
what Answer shows beyond the claims, from the rows of a study.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlcv_explore.data.catalogue import CATALOGUE
from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.hierarchical_representation import BASES, VARIATIONS
from mlcv_explore.ideas.hierarchical_representation import idea as subject
from mlcv_explore.ideas.hierarchical_representation import settings as names
from mlcv_explore.ideas.hierarchical_representation.settings import ARMS, LEARNERS, LENGTHS, Frame
from mlcv_explore.ideas.hierarchical_representation.settings import HierarchicalRepresentationConfig as Config
from mlcv_explore.statistics import Interval

Columns = dict[str, list[Any]]  # head, with its unit → cells: text or Interval
LEVELS = 3  # of the study
REPLACES = 0.02  # accuracy by which a learner may be worse than the autoencoder and still replace it
ASSUMPTIONS = {  # learner → which assumption behind "any unsupervised learner" it breaks
    "greedy_code": "None: it decodes, its code is continuous and differentiable.",
    "denoising": "Training and test inputs agree: it trains on noisy inputs and encodes clean ones.",
    "contrastive": "It reconstructs: there is no decoder, and invariances must be chosen.",
    "pca": "Stacking adds capacity: it is linear, so a second level only rotates the first.",
    "kmeans": "It is differentiable: no gradient passes through it, so one loss cannot train two levels.",
}
COMPARED = ("greedy_code", "greedy_pixels", "global", "pca", "random", "pixels")  # in other runs
STUDIES = {  # study → its title, coarse classes, and the lowest accuracy on its charts
    "live": ("Handwritten digits, dense levels", "Three coarse classes: round, straight, bent", 0.5),
    "photographs": ("Photographs, convolutional levels", "Two coarse classes: vehicles, animals", 0.1),
}
RUNS = {  # study → its other runs: settings that differ between them
    "live": ("width", "labels"),
    "photographs": ("dataset", "network", "epochs"),
}


def depth_note(film: Film, config: Config, seeds: int) -> str:
    """What is drawn over depth, of how many seeds and of which data."""
    known = CATALOGUE.get(config.dataset)
    return (
        f"Linear probe, {config.labels} labels per class, epoch {film[-1].probed}. Level 0: the input."
        f" n = {seeds} seeds. Data: {known.title if known else config.dataset}."
    )


def run_losses(film: Film, arm: str) -> tuple[np.ndarray, dict[str, tuple[str, np.ndarray]]]:
    """Epochs (T,) after the start; role and values (S, T) of each of an arm's losses."""
    losses = series(film[1:], "loss")[:, :, ARMS.index(arm)]  # (S, T, L + 1)
    terms = [*(f"level {level}" for level in range(1, losses.shape[2])), "end-to-end"]
    roles = [*("idea", "variant", "other", "control", "oracle")[: losses.shape[2] - 1], "baseline"]
    columns = zip(terms, roles, np.moveaxis(losses, 2, 0), strict=True)
    shown = {name: (role, values) for name, role, values in columns if values.any()}
    return series(film[1:], "step").astype(float), shown


def run_codes(frame: Frame, arm: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each level, from the first seed: validation codes on two components (n, 2),
    and grey reconstructions (m, h, w), standardised; none where nothing decodes.
    """
    place = names.MAPPED.index(arm)
    return [
        (points, shown[:, 0] / names.SHADES if shown.any() and shown.shape[1] == 1 else shown[:0, 0])
        for points, shown in zip(frame.places[0, place], frame.shown[0, place], strict=True)
    ]


def study_depth(table: Table, measure: str, shown: Sequence[str] = ARMS) -> dict[str, np.ndarray]:
    """Accuracy (S, 1 + L) of arms from the input up; `measure`: "level" or "coarse"."""
    columns = table.columns("arms")
    pixels = columns[f"pixels_{measure}".replace("level", "accuracy")]
    levels = range(1, LEVELS + 1)
    return {arm: np.stack([pixels, *(columns[f"{arm}_{measure}{at}"] for at in levels)], 1) for arm in shown}


def levels(table: Table, study: str) -> Columns:
    """Every arm: accuracy at each level, of 12 components, on coarse classes; error."""
    heads = {f"Level {level} (%)": f"level{level}" for level in range(1, LEVELS + 1)}
    heads |= {"12 components (%)": "leading", "Coarse (%)": "coarse", "Error": f"error{LEVELS}"}
    rows = [{"claim": "arms", "arm": arm} for arm in names.arms(BASES[study])]
    updates = [f"{table.values(**row, measure='updates').mean():.0f}" for row in rows]
    measured = table.cross(rows, {head: {"measure": measure} for head, measure in heads.items()})
    return {"Arm": [subject.label(row["arm"]) for row in rows], **measured, "Updates per encoder": updates}


def lengths(table: Table, study: str) -> Columns:
    """The top level after parts of the training: each wiring, and their difference."""
    measures = {**{name: f"{100 * share:g} %" for name, share in LENGTHS.items()}, "accuracy": "100 %"}
    wirings = "greedy_code", "greedy_pixels", "global"
    rows = [{"claim": "arms", "measure": measure} for measure in measures]
    heads = {f"{subject.label(arm)} (%)": {"arm": arm} for arm in wirings}
    for arm in wirings[:2]:
        heads[f"{subject.label(arm)} − end-to-end (points)"] = {"arm": arm, "minus": "global"}
    return {f"Share of {BASES[study].epochs} epochs": list(measures.values()), **table.cross(rows, heads)}


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
    """The author's four errors; `unreached` of `parameters` get no gradient."""
    arms = ("committed", "committed_shifted", "committed_frozen", "global")
    top, shifted, frozen, repaired = (table.interval("arms", arm, "accuracy").text("%") for arm in arms)
    error, linear = (table.interval("arms", arm, f"error{LEVELS}").text() for arm in ("committed", "global"))
    effects = {
        "Own decoders discarded": f"{unreached:,} of {parameters:,} parameters get no gradient (in the"
        " author's network 93,123 of 279,494); accuracy is unchanged",
        "ReLU on the output": f"error {error} instead of {linear}, accuracy {top} instead of {repaired}",
        "Probe's weight frozen": f"top level {frozen} instead of {top}",
        "Probes one level too low": f"the top level's number is the second level's, {shifted}",
    }
    return {"Error": list(effects), "Effect": list(effects.values())}


def details(table: Table, study: str, unreached: int, parameters: int) -> Iterator[tuple[Columns, str]]:
    """The tables of one study, each with its note."""
    base = BASES[study]
    note = (
        f"Top level if not said otherwise; {base.labels} labels per class; 95 % intervals, not corrected"
        " for their number. Error: of the standardised input, from the top."
    )
    yield levels(table, study), note
    yield lengths(table, study), "Top level during one training. Equal updates for all wirings."
    yield other_runs(table, study), "Top level with other settings."
    if base.compared == "all":
        yield learners(table), f"At equal width; {100 * REPLACES:g} points lower is too much."
        yield original_code(table, unreached, parameters), "The errors of the author's code, one by one."


def other_runs(table: Table, study: str) -> Columns:
    """The wirings and the baselines of the headline under other settings."""
    settings = [{name: getattr(config, name) for name in RUNS[study]} for config in VARIATIONS[study]]
    rows = [{"claim": "varied", **run} for run in settings]
    heads = {f"{subject.label(arm)} (%)": {"arm": arm, "measure": "accuracy"} for arm in COMPARED}
    gain = {"arm": "greedy_code", "minus": "global"}
    heads["Layer-wise − end-to-end (points)"] = {**gain, "measure": "accuracy"}
    heads["The same after 5 % (points)"] = {**gain, "measure": "after5"}
    runs = [", ".join(f"{name} {value}" for name, value in run.items()) for run in settings]
    return {"Run": runs, **table.cross(rows, heads)}
