"""Reading a set by its name, and what is known of it before."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from mlcv_explore import environment
from mlcv_explore.data import features, folder, locations, own_folders, published_formats
from mlcv_explore.data.cache import open_cached, save
from mlcv_explore.data.catalogue import CATALOGUE, Entry
from mlcv_explore.data.dataset import DataError, Dataset, Images, content_fingerprint
from mlcv_explore.data.splits import check_sizes


def load(name: str) -> Dataset:
    """The data set of that name, its arrays read-only.

    The first reading of a folder or of Oxford-IIIT Pet decodes every image, later ones
    open the cached arrays. Raises DataError, one sentence, when the set is absent,
    incomplete, damaged or of the wrong shape.
    """
    if name == "digits":
        return _digits()
    if name in CATALOGUE and CATALOGUE[name].kind == "features":
        return features.load(name)
    if name not in CATALOGUE:
        return own_folders.load(name)
    with locations.in_one_sentence(name):
        location = locations.find(name)
        return (
            _load_files(name, location.root)
            if location.form == "published"
            else _load_folder(name, location.root)
        )


def entry(name: str) -> Entry:
    """What is known of a set; of one of the catalogue without reading it, while an own
    folder is read once and remembered.

    Raises DataError when there is no such set.
    """
    return CATALOGUE[name] if name in CATALOGUE else own_folders.about(name).entry


def largest_train_size(name: str, validation_size: int = 0, test_size: int = 0) -> int:
    """How many training images a split of this set can have beside such a validation
    and test part.
    """
    known = entry(name)
    apart = name not in CATALOGUE and own_folders.about(name).size("validation") > 0
    return max(
        0, known.train_size - (0 if apart else validation_size) - (0 if known.test_size else test_size)
    )


def check_split(name: str, train_size: int, validation_size: int, test_size: int) -> None:
    """Raise SettingError, one sentence naming setting, rule and value, when this set
    cannot be split so.
    """
    if name in CATALOGUE:
        known = CATALOGUE[name]
        check_sizes(name, known.train_size, known.test_size, train_size, validation_size, test_size)
    else:
        own_folders.check_split(name, train_size, validation_size, test_size)


def _load_files(name: str, root: Path) -> Dataset:
    files = published_formats.find_all_files(name, root)
    for file, path in files.items():
        if path is None:
            raise DataError(locations.incomplete(name, f"{file} is missing"))
    return _open_or_read(
        name,
        published_formats.files_fingerprint(files),
        partial(published_formats.read_files, CATALOGUE[name], root, files),
    )


def _load_folder(name: str, root: Path) -> Dataset:
    if CATALOGUE[name].masks:
        raise DataError(locations.incomplete(name, locations.NO_MASKS))
    listing = folder.list_folder(name, root)
    _check_listing(listing, CATALOGUE[name])
    return _open_or_read(name, listing.fingerprint, partial(_read_folder, listing))


def _open_or_read(name: str, fingerprint: str, read: Callable[[], tuple[Images, Images | None]]) -> Dataset:
    """The cached set of these files, or the result of `read()`, which is then cached."""
    cached = environment.home() / "cache" / name / fingerprint
    dataset = open_cached(name, cached)
    if dataset is None:
        try:
            train, test = read()
        except DataError:
            raise
        except ValueError as error:  # arrays that do not fit together
            raise DataError(
                f"{name} is damaged ({str(error).rstrip('.')}): take it away and download the set again."
            ) from error
        _check_parts(CATALOGUE[name], train, test)
        dataset = _frozen(Dataset(name, train, test, content_fingerprint(train, test)))
        save(dataset, cached)
    return dataset


def _read_folder(listing: folder.Listing) -> tuple[Images, Images | None]:
    """Every image of a published set's folder; grey ones are given three channels when
    the other part has colour.
    """
    known = CATALOGUE[listing.name]
    height, width = folder.first_image_shape(listing)[1:]
    if (height, width) != known.shape[1:]:
        rule = f"must have images of {known.shape[2]}×{known.shape[1]} pixels"
        raise DataError(f"{listing.name} {rule}, the first has {width}×{height}: put the right set there.")
    train, test = (
        folder.read_part(listing, part, known.classes, height, width) if part in listing.files else None
        for part in folder.PARTS
    )
    if test is None or train.images.shape[1] == test.images.shape[1]:
        return train, test
    coloured = (
        replace(part, images=np.repeat(part.images, 3, axis=1)) if part.images.shape[1] == 1 else part
        for part in (train, test)
    )
    return next(coloured), next(coloured)


def _check_listing(listing: folder.Listing, known: Entry) -> None:
    """Raise DataError when a folder that goes by a known name is not that set: evidence
    on half of it would be wrong.
    """
    if set(listing.classes) != set(known.classes):
        differing = min(set(listing.classes) ^ set(known.classes))
        verdict = "not one of its classes" if differing in listing.classes else "missing"
        raise DataError(locations.incomplete(known.name, f"the class folder {differing!r} is {verdict}"))
    for part, size in (("train", known.train_size), ("test", known.test_size)):
        if listing.size(part) != size:
            raise DataError(
                locations.incomplete(
                    known.name, f"its {part} part holds {listing.size(part):,} of {size:,} images"
                )
            )


def _check_parts(known: Entry, train: Images, test: Images | None) -> None:
    for part, images, size in (("train", train, known.train_size), ("test", test, known.test_size)):
        expected = (size, *known.shape)
        if images is None or images.images.shape != expected:
            shape = None if images is None else images.images.shape
            raise DataError(
                f"The {part} part of {known.name} must have shape {expected}, got {shape}: take it away and"
                " download the set again."
            )


@cache
def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    bundled = load_digits()
    # counts of 0–16 inked dots of a 4×4 block, scaled to 0–255
    pixels = np.rint(bundled.images[:, np.newaxis] * (255 / 16)).astype(np.uint8)
    train = Images(pixels, bundled.target.astype(np.int64), CATALOGUE["digits"].classes)
    return _frozen(Dataset("digits", train, None, content_fingerprint(train, None)))


def _frozen(dataset: Dataset) -> Dataset:
    """The same set with arrays that cannot be written, as they are when opened from
    disk.
    """
    for part in (dataset.train, dataset.test):
        for array in () if part is None else (part.images, part.labels, part.masks):
            if array is not None:
                array.flags.writeable = False
    return dataset
