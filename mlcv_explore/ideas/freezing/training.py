"""The run: a network is pretrained on a source and tuned on a target, once for every pattern
of frozen blocks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.data.target_shifts import Transfer, transfer
from mlcv_explore.experiment.measured import Measured
from mlcv_explore.ideas.freezing import (
    AXES,
    MOVED,
    PHOTOGRAPHS,
    UNTRAINED,
    VALIDATION,
    FreezingConfig,
    measures_of,
)
from mlcv_explore.ideas.freezing.claims import PATTERNS
from mlcv_explore.models import block_network, fine_tuning
from mlcv_explore.models.block_network import BLOCKS, BlockNetwork
from mlcv_explore.models.fine_tuning import Pattern
from mlcv_explore.seeds import stream

SIDE = 64  # pixels at which the ImageNet network reads photographs
EPOCHS = 15  # of pretraining the small network
HEAD_UPDATES, HEAD_RATE = 300, 0.003  # of the ImageNet network's head on the source
SPACING = 3  # between learning rates
HEAD_ONLY, EVERYTHING = (False,) * BLOCKS, (True,) * BLOCKS
HEAD_FACTOR = 10  # learning rates of the ImageNet network's head; the small network's has one for all
Values = dict[tuple[str, str], float]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Tuning at the learning rate with the best validation accuracy."""

    rate: float
    validation: float  # accuracy
    test: float
    updates: int  # of all learning rates
    moved: list[float]  # of every block, norms relative to before


class Task:
    """A network at its target, everything frozen blocks put out stored."""

    def __init__(self, config: FreezingConfig, network: BlockNetwork, target: Transfer, seed: int) -> None:
        self.config, self.network, self.seed = config, network, seed
        self.head_factor = HEAD_FACTOR if config.dataset == PHOTOGRAPHS else 1
        parts = (target.train, target.validation, target.test)
        self.train, self.validation, self.test = (
            fine_tuning.examples(network, pixels(config, part), torch.from_numpy(part.labels))
            for part in parts
        )
        self.known: dict[Pattern, Outcome] = {}

    def rates(self) -> list[float]:
        """The learning rates that are tried, the lowest first."""
        middle = (self.config.rates - 1) / 2
        return [self.config.rate * SPACING ** (place - middle) for place in range(self.config.rates)]

    def best(self, tune: Callable[[float, torch.Generator], BlockNetwork], start: int = 0) -> Outcome:
        """What `tune` returns for the best learning rate, tested once; blocks before
        `start` are those of this network.
        """
        rates = self.rates()
        found = [tune(rate, stream(self.seed, "tuning")) for rate in rates]
        scores = [fine_tuning.accuracy(network, self.validation, start) for network in found]
        chosen = int(np.argmax(scores))
        tested = fine_tuning.accuracy(found[chosen], self.test, start)
        moves = fine_tuning.moved(self.network, found[chosen])
        return Outcome(rates[chosen], scores[chosen], tested, self.config.updates * len(rates), moves)

    def pattern(self, pattern: Pattern) -> Outcome:
        """The blocks of a pattern tuned, the others frozen; known once computed."""
        if pattern not in self.known:
            self.known[pattern] = self.best(
                lambda rate, draws: self.tuned(self.network, pattern, self.config.updates, rate, draws),
                fine_tuning.first_trained(pattern),
            )
        return self.known[pattern]

    def tuned(
        self, network: BlockNetwork, pattern: Pattern, updates: int, rate: float, draws: torch.Generator
    ) -> BlockNetwork:
        """One network at one learning rate."""
        about = updates, rate, rate * self.head_factor, draws
        return fine_tuning.tuned(network, pattern, self.train, *about)

    def scales(self) -> Outcome:
        """Scales and shifts of all channels tuned."""
        return self.best(
            lambda rate, draws: fine_tuning.with_tuned_scales(
                self.network, self.train, self.config.updates, rate, rate * self.head_factor, draws
            )
        )

    def head_then_all(self) -> Outcome:
        """The head for half of the updates, then everything."""
        half = self.config.updates // 2

        def both(rate: float, draws: torch.Generator) -> BlockNetwork:
            first = self.tuned(self.network, HEAD_ONLY, half, rate, draws)
            return self.tuned(first, EVERYTHING, self.config.updates - half, rate, draws)

        return self.best(both)

    def greedy(self) -> Outcome:
        """From the head alone, the block that most raises validation accuracy is added
        while one does; all that is tried counts as updates.
        """
        chosen, tried = HEAD_ONLY, [HEAD_ONLY]
        while not all(chosen):
            more = [
                (*chosen[:place], True, *chosen[place + 1 :]) for place in range(BLOCKS) if not chosen[place]
            ]
            tried += more
            following = max(more, key=lambda pattern: self.pattern(pattern).validation)
            if self.pattern(following).validation <= self.pattern(chosen).validation:
                break
            chosen = following
        return replace(self.pattern(chosen), updates=sum(self.pattern(each).updates for each in tried))


