"""Results beyond the claims, from a study's rows: the factors of the 2×2, and the 2×2
under one changed setting.
"""

from collections.abc import Mapping

import numpy as np
import torch

from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.feature_mixing import idea as subject
from mlcv_explore.ideas.feature_mixing.mixing import SCALINGS, soft_labels
from mlcv_explore.ideas.feature_mixing.settings import ARMS, CORE, ENCODERS
from mlcv_explore.statistics import Interval, ratio_interval, t_interval

LEAST = 0.01  # gain, as a fraction, above which a share of it is defined
# title → {row: cells of the study}; "arms" are the defaults
VARIED = {
    "λ": {"0.25": "weight 0.25", "0.5": "arms", "1": "weight 1", "2": "weight 2"},
    "Depth": {"0 (pixels)": "depth 0", "1": "depth 1", "2": "arms", "3 (last hidden layer)": "depth 3"},
    "Labels per class": {"5": "labels 5", "10": "arms", "20": "labels 20"},
    "Label scaling": {
        "Divided by sum": "arms",
        "Softmax, T = 1": "scaling softmax",
        "Softmax, T = 0.2": "scaling softmax cold",
        "Largest label": "scaling argmax",
    },
    "Images per mixture": {"2": "arms", "3": "images 3", "5": "images 5"},
    "Mode": {"Sum": "arms", "Convex": "mode convex", "Extrapolate": "mode extrapolate"},
    "Partner class": {"Any": "arms", "Same": "partners same", "Other": "partners other"},
    "Trained encoder": {"Random": "arms"} | {each.capitalize(): f"start {each}" for each in ENCODERS[1:]},
    "Frozen encoder": {each.capitalize(): f"frozen {each}" for each in ENCODERS},
}


def accuracy_curves(film: Film) -> dict[str, tuple[str, np.ndarray]]:
    """Label → role and test accuracy (S, T) of the 2×2 and of the oracle over the
    mixing frames of a run; no two have the same role.
    """
    accuracy = series([frame for frame in film if frame.stage == "mixing"], "measured")[..., 0]
    roles = {arm: subject.arm(arm).role for arm in (*CORE, "oracle")} | {"mixed": "control"}
    return {subject.label(arm): (role, accuracy[:, :, ARMS.index(arm)]) for arm, role in roles.items()}


def mixture_cloud(film: Film) -> tuple[np.ndarray, list[str], list[str]]:
    """For a chart of points: places (2n, 2) of the first seed's images and mixtures among
    the features, their texts and groups.
    """
    cloud = next(frame for frame in reversed(film) if frame.stage == "mixing").cloud[0]
    texts = [*cloud[:, 2].astype(int).astype(str), *["·"] * len(cloud)]
    return np.concatenate([cloud[:, :2], cloud[:, 3:]]), texts, [""] * len(cloud) + ["idea"] * len(cloud)


def bars(columns: Mapping[str, np.ndarray], prefix: str, measure: str) -> dict[str, np.ndarray]:
    """One measure of the arms of an experiment that are done, arm → (S,)."""
    return {
        name.removesuffix(f"_{measure}"): values
        for name, values in columns.items()
        if name.startswith(prefix) and name.endswith(f"_{measure}") and values.any()
    }


def other_experiments(columns: Mapping[str, np.ndarray]) -> dict[str, tuple[str, dict[str, np.ndarray], str]]:
    """Key → measure, its values by arm, and a note, for copy-paste and contrastive views
    as far as they are done.
    """
    shown = {}
    for prefix, measure in (("paste_", "accuracy"), ("paste_", "boxes"), ("probe_", "accuracy")):
        if values := bars(columns, prefix, measure):
            note = "On test scenes." if prefix == "paste_" else "Linear probes with few labels."
            shown[f"{prefix}{measure}"] = measure, values, note
    return shown


def columns(table: Table, claim: str) -> dict[str, np.ndarray]:
    """All values of a claim's rows, "<arm>_<measure>" → (S,)."""
    names = dict.fromkeys((row["arm"], row["measure"]) for row in table.rows if row["claim"] == claim)
    return {f"{arm}_{measure}": table.values(claim, arm, measure) for arm, measure in names}


