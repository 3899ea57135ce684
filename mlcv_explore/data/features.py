"""Data sets of features: vectors that a network computed from photographs, in one
safetensors file with a card beside it.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlcv_explore import environment
from mlcv_explore.data.catalogue import CATALOGUE
from mlcv_explore.data.dataset import DataError, Dataset, Images, content_fingerprint
from mlcv_explore.files import write_atomically

if TYPE_CHECKING:
    import torch

SHIPPED = Path(__file__).parent.parent.parent / "assets" / "data"
COMMAND = "python -m mlcv_explore features cifar10"
PARTS = ("train", "test")


@dataclass(frozen=True, eq=False)
class Features(Images):
    """Labelled feature vectors in the place of images; `images` is (n, d) float16 and
    cannot be drawn. Raises ValueError when the arrays do not fit together.
    """

    # (n,) int64: place of the photograph among those of its class, by file name
    places: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 2 or self.images.dtype != np.float16:
            raise ValueError(f"features must be float16 (n, d), got {self.images.dtype} {self.images.shape}.")
        for name in ("labels", "places"):
            values = getattr(self, name)
            if values is None or values.shape != self.images.shape[:1] or values.dtype != np.int64:
                raise ValueError(f"{name} must be int64 ({len(self.images)},).")
        if len(self) and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise ValueError(
                f"labels must lie in 0–{len(self.classes) - 1}, got {self.labels.min()}–{self.labels.max()}."
            )

    def take(self, indices: np.ndarray) -> "Features":
        """Copies of the rows at these places, in this order."""
        rows = (np.asarray(values[indices]) for values in (self.images, self.labels))
        return Features(*rows, self.classes, places=np.asarray(self.places[indices]))

    def as_float(self) -> "torch.Tensor":
        """The vectors as torch float32 (n, d), as they are stored."""
        import torch

        return torch.from_numpy(np.array(self.images)).float()

    def rows_in(self, photographs: Images) -> np.ndarray:
        """(n,) int64: the row of each one's photograph in the same part of the set of
        photographs, read from a folder of class folders.
        """
        rows = np.stack([np.flatnonzero(photographs.labels == k) for k in range(len(self.classes))])
        return rows[self.labels, self.places]


def file(name: str) -> Path:
    """Where a set of features is, or would be."""
    folder = SHIPPED if CATALOGUE[name].origin == "bundled" else environment.home() / "data"
    return folder / f"{name}.safetensors"


def load(name: str) -> Dataset:
    """A set of features of the catalogue, its arrays read-only.

    Raises DataError, one sentence, when it is absent, damaged, or another one than the
    catalogue declares.
    """
    path = file(name)
    if not path.is_file():
        raise DataError(absent(name))
    return _load(name, path, path.stat().st_mtime_ns)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a file and the card beside it. Raises DataError where the file is
    not the one that the card states.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as arrays_of

    try:
        content = path.read_bytes()
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if hashlib.sha256(content).hexdigest() != card["sha256"]:
            raise ValueError("its SHA-256 is not the one on its card")
        return arrays_of(content), card
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        reason = str(error) if type(error) is ValueError else type(error).__name__
        raise DataError(f"{path.stem} is damaged ({reason.rstrip('.')}): {_cure(path.stem)}.") from error


def write(folder: Path, name: str, arrays: dict[str, np.ndarray], card: dict[str, Any]) -> dict[str, Any]:
    """Write a set and its card; returns the card with the name, the SHA-256 of the file
    and the fingerprint of the content. Raises OSError.
    """
    from safetensors.numpy import save

    content = save({part: np.ascontiguousarray(values) for part, values in arrays.items()})
    parts = (part_of(arrays, part, CATALOGUE[name].classes) for part in PARTS)
    card = {
        "name": name,
        **card,
        "bytes": len(content),
        "fingerprint": content_fingerprint(*parts),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_atomically(folder / f"{name}.safetensors", content)
    write_atomically(folder / f"{name}.json", json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    return card


def part_of(arrays: dict[str, np.ndarray], part: str, classes: tuple[str, ...]) -> Features:
    """The train or the test part. Raises ValueError when its arrays do not fit together
    or are missing.
    """
    names = (part, f"{part}_labels", f"{part}_places")
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"{missing[0]} is missing")
    vectors, labels, places = (arrays[name] for name in names)
    if not np.isfinite(vectors).all():
        raise ValueError(f"{part} holds values that are no numbers")
    return Features(vectors, labels.astype(np.int64), classes, places=places.astype(np.int64))


def absent(name: str) -> str:
    """The sentence for a set of features that is not here."""
    return f"{name} is not here: {_cure(name)}."


def _cure(name: str) -> str:
    if name in CATALOGUE and CATALOGUE[name].origin == "bundled":
        return f"bring back assets/data/{name}.safetensors and .json as they were shipped"
    return f"run `{COMMAND} --all`, which needs CIFAR-10"


@cache
def _load(name: str, path: Path, _: int) -> Dataset:
    entry = CATALOGUE[name]
    arrays, _ = read(path)
    try:
        train, test = (part_of(arrays, part, entry.classes) for part in PARTS)
    except ValueError as error:
        raise DataError(f"{name} is damaged ({str(error).rstrip('.')}): {_cure(name)}.") from error
    expected = [(size, entry.shape[0]) for size in (entry.train_size, entry.test_size)]
    if [part.images.shape for part in (train, test)] != expected:
        raise DataError(f"{name} is damaged (its parts must have shapes {expected}): {_cure(name)}.")
    fingerprint = content_fingerprint(train, test)
    if entry.content and fingerprint != entry.content:
        raise DataError(f"{name} is not the set that ships (another content): {_cure(name)}.")
    for array in (values for part in (train, test) for values in (part.images, part.labels, part.places)):
        array.flags.writeable = False
    return Dataset(name, train, test, fingerprint)
