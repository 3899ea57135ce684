"""What Answer shows beyond the claims: three properties of every method, compared with
the best control; the columns of the learned map.
"""

from collections.abc import Sequence

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.saliency import ATTRIBUTIONS, CONTROLS, RHOS

PROPERTIES = ("model-dependent", "faithful", "on the true cause")
LEARNED = {  # head → measure of a learned map on the cause of each classifier
    "On the object, where it is the cause": {"claim": "tags", "rho": RHOS[0], "measure": "mass"},
    "On the tag, where it is the cause": {"claim": "tags", "rho": RHOS[1], "measure": "tag"},
}


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
