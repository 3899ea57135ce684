"""The worker side of a run, and `python -m mlcv_explore.experiment.worker`: a cluster
of this machine's own, as one process beside the server.

Never imports Streamlit: its workers would run the page again.
"""

import argparse
import bisect
import importlib
import json
import logging
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mlcv_explore import idea
from mlcv_explore.experiment import film, fingerprint

if TYPE_CHECKING:
    from distributed import Worker

TOPIC = "mlcv-explore"
CADENCE = 0.25  # seconds between two events of a run: four a second
EVENT_BYTES = 64_000  # of film in one event
MEMORY = "2GiB"  # of one worker: four times what torch and the largest run on bundled data take together
NICE = 10  # a server beside the workers answers first
SETTINGS = {
    # a run that took its worker with it is not tried on the others
    "distributed.scheduler.allowed-failures": 0,
    "distributed.worker.profile.enabled": False,
    # Nothing is worth spilling, and a worker that pauses at 80 % never takes a run again: one that
    # grows too large is restarted instead
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    # events of 64 kB each would otherwise be kept by the thousand
    "distributed.admin.low-level-log-length": 100,
    # dask would have every freed tensor returned to the system at once, and its pages cleared
    # anew for the next
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_TRIM_THRESHOLD_": None,
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "NUMBA_NUM_THREADS": 1,
    },
}

_stopped: OrderedDict[str, None] = OrderedDict()  # attempts that were cancelled; read between frames
_MOST_STOPPED = 1000
TIMING_ERROR = 0.005  # of a run's time
log = logging.getLogger(__name__)


def work(
    run_id: str, attempt: str, slug: str, values: dict[str, Any], seeds: Sequence[int]
) -> dict[str, Any]:
    """Pull a run to its end in a worker, sending its frames on the way; returns the
    film as npz bytes.

    A cancelled one returns {"cancelled": True}: the generator is closed between two
    frames. What an idea raises comes back as it is.
    """
    from distributed import get_worker

    worker, started, frames, times = get_worker(), time.time(), [], []
    about = {"run": run_id, "attempt": attempt}
    worker.log_event(
        TOPIC, {**about, "first": 0, "count": 0, "step": 0, "steps": 0, "film": b"", "produced": started}
    )
    try:
        subject = idea.load(slug)
        stage = subject.run(subject.config(**values), tuple(seeds))
        if "torch" in sys.modules:
            import torch  # waits where the warm-up of a new worker is still importing it

            torch.set_num_threads(1)
        with _EventSender(lambda event: worker.log_event(TOPIC, {**about, **event})) as sender:
            for frame in stage:
                frames.append(frame)
                times.append(time.time() - started)
                sender.send_soon(frame)
                if attempt in _stopped:
                    stage.close()
                    return {"cancelled": True}
    except (ValueError, ArithmeticError, MemoryError):  # a sentence for the reader
        raise
    except Exception:
        log.exception("The run of %s broke", slug)
        raise
    return {
        "film": film.pack(frames),
        "seconds": time.time() - started,
        "device": "cpu",
        "made_by": fingerprint.fingerprint(slug),
        "timing": timing([frame.step for frame in frames], times),
    }