def run(config: FreezingConfig, seeds: Sequence[int]) -> Iterator[Measured]:
    """A frame an arm, of all seeds."""
    parts = [_measured(config, seed) for seed in seeds]
    yield from AXES.film(parts, len(measures_of(config)) - 1)


def _measured(config: FreezingConfig, seed: int) -> Iterator[Values]:
    yield {}  # a first frame at once
    target, networks = prepare(config, seed)
    task, best, compared = Task(config, networks[0], target, seed), 0.0, measures_of(config)
    found = {("source", "accuracy"): fine_tuning.accuracy(networks[0], task.test, BLOCKS)}
    for arm in (arm for arm in PATTERNS if arm in compared):
        outcome = task.pattern(PATTERNS[arm])
        best = max(best, outcome.test)
        found |= described(arm, outcome)
        found[arm, "parameters"] = fine_tuning.count(task.network, PATTERNS[arm])
        yield found | {("best", "accuracy"): best}
        found = {}
    if config.compared == "halves":
        return
    for arm, tune in (
        ("scales", task.scales),
        ("head_then_all", task.head_then_all),
        ("greedy", task.greedy),
    ):
        yield described(arm, tune())
    control = Task(config, networks[1], target, seed)
    for arm, name in zip(UNTRAINED, ("full", "first_half", "second_half"), strict=True):
        yield {(arm, "accuracy"): control.pattern(PATTERNS[name]).test}


def described(arm: str, outcome: Outcome) -> Values:
    """What is measured of a tuned network."""
    values = {"accuracy": outcome.test, "updates": outcome.updates}
    values |= dict(zip(MOVED, outcome.moved, strict=True))
    return {(arm, name): float(value) for name, value in values.items()}


def prepare(config: FreezingConfig, seed: int) -> tuple[Transfer, tuple[BlockNetwork, BlockNetwork]]:
    """A seed's images, and two networks with the head that tuning begins with: pretrained
    on the source, and with random weights. Of new classes the head is new.
    """
    whole = data.load("cifar10" if config.dataset == PHOTOGRAPHS else config.dataset)
    sizes = config.target_size, VALIDATION, config.test_size
    about = config.shift, config.source_size, sizes, seed, config.corruption, config.severity
    target = transfer(whole, *about)
    images, labels = pixels(config, target.source), torch.from_numpy(target.source.labels)
    classes = len(target.source.classes)
    if config.dataset == PHOTOGRAPHS:
        start = block_network.imagenet_blocks(classes, seed)
        source = fine_tuning.examples(start, images, labels)
        about = HEAD_UPDATES, HEAD_RATE, HEAD_RATE, stream(seed, "source head")
        network = fine_tuning.tuned(start, HEAD_ONLY, source, *about)
        untrained = block_network.imagenet_blocks(classes, seed, images)
    else:
        shape = images.shape[1], images.shape[2], config.width, classes, seed
        start = block_network.small(*shape)
        network = block_network.merged(fine_tuning.pretrained(start, images, labels, EPOCHS, seed))
        untrained = block_network.small(*shape)
        untrained = block_network.merged(block_network.with_statistics(untrained, images))
    if config.shift == "new_classes":
        network.head = block_network.new_head(network.head.in_features, classes, seed)
    return target, (network, untrained)


def pixels(config: FreezingConfig, part: data.Images) -> torch.Tensor:
    """Images (n, C, h, w) in [0, 1] as the network reads them."""
    images = part.as_float()
    if config.dataset != PHOTOGRAPHS:
        return images
    large = functional.interpolate(images, size=(SIDE, SIDE), mode="bicubic", antialias=True)
    return large.clamp_(0, 1).contiguous(memory_format=torch.channels_last)
