"""The files in which MNIST, Fashion-MNIST, CIFAR, SVHN and Oxford-IIIT Pet were
published, as torchvision stores them.
"""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlcv_explore.data import oxford_pets
from mlcv_explore.data.catalogue import Entry
from mlcv_explore.data.dataset import DataError, Images

if TYPE_CHECKING:
    from mlcv_explore.torchvision_compat import datasets

LARGEST_IDX_BYTES = 64 * 2**20  # MNIST's largest file is 47 MB unpacked
IDX = {
    part: (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    for part, prefix in (("train", "train"), ("test", "t10k"))
}
IDX_FOLDERS = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw"}
PETS_FOLDER = "oxford-iiit-pet"
FILES = {
    "mnist": tuple(file for pair in IDX.values() for file in pair),
    "fashion_mnist": tuple(file for pair in IDX.values() for file in pair),
    "cifar10": tuple(
        f"cifar-10-batches-py/{file}"
        for file in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta")
    ),
    "cifar100": tuple(f"cifar-100-python/{file}" for file in ("train", "test", "meta")),
    "svhn": ("train_32x32.mat", "test_32x32.mat"),
    "oxford_pets": oxford_pets.PUBLISHED,
}


def find_files(name: str, root: Path) -> dict[str, Path | None]:
    """Each file that the set consists of, of Oxford-IIIT Pet the lists and folders →
    where it lies below `root`, None when it is missing.
    """
    if name == "oxford_pets":
        return {
            file: next((path for path in (root / PETS_FOLDER / file, root / file) if path.exists()), None)
            for file in FILES[name]
        }
    if name not in IDX_FOLDERS:
        return {file: root / file if (root / file).is_file() else None for file in FILES[name]}
    places = [root / folder for folder in (IDX_FOLDERS[name], "raw", ".")]
    return {
        file: next(
            (path for place in places for path in (place / file, place / f"{file}.gz") if path.is_file()),
            None,
        )
        for file in FILES[name]
    }


def find_all_files(name: str, root: Path) -> dict[str, Path | None]:
    """As `find_files`, and of Oxford-IIIT Pet every image that its lists name. Raises
    DataError when a list is damaged.
    """
    files = find_files(name, root)
    return oxford_pets.listed_files(files) if name == "oxford_pets" and None not in files.values() else files


def files_fingerprint(files: dict[str, Path]) -> str:
    """16 hexadecimal digits of the files' names, sizes and times of change."""
    stats = [(file, path.stat()) for file, path in files.items()]
    return hashlib.blake2b(
        repr([(file, stat.st_size, stat.st_mtime_ns) for file, stat in stats]).encode(), digest_size=8
    ).hexdigest()


def read_files(entry: Entry, root: Path, files: dict[str, Path]) -> tuple[Images, Images]:
    """The train and the test part from `find_all_files`. Raises DataError when a file
    is damaged.

    CIFAR's batches are pickles: they are opened only when their MD5 is that of the
    published file.
    """
    if entry.name in IDX_FOLDERS:
        train, test = (
            Images(*(read_idx(files[file]) for file in IDX[part]), entry.classes)
            for part in ("train", "test")
        )
        return train, test
    if entry.name == "oxford_pets":
        return oxford_pets.read(entry, files)
    from mlcv_explore.torchvision_compat import datasets

    if entry.name == "svhn":
        return read_svhn(root, datasets.SVHN, entry.classes)
    return read_cifar(
        root, {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[entry.name], entry.classes
    )


def read_idx(path: Path) -> np.ndarray:
    """One IDX file, plain or gzip: uint8 (n, 1, height, width) when it holds images,
    int64 (n,) when it holds labels.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(LARGEST_IDX_BYTES + 1)
        kind, axes = struct.unpack(">HBB", content[:4])[1:]
        shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        raise DataError(
            f"{path.name} is damaged or was downloaded only in part: take it away and download the set again."
        ) from error
    pixels = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if kind != 8 or axes not in (1, 3) or pixels.size != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{path.name} is not the IDX file it should be or was downloaded only in part: take it away and"
            " download the set again."
        )
    return pixels.reshape(shape)[:, np.newaxis] if axes == 3 else pixels.astype(np.int64)


def read_cifar(root: Path, kind: type["datasets.CIFAR10"], classes: tuple[str, ...]) -> tuple[Images, Images]:
    """CIFAR-10 or CIFAR-100, checked by torchvision before anything is unpickled."""
    try:
        parts = [kind(root, train=True), kind(root, train=False)]
    except RuntimeError as error:
        raise DataError(
            f"A file in {kind.base_folder} is not the published one: take the folder away and download the"
            " set again."
        ) from error
    train, test = (
        Images(
            np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)), np.array(part.targets, np.int64), classes
        )
        for part in parts
    )
    return train, test


def read_svhn(root: Path, kind: type["datasets.SVHN"], classes: tuple[str, ...]) -> tuple[Images, Images]:
    """SVHN's cropped digits, checked by torchvision before they are read."""
    try:
        parts = [kind(root, split="train"), kind(root, split="test")]
    except RuntimeError as error:
        raise DataError(
            "A file of svhn is not the published one: take it away and download the set again."
        ) from error
    train, test = (Images(np.ascontiguousarray(part.data), part.labels, classes) for part in parts)
    return train, test
