"""The studies behind the evidence. On digits: every claim, the 2×2 with one setting
changed, and all arms of copy-paste and of contrastive views. On features of photographs:
the claims that need no pixels, and the 2×2 with fewer settings changed.
"""

from collections.abc import Sequence
from typing import Any

from mlcv_explore.idea import Cell, Study
from mlcv_explore.ideas.feature_mixing import claims, settings
from mlcv_explore.ideas.feature_mixing.settings import CORE, ENCODERS, LEARNING_RATES, FeatureMixingConfig
from mlcv_explore.statistics import Claim

# title → {row: cell of the study, named by the setting and the value it changes}; "arms" are the defaults
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
    "Trained encoder": {"Random": "arms"} | {name.capitalize(): f"start {name}" for name in ENCODERS[1:]},
    "Frozen encoder": {name.capitalize(): f"frozen {name}" for name in ENCODERS},
}
PHOTOGRAPHS_VARIED = {
    "λ": {"0.5": "arms", "1": "weight 1"},
    "Labels per class": {"10": "arms", "50": "labels 50"},
    "Label scaling": {
        "Divided by sum": "arms",
        "Softmax, T = 1": "scaling softmax",
        "Largest label": "scaling argmax",
    },
    "Images per mixture": {"2": "arms", "3": "images 3", "5": "images 5"},
    "Learning rate": {"0.0003": "arms", "0.003": "learning_rate 0.003"},
}
RIVALS = (*CORE, "smoothing")
# claims whose arms are one arm of runs with other settings: arm in the run, runs
ELSEWHERE: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "sum_or_softmax": ("both", {"sum_to_one": {}, "softmax": {"scaling": "softmax"}}),
    "softmax_likelihood": ("both", {"sum_to_one": {}, "softmax": {"scaling": "softmax"}}),
    "argmax": ("both", {"sum_to_one": {}, "argmax": {"scaling": "argmax"}}),
    "more_images": ("both", {"two": {}, "three": {"images": 3}, "five": {"images": 5}}),
    "pretraining": ("both", {encoder: {"encoder": encoder} for encoder in ENCODERS}),
    "pretraining_first": ("benefit", {f"after_{encoder}": {"encoder": encoder} for encoder in ENCODERS}),
}


def changes(cell: str) -> dict[str, Any]:
    """The settings that a cell of VARIED changes."""
    name, value = cell.split(" ", 1)
    if name in ("start", "frozen"):
        return {"encoder": value, "tuned": name == "start"}
    cold = {"temperature": 0.2} if value.endswith(" cold") else {}
    return {name: value.removesuffix(" cold")} | cold


def live(seeds: int) -> Study:
    """All claims on digits and generated scenes, and so many seeds."""
    base = FeatureMixingConfig(dataset="digits", learning_rate=LEARNING_RATES["images"])
    varied = [cell for rows in VARIED.values() for cell in rows.values() if cell != "arms"]
    tables = [("arms", base, (*settings.ARMS, *settings.COARSE_ARMS))]
    tables += [(cell, base.replace(**changes(cell)), CORE) for cell in varied]
    tables += [("pasted", base.replace(experiment="paste"), settings.PASTE_ARMS)]
    tables += [("probes", base.replace(experiment="contrastive"), settings.PROBE_ARMS)]
    return Study("live", (*_claim_cells(base, claims.CLAIMS), *_whole(tables)), tuple(range(seeds)))


def photographs(seeds: int) -> Study:
    """The claims that need no pixels on features of photographs, and so many seeds."""
    base = FeatureMixingConfig(learning_rate=LEARNING_RATES["features"])
    varied = [cell for rows in PHOTOGRAPHS_VARIED.values() for cell in rows.values() if cell != "arms"]
    tables = [("arms", base, (*base.arms, *settings.COARSE_ARMS))]
    tables += [(cell, base.replace(**changes(cell)), RIVALS) for cell in varied]
    cells = _claim_cells(base, claims.PHOTOGRAPHED)
    return Study("photographs", (*cells, *_whole(tables)), tuple(range(seeds)))


def _claim_cells(base: FeatureMixingConfig, declared: Sequence[Claim]) -> list[Cell]:
    """The cells of these claims, with these settings; first those whose arms are the
    run's.
    """
    experiments = {"paste": "paste", "jitter": "contrastive"}  # by the first word of a claim's name
    whole = [
        (claim, base.replace(experiment=experiments.get(claim.name.partition("_")[0], "mixing")))
        for claim in declared
        if claim.name not in ELSEWHERE
    ]
    return _whole([(claim.name, config, claim.arms) for claim, config in whole]) + [
        Cell(claim.name, base.replace(**changed), {arm: own})
        for claim in declared
        if claim.name in ELSEWHERE
        for own, runs in [ELSEWHERE[claim.name]]
        for arm, changed in runs.items()
    ]


def _whole(rows: Sequence[tuple[str, FeatureMixingConfig, Sequence[str]]]) -> list[Cell]:
    """Cells that keep arms of their run under their own names."""
    return [Cell(cell, config, {arm: arm for arm in arms}) for cell, config, arms in rows]
