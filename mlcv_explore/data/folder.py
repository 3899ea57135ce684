"""A folder of images as a data set: `<root>/{train,val,test}/<class>/*.{jpg,jpeg,jfif,png}`
or `<root>/<class>/…`.

A published set is read pixel for pixel and refused with a broken file in it. A folder of
one's own may hold images of any size, and what cannot be read is skipped and named.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlcv_explore.data.dataset import DataError, Dataset, Images, content_fingerprint
from mlcv_explore.data.uploads import DATASET_SUFFIXES, read_dataset_image

PARTS = ("train", "test")  # of a published set
OWN_PARTS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}  # and their folders
SIDE = 32  # pixels: what images of several sizes, or large ones, are resized to
KEPT_SIDE = 64  # images that all have one size, no side larger than this, are read as they are
# images that are rejected, not skipped silently
UNREAD_SUFFIXES = (".gif", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".heic")
MAX_GIGABYTES = 4  # of one part, decoded: it has to fit into memory

Progress = Callable[[int, int], None]  # receives how many images were read, and how many there are


@dataclass(frozen=True)
class Listing:
    """The files of a set, not yet read."""

    name: str
    root: Path
    # part ("train", "test"; "validation" of an own folder) → class → paths below root, sorted
    files: dict[str, dict[str, tuple[str, ...]]]
    fingerprint: str  # of names, sizes and times of change

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in alphabetical order."""
        return tuple(self.files["train"])

    def size(self, part: str) -> int:
        """How many images a part holds; 0 when there is no such part."""
        return sum(map(len, self.files.get(part, {}).values()))


@dataclass(frozen=True, eq=False)
class FolderDataset(Dataset):
    """A folder of one's own: it may have a validation part, and files that were skipped."""

    validation: Images | None = None
    skipped: tuple[str, ...] = ()  # files that could not be read, below the set's folder
    side: int | None = None  # what images were cropped and resized to; None: read as they are


def is_image_folder(root: Path) -> bool:
    """Whether this is a folder of class folders with images in them, from a few file
    names.
    """
    if not root.is_dir():
        return False
    classes = _folders(root / "train" if _has_parts(root) else root)
    if len(classes) < 2:
        return False
    with os.scandir(classes[0].path) as files:
        return any(file.name.lower().endswith(DATASET_SUFFIXES) for file in files)


def list_folder(name: str, root: Path, own: bool = False) -> Listing:
    """Every image below `root`. Raises DataError when the folder is not laid out as a
    set.

    Without a test folder all of it is the train part. Folders beside train and test,
    and of an own folder val or validation, hidden files and files that are no images
    are left alone.
    """
    if not root.is_dir():
        raise DataError(f"{name} is a file where a folder of class folders should be.")
    digest = hashlib.blake2b(digest_size=8)
    if not _has_parts(root):
        return Listing(name, root, {"train": _list_part(name, root, "", digest)}, digest.hexdigest())
    if not (root / "train").exists():
        raise DataError(
            f"{name} has a test folder but no train folder: add {name}/train with its class folders."
        )
    folders = {part: _part_folder(name, root, part) for part in (OWN_PARTS if own else PARTS)}
    folders = {part: folder for part, folder in folders.items() if folder}
    files = {part: _list_part(name, root, folder, digest) for part, folder in folders.items()}
    for part, folder in folders.items():
        for only in sorted(set(files["train"]) ^ set(files[part])):
            there, lacking = ("train", folder) if only in files["train"] else (folder, "train")
            raise DataError(
                f"{name}/{there} has a class {only!r} that {name}/{lacking} lacks: both need the same class"
                " folders."
            )
    return Listing(name, root, files, digest.hexdigest())


