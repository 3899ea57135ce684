"""Which cell serves which claim."""

from mlcv_explore.config import Config, setting
from mlcv_explore.experiment.cells import claim_cells
from mlcv_explore.statistics.declared import declared


class SizedConfig(Config):
    """Two settings."""

    size: int = setting(10, "Size", low=1, high=100)
    full: bool = setting(True, "All arms")


CLAIMS = declared(
    """
    first: one − two > 1
        One is better than two.
    small: one − two > 1, when size = 5
        With five as well.
    third: one − three > 1
        One is better than three.
    never: one − two > 1, when size = 7
        Nobody runs this.
    """
)


def arms_of(config: SizedConfig) -> tuple[str, ...]:
    return ("one", "two", "three") if config.full else ("one", "two")


def test_a_claim_has_the_first_configuration_with_its_settings_and_arms() -> None:
    short, whole, small = SizedConfig(full=False), SizedConfig(), SizedConfig(size=5)
    cells = claim_cells(CLAIMS, (small, short, whole), arms_of, size=10)
    assert [(cell.claim, cell.config) for cell in cells] == [
        ("first", short),
        ("small", small),
        ("third", whole),
    ]
    assert cells[2].arms == {"one": "one", "three": "three"}
