"""Image folders of the reader's own: reading one by name, what is in it, and how many of
its images an experiment takes.

A name may set a side, `my_folder@64`: the images are then cut to the square in their
middle and resized to it. Own folders may be small, so the sizes an experiment asks for
are upper bounds there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from mlcv_explore import environment
from mlcv_explore.config import SettingError
from mlcv_explore.data import folder, locations
from mlcv_explore.data.cache import open_cached_folder, save
from mlcv_explore.data.catalogue import CATALOGUE, Entry
from mlcv_explore.data.dataset import DataError
from mlcv_explore.data.folder import FolderDataset, Listing, Progress
from mlcv_explore.data.splits import check_sizes
from mlcv_explore.data.uploads import shown_name

# where a folder holds too few images: shares of the training images that each part gets
SHARES = {"train": 3, "validation": 1, "test": 2}
NAMES = {"train": "training", "validation": "validation", "test": "test"}
NAMED = 5  # skipped files that are named one by one


@dataclass(frozen=True, eq=False)
class OwnFolder:
    """What is known of an own folder once its images were read."""

    entry: Entry
    counts: dict[str, tuple[int, ...]]  # part → images of every class that were read
    skipped: tuple[str, ...]  # files that could not be read, below the folder
    side: int | None  # what images were cropped and resized to; None: read as they are
    fingerprint: str  # of the content

    def size(self, part: str) -> int:
        """How many images a part holds; 0 when there is no such part."""
        return sum(self.counts.get(part, ()))


class Unread(Exception):
    """A folder that would have to be decoded first, which may take minutes: its `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The images of {name} are not read yet.")
        self.name = name


_known: dict[tuple[str, str, str], OwnFolder] = {}  # of root, name, and fingerprint of the files
_progress: ContextVar[Progress | None] = ContextVar("progress of reading", default=None)
_deferred: ContextVar[bool] = ContextVar("reading deferred", default=False)


@contextmanager
def reported_to(progress: Progress) -> Iterator[None]:
    """Within it `progress` receives the images read so far, and their number, while a
    folder is decoded by this thread; what it raises ends the reading.
    """
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


@contextmanager
def deferred() -> Iterator[None]:
    """Within it this thread decodes no folder: `load` and `about` raise Unread instead."""
    token = _deferred.set(True)
    try:
        yield
    finally:
        _deferred.reset(token)


def load(name: str) -> FolderDataset:
    """The own folder of that name, its arrays read-only. The first reading decodes every
    image, later ones open the cached arrays.

    Raises DataError, one sentence, when it is absent or not laid out as a set.
    """
    with locations.in_one_sentence(name):
        return _load(name, _listing(name))


def about(name: str) -> OwnFolder:
    """What is in the own folder of that name. It is read at first, and again when its
    files have changed.

    Raises DataError as `load` does.
    """
    with locations.in_one_sentence(name):
        listing = _listing(name)
        key = str(listing.root), name, listing.fingerprint
        if key not in _known:
            _known[key] = _described(_load(name, listing))
        return _known[key]


def fitted_sizes(name: str, train_size: int, validation_size: int, test_size: int) -> tuple[int, int, int]:
    """Training, validation and test images that an experiment takes of a set when it
    asks for these: so many of a set of the catalogue, at most so many of an own folder.

    A part of its own gives what it has. Parts that share the training images and need
    more than there are get at most 3 (training), 1 (validation) and 2 (test) in the sum
    of these shares: of 300 images alone 150, 50 and 100. Raises DataError.
    """
    asked = {"train": train_size, "validation": validation_size, "test": test_size}
    if name not in CATALOGUE:
        own = about(name)
        apart = {part: own.size(part) for part in ("validation", "test") if own.size(part)}
        shared = [part for part in asked if part not in apart]
        if sum(asked[part] for part in shared) > own.size("train"):
            whole = sum(SHARES[part] for part in shared)
            apart |= {part: own.size("train") * SHARES[part] // whole for part in shared}
        asked |= {part: min(asked[part], size) for part, size in apart.items()}
    return asked["train"], asked["validation"], asked["test"]


def check_split(name: str, train_size: int, validation_size: int, test_size: int) -> None:
    """Raise SettingError, one sentence, when an own folder cannot be split so, or a class
    would be missing from a part.
    """
    own = about(name)
    sizes = {"train": train_size, "validation": validation_size, "test": test_size}
    sources = _sources(own)
    if sources["validation"] != "train" and validation_size > own.size("validation"):
        raise SettingError(
            f"validation_size must be at most {own.size('validation'):,} on {name} (its own validation part),"
            f" got {validation_size:,}."
        )
    drawn = validation_size if sources["validation"] == "train" else min(validation_size, 0)
    check_sizes(name, own.size("train"), own.size("test"), train_size, drawn, test_size)
    _check_classes(own, sizes, sources)


def check_enough(name: str, train_size: int, validation_size: int, test_size: int) -> None:
    """Raise SettingError, one sentence, when an own folder has too few images for a split
    of these sizes whose validation images come from the training part, a class would be
    missing from a part, or the folder cannot be read.
    """
    try:
        own = about(name)
    except DataError as error:
        raise SettingError(str(error)) from None
    sizes = {"train": train_size, "validation": validation_size, "test": test_size}
    sources = _sources(own) | {"validation": "train"}
    for source in dict.fromkeys(sources.values()):
        taken = [part for part in sizes if sources[part] == source]
        if sum(sizes[part] for part in taken) > own.size(source):
            listed = " and ".join(f"{sizes[part]:,} ({NAMES[part]})" for part in taken)
            raise SettingError(
                f"{name} has {own.size(source):,} images in its {NAMES[source]} part, and this run takes"
                f" {listed}: set fewer, or add images."
            )
    _check_classes(own, sizes, sources)


def fewest_of_a_class(name: str, train_size: int) -> int:
    """How many training images of every class a stratified split of this set has for
    sure, with so many in all.
    """
    if name in CATALOGUE:  # classes are of one size: the smallest may be one short of its share
        return train_size // len(CATALOGUE[name].classes) - 1
    own = about(name)
    return train_size * min(own.counts["train"]) // own.size("train")


def own_fingerprint(name: str) -> str:
    """Fingerprint of the content of an own folder; "" for a set of the catalogue, which
    never changes, and for a folder that is not there.
    """
    if name in CATALOGUE or locations.name_and_side(name)[0] not in locations.own_names():
        return ""
    return about(name).fingerprint


def describe(name: str, sizes: tuple[int, int, int]) -> str:
    """A report on an own folder and the parts that an experiment takes of it; "" for a
    set of the catalogue.
    """
    if name in CATALOGUE:
        return ""
    own = about(name)
    total, (_, height, width) = sum(map(own.size, own.counts)), own.entry.shape
    how = "read as they are" if own.side is None else "cut to the square in their middle and resized"
    train, validation, test = sizes
    text = (
        f"{shown_name(own.entry.title)}: {total:,} images of {len(own.entry.classes)} classes, {how},"
        f" {width}×{height} pixels; training, validation and test images: {train:,}, {validation:,},"
        f" {test:,}."
    )
    if own.skipped:
        named = ", ".join("/".join(map(shown_name, path.split("/"))) for path in own.skipped[:NAMED])
        more = f" and {len(own.skipped) - NAMED:,} more" if len(own.skipped) > NAMED else ""
        count = f"{len(own.skipped):,} of {total + len(own.skipped):,}"
        text += f" {count} images could not be read: {named}{more}."
    return text


def _sources(own: OwnFolder) -> dict[str, str]:
    """The part of the folder from which each part of an experiment is taken."""
    return {part: part if own.size(part) else "train" for part in SHARES}


def _check_classes(own: OwnFolder, sizes: dict[str, int], sources: dict[str, str]) -> None:
    for part, source in sources.items():
        for kind, count in zip(own.entry.classes, own.counts[source], strict=True):
            if sizes[part] and not sizes[part] * count // own.size(source):
                raise SettingError(
                    f"{own.entry.name} has too few images of class {kind!r}, {count} of"
                    f" {own.size(source):,}, for {sizes['train']:,} training, {sizes['validation']:,}"
                    f" validation and {sizes['test']:,} test images: add some, or take the class away."
                )


def _listing(name: str) -> Listing:
    side_less, _ = locations.name_and_side(name)
    return folder.list_folder(side_less, locations.find(name).root, own=True)


def _load(name: str, listing: Listing) -> FolderDataset:
    cached = environment.home() / "cache" / name / listing.fingerprint
    dataset = open_cached_folder(name, cached)
    if dataset is None:
        if _deferred.get():
            raise Unread(name)
        side = locations.name_and_side(name)[1]
        dataset = replace(folder.read_own(listing, side, _progress.get()), name=name)
        for part in (dataset.train, dataset.validation, dataset.test):
            for array in () if part is None else (part.images, part.labels):
                array.flags.writeable = False
        save(dataset, cached)
    return dataset


def _described(dataset: FolderDataset) -> OwnFolder:
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    classes = dataset.train.classes
    counts = {
        part: tuple(int((images.labels == label).sum()) for label in range(len(classes)))
        for part, images in parts.items()
        if images is not None
    }
    entry = Entry(
        dataset.name,
        locations.name_and_side(dataset.name)[0],
        classes,
        dataset.train.images.shape[1:],
        len(dataset.train),
        len(dataset.test or ()),
        "own folder",
        "as stated by its owner.",
        "folder",
    )
    return OwnFolder(entry, counts, dataset.skipped, dataset.side, dataset.fingerprint)
