"""The studies behind the evidence. Live: every claim on features of photographs, and the
2×2 with one setting changed; scenes; digits as the second data set. Photographs: the
claims on mixing again with five times as many labels.
"""

from collections.abc import Sequence

from mlcv_explore.idea import Cell, Study
from mlcv_explore.ideas.feature_mixing import claims, settings
from mlcv_explore.ideas.feature_mixing.settings import LEARNING_RATES, FeatureMixingConfig
from mlcv_explore.statistics import Claim

# title → {row: cell of the study, the setting and the value it changes}; "arms" are the defaults
VARIED = {
    "Learning rate": {"0.0003": "arms", "0.003": "learning_rate 0.003"},
    "λ": {"0.5": "weight 0.5", "1": "arms"},
    "Images per mixture": {"2": "arms", "3": "images 3"},
    "Label scaling": {
        "Divided by sum": "arms",
        "Largest label": "scaling argmax",
        "Softmax, T = 1": "scaling softmax",
    },
    "Depth": {"1": "depth 1", "2": "arms", "3 (last hidden layer)": "depth 3"},
}
SEEDS = tuple(range(700, 720))  # that no earlier look had used


def live() -> Study:
    """Every claim, on features of photographs where it has a choice; digits beside them."""
    base = FeatureMixingConfig(learning_rate=LEARNING_RATES["features"])
    digits = base.replace(dataset="digits", learning_rate=LEARNING_RATES["images"])
    scenes, views = base.replace(experiment="paste"), digits.replace(experiment="contrastive")
    mixing = (*settings.ARMS, *settings.COARSE_ARMS)
    rows = [*_claims(claims.MIXING, base), ("arms", base, [arm for arm in mixing if arm != "cutmix"])]
    rows += [
        ("digits", digits, mixing),
        *_claims(claims.VIEWS, views),
        ("probes", views, settings.PROBE_ARMS),
    ]
    rows += [*_changed(base), *_claims(claims.SCENES, scenes), ("scenes", scenes, settings.PASTE_ARMS)]
    return Study("live", _cells(rows), SEEDS)


def photographs() -> Study:
    """The claims on mixing with 50 labels per class."""
    base = FeatureMixingConfig(learning_rate=LEARNING_RATES["features"], labels=50)
    arms = ("arms", base, (*base.arms, *settings.COARSE_ARMS))
    return Study("photographs", _cells([*_claims(claims.MIXING, base), arms]), SEEDS)


Row = tuple[str, FeatureMixingConfig, Sequence[str]]  # name, settings, arms


def _claims(declared: Sequence[Claim], config: FeatureMixingConfig) -> list[Row]:
    """Claims with their arms, and controls that must not meet them."""
    return [(claim.name, config, (*claim.arms, *claims.CONTROLS[claim.name])) for claim in declared]


def _changed(base: FeatureMixingConfig) -> list[Row]:
    """The arms of claims in every cell that changes a setting."""
    cells = [cell for rows in VARIED.values() for cell in rows.values() if cell != "arms"]
    less = base.replace(rivals=False)
    return [(cell, less.replace(**dict([cell.split(" ")])), less.arms) for cell in cells]


def _cells(rows: Sequence[Row]) -> tuple[Cell, ...]:
    """Cells that keep arms of their run under their own names."""
    return tuple(Cell(cell, config, {arm: arm for arm in arms}) for cell, config, arms in rows)
