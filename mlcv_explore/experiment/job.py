"""One run under way or ended: its state, the time left, messages about its end."""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mlcv_explore.config import Config
from mlcv_explore.experiment import runs, worker
from mlcv_explore.experiment.runs import Run

if TYPE_CHECKING:
    from pathlib import Path

    from distributed import Future

Status = Literal["waiting", "running", "finished", "failed", "cancelled"]
WORKER_LOST = (
    "The worker that trained this was lost: it was killed, or needed more than its memory ({memory}). Start"
    " again, or make the run smaller."
)
CLUSTER_LOST = "The cluster that trained this was lost. Start again on a new one."
NO_ANSWER = (
    "Nothing can be trained now: the cluster of {where} does not answer; `python -m mlcv_explore doctor` may"
    " show why. Start again later."
)
OTHER_SOURCES = (
    "The cluster runs other sources than this server, so its numbers are not shown; install the same version"
    " on both and start again."
)
CLOSED = "Nothing can be trained any more: the server is closing."


@dataclass(frozen=True)
class RunState:
    """The state of a run at one moment."""

    id: str
    status: Status
    ahead: int  # runs before it that have not ended
    step: int
    steps: int  # 0 until the first frame
    elapsed: float  # seconds since it began to run
    seconds_left: float | None
    message: str  # why it failed, or why it could not be saved
    run: Run | None  # once it is finished
    version: int  # grows with every change
    # when the newest frame was made, by the worker's clock, seconds since the epoch; 0 before
    produced: float
    received: float  # when it arrived here


@dataclass
class Job:
    """A run that was submitted, or read from disk."""

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
    first: tuple[float, int] | None = None  # when the first frame was received, and its step
    ended: float = 0.0
    cancelled: float = 0.0  # when it was cancelled; it may not have ended yet
    message: str = ""
    run: Run | None = None
    version: int = 0
    produced: float = 0.0
    received: float = 0.0
    timing: tuple[tuple[float, float], ...] = ()  # expected, as `Run.timing`
    future: "Future | None" = None
    resubmitted: int = 0  # times

    @property
    def live(self) -> bool:
        """Whether it waits or runs."""
        return self.status in ("waiting", "running")


def expected_timing(slug: str, config: Config, root: "Path | None" = None) -> tuple[tuple[float, float], ...]:
    """How time passes over the steps of such a run, as `Run.timing`: of the newest saved
    run with these settings, else of the newest or the recorded one that differs in
    numbers alone, else of the recorded one; empty where none is known.
    """
    recorded = runs.recorded(slug)
    known = [run for run in (*runs.all_runs(root)[0], recorded) if run and run.slug == slug and run.timing]
    fixed = {name: value for name, value in config.model_dump().items() if isinstance(value, (str, bool))}
    same = (run for run in known if run.key == config.key())
    alike = (run for run in known if fixed.items() <= run.config.items())
    run = next(same, None) or next(alike, None) or recorded
    return run.timing if run else ()


def seconds_left(job: Job, now: float) -> float | None:
    """Time left by the timing of earlier runs, None before the second frame."""
    if job.status != "running" or job.first is None or job.step <= job.first[1]:
        return None
    shares = [step / job.steps for step in (job.first[1], job.step)]
    first, done = (worker.share_of_time(job.timing, share) for share in shares)
    if done <= first:  # no time at all, by a run too short to tell
        first, done = shares
    return max(0.0, (job.received - job.first[0]) / (done - first) * (1 - done) - (now - job.received))


def since_restart(frames: list[Any]) -> list[Any]:
    """The film from its last step that is not behind the one before: a run that lost
    its worker starts again from the beginning.
    """
    starts = [index for index in range(1, len(frames)) if frames[index].step < frames[index - 1].step]
    return frames[starts[-1] :] if starts else frames


def error_message(error: BaseException | None) -> str:
    """An error in one sentence for the reader: an idea's own, or its type."""
    from distributed.scheduler import KilledWorker

    if error is None or isinstance(error, KilledWorker):
        return WORKER_LOST.format(memory=os.environ.get("MLCV_WORKER_MEMORY", worker.MEMORY))
    if isinstance(error, MemoryError):
        return "The run needed more memory than its worker has; make it smaller and start again."
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, ArithmeticError)) and text:
        return text
    return (
        f"The run stopped with an unexpected error ({type(error).__name__}: {text}). Start again; if it"
        " recurs, the server's log has the traceback."
    )
