"""Training, validation and test images, drawn anew from every seed and never shared."""

from dataclasses import dataclass

import numpy as np

from mlcv_explore.config import SettingError
from mlcv_explore.data.dataset import Dataset, Images
from mlcv_explore.data.folder import FolderDataset


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint parts of one data set."""

    train: Images
    validation: Images
    test: Images


def split(dataset: Dataset, train_size: int, validation_size: int, test_size: int, seed: int) -> Split:
    """Disjoint parts of exactly these sizes, stratified by class; the test images come
    from the official test part where there is one.

    Raises SettingError when a size does not fit. While three images of every class are
    left over, the validation and test images do not depend on `train_size`.
    """
    from mlcv_explore.seeds import numpy_stream  # late: it imports torch

    check_sizes(
        dataset.name, len(dataset.train), len(dataset.test or ()), train_size, validation_size, test_size
    )
    generator = numpy_stream(seed, "split")
    if dataset.test is None:
        test, validation, train = stratified_parts(
            dataset.train.labels, (test_size, validation_size, train_size), generator
        )
        return Split(dataset.train.take(train), dataset.train.take(validation), dataset.train.take(test))
    validation, train = stratified_parts(dataset.train.labels, (validation_size, train_size), generator)
    (test,) = stratified_parts(dataset.test.labels, (test_size,), numpy_stream(seed, "split test"))
    return Split(dataset.train.take(train), dataset.train.take(validation), dataset.test.take(test))


def split_own(dataset: Dataset, train_size: int, validation_size: int, test_size: int, seed: int) -> Split:
    """As `split`, but the validation images come from the set's own validation part where
    it has one. Raises SettingError.
    """
    from mlcv_explore.seeds import numpy_stream  # late: it imports torch

    own = dataset.validation if isinstance(dataset, FolderDataset) else None
    if own is None:
        return split(dataset, train_size, validation_size, test_size, seed)
    _check_at_most("validation_size", validation_size, len(own), f"on {dataset.name} (its validation part)")
    rest = split(dataset, train_size, 0, test_size, seed)
    (chosen,) = stratified_parts(own.labels, (validation_size,), numpy_stream(seed, "split validation"))
    return Split(rest.train, own.take(chosen), rest.test)


def check_sizes(
    name: str, train_count: int, test_count: int, train_size: int, validation_size: int, test_size: int
) -> None:
    """Raise SettingError, one sentence naming setting, rule and value, when a split of
    these sizes cannot be drawn.

    `test_count` is the size of the official test part, 0 when there is none and the
    test images come from the others.
    """
    for setting, value, least in (
        ("train_size", train_size, 1),
        ("validation_size", validation_size, 0),
        ("test_size", test_size, 0),
    ):
        if value < least:
            raise SettingError(f"{setting} must be at least {least}, got {value}.")
    reserved, rule = validation_size, f"{train_count:,} images, {validation_size:,} of them for validation"
    if test_count:
        _check_at_most("test_size", test_size, test_count, f"on {name} (its official test part)")
    else:
        reserved, rule = reserved + test_size, f"{rule} and {test_size:,} for testing"
        _check_at_most("test_size", test_size, train_count - 1, f"on {name} ({train_count:,} images)")
    _check_at_most(
        "validation_size",
        validation_size,
        train_count - 1 - (reserved - validation_size),
        f"on {name} ({rule.split(', ')[0]})",
    )
    _check_at_most("train_size", train_size, train_count - reserved, f"on {name} ({rule})")


def stratified_parts(
    labels: np.ndarray, sizes: tuple[int, ...], generator: np.random.Generator
) -> list[np.ndarray]:
    """Disjoint index arrays of these sizes, each with every class in proportion: within
    one image of size × the class's share. In random order.
    """
    classes, members = np.unique(labels, return_inverse=True)
    counts = proportional_counts(np.array(sizes), np.bincount(members, minlength=len(classes)), generator)
    ends = np.cumsum(counts, axis=0)
    parts = [[] for _ in sizes]
    for index in range(len(classes)):
        places = generator.permutation(np.flatnonzero(members == index))
        for part, end, count in zip(parts, ends[:, index], counts[:, index], strict=True):
            part.append(places[end - count : end])
    return [generator.permutation(np.concatenate(part)) for part in parts]


def some_of_each(labels: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Places of `count` images of every class, drawn without replacement."""
    return np.concatenate(
        [
            generator.choice(np.flatnonzero(labels == label), count, replace=False)
            for label in np.unique(labels)
        ]
    )


def proportional_counts(
    sizes: np.ndarray, class_sizes: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """(parts, classes) int64: rows sum to `sizes`, columns to at most `class_sizes`,
    every entry is its share rounded down or up.

    Which shares are rounded up is drawn at random among the ways there are: the vertex
    of a transport polytope, so whole numbers (controlled rounding: Bacharach,
    Management Science 12, 1966).
    """
    shares = np.multiply.outer(sizes, class_sizes)
    down, rest = np.divmod(shares, class_sizes.sum())
    # drawn even when nothing is rounded, so that what is drawn later does not move
    costs = generator.random(shares.size)
    if not rest.any():
        return down
    from scipy.optimize import linprog

    parts, classes = shares.shape
    solution = linprog(
        costs,
        A_eq=np.kron(np.eye(parts), np.ones(classes)),
        b_eq=sizes - down.sum(axis=1),
        A_ub=np.tile(np.eye(classes), parts),
        b_ub=class_sizes - down.sum(axis=0),
        bounds=[(0, int(fraction > 0)) for fraction in rest.ravel()],
        method="highs-ds",
    )
    return down + np.rint(solution.x).astype(np.int64).reshape(shares.shape)


def _check_at_most(setting: str, value: int, most: int, where: str) -> None:
    if value > most:
        raise SettingError(f"{setting} must be at most {max(most, 0):,} {where}, got {value:,}.")
