"""A finished run: its identity, its settings, metrics and verdicts, the versions that
computed it.
"""

import hashlib
import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore import data, idea, statistics
from mlcv_explore.config import Config
from mlcv_explore.experiment import fingerprint
from mlcv_explore.idea import Film, Idea

if TYPE_CHECKING:
    import numpy as np

LIBRARIES = ("mlcv-explore", "numpy", "torch")


@dataclass(frozen=True)
class Run:
    """The record of a finished run; its film is beside it."""

    id: str
    slug: str
    key: str
    config: dict[str, Any]
    seeds: tuple[int, ...]
    started: str  # ISO 8601, UTC
    seconds: float
    versions: dict[str, str]
    device: str
    fingerprint: str  # of the sources that computed it
    # name → mean, low, high, per_seed; undefined is None
    metrics: dict[str, dict[str, float | list[float | None] | None]]
    verdicts: list[dict[str, Any]]
    timing: tuple[
        tuple[float, float], ...
    ] = ()  # (share of the steps, share of the time since the first frame)
    looks: int = 1  # interim analyses its verdicts have had: seeds were added between them
    film_bytes: int = 0
    film_sha256: str = ""
    folder: Path = field(default=Path(), compare=False)

    @property
    def current(self) -> bool:
        """Whether the present sources would compute it again."""
        return self.fingerprint == fingerprint.fingerprint(self.slug)


def identity(slug: str, config: Config, seeds: Sequence[int], made_by: str | None = None) -> str:
    """20 hexadecimal digits that equal runs share: idea, settings, seeds and sources, and
    the content of a folder of the reader's own.
    """
    about = [slug, config.key(), list(seeds), made_by or fingerprint.fingerprint(slug)]
    if own := _own_data(config):
        about.append(data.own_fingerprint(own))
    text = json.dumps(about)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def of(
    slug: str,
    config: Config,
    seeds: Sequence[int],
    film: Film,
    seconds: float,
    device: str = "cpu",
    timing: Sequence[tuple[float, float]] = (),
    look: int = 1,
    looks: int = 1,
) -> Run:
    """The record of a finished film: its metrics with 95 % intervals, and the verdict,
    at interim analysis `look` of `looks`, of every claim it tests.
    """
    subject = idea.load(slug)
    columns = subject.metrics(config, film)
    return Run(
        id=identity(slug, config, seeds),
        slug=slug,
        key=config.key(),
        config=config.model_dump(),
        seeds=tuple(seeds),
        started=(datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds"),
        seconds=seconds,
        versions=versions(),
        device=device,
        fingerprint=fingerprint.fingerprint(slug),
        metrics={name: _metric(column, subject.split_sizes(config)) for name, column in columns.items()},
        verdicts=[verdict.as_json() for verdict in decided(subject, config, columns, look, looks)],
        timing=tuple(timing),
        looks=look,
    )


def data_note(subject: Idea, config: Config) -> str:
    """What a run with these settings takes of a folder of the reader's own, and what it
    could not read there; "" for other data. Raises SettingError where the folder has too few
    images.
    """
    own, sizes = _own_data(config), subject.part_sizes(config)
    return data.describe(own, sizes) if own and sizes else ""


def decided(
    subject: Idea, config: Config, columns: Mapping[str, "np.ndarray"], look: int = 1, looks: int = 1
) -> list[statistics.Verdict]:
    """The verdicts on the claims that a run tests, in their order."""
    options = {"look": look, "looks": looks, "split": subject.split_sizes(config), "labels": subject.labels()}
    options["over"] = subject.estimand(config)
    options["collapsed"] = subject.collapsed(columns) if subject.collapsed else None
    return [
        statistics.decide(
            claim,
            {arm: columns[f"{arm}_{claim.measure}"] for arm in claim.arms},
            role=subject.role(claim),
            **options,
        )
        for claim in subject.claims
        if not reason_untested(claim, config, columns)
    ]


def reason_untested(claim: statistics.Claim, config: Config, columns: Mapping[str, "np.ndarray"]) -> str:
    """Why a run does not test a claim, in a phrase; empty where it tests it."""
    for name, value in claim.when:
        if getattr(config, name) != value:
            label = config.setting(name).label.lower()
            return f"it is about {label} {value}, this run has {getattr(config, name)}"
    if not all(f"{arm}_{claim.measure}" in columns for arm in claim.arms):
        return "it compares arms that only the study has"
    return ""


@cache
def versions() -> dict[str, str]:
    """Versions of Python, of the libraries and of the processor, on which the last bits
    of a number depend.

    `processor` is a hash of its capabilities (caches and cores too): with equal vector
    instructions, two machines trained classifiers that are 3 points apart.
    """
    import torch

    installed = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # this package itself, run from its folder
            continue
    known = json.dumps(dict(torch.cpu.get_capabilities()), sort_keys=True).encode()
    return installed | {
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": hashlib.blake2b(known, digest_size=4).hexdigest(),
    }


def _own_data(config: Config) -> str:
    """The own folder that a run reads, "" where it reads none."""
    if "dataset" not in type(config).model_fields:
        return ""
    found = config.setting("dataset").found
    return config.dataset if config.dataset.partition("@")[0] in found else ""


def _metric(column: "np.ndarray", split: statistics.Split | None) -> dict[str, Any]:
    interval = statistics.interval(column, split)
    bounds = {name: value for name, value in interval.as_json().items() if name != "n"}
    return {**bounds, "per_seed": [float(value) if math.isfinite(value) else None for value in column]}
