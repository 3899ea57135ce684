"""A small network as it ships after tuning: for several targets, in all sixteen patterns of
frozen blocks, with what was measured of each.
"""

import copy
import itertools
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from mlcv_explore.models import checkpoints
from mlcv_explore.models.block_network import BLOCKS, BlockNetwork, merged, small
from mlcv_explore.models.fine_tuning import Pattern
from mlcv_explore.models.tuning_search import TuningSearch

ALL: tuple[Pattern, ...] = tuple(itertools.product((False, True), repeat=BLOCKS))


class TunedNetworks(nn.Module):
    """For every target a network before tuning, and for every pattern the blocks that it
    trains and the head. Measured for T targets and Z numbers of target images, means over
    seeds: accuracy and change of blocks; seconds of one tuning.
    """

    def __init__(self, channels: int, side: int, width: int, targets: Mapping[str, int], sizes: int) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            **{"channels": channels, "side": side, "width": width},
            **{"targets": dict(targets), "sizes": sizes},
        }
        networks = {
            name: merged(small(channels, side, width, classes, 0)) for name, classes in targets.items()
        }
        self.before = nn.ModuleDict(networks)
        self.after = nn.ModuleDict(
            {
                name: nn.ModuleDict({_key(pattern): _parts(network, pattern) for pattern in ALL})
                for name, network in networks.items()
            }
        )
        counts = len(targets), sizes, len(ALL)
        self.register_buffer("accuracy", torch.zeros(counts))
        self.register_buffer("moved", torch.zeros(*counts, BLOCKS))
        self.register_buffer("seconds", torch.zeros(len(targets), len(ALL)))

    def shares(self, target: str) -> list[float]:
        """The share of a network's parameters that every block has."""
        network = self.before[target]
        counts = [sum(value.numel() for value in block.parameters()) for block in network.blocks]
        return [count / sum(value.numel() for value in network.parameters()) for count in counts]

    def measure(self, target: int, size: int, search: TuningSearch, share: float) -> None:
        """Add one seed's `share` of what is measured of every pattern."""
        for place, pattern in enumerate(ALL):
            outcome = search.pattern(pattern)
            self.accuracy[target, size, place] += outcome.test * share
            self.moved[target, size, place] += torch.tensor(outcome.moved) * share

    def keep_all(self, target: int, search: TuningSearch) -> None:
        """Store a network before tuning and after, with the processor seconds of every pattern."""
        name = list(self.before)[target]
        self.before[name] = search.network
        for place, pattern in enumerate(ALL):
            started = time.process_time()
            self.keep(name, pattern, search.at(pattern))
            self.seconds[target, place] = time.process_time() - started

    def keep(self, target: str, pattern: Pattern, network: BlockNetwork) -> None:
        """Store what a pattern trained of a network."""
        self.after[target][_key(pattern)] = _parts(network, pattern)

    def tuned(self, target: str, pattern: Pattern) -> BlockNetwork:
        """A network at a target after tuning with a pattern."""
        network, parts = copy.deepcopy(self.before[target]), self.after[target][_key(pattern)]
        for place, trained in enumerate(pattern):
            if trained:
                network.blocks[place] = parts[f"block{place + 1}"]
        network.head = parts["head"]
        return network

    @torch.no_grad()
    def before_and_after(self, target: str, pattern: Pattern, image: np.ndarray) -> list[np.ndarray]:
        """Probabilities of an image's classes (K,), before tuning and after, for an image
        uint8 (C, h, w).
        """
        batch = torch.from_numpy(image[None]).float() / 255
        pair = self.before[target], self.tuned(target, pattern)
        return [network(batch).softmax(1)[0].numpy() for network in pair]


@lru_cache(maxsize=2)
def load(name: str) -> tuple[TunedNetworks, dict[str, Any]]:
    """The networks of a checkpoint, and of every target its classes, and the label that each
    label of the source has there. Raises CheckpointError.
    """
    networks, card = checkpoints.load_network(name, lambda card: TunedNetworks(**card["arguments"]))
    return networks, card["targets"]


def _parts(network: BlockNetwork, pattern: Pattern) -> nn.ModuleDict:
    chosen = {
        f"block{place}": block
        for place, (block, trained) in enumerate(zip(network.blocks, pattern, strict=True), start=1)
        if trained
    }
    return copy.deepcopy(nn.ModuleDict({**chosen, "head": network.head}))


def _key(pattern: Sequence[bool]) -> str:
    return "".join("ft"[trained] for trained in pattern)
