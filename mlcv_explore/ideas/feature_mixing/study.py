"""The studies behind the evidence. Live: the claims on features of photographs, with
digits as the second data set. Photographs: the claims again with five times as many
labels.
"""

from mlcv_explore.idea import Cell, Study
from mlcv_explore.ideas.feature_mixing.claims import BESIDE, CLAIMS
from mlcv_explore.ideas.feature_mixing.settings import COARSE_ARMS, LEARNING_RATES, FeatureMixingConfig

SEEDS = tuple(range(700, 720))  # that no earlier look had used
FEATURES = FeatureMixingConfig(learning_rate=LEARNING_RATES["features"])
FASTER = FEATURES.replace(learning_rate=LEARNING_RATES["images"], baselines=False)
DIGITS = FEATURES.replace(dataset="digits", learning_rate=LEARNING_RATES["images"])


def live() -> Study:
    """Ten labels per class; at digits' learning rate, and on digits, all arms too."""
    return Study("live", (*_cells(FEATURES), _all_arms("faster", FASTER), _all_arms("digits", DIGITS)), SEEDS)


def photographs() -> Study:
    """Fifty labels per class."""
    return Study("photographs", _cells(FEATURES.replace(labels=50)), SEEDS)


def _cells(config: FeatureMixingConfig) -> tuple[Cell, ...]:
    """Every claim's arms and those beside them, and all arms, of one run."""
    shown = {claim.name: (*claim.arms, *BESIDE[claim.name]) for claim in CLAIMS}
    asked = (Cell(name, config, {arm: arm for arm in arms}) for name, arms in shown.items())
    return (*asked, _all_arms("arms", config))


def _all_arms(name: str, config: FeatureMixingConfig) -> Cell:
    arms = (*config.arms, *COARSE_ARMS) if config.baselines else config.arms
    return Cell(name, config, {arm: arm for arm in arms})
