"""Seeds trained as one stack against a plain PyTorch loop over the seeds, and against
torch.func.vmap.

`python -m bench.stacking`. Ten seeds on 1,000 digits, 64-W-W-10, batches of 64, one
thread. All three have the fused Adam, the same start, batches and targets; they take
turns, and the median of the turns is printed.
"""

import copy
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.models.losses import soft_cross_entropy
from mlcv_explore.models.stacked import StackedDense, gradient_step
from mlcv_explore.seeds import seeded, stream

SEEDS, IMAGES, BATCH, CLASSES, EPOCHS, TURNS = range(10), 1000, 64, 10, 3, 7
TARGETS = {64: 3.0, 128: 2.0, 256: 1.0}  # times faster than the loop

Epoch = Callable[[torch.Tensor], torch.Tensor]  # order of the images (S, n) → losses of the last batch (S,)


def stacked(sizes: tuple[int, ...], images: torch.Tensor, labels: torch.Tensor) -> Epoch:
    """This project's way, as the label-noise run does it: targets may be noisy, so the
    loss takes a whole distribution.
    """
    stack = StackedDense(sizes, SEEDS)
    optimiser = torch.optim.Adam(stack.parameters(), lr=0.003, fused=True)
    one_hot = functional.one_hot(labels, CLASSES).float()

    def epoch(order: torch.Tensor) -> torch.Tensor:
        for chosen in order.split(BATCH, dim=1):
            loss = soft_cross_entropy(stack(images[chosen]), one_hot[chosen]).mean(1)
            gradient_step(optimiser, loss.sum())
        return loss.detach()

    return epoch


def loop(sizes: tuple[int, ...], images: torch.Tensor, labels: torch.Tensor) -> Epoch:
    """What one writes first: a network, an optimiser and a cross-entropy a seed, one
    seed after the other.
    """
    networks = [network(sizes, seed) for seed in SEEDS]
    optimisers = [torch.optim.Adam(one.parameters(), lr=0.003, fused=True) for one in networks]

    def epoch(order: torch.Tensor) -> torch.Tensor:
        last = []
        for one, optimiser, own in zip(networks, optimisers, order, strict=True):
            for chosen in own.split(BATCH):
                loss = functional.cross_entropy(one(images[chosen]), labels[chosen])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
            last.append(loss.detach())
        return torch.stack(last)

    return epoch


def mapped(sizes: tuple[int, ...], images: torch.Tensor, labels: torch.Tensor) -> Epoch:
    """PyTorch's own way for ensembles of equal networks: functional_call under
    torch.func.vmap.
    """
    networks = [network(sizes, seed) for seed in SEEDS]
    parameters, buffers = torch.func.stack_module_state(networks)
    skeleton = copy.deepcopy(networks[0]).to("meta")
    optimiser = torch.optim.Adam(parameters.values(), lr=0.003, fused=True)
    forward = torch.func.vmap(lambda state, batch: torch.func.functional_call(skeleton, state, (batch,)))

    def epoch(order: torch.Tensor) -> torch.Tensor:
        for chosen in order.split(BATCH, dim=1):
            logits = forward((parameters, buffers), images[chosen])
            loss = functional.cross_entropy(logits.transpose(1, 2), labels[chosen], reduction="none").mean(1)
            gradient_step(optimiser, loss.sum())
        return loss.detach()

    return epoch


def network(sizes: tuple[int, ...], seed: int) -> nn.Sequential:
    """The network whose copy a stack holds for this seed."""
    layers = seeded(seed, lambda: [nn.Linear(one, other) for one, other in itertools.pairwise(sizes)])
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())][:-1])


def measure(width: int) -> dict[str, float]:
    """Median seconds an epoch of every way, taking turns."""
    digits = data.split(data.load("digits"), IMAGES, 297, 500, 0).train
    images, labels = digits.as_float().flatten(1), torch.from_numpy(digits.labels)
    ways = {
        build.__name__: build((64, width, width, CLASSES), images, labels)
        for build in (stacked, loop, mapped)
    }
    seconds, losses = {name: [] for name in ways}, {}
    for order in orders(1 + TURNS * EPOCHS):
        for name, epoch in ways.items():
            start = time.perf_counter()
            losses[name] = epoch(order)
            seconds[name].append(time.perf_counter() - start)
    difference = max(float((losses[name] - losses["loop"]).abs().max()) for name in ways)
    assert difference < 0.05, f"the three do not learn the same: losses differ by {difference:.3g}"
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def orders(epochs: int) -> Iterator[torch.Tensor]:
    """The order of the images (S, n) in every epoch."""
    streams = [stream(seed, "batches") for seed in SEEDS]
    for _ in range(epochs):
        yield torch.stack([torch.randperm(IMAGES, generator=generator) for generator in streams])


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} thread, load {os.getloadavg()[0]:.1f} on"
        f" {os.cpu_count()} cores, {len(SEEDS)} seeds"
    )
    print(
        f"{'width':>6} {'loop ms':>11} {'stacked ms':>11} {'vmap ms':>11} {'stacked ×':>10} {'vmap ×':>7}"
        f" {'target ×':>9}"
    )
    for width, target in TARGETS.items():
        seconds = measure(width)
        ratio = {name: seconds["loop"] / value for name, value in seconds.items()}
        row = " ".join(f"{seconds[name] * 1000:11.1f}" for name in ("loop", "stacked", "mapped"))
        verdict = "met" if ratio["stacked"] >= target else "MISSED"
        print(f"{width:6d} {row} {ratio['stacked']:10.2f} {ratio['mapped']:7.2f} {target:9.1f} {verdict}")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
