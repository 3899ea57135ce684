"""Start, join, follow and cancel runs: one engine a server process, on a cluster of its
own or on any dask scheduler.

A run that is already kept is served from disk, an equal one under way is joined, and
everything else waits its turn.
"""

import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlcv_explore import idea
from mlcv_explore.config import Config
from mlcv_explore.experiment import film, fingerprint, runs, worker
from mlcv_explore.experiment.runs import NotKept, Run

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

Status = Literal["waiting", "running", "finished", "failed", "cancelled"]
OWN_WAITING = 2  # runs one visitor may have waiting
ALL_WAITING = 16
GRACE = 60.0  # seconds a run goes on after its last watcher left
PATIENCE = 5.0  # seconds a cancelled run has to end by itself before its worker is restarted
FILMS = 64e6  # bytes of ended films kept unpacked, the newest always
RETURNS = 3  # times a run that never began goes back to the queue when its worker is lost
ENDED = 200  # ended runs whose state is still told
ANSWER = 10.0  # seconds a scheduler has to answer
LOST = (
    "The worker that trained this was lost: it was killed, or needed more than its memory ({memory}). Start"
    " again, or make the run smaller."
)
GONE = "The cluster that trained this is gone. Start again: a new one is fetched."
UNANSWERED = (
    "Nothing can be trained now: the cluster of {where} does not answer; `python -m mlcv_explore doctor` may"
    " say why. Start again later."
)
OTHER_SOURCES = (
    "The cluster runs other sources than this server, so its numbers are not shown; install the same version"
    " on both and start again."
)
CLOSED = "Nothing can be trained any more: the server is closing."
log = logging.getLogger(__name__)


class Busy(RuntimeError):
    """No run was admitted. The text is one sentence for the reader."""


@dataclass(frozen=True)
class RunState:
    """How a run stands, at one moment."""

    id: str
    status: Status
    ahead: int  # runs before it that have not ended
    step: int
    steps: int  # 0 until the first frame
    elapsed: float  # seconds since it began to run
    seconds_left: float | None
    message: str  # why it failed, or why it could not be kept
    run: Run | None  # once it is finished
    version: int  # grows with every change
    # when the newest frame was made, by the worker's clock, seconds since the epoch; 0 before
    produced: float
    received: float  # when it arrived here


