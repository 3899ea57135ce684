"""f(X, E): is an item X explained by a part E of it? Three tests, each of which may be
switched off: of energy, of the classifier's label, and by removal. An empty E never
explains.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mlcv_explore.metrics.classification import log_odds
from mlcv_explore.models.sparse_coding import explained_energy
from mlcv_explore.models.vector_classifiers import predict_logits, random_sums
from mlcv_explore.seeds import stream

DRAWS = 2  # random sets that a removal is compared with
ROUNDING = 1e-4


@dataclass(frozen=True)
class Rules:
    """The thresholds of f and the tests that are on."""

    energy: float = 0.85  # τ: the least share of X's energy that E must explain
    # δ: how much more the log-odds of X's class must fall without E than without a random set of
    # equal energy; less where removing X itself costs less, since X must explain X
    drop: float = 1.0
    tests: tuple[bool, bool, bool] = (True, True, True)  # energy, label, removal


@dataclass(frozen=True, eq=False)
class Check:
    """The outcome of f, (n,) each."""

    energy: np.ndarray  # share of X's energy that E explains, at most 1
    results: np.ndarray  # bool (3, n): energy, label, removal
    # log-odds of X's class that removing E costs beyond removing random sets of equal energy
    drop: np.ndarray
    required: np.ndarray  # of the drop: δ, or what removing X itself costs where that is less
    passed: np.ndarray  # bool: f itself
    label: np.ndarray  # int64: the classifier's label of E's reconstruction
    others: np.ndarray  # bool: f but for the energy

    def passed_at(self, energy: float) -> np.ndarray:
        """f with this threshold τ on the energy."""
        return self.others & (self.energy >= energy - ROUNDING)


class Checker:
    """f for some items; what does not depend on E is computed once."""

    def __init__(self, classifier: nn.Module, items: np.ndarray, random: np.ndarray, rules: Rules) -> None:
        """`items` (n, d); `random` (draws, n, d): unit sums of random sets."""
        self.classifier, self.items, self.random, self.rules = classifier, items, random, rules
        self.classes = predict_logits(classifier, items).argmax(1)
        self.required = np.minimum(rules.drop, self._drop(items))

    def __call__(self, images: np.ndarray, empty: np.ndarray) -> Check:
        """f of the explanations' reconstructions (n, d); `empty` (n,) bool: nothing was
        chosen.
        """
        label = predict_logits(self.classifier, images).argmax(1)
        energy, drop = explained_energy(self.items, images), self._drop(images)
        results = np.stack(
            [energy >= self.rules.energy - ROUNDING, label == self.classes, drop >= self.required - ROUNDING]
        )
        kept = results | ~np.array(self.rules.tests)[:, None]
        others = kept[1:].all(0) & ~empty
        return Check(energy, results, drop, self.required, others & kept[0], label, others)

    def _drop(self, images: np.ndarray) -> np.ndarray:
        """How much more log-odds removing these images costs than removing random sets
        of equal energy, (n,).
        """
        draws, count = self.random.shape[:2]
        others = self.items - np.linalg.norm(images, axis=1, keepdims=True) * self.random
        logits = predict_logits(self.classifier, others.reshape(draws * count, -1))
        beside = log_odds(logits, np.tile(self.classes, draws)).reshape(draws, count).mean(0)
        return beside - log_odds(predict_logits(self.classifier, self.items - images), self.classes)


def unit_random_sets(first: np.ndarray, count: int, seed: int, purpose: str) -> np.ndarray:
    """Random sets of atoms (n₀, d) to compare removals with, (DRAWS, count, d)."""
    atoms = torch.from_numpy(np.array(first))
    streams = (stream(seed, f"random sets {purpose} {draw}") for draw in range(DRAWS))
    return np.stack([random_sums(atoms, count, generator).numpy() for generator in streams])
