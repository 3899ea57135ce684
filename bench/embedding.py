"""New points on a fitted map: ours against UMAP's own `transform`, in a new process and
in one that runs, and how far apart the two put a point.

    python -m bench.embedding

One UMAP of digits' pixels, one of their leading components. Cold, each time in a
process of its own: what is imported and loaded, and the first call; UMAP once with the
pickled model, as an app would have it, and once right after it was fitted there, with
its compiler warm. Warm: both in one process take turns, every call with other points.
Distances are shares of the map's width, over images that were held out.
"""

import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.serving import ROOT
from mlcv_explore import data
from mlcv_explore.metrics.embedding_map import UMAP_NEIGHBOURS, FittedMap, errors
from mlcv_explore.metrics.linear_probe import principal_components
from mlcv_explore.seeds import stream_seed

TRAIN, HELD_OUT = 1300, 400
COMPONENTS = 32
COUNTS = (1, 100)  # points placed at once
CALLS = 25
TARGETS = {
    "cold, UMAP : ours": 50,
    "warm at 100 points, UMAP : ours": 2,
    "median": 0.01,
    "90th percentile": 0.03,
}

OURS = """
import time, json
started = time.perf_counter()
import numpy as np
from mlcv_explore.metrics.embedding_map import FittedMap
held = np.load("held.npy")
fitted = FittedMap(np.load("features.npy"), np.load("coordinates.npy"))
ready = time.perf_counter()
fitted.transform(held[:{count}])
print(json.dumps([ready - started, time.perf_counter() - ready]))
"""
PICKLED = """
import time, json, pickle
started = time.perf_counter()
import numpy as np
import umap
held = np.load("held.npy")
with open("umap.pickle", "rb") as file:
    reducer = pickle.load(file)
ready = time.perf_counter()
reducer.transform(held[:{count}])
print(json.dumps([ready - started, time.perf_counter() - ready]))
"""
FITTED = """
import time, json, pickle
started = time.perf_counter()
import numpy as np
import umap
imported = time.perf_counter() - started
held, features = np.load("held.npy"), np.load("features.npy")
with open("settings.json") as file:
    reducer = umap.UMAP(**json.load(file)).fit(features)
ready = time.perf_counter()
reducer.transform(held[:{count}])
print(json.dumps([imported, time.perf_counter() - ready]))
"""
# with their number of processes
SCRIPTS = {"ours": (OURS, 3), "UMAP, pickled": (PICKLED, 3), "UMAP, fitted there": (FITTED, 1)}


def codes() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features of the map (n, d) and of the images held out (m, d), float32."""
    parts = data.split(data.load("digits"), TRAIN, 0, HELD_OUT, 0)
    fitted, held = (part.as_float().flatten(1).numpy() for part in (parts.train, parts.test))
    components = principal_components(fitted, COMPONENTS)
    return {
        "64 pixels": (fitted, held),
        f"{COMPONENTS} components": tuple(
            components.transform(pixels).astype(np.float32) for pixels in (fitted, held)
        ),
    }


def cold(folder: str, count: int) -> dict[str, dict[str, float]]:
    """Seconds of the first call in a process of its own, alone and with what has to be
    imported and loaded before; medians.
    """
    timings = {name: [] for name in SCRIPTS}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for turn in range(max(turns for _, turns in SCRIPTS.values())):
        for name, script in [(name, script) for name, (script, turns) in SCRIPTS.items() if turn < turns]:
            done = subprocess.run(
                [sys.executable, "-c", script.format(count=count)],
                cwd=folder,
                env=environment,
                capture_output=True,
                check=True,
            )
            timings[name].append(json.loads(done.stdout))
    return {
        name: {
            "first call, s": statistics.median(call for _, call in times),
            "with import, s": statistics.median(map(sum, times)),
        }
        for name, times in timings.items()
    }


def warm(
    ways: dict[str, Callable[[np.ndarray], np.ndarray]], held: np.ndarray, count: int
) -> dict[str, float]:
    """Median seconds a call; the ways take turns."""
    seconds = {name: [] for name in ways}
    for turn in range(CALLS + 1):
        points = np.roll(held, -turn * count, axis=0)[:count]
        for name, place in ways.items():
            start = time.perf_counter()
            place(points)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def quantiles(distances: np.ndarray) -> dict[str, float]:
    """Median and 90th percentile."""
    return {"median": float(np.median(distances)), "90th percentile": float(np.quantile(distances, 0.9))}


def measure(features: np.ndarray, held: np.ndarray) -> dict[str, object]:
    """Everything about one map."""
    import umap

    # as `embedding.fit` has them
    settings = {"n_neighbors": UMAP_NEIGHBOURS, "random_state": stream_seed(0, "map") % 2**32, "n_jobs": 1}
    reducer = umap.UMAP(**settings).fit(features)
    fitted = FittedMap(features, np.asarray(reducer.embedding_, dtype=np.float32))
    reference = reducer.transform(held)
    alone = np.concatenate([reducer.transform(one[None]) for one in held[:50]])
    apart = {
        "ours and transform": quantiles(errors(fitted.transform(held), reference, fitted.width)),
        "transform of a point alone and in company": quantiles(errors(alone, reference[:50], fitted.width)),
    }
    ways = {"ours": fitted.transform, "UMAP": reducer.transform}
    report: dict[str, object] = {"distance, share of the map's width": apart}
    with tempfile.TemporaryDirectory() as folder:
        for name, array in (("features", features), ("coordinates", fitted.coordinates), ("held", held)):
            np.save(Path(folder, f"{name}.npy"), array)
        Path(folder, "umap.pickle").write_bytes(pickle.dumps(reducer))
        Path(folder, "settings.json").write_text(json.dumps(settings))
        for count in COUNTS:
            first, later = cold(folder, count), warm(ways, held, count)
            ours, baselines = first.pop("ours"), first
            ratios = {
                f"{name}, {kind}": times[kind] / ours[kind]
                for name, times in baselines.items()
                for kind in ours
            }
            report[f"{count} at once"] = {
                "cold": {"ours": ours, **baselines},
                "cold, UMAP : ours": ratios,
                "warm, s": later,
                "warm, UMAP : ours": later["UMAP"] / later["ours"],
            }
    return report


def main() -> None:
    """Measure and print one JSON object."""
    report: dict[str, object] = {
        "load before": os.getloadavg()[0],
        "cores": len(os.sched_getaffinity(0)),
        "targets": TARGETS,
    }
    for name, (features, held) in codes().items():
        report[f"{len(features)} digits, {name}"] = measure(features, held)
    report["load after"] = os.getloadavg()[0]
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
