"""How fast a painted stroke becomes an image at the server.

    python -m bench.inverted_unet

Measured from outside over the websocket: the canvas's message → the network's image
on its way, and → the script's end, with the training image of the nearest mask, the
region means and five samples. Every message holds another mask, so no cache helps.
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
from mlcv_explore.data.masked_images import SCENE_REGIONS
from mlcv_explore.ideas.inverted_unet import inference

PAGE = "inverted_unet"
LEVELS = ("class", "thumbnail")
STROKES, FIRST = 60, 5  # messages that count, and those before
PAUSE = 0.1  # seconds between two messages of a canvas
TARGET = 0.1  # seconds to the image, 95th percentile


def strokes(count: int) -> list[str]:
    """The masks of a circle dragged over a scene, as the canvas sends them."""
    regions, sent = inference.examples().regions[0].copy(), []
    rows, columns = np.indices(regions.shape)
    for step in range(count):
        row, column = 16 + 12 * np.sin(step / 3), 16 + 12 * np.cos(step / 5)
        regions = inference.examples().regions[0].copy()
        regions[(rows - row) ** 2 + (columns - column) ** 2 <= (4 + step % 5) ** 2] = SCENE_REGIONS.index(
            "circle"
        )
        sent.append("scene 1:" + "".join(map(str, regions.ravel())))
    return sent


def paint(session: Session) -> dict[str, float]:
    """Paint, message after message; seconds."""
    shown, ended = [], []
    for place, text in enumerate(strokes(FIRST + STROKES)):
        took = session.move(f"{PAGE}-canvas", {"painted": text})
        if place >= FIRST:
            shown.append(session.images[0])
            ended.append(took)
        time.sleep(PAUSE)
    times = {"image p50": statistics.median(shown), "image p95": percentile(shown, 0.95)}
    return times | {"all p50": statistics.median(ended), "all p95": percentile(ended, 0.95)}


def main() -> None:
    """Measure and print one JSON object."""
    report: dict[str, object] = {"load before": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as home, serving(ROOT / "app.py", home) as (port, _, _):
        first_session(port).close()
        wait_ready(port)
        for level in LEVELS:
            session = first_session(port, PAGE, f"{PAGE}-level={level}")
            times = paint(session)
            report[f"stroke → image at the level {level}, s"] = times
            report[f"ratio to the target of {TARGET:g} s, {level}"] = times["image p95"] / TARGET
            session.close()
    report["load after"] = os.getloadavg()[0]
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
