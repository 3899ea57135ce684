"""Saved runs: one folder a run, and the folders are the index.

A run is written under a temporary name, synced and renamed: after a crash, a full disk,
or two writers at once it is whole or absent.
"""

import hashlib
import io
import json
import math
import os
import shlex
import shutil
import time
import uuid
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mlcv_explore import environment, idea
from mlcv_explore.experiment.run import Run, data_note, decided, identity, of, reason_untested, versions
from mlcv_explore.files import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from pydantic import TypeAdapter

__all__ = [
    "Damaged", "DamagedRun", "NotSaved", "Run", "all_runs", "as_zip", "data_note", "decided", "delete",
    "film_bytes", "find", "identity", "limit", "limit_megabytes", "of", "read", "reason_untested", "recorded",
    "runs_folder", "total_bytes", "versions", "write",
]  # fmt: skip
DEFAULT_LIMIT = 2048.0  # megabytes
UNFINISHED = ".part-"  # how the name of a folder begins that is being written or removed
ABANDONED = 3600.0  # seconds after which a folder that was never finished is removed


class NotSaved(OSError):
    """A run that could not be written. The text is one sentence."""


class DamagedRun(ValueError):
    """A folder that is not a whole run. The text is one sentence."""


@dataclass(frozen=True)
class Damaged:
    """A folder that was skipped, and why."""

    folder: Path
    reason: str


def runs_folder() -> Path:
    """The folder of the saved runs."""
    return environment.home() / "runs"


def write(
    run: Run, film: bytes, weights: "Mapping[str, np.ndarray] | None" = None, root: Path | None = None
) -> Run:
    """Save a run; returns it with its folder. If an equal one is saved already, that
    whole copy stays and is returned.

    Raises NotSaved, one sentence, when it cannot be written; nothing half-written
    stays.
    """
    root = runs_folder() if root is None else Path(root)
    folder = root / f"{run.slug}-{run.id}"
    run = replace(run, film_bytes=len(film), film_sha256=hashlib.sha256(film).hexdigest(), folder=folder)
    contents = {"film.npz": film, "run.json": _text(run).encode()}
    if weights:
        from safetensors.numpy import save

        contents["weights.safetensors"] = save(dict(weights))
    part = root / f"{UNFINISHED}{run.id}-{uuid.uuid4().hex}"
    try:
        part.mkdir(parents=True)
        for name, content in contents.items():
            _synced(part / name, content)
        _sync_folder(part)
        existing = _rename(part, folder)
        _sync_folder(root)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise NotSaved(
            f"The run could not be saved in {root.name}: {error.strerror or error}; free some space or set"
            " MLCV_HOME to a folder that can be written."
        ) from error
    if existing is not None:
        shutil.rmtree(part, ignore_errors=True)
        return existing
    if root == runs_folder():
        limit(limit_megabytes(), spare=run.id)
    return run


def rewrite(run: Run) -> None:
    """Replace the record of a saved run; its film stays."""
    write_atomically(run.folder / "run.json", _text(run))


def read(folder: Path) -> Run:
    """The run in a folder; the film is not read, only its size compared. Raises
    DamagedRun.
    """
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        run = replace(_record().validate_python(record), folder=folder)
        size = (folder / "film.npz").stat().st_size
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedRun(f"{folder.name} is not a whole run ({type(error).__name__}).") from error
    if not run.seeds:
        raise DamagedRun(f"{folder.name} is not a whole run (it has no seeds).")
    if size != run.film_bytes:
        raise DamagedRun(f"{folder.name} has a film of {size} bytes where {run.film_bytes} were written.")
    return run


def film_bytes(run: Run) -> bytes:
    """The film as it was written. Raises DamagedRun when its checksum is another one,
    or it is gone.
    """
    try:
        film = (run.folder / "film.npz").read_bytes()
    except OSError as error:
        raise DamagedRun(
            f"The film of {run.folder.name} cannot be read ({error.strerror or error})."
        ) from error
    if hashlib.sha256(film).hexdigest() != run.film_sha256:
        raise DamagedRun(
            f"The film of {run.folder.name} is damaged: its checksum is not the one that was written."
        )
    return film


def all_runs(root: Path | None = None) -> tuple[list[Run], list[Damaged]]:
    """Every saved run, newest first, and the folders that were skipped."""
    root = runs_folder() if root is None else root
    intact, damaged = [], []
    for folder in _folders(root):
        try:
            intact.append(read(folder))
        except DamagedRun as error:
            if folder.exists():  # else another process has deleted it meanwhile
                damaged.append(Damaged(folder, str(error)))
    return sorted(intact, key=lambda run: run.started, reverse=True), damaged


