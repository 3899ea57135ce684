"""What Answer shows beyond the claims: properties of every method, compared with the best
control; every measure on photographs; the columns of the learned map.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.saliency import ATTRIBUTIONS, CONTROLS, RHOS
from mlcv_explore.statistics import Interval, t_interval

PROPERTIES = ("faithful", "on the true cause")
LEARNED = {  # head → measure of a learned map on the cause of each classifier
    "On the object, where it is the cause": {"claim": "tags", "rho": RHOS[0], "measure": "mass"},
    "On the tag, where it is the cause": {"claim": "tags", "rho": RHOS[1], "measure": "tag"},
}
PHOTOGRAPHS = {  # head → measure of a map of the ImageNet network on composites
    "On or near it": {"claim": "photographs", "measure": "dilated"},
    "Maximum on it (%)": {"claim": "photographs", "measure": "pointing"},
    "Deletion": {"claim": "photographs", "measure": "deletion"},
    "Insertion": {"claim": "photographs", "measure": "insertion"},
    "Model dependence": {"claim": "untrained", "measure": "moved"},
}
NETWORKS = {  # whose maps → the rows that have them; the last two must not exceed a control
    "On the object": "photographs",
    "Last layer random": "randomised",
    "Untrained": "untrained",
}
IGNORANT = (*CONTROLS, "blind")  # of the classifier
MAPS = (*ATTRIBUTIONS, *IGNORANT, "truth")
# Images through the network, forward and back, of a map at 224 pixels; those of noisy images share theirs
EVALUATIONS = {
    **dict.fromkeys(("gradient", "input_x_gradient", "gradcam", "guided_backprop"), 2),
    "deeplift": 3,
    **dict.fromkeys(("smoothgrad", "smoothgrad_squared", "vargrad"), 24),
    "gradient_shap": 50,
    "occlusion": 65,
    "integrated_gradients": 102,
    "rise": 100,
}


def on_photographs(table: Table, labels: Mapping[str, str]) -> dict[str, list[Interval | str]]:
    """The share of every map on the object, also minus that of the control with the
    highest mean and minus its own with a random last layer; the first difference for the
    networks that must fail; every other measure; and what a map costs.
    """
    columns: dict[str, list[Interval | str]] = {"Map": [labels[arm] for arm in MAPS]}
    rows = [{"arm": arm, "measure": "mass"} for arm in MAPS]
    columns |= table.cross(rows, {"On the object": {"claim": "photographs"}})
    means = {arm: table.values("photographs", arm, "mass").mean() for arm in IGNORANT}
    best = max(means, key=means.get)
    for head, claim in NETWORKS.items():
        columns |= table.cross(rows, {f"{head} − {labels[best]}": {"claim": claim, "minus": best}})
    own = {
        arm: t_interval(table.values("photographs", arm, "mass") - random)
        for arm in set(ATTRIBUTIONS) & set(table.arms("randomised"))
        for random in [table.values("randomised", arm, "mass")]
    }
    columns["On the object − itself, last layer random"] = [own.get(arm, "–") for arm in MAPS]
    columns |= table.cross(rows, PHOTOGRAPHS)
    columns["Evaluations"] = [str(EVALUATIONS.get(arm, 0)) for arm in MAPS]
    return columns


def scores(table: Table, rho: float | None, arms: Sequence[str] = ATTRIBUTIONS) -> dict[str, np.ndarray]:
    """The properties of every arm, (S, arms) for S classifiers, higher is better:
    insertion minus deletion; mass on the cause. `rho` None: on photographs, for S objects.

    The cause is the object where the tag is uninformative, and the tag where it always
    agrees with the class.
    """
    cause, claim = "tag" if rho == 1 else "mass", "photographs" if rho is None else "tags"
    settings = {} if rho is None else {"rho": rho}
    insertion, deletion, mass = (
        np.stack([table.values(claim, arm, measure, **settings) for arm in arms], axis=1)
        for measure in ("insertion", "deletion", cause)
    )
    return dict(zip(PROPERTIES, (insertion - deletion, mass), strict=True))


def rankings(table: Table, rho: float | None) -> dict[str, np.ndarray]:
    """The same of the twelve methods, and on scenes how far randomised weights move their
    maps: of one that ignores the weights that is 0 by construction, so it ranks methods
    and is not compared with controls.
    """
    if rho is None:
        return scores(table, rho)
    moved = np.stack([table.values("tags", arm, "moved", rho=rho) for arm in ATTRIBUTIONS], axis=1)
    return {"model-dependent": moved, **scores(table, rho)}


def over_best_control(table: Table, rho: float | None) -> tuple[tuple[str, ...], np.ndarray]:
    """For each of the K properties the control with the highest mean, and by how much
    the R methods exceed it, paired: (R, K, S) for S classifiers.
    """
    methods, controls = (
        np.stack(list(scores(table, rho, arms).values())) for arms in (ATTRIBUTIONS, IGNORANT)
    )  # (K, S, arms)
    best = controls.mean(1).argmax(1)  # (K,)
    differences = methods - np.take_along_axis(controls, best[:, None, None], axis=2)
    return tuple(IGNORANT[index] for index in best), differences.transpose(2, 0, 1)
