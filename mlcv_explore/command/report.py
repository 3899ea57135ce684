"""`ideas`, `doctor` and `download`: what is available."""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
from dataclasses import asdict
from typing import Any

from mlcv_explore import environment, idea
from mlcv_explore.command.progress import bar
from mlcv_explore.command.tables import table
from mlcv_explore.config import SettingError
from mlcv_explore.experiment import runs

LIBRARIES = ("torch", "torchvision", "streamlit", "distributed", "altair", "scikit-learn", "scipy", "numpy")
TIMEOUT_SECONDS = 3  # of the connection to a scheduler


def ideas(options: argparse.Namespace) -> None:
    """List the ideas in the order of the menu."""
    names = ("slug", "number", "section", "title", "question")
    cards = [{name: getattr(card, name) for name in names} for card in idea.cards()]
    if options.json:
        print(json.dumps({"ideas": cards}))
        return
    print(
        table(
            ("idea", "slug", "section", "question"),
            [(card["number"], card["slug"], card["section"], card["question"]) for card in cards],
        )
    )


def doctor(options: argparse.Namespace) -> None:
    """Report what is present and what is missing."""
    values = diagnostics()
    if options.json:
        print(json.dumps(values, allow_nan=False))
        return
    print(table(("", ""), [row for name, value in values.items() for row in _lines(name, value)]).strip())


def diagnostics() -> dict[str, Any]:
    """Everything `doctor` reports, as plain values; sizes in bytes."""
    import psutil
    import torch

    from mlcv_explore import data

    versions = {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    memory, home = psutil.virtual_memory(), environment.home()
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    accelerator = (
        "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    )
    return {
        "versions": versions,
        "device": accelerator,
        "threads": torch.get_num_threads(),
        "cores": (
            len(psutil.Process().cpu_affinity())
            if hasattr(psutil.Process, "cpu_affinity")
            else os.cpu_count()
        ),
        "memory": {"total": memory.total, "available": memory.available},
        "data": {name: asdict(availability) for name, availability in data.available().items()},
        "disk": {
            "home": str(home),
            "writable": os.access(existing, os.W_OK),
            "free": shutil.disk_usage(existing).free,
            "runs": runs.total_bytes(),
        },
        "settings": {name: value for name, value in sorted(os.environ.items()) if name.startswith("MLCV_")},
        "scheduler": scheduler(os.environ.get("MLCV_SCHEDULER")),
        "shipped": {card.slug: _shipped(card.slug) for card in idea.cards()},
    }


def scheduler(address: str | None) -> dict[str, Any]:
    """Whether the dask scheduler of `MLCV_SCHEDULER` answers, and with how many
    workers.
    """
    if not address:
        return {
            "address": None,
            "reachable": None,
            "workers": None,
            "sentence": "The app starts its own workers.",
        }
    from distributed import Client

    try:
        with Client(address, timeout=TIMEOUT_SECONDS, set_as_default=False) as client:
            workers = len(client.scheduler_info(n_workers=-1)["workers"])
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return {
            "address": address,
            "reachable": False,
            "workers": None,
            "sentence": f"No scheduler answers at {address}: {reason}",
        }
    return {
        "address": address,
        "reachable": True,
        "workers": workers,
        "sentence": f"The scheduler at {address} has {workers} workers.",
    }


def download(options: argparse.Namespace) -> None:
    """Fetch a data set into `MLCV_HOME`."""
    from mlcv_explore import data

    try:
        data.entry(options.dataset)
    except data.DataError as error:
        raise SettingError(str(error)) from None
    with bar(options, options.dataset, "B") as progress:

        def advance(done: int, total: int) -> None:
            progress.total = total
            progress.update(done - progress.n)

        data.download(options.dataset, advance)
    print(data.available()[options.dataset].sentence)


def _shipped(slug: str) -> str:
    recorded = runs.recorded(slug)
    if recorded is None:
        return "not recorded yet"
    return "current" if recorded.current else "made by an earlier version"


def _lines(name: str, value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return [(name, str(value))]
    return [(f"{name} {inner}", _short(inner, content)) for inner, content in value.items()]


def _short(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ("here: " if value["present"] else "absent: ") + value["sentence"]
    if name in ("total", "available", "free", "runs") and isinstance(value, int):
        return f"{value / 1e9:.1f} GB"
    return "–" if value is None else str(value)
