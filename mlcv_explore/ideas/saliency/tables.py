"""What Answer shows beyond the claims: three properties of every method against the
best control, whether their rankings agree, and the learned map. Numbers only.
"""

from collections.abc import Sequence

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.saliency import ARMS, ATTRIBUTIONS, CONTROLS, GENERATED, MEASURES, RHOS, SHARES
from mlcv_explore.statistics import Interval

PROPERTIES = ("model-dependent", "faithful", "on the true cause")


def scores(table: Table, rho: float, arms: Sequence[str] = ATTRIBUTIONS) -> dict[str, np.ndarray]:
    """The three properties of every arm, (S, arms) for S classifiers, higher is better:
    change under randomised weights; insertion minus deletion; mass on the cause.

    The cause is the object where the tag is uninformative, and the tag where it always
    agrees with the class.
    """
    cause = "tag" if rho == 1 else "mass"
    moved, insertion, deletion, mass = (
        np.stack([table.values("tags", arm, measure, rho=rho) for arm in arms], axis=1)
        for measure in ("moved", "insertion", "deletion", cause)
    )
    return dict(zip(PROPERTIES, (moved, insertion - deletion, mass), strict=True))


def over_best_control(table: Table, rho: float) -> tuple[tuple[str, ...], np.ndarray]:
    """For each of the K properties the control with the highest mean, and by how much
    the R methods exceed it, paired: (R, K, S) for S classifiers.
    """
    methods, controls = (
        np.stack(list(scores(table, rho, arms).values())) for arms in (ATTRIBUTIONS, CONTROLS)
    )  # (K, S, arms)
    best = controls.mean(1).argmax(1)  # (K,)
    differences = methods - np.take_along_axis(controls, best[:, None, None], axis=2)
    return tuple(CONTROLS[index] for index in best), differences.transpose(2, 0, 1)


def agreement(table: Table, rho: float) -> dict[tuple[str, str], Interval]:
    """Kendall's τ between the rankings of the methods by every two properties: mean
    over classifiers with its bootstrap interval.
    """
    from mlcv_explore.saliency.measures import kendall  # torch comes with it

    return kendall(scores(table, rho))


def measured(table: Table, rho: float) -> dict[str, np.ndarray]:
    """Every measure of every arm, {"<arm>_<measure>": (S,)} for S classifiers."""
    names = [(arm, name) for arm in ARMS for name in MEASURES] + [("classifier", name) for name in SHARES]
    return {f"{arm}_{name}": table.values("tags", arm, name, rho=rho) for arm, name in names}


def learned(table: Table) -> dict[str, list[Interval]]:
    """Mass of the learned map and its baselines on the cause: on the object where the
    tag is uninformative, on the tag where it always agrees with the class.
    """
    heads = {"mass": "On the object, where it is the cause", "tag": "On the tag, where it is the cause"}
    return {
        head: [table.interval("tags", arm, name, rho=rho) for arm in GENERATED]
        for (name, head), rho in zip(heads.items(), RHOS, strict=True)
    }
