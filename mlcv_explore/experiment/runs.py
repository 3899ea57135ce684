"""Every finished run, on disk: one folder a run, and the folders are the index.

A run is written under a temporary name, synced and renamed: after a crash, a full disk,
or two writers at once it is whole or absent.
"""

import hashlib
import importlib.metadata
import io
import json
import math
import os
import platform
import shlex
import shutil
import time
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore import environment, idea, statistics
from mlcv_explore.config import Config
from mlcv_explore.experiment import fingerprint
from mlcv_explore.idea import Film, Idea

if TYPE_CHECKING:
    import numpy as np
    from pydantic import TypeAdapter

# What only shows, carries, keeps or judges a film: an edit there does not change the film or its
# metrics, and verdicts are decided again from these
LIBRARIES = ("mlcv-explore", "numpy", "torch")
DEFAULT_LIMIT = 2048.0  # megabytes
UNFINISHED = ".part-"  # how the name of a folder begins that is being written or removed
ABANDONED = 3600.0  # seconds after which a folder that was never finished is removed


class NotKept(OSError):
    """A run that could not be written. The text is one sentence."""


class DamagedRun(ValueError):
    """A folder that is not a whole run. The text is one sentence."""


@dataclass(frozen=True)
class Run:
    """What is known of a finished run; its film lies beside it."""

    id: str
    slug: str
    key: str
    config: dict[str, Any]
    seeds: tuple[int, ...]
    started: str  # ISO 8601, UTC
    seconds: float
    versions: dict[str, str]
    device: str
    fingerprint: str  # of the sources that made it
    # name → mean, low, high, per_seed; undefined is None
    metrics: dict[str, dict[str, float | list[float | None] | None]]
    verdicts: list[dict[str, Any]]
    pace: tuple[float, ...] = ()  # share of the time spent at every twentieth of the steps
    looks: int = 1  # interim analyses its verdicts have had: seeds were added between them
    film_bytes: int = 0
    film_sha256: str = ""
    folder: Path = field(default=Path(), compare=False)

    @property
    def current(self) -> bool:
        """Whether today's sources would make it again."""
        return self.fingerprint == fingerprint.fingerprint(self.slug)


@dataclass(frozen=True)
class Damaged:
    """A folder that was skipped, and why."""

    folder: Path
    reason: str


def runs_folder() -> Path:
    """Where finished runs lie."""
    return environment.home() / "runs"


