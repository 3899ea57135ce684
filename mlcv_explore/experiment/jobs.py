"""Start, join, follow and cancel runs: one engine a server process, on a cluster of its
own or on any dask scheduler.

A saved run is read from disk, an equal one under way is joined, and everything else is
queued.
"""

import itertools
import logging
import os
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore import idea
from mlcv_explore.config import Config
from mlcv_explore.experiment import cluster, film, runs, worker
from mlcv_explore.experiment.callbacks import Callbacks
from mlcv_explore.experiment.job import CLOSED, CLUSTER_LOST, NO_ANSWER, Job, RunState, expected_timing
from mlcv_explore.experiment.registry import Registry
from mlcv_explore.experiment.runs import NotSaved
from mlcv_explore.experiment.watchdog import Watchdog

if TYPE_CHECKING:
    from distributed import Client

OWN_WAITING = 2  # runs one visitor may have waiting
ALL_WAITING = 16
GRACE = 60.0  # seconds a run goes on after its last watcher left
RESUBMISSIONS = 3  # of a run that never began and whose worker was lost
log = logging.getLogger(__name__)


class Busy(RuntimeError):
    """No run was admitted. The text is one sentence for the reader."""


class Jobs:
    """The job engine. Safe to call from any thread; everything slow happens on first
    use or in `warm`.
    """

    def __init__(
        self,
        scheduler: str | None = None,
        processes: bool = True,
        workers: int | None = None,
        grace: float = GRACE,
        root: Path | None = None,
    ) -> None:
        """A scheduler's address (default MLCV_SCHEDULER), or a cluster of this
        machine's own; without processes it runs in this one, for tests.
        """
        self._scheduler = scheduler or os.environ.get("MLCV_SCHEDULER")
        self._processes, self._workers, self._root = processes, workers, root
        self._registry = Registry()
        self._lock = self._registry.lock
        self._connecting = threading.Lock()
        self._connection: cluster.Connection | None = None
        self._closed = threading.Event()
        self._numbers = itertools.count(1)
        self._callbacks = Callbacks(self._registry, root, self._resubmit)
        self._watchdog = Watchdog(self._registry, grace, lambda: self._connection, self._disconnect_lost)

    def warm(self) -> None:
        """Have the cluster up and the connection made."""
        self._connected()

    def start(self, slug: str, config: Config, seeds: Sequence[int], visitor: str) -> str:
        """The identity of a run that is saved, joined or newly started. Raises Busy,
        one sentence, when too many wait.
        """
        run_id = runs.identity(slug, config, seeds)
        with self._lock:
            if self._joined(run_id, visitor):
                return run_id
        if self._from_disk(run_id, slug, config, tuple(seeds)):
            return run_id
        client = self._connected()
        with self._lock:
            if not self._joined(run_id, visitor):  # another visitor may have been as fast
                self._admit(visitor)
                job = Job(run_id, slug, config, tuple(seeds), next(self._numbers), watchers={visitor: None})
                job.timing = expected_timing(slug, config, self._root)
                self._submit(client, job)
                self._registry.add(job)
        return run_id

    def join(self, run_ids: Sequence[str], look: int, looks: int) -> str:
        """The identity of one run that takes the place of finished runs of equal
        settings and consecutive seeds: their films joined, its verdicts at interim
        analysis `look` of `looks`. Saved on disk; the parts are deleted.
        """
        states = [self.state(run_id) for run_id in run_ids]
        parts = [state.run for state in states]
        frames = film.join([self.frames(run_id) for run_id in run_ids])
        with self._lock:
            config = self._registry.jobs[run_ids[0]].config
        seeds = tuple(seed for part in parts for seed in part.seeds)
        about = {"seconds": sum(part.seconds for part in parts), "device": parts[0].device}
        run = runs.of(
            parts[0].slug, config, seeds, frames, **about, timing=parts[0].timing, look=look, looks=looks
        )
        message = ""
        try:
            run = runs.write(run, film.pack(frames), root=self._root)
            for part in parts:
                if part.folder.name and not part.folder.is_relative_to(idea.ASSETS):
                    runs.delete(part)
        except NotSaved as error:
            message = str(error)
        self._add_finished(run, config, frames, message)
        return run.id

    def state(self, run_id: str) -> RunState | None:
        """The state of a run now, None when this engine does not know it."""
        return self._registry.state(run_id)

    def frames(self, run_id: str) -> list[Any]:
        """The film so far, or the whole film of a finished run. Raises DamagedRun when
        a saved film cannot be read.
        """
        with self._lock:
            job = self._registry.jobs.get(run_id)
            if job is None:
                return []
            if job.live:
                return list(job.frames)
            if (cached := self._registry.films.get(run_id)) is not None:
                return list(cached)
            if job.status != "finished":
                return []
            run = job.run
        frames = film.unpack(runs.film_bytes(run), idea.load(job.slug).frame)
        with self._lock:
            self._registry.films.put(run_id, frames)
        return list(frames)

    def watch(self, run_id: str, visitor: str) -> None:
        """This visitor follows the run, or has come back to it."""
        with self._lock:
            if (job := self._registry.jobs.get(run_id)) is not None:
                job.watchers[visitor] = None

    def leave(self, visitor: str) -> None:
        """The visitor left; runs nobody else follows are cancelled after the grace
        time.
        """
        with self._lock:
            for job in self._registry.jobs.values():
                if visitor in job.watchers:
                    job.watchers[visitor] = time.time()

    def cancel(self, run_id: str, visitor: str) -> bool:
        """End a run; when others follow it, only this visitor leaves, and False is
        returned.
        """
        with self._lock:
            job = self._registry.jobs.get(run_id)
            if job is None or not job.live:
                return False
            job.watchers.pop(visitor, None)
            if any(left is None for left in job.watchers.values()):
                return False
            self._watchdog.cancel(job)
            return True

    def close(self) -> None:
        """Cancel what is under way and end the cluster if it is this engine's own."""
        self._closed.set()
        self._watchdog.close()
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _joined(self, run_id: str, visitor: str) -> bool:
        """Whether the run is under way, and this visitor follows it now, or it has
        finished and its film is cached.
        """
        job = self._registry.jobs.get(run_id)
        if job is None:
            return False
        if job.live and not job.cancelled:
            job.watchers[visitor] = None
            return True
        return (
            job.status == "finished"
            and run_id in self._registry.films
            and (not job.run.folder.name or job.run.folder.is_dir())
        )

    def _from_disk(self, run_id: str, slug: str, config: Config, seeds: tuple[int, ...]) -> bool:
        """Whether the run is saved and its film whole: then it is registered."""
        saved = runs.find(run_id, self._root)
        if saved is None:
            return False
        try:
            frames = film.unpack(runs.film_bytes(saved), idea.load(slug).frame)
        except ValueError as error:  # it is run again, and the whole copy replaces the damaged one
            log.warning("%s", error)
            return False
        self._add_finished(saved, config, frames)
        return True

    def _add_finished(self, run: runs.Run, config: Config, frames: list[Any], message: str = "") -> None:
        last = frames[-1]
        job = Job(run.id, run.slug, config, run.seeds, status="finished", run=run, message=message)
        job.step, job.steps = last.step, last.steps
        self._registry.add(job, frames)

    def _submit(self, client: "Client", job: Job) -> None:
        """Submit a run under a key that no other attempt ever had: an equal key would
        be answered from the first.
        """
        job.attempt = f"{job.id}-{uuid.uuid4().hex}"
        about = (job.id, job.attempt, job.slug, job.config.model_dump(), job.seeds)
        # first come, first served
        job.future = client.submit(
            worker.work, *about, key=job.attempt, pure=False, retries=0, priority=-job.order
        )
        job.future.add_done_callback(lambda future: self._callbacks.on_done(job, future))

    def _resubmit(self, job: Job) -> bool:
        """Submit a run again that only waited at a lost worker; returns whether it was."""
        with self._lock:
            if not job.live or job.status != "waiting" or self._connection is None:
                return False
            if job.resubmitted == RESUBMISSIONS:
                return False
            job.resubmitted += 1
            self._submit(self._connection.client, job)
            return True

    def _admit(self, visitor: str) -> None:
        live = self._registry.live()
        waiting = [job for job in live if job.status == "waiting" and not job.cancelled]
        own = sum(visitor in job.watchers for job in waiting)
        if own >= OWN_WAITING:
            raise Busy(
                f"Busy: you have {own} runs waiting, and {len(live)} runs are ahead of a new one; wait for"
                " one, or cancel it."
            )
        if len(waiting) >= ALL_WAITING:
            raise Busy(
                f"Busy: {len(live)} runs are ahead of yours and no more are taken; try again in some minutes."
            )

    def _connected(self) -> "Client":
        """The client, connected anew when there is no cluster or it was lost. Raises
        Busy, one sentence, when none answers.
        """
        with self._connecting:
            if self._closed.is_set():
                raise Busy(CLOSED)
            if self._connection is not None and self._connection.alive:
                return self._connection.client
            self._disconnect()
            # set before it is open, so that `close` ends its process meanwhile too
            self._connection = connection = cluster.Connection(
                self._scheduler, self._processes, self._workers
            )
            try:
                connection.open()
            except OSError as error:
                self._disconnect()
                raise Busy(NO_ANSWER.format(where=self._scheduler or "this machine")) from error
            connection.client.subscribe_topic(worker.TOPIC, self._callbacks.on_event)
            if self._closed.is_set():  # meanwhile
                self._disconnect()
                raise Busy(CLOSED)
            self._watchdog.start()
            return connection.client

    def _disconnect(self) -> None:
        """Drop the connection to a lost cluster; its runs have failed."""
        with self._lock:
            connection, self._connection = self._connection, None
            for job in self._registry.live():
                if job.future is not None:
                    self._registry.end(job, "cancelled" if job.cancelled else "failed", CLUSTER_LOST)
        if connection is not None:
            threading.Thread(target=connection.close, daemon=True).start()

    def _disconnect_lost(self, connection: cluster.Connection) -> None:
        with self._connecting:
            if self._connection is connection:
                self._disconnect()
