"""How fast a painted stroke becomes a picture at the server.

    python -m bench.painting

Measured from outside over the websocket: the canvas's message → the network's picture
on its way, and → the script's end, with the training picture of the nearest mask, the
fills and five samples. Every message holds another mask, so nothing of it is kept from
before.
"""

import json
import os
import statistics
import sys
import tempfile
import time

import numpy as np

from bench._session import Session
from bench.serving import ROOT, first_session, percentile, serving, wait_ready
from mlcv_explore.ideas.inverted_unet import painting
from mlcv_explore.ideas.inverted_unet.worlds import REGIONS

PAGE = "inverted_unet"
RUNGS = ("class", "thumbnail")
STROKES, FIRST = 60, 5  # messages that count, and those before
PAUSE = 0.1  # seconds between two messages of a canvas
TARGET = 0.1  # seconds to the picture, 95th percentile


def strokes(count: int) -> list[str]:
    """The masks of a circle dragged over a scene, as the canvas sends them."""
    regions, sent = painting.presets().regions[0].copy(), []
    rows, columns = np.indices(regions.shape)
    for step in range(count):
        row, column = 16 + 12 * np.sin(step / 3), 16 + 12 * np.cos(step / 5)
        regions = painting.presets().regions[0].copy()
        regions[(rows - row) ** 2 + (columns - column) ** 2 <= (4 + step % 5) ** 2] = REGIONS.index("circle")
        sent.append("scene 1:" + "".join(map(str, regions.ravel())))
    return sent


def paint(session: Session) -> dict[str, float]:
    """Paint, message after message; seconds."""
    shown, ended = [], []
    for place, text in enumerate(strokes(FIRST + STROKES)):
        took = session.move(f"{PAGE}-canvas", {"painted": text})
        if place >= FIRST:
            shown.append(session.shown)
            ended.append(took)
        time.sleep(PAUSE)
    times = {"picture p50": statistics.median(shown), "picture p95": percentile(shown, 0.95)}
    return times | {"all p50": statistics.median(ended), "all p95": percentile(ended, 0.95)}


def main() -> None:
    """Measure and print one JSON object."""
    report: dict[str, object] = {"load before": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as home, serving(ROOT / "app.py", home) as (port, _, _):
        first_session(port).close()
        wait_ready(port)
        for rung in RUNGS:
            session = first_session(port, PAGE, f"{PAGE}-rung={rung}")
            times = paint(session)
            report[f"stroke → picture at the rung {rung}, s"] = times
            report[f"ratio to the target of {TARGET:g} s, {rung}"] = times["picture p95"] / TARGET
            session.close()
    report["load after"] = os.getloadavg()[0]
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
