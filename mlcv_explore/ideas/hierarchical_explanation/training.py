"""One run: every arm is trained, then explains test items with equal bits, from few to
many.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import torch

from mlcv_explore.ideas.hierarchical_explanation import (
    ARMS,
    BUDGETS,
    MEASURES,
    SHOWN,
    STAGES,
    Frame,
    HierarchicalExplanationConfig,
    datasets,
)
from mlcv_explore.metrics import dictionaries
from mlcv_explore.models import prototypes, sparse_coding, vector_classifiers
from mlcv_explore.models.decision_trees import NeuralBackedTree, distil, shuffled_merges
from mlcv_explore.models.hierarchical_dictionary import Dictionary, learn, shuffled
from mlcv_explore.models.sparse_coding import bits_per_atom, coefficients, matching_pursuit
from mlcv_explore.models.vector_classifiers import predict_logits
from mlcv_explore.saliency import tree_paths
from mlcv_explore.saliency.acceptance import Check, Checker, Rules, unit_random_sets
from mlcv_explore.seeds import stream

MOST = 24  # atoms in an explanation, at most
FILTER_ATOMS = 8  # strokes that a node's filter is written in
TREE_EPOCHS = 40
BOUND = 99  # percentile of the items' lengths up to which a coefficient can be stored
# parts and wholes to choose from: for images, for tables
GRID = {True: ((16, 32), (32, 64), (64, 128)), False: ((6, 8), (12, 16))}
Offered = TypeVar("Offered")  # a dictionary of any kind


@dataclass(frozen=True, eq=False)
class Coding:
    """How an arm explains the test items."""

    atoms: np.ndarray  # (k, d)
    chosen: np.ndarray  # int64 (n, MOST), the first m of which are the explanation of m atoms
    dictionary: float  # bits in all


def affordable(config: HierarchicalExplanationConfig, bits: float, atoms: int, dictionary: float) -> int:
    """The number of atoms, of so many, that an item's bits pay for after its share of
    the dictionary's.
    """
    left = bits - dictionary / config.items
    return max(0, min(MOST, int(left // bits_per_atom(atoms, config.coefficient_bits))))


class Trainer:
    """One seed's share of a run."""

    def __init__(self, config: HierarchicalExplanationConfig, seed: int) -> None:
        self.config, self.seed, self.bits = config, seed, config.coefficient_bits
        self.dataset = datasets.load(config.dataset, config.sizes, seed)
        self.level_zero = datasets.level_zero(self.dataset.side, self.dataset.train.values.shape[1])
        self.first = self.level_zero.first
        self.network_arguments = len(self.dataset.classes), self.dataset.side, config.epochs, seed
        self.rules = Rules(
            config.energy, config.drop, (config.energy_test, config.label_test, config.removal_test)
        )
        self.limit = float(np.percentile(np.linalg.norm(self.dataset.train.values, axis=1), BOUND))
        self.classifier_accuracy = 0.0  # on validation items
        self.arms: dict[str, Coding] = {}
        self.fixed: dict[str, tuple[Check, int, float]] = {}  # of arms that are the same with all bits
        self.own: dict[str, float] = {}  # arm → accuracy of its own prediction
        self.checks: dict[tuple[int, int], Check] = {}  # of a coding's first atoms, computed once

    def advance(self, stage: str) -> None:
        """The next stage of training."""
        getattr(self, f"_{stage}")()

    def _classifier(self) -> None:
        validation = self.dataset.validation
        augment = partial(
            vector_classifiers.with_removals,
            atoms=torch.from_numpy(np.array(self.first)),
            generator=stream(self.seed, "judge, disturbed"),
        )
        train = self.dataset.classifier_train
        self.classifier = vector_classifiers.train(train, *self.network_arguments, "judge", augment)
        predicted = predict_logits(self.classifier, validation.values).argmax(1)
        self.classifier_accuracy = float((predicted == validation.labels).mean())

    def _teacher(self) -> None:
        values, classes = self.dataset.test.values, self.dataset.classes
        self.teacher = vector_classifiers.train(self.dataset.train, *self.network_arguments, "teacher")
        self.own["cnn"] = self._accuracy(predict_logits(self.teacher, values).argmax(1))
        features = self.teacher[:-1](torch.from_numpy(values)).numpy()
        layer = self.teacher[-1].weight.numpy(), self.teacher[-1].bias.numpy(), classes
        backed = NeuralBackedTree(*layer)
        control = NeuralBackedTree(*layer, shuffled_merges(backed.merges, self.seed))
        for name, tree in (("backed", backed), ("random", control)):
            self.own[name] = self._accuracy(tree.leaf_probabilities(features).argmax(1))

    def _levels(self) -> None:
        grid = GRID[bool(self.dataset.side)]
        learned = learn(self.level_zero, self.dataset.train.values, grid, self.bits, self.seed)
        self.three, two = (
            self._best([(dictionary, dictionary.atoms, dictionary.bits(self.bits)) for dictionary in offered])
            for offered in (learned, [dictionary.up_to(1) for dictionary in learned])
        )
        self.control = shuffled(self.three, self.seed)
        for name, dictionary in (("three", self.three), ("two", two), ("shuffled", self.control)):
            self._pursue(name, dictionary.atoms, dictionary.bits(self.bits))
        chosen = self.arms["three"].chosen
        self.arms["spelled"] = Coding(self.three.atoms, chosen, self.three.bits_in_first(self.bits))

    def _baselines(self) -> None:
        values, bits, seed = self.dataset.train.values, self.bits, self.seed
        self._pursue("pixels", np.eye(values.shape[1], dtype=np.float32), 0.0)
        counts = [wholes for _, wholes in GRID[bool(self.dataset.side)]]
        counts = [counts[0] // 2, *counts]
        flat = [
            sparse_coding.learn_dictionary(values, count, bits, seed, "flat dictionary") for count in counts
        ]
        self.flat = self._best([(atoms, atoms, atoms.size * bits) for atoms in flat])
        self._pursue("flat", self.flat, self.flat.size * bits)
        offered = [prototypes.prototypes(values, count, bits, seed) for count in counts]
        best = self._best([(atoms, atoms, atoms.size * bits) for atoms in offered], prototypes.most_similar)
        chosen = prototypes.most_similar(self.dataset.test.values, best, MOST)
        self.arms["prototypes"] = Coding(best, chosen, best.size * bits)

    def _trees(self) -> None:
        train, test, validation = self.dataset.train, self.dataset.test, self.dataset.validation
        logits = predict_logits(self.teacher, train.values)
        probabilities = torch.softmax(torch.from_numpy(logits), 1).numpy()
        self.tree = distil(train.values, probabilities, TREE_EPOCHS, self.seed)
        self.filters = tree_paths.sparse_filters(self.tree, self.first, FILTER_ATOMS)
        self.own["soft"] = self._accuracy(self.tree.predict(test.values))
        chosen = tree_paths.strongest_atoms(self.tree, self.filters, test.values, self.first, MOST)
        nodes = (self.filters.atoms >= 0).sum() * bits_per_atom(len(self.first), self.bits)
        self.arms["soft"] = Coding(self.first, chosen, float(nodes))
        grown = [
            prototypes.leaf_means(train.values, train.labels, leaves, self.bits, self.seed)
            for leaves in (8, 16, 32)
        ]
        best = max(
            grown, key=lambda leaves: (leaves.tree.predict(validation.values) == validation.labels).mean()
        )
        self.own["cart"] = self._accuracy(best.tree.predict(test.values))
        cart_bits = best.bits / self.config.items + math.log2(len(best.means))
        checker, none = self._checkers["tested"], np.zeros(len(test), bool)
        self.fixed["cart"] = checker(best.reconstruct(test.values), none), 1, cart_bits
        self.fixed["spanned"] = checker(test.values, none), 1, float(test.values.shape[1] * self.bits)

    def _accuracy(self, predicted: np.ndarray) -> float:
        return float((predicted == self.dataset.test.labels).mean())

    def _pursue(self, name: str, atoms: np.ndarray, dictionary: float) -> None:
        most = affordable(self.config, BUDGETS[-1], len(atoms), 0.0)  # more are never paid for
        chosen = matching_pursuit(self.dataset.test.values, atoms, most)
        self.arms[name] = Coding(atoms, chosen, dictionary)

    def _best(
        self,
        offered: Sequence[tuple[Offered, np.ndarray, float]],
        choose: Callable[..., np.ndarray] = matching_pursuit,
    ) -> Offered:
        """Of dictionaries (itself, its atoms, its bits) the one that explains the most
        validation items with the bits of the run; of equals, the most energy.
        """
        values, scores = self.dataset.validation.values, []
        for _, atoms, bits in offered:
            most = affordable(self.config, self.config.bits, len(atoms), bits)
            chosen = choose(values, atoms, most) if most else np.full((len(values), 1), -1)
            check = self._checked(self._checkers["validated"], atoms, chosen)
            scores.append((check.passed.mean(), check.energy.mean()))
        return offered[max(range(len(offered)), key=scores.__getitem__)][0]

    @cached_property
    def _checkers(self) -> dict[str, Checker]:
        """f for validation and test items; the names are those of the random streams."""
        checkers = {}
        for purpose, items in (("validated", self.dataset.validation), ("tested", self.dataset.test)):
            random = unit_random_sets(self.first, len(items), self.seed, purpose)
            checkers[purpose] = Checker(self.classifier, items.values, random, self.rules)
        return checkers

    def _checked(self, checker: Checker, atoms: np.ndarray, chosen: np.ndarray) -> Check:
        weights = sparse_coding.quantise(coefficients(checker.items, atoms, chosen), self.bits, self.limit)
        return checker(sparse_coding.reconstruct(atoms, chosen, weights), (chosen < 0).all(1))

    def explain(self, bits: float) -> dict[str, tuple[Check, int, float]]:
        """Every arm with so many bits an item: f on the test items, atoms an
        explanation, bits an item.
        """
        count, checks = len(self.dataset.test), {}
        for name, arm in self.arms.items():
            most = affordable(self.config, bits, len(arm.atoms), arm.dictionary)
            most = min(arm.chosen.shape[1], most)
            key = (id(arm.chosen), most) if most else (0, 0)
            if key not in self.checks:
                chosen = arm.chosen[:, :most] if most else np.full((count, 1), -1)
                self.checks[key] = self._checked(self._checkers["tested"], arm.atoms, chosen)
            own = most * bits_per_atom(len(arm.atoms), self.bits)
            checks[name] = self.checks[key], most, arm.dictionary / self.config.items + own
        return checks | self.fixed

    def measure(self) -> np.ndarray:
        """Every measure of every arm with the bits of the run, float32 (A, K), 0 where
        an arm has no such measure.
        """
        values: dict[tuple[str, str], float] = {}
        for arm, (check, atoms, bits) in self.explain(self.config.bits).items():
            values |= {(arm, "passes"): check.passed.mean(), (arm, "energy"): check.energy.mean()}
            values |= {(arm, "accuracy"): self._accuracy(check.label)}
            values |= {(arm, "atoms"): atoms, (arm, "bits"): bits}
        values |= {(arm, "accuracy"): accuracy for arm, accuracy in self.own.items()}
        values |= {(arm, "overlap"): share for arm, share in self._overlaps().items()}
        values |= {(arm, "stability"): cosine for arm, cosine in self._stability().items()}
        if self.dataset.parts is not None:
            side = self.dataset.side
            for arm, dictionary in (("three", self.three), ("shuffled", self.control)):
                atoms = dictionary.canonical(1) if dictionary.levels else np.empty((0, side**2))
                share = dictionaries.recovered_share(self.dataset.parts, atoms, side)
                values[arm, "recovered"] = share
        table = np.zeros((len(ARMS), len(MEASURES)), np.float32)
        for (arm, measure), value in values.items():
            table[ARMS.index(arm), MEASURES.index(measure)] = value
        return table

    @cached_property
    def _halves(self) -> list[tuple[Dictionary, np.ndarray]]:
        """Three levels and a flat dictionary of the same sizes learned from either half
        of the training items.
        """
        sizes, learned = tuple(len(level) for level in self.three.levels), []
        for number in range(2):
            values, about = self.dataset.train.values[number::2].copy(), (self.bits, self.seed)
            levels = learn(self.level_zero, values, (sizes,), *about, f"half {number}")[0]
            flat = sparse_coding.learn_dictionary(values, len(self.flat), *about, f"flat half {number}")
            learned.append((levels, flat))
        return learned

    def _stability(self) -> dict[str, float]:
        """Similarity of dictionaries learned from two halves."""
        (one, flat), (other, other_flat) = self._halves
        numbers = range(1, min(len(one.levels), len(other.levels)) + 1)
        cosines = [
            dictionaries.matched_cosine(one.canonical(number), other.canonical(number)) for number in numbers
        ]
        levels = float(np.mean(cosines)) if cosines else 0.0
        return {"three": levels, "flat": dictionaries.matched_cosine(flat, other_flat)}

    def _overlaps(self) -> dict[str, float]:
        """Shared strokes of both directions on the same items and on different ones,
        and of two bottom-up dictionaries on the same.
        """
        values, config = self.dataset.test.values, self.config
        histogram = partial(dictionaries.orientation_histogram, side=self.dataset.side, count=len(self.first))
        down = histogram(*tree_paths.path_atoms(self.tree, self.filters, values, self.first))
        ups = []
        for dictionary in (self.three, *(levels for levels, _ in self._halves)):
            most = max(1, affordable(config, config.bits, len(dictionary.atoms), dictionary.bits(self.bits)))
            chosen = matching_pursuit(values, dictionary.atoms, most)
            code = dictionary.code_in_first(chosen, coefficients(values, dictionary.atoms, chosen))
            ups.append(histogram(*code))
        others = np.roll(np.arange(len(values)), 1)
        pairs = {"directions": (ups[0], down), "strangers": (ups[0], down[others]), "halves": ups[1:]}
        return {name: float(dictionaries.intersection(*pair).mean()) for name, pair in pairs.items()}

    def shown(self) -> np.ndarray:
        """The first atoms of each level as images uint8 (SHOWN, 16, 16); 0 for tables
        and before there are any.
        """
        images = np.zeros((SHOWN, 16, 16), np.uint8)
        if self.dataset.side and hasattr(self, "three"):
            half = SHOWN // 2
            for number in range(1, len(self.three.levels) + 1):
                atoms = np.clip(self.three.canonical(number)[:half], 0, None)
                scaled = np.rint(255 * atoms / np.maximum(atoms.max(1, keepdims=True), 1e-9)).astype(np.uint8)
                images[(number - 1) * half :][: len(scaled)] = scaled.reshape(-1, 16, 16)
        return images


def run(config: HierarchicalExplanationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """The frames of a run."""
    trainers = [Trainer(config, seed) for seed in seeds]
    steps = len(STAGES) + len(BUDGETS)
    none = np.zeros((len(seeds), len(ARMS)), np.float32)
    unmeasured = np.zeros((len(seeds), len(ARMS), len(MEASURES)), np.float32)
    shown = np.zeros((len(seeds), SHOWN, 16, 16), np.uint8)
    for step, stage in enumerate(STAGES, start=1):
        for trainer in trainers:
            trainer.advance(stage)
        shown[0] = trainers[0].shown()
        accuracy = np.array([trainer.classifier_accuracy for trainer in trainers], np.float32)
        yield Frame(step, steps, 0.0, accuracy, none.copy(), none.copy(), shown.copy(), unmeasured.copy())
    for step, bits in enumerate(BUDGETS, start=len(STAGES) + 1):
        passes, energy, measured = none.copy(), none.copy(), unmeasured.copy()
        for row, trainer in enumerate(trainers):
            for arm, (check, _, _) in trainer.explain(bits).items():
                place = ARMS.index(arm)
                passes[row, place], energy[row, place] = check.passed.mean(), check.energy.mean()
            if step == steps:
                measured[row] = trainer.measure()
        yield Frame(step, steps, float(bits), accuracy, passes, energy, shown.copy(), measured)