def read_own(listing: Listing, side: int | None = None, progress: Progress | None = None) -> FolderDataset:
    """An own folder, decoded. Images are cut to the square in their middle and resized
    to `side`; without one to SIDE, unless all have one size of at most KEPT_SIDE.

    One channel when every image is grey. Files that cannot be read are skipped and
    named. What `progress` raises ends the reading. Raises DataError when a class has no
    image left, or all need too much memory.
    """
    for part in listing.files:
        _check_memory(listing, part, side or KEPT_SIDE, side or KEPT_SIDE)
    dataset = None if side else _decoded(listing, None, progress)
    return dataset or _decoded(listing, side or SIDE, progress)


def _decoded(listing: Listing, side: int | None, progress: Progress | None) -> FolderDataset | None:
    """The folder read as squares of this side; with None as it is, or None when the
    images have several sizes or are large.
    """
    parts: dict[str, tuple[np.ndarray, list[int]]] = {}
    shape, grey, skipped = None, True, []
    done, total = 0, sum(map(listing.size, listing.files))
    for part, classes in listing.files.items():
        labels: list[int] = []
        for label, path in ((label, path) for label, own in enumerate(classes.values()) for path in own):
            if progress:
                progress(done, total)
            done += 1
            try:
                image = read_dataset_image(listing.root / path, path, square=side)
            except DataError:
                skipped.append(path)
                continue
            shape = shape or image.shape[1:]
            if side is None and (image.shape[1:] != shape or max(shape) > KEPT_SIDE):
                return None
            if not labels:
                parts[part] = np.empty((listing.size(part), 3, *shape), np.uint8), labels
            parts[part][0][len(labels)] = image
            labels.append(label)
            grey = grey and len(image) == 1
    _check_classes(listing, {part: labels for part, (_, labels) in parts.items()}, skipped)
    channels = slice(1 if grey else 3)
    read = {
        part: Images(
            np.ascontiguousarray(images[: len(labels), channels]), np.array(labels, np.int64), listing.classes
        )
        for part, (images, labels) in parts.items()
    }
    train, test, validation = (read.get(part) for part in ("train", "test", "validation"))
    fingerprint = folder_fingerprint(train, test, validation)
    return FolderDataset(listing.name, train, test, fingerprint, validation, tuple(skipped), side)


def folder_fingerprint(train: Images, test: Images | None, validation: Images | None) -> str:
    """`content_fingerprint` of an own folder, its validation part included."""
    both = content_fingerprint(train, test)
    if validation is None:
        return both
    text = f"{both} {content_fingerprint(validation, None)}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _check_classes(listing: Listing, labels: dict[str, list[int]], skipped: list[str]) -> None:
    """Raise DataError when no file of a class could be read."""
    if not labels:
        raise DataError(
            f"{listing.name} has no image that can be read, {skipped[0]} is the first of {len(skipped):,}:"
            " only JPEG and PNG of 8 bits a channel are."
        )
    for part, classes in listing.files.items():
        for label, paths in enumerate(classes.values()):
            if label not in labels.get(part, ()):
                raise DataError(
                    f"{listing.name}/{paths[0].rpartition('/')[0]} has no image that can be read: replace its"
                    f" {len(paths):,} files, or take the class away."
                )


def _check_memory(listing: Listing, part: str, height: int, width: int) -> None:
    gigabytes = listing.size(part) * 3 * height * width / 2**30
    if gigabytes > MAX_GIGABYTES:
        rule = f"at most {MAX_GIGABYTES} GB are read: make the images smaller or fewer"
        raise DataError(f"{listing.name}/{part} would take {gigabytes:.1f} GB in memory, {rule}.")


