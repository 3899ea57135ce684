"""Paths of data sets: `MLCV_DATA` first, then what was downloaded into `MLCV_HOME`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlcv_explore import environment
from mlcv_explore.data import features
from mlcv_explore.data.catalogue import CATALOGUE
from mlcv_explore.data.dataset import DataError
from mlcv_explore.data.folder import is_image_folder
from mlcv_explore.data.published_formats import FILES, find_files

SIDES = (8, 256)  # pixels: the least and the largest side that a name may set, as in my_folder@64
NO_MASKS = "it holds none of the published files, and class folders have no masks"


@dataclass(frozen=True)
class Availability:
    """Whether a set is here, and one sentence: where it comes from, or what to do."""

    present: bool
    sentence: str


@dataclass(frozen=True)
class Location:
    """A folder that should contain a set, and its form."""

    root: Path
    form: Literal["published", "folder"]
    sentence: str  # for readers, without the path: shown on public servers too


def own_root() -> Path | None:
    """The folder that `MLCV_DATA` names, None when it is not set."""
    return Path(os.environ["MLCV_DATA"]).expanduser() if os.environ.get("MLCV_DATA") else None


def downloads() -> Path:
    """The folder of downloaded sets."""
    return environment.home() / "data"


def own_names() -> tuple[str, ...]:
    """Sets found in `MLCV_DATA` that the catalogue does not know: folders of class
    folders with images, in alphabetical order.
    """
    root = own_root()
    if root is None or not root.is_dir():
        return ()
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if _may_be_a_name(entry.name)]
    return tuple(sorted(name for name in names if _is_image_folder(root / name)))


# beside the choices of a setting that names the data set of a run
BY_NAME = {
    "found": own_names,
    "more": True,
    "help": "Features of photographs, or images; `download NAME` fetches others. my_folder@64: an own folder"
    " at side 64.",
}


@contextmanager
def in_one_sentence(name: str) -> Iterator[None]:
    """OSErrors as DataErrors, without the path."""
    try:
        yield
    except OSError as error:
        reason = ": ".join(
            filter(
                None, (error.strerror or type(error).__name__, error.filename and Path(error.filename).name)
            )
        )
        raise DataError(
            f"{name} could not be read ({reason}): check the folder and its permissions."
        ) from error


def name_and_side(name: str) -> tuple[str, int | None]:
    """The folder that a name means, and the side in pixels that it sets: `my_folder@64`
    → ("my_folder", 64), `my_folder` → ("my_folder", None).

    Raises DataError when the side is none of SIDES, or the set has a size of its own.
    """
    folder, mark, side = name.rpartition("@")
    if not mark:
        return name, None
    if folder in CATALOGUE:
        raise DataError(f"{folder} has a published size: a side, as in {name}, is for own folders alone.")
    low, high = SIDES
    if not (side.isascii() and side.isdecimal() and side == str(int(side)) and low <= int(side) <= high):
        raise DataError(f"The side in {name!r:.80} must be a whole number between {low} and {high} pixels.")
    return folder, int(side)


def find(name: str) -> Location:
    """The location of a set, the first that has an entry of that name. Raises DataError
    when there is none.
    """
    folder = name_and_side(name)[0]
    if folder not in CATALOGUE and not _may_be_a_name(folder):
        raise DataError(unknown(name))
    for root, sentence in ((own_root(), "Read from MLCV_DATA."), (downloads(), "Downloaded.")):
        if root is not None and (root / folder).exists():
            published = name in FILES and any(find_files(name, root / name).values())
            return Location(root / folder, "published" if published else "folder", sentence)
    raise DataError(absent(name) if name in CATALOGUE else unknown(name))


def available() -> dict[str, Availability]:
    """Every set of the catalogue and every own folder. Cheap: a look at folders, no
    image is opened.
    """
    return {name: _availability(name) for name in (*CATALOGUE, *own_names())}


def absent(name: str) -> str:
    """The sentence for a set of the catalogue that is not here."""
    if CATALOGUE[name].origin == "computed" and os.environ.get("MLCV_PUBLIC") != "1":
        return features.absent(name)
    root = own_root()
    lost = " MLCV_DATA names a folder that does not exist;" if root is not None and not root.is_dir() else ""
    example = f"the published files under {name}/"
    if not CATALOGUE[name].masks:
        example = f"{name}/{{train,test}}/<class>/*.jpg or {example}"
    if os.environ.get("MLCV_PUBLIC") == "1":
        return f"{CATALOGUE[name].title} is not on this server."
    return (
        f"{name} is not here:{lost} run `python -m mlcv_explore download {name}`, or set MLCV_DATA to a"
        f" folder that holds {example}."
    )


def unknown(name: str) -> str:
    """The sentence for a name that nothing goes by."""
    own = (
        ", or the name of a folder of class folders in MLCV_DATA"
        if os.environ.get("MLCV_PUBLIC") != "1"
        else ""
    )
    return f"There is no data set {name!r}: it must be one of {', '.join((*CATALOGUE, *own_names()))}{own}."


def _availability(name: str) -> Availability:
    if name in CATALOGUE and CATALOGUE[name].origin == "bundled":
        return Availability(True, f"Bundled: {CATALOGUE[name].source}.")
    if name in CATALOGUE and CATALOGUE[name].origin == "computed":
        present = features.file(name).is_file()
        return Availability(present, "Computed on this machine." if present else absent(name))
    try:
        location = find(name)
    except DataError as error:
        return Availability(False, str(error))
    if location.form == "published":
        missing = [file for file, path in find_files(name, location.root).items() if path is None]
        return Availability(
            not missing, incomplete(name, f"{missing[0]} is missing") if missing else location.sentence
        )
    if name in CATALOGUE and CATALOGUE[name].masks:
        return Availability(False, incomplete(name, NO_MASKS))
    if not _is_image_folder(location.root):
        return Availability(
            False, incomplete(name, "it holds neither class folders of images nor the published files")
        )
    return Availability(True, location.sentence)


def incomplete(name: str, what: str) -> str:
    """The sentence for a set of which only a part is here."""
    cure = (
        f", or take it away and run `python -m mlcv_explore download {name}`"
        if name in FILES and os.environ.get("MLCV_PUBLIC") != "1"
        else ""
    )
    return f"{name} is incomplete: {what}; put the whole set there{cure}."


def _may_be_a_name(name: str) -> bool:
    """One path component that is not hidden: a name never leads out of `MLCV_DATA`."""
    return (
        bool(name)
        and name == Path(name).name
        and not name.startswith(".")
        and "\0" not in name
        and "@" not in name  # it separates a name from the side
        and name not in CATALOGUE
    )


def _is_image_folder(root: Path) -> bool:
    try:
        return is_image_folder(root)
    except OSError:  # not ours to read
        return False
