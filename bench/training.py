"""The default label-noise run as a worker does it: ten seeds, all arms, evaluation and frames, one thread.

    python -m bench.training [--repeats 3]

Seconds from the first import of the run to its last frame, in a fresh process each time; the median counts.
"""

import argparse
import os
import statistics
import subprocess
import sys

TARGET = 20.0  # seconds, of the median
ONCE = """
import time
import torch
torch.set_num_threads(1)
from mlcv_explore import idea
start, used = time.perf_counter(), time.process_time()
subject = idea.load("label_noise")
film = list(subject.run(subject.config(), range(10)))
print(time.perf_counter() - start, time.process_time() - used, len(film), *(subject.metrics(subject.config(), film)[f"{arm}_accuracy"].mean()
      for arm in ("plain", "noisy", "clean")))
"""


def main() -> None:
    """Print every run and the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    seconds = []
    for _ in range(parser.parse_args().repeats):
        load = os.getloadavg()[0]
        command = [sys.executable, "-c", ONCE]
        told = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}).stdout.split()
        seconds.append(float(told[0]))
        accuracies = ", ".join(f"{arm} {float(value):.1%}" for arm, value in zip(("plain", "noisy", "clean"), told[3:], strict=True))
        print(
            f"{float(told[0]):.1f} s ({float(told[1]):.1f} s of processor), {told[2]} frames, {accuracies}, load {load:.1f} on {os.cpu_count()} cores"
        )
    median = statistics.median(seconds)
    print(f"median {median:.1f} s, target {TARGET:.0f} s: {'met' if median <= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main()