@dataclass
class _Job:
    id: str
    slug: str
    config: Config
    seeds: tuple[int, ...]
    order: int = 0
    attempt: str = ""
    status: Status = "waiting"
    # visitor → when it left, None while it is there
    watchers: dict[str, float | None] = field(default_factory=dict)
    frames: list[Any] = field(default_factory=list)
    step: int = 0
    steps: int = 0
    began: float = 0.0
    first: tuple[float, int] | None = None  # when the first frame came, and its step
    ended: float = 0.0
    cancelled: float = 0.0  # when that was asked
    message: str = ""
    run: Run | None = None
    version: int = 0
    produced: float = 0.0
    received: float = 0.0
    future: "Future | None" = None
    returned: int = 0

    @property
    def live(self) -> bool:
        return self.status in ("waiting", "running")


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
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._films: OrderedDict[str, list[Any]] = OrderedDict()
        self._stopping: list[_Job] = []  # asked to end; an equal run may have taken their place in _jobs
        self._numbers = itertools.count(1)
        self._client: Client | None = None
        self._process: subprocess.Popen | None = None
        self._cluster: LocalCluster | None = None
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
                job = _Job(run_id, slug, config, tuple(seeds), next(self._numbers), watchers={visitor: None})
                self._submit(client, job)
                self._remember(job)
        return run_id

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
                _seconds_left(job, now),
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

    def queue(self) -> dict[str, int]:
        """How many runs are running and waiting."""
        with self._lock:
            states = [job.status for job in self._jobs.values()]
            return {"running": states.count("running"), "waiting": states.count("waiting")}

    def close(self) -> None:
        """Cancel what is under way and end the cluster if it is this engine's own."""
        self._closed.set()
        with self._lock:
            client, self._client = self._client, None
            process, self._process = self._process, None
            cluster, self._cluster = self._cluster, None
        _close(client, process, cluster)

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
                _Job(
                    run_id, slug, config, seeds, status="finished", run=kept, step=last.step, steps=last.steps
                )
            )
            self._shelve(run_id, frames)
        return True

    def _submit(self, client: "Client", job: _Job) -> None:
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

    def _remember(self, job: _Job) -> None:
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
        sizes = {name: _film_bytes(kept) for name, kept in self._films.items()}
        while len(self._films) > 1 and sum(sizes.values()) > FILMS:
            del sizes[self._films.popitem(last=False)[0]]

    def _connected(self) -> "Client":
        """The client, made anew when the cluster was never there or is gone. Raises
        Busy, one sentence, when there is none.
        """
        with self._connecting:
            if self._closed.is_set():
                raise Busy(CLOSED)
            if (
                self._client is not None
                and self._client.status == "running"
                and (self._process is None or self._process.poll() is None)
            ):
                return self._client
            self._drop()
            from distributed import Client

            # a cluster that is gone is told to the reader, in a sentence
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
            try:
                address = self._scheduler or (self._own_process() if self._processes else self._own_cluster())
                client = Client(address, set_as_default=False, timeout=ANSWER, name="mlcv-explore")
            except OSError as error:
                self._drop()
                raise Busy(UNANSWERED.format(where=self._scheduler or "this machine")) from error
            client.subscribe_topic(worker.TOPIC, self._heard)
            self._client = client
            if self._closed.is_set():  # meanwhile
                self._drop()
                raise Busy(CLOSED)
            if self._tending is None:
                self._tending = threading.Thread(target=self._tend, name="tend runs", daemon=True)
                self._tending.start()
            return client

    def _own_process(self) -> str:
        """`python -m mlcv_explore.compute`, which ends with this process: its standard
        input is held open by us.
        """
        flags = ["--workers", str(self._workers)] if self._workers else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlcv_explore.experiment.worker", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(
                    filter(None, (str(fingerprint.PACKAGE.parent), os.environ.get("PYTHONPATH")))
                ),
            },
            start_new_session=True,  # Ctrl-C ends the server, and the server ends this
        )
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError("The compute process did not start.")
        return json.loads(line)["address"]

    def _own_cluster(self) -> str:
        import dask
        from distributed import LocalCluster

        with dask.config.set(worker.SETTINGS):
            self._cluster = LocalCluster(
                n_workers=self._workers or 1,
                threads_per_worker=1,
                processes=False,
                dashboard_address=None,
                protocol="tcp",
                host="127.0.0.1",
            )
        return self._cluster.scheduler_address

    def _drop(self) -> None:
        """Let go of a cluster that is gone; its runs have failed."""
        with self._lock:
            client, self._client = self._client, None
            process, self._process = self._process, None
            cluster, self._cluster = self._cluster, None
            for job in list(self._jobs.values()):
                if job.live and job.future is not None:
                    self._end(job, "cancelled" if job.cancelled else "failed", GONE)
        threading.Thread(target=_close, args=(client, process, cluster), daemon=True).start()

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
                job.frames = _since_it_went_back(
                    [*job.frames, *film.unpack(news["film"], idea.load(job.slug).frame)]
                )
            if news["steps"]:
                job.produced, job.received = news["produced"], time.time()
                job.first = job.first or (job.received, news["step"])
            job.step, job.steps = news["step"], news["steps"] or job.steps
            job.version += 1

    def _ended(self, job: _Job, future: "Future") -> None:
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

    def _settle(self, job: _Job, future: "Future") -> None:
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
            self._finish_with(job, "failed", _sentence(error))

    def _return(self, job: _Job) -> bool:
        """Put a run that only waited at a lost worker back into the queue: the
        scheduler blames all that were there.
        """
        with self._lock:
            if not job.live or job.status != "waiting" or job.returned == RETURNS or self._client is None:
                return False
            job.returned += 1
            self._submit(self._client, job)
            return True

    def _take_in(self, job: _Job, outcome: dict[str, Any]) -> None:
        """Keep a finished film on disk and in memory."""
        if outcome["made_by"] != fingerprint.fingerprint(job.slug):
            self._finish_with(job, "failed", OTHER_SOURCES)
            return
        frames = film.unpack(outcome["film"], idea.load(job.slug).frame)
        run, message = (
            runs.of(job.slug, job.config, job.seeds, frames, outcome["seconds"], outcome["device"]),
            "",
        )
        try:
            run = runs.write(run, outcome["film"], root=self._root)
        except NotKept as error:
            message = str(error)
        with self._lock:
            if job.live:
                job.run, job.step, job.steps = run, frames[-1].step, frames[-1].steps
                self._shelve(job.id, frames)
                self._end(job, "finished", message)

    def _finish_with(self, job: _Job, status: Status, message: str) -> None:
        with self._lock:
            if job.live:
                self._end(job, status, message)

    def _end(self, job: _Job, status: Status, message: str) -> None:
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

    def _stop(self, job: _Job) -> None:
        """Ask a run to end; the tending thread restarts its worker when it does not."""
        if not job.cancelled:
            job.cancelled = time.time()
            self._stopping.append(job)
        job.version += 1
        client, attempt, future = self._client, job.attempt, job.future if job.status == "waiting" else None

        def tell() -> None:
            try:
                if future is not None:
                    client.cancel([future], force=True)
                client.run(worker.stop, attempt, on_error="ignore")
            except Exception:  # the cluster is going, and the run with it
                log.info("Cancelling %s: the cluster did not answer", job.id)

        threading.Thread(target=tell, name="cancel", daemon=True).start()

    def _tend(self) -> None:
        """Twice a second: runs nobody follows, runs that will not end, a cluster that
        is gone.
        """
        while not self._closed.wait(0.5):
            with self._lock:
                client, process = self._client, self._process
                live = [job for job in self._jobs.values() if job.live]
                now = time.time()
                for job in live:
                    left = list(job.watchers.values())
                    if not job.cancelled and left and None not in left and now - max(left) > self._grace:
                        self._stop(job)
                self._stopping = [job for job in self._stopping if job.live]
                stuck = [job for job in self._stopping if now - job.cancelled > PATIENCE]
            gone = process is not None and process.poll() is not None
            if client is not None and (gone or client.status in ("closed", "closing", "newly-created")):
                with self._connecting:
                    if self._client is client:
                        self._drop()
            elif stuck and client is not None:
                self._restart(client, stuck)

    def _restart(self, client: "Client", stuck: list[_Job]) -> None:
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


