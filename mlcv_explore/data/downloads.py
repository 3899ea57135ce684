"""Downloading published data sets."""

import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlcv_explore import files
from mlcv_explore.data.catalogue import CATALOGUE, Entry
from mlcv_explore.data.dataset import DataError
from mlcv_explore.data.locations import available, downloads, find, own_root, unknown
from mlcv_explore.data.published_formats import IDX_FOLDERS, PETS_FOLDER
from mlcv_explore.files import TransferError

Progress = Callable[[int, int], None]  # (bytes so far, bytes in all); an exception from it stops the download

STALE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch: the same from each of the addresses."""

    addresses: tuple[str, ...]
    path: str  # below the set's folder
    md5: str


def download(name: str, progress: Progress | None = None) -> Path:
    """Fetch a set of the catalogue into `MLCV_HOME`, from where torchvision has it;
    returns its folder. One already here is left alone.

    Nothing incomplete stays: the files are fetched beside their place and moved there
    when all are whole. Raises DataError, one sentence, when the download fails.
    """
    entry = _downloadable(name)
    here = available()[name]
    if here.present:
        return find(name).root
    if own_root() is not None and (own_root() / name).exists():  # it would go before the download
        raise DataError(here.sentence)
    try:
        downloads().mkdir(parents=True, exist_ok=True)
        _remove_stale(name)
        with tempfile.TemporaryDirectory(
            prefix=f".{name}.", dir=downloads(), ignore_cleanup_errors=True
        ) as temporary:
            _fetch_all(entry, Path(temporary) / name, progress)
            shutil.rmtree(downloads() / name, ignore_errors=True)
            os.rename(Path(temporary) / name, downloads() / name)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{name} could not be written into MLCV_HOME ({reason}): free some space or set MLCV_HOME to"
            " another folder."
        ) from error
    return downloads() / name


def fetch(remote: RemoteFile, folder: Path, report: Callable[[int], None]) -> str:
    """One file into `folder` from the first address that has the whole of it: "", or
    why there is none. `report` receives its bytes so far.
    """
    from mlcv_explore.torchvision_compat import datasets

    path, reason = folder / remote.path, "no address"
    path.parent.mkdir(parents=True, exist_ok=True)
    for address in remote.addresses:
        try:
            files.fetch(address, path, lambda done, _: report(done))
        except TransferError as error:
            reason = str(error)
            continue
        if datasets.utils.check_integrity(path, remote.md5):
            return ""
        reason = "the file is not the published one"
    path.unlink(missing_ok=True)
    return reason


def _downloadable(name: str) -> Entry:
    if name not in CATALOGUE:
        raise DataError(unknown(name))
    if CATALOGUE[name].origin == "bundled":
        raise DataError(f"{name} is not downloaded: it is bundled.")
    if CATALOGUE[name].origin == "computed":
        raise DataError(f"{name} is not downloaded: {available()[name].sentence}")
    if CATALOGUE[name].origin == "torchvision" and os.environ.get("MLCV_PUBLIC") == "1":
        raise DataError(
            f"{name} cannot be downloaded here: a public server downloads nothing, run the app on your own"
            " machine."
        )
    return CATALOGUE[name]


def _fetch_all(entry: Entry, folder: Path, progress: Progress | None) -> None:
    done = 0

    def report(file_bytes: int) -> None:
        if progress is not None:
            progress(min(done + file_bytes, entry.download_bytes), entry.download_bytes)

    for remote in remote_files(entry.name):
        reason = fetch(remote, folder, report)
        if reason:
            cure = "check the network connection and try again, or put the set into MLCV_DATA"
            raise DataError(f"{entry.name} could not be downloaded ({reason}): {cure}.")
        done += (folder / remote.path).stat().st_size
        if remote.path.endswith(".tar.gz"):
            _unpack(folder / remote.path)


def remote_files(name: str) -> tuple[RemoteFile, ...]:
    """The files of a set as torchvision knows them: addresses and MD5."""
    from mlcv_explore.torchvision_compat import datasets

    if name in IDX_FOLDERS:
        kind = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}[name]
        return tuple(
            RemoteFile(tuple(mirror + file for mirror in kind.mirrors), f"{IDX_FOLDERS[name]}/{file}", md5)
            for file, md5 in kind.resources
        )
    if name == "svhn":
        return tuple(
            RemoteFile((address,), file, md5)
            for address, file, md5 in (datasets.SVHN.split_list[part] for part in ("train", "test"))
        )
    if name == "oxford_pets":
        resources = datasets.OxfordIIITPet._RESOURCES  # torchvision has them under no public name
        return tuple(
            RemoteFile((address,), f"{PETS_FOLDER}/{address.rpartition('/')[2]}", md5)
            for address, md5 in resources
        )
    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    return (RemoteFile((kind.url,), kind.filename, kind.tgz_md5),)


def _remove_stale(name: str) -> None:
    """Remove what downloads of this set that were killed a day ago or more left half
    fetched.
    """
    for left in downloads().glob(f".{name}.*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _unpack(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(archive.parent, filter="data")
    archive.unlink()
