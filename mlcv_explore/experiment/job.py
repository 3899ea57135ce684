"""What is known of one run under way or ended, and how it is told to its reader."""

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
class Job:
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
    pace: tuple[float, ...] = ()
    future: "Future | None" = None
    returned: int = 0

    @property
    def live(self) -> bool:
        return self.status in ("waiting", "running")


def pace_of(slug: str, config: Config, root: "Path | None" = None) -> tuple[float, ...]:
    """How time passes over the steps of such a run, as `Run.pace`: of the newest kept run
    with these settings, else of the recorded one; empty where neither is known.
    """
    kept = (run for run in runs.all_runs(root)[0] if run.slug == slug and run.pace)
    same = next((run for run in kept if run.key == config.key()), None)
    recorded = same or runs.recorded(slug)
    return recorded.pace if recorded else ()


def seconds_left(job: Job, now: float) -> float | None:
    """Time left by the pace of earlier runs, None before the second frame."""
    if job.status != "running" or job.first is None or job.step <= job.first[1]:
        return None
    first, done = (worker.share_of_time(job.pace, step / job.steps) for step in (job.first[1], job.step))
    if done <= first:
        return None
    return max(0.0, (job.received - job.first[0]) / (done - first) * (1 - done) - (now - job.received))


def since_it_went_back(frames: list[Any]) -> list[Any]:
    """The film from its last step that is not behind the one before: what came earlier
    belongs to a beginning that was lost.
    """
    starts = [index for index in range(1, len(frames)) if frames[index].step < frames[index - 1].step]
    return frames[starts[-1] :] if starts else frames


def film_bytes(frames: list[Any]) -> int:
    """Of one frame times their number: the frames of a film are alike."""
    return (
        sum(getattr(value, "nbytes", 32) for value in vars(frames[-1]).values()) * len(frames)
        if frames
        else 0
    )


def sentence_of(error: BaseException | None) -> str:
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
