"""The levels of five seeds trained as one stack against one seed after the other, and
one move of the page.

`python -m bench.hierarchical_representation`. The greedy wiring on 1,000 digits,
64-32-32-32, batches of 100, one thread, fused Adam in both. They take turns; printed
are medians of the thread's own time.
"""

import statistics
import time
from collections.abc import Callable

import torch

from mlcv_explore.ideas.hierarchical_representation import HierarchicalRepresentationConfig, looking, training

SEEDS, TURNS, STEPS = tuple(range(5)), 15, 20
TIMES_FASTER = 2.5  # that the stack is to be
MOST = 40.0  # milliseconds that the levels may take of a move


def main() -> None:
    """Print every median and the ratios."""
    torch.set_num_threads(1)
    config = HierarchicalRepresentationConfig()
    every, recipe = training.tasks(config, SEEDS), training.recipe_of(config)
    batch = torch.stack([task.train[: config.batch_size] for task in every])
    labels = torch.stack([task.labels[: config.batch_size] for task in every])
    stack = training.learner("greedy_code", recipe, SEEDS, 10)
    single = [training.learner("greedy_code", recipe, (seed,), 10) for seed in SEEDS]
    mind = looking.mind()
    digit = mind.digits.images[0, 0] / 255

    def stacked() -> None:
        for _ in range(STEPS):
            stack.step(batch, labels)

    def one_by_one() -> None:
        for place, each in enumerate(single):
            for _ in range(STEPS):
                each.step(batch[place : place + 1], labels[place : place + 1])

    def move() -> None:
        for arm in ("greedy_code", "global"):
            looking.seen(mind, arm, digit)

    found = {make.__name__: _median(make) for make in (stacked, one_by_one, move)}
    worst = max(
        float((each.levels.up[2][0] - stack.levels.up[2][place]).detach().abs().max())
        for place, each in enumerate(single)
    )
    assert worst < 0.05, f"the two do not learn the same: weights differ by {worst:.3g}"
    for name, milliseconds in found.items():
        print(f"{name.replace('_', ' '):12}{milliseconds:9.1f} ms")
    ratio = found["one_by_one"] / found["stacked"]
    print(
        f"one by one ÷ stacked {ratio:9.2f}   (target ≥ {TIMES_FASTER})"
        f" {'met' if ratio >= TIMES_FASTER else 'MISSED'}"
    )
    print(
        f"levels of one move {found['move']:8.1f} ms   (target ≤ {MOST:g})"
        f" {'met' if found['move'] <= MOST else 'MISSED'}"
    )


def _median(make: Callable[[], object]) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(TURNS):
        started = time.thread_time()
        make()
        taken.append(1000 * (time.thread_time() - started))
    return statistics.median(taken)


if __name__ == "__main__":
    main()
