"""`evidence`: a study's grid over all cores, its rows and verdicts written where the
pages read them.
"""

import argparse
import json
import logging
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlcv_explore import idea
from mlcv_explore.command.progress import bar
from mlcv_explore.config import SettingError
from mlcv_explore.data.dataset import DataError
from mlcv_explore.experiment import fingerprint, runs, studies, verification
from mlcv_explore.idea import Study

if TYPE_CHECKING:
    from distributed import Client


def evidence(options: argparse.Namespace) -> None:
    """Run the study of every idea named; finished cells are kept, so that a call that
    was stopped goes on.
    """
    chosen = {slug: _study(slug, options) for slug in options.slugs}
    reports = []
    if options.decide:
        _decide(chosen, options)
        return
    with _workers(options.scheduler) as client:
        for slug, study in chosen.items():
            reports.append((_verified if options.verify else _answer)(slug, study, options, client))
            if not options.json:
                _print(reports[-1])
    if options.json:
        print(json.dumps({"studies": reports}, allow_nan=False))


def _study(slug: str, options: argparse.Namespace) -> Study:
    """The requested study, cut down as the options state."""
    declared = {study.name: study for study in idea.load(slug).studies}
    if options.study not in declared:
        raise SettingError(f"{slug} has no study {options.study!r}; it has {', '.join(declared) or 'none'}.")
    partial = options.changes or options.seeds or options.first_cells
    if options.verify and (partial or options.out):
        raise SettingError("--verify runs one seed of every cell as it ships and takes no other settings.")
    if options.decide and (partial or options.out):
        raise SettingError("--decide reads the rows that ship and takes no other settings.")
    if partial and options.out is None:
        raise SettingError(
            "A study cut down or changed is not the evidence that ships: give with --out where its rows"
            " may go."
        )
    if options.changes and len(options.slugs) > 1:
        raise SettingError("Settings can be changed for one idea at a time.")
    study = studies.changed(declared[options.study], options.changes, options.seeds)
    return studies.first_cells(study, options.first_cells or len(study.cells))


def _decide(chosen: dict[str, Study], options: argparse.Namespace) -> None:
    """Verdicts by today's rules on the rows that ship; nothing is run."""
    changes = {slug: verification.redecide_study(slug, study) for slug, study in chosen.items()}
    if options.json:
        print(json.dumps({"changed": changes}))
        return
    for slug, changed in changes.items():
        lines = [f"\n  {claim}: {status}" for claim, status in changed.items()] or [" no status changes"]
        print(f"{slug}, study {options.study}:{''.join(lines)}")


def _verified(slug: str, study: Study, options: argparse.Namespace, client: "Client") -> dict[str, Any]:
    """One seed of every cell again; today's fingerprint on the evidence if all numbers
    are equal. Not checked, with the reason, where the study reads data that are not here.
    Raises verification.Unequal.
    """
    started, configs, outcomes = time.perf_counter(), studies.cell_configs(study), {}
    stamped = json.loads((idea.ASSETS / slug / f"{study.name}.json").read_text(encoding="utf-8"))
    with bar(options, f"{slug} {study.name}, one seed", "cell", len(configs)) as progress:
        try:
            for config, outcome in studies.outcomes(slug, configs, study.seeds[:1], client):
                outcomes[config.key()] = outcome
                progress.update()
        except DataError as error:
            return {"slug": slug, "study": study.name, "not_checked": str(error)}
    computed = [
        {name: column[0] for name, column in outcomes[config.key()]["metrics"].items()} for config in configs
    ]
    equal = verification.check(slug, study.name, study.seeds[0], computed, stamped["fingerprint"])
    verdicts = verification.restamp_study(slug, study)
    return {
        "slug": slug,
        "study": study.name,
        "equal": equal,
        "fingerprint": fingerprint.fingerprint(slug),
        "seconds": round(time.perf_counter() - started, 1),
        "verdicts": verdicts,
    }


def _answer(slug: str, study: Study, options: argparse.Namespace, client: "Client") -> dict[str, Any]:
    started, configs, results = time.perf_counter(), studies.cell_configs(study), {}
    with bar(options, f"{slug} {study.name}", "cell", len(configs)) as progress:
        for config, outcome in studies.outcomes(slug, configs, study.seeds, client):
            results[config.key()] = outcome
            progress.update()
    table = studies.rows(study, results)
    folder = (options.out or idea.ASSETS) / slug
    about = {
        "slug": slug,
        "command": _command(slug, options),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        # of one core; what resuming saved is counted
        "seconds": round(sum(outcome["seconds"] for outcome in results.values()), 1),
        "failed": {key: outcome["failed"] for key, outcome in results.items() if outcome["failed"]},
        "versions": runs.versions(),
        "fingerprint": fingerprint.fingerprint(slug),
    }
    verdicts = studies.write(folder, study, idea.load(slug), table, about)
    report = {
        "slug": slug,
        "study": study.name,
        "file": str(folder / f"{study.name}.csv"),
        "rows": len(table),
        "cells": len(study.cells),
    }
    return {
        **report,
        "runs": len(configs),
        "seeds": list(study.seeds),
        "seconds": round(time.perf_counter() - started, 1),
        "verdicts": verdicts,
    }


def _print(report: dict[str, Any]) -> None:
    if "not_checked" in report:
        print(f"{report['slug']}, study {report['study']}: not checked. {report['not_checked']}")
        return
    if "equal" in report:
        print(
            f"{report['slug']}, study {report['study']}: {report['equal']} numbers equal, stamped"
            f" {report['fingerprint']}, {report['seconds']} s"
        )
        return
    print(
        f"{report['slug']}, study {report['study']}: {report['runs']} runs of {len(report['seeds'])} seeds,"
        f" {report['rows']} rows in {report['file']}"
    )
    for verdict in report["verdicts"]:
        print(f"\n{verdict['claim']} ({verdict['role']}): {verdict['sentence']}")


def _command(slug: str, options: argparse.Namespace) -> str:
    words = ["python", "-m", "mlcv_explore", "evidence", slug, "--study", options.study]
    for name, value in (
        *options.changes.items(),
        ("seeds", options.seeds),
        ("first_cells", options.first_cells),
    ):
        words += [f"--{name}", str(value)] if value is not None else []
    return shlex.join(words)


@contextmanager
def _workers(address: str | None) -> Iterator["Client"]:
    """A client of the cluster at the address, or of one that has every core of this
    machine and ends with the command.
    """
    import dask
    from distributed import Client, LocalCluster

    from mlcv_explore.experiment.worker import SETTINGS

    if address:
        with Client(address, set_as_default=False) as client:
            yield client
        return
    # a command has the machine to itself, the app's workers do not
    memory = os.environ.get("MLCV_WORKER_MEMORY", "auto")
    with (
        dask.config.set(SETTINGS),
        LocalCluster(
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            memory_limit=memory,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
