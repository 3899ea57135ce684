"""Which features of corrupted photographs ship, and which splits of them there are."""

from mlcv_explore.config import SettingError
from mlcv_explore.data.loading import check_split
from mlcv_explore.data.splits import check_sizes

PHOTOGRAPHS, SIZES = "photographs", (10_000, 2000)  # of `cifar10_features`: training, test
SHIPPED = (5,)  # severities


def check(
    dataset: str, train: int, validation: int, test: int, severity: int, why: str = "", network: str = "dense"
) -> None:
    """Raise SettingError, one sentence naming setting, rule and value, and before them `why`
    the sizes are what they are, when a data set, or these photographs, cannot be split so and
    corrupted, or not be read by this kind of network.
    """
    try:
        if dataset == PHOTOGRAPHS:
            check_sizes(PHOTOGRAPHS, *SIZES, train, validation, test)
        else:
            check_split(dataset, train, validation, test)
    except SettingError as error:
        raise SettingError(f"{why}{error}") from None
    if dataset == PHOTOGRAPHS and network != "dense":
        raise SettingError(f"network must be dense on photographs, whose features it reads, got {network}.")
    if dataset == PHOTOGRAPHS and severity not in SHIPPED:
        shipped = " or ".join(map(str, SHIPPED))
        raise SettingError(f"severity must be {shipped} on photographs, whose features ship, got {severity}.")
