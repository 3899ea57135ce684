"""The levels of five seeds trained as one stack against one seed after the other, and
one move of the page.

`python -m bench.hierarchical_representation`. The layer-wise loss on 1,000 photographs'
features, 64-32-32-32, batches of 100, one thread, fused Adam in both. They take turns;
printed are medians of the thread's own time.
"""

import statistics
import time
from collections.abc import Callable

import torch

from mlcv_explore.ideas.hierarchical_representation import inference, training
from mlcv_explore.ideas.hierarchical_representation.settings import HierarchicalRepresentationConfig

SEEDS, TURNS, STEPS = tuple(range(5)), 15, 20
TIMES_FASTER = 2.5  # that the stack is to be
MOST = 40.0  # milliseconds that the levels may take of a move


def main() -> None:
    """Print every median and the ratios."""
    torch.set_num_threads(1)
    config = HierarchicalRepresentationConfig()
    splits, settings = training.splits(config, SEEDS), training.hyperparameters(config)
    batch = torch.stack([split.train[: config.batch_size] for split in splits])
    labels = torch.stack([torch.from_numpy(split.labels[: config.batch_size]) for split in splits])
    stack = training.learner("greedy_code", settings, SEEDS, 10)
    single = [training.learner("greedy_code", settings, (seed,), 10) for seed in SEEDS]
    base = inference.demo()
    digit = base.example(0)

    def stacked() -> None:
        for _ in range(STEPS):
            stack.step(batch, labels)

    def one_by_one() -> None:
        for place, own in enumerate(single):
            for _ in range(STEPS):
                own.step(batch[place : place + 1], labels[place : place + 1])

    def move() -> None:
        for arm in ("greedy_code", "global"):
            inference.infer(base, arm, digit)

    medians = {work.__name__: _median(work) for work in (stacked, one_by_one, move)}
    worst = max(
        float((own.model.up[2][0] - stack.model.up[2][place]).detach().abs().max())
        for place, own in enumerate(single)
    )
    assert worst < 0.05, f"the two do not learn the same: weights differ by {worst:.3g}"
    for name, milliseconds in medians.items():
        print(f"{name.replace('_', ' '):12}{milliseconds:9.1f} ms")
    ratio = medians["one_by_one"] / medians["stacked"]
    for text, met in (
        (f"one by one ÷ stacked {ratio:9.2f}   (target ≥ {TIMES_FASTER})", ratio >= TIMES_FASTER),
        (f"levels of one move {medians['move']:8.1f} ms   (target ≤ {MOST:g})", medians["move"] <= MOST),
    ):
        print(text, "met" if met else "MISSED")


def _median(work: Callable[[], object]) -> float:
    """Milliseconds."""
    times = []
    for _ in range(TURNS):
        started = time.thread_time()
        work()
        times.append(1000 * (time.thread_time() - started))
    return statistics.median(times)


if __name__ == "__main__":
    main()
