"""How fast a 12-megapixel upload is on the page, how soon its first map and all six are
there, how fast they answer to a slider, and what four visitors at once cost in memory.

    python -m bench.uploads

Measured from outside over HTTP and the websocket. Every upload is another image, so
nothing of it is kept from before.
"""

import io
import json
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from bench._session import Session
from bench.serving import ROOT, first_session, percentile, serving, wait_ready
from mlcv_explore.data.gallery import photographs

PAGE, UPLOADER = "saliency", "saliency-upload"
SIZE = (4000, 3000)
UPLOADS, VISITORS, EACH = 9, 4, 4
TURNS = 15  # of every control
# places among the images that an upload shows: itself, Sobel edges, which need no network, Grad-CAM, …
UPLOADED, FIRST_MAP, LAST_MAP = 0, 2, 6


def photographs_in_jpeg(count: int) -> list[bytes]:
    """JPEGs of 12 megapixels, each a photograph of the gallery enlarged, with a grain
    of its own.
    """
    known = list(photographs().values())
    files = []
    for index in range(count):
        pixels = np.asarray(
            Image.fromarray(known[index % len(known)].read().pixels).resize(SIZE, Image.Resampling.BICUBIC),
            dtype=np.int16,
        )
        grain = np.random.default_rng(index).normal(0, 4, (SIZE[1], SIZE[0], 1)).astype(np.int16)
        file = io.BytesIO()
        Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
        files.append(file.getvalue())
    return files


@contextmanager
def ready_app() -> Iterator[tuple[int, int]]:
    """The app in a process of its own, which accepts uploads from here, once its warm-up is
    over: its port and the process's id.
    """
    flags = ("--server.enableXsrfProtection=false", "--server.enableCORS=false")
    with (
        tempfile.TemporaryDirectory() as home,
        serving(ROOT / "app.py", home, ROOT, *flags) as (port, process, _),
    ):
        first_session(port).close()
        wait_ready(port)
        yield port, process.pid


def visitor(port: int) -> Session:
    """Somebody about to upload, with the methods a page opens with."""
    return first_session(port, PAGE, f"{PAGE}-source=Upload")


def moves(session: Session) -> list[float]:
    """Seconds of every turn of opacity, scale, sign and share of pixels removed; the
    first round is not counted.
    """
    times: list[float] = []
    for turn in range(TURNS + 1):
        for key, value in (
            ("overlay", 0.2 + 0.05 * turn),
            ("removed", 0.05 * (turn + 1)),
            ("scale", ("common", "own")[turn % 2]),
            ("signs", ("signed", "absolute")[turn % 2]),
        ):
            took = session.move(f"{PAGE}-{key}", value)
            if turn:
                times.append(took)
    return times


def peak(process_id: int) -> float:
    """The most memory the process ever had resident, in megabytes."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def main() -> None:
    """Measure and print one JSON object."""
    report: dict[str, object] = {"load before": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    with ready_app() as (port, process_id):
        taken = photographs_in_jpeg(UPLOADS + VISITORS * EACH)
        report["MB an image"] = statistics.median(len(image) for image in taken) / 1e6
        report["server before any upload, MB"] = peak(process_id)
        session = visitor(port)
        times = [
            session.upload(UPLOADER, f"{index}.jpg", image) for index, image in enumerate(taken[:UPLOADS])
        ][1:]
        for what, place in (("image", UPLOADED), ("first map", FIRST_MAP), ("six maps (target 4)", LAST_MAP)):
            report[f"upload → {what}, s, median"] = statistics.median(shown[place] for shown, _ in times)
        waited = [shown[FIRST_MAP] - shown[UPLOADED] for shown, _ in times]
        report["image → first map, s, median (target 0.3)"] = statistics.median(waited)
        report["upload → curves under the maps, s, median"] = statistics.median(whole for _, whole in times)
        turned = moves(session)
        report["opacity, scale, sign, removal, s, median"] = statistics.median(turned)
        report["opacity, scale, sign, removal, s, p95 (target 0.1)"] = percentile(turned, 0.95)
        session.close()

        def explain(index: int) -> None:
            own = visitor(port)
            for number, image in enumerate(taken[UPLOADS + index :: VISITORS]):
                own.upload(UPLOADER, f"{index}-{number}.jpg", image)
            own.close()

        threads = [threading.Thread(target=explain, args=(index,)) for index in range(VISITORS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report["peak of the server with four visitors, MB (target 1000)"] = peak(process_id)
    report["load after"] = os.getloadavg()[0]
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