def identity(slug: str, config: Config, seeds: Sequence[int], made_by: str | None = None) -> str:
    """20 hexadecimal digits that equal runs share: idea, settings, seeds and sources."""
    text = json.dumps([slug, config.key(), list(seeds), made_by or fingerprint.fingerprint(slug)])
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def of(
    slug: str,
    config: Config,
    seeds: Sequence[int],
    film: Film,
    seconds: float,
    device: str = "cpu",
    pace: Sequence[float] = (),
    look: int = 1,
    looks: int = 1,
) -> Run:
    """The record of a finished film: its metrics with 95 % intervals, and the verdict,
    at interim analysis `look` of `looks`, of every claim it speaks of.
    """
    subject = idea.load(slug)
    columns = subject.metrics(config, film)
    return Run(
        identity(slug, config, seeds),
        slug,
        config.key(),
        config.model_dump(),
        tuple(seeds),
        (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds"),
        seconds,
        versions(),
        device,
        fingerprint.fingerprint(slug),
        {name: _metric(column, subject.split_sizes(config)) for name, column in columns.items()},
        [verdict.as_json() for verdict in decided(subject, config, columns, look, looks)],
        tuple(pace),
        look,
    )


def decided(
    subject: Idea, config: Config, columns: Mapping[str, "np.ndarray"], look: int = 1, looks: int = 1
) -> list[statistics.Verdict]:
    """The verdicts on the claims a run speaks of, in their order."""
    options = {"look": look, "looks": looks, "split": subject.split_sizes(config), "labels": subject.labels()}
    return [
        statistics.decide(claim, {arm: columns[f"{arm}_{claim.measure}"] for arm in claim.arms}, **options)
        for claim in subject.claims
        if not unjudged(claim, config, columns)
    ]


def unjudged(claim: statistics.Claim, config: Config, columns: Mapping[str, "np.ndarray"]) -> str:
    """Why a run says nothing about a claim, in a phrase; empty where it speaks of it."""
    for name, value in claim.when:
        if getattr(config, name) != value:
            label = config.setting(name).label.lower()
            return f"it is about {label} {value}, this run has {getattr(config, name)}"
    if not all(f"{arm}_{claim.measure}" in columns for arm in claim.arms):
        return "it compares arms that only the study has"
    return ""


@cache
def versions() -> dict[str, str]:
    """Of Python, of the libraries and of the processor: what a number depends on, to
    its last bits.

    The processor's vector instructions are named, and all that is known of it (caches
    and cores too) is told apart by 8 hexadecimal digits: one set of instructions was
    seen to train classifiers that are 3 points apart on two machines.
    """
    import torch

    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # this package itself, run from its folder
            continue
    known = json.dumps(dict(torch.cpu.get_capabilities()), sort_keys=True).encode()
    return found | {
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": hashlib.blake2b(known, digest_size=4).hexdigest(),
    }


def write(
    run: Run, film: bytes, weights: "Mapping[str, np.ndarray] | None" = None, root: Path | None = None
) -> Run:
    """Keep a run; returns it with its folder. If an equal one is there already, that
    whole copy stays and is returned.

    Raises NotKept, one sentence, when it cannot be written; nothing half-written stays.
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
        kept = _put(part, folder)
        _sync_folder(root)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise NotKept(
            f"The run could not be kept in {root.name}: {error.strerror or error}; free some space or set"
            " MLCV_HOME to a folder that can be written."
        ) from error
    if kept is not None:
        shutil.rmtree(part, ignore_errors=True)
        return kept
    if root == runs_folder():
        limit(limit_megabytes(), spare=run.id)
    return run


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
    """Every kept run, newest first, and the folders that were skipped."""
    root = runs_folder() if root is None else root
    found, damaged = [], []
    for folder in _folders(root):
        try:
            found.append(read(folder))
        except DamagedRun as error:
            if folder.exists():  # else another process has deleted it meanwhile
                damaged.append(Damaged(folder, str(error)))
    return sorted(found, key=lambda run: run.started, reverse=True), damaged


def find(run_id: str, root: Path | None = None) -> Run | None:
    """The kept run of that identity, or None; a damaged one counts as absent."""
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
    """A run to take along: record, film, settings, weights if there are any, and the
    command that makes it again.
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
    """What all kept runs take on disk."""
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


def _put(part: Path, folder: Path) -> Run | None:
    """Rename what was written into its place; returns the whole run that is there
    already. A damaged one makes way.
    """
    for _ in range(3):  # other processes may put and remove folders meanwhile
        with suppress(OSError):
            os.rename(part, folder)
            return None
        with suppress(DamagedRun):
            kept = read(folder)
            film_bytes(kept)
            return kept
        _remove(folder)
    os.rename(part, folder)
    return None


def _remove(folder: Path) -> None:
    """Take a folder away at once, then its files: a process that is killed meanwhile
    leaves no half of a run.
    """
    aside = folder.with_name(f"{UNFINISHED}{uuid.uuid4().hex}")
    with suppress(OSError):  # gone already
        os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def _metric(column: "np.ndarray", split: statistics.Split | None) -> dict[str, Any]:
    interval = statistics.interval(column, split)
    bounds = {name: value for name, value in interval.as_json().items() if name != "n"}
    return {**bounds, "per_seed": [float(value) if math.isfinite(value) else None for value in column]}


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
