"""The networks of the demo, tuned in all patterns."""

import itertools

from mlcv_explore.data.target_shifts import SHIFTS
from mlcv_explore.ideas.freezing import FreezingConfig, training
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.tuned_networks import TunedNetworks
from mlcv_explore.models.tuning_search import EVERYTHING

PREFIX, SEEDS, KEPT = "freezing_", 3, 1  # KEPT: of the sizes, that whose networks ship
DIGITS = FreezingConfig()
SMALL = FreezingConfig(dataset="cifar10", corruption="noise", width=12, source_size=10_000, test_size=1000)
TRIED = {"digits": (50, 200, 400), "cifar10": (50, 200, 1000)}


def make(seed: int, config: FreezingConfig, report: ProgressCallback | None) -> TrainedCheckpoint:
    """Tune at every target, with every number of images and pattern, from this seed on."""
    sizes, about = TRIED[config.dataset], {}
    classes = {shift: 5 if shift == "new_classes" else 10 for shift in SHIFTS}
    side = {"digits": (1, 8), "cifar10": (3, 32)}[config.dataset]
    store = TunedNetworks(*side, config.width, classes, len(sizes))
    seeds = range(seed, seed + SEEDS)
    runs = list(itertools.product(seeds, enumerate(SHIFTS), enumerate(sizes)))
    for done, (own, (place, shift), (row, size)) in enumerate(runs, start=1):
        chosen = config.replace(shift=shift, target_size=size)
        target, (network, _) = training.prepare(chosen, own)
        search = training.search(chosen, network, target, own)
        store.measure(place, row, search, 1 / SEEDS)
        if row == KEPT and own == seed:
            store.keep_all(place, search)
            names = list(target.test.classes)
            about[shift] = {"classes": names, "permutation": target.permutation.tolist()}
        if report is not None:
            report(done, len(runs), 0.0, search.pattern(EVERYTHING).test)
    best = {f"{shift}_best": float(store.accuracy[place].max()) for place, shift in enumerate(SHIFTS)}
    card = {"kind": "tuned networks", "architecture": "TunedNetworks", "arguments": store.arguments}
    card |= {"data": {"name": config.dataset}, "steps": config.updates, "targets": about, "metrics": best}
    return TrainedCheckpoint(store, card)


CHECKPOINTS = {f"{PREFIX}{config.dataset}": CheckpointSpec(config, make) for config in (DIGITS, SMALL)}
