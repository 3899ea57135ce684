"""Coverage of 100,000 simulated lifetimes, and a slider's move on the forecast.

    python -m bench.copernican

Coverage: this package's arrays against a plain loop and against SciPy's
frozen distributions, medians of the thread's own time. The slider is measured from
outside over the websocket, move → the script's end, every move to another stop, so that
nothing is kept from before.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from bench._session import Session
from bench.serving import ROOT, first_session, percentile, serving, wait_ready
from mlcv_explore.ideas.copernican import intervals, lifetimes
from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics.lifetimes import LOG_STD

COUNT, LEVEL, TURNS = 100_000, 0.95, 9
PAGE = "copernican"
MOVES, FIRST, PAUSE = 80, 5, 0.1  # moves that count, those before, seconds between two
COVERAGE_TARGET, MOVE_TARGET = 0.2, 0.05  # seconds


def ours() -> float:
    """Coverage of log-normal lifetimes, by arrays."""
    return float(
        lifetimes.coverage("lognormal", "time", np.array([LEVEL]), COUNT, numpy_stream(0, "bench"))[0]
    )


def looped() -> float:
    """The same one by one, in plain Python."""
    import random

    rng, covered = random.Random(0), 0
    low, high = 1 / intervals.factor(LEVEL), intervals.factor(LEVEL)
    for _ in range(COUNT):
        life = rng.lognormvariate(-(LOG_STD**2) / 2, LOG_STD)
        past = rng.random() * life
        covered += low * past <= life - past <= high * past
    return covered / COUNT


def by_scipy() -> float:
    """The same with SciPy's distributions in place of NumPy's generator."""
    rng = np.random.default_rng(0)
    life = stats.lognorm(LOG_STD, scale=np.exp(-(LOG_STD**2) / 2)).rvs(COUNT, random_state=rng)
    past = stats.uniform(0, life).rvs(COUNT, random_state=rng)
    return float(intervals.covers(past, life - past, LEVEL).mean())


def drag(session: Session) -> list[float]:
    """Move the stop; seconds of each move."""
    took = []
    for move in range(FIRST + MOVES):
        seconds = session.move(f"{PAGE}-stop", 5 + move % 90)
        if move >= FIRST:
            took.append(seconds)
        time.sleep(PAUSE)
    return took


def main() -> None:
    """Print every median, the ratios and the moves."""
    measured: dict[str, Callable[[], float]] = {
        "arrays, this package": ours,
        "SciPy's distributions": by_scipy,
        "a loop in Python": looped,
    }
    seconds_of: dict[str, list[float]] = {name: [] for name in measured}
    shares: dict[str, float] = {}
    for _ in range(TURNS):
        for name, make in measured.items():
            started = time.thread_time()
            shares[name] = make()
            seconds_of[name].append(time.thread_time() - started)
    medians = {name: statistics.median(values) for name, values in seconds_of.items()}
    for name, seconds in medians.items():
        print(f"{name:28}{1000 * seconds:9.2f} ms   covers {shares[name]:.4f}")
    own = medians["arrays, this package"]
    for name, seconds in medians.items():
        print(f"{name} ÷ arrays: {seconds / own:.1f}")
    print(f"100,000 lifetimes: {1000 * own:.1f} ms (target ≤ {1000 * COVERAGE_TARGET:.0f} ms)")
    with tempfile.TemporaryDirectory() as home, serving(ROOT / "app.py", home) as (port, _, _):
        first_session(port).close()
        wait_ready(port)
        session = first_session(port, PAGE)
        took = drag(session)
        session.close()
    p50, p95 = (1000 * value for value in (statistics.median(took), percentile(took, 0.95)))
    print(f"a move of the stop: p50 {p50:.1f} ms, p95 {p95:.1f} ms (target ≤ {1000 * MOVE_TARGET:.0f} ms)")
    print(f"load {os.getloadavg()[0]:.2f}, {len(os.sched_getaffinity(0))} cores")


if __name__ == "__main__":
    main()
