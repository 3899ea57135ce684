"""The run: a network is pretrained on a source and tuned on a target, once for every pattern
of frozen blocks.
"""

from collections.abc import Iterator, Sequence

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
from mlcv_explore.models import block_network, fine_tuning, pretrained_blocks
from mlcv_explore.models.block_network import BLOCKS, BlockNetwork
from mlcv_explore.models.tuning_search import Outcome, TuningSearch

SIDE = 64  # pixels at which the ImageNet network reads photographs
HEAD_FACTOR = 10  # learning rates of the ImageNet network's head; the small network's has one for all
SPACING = 3  # between learning rates
Values = dict[tuple[str, str], float]


def run(config: FreezingConfig, seeds: Sequence[int]) -> Iterator[Measured]:
    """A frame an arm, of all seeds."""
    parts = [_measured(config, seed) for seed in seeds]
    yield from AXES.film(parts, len(measures_of(config)) - 1)


def _measured(config: FreezingConfig, seed: int) -> Iterator[Values]:
    yield {}  # a first frame at once
    target, networks = prepare(config, seed)
    task, best, compared = search(config, networks[0], target, seed), 0.0, measures_of(config)
    found = {("source", "accuracy"): fine_tuning.accuracy(networks[0], task.test, BLOCKS)}
    if "reordered" in compared:
        own = fine_tuning.reordered(networks[0], task.train)
        yield {("reordered", "accuracy"): fine_tuning.accuracy(own, task.test, BLOCKS)}
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
    control = search(config, networks[1], target, seed)
    for arm, name in zip(UNTRAINED, ("full", "first_half", "second_half"), strict=True):
        yield {(arm, "accuracy"): control.pattern(PATTERNS[name]).test}


def search(config: FreezingConfig, network: BlockNetwork, target: Transfer, seed: int) -> TuningSearch:
    """A network at its target, at every learning rate of a run, the lowest first."""
    parts = [
        fine_tuning.examples(network, pixels(config, part), torch.from_numpy(part.labels))
        for part in (target.train, target.validation, target.test)
    ]
    middle = (config.rates - 1) / 2
    rates = [config.rate * SPACING ** (place - middle) for place in range(config.rates)]
    factor = HEAD_FACTOR if config.dataset == PHOTOGRAPHS else 1
    return TuningSearch(network, parts, config.updates, rates, factor, seed)


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
    source = pixels(config, target.source), torch.from_numpy(target.source.labels)
    classes = len(target.source.classes)
    if config.dataset == PHOTOGRAPHS:
        network, untrained = pretrained_blocks.imagenet_pair(*source, classes, seed)
    else:
        network, untrained = pretrained_blocks.small_pair(*source, classes, config.width, seed)
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
