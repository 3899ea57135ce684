"""How fast the server is: start against an empty app, slider to image, memory, frame
to page.

    python -m bench.serving [--repeats 7]

Every number is measured from outside over the websocket, medians (or 95th percentiles
where stated), with the load average. The baseline of the start is a Streamlit app of
one line; the same line with `import torch` is measured beside it.
"""

import argparse
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench._session import Session

ROOT = Path(__file__).parent.parent
PAGE = "label_noise"
VISITORS = 8
MOVES = 60  # slider moves a visitor
DONE = "Interim analysis"  # shown under a finished run
SHOWN = re.compile(r"Step (\d+) of")  # the progress bar of a run under way
# seconds between two moves of one visitor, give or take half: a hand does not move a slider faster
PAUSE = 0.3


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(
    script: Path, home: str, cwd: Path = ROOT, *more: str
) -> Iterator[tuple[int, subprocess.Popen, float]]:
    """A Streamlit server in its own process, with `more` flags: (port, process, when it
    was started).
    """
    port = free_port()
    flags = [
        "--server.headless=true",
        f"--server.port={port}",
        "--server.fileWatcherType=none",
        "--browser.gatherUsageStats=false",
        *more,
    ]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *flags]
    with open(os.path.join(home, f"server-{port}.log"), "w") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, stdout=log, stderr=log, env={**os.environ, "MLCV_HOME": home}
        )
        try:
            yield port, process, start
        finally:
            process.terminate()
            process.wait(20)


def first_session(port: int, page: str = "", query: str = "") -> Session:
    """The first session that gets through, opened; polled every 5 ms."""
    for _ in range(6000):
        try:
            session = Session(port, page, query)
            session.open()
            return session
        except OSError:
            time.sleep(0.005)
    raise TimeoutError("the server never answered")


def start_seconds(script: Path, home: str, cwd: Path) -> float:
    """Process start → the first page's script has finished."""
    with serving(script, home, cwd) as (port, _, start):
        session = first_session(port)
        took = time.perf_counter() - start
        session.close()
        return took


def starts(repeats: int) -> dict[str, float]:
    """Medians of the three starts, alternating."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "empty.py").write_text("import streamlit as st; st.write('hello')\n")
        (place / "with_torch.py").write_text("import torch, streamlit as st; st.write('hello')\n")
        rows: dict[str, list[float]] = {"empty app": [], "empty app + import torch": [], "home": []}
        for _ in range(repeats + 1):
            rows["empty app"].append(start_seconds(place / "empty.py", folder, place))
            rows["empty app + import torch"].append(start_seconds(place / "with_torch.py", folder, place))
            rows["home"].append(start_seconds(ROOT / "app.py", folder, ROOT))
        # the first warms the disk
        return {name: statistics.median(values[1:]) for name, values in rows.items()}


def wait_ready(port: int) -> None:
    """Until the warm-up is over."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/api/ready", timeout=5).status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the server never got ready")


def moves(session: Session, times: list[float], count: int = MOVES, offset: int = 0) -> None:
    """Move the Play act's epoch slider `count` times, not in step with other visitors."""
    hand = random.Random(offset)
    for move in range(count):
        times.append(session.move(f"{PAGE}-epoch", float((7 * move + 13 * offset) % 100 + 1)))
        time.sleep(hand.uniform(0.5, 1.5) * PAUSE)


def start_training(session: Session, limit: float = 60.0) -> None:
    """Press Train and wait for the first frame. Raises TimeoutError when none comes."""
    session.move(f"{PAGE}-train", True)
    deadline = time.monotonic() + limit
    while not SHOWN.search(session.text):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no frame within {limit:g} s")
        time.sleep(session.interval)
        session.tick()


def percentile(values: list[float], share: float) -> float:
    """The `share` quantile, nearest rank."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def sliders(port: int) -> dict[str, float]:
    """95th percentile of slider → script finished: one visitor, then eight with a
    training run going.
    """
    alone: list[float] = []
    session = first_session(port, PAGE)
    moves(session, [], 10)
    moves(session, alone)
    trainer = first_session(port, PAGE, f"{PAGE}-act=Train&{PAGE}-epochs=400")
    start_training(trainer)
    crowd: list[float] = []
    sessions = [first_session(port, PAGE) for _ in range(VISITORS)]
    threads = [
        threading.Thread(target=moves, args=(visitor, crowd, MOVES, index))
        for index, visitor in enumerate(sessions)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):  # a ninth visitor watches the run
        trainer.tick()
        time.sleep(trainer.interval)
    for thread in threads:
        thread.join()
    if not SHOWN.search(trainer.text):
        raise RuntimeError("the training run did not go on all the while")
    trainer.move(f"{PAGE}-cancel", True)
    for visitor in (session, trainer, *sessions):
        visitor.close()
    return {
        "1 visitor p50": statistics.median(alone),
        "1 visitor p95": percentile(alone, 0.95),
        "8 visitors, training, p50": statistics.median(crowd),
        "8 visitors, training, p95": percentile(crowd, 0.95),
    }


def memory(port: int, process: subprocess.Popen) -> dict[str, float]:
    """Resident megabytes after 20 slider moves, and after 200 and 20 finished runs."""
    server = psutil.Process(process.pid)
    session = first_session(port, PAGE)
    for move in range(200):
        session.move(f"{PAGE}-epoch", float(move % 100 + 1))
        time.sleep(0.02)
        if move == 19:
            early = server.memory_info().rss / 1e6
    for run in range(20):
        trainer = first_session(
            port, PAGE, f"{PAGE}-act=Train&{PAGE}-seeds=2&{PAGE}-epochs=20&{PAGE}-first_seed={100 * run}"
        )
        trainer.move(f"{PAGE}-train", True)
        deadline = time.monotonic() + 120
        while DONE not in trainer.text:
            if time.monotonic() > deadline:
                raise TimeoutError("a run of 20 epochs did not end")
            time.sleep(0.25)
            trainer.again()
        trainer.close()
    late = server.memory_info().rss / 1e6
    session.close()
    return {"MB after 20 moves": early, "MB after 200 moves and 20 runs": late, "ratio": late / early}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    report: dict[str, object] = {"load before": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    start = starts(arguments.repeats)
    report["start, s"] = start
    report["start, ratio home / empty app (target 1.5)"] = start["home"] / start["empty app"]
    with tempfile.TemporaryDirectory() as home, serving(ROOT / "app.py", home) as (port, process, _):
        first_session(port).close()
        wait_ready(port)
        report["slider → script finished, s (targets p95 0.060 and 0.150)"] = sliders(port)
        report["memory of the server (target ratio 1.1)"] = memory(port, process)
    report["load after"] = os.getloadavg()[0]
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
