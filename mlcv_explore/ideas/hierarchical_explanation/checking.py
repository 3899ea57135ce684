"""f(X, E): is X explained by E? Three tests, each of which may be switched off; an
empty E explains nothing.
"""

from dataclasses import dataclass

import numpy as np
from torch import nn

from mlcv_explore.ideas.hierarchical_explanation.networks import log_odds, logits_of
from mlcv_explore.ideas.hierarchical_explanation.pursuit import explained

DRAWS = 2  # random sets that a removal is held against
ROUNDING = 1e-4


@dataclass(frozen=True)
class Rules:
    """What f asks."""

    energy: float = 0.85  # τ: the least share of X's energy that E must explain
    # δ: how much more the log-odds of X's class must fall without E than without a random set of
    # equal energy: so much, or
    drop: float = 1.0
    # as much as without X itself: more there is not to lose, and X must explain X
    tests: tuple[bool, bool, bool] = (True, True, True)  # energy, label, removal


@dataclass(frozen=True, eq=False)
class Check:
    """What f found, (n,) each."""

    energy: np.ndarray  # share of X's energy that E explains, at most 1
    same: np.ndarray  # bool: whether the judge gives what E pictures the label that it gives X
    # log-odds of X's class that removing E costs beyond removing random sets of equal energy
    drop: np.ndarray
    wanted: np.ndarray  # what this must come to: δ, or what removing X itself costs where that is less
    passed: np.ndarray  # bool: f itself
    label: np.ndarray  # int64: what the judge calls the picture of E


class Checker:
    """f for some items: what of it does not depend on E is asked once."""

    def __init__(self, judge: nn.Module, items: np.ndarray, random: np.ndarray, rules: Rules) -> None:
        """`items` (n, d); `random` (draws, n, d): unit pictures of random sets that
        removals are held against.
        """
        self.judge, self.items, self.random, self.rules = judge, items, random, rules
        self.classes = logits_of(judge, items).argmax(1)
        self.wanted = np.minimum(rules.drop, self._drop(items))

    def __call__(self, pictures: np.ndarray, empty: np.ndarray) -> Check:
        """f of what the items' explanations picture (n, d); `empty` (n,) bool: nothing
        was chosen.
        """
        label = logits_of(self.judge, pictures).argmax(1)
        energy, drop = explained(self.items, pictures), self._drop(pictures)
        results = np.stack(
            [energy >= self.rules.energy - ROUNDING, label == self.classes, drop >= self.wanted - ROUNDING]
        )
        asked = np.array(self.rules.tests)
        return Check(
            energy, results[1], drop, self.wanted, (results | ~asked[:, None]).all(0) & ~empty, label
        )

    def _drop(self, pictures: np.ndarray) -> np.ndarray:
        """What removing pictures costs the log-odds beyond what removing random sets of
        equal energy does, (n,).
        """
        draws, count = self.random.shape[:2]
        others = (self.items - np.linalg.norm(pictures, axis=1, keepdims=True) * self.random).reshape(
            draws * count, -1
        )
        beside = (
            log_odds(logits_of(self.judge, others), np.tile(self.classes, draws))
            .reshape(draws, count)
            .mean(0)
        )
        return beside - log_odds(logits_of(self.judge, self.items - pictures), self.classes)
