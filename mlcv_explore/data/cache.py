"""Cache of decoded data sets as .npy files, memory-mapped and shared between processes."""

import json
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from mlcv_explore.data.dataset import Dataset, Images, content_fingerprint
from mlcv_explore.data.folder import FolderDataset, folder_fingerprint

STALE_SECONDS = 3600  # nobody writes one set for an hour
RECORD = "set.json"  # class names, parts and the content's fingerprint


def open_cached(name: str, folder: Path) -> Dataset | None:
    """The cached set in `folder`, its arrays read-only; None when there is none or it
    is damaged.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        train, test = (
            _open_part(folder, part, tuple(record["classes"])) if part in record["parts"] else None
            for part in ("train", "test")
        )
        if content_fingerprint(train, test) == record["fingerprint"]:
            return Dataset(name, train, test, record["fingerprint"])
    # absent or damaged: it is made again
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None
    return None


def open_cached_folder(name: str, folder: Path) -> FolderDataset | None:
    """The cached own folder in `folder`, as `open_cached`."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        train, test, validation = (
            _open_part(folder, part, tuple(record["classes"])) if part in record["parts"] else None
            for part in ("train", "test", "validation")
        )
        if folder_fingerprint(train, test, validation) == record["fingerprint"]:
            skipped, side = tuple(record["skipped"]), record["side"]
            return FolderDataset(name, train, test, record["fingerprint"], validation, skipped, side)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):  # as above
        return None
    return None


def save(dataset: Dataset, folder: Path) -> bool:
    """Write the set beside `folder`, then rename: it is whole or absent. False when it
    could not be written; the set can be used all the same.

    What lies in `folder` is replaced; earlier versions of the same set, the other
    folders in `folder.parent`, are removed.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
        ) as temporary:
            _write(dataset, Path(temporary) / "new")
            if folder.exists():
                os.rename(folder, Path(temporary) / "replaced")
            os.rename(Path(temporary) / "new", folder)
    except OSError:
        return False
    _remove_earlier(folder)
    return True


def _write(dataset: Dataset, folder: Path) -> None:
    folder.mkdir()
    record = {"classes": dataset.train.classes, "fingerprint": dataset.fingerprint}
    parts = {"train": dataset.train, "test": dataset.test}
    if isinstance(dataset, FolderDataset):
        parts |= {"validation": dataset.validation}
        record |= {"skipped": dataset.skipped, "side": dataset.side}
    parts = {part: images for part, images in parts.items() if images is not None}
    for part, images in parts.items():
        np.save(folder / f"{part}_images.npy", images.images)
        np.save(folder / f"{part}_labels.npy", images.labels)
        if images.masks is not None:
            np.save(folder / f"{part}_masks.npy", images.masks)
    (folder / RECORD).write_text(json.dumps(record | {"parts": list(parts)}), encoding="utf-8")


def _remove_earlier(folder: Path) -> None:
    """Remove other versions of the set and what killed processes left half written, not
    what others are writing now.
    """
    for earlier in set(folder.parent.iterdir()) - {folder}:
        with suppress(FileNotFoundError):
            if not earlier.name.startswith(".") or time.time() - earlier.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(earlier, ignore_errors=True)


def _open_part(folder: Path, part: str, classes: tuple[str, ...]) -> Images:
    """Masks that are gone show in the fingerprint, as everything else does."""
    arrays = (
        ("images", "labels", "masks") if (folder / f"{part}_masks.npy").exists() else ("images", "labels")
    )
    images, labels, *masks = (
        np.load(folder / f"{part}_{array}.npy", mmap_mode="r", allow_pickle=False) for array in arrays
    )
    return Images(images, labels, classes, *masks)
