"""What to tune of a network: patterns of frozen blocks, each at its best learning rate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mlcv_explore.models import fine_tuning
from mlcv_explore.models.block_network import BLOCKS, BlockNetwork
from mlcv_explore.models.fine_tuning import Examples, Pattern
from mlcv_explore.seeds import stream

HEAD_ONLY, EVERYTHING = (False,) * BLOCKS, (True,) * BLOCKS


@dataclass(frozen=True, eq=False)
class Outcome:
    """Tuning at the learning rate with the best validation accuracy."""

    rate: float
    validation: float  # accuracy
    test: float
    updates: int  # of all learning rates
    moved: list[float]  # of every block, norms relative to before


class TuningSearch:
    """A network tuned in many ways, every way with equal updates and the same batches; what
    frozen blocks put out is stored.
    """

    def __init__(
        self,
        network: BlockNetwork,
        parts: Sequence[Examples],
        updates: int,
        rates: Sequence[float],
        head_factor: float,
        seed: int,
    ) -> None:
        self.network, self.updates, self.rates = network, updates, rates
        self.train, self.validation, self.test = parts
        self.head_factor, self.seed = head_factor, seed  # the head's learning rate, in that of the blocks
        self.known: dict[Pattern, Outcome] = {}

    def pattern(self, pattern: Pattern) -> Outcome:
        """The blocks of a pattern tuned, the others frozen; known once computed."""
        if pattern not in self.known:
            self.known[pattern] = self._best(
                lambda rate: self.tuned(self.network, pattern, self.updates, rate, self._draws()),
                fine_tuning.first_trained(pattern),
            )
        return self.known[pattern]

    def tuned(
        self, network: BlockNetwork, pattern: Pattern, updates: int, rate: float, draws: torch.Generator
    ) -> BlockNetwork:
        """A network, this one or one whose blocks are its own, after some updates."""
        about = updates, rate, rate * self.head_factor, draws
        return fine_tuning.tuned(network, pattern, self.train, *about)

    def at(self, pattern: Pattern) -> BlockNetwork:
        """The network that a pattern's outcome describes, tuned again."""
        return self.tuned(self.network, pattern, self.updates, self.pattern(pattern).rate, self._draws())

    def scales(self) -> Outcome:
        """Scales and shifts of all channels tuned."""
        return self._best(
            lambda rate: fine_tuning.with_tuned_scales(
                self.network, self.train, self.updates, rate, rate * self.head_factor, self._draws()
            )
        )

    def head_then_all(self) -> Outcome:
        """The head for half of the updates, then everything."""
        half = self.updates // 2

        def both(rate: float) -> BlockNetwork:
            draws = self._draws()
            first = self.tuned(self.network, HEAD_ONLY, half, rate, draws)
            return self.tuned(first, EVERYTHING, self.updates - half, rate, draws)

        return self._best(both)

    def greedy(self) -> Outcome:
        """From the head alone, the block that most raises validation accuracy is added
        while one does; all that is tried counts as updates.
        """
        chosen, tried = HEAD_ONLY, [HEAD_ONLY]
        while not all(chosen):
            free = (place for place in range(BLOCKS) if not chosen[place])
            more = [(*chosen[:place], True, *chosen[place + 1 :]) for place in free]
            tried += more
            following = max(more, key=lambda pattern: self.pattern(pattern).validation)
            if self.pattern(following).validation <= self.pattern(chosen).validation:
                break
            chosen = following
        return replace(self.pattern(chosen), updates=sum(self.pattern(each).updates for each in tried))

    def _best(self, tune: Callable[[float], BlockNetwork], start: int = 0) -> Outcome:
        """What `tune` returns for the best learning rate, the lowest among equals, tested
        once; blocks before `start` are those of this network.
        """
        found = [tune(rate) for rate in self.rates]
        scores = [fine_tuning.accuracy(network, self.validation, start) for network in found]
        chosen = int(np.argmax(scores))
        tested = fine_tuning.accuracy(found[chosen], self.test, start)
        moves = fine_tuning.moved(self.network, found[chosen])
        return Outcome(self.rates[chosen], scores[chosen], tested, self.updates * len(found), moves)

    def _draws(self) -> torch.Generator:
        return stream(self.seed, "tuning")
