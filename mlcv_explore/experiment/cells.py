"""The cells of a study by the claims they serve."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from mlcv_explore.config import Config
from mlcv_explore.idea import Cell
from mlcv_explore.statistics import Claim


def claim_cells(
    claims: Sequence[Claim],
    configs: Sequence[Config],
    arms_of: Callable[[Any], Collection[str]],
    **settings: Any,
) -> tuple[Cell, ...]:
    """A cell for every claim: the first configuration with the settings that the claim names,
    those given here where it names none, and with the claim's arms. None for a claim that
    fits no configuration.
    """
    cells = []
    for claim in claims:
        wanted = {**settings, **dict(claim.when)}.items()
        for config in configs:
            if wanted <= config.model_dump().items() and {*claim.arms} <= {*arms_of(config)}:
                cells.append(Cell(claim.name, config, {arm: arm for arm in claim.arms}))
                break
    return tuple(cells)
