"""Callbacks of the cluster's client: what a worker's events and results change in the
registry, and the finished run saved on disk.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore import idea
from mlcv_explore.experiment import film, fingerprint, runs
from mlcv_explore.experiment.job import CLUSTER_LOST, OTHER_SOURCES, Job, error_message, since_restart
from mlcv_explore.experiment.registry import Registry
from mlcv_explore.experiment.runs import NotSaved

if TYPE_CHECKING:
    from distributed import Future

log = logging.getLogger(__name__)


class Callbacks:
    """Called in the client's own threads. `resubmit` returns whether a job that never
    began was submitted again.
    """

    def __init__(self, registry: Registry, root: Path | None, resubmit: Callable[[Job], bool]) -> None:
        self._registry, self._root, self._resubmit = registry, root, resubmit

    def on_event(self, event: tuple[float, dict[str, Any]]) -> None:
        """Append the frames of a worker's event to the film of its job."""
        content = event[1]
        with self._registry.lock:
            job = self._registry.jobs.get(content["run"])
            if job is None or job.attempt != content["attempt"] or not job.live:
                return
            # the start of the run, which comes a second time if the worker was lost after its end
            if content["steps"] == 0:
                job.status, job.began = "running", time.time()
            if content["step"] < job.step:
                job.first = None
                job.frames = [] if content["steps"] == 0 else job.frames
            if content["count"]:
                received = film.unpack(content["film"], idea.load(job.slug).frame)
                job.frames = since_restart([*job.frames, *received])
            if content["steps"]:
                job.produced, job.received = content["produced"], time.time()
                job.first = job.first or (job.received, content["step"])
            job.step, job.steps = content["step"], content["steps"] or job.steps
            job.version += 1

    def on_done(self, job: Job, future: "Future") -> None:
        """End a job whose future is done: finished, cancelled or failed."""
        try:
            self._end(job, future)
        except Exception as error:
            log.exception("The result of run %s could not be read", job.id)
            self._registry.end(
                job,
                "failed",
                f"The run ended, but its film could not be read ({type(error).__name__}: {error}).",
            )

    def _end(self, job: Job, future: "Future") -> None:
        from distributed.scheduler import KilledWorker

        if future.status == "finished":
            outcome = future.result()
            if outcome.get("cancelled"):
                self._registry.end(job, "cancelled")
            else:
                self._save(job, outcome)
        elif job.cancelled:
            self._registry.end(job, "cancelled")
        elif future.status == "cancelled":
            self._registry.end(job, "failed", CLUSTER_LOST)
        else:
            error = future.exception() if future.status == "error" else None
            # the scheduler blames every run that was assigned to a lost worker
            if isinstance(error, KilledWorker) and self._resubmit(job):
                return
            log.warning("The run %s failed: %r", job.id, error)
            self._registry.end(job, "failed", error_message(error))

    def _save(self, job: Job, outcome: dict[str, Any]) -> None:
        """Save a finished film on disk and cache it."""
        if outcome["made_by"] != fingerprint.fingerprint(job.slug):
            self._registry.end(job, "failed", OTHER_SOURCES)
            return
        frames = film.unpack(outcome["film"], idea.load(job.slug).frame)
        about = {"seconds": outcome["seconds"], "device": outcome["device"], "timing": outcome["timing"]}
        run, message = runs.of(job.slug, job.config, job.seeds, frames, **about), ""
        try:
            run = runs.write(run, outcome["film"], root=self._root)
        except NotSaved as error:
            message = str(error)
        with self._registry.lock:
            if job.live:
                job.run, job.step, job.steps = run, frames[-1].step, frames[-1].steps
                self._registry.films.put(job.id, frames)
                self._registry.end(job, "finished", message)
