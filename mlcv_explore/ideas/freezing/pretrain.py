"""The networks of the demo, tuned in all patterns."""

import time

import torch

from mlcv_explore.data.target_shifts import SHIFTS
from mlcv_explore.ideas.freezing import FreezingConfig, training
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.tuned_networks import ALL, TunedNetworks

PREFIX, SEEDS, KEPT = "freezing_", 3, 1  # KEPT: of the sizes, that whose networks ship
DIGITS = FreezingConfig()
SMALL = FreezingConfig(dataset="cifar10", corruption="noise", width=12, source_size=10_000, test_size=1000)
SIZES = {"digits": (50, 200, 400), "cifar10": (50, 200, 1000)}


def make(seed: int, config: FreezingConfig, report: ProgressCallback | None) -> TrainedCheckpoint:
    """Tune at every target, with every number of images and pattern, from this seed on."""
    sizes, store, about = SIZES[config.dataset], None, {}
    for number, (place, shift, extra) in enumerate(
        (place, shift, extra) for extra in range(SEEDS) for place, shift in enumerate(SHIFTS)
    ):
        for row, size in enumerate(sizes):
            own = config.replace(shift=shift, target_size=size)
            target, (network, _) = training.prepare(own, seed + extra)
            search = training.search(own, network, target, seed + extra)
            if store is None:
                classes = {name: 5 if name == "new_classes" else 10 for name in SHIFTS}
                store = TunedNetworks(*target.test.images.shape[1:3], config.width, classes, len(sizes))
            for column, pattern in enumerate(ALL):
                outcome = search.pattern(pattern)
                store.accuracy[place, row, column] += outcome.test / SEEDS
                store.moved[place, row, column] += torch.tensor(outcome.moved) / SEEDS
                if row == KEPT and not extra:
                    started = time.process_time()
                    store.keep(shift, pattern, search.at(pattern))
                    store.seconds[place, column] = time.process_time() - started
            if row == KEPT and not extra:
                store.before[shift] = network
                names = [str(name) for name in target.test.classes]
                about[shift] = {"classes": names, "permutation": target.permutation.tolist()}
        if report is not None:
            report(number + 1, SEEDS * len(SHIFTS), 0.0, float(store.accuracy[place].max()))
    card = {"kind": "tuned networks", "architecture": "TunedNetworks", "arguments": store.arguments}
    card |= {"data": {"name": config.dataset}, "steps": config.updates, "targets": about}
    best = {f"{shift}_best": float(store.accuracy[place].max()) for place, shift in enumerate(SHIFTS)}
    return TrainedCheckpoint(store, card | {"metrics": best})


CHECKPOINTS = {f"{PREFIX}{config.dataset}": CheckpointSpec(config, make) for config in (DIGITS, SMALL)}
