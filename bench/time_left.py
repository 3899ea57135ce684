"""How good "about … left" is: every idea's default run, and one with a setting changed.

    python -m bench.time_left [SLUG …]

A cluster of one worker trains what the Train act trains by default; the estimate is read
four times a second, as the page reads it. The error of a look is the larger of estimate
over truth and truth over estimate. Counted are looks after the first fifth of the run's
time with at least two seconds left; printed are the largest error, and the share of looks
within the target.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlcv_explore import idea
from mlcv_explore.experiment.jobs import Jobs

TARGET = 1.5  # factor
LEAST = 2.0  # seconds left below which nobody plans with the estimate
INTERVAL = 0.25  # seconds between two looks
RUNS: dict[str, tuple[int, Mapping[str, Any]]] = {  # seeds a page begins with, a setting changed
    "copernican": (10, {"curves": 4}),
    "feature_mixing": (10, {"labels": 20}),
    "freezing": (5, {"shift": "new_classes"}),
    "hierarchical_explanation": (3, {"dataset": "digits"}),
    "hierarchical_representation": (5, {"epochs": 80}),
    "inverted_unet": (3, {"detail": "binary"}),
    "label_noise": (10, {"epochs": 50}),
    "layer_attacks": (5, {"attacked": 20}),
    "learned_salience": (3, {"experiment": "order"}),
    "saliency": (5, {"epochs": 40}),
    "underspecification": (5, {"networks": 6}),
    "virtual_outliers": (5, {"epochs": 10}),
}


def looks(engine: Jobs, slug: str, settings: Mapping[str, Any], seeds: int) -> list[tuple[float, float]]:
    """Train once; (seconds since the start, estimate) of every look with an estimate,
    closed by (duration, 0).
    """
    config = idea.load(slug).config(**settings)
    run = engine.start(slug, config, range(seeds), "bench")
    read = []
    while (state := engine.state(run)).status in ("waiting", "running"):
        engine.watch(run, "bench")
        if state.status == "running" and state.seconds_left is not None:
            read.append((state.elapsed, state.seconds_left))
        time.sleep(INTERVAL)
    if state.status != "finished":
        raise SystemExit(f"{slug}: {state.status}: {state.message}")
    return [*read, (state.elapsed, 0.0)]


def errors(read: list[tuple[float, float]]) -> list[float]:
    """The error of every look that counts, factors of at least 1."""
    ended = read[-1][0]
    counted = [(ended - at, left) for at, left in read[:-1] if at >= ended / 5 and ended - at >= LEAST]
    return [max(true / max(left, 0.01), left / true) for true, left in counted]


def main() -> None:
    """Print one JSON object a run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help=f"of {', '.join(RUNS)}; default all")
    chosen = parser.parse_args().slugs or list(RUNS)
    missed = False
    with tempfile.TemporaryDirectory() as home:
        engine = Jobs(workers=1, root=Path(home))
        engine.warm()
        for slug in chosen:
            seeds, changed = RUNS[slug]
            for settings in ({}, changed):
                load = os.getloadavg()[0]
                read = looks(engine, slug, settings, seeds)
                off = errors(read)
                within = sum(ratio <= TARGET for ratio in off) / len(off) if off else 1.0
                missed |= within < 1
                report = {"slug": slug, "changed": settings, "seconds": round(read[-1][0], 1)}
                report |= {"looks": len(off), "largest": round(max(off, default=1.0), 2)}
                print(json.dumps(report | {"within": round(within, 3), "load": load}), flush=True)
        engine.close()
    sys.exit(missed)


if __name__ == "__main__":
    main()
