"""A training step with features mixed against one with pixels mixed, at equal batch;
and one move of the demo's λ.

    python -m bench.feature_mixing

Steps: the arm "both" at every depth and manifold mixup against input mixup by
torchvision, one seed and ten, medians of the thread's own time, taking turns. Mixing at
a depth encodes the partners too, which input mixup need not. The demo is measured from
outside over the websocket, move → the script's end, every move to another λ, on all
three data sets.
"""

import os
import statistics
import tempfile
import time

import torch

from bench._session import Session
from bench.serving import ROOT, first_session, percentile, serving, wait_ready
from mlcv_explore.ideas.feature_mixing import FeatureMixingConfig
from mlcv_explore.ideas.feature_mixing.training import ArmTrainer, load
from mlcv_explore.models.encoders import build_networks

TURNS = 60
PAGE = "feature_mixing"
MOVES, FIRST, PAUSE = 60, 5, 0.1  # moves that count, those before, seconds between two
TARGET = 0.1  # seconds


def steps(seeds: range) -> None:
    """Print the median of a step of every arm, and its ratio to input mixup."""
    config = FeatureMixingConfig(dataset="digits")
    dataset = load(config, seeds)
    chosen = {
        "input mixup": ("input_mixup", config),
        "manifold mixup": ("manifold", config),
        "plain": ("plain", config),
    }
    chosen |= {f"both, depth {depth}": ("both", config.replace(depth=depth)) for depth in range(4)}
    chosen |= {"both, five images": ("both", config.replace(images=5))}
    arms, batches = {}, {}
    for name, (arm, settings) in chosen.items():
        shape = dataset.images["train"].shape[1:]
        networks = build_networks("dense", shape, config.width, dataset.classes, seeds)
        arms[name] = ArmTrainer(arm, settings, networks, seeds)
        batches[name] = dataset.batches(seeds, settings.batch_size, settings.images - 1)
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(TURNS):
        for name, arm in arms.items():
            batch = next(batches[name])
            started = time.thread_time()
            arm.step(batch)
            seconds[name].append(time.thread_time() - started)
    medians = {name: 1000 * statistics.median(values) for name, values in seconds.items()}
    for name, milliseconds in medians.items():
        print(
            f"{len(seeds):3} seeds  {name:20}{milliseconds:8.2f} ms a step  "
            f" {milliseconds / medians['input mixup']:6.2f} × input mixup"
        )


def drag(session: Session, control: str) -> list[float]:
    """Move λ, or the second photograph's share; seconds of each move."""
    step, count, stride = (0.05, 40, 7) if control == "weight" else (0.1, 10, 3)
    took = []
    for move in range(FIRST + MOVES):
        seconds = session.move(f"{PAGE}-{control}", round(step * (1 + stride * move % count), 2))
        if move >= FIRST:
            took.append(seconds)
        time.sleep(PAUSE)
    return took


def main() -> None:
    """Print every median, the ratios and the moves."""
    torch.set_num_threads(1)
    for count in (1, 10):
        steps(range(count))
    with tempfile.TemporaryDirectory() as home, serving(ROOT / "app.py", home) as (port, _, _):
        first_session(port).close()
        wait_ready(port)
        for shown, moved in (("Scenes", "weight"), ("Digits", "weight"), ("Photographs", "share")):
            session = first_session(port, PAGE, f"{PAGE}-data={shown}")
            took = drag(session, moved)
            session.close()
            p50, p95 = (1000 * value for value in (statistics.median(took), percentile(took, 0.95)))
            print(
                f"a move of λ, {shown.lower()}: p50 {p50:.1f} ms, p95 {p95:.1f} ms (target ≤"
                f" {1000 * TARGET:.0f} ms)"
            )
    print(f"load {os.getloadavg()[0]:.2f}, {len(os.sched_getaffinity(0))} cores")


if __name__ == "__main__":
    main()
