"""A source to pretrain on, and a target that differs from it in one way: corrupted images,
other classes, or permuted labels.
"""

from dataclasses import dataclass, replace

import numpy as np

from mlcv_explore.config import SettingError
from mlcv_explore.data import corruptions
from mlcv_explore.data.catalogue import CATALOGUE
from mlcv_explore.data.dataset import Dataset, Images
from mlcv_explore.data.splits import split
from mlcv_explore.seeds import numpy_stream

SHIFTS = ("corruption", "new_classes", "permuted_labels")


@dataclass(frozen=True, eq=False)
class Transfer:
    """Images that share none: the source's, and the target's three parts."""

    source: Images
    train: Images
    validation: Images
    test: Images
    permutation: np.ndarray  # of the labels, (K,): the label that the source's has in the target


def transfer(
    whole: Dataset,
    shift: str,
    source_size: int,
    sizes: tuple[int, int, int],
    seed: int,
    corruption: str = "noise",
    severity: int = 5,
) -> Transfer:
    """`source_size` images and target images of these sizes (training, validation, test),
    drawn by a seed. Of new classes both have half, drawn too, numbered from 0. Raises
    SettingError where there are too few images.
    """
    from mlcv_explore.data.open_set import divided  # torch comes with it

    train_size, validation_size, test_size = sizes
    count = len(whole.train.classes)
    same = np.arange(count)
    if shift == "new_classes":
        moved = numpy_stream(seed, "classes").permutation(count)[count // 2 :]
        halves = [part and divided(part, moved) for part in (whole.train, whole.test)]
        old, new = (
            Dataset(whole.name, halves[0][place], halves[1] and halves[1][place], whole.fingerprint)
            for place in (0, 1)
        )
        source = split(old, source_size, 0, 0, seed).train
        parts = split(new, train_size, validation_size, test_size, seed)
        return Transfer(source, parts.train, parts.validation, parts.test, same[: count // 2])
    parts = split(whole, source_size + train_size, validation_size, test_size, seed)
    source = parts.train.take(np.arange(source_size))
    targets = [parts.train.take(np.arange(source_size, source_size + train_size))]
    targets += [parts.validation, parts.test]
    if shift == "corruption":
        changed = [
            replace(each, images=corruptions.corrupted(each.images, corruption, severity, 3 * seed + place))
            for place, each in enumerate(targets)
        ]
        return Transfer(source, *changed, same)
    permutation = _without_fixed_points(count, seed)
    return Transfer(
        source, *(replace(each, labels=permutation[each.labels]) for each in targets), permutation
    )


def check_sizes(name: str, shift: str, source_size: int, sizes: tuple[int, int, int]) -> None:
    """Raise SettingError, one sentence naming setting, rule and value, when a known set has
    too few images for source_size, and target_size, a validation and test_size.
    """
    known, (target_size, validation_size, test_size) = CATALOGUE[name], sizes
    half = shift == "new_classes"
    # classes differ in size: a half of them has this many at least
    count, tests = (int(0.48 * each) if half else each for each in (known.train_size, known.test_size))
    if tests and test_size > tests:
        raise SettingError(f"test_size must be at most {tests:,} on {name}, got {test_size:,}.")
    where = f"on {name}" + (", half of whose classes are new" if half else "")
    if half and source_size > count:
        raise SettingError(f"source_size must be at most {count:,} {where}, got {source_size:,}.")
    drawn = {"source_size": 0 if half else source_size, "target_size": target_size}
    drawn |= {} if tests else {"test_size": test_size}
    rest, total = count - validation_size, sum(drawn.values())
    names = [setting for setting, value in drawn.items() if value]
    if total > rest:
        together = f"{', '.join(names[:-1])} and {names[-1]} together" if names[1:] else names[0]
        raise SettingError(f"{together} must be at most {rest:,} {where}, got {total:,}.")


def _without_fixed_points(count: int, seed: int) -> np.ndarray:
    """A permutation that leaves nothing in its place."""
    draws = numpy_stream(seed, "permuted labels")
    while True:
        order = draws.permutation(count)
        if (order != np.arange(count)).all():
            return order