def read_part(listing: Listing, part: str, classes: tuple[str, ...], height: int, width: int) -> Images:
    """All images of one part of a published set, decoded; `height` and `width` are those
    of the set's first image. One channel when every image is grey.

    One after the other: threads and processes were no quicker here on files of 1 kB.
    """
    labels = [index for index, kind in enumerate(classes) for _ in listing.files[part][kind]]
    paths = [path for kind in classes for path in listing.files[part][kind]]
    _check_memory(listing, part, height, width)
    images = np.empty((len(paths), 3, height, width), np.uint8)
    grey = True
    for place, path in enumerate(paths):
        image = read_dataset_image(listing.root / path, f"{listing.name}/{path}")
        if image.shape[1:] != (height, width):
            raise DataError(
                f"{listing.name}/{path} is {image.shape[2]}×{image.shape[1]} pixels and the first image"
                f" of the set {width}×{height}: all images of a set need one size."
            )
        images[place] = image
        grey = grey and len(image) == 1
    return Images(
        np.ascontiguousarray(images[:, :1]) if grey else images, np.array(labels, np.int64), classes
    )


def first_image_shape(listing: Listing) -> tuple[int, int, int]:
    """Shape (channels, height, width) of the set's first image."""
    path = listing.files["train"][listing.classes[0]][0]
    return read_dataset_image(listing.root / path, f"{listing.name}/{path}").shape


def _has_parts(root: Path) -> bool:
    """Whether train and test are the set's parts; in a set of vehicles `train` is a
    class.
    """
    names = {folder.name for folder in _folders(root)}
    parts = [part for part in PARTS if (root / part).exists()]
    return bool(parts) and (
        names <= {name for known in OWN_PARTS.values() for name in known}
        or any(_folders(root / part) for part in parts if part in names)
    )


def _part_folder(name: str, root: Path, part: str) -> str:
    """The folder that holds a part, "" where there is none."""
    here = [folder for folder in OWN_PARTS[part] if (root / folder).exists()]
    if len(here) > 1:
        raise DataError(f"{name} has both {here[0]} and {here[1]}: keep one folder for validation.")
    return here[0] if here else ""


def _folders(root: Path) -> list[os.DirEntry]:
    return sorted(
        (entry for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")),
        key=lambda entry: entry.name,
    )


def _list_part(name: str, root: Path, part: str, digest: "hashlib.blake2b") -> dict[str, tuple[str, ...]]:
    """Class → its files; feeds names, sizes and times of change into `digest`."""
    called = f"{name}/{part}" if part else name
    if not (root / part).is_dir():
        raise DataError(f"{called} is a file where a folder of class folders should be.")
    for entry in sorted(os.scandir(root / part), key=lambda entry: entry.name):
        if (
            entry.is_file()
            and not entry.name.startswith(".")
            and entry.name.lower().endswith(DATASET_SUFFIXES + UNREAD_SUFFIXES)
        ):
            raise DataError(
                f"{called}/{entry.name} lies outside a class folder: move it into {called}/<class>/."
            )
    folders = _folders(root / part)
    if len(folders) < 2:
        count = "one class folder" if folders else "no class folders"
        raise DataError(f"{called} holds {count}: it needs at least two, {called}/<class>/*.jpg or *.png.")
    return {folder.name: _list_class(called, part, folder, digest) for folder in folders}


def _list_class(called: str, part: str, folder: os.DirEntry, digest: "hashlib.blake2b") -> tuple[str, ...]:
    paths = []
    for entry in sorted(os.scandir(folder.path), key=lambda entry: entry.name):
        path = "/".join(filter(None, (part, folder.name, entry.name)))
        suffix = os.path.splitext(entry.name)[1].lower()
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            raise DataError(
                f"{called}/{folder.name} holds a folder {entry.name!r}: images lie directly in their class"
                " folder."
            )
        if suffix in UNREAD_SUFFIXES:
            raise DataError(
                f"{called}/{folder.name}/{entry.name} is a {suffix} file: only JPEG and PNG are read, convert"
                " it or take it away."
            )
        if suffix in DATASET_SUFFIXES:
            paths.append(path)
            stat = entry.stat()
            digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
    if not paths:
        raise DataError(
            f"{called}/{folder.name} is empty: every class folder needs at least one JPEG or PNG image."
        )
    return tuple(paths)