def timing(steps: Sequence[int], times: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """How time passes over the steps of a run once its first frame is there: corners
    (share of the steps, share of the time) of a line from (·, 0) to (1, 1) that passes
    every frame within half a percent; empty for a run of one frame.
    """
    import numpy as np

    if not times or times[-1] <= times[0]:
        return ()
    done = np.asarray(steps) / steps[-1]
    passed = (np.asarray(times) - times[0]) / (times[-1] - times[0])  # imports come before the first
    corners, open_parts = {0, len(done) - 1}, [(0, len(done) - 1)]
    while open_parts:
        start, end = open_parts.pop()
        if done[start] == done[end]:
            continue
        line = np.interp(done[start : end + 1], done[[start, end]], passed[[start, end]])
        off = np.abs(passed[start : end + 1] - line)
        if off.max() > TIMING_ERROR:
            corner = start + int(off.argmax())
            corners.add(corner)
            open_parts += [(start, corner), (corner, end)]
    return tuple((round(float(done[at]), 4), round(float(passed[at]), 4)) for at in sorted(corners))


def share_of_time(timing: Sequence[tuple[float, float]], share_of_steps: float) -> float:
    """The share of a run's time spent at a share of its steps; the same where the
    timing is not known.
    """
    if not timing:
        return share_of_steps
    after = bisect.bisect_right(timing, share_of_steps, key=lambda corner: corner[0])
    if not 0 < after < len(timing):
        return timing[min(after, len(timing) - 1)][1]
    (step, time), (next_step, next_time) = timing[after - 1], timing[after]
    return time + (share_of_steps - step) / (next_step - step) * (next_time - time)


def stop(attempt: str) -> None:
    """Let this attempt end before its next frame. Run on every worker by the server; an
    attempt not here is not harmed.
    """
    _stopped[attempt] = None
    while len(_stopped) > _MOST_STOPPED:
        _stopped.popitem(last=False)


class _EventSender:
    """Sends frames in bundles at most four times a second, from a thread, so that a
    slow next frame does not hold back the last.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self.send = send
        self.waiting: list[tuple[int, Any, float]] = []  # (index, frame, when it was made)
        self.count = 0
        self.changed = threading.Condition()
        self.ended = False
        self.thread = threading.Thread(target=self._run, name="event sender", daemon=True)

    def __enter__(self) -> "_EventSender":
        self.thread.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        with self.changed:
            self.ended = True
            self.changed.notify()
        self.thread.join()
        if error and self.waiting:  # no result follows that would have them
            self.send(_event(self.waiting))

    def send_soon(self, frame: Any) -> None:
        """Have a frame sent within a quarter of a second."""
        with self.changed:
            self.waiting.append((self.count, frame, time.time()))
            self.count += 1
            self.changed.notify()

    def _run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting or self.ended)
                if self.ended:  # the whole film travels with the result
                    return
                bundle, self.waiting = self.waiting, []
            self.send(_event(bundle))
            with self.changed:
                self.changed.wait_for(lambda: self.ended, CADENCE)


def _event(bundle: list[tuple[int, Any, float]]) -> dict[str, Any]:
    """As many of the newest frames as fit one event; what is left out comes with the
    whole film.
    """
    index, newest, produced = bundle[-1]
    while bundle:
        packed = film.pack([frame for _, frame, _ in bundle])
        if len(packed) <= EVENT_BYTES:
            break
        bundle = bundle[(len(bundle) + 1) // 2 :]
    about = {"step": newest.step, "steps": newest.steps, "produced": produced, "count": len(bundle)}
    return {**about, "first": bundle[0][0] if bundle else index + 1, "film": packed if bundle else b""}


def dask_setup(worker: "Worker") -> None:
    """Called by dask in every worker as it starts, also in one that replaces a lost
    one: fetch what is slow meanwhile.
    """
    if hasattr(os, "nice"):
        os.nice(NICE)
    threading.Thread(target=_warm, name="warm-up", daemon=True).start()


def _warm() -> None:
    import torch

    torch.set_num_threads(1)
    weight = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.Adam([weight], fused=True)
    weight.sum().backward()
    optimiser.step()  # the first step of a process takes a second
    for card in idea.cards():
        try:
            idea.load(card.slug)
        except Exception:  # the run that needs it will report it to its reader
            log.exception("The idea %s could not be imported", card.slug)
    for name in ("sklearn.datasets", "mlcv_explore.models.stacked"):
        importlib.import_module(name)


def main() -> None:
    """A cluster on loopback until standard input ends: the parent has closed it, or is
    gone.
    """
    import dask
    from distributed import LocalCluster

    parser = argparse.ArgumentParser(
        prog="python -m mlcv_explore.experiment.worker", description=main.__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "--workers", type=int, default=max(1, len(_cores()) - 1), help="processes of one thread each"
    )
    workers = max(1, parser.parse_args().workers)
    dask.config.set(SETTINGS)
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # the parent reads one line and no more: what an idea prints would fill the pipe
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit=os.environ.get("MLCV_WORKER_MEMORY", MEMORY),
        silence_logs=logging.ERROR,
        preload=["mlcv_explore.experiment.worker"],
    )
    print(json.dumps({"address": cluster.scheduler_address, "workers": workers}), file=pipe, flush=True)
    sys.stdin.read()
    cluster.close(timeout=5)


def _cores() -> Sequence[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


if __name__ == "__main__":
    main()
