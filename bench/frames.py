"""How long a frame takes from the worker that made it to the page that shows it.

    python -m bench.frames

A cluster of one worker is started here, the server is pointed at it, and both clocks
are this machine's: the worker's own word of when a frame was made is heard beside the
server, and the page is asked as a browser asks it, once every polling interval. Median
over the frames the page showed.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from bench._session import Session
from bench.serving import PAGE, ROOT, SHOWN, first_session, serving, start_training, wait_ready

EPOCHS = 300  # far more frames than are looked at
LOOKS = 120
TARGET = 0.100  # seconds beyond the polling interval


def made(address: str, page: Session, looks: int) -> tuple[list[float], list[float], float]:
    """Ask a page with a run under way `looks` times: seconds from made to shown of
    every new frame, of each look alone, and the interval.
    """
    from distributed import Client

    from mlcv_explore.experiment import worker

    when: dict[int, float] = {}
    delays, took = [], []
    with Client(address, set_as_default=False, name="bench") as client:
        client.subscribe_topic(
            worker.TOPIC, lambda event: when.setdefault(event[1]["step"], event[1]["produced"])
        )
        interval = page.interval
        last = ""
        for _ in range(looks):
            started = time.perf_counter()
            took.append(page.tick())
            now = time.time()
            match = SHOWN.search(page.text)
            if match and match[1] != last and int(match[1]) in when:
                last = match[1]
                delays.append(now - when[int(last)])
            time.sleep(max(0.0, interval - (time.perf_counter() - started)))
    return delays, took, interval


def main() -> None:
    """Measure and print one JSON object."""
    report: dict[str, object] = {"load before": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    cluster = subprocess.Popen(
        [sys.executable, "-m", "mlcv_explore.experiment.worker", "--workers", "1"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = json.loads(cluster.stdout.readline())["address"]
        os.environ["MLCV_SCHEDULER"] = address
        with tempfile.TemporaryDirectory() as home, serving(ROOT / "app.py", home) as (port, _, _):
            first_session(port).close()
            wait_ready(port)
            page = first_session(port, PAGE, f"{PAGE}-act=Train&{PAGE}-epochs={EPOCHS}")
            start_training(page)
            delays, took, interval = made(address, page, LOOKS)
            page.move(f"{PAGE}-cancel", True)
            page.close()
    finally:
        cluster.stdin.close()
        cluster.wait(20)
    beyond = statistics.median(delays) - interval
    report |= {
        "frames shown": len(delays),
        "polling interval, s": interval,
        "made → shown, median, s": statistics.median(delays),
        "of it the page's own script, median, s": statistics.median(took),
        "beyond the polling interval, s (target 0.100)": beyond,
        "met": beyond <= TARGET,
        "load after": os.getloadavg()[0],
    }
    json.dump(report, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
