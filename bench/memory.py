"""How much memory the server has: after a tour of all pages and acts, and with four
visitors who upload a 12-megapixel photograph at once.

    python -m bench.memory

Measured from outside over the websocket, resident memory of the server's process alone
(its workers are other processes), with the ImageNet network loaded by its warm-up.
"""

import json
import os
import sys
import threading
import time

import psutil

from bench._session import Session
from bench.uploads import UPLOADER, peak, photographs_in_jpeg, ready_app, visitor
from mlcv_explore import idea
from mlcv_explore.ui.page import ACTS
from mlcv_explore.ui.server import TIDY

TOUR, CROWD = 700, 1000  # targets, MB
VISITORS = 4


def resident(process_id: int) -> float:
    """Megabytes once the server has had time to give back what pages have freed."""
    time.sleep(2 * TIDY)
    return psutil.Process(process_id).memory_info().rss / 1e6


def tour(port: int, process_id: int) -> dict[str, float]:
    """Open home, the saved runs and every act of every idea one after another; megabytes
    after each page.
    """
    after = {"home": resident(process_id)}
    for page in ("runs", *(card.slug for card in idea.cards())):
        for act in ACTS if page != "runs" else ("",):
            Session(port, page, f"{page}-act={act}" if act else "").open()
        after[page] = resident(process_id)
    return after


def crowd(port: int, photographs: list[bytes]) -> None:
    """As many visitors as photographs, who all upload at once and wait for their maps."""
    start = threading.Barrier(len(photographs))

    def explain(number: int) -> None:
        own = visitor(port)
        start.wait()
        own.upload(UPLOADER, f"{number}.jpg", photographs[number])
        own.close()

    threads = [threading.Thread(target=explain, args=(number,)) for number in range(len(photographs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Measure and print one JSON object."""
    report: dict[str, object] = {"load before": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    with ready_app() as (port, process_id):
        report["peak of start and warm-up, MB"] = peak(process_id)
        pages = tour(port, process_id)
        report["after each page of a tour, MB"] = {name: round(value) for name, value in pages.items()}
        report[f"after the tour, MB (target {TOUR})"] = list(pages.values())[-1]
        report["peak of the tour, MB"] = peak(process_id)
        crowd(port, photographs_in_jpeg(VISITORS))
        report[f"peak with {VISITORS} uploads at once, MB (target {CROWD})"] = peak(process_id)
        report["after them, MB"] = resident(process_id)
    report["load after"] = os.getloadavg()[0]
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
