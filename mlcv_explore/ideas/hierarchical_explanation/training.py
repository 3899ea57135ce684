"""One run: every arm is trained, then explains test items with equal bits, from few to
many.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
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
    agreement,
    baselines,
    datasets,
    networks,
    top_down,
)
from mlcv_explore.ideas.hierarchical_explanation.checking import Check, Checker, Rules, unit_random_sets
from mlcv_explore.ideas.hierarchical_explanation.datasets import Items
from mlcv_explore.ideas.hierarchical_explanation.dictionary import Dictionary, learn, level_zero, shuffled
from mlcv_explore.models.decision_trees import NeuralBackedTree, distil, shuffled_merges
from mlcv_explore.models.sparse_coding import (
    coefficients,
    learn_dictionary,
    matching_pursuit,
    quantise,
    reconstruct,
)

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

    def affords(self, config: HierarchicalExplanationConfig, bits: float) -> int:
        """The number of atoms that so many bits an item pay for, after its share of the
        dictionary.
        """
        left = bits - self.dictionary / config.items
        return max(
            0, min(self.chosen.shape[1], int(left // atom_bits(len(self.atoms), config.coefficient_bits)))
        )


def atom_bits(count: int, coefficient_bits: int) -> float:
    """Bits of one atom of an explanation: its index among `count`, and its coefficient."""
    return math.log2(max(count, 2)) + coefficient_bits


class Trainer:
    """One seed's share of a run."""

    def __init__(self, config: HierarchicalExplanationConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.dataset = datasets.load(config.dataset, config.sizes, seed)
        self.first = level_zero(self.dataset).first
        self.rules = Rules(
            config.energy, config.drop, (config.energy_test, config.label_test, config.removal_test)
        )
        self.limit = float(np.percentile(np.linalg.norm(self.dataset.train.values, axis=1), BOUND))
        self.judged = 0.0  # accuracy of the classifier on validation items
        self.arms: dict[str, Coding] = {}
        # arm → reconstructions of the test items, bits an item
        self.fixed: dict[str, tuple[np.ndarray, float]] = {}
        self.own: dict[str, float] = {}  # arm → accuracy of its own prediction
        self.checks: dict[tuple[int, int], Check] = {}  # of a coding's first atoms, computed once

    def advance(self, stage: str) -> None:
        """The next stage of training."""
        getattr(self, f"_{stage}")()

    def _classifier(self) -> None:
        items, validation = self.dataset.classifier_train, self.dataset.validation
        self.classifier = networks.train(
            self.dataset, items, self.config.epochs, self.seed, "judge", self.first
        )
        predicted = networks.logits_of(self.classifier, validation.values).argmax(1)
        self.judged = float((predicted == validation.labels).mean())

    def _teacher(self) -> None:
        train, test = self.dataset.train, self.dataset.test
        self.teacher = networks.train(self.dataset, train, self.config.epochs, self.seed, "teacher")
        self.own["cnn"] = self._accuracy(networks.logits_of(self.teacher, test.values).argmax(1))
        features = self.teacher[:-1](torch.from_numpy(test.values)).numpy()
        layer = self.teacher[-1].weight.numpy(), self.teacher[-1].bias.numpy(), self.dataset.classes
        backed = NeuralBackedTree(*layer)
        control = NeuralBackedTree(*layer, shuffled_merges(backed.merges, self.seed))
        self.own["backed"], self.own["random"] = (
            self._accuracy(tree.leaf_probabilities(features).argmax(1)) for tree in (backed, control)
        )

    def _levels(self) -> None:
        grid, bits = GRID[self.dataset.has_images], self.config.coefficient_bits
        learned = learn(self.dataset, self.dataset.train, grid, bits, self.seed)
        self.three = self._best([(each, each.atoms, each.bits(bits)) for each in learned])
        lower = [each.up_to(1) for each in learned]
        two = self._best([(each, each.atoms, each.bits(bits)) for each in lower])
        self.control = shuffled(self.three, self.seed)
        for name, each in (("three", self.three), ("two", two), ("shuffled", self.control)):
            self._pursue(name, each.atoms, each.bits(bits))
        chosen = self.arms["three"].chosen
        self.arms["spelled"] = Coding(self.three.atoms, chosen, self.three.bits_as_strokes(bits))

    def _baselines(self) -> None:
        values, test = self.dataset.train.values, self.dataset.test.values
        bits, size = self.config.coefficient_bits, values.shape[1]
        self._pursue("pixels", np.eye(size, dtype=np.float32), 0.0)
        counts = [wholes for _, wholes in GRID[self.dataset.has_images]]
        counts = [counts[0] // 2, *counts]
        flat = [learn_dictionary(values, count, bits, self.seed, "flat dictionary") for count in counts]
        self.flat = self._best([(atoms, atoms, atoms.size * bits) for atoms in flat])
        self._pursue("flat", self.flat, self.flat.size * bits)
        offered = [baselines.prototypes(values, count, bits, self.seed) for count in counts]
        best = self._best([(atoms, atoms, atoms.size * bits) for atoms in offered], baselines.nearest)
        self.arms["prototypes"] = Coding(best, baselines.nearest(test, best, MOST), best.size * bits)

    def _trees(self) -> None:
        config, train, test = self.config, self.dataset.train, self.dataset.test
        validation, bits = self.dataset.validation, self.config.coefficient_bits
        logits = networks.logits_of(self.teacher, train.values)
        probabilities = torch.softmax(torch.from_numpy(logits), 1).numpy()
        self.tree = distil(train.values, probabilities, TREE_EPOCHS, self.seed)
        self.filters = top_down.sparse_filters(self.tree, self.first, FILTER_ATOMS)
        self.own["soft"] = self._accuracy(self.tree.predict(test.values))
        chosen = top_down.strongest(self.tree, self.filters, test.values, self.first, MOST)
        nodes = (self.filters.atoms >= 0).sum() * atom_bits(len(self.first), bits)
        self.arms["soft"] = Coding(self.first, chosen, float(nodes))
        grown = [baselines.cart(train, leaves, bits, self.seed) for leaves in (8, 16, 32)]
        best = max(grown, key=lambda each: (each.tree.predict(validation.values) == validation.labels).mean())
        self.own["cart"] = self._accuracy(best.tree.predict(test.values))
        cart_bits = best.bits / config.items + math.log2(len(best.means))
        self.fixed["cart"] = best.reconstruct(test.values), cart_bits
        self.fixed["spanned"] = test.values, float(test.values.shape[1] * bits)

    def _accuracy(self, predicted: np.ndarray) -> float:
        return float((predicted == self.dataset.test.labels).mean())

    def _pursue(self, name: str, atoms: np.ndarray, dictionary: float) -> None:
        none = Coding(atoms, np.zeros((0, MOST), np.int64), 0.0)
        most = none.affords(self.config, BUDGETS[-1])  # more are never paid for
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
        values, config, scores = self.dataset.validation.values, self.config, []
        for _, atoms, bits in offered:
            most = Coding(atoms, np.zeros((0, MOST), np.int64), bits).affords(config, config.bits)
            chosen = choose(values, atoms, most) if most else np.full((len(values), 1), -1)
            check = self._checked(self._validation_checker, atoms, chosen)
            scores.append((check.passed.mean(), check.energy.mean()))
        return offered[max(range(len(offered)), key=scores.__getitem__)][0]

    @cached_property
    def _validation_checker(self) -> Checker:
        return self._checker(self.dataset.validation, "validated")

    @cached_property
    def _test_checker(self) -> Checker:
        return self._checker(self.dataset.test, "tested")

    def _checker(self, items: Items, purpose: str) -> Checker:
        random = unit_random_sets(self.first, len(items), self.seed, purpose)
        return Checker(self.classifier, items.values, random, self.rules)

    def _checked(self, checker: Checker, atoms: np.ndarray, chosen: np.ndarray) -> Check:
        weights = coefficients(checker.items, atoms, chosen)
        weights = quantise(weights, self.config.coefficient_bits, self.limit)
        return checker(reconstruct(atoms, chosen, weights), (chosen < 0).all(1))

    @cached_property
    def _fixed_checks(self) -> dict[str, tuple[Check, int, float]]:
        none = np.zeros(len(self.dataset.test), bool)
        return {
            name: (self._test_checker(images, none), 1, bits) for name, (images, bits) in self.fixed.items()
        }

    def explain(self, bits: float) -> dict[str, tuple[Check, int, float]]:
        """Every arm with so many bits an item: f on the test items, atoms an
        explanation, bits an item.
        """
        count, checks = len(self.dataset.test), {}
        for name, arm in self.arms.items():
            most = arm.affords(self.config, bits)
            key = (id(arm.chosen), most) if most else (0, 0)
            if key not in self.checks:
                chosen = arm.chosen[:, :most] if most else np.full((count, 1), -1)
                self.checks[key] = self._checked(self._test_checker, arm.atoms, chosen)
            own = most * atom_bits(len(arm.atoms), self.config.coefficient_bits)
            checks[name] = self.checks[key], most, arm.dictionary / self.config.items + own
        return checks | self._fixed_checks

    def measure(self) -> np.ndarray:
        """Every measure of every arm with the bits of the run, float32 (A, K), 0 where
        an arm has no such measure.
        """
        table = np.zeros((len(ARMS), len(MEASURES)), np.float32)

        def put(arm: str, **values: float) -> None:
            for measure, value in values.items():
                table[ARMS.index(arm), MEASURES.index(measure)] = value

        for arm, (check, atoms, bits) in self.explain(self.config.bits).items():
            shares = {"passes": check.passed.mean(), "energy": check.energy.mean()}
            put(arm, **shares, accuracy=self._accuracy(check.label), atoms=atoms, bits=bits)
        for arm, accuracy in self.own.items():
            put(arm, accuracy=accuracy)
        for arm, value in self._overlaps().items():
            put(arm, overlap=value)
        if self.dataset.parts is not None:
            side = self.three.side
            for arm, each in (("three", self.three), ("shuffled", self.control)):
                atoms = each.canonical(1) if each.levels else np.empty((0, side**2))
                put(arm, recovered=agreement.recovered(self.dataset.parts, atoms, side))
        levels, flat = self._stability
        put("three", stability=levels)
        put("flat", stability=flat)
        return table

    @cached_property
    def _halves(self) -> tuple[Items, Items]:
        train = self.dataset.train
        places = np.arange(len(train))
        return train.take(places[::2]), train.take(places[1::2])

    @cached_property
    def _half_dictionaries(self) -> list[Dictionary]:
        sizes, bits = tuple(len(level) for level in self.three.levels), self.config.coefficient_bits
        return [
            learn(self.dataset, half, (sizes,), bits, self.seed, f"half {number}")[0]
            for number, half in enumerate(self._halves)
        ]

    @cached_property
    def _stability(self) -> tuple[float, float]:
        """Similarity of dictionaries learned from two halves: three levels, flat
        dictionary.
        """
        one, other = self._half_dictionaries
        numbers = range(1, min(len(one.levels), len(other.levels)) + 1)
        levels = [agreement.matched(one.canonical(number), other.canonical(number)) for number in numbers]
        size, bits = len(self.flat), self.config.coefficient_bits
        flats = [
            learn_dictionary(half.values, size, bits, self.seed, f"flat half {number}")
            for number, half in enumerate(self._halves)
        ]
        return float(np.mean(levels)) if levels else 0.0, agreement.matched(*flats)

    def _overlaps(self) -> dict[str, float]:
        """Shared strokes of both directions on the same items and on different ones,
        and of two bottom-up dictionaries on the same.
        """
        values, side, size = self.dataset.test.values, self.three.side, len(self.first)
        atoms, effects = top_down.path_atoms(self.tree, self.filters, values, self.first)
        down = agreement.spectrum(atoms, effects, side, size)
        ups = []
        for each in (self.three, *self._half_dictionaries):
            coding = Coding(
                each.atoms, np.zeros((0, MOST), np.int64), each.bits(self.config.coefficient_bits)
            )
            most = max(1, coding.affords(self.config, self.config.bits))
            chosen = matching_pursuit(values, each.atoms, most)
            strokes = agreement.in_first(each, chosen, coefficients(values, each.atoms, chosen))
            ups.append(agreement.spectrum(*strokes, side, size))
        others = np.roll(np.arange(len(values)), 1)
        return {
            "directions": float(agreement.overlap(ups[0], down).mean()),
            "strangers": float(agreement.overlap(ups[0], down[others]).mean()),
            "halves": float(agreement.overlap(ups[1], ups[2]).mean()),
        }

    def shown(self) -> np.ndarray:
        """The first atoms of each level as images uint8 (SHOWN, 16, 16); 0 for tables
        and before there are any.
        """
        images = np.zeros((SHOWN, 16, 16), np.uint8)
        if not self.dataset.has_images or not hasattr(self, "three"):
            return images
        half = SHOWN // 2
        for number in range(1, len(self.three.levels) + 1):
            atoms = np.clip(self.three.canonical(number)[:half], 0, None)
            scaled = np.rint(255 * atoms / np.maximum(atoms.max(1, keepdims=True), 1e-9)).astype(np.uint8)
            images[(number - 1) * half : (number - 1) * half + len(scaled)] = scaled.reshape(-1, 16, 16)
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
        judged = np.array([trainer.judged for trainer in trainers], np.float32)
        yield Frame(step, steps, 0.0, judged, none.copy(), none.copy(), shown.copy(), unmeasured.copy())
    for step, bits in enumerate(BUDGETS, start=len(STAGES) + 1):
        passes, energy, measured = none.copy(), none.copy(), unmeasured.copy()
        for row, trainer in enumerate(trainers):
            for arm, (check, _, _) in trainer.explain(bits).items():
                place = ARMS.index(arm)
                passes[row, place], energy[row, place] = check.passed.mean(), check.energy.mean()
            if step == steps:
                measured[row] = trainer.measure()
        yield Frame(step, steps, float(bits), judged, passes, energy, shown.copy(), measured)