def _seconds_left(job: _Job, now: float) -> float | None:
    if job.status != "running" or job.first is None or job.step <= job.first[1]:
        return None
    return (job.received - job.first[0]) / (job.step - job.first[1]) * (job.steps - job.step) - (
        now - job.received
    )


def _since_it_went_back(frames: list[Any]) -> list[Any]:
    """The film from its last step that is not behind the one before: what came earlier
    belongs to a beginning that was lost.
    """
    starts = [index for index in range(1, len(frames)) if frames[index].step < frames[index - 1].step]
    return frames[starts[-1] :] if starts else frames


def _film_bytes(frames: list[Any]) -> int:
    """Of one frame times their number: the frames of a film are alike."""
    return (
        sum(getattr(value, "nbytes", 32) for value in vars(frames[-1]).values()) * len(frames)
        if frames
        else 0
    )


def _sentence(error: BaseException | None) -> str:
    """What a reader is told of an error: an idea's own sentence, or its type."""
    from distributed.scheduler import KilledWorker

    if error is None or isinstance(error, KilledWorker):
        return LOST.format(memory=os.environ.get("MLCV_WORKER_MEMORY", worker.MEMORY))
    if isinstance(error, MemoryError):
        return "The run needed more memory than its worker has; make it smaller and start again."
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, ArithmeticError)) and text:
        return text
    return (
        f"The run stopped with an unexpected error ({type(error).__name__}: {text}). Start again; if it"
        " stays, the server's log says where."
    )


def _close(client: "Client | None", process: subprocess.Popen | None, cluster: "LocalCluster | None") -> None:
    for thing in (client, cluster):
        try:
            if thing is not None:
                thing.close(timeout=5)
        except Exception:  # it is gone already
            log.info("Closing %s was not answered", type(thing).__name__)
    if process is not None:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
