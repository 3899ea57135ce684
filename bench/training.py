"""Default trainings as a worker does them: all arms, evaluation and frames, one thread.

python -m bench.training [SLUG] [--repeats 1]

Seconds from the first import of the run to its last frame, in a fresh process each
time; the median counts. Label noise trains ten seeds, the others the three seeds that
their pages begin with.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Training:
    """One of them, with the seconds it may take and a measure that shows it was no toy."""

    slug: str
    seeds: int
    target: float
    reported: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)


TRAININGS = (
    Training("label_noise", 10, 20.0, ("plain_accuracy", "noisy_accuracy", "clean_accuracy")),
    Training("learned_salience", 3, 180.0, ("classifier_accuracy", "learned_faithful", "gradcam_faithful")),
    Training(
        "learned_salience",
        3,
        180.0,
        ("classify_only_swapped", "segment_first_swapped", "parallel_iou"),
        {"experiment": "order"},
    ),
    Training("inverted_unet", 3, 180.0, ("unet_explained", "region_explained")),
)
ONCE = """
import json, sys, time
import torch
torch.set_num_threads(1)
from mlcv_explore import idea
slug, seeds, settings = json.loads(sys.argv[1])
start, used = time.perf_counter(), time.process_time()
subject = idea.load(slug)
config = subject.config(**settings)
film = list(subject.run(config, range(seeds)))
took = time.perf_counter() - start, time.process_time() - used
means = {name: float(values.mean()) for name, values in subject.metrics(config, film).items()}
print(json.dumps([*took, len(film), means]))
"""


def main() -> None:
    """Print every run and its median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slug", nargs="?", choices=sorted({training.slug for training in TRAININGS}))
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    for training in TRAININGS:
        if options.slug in (None, training.slug):
            measure(training, options.repeats)


def measure(training: Training, repeats: int) -> None:
    """Run one of them so often, print each time and the median against its target."""
    seconds = []
    for _ in range(repeats):
        load = os.getloadavg()[0]
        command = [sys.executable, "-c", ONCE, json.dumps([training.slug, training.seeds, training.settings])]
        output = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        ).stdout
        took, used, frames, metrics = json.loads(output.splitlines()[-1])
        seconds.append(took)
        measured = ", ".join(f"{name.replace('_', ' ')} {metrics[name]:.3f}" for name in training.reported)
        print(
            f"{took:.1f} s ({used:.1f} s of processor), {frames} frames, {measured}, load {load:.1f} on"
            f" {os.cpu_count()} cores",
            flush=True,
        )
    median, name = statistics.median(seconds), " ".join([training.slug, *training.settings.values()])
    verdict = "met" if median <= training.target else "MISSED"
    print(
        f"{name}, {training.seeds} seeds: median {median:.1f} s, target {training.target:.0f} s: {verdict}",
        flush=True,
    )


if __name__ == "__main__":
    main()
