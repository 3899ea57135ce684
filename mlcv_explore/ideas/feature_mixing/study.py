"""The study behind the evidence: every claim, the 2×2 with one setting changed, and all
arms of copy-paste and of contrastive views.
"""

from typing import Any

from mlcv_explore.idea import Cell, Study
from mlcv_explore.ideas.feature_mixing import claims, settings
from mlcv_explore.ideas.feature_mixing.settings import CORE, ENCODERS, FeatureMixingConfig

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


def changes(cell: str) -> dict[str, Any]:
    """The settings that a cell of VARIED changes."""
    name, value = cell.split(" ", 1)
    if name in ("start", "frozen"):
        return {"encoder": value, "tuned": name == "start"}
    cold = {"temperature": 0.2} if value.endswith(" cold") else {}
    return {name: value.removesuffix(" cold")} | cold


def study(name: str, seeds: int, base: FeatureMixingConfig) -> Study:
    """All cells, and so many seeds."""
    paste, contrast = base.replace(experiment="paste"), base.replace(experiment="contrastive")
    encoders = {encoder: base.replace(encoder=encoder) for encoder in ENCODERS}
    counts = {"two": base, "three": base.replace(images=3), "five": base.replace(images=5)}
    scalings = {"sum_to_one": base, "softmax": base.replace(scaling="softmax")}
    elsewhere = {  # claims whose arms are one arm of runs with other settings: arm in the run, runs
        "sum_or_softmax": ("both", scalings),
        "softmax_likelihood": ("both", scalings),
        "argmax": ("both", {"sum_to_one": base, "argmax": base.replace(scaling="argmax")}),
        "more_images": ("both", counts),
        "pretraining": ("both", encoders),
        "pretraining_first": ("benefit", {f"after_{name}": run for name, run in encoders.items()}),
    }
    experiments = {"paste": paste, "jitter": contrast}
    whole = [  # cells whose arms are those of the run
        (claim.name, experiments.get(claim.name.partition("_")[0], base), claim.arms)
        for claim in claims.CLAIMS
        if claim.name not in elsewhere
    ]
    tables = [("arms", base, (*settings.ARMS, *settings.COARSE_ARMS))]
    varied = [cell for rows in VARIED.values() for cell in rows.values() if cell != "arms"]
    tables += [(cell, base.replace(**changes(cell)), CORE) for cell in varied]
    tables += [("pasted", paste, settings.PASTE_ARMS), ("probes", contrast, settings.PROBE_ARMS)]
    cells = [Cell(cell, config, {arm: arm for arm in arms}) for cell, config, arms in whole]
    cells += [
        Cell(claim, config, {arm: own})
        for claim, (own, runs) in elsewhere.items()
        for arm, config in runs.items()
    ]
    cells += [Cell(cell, config, {arm: arm for arm in arms}) for cell, config, arms in tables]
    return Study(name, tuple(cells), tuple(range(seeds)))
