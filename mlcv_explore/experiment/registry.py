"""The runs that one server process has seen: those under way, the latest that ended,
and their films.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from mlcv_explore.experiment.job import Job, RunState, Status, seconds_left

FILM_BYTES = 64e6  # of cached films of ended runs; the newest film always stays
ENDED = 200  # ended runs whose state stays known


class FilmCache:
    """Films of ended runs, unpacked; the least recently used are evicted first."""

    def __init__(self) -> None:
        self._films: OrderedDict[str, list[Any]] = OrderedDict()

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._films

    def __len__(self) -> int:
        return len(self._films)

    def get(self, run_id: str) -> list[Any] | None:
        """A cached film, now the most recently used."""
        if run_id not in self._films:
            return None
        self._films.move_to_end(run_id)
        return self._films[run_id]

    def put(self, run_id: str, frames: list[Any]) -> None:
        """Cache a film and evict others until all fit into FILM_BYTES."""
        self._films[run_id] = frames
        self._films.move_to_end(run_id)
        sizes = {name: film_size(film) for name, film in self._films.items()}
        while len(self._films) > 1 and sum(sizes.values()) > FILM_BYTES:
            del sizes[self._films.popitem(last=False)[0]]

    def remove(self, run_id: str) -> None:
        """Evict a film, if it is cached."""
        self._films.pop(run_id, None)


class Registry:
    """Jobs by the identity of their run. Hold `lock` around any use of `jobs`, `films`
    or a job's fields; every method takes it itself.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.jobs: OrderedDict[str, Job] = OrderedDict()
        self.films = FilmCache()

    def add(self, job: Job, frames: list[Any] | None = None) -> None:
        """Register a job, in place of an earlier one of the same run, with its film if
        it has ended; the oldest ended ones are forgotten.
        """
        with self.lock:
            earlier = self.jobs.pop(job.id, None)
            job.version = earlier.version + 1 if earlier else 0
            self.films.remove(job.id)
            self.jobs[job.id] = job
            ended = [other.id for other in self.jobs.values() if not other.live]
            for run_id in ended[: max(0, len(ended) - ENDED)]:
                del self.jobs[run_id]
                self.films.remove(run_id)
            if frames is not None:
                self.films.put(job.id, frames)

    def end(self, job: Job, status: Status, message: str = "") -> None:
        """Let a live job be ended; its frames so far are cached. One that has ended
        stays as it is.
        """
        with self.lock:
            if not job.live:
                return
            if status != "finished" and job.frames and self.jobs.get(job.id) is job:
                self.films.put(job.id, job.frames)
            job.status, job.ended, job.future, job.frames = status, time.time(), None, []
            job.message = "" if status == "cancelled" else message
            job.version += 1

    def live(self) -> list[Job]:
        """The jobs that wait or run."""
        with self.lock:
            return [job for job in self.jobs.values() if job.live]

    def state(self, run_id: str) -> RunState | None:
        """The state of a run now, None when it is not known."""
        with self.lock:
            job = self.jobs.get(run_id)
            if job is None:
                return None
            ahead = sum(other.order < job.order for other in self.live()) if job.status == "waiting" else 0
            now = time.time()
            elapsed = job.run.seconds if job.run else ((job.ended or now) - job.began if job.began else 0.0)
            return RunState(
                id=job.id,
                status=job.status,
                ahead=ahead,
                step=job.step,
                steps=job.steps,
                elapsed=elapsed,
                seconds_left=seconds_left(job, now),
                message=job.message,
                run=job.run,
                version=job.version,
                produced=job.produced,
                received=job.received,
            )


def film_size(frames: Sequence[Any]) -> int:
    """Bytes of a film: one frame times their number, for the frames of a film are
    alike.
    """
    if not frames:
        return 0
    return sum(getattr(value, "nbytes", 32) for value in vars(frames[-1]).values()) * len(frames)