def find(run_id: str, root: Path | None = None) -> Run | None:
    """The saved run of that identity, or None; a damaged one counts as absent."""
    for folder in _folders(runs_folder() if root is None else root):
        if folder.name.endswith(f"-{run_id}"):
            with suppress(DamagedRun):
                return read(folder)
    return None


def recorded(slug: str) -> Run | None:
    """The default run that ships with an idea, or None when there is none that is
    whole.
    """
    try:
        return read(idea.ASSETS / slug / "default")
    except DamagedRun:
        return None


def delete(run: Run) -> None:
    """Remove a run; one that is gone already is no error."""
    _remove(run.folder)


def as_zip(run: Run) -> bytes:
    """A run as a ZIP file: record, film, settings, weights if there are any, and the
    command that computes it again.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(run.folder.iterdir()):
            if path.is_file():
                archive.write(path, path.name)
        archive.writestr("config.json", json.dumps(run.config, indent=1))
        archive.writestr("README.txt", _readme(run))
    return file.getvalue()


def total_bytes(root: Path | None = None) -> int:
    """Bytes of all saved runs on disk."""
    return sum(_size(folder) for folder in _folders(runs_folder() if root is None else root))


def limit_megabytes() -> float:
    """MLCV_RUNS_MB, or 2048 when it is unset or no positive number."""
    try:
        megabytes = float(os.environ.get("MLCV_RUNS_MB", DEFAULT_LIMIT))
    except ValueError:
        return DEFAULT_LIMIT
    return megabytes if megabytes > 0 else DEFAULT_LIMIT


def limit(megabytes: float, spare: str = "", root: Path | None = None) -> None:
    """Delete the oldest runs until the rest fits, never the newest nor the one to
    spare; clear away what was never finished.
    """
    root = runs_folder() if root is None else root
    for part in _folders(root, unfinished=True):
        if time.time() - _modified(part) > ABANDONED:
            shutil.rmtree(part, ignore_errors=True)
    folders = sorted(_folders(root), key=_modified)
    sizes = {folder: _size(folder) for folder in folders}
    excess = sum(sizes.values()) - megabytes * 1e6
    for folder in folders[:-1]:
        if excess <= 0:
            break
        if not (spare and folder.name.endswith(spare)):
            _remove(folder)
            excess -= sizes[folder]


@cache
def _record() -> "TypeAdapter[Run]":
    from pydantic import TypeAdapter

    return TypeAdapter(Run)


def _rename(part: Path, folder: Path) -> Run | None:
    """Rename a written folder to its final name; returns the whole run that has it
    already. A damaged one is replaced.
    """
    for _ in range(3):  # other processes may rename and remove folders meanwhile
        with suppress(OSError):
            os.rename(part, folder)
            return None
        with suppress(DamagedRun):
            existing = read(folder)
            film_bytes(existing)
            return existing
        _remove(folder)
    os.rename(part, folder)
    return None


def _remove(folder: Path) -> None:
    """Rename a folder, then delete its files: a process that is killed meanwhile leaves
    no half of a run.
    """
    aside = folder.with_name(f"{UNFINISHED}{uuid.uuid4().hex}")
    with suppress(OSError):  # gone already
        os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def _text(run: Run) -> str:
    record = {name: value for name, value in asdict(run).items() if name != "folder"}
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)


def _readme(run: Run) -> str:
    flags = " ".join(f"--{name} {shlex.quote(str(value))}" for name, value in run.config.items())
    command = (
        f"python -m mlcv_explore run {run.slug} {flags} --seeds {len(run.seeds)} --first-seed {run.seeds[0]}"
    )
    return (
        f"A run of mlcv-explore, made by the sources {run.fingerprint}.\nThe same again:\n\n{command}\n\n"
        "film.npz holds the frames: numpy.load(..., allow_pickle=False).\n"
    )


def _folders(root: Path, unfinished: bool = False) -> list[Path]:
    try:
        return [
            path
            for path in root.iterdir()
            if path.is_dir() and path.name.startswith(UNFINISHED if unfinished else ".") == unfinished
        ]
    except OSError:  # there is none yet
        return []


def _size(folder: Path) -> int:
    total = 0
    with suppress(OSError), os.scandir(folder) as files:  # gone meanwhile
        for file in files:
            total += file.stat().st_size
    return total


def _modified(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # gone meanwhile
        return math.inf


def _synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
