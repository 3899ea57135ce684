"""Results beyond the claims, from a run or a study's rows: the factors of the 2×2, and
mixing against every baseline.
"""

from collections.abc import Mapping

import numpy as np
import torch

from mlcv_explore.experiment.film import series
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.feature_mixing import idea as subject
from mlcv_explore.ideas.feature_mixing.settings import ARMS, CORE, SCALINGS
from mlcv_explore.models.mixing import soft_labels
from mlcv_explore.statistics import Interval, ratio_interval, t_interval

LEAST = 0.01  # gain, as a fraction, above which a share of it is defined
EFFECTS = {  # of the 2×2: label → weights of the arms in CORE, role
    "Features mixed": ((-0.5, -0.5, 0.5, 0.5), "idea"),
    "Soft labels": ((-0.5, 0.5, -0.5, 0.5), "variant"),
    "Interaction": ((1, -1, -1, 1), "control"),
    "Both − plain": ((-1, 0, 0, 1), "idea"),
}
BASELINES = ("plain", "smoothing", "matched", "soft", "scrambled", "separate", "input_mixup", "manifold")
DIFFERENCES = {  # head → measure
    "Accuracy (points)": "accuracy",
    "At the best validation step (points)": "stopped",
    "Negative log-likelihood (nats)": "nll",
    "At fitted temperatures (nats)": "scaled",
}
Columns = Mapping[str, np.ndarray]  # "<arm>_<measure>" → (S,)


def accuracy_curves(film: Film) -> dict[str, tuple[str, np.ndarray]]:
    """Label → role, each once, and test accuracy (S, T) of the 2×2 and the oracle."""
    accuracy = series([frame for frame in film if frame.stage == "mixing"], "measured")[..., 0]
    roles = {arm: subject.arm(arm).role for arm in (*CORE, "oracle")} | {"mixed": "control"}
    return {subject.label(arm): (role, accuracy[:, :, ARMS.index(arm)]) for arm, role in roles.items()}


def mixture_cloud(film: Film) -> tuple[np.ndarray, list[str], list[str]]:
    """Places (2n, 2) of the first seed's images and mixtures, their texts and groups."""
    cloud = next(frame for frame in reversed(film) if frame.stage == "mixing").cloud[0]
    texts = [*cloud[:, 2].astype(int).astype(str), *["·"] * len(cloud)]
    return np.concatenate([cloud[:, :2], cloud[:, 3:]]), texts, [""] * len(cloud) + ["idea"] * len(cloud)


def effects(columns: Columns) -> dict[str, Interval]:
    """Main effects, interaction and gain of both in accuracy, as fractions."""
    core = [columns[f"{arm}_accuracy"] for arm in CORE]
    return {label: t_interval(np.dot(weights, core)) for label, (weights, _) in EFFECTS.items()}


def soft_label_shares(columns: Columns) -> tuple[Interval, Interval] | None:
    """The soft labels' share of the gain of both, alone and averaged over mixed and
    unmixed features, with Fieller's intervals; None unless the gain's interval lies above
    1 point.
    """
    plain, soft, mixed, both = (columns[f"{arm}_accuracy"] for arm in CORE)
    if not t_interval(both - plain).low > LEAST:
        return None
    averaged = ((soft - plain) + (both - mixed)) / 2
    return ratio_interval(soft - plain, both - plain), ratio_interval(averaged, both - plain)


def share_text(columns: Columns) -> str:
    """The soft labels' share of the gain in a sentence, Markdown."""
    if not (shares := soft_label_shares(columns)):
        return "No share of the gain is shown: the gain's interval does not lie above 1 point."
    alone, averaged = (share.text("%") for share in shares)
    return (
        f"Soft labels alone give **{alone}** of the gain; averaged over mixed and unmixed features"
        f" {averaged} (Fieller intervals)."
    )


def against_baselines(table: Table, cell: str) -> dict[str, list[Interval | str]]:
    """Features and labels mixed minus each baseline, as columns of a table of intervals."""
    baselines = [arm for arm in BASELINES if arm in table.arms(cell)]
    rows = [{"claim": cell, "arm": "both", "minus": arm} for arm in baselines]
    columns = {head: {"measure": measure} for head, measure in DIFFERENCES.items()}
    return {"Both −": [subject.label(arm) for arm in baselines], **table.cross(rows, columns)}


def scaling_example() -> dict[str, list[str]]:
    """The author's example: classes 3 and 2 of four, λ = 0.5; the label of each scaling."""
    own, partner = torch.eye(4)[2:3], torch.eye(4)[1:2]
    labels = torch.cat([soft_labels(own, partner, 0.5, scaling) for scaling in SCALINGS])
    shown = {"y_i + 0.5·y_j, four classes": ["Divided by sum", "Softmax, T = 1", "Largest label"]}
    return shown | {
        f"class {place + 1}": [f"{value:.3f}" for value in labels[:, place]] for place in range(4)
    }