def effects(accuracy: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    """Main effects, interaction and gain of both, of the accuracy (S,) of the 2×2's
    arms, as fractions.
    """
    plain, soft, mixed, both = (accuracy[arm] for arm in CORE)
    return {
        "Features mixed": t_interval(((mixed - plain) + (both - soft)) / 2),
        "Soft labels": t_interval(((soft - plain) + (both - mixed)) / 2),
        "Interaction": t_interval(both + plain - mixed - soft),
        "Both − plain": t_interval(both - plain),
    }


def soft_label_shares(accuracy: Mapping[str, np.ndarray]) -> tuple[Interval, Interval] | None:
    """The soft labels' share of the gain of both, alone and averaged over mixed and
    unmixed features, with Fieller's intervals; None unless the gain's interval lies above
    1 point.
    """
    plain, soft, mixed, both = (accuracy[arm] for arm in CORE)
    if not t_interval(both - plain).low > LEAST:
        return None
    averaged = ((soft - plain) + (both - mixed)) / 2
    return ratio_interval(soft - plain, both - plain), ratio_interval(averaged, both - plain)


def soft_label_sentence(accuracy: Mapping[str, np.ndarray]) -> str:
    """The shares of the soft labels in a sentence; empty where they are not defined."""
    shares = soft_label_shares(accuracy)
    if shares is None:
        return ""
    alone, averaged = (share.text("%") for share in shares)
    return (
        f"Soft labels alone give **{alone}** of the gain; averaged over mixed and unmixed features"
        f" {averaged} (Fieller intervals)."
    )


def details(table: Table) -> dict[str, tuple[dict[str, list], str]]:
    """Key → a table and its note: the 2×2 with a setting changed, and label scaling."""
    shown: dict[str, tuple[dict[str, list], str]] = {
        f"varied-{title}": (
            varied(table, title),
            f"{title} changed; 95 % intervals, not corrected for their number.",
        )
        for title in VARIED
    }
    note = "Example: y_i is class 3, y_j class 2. Softmax gives 0.157 to each class that neither image has."
    return shown | {"scaling": (scaling_example(), note)}


def varied(table: Table, title: str) -> dict[str, list[Interval | str]]:
    """The 2×2 with one row a value of a setting, as columns of a table of intervals."""
    rows = VARIED[title]
    shown: dict[str, list[Interval | str]] = {title: list(rows)}
    for arm, head in (("plain", "Plain (%)"), ("both", "Features + labels (%)")):
        shown[head] = [table.interval(claim, arm, "accuracy") for claim in rows.values()]
    for arm, head in (
        ("both", "Both − plain (points)"),
        ("soft", "Soft labels only − plain (points)"),
        ("mixed", "Features only − plain (points)"),
    ):
        shown[head] = [table.difference(claim, arm, "plain", "accuracy") for claim in rows.values()]
    shares = [
        soft_label_shares({arm: table.values(claim, arm, "accuracy") for arm in CORE})
        for claim in rows.values()
    ]
    shown["Share of soft labels (%)"] = ["–" if share is None else share[0] for share in shares]
    shown["Negative log-likelihood"] = [table.interval(claim, "both", "nll") for claim in rows.values()]
    return shown


def scaling_example() -> dict[str, list[str]]:
    """The author's example: four classes, y_i of class 3, y_j of class 2, λ = 0.5; the
    label of every scaling.
    """
    own, partner = torch.eye(4)[2:3], torch.eye(4)[1:2]
    labels = torch.cat([soft_labels(own, partner, 0.5, scaling) for scaling in SCALINGS])
    shown = {"y_i + 0.5·y_j, four classes": ["Divided by sum", "Softmax, T = 1", "Largest label"]}
    shown |= {f"class {place + 1}": [f"{value:.3f}" for value in labels[:, place]] for place in range(4)}
    return shown
