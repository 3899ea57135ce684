"""Start, join, follow and cancel runs: one engine a server process, on a cluster of its
own or on any dask scheduler.

A run that is already kept is served from disk, an equal one under way is joined, and
everything else waits its turn.
"""

import itertools
import logging
import os
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcv_explore import idea
from mlcv_explore.config import Config
from mlcv_explore.experiment import cluster, film, fingerprint, runs, worker
from mlcv_explore.experiment.job import (
    CLOSED,
    GONE,
    OTHER_SOURCES,
    UNANSWERED,
    Job,
    RunState,
    Status,
    film_bytes,
    pace_of,
    seconds_left,
    sentence_of,
    since_it_went_back,
)
from mlcv_explore.experiment.runs import NotKept

if TYPE_CHECKING:
    from distributed import Client, Future

OWN_WAITING = 2  # runs one visitor may have waiting
ALL_WAITING = 16
GRACE = 60.0  # seconds a run goes on after its last watcher left
PATIENCE = 5.0  # seconds a cancelled run has to end by itself before its worker is restarted
FILMS = 64e6  # bytes of ended films kept unpacked, the newest always
RETURNS = 3  # times a run that never began goes back to the queue when its worker is lost
ENDED = 200  # ended runs whose state is still told
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
        self._processes, self._workers, self._grace, self._root = processes, workers, grace, root
        self._lock = threading.RLock()
        self._connecting = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._films: OrderedDict[str, list[Any]] = OrderedDict()
        self._stopping: list[Job] = []  # asked to end; an equal run may have taken their place in _jobs
        self._numbers = itertools.count(1)
        self._connection: cluster.Connection | None = None
        self._closed = threading.Event()
        self._tending: threading.Thread | None = None

    def warm(self) -> None:
        """Have the cluster up and the connection made."""
        self._connected()

    def start(self, slug: str, config: Config, seeds: Sequence[int], visitor: str) -> str:
        """The identity of a run that is kept, joined or newly started. Raises Busy, one
        sentence, when too many wait.
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
                job.pace = pace_of(slug, config, self._root)
                self._submit(client, job)
                self._remember(job)
        return run_id

    def join(self, run_ids: Sequence[str], look: int, looks: int) -> str:
        """The identity of one run that takes the place of finished runs of equal settings
        and consecutive seeds: their films joined, its verdicts at interim analysis `look`
        of `looks`. Saved on disk; the parts are deleted.
        """
        states = [self.state(run_id) for run_id in run_ids]
        parts = [state.run for state in states]
        frames = film.join([self.frames(run_id) for run_id in run_ids])
        with self._lock:
            config = self._jobs[run_ids[0]].config
        seeds = tuple(seed for part in parts for seed in part.seeds)
        about = {"seconds": sum(part.seconds for part in parts), "device": parts[0].device}
        run = runs.of(
            parts[0].slug, config, seeds, frames, **about, pace=parts[0].pace, look=look, looks=looks
        )
        message = ""
        try:
            run = runs.write(run, film.pack(frames), root=self._root)
            for part in parts:
                if part.folder.name and not part.folder.is_relative_to(idea.ASSETS):
                    runs.delete(part)
        except NotKept as error:
            message = str(error)
        last = frames[-1]
        steps = {"step": last.step, "steps": last.steps}
        with self._lock:
            self._remember(
                Job(run.id, run.slug, config, seeds, status="finished", run=run, message=message, **steps)
            )
            self._shelve(run.id, frames)
        return run.id

    def state(self, run_id: str) -> RunState | None:
        """How a run stands, None when this engine never saw it."""
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None:
                return None
            ahead = (
                sum(other.live and other.order < job.order for other in self._jobs.values())
                if job.status == "waiting"
                else 0
            )
            now = time.time()
            elapsed = job.run.seconds if job.run else ((job.ended or now) - job.began if job.began else 0.0)
            shown = (
                job.id,
                job.status,
                ahead,
                job.step,
                job.steps,
                elapsed,
                seconds_left(job, now),
                job.message,
                job.run,
            )
            return RunState(*shown, job.version, job.produced, job.received)

    def frames(self, run_id: str) -> list[Any]:
        """The film so far, or the whole film of a finished run. Raises DamagedRun when
        a kept film cannot be read.
        """
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None:
                return []
            if job.live:
                return list(job.frames)
            if run_id in self._films:
                self._films.move_to_end(run_id)
                return list(self._films[run_id])
            if job.status != "finished":
                return []
            run = job.run
        frames = film.unpack(runs.film_bytes(run), idea.load(job.slug).frame)
        with self._lock:
            self._shelve(run_id, frames)
        return list(frames)

    def watch(self, run_id: str, visitor: str) -> None:
        """This visitor follows the run, or has come back to it."""
        with self._lock:
            if (job := self._jobs.get(run_id)) is not None:
                job.watchers[visitor] = None

    def leave(self, visitor: str) -> None:
        """The visitor is gone; runs nobody else follows are cancelled after the grace
        time.
        """
        with self._lock:
            for job in self._jobs.values():
                if visitor in job.watchers:
                    job.watchers[visitor] = time.time()

    def cancel(self, run_id: str, visitor: str) -> bool:
        """End a run; when others follow it, only this visitor leaves, and False is
        returned.
        """
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None or not job.live:
                return False
            job.watchers.pop(visitor, None)
            if any(left is None for left in job.watchers.values()):
                return False
            self._stop(job)
            return True

    def close(self) -> None:
        """Cancel what is under way and end the cluster if it is this engine's own."""
        self._closed.set()
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _joined(self, run_id: str, visitor: str) -> bool:
        """Whether the run is under way, and this visitor follows it now, or its film is
        at hand.
        """
        job = self._jobs.get(run_id)
        if job is None:
            return False
        if job.live and not job.cancelled:
            job.watchers[visitor] = None
            return True
        return (
            job.status == "finished"
            and run_id in self._films
            and (not job.run.folder.name or job.run.folder.is_dir())
        )

    def _from_disk(self, run_id: str, slug: str, config: Config, seeds: tuple[int, ...]) -> bool:
        """Whether the run was kept, and its film is whole: then it is at hand."""
        kept = runs.find(run_id, self._root)
        if kept is None:
            return False
        try:
            frames = film.unpack(runs.film_bytes(kept), idea.load(slug).frame)
        except ValueError as error:  # it is made again, and the whole copy takes the damaged one's place
            log.warning("%s", error)
            return False
        with self._lock:
            last = frames[-1]
            self._remember(
                Job(
                    run_id, slug, config, seeds, status="finished", run=kept, step=last.step, steps=last.steps
                )
            )
            self._shelve(run_id, frames)
        return True

    def _submit(self, client: "Client", job: Job) -> None:
        """Hand a run to the cluster under a key that no other attempt ever had: an
        equal key would be answered from the first.
        """
        job.attempt = f"{job.id}-{uuid.uuid4().hex}"
        values = job.config.model_dump()
        about = (job.id, job.attempt, job.slug, values, job.seeds)
        # first come, first served
        job.future = client.submit(
            worker.work, *about, key=job.attempt, pure=False, retries=0, priority=-job.order
        )
        job.future.add_done_callback(lambda future: self._ended(job, future))

    def _admit(self, visitor: str) -> None:
        waiting = [job for job in self._jobs.values() if job.status == "waiting" and not job.cancelled]
        own = sum(visitor in job.watchers for job in waiting)
        live = sum(job.live for job in self._jobs.values())
        if own >= OWN_WAITING:
            raise Busy(
                f"Busy: you have {own} runs waiting, and {live} runs are ahead of a new one; wait for one, or"
                " cancel it."
            )
        if len(waiting) >= ALL_WAITING:
            raise Busy(
                f"Busy: {live} runs are ahead of yours and no more are taken; try again in some minutes."
            )

    def _remember(self, job: Job) -> None:
        known = self._jobs.pop(job.id, None)
        job.version = known.version + 1 if known else 0
        self._films.pop(job.id, None)
        self._jobs[job.id] = job
        ended = [other.id for other in self._jobs.values() if not other.live]
        for run_id in ended[: max(0, len(ended) - ENDED)]:
            del self._jobs[run_id]
            self._films.pop(run_id, None)

    def _shelve(self, run_id: str, frames: list[Any]) -> None:
        self._films[run_id] = frames
        self._films.move_to_end(run_id)
        sizes = {name: film_bytes(kept) for name, kept in self._films.items()}
        while len(self._films) > 1 and sum(sizes.values()) > FILMS:
            del sizes[self._films.popitem(last=False)[0]]

    def _connected(self) -> "Client":
        """The client, connected anew when the cluster was never there or is gone. Raises
        Busy, one sentence, when there is none.
        """
        with self._connecting:
            if self._closed.is_set():
                raise Busy(CLOSED)
            if self._connection is not None and self._connection.alive:
                return self._connection.client
            self._drop()
            # at hand before it is open: what closes meanwhile ends its process too
            self._connection = connection = cluster.Connection(
                self._scheduler, self._processes, self._workers
            )
            try:
                connection.open()
            except OSError as error:
                self._drop()
                raise Busy(UNANSWERED.format(where=self._scheduler or "this machine")) from error
            connection.client.subscribe_topic(worker.TOPIC, self._heard)
            if self._closed.is_set():  # meanwhile
                self._drop()
                raise Busy(CLOSED)
            if self._tending is None:
                self._tending = threading.Thread(target=self._tend, name="tend runs", daemon=True)
                self._tending.start()
            return connection.client

    def _drop(self) -> None:
        """Let go of a cluster that is gone; its runs have failed."""
        with self._lock:
            connection, self._connection = self._connection, None
            for job in list(self._jobs.values()):
                if job.live and job.future is not None:
                    self._end(job, "cancelled" if job.cancelled else "failed", GONE)
        if connection is not None:
            threading.Thread(target=connection.close, daemon=True).start()

    def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        """A worker told of frames; called by the client's own thread."""
        news = event[1]
        with self._lock:
            job = self._jobs.get(news["run"])
            if job is None or job.attempt != news["attempt"] or not job.live:
                return
            if news["steps"] == 0:  # it begins; for the second time if its worker was lost after its end
                job.status, job.began = "running", time.time()
            if news["step"] < job.step:
                job.first = None
                job.frames = [] if news["steps"] == 0 else job.frames
            if news["count"]:
                job.frames = since_it_went_back(
                    [*job.frames, *film.unpack(news["film"], idea.load(job.slug).frame)]
                )
            if news["steps"]:
                job.produced, job.received = news["produced"], time.time()
                job.first = job.first or (job.received, news["step"])
            job.step, job.steps = news["step"], news["steps"] or job.steps
            job.version += 1

    def _ended(self, job: Job, future: "Future") -> None:
        """A run's future is done; called in a thread of the client's."""
        try:
            self._settle(job, future)
        except Exception as error:
            log.exception("The run %s could not be taken in", job.id)
            self._finish_with(
                job,
                "failed",
                f"The run ended, but its film could not be read ({type(error).__name__}: {error}).",
            )

    def _settle(self, job: Job, future: "Future") -> None:
        from distributed.scheduler import KilledWorker

        if future.status == "finished":
            outcome = future.result()
            if outcome.get("cancelled"):
                self._finish_with(job, "cancelled", "")
            else:
                self._take_in(job, outcome)
        elif job.cancelled or future.status == "cancelled":
            self._finish_with(job, "cancelled" if job.cancelled else "failed", "" if job.cancelled else GONE)
        else:
            error = future.exception() if future.status == "error" else None
            if isinstance(error, KilledWorker) and self._return(job):
                return
            log.warning("The run %s failed: %r", job.id, error)
            self._finish_with(job, "failed", sentence_of(error))

    def _return(self, job: Job) -> bool:
        """Put a run that only waited at a lost worker back into the queue: the
        scheduler blames all that were there.
        """
        with self._lock:
            if not job.live or job.status != "waiting" or job.returned == RETURNS or self._connection is None:
                return False
            job.returned += 1
            self._submit(self._connection.client, job)
            return True

    def _take_in(self, job: Job, outcome: dict[str, Any]) -> None:
        """Keep a finished film on disk and in memory."""
        if outcome["made_by"] != fingerprint.fingerprint(job.slug):
            self._finish_with(job, "failed", OTHER_SOURCES)
            return
        frames = film.unpack(outcome["film"], idea.load(job.slug).frame)
        about = {"seconds": outcome["seconds"], "device": outcome["device"], "pace": outcome["pace"]}
        run, message = runs.of(job.slug, job.config, job.seeds, frames, **about), ""
        try:
            run = runs.write(run, outcome["film"], root=self._root)
        except NotKept as error:
            message = str(error)
        with self._lock:
            if job.live:
                job.run, job.step, job.steps = run, frames[-1].step, frames[-1].steps
                self._shelve(job.id, frames)
                self._end(job, "finished", message)

    def _finish_with(self, job: Job, status: Status, message: str) -> None:
        with self._lock:
            if job.live:
                self._end(job, status, message)

    def _end(self, job: Job, status: Status, message: str) -> None:
        if status != "finished" and job.frames and self._jobs.get(job.id) is job:
            self._shelve(job.id, job.frames)
        job.status, job.message, job.ended, job.future = (
            status,
            "" if status == "cancelled" else message,
            time.time(),
            None,
        )
        job.frames = []
        job.version += 1

    def _stop(self, job: Job) -> None:
        """Ask a run to end; the tending thread restarts its worker when it does not."""
        if not job.cancelled:
            job.cancelled = time.time()
            self._stopping.append(job)
        job.version += 1
        connection, attempt = self._connection, job.attempt
        future = job.future if job.status == "waiting" else None

        def tell() -> None:
            try:
                if future is not None:
                    connection.client.cancel([future], force=True)
                connection.client.run(worker.stop, attempt, on_error="ignore")
            except Exception:  # the cluster is going, and the run with it
                log.info("Cancelling %s: the cluster did not answer", job.id)

        threading.Thread(target=tell, name="cancel", daemon=True).start()

    def _tend(self) -> None:
        """Twice a second: runs nobody follows, runs that will not end, a cluster that
        is gone.
        """
        while not self._closed.wait(0.5):
            with self._lock:
                connection = self._connection
                live = [job for job in self._jobs.values() if job.live]
                now = time.time()
                for job in live:
                    left = list(job.watchers.values())
                    if not job.cancelled and left and None not in left and now - max(left) > self._grace:
                        self._stop(job)
                self._stopping = [job for job in self._stopping if job.live]
                stuck = [job for job in self._stopping if now - job.cancelled > PATIENCE]
            if connection is None or connection.client is None:
                continue
            closed = connection.client.status in ("closed", "closing", "newly-created")
            if closed or connection.process_ended:
                with self._connecting:
                    if self._connection is connection:
                        self._drop()
            elif stuck:
                self._restart(connection.client, stuck)

    def _restart(self, client: "Client", stuck: list[Job]) -> None:
        """Take the workers of runs that did not end by themselves, and give fresh ones
        in their place.
        """
        try:
            attempts = {job.attempt for job in stuck}
            busy = [
                worker
                for worker, keys in client.processing().items()
                if attempts & {str(key) for key in keys}
            ]
            for job in stuck:
                self._finish_with(job, "cancelled", "")
            if busy:
                client.restart_workers(busy, timeout=30, raise_for_error=False)
        except Exception:
            log.exception("A worker could not be restarted")
