"""One run: every arm learns, then explains test items within the same bits, from few to
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
    GRID,
    MEASURES,
    SHOWN,
    STAGES,
    Frame,
    HierarchicalExplanationConfig,
    agreement,
    budgets,
    rivals,
    soft_tree,
)
from mlcv_explore.ideas.hierarchical_explanation.backed_tree import BackedTree, shuffled_merges
from mlcv_explore.ideas.hierarchical_explanation.checking import DRAWS, Check, Checker, Rules
from mlcv_explore.ideas.hierarchical_explanation.networks import logits_of, random_sets, trained
from mlcv_explore.ideas.hierarchical_explanation.pursuit import coefficients, pictured, pursue, quantised
from mlcv_explore.ideas.hierarchical_explanation.vocabulary import (
    Vocabulary,
    first_principles,
    learned,
    learned_sizes,
    shuffled,
)
from mlcv_explore.ideas.hierarchical_explanation.worlds import Items, world
from mlcv_explore.seeds import stream

MOST = 24  # atoms in an explanation, at most
RETOLD = 8  # strokes that a node's filter is written in
TREE_EPOCHS = 40
Words = TypeVar("Words")  # a vocabulary of any kind
BOUND = 99  # percentile of the items' lengths up to which a coefficient can be written


@dataclass(frozen=True, eq=False)
class Arm:
    """A way to explain: its atoms, what it chose for the test items, and what its
    dictionary costs.
    """

    atoms: np.ndarray  # (k, d)
    chosen: np.ndarray  # int64 (n, MOST), the first m of which are the explanation of m atoms
    dictionary: float  # bits in all

    def affords(self, config: HierarchicalExplanationConfig, bits: float) -> int:
        """How many atoms an explanation may have in so many bits an item, its share of
        the dictionary paid.
        """
        return max(
            0,
            min(
                self.chosen.shape[1],
                int(
                    (bits - self.dictionary / config.items)
                    // atom_bits(len(self.atoms), config.coefficient_bits)
                ),
            ),
        )


def atom_bits(count: int, coefficient_bits: int) -> float:
    """Bits for one atom of an explanation: which of `count` it is, and its coefficient."""
    return math.log2(max(count, 2)) + coefficient_bits


def rules_of(config: HierarchicalExplanationConfig) -> Rules:
    """What f asks in a run."""
    return Rules(config.energy, config.drop, (config.energy_test, config.label_test, config.removal_test))


def unit_random_sets(first: np.ndarray, count: int, seed: int, purpose: str) -> np.ndarray:
    """Random sets of atoms of level 0 to hold removals against, unit pictures (DRAWS,
    count, d).
    """
    atoms = torch.from_numpy(np.array(first))
    return np.stack(
        [
            random_sets(atoms, count, stream(seed, f"random sets {purpose} {draw}")).numpy()
            for draw in range(DRAWS)
        ]
    )


class Student:
    """One seed's share of a run."""

    def __init__(self, config: HierarchicalExplanationConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.world = world(config.dataset, config.sizes, seed)
        self.first = first_principles(self.world).first
        self.rules = rules_of(config)
        self.limit = float(np.percentile(np.linalg.norm(self.world.taught.values, axis=1), BOUND))
        self.judged = 0.0  # accuracy of the judge on validation items
        self.arms: dict[str, Arm] = {}
        self.fixed: dict[str, tuple[np.ndarray, float]] = {}  # arm → pictures of the test items, bits an item
        self.own: dict[str, float] = {}  # arm → accuracy of its own answer

    def advance(self, stage: str) -> None:
        """The next stage of learning."""
        getattr(self, f"_{stage}")()

    def _judge(self) -> None:
        config, validated = self.config, self.world.validated
        self.judge = trained(self.world, self.world.judged, config.epochs, self.seed, "judge", self.first)
        self.judged = float((logits_of(self.judge, validated.values).argmax(1) == validated.labels).mean())

    def _teacher(self) -> None:
        self.teacher = trained(self.world, self.world.taught, self.config.epochs, self.seed, "teacher")
        self.own["cnn"] = self._right(logits_of(self.teacher, self.world.tested.values).argmax(1))
        last = self.teacher[-1]
        features = self.teacher[:-1](torch.from_numpy(self.world.tested.values)).numpy()
        weight, bias, classes = last.weight.numpy(), last.bias.numpy(), self.world.classes
        backed = BackedTree(weight, bias, classes)
        control = BackedTree(weight, bias, classes, shuffled_merges(backed.merges, self.seed))
        self.own["backed"], self.own["random"] = (
            self._right(tree.leaf_probabilities(features).argmax(1)) for tree in (backed, control)
        )

    def _levels(self) -> None:
        config, taught = self.config, self.world.taught
        found = learned_sizes(
            self.world, taught, GRID[self.world.of_pictures], config.coefficient_bits, self.seed
        )
        self.three = self._best([(each, each.atoms, each.bits(config.coefficient_bits)) for each in found])
        two = self._best(
            [
                (each.up_to(1), each.up_to(1).atoms, each.up_to(1).bits(config.coefficient_bits))
                for each in found
            ]
        )
        control = shuffled(self.three, self.seed)
        self._pursued("three", self.three.atoms, self.three.bits(config.coefficient_bits))
        self._pursued("two", two.atoms, two.bits(config.coefficient_bits))
        self._pursued("shuffled", control.atoms, control.bits(config.coefficient_bits))
        self.arms["spelled"] = Arm(
            self.three.atoms, self.arms["three"].chosen, self.three.bits_spelled(config.coefficient_bits)
        )
        self.control = control

    def _rivals(self) -> None:
        config, taught, size = self.config, self.world.taught, self.world.taught.values.shape[1]
        bits = config.coefficient_bits
        self._pursued("pixels", np.eye(size, dtype=np.float32), 0.0)
        counts = [wholes for _, wholes in GRID[self.world.of_pictures]]
        counts = [counts[0] // 2, *counts]
        flat = [rivals.flat_dictionary(taught.values, count, bits, self.seed) for count in counts]
        self.flat = self._best([(atoms, atoms, atoms.size * bits) for atoms in flat])
        self._pursued("flat", self.flat, self.flat.size * bits)
        typical = [rivals.prototypes(taught.values, count, bits, self.seed) for count in counts]
        stands = self._best([(atoms, atoms, atoms.size * bits) for atoms in typical], rivals.nearest)
        self.arms["prototypes"] = Arm(
            stands, rivals.nearest(self.world.tested.values, stands, MOST), stands.size * bits
        )

    def _trees(self) -> None:
        config, taught, tested = self.config, self.world.taught, self.world.tested
        said = torch.softmax(torch.from_numpy(logits_of(self.teacher, taught.values)), 1).numpy()
        self.tree = soft_tree.distilled(taught.values, said, TREE_EPOCHS, self.seed)
        self.words = soft_tree.retold(self.tree, self.first, RETOLD)
        self.own["soft"] = self._right(self.tree.classes_of(tested.values))
        chosen = soft_tree.top_down(self.tree, self.words, tested.values, self.first, MOST)
        nodes = (self.words.atoms >= 0).sum() * atom_bits(len(self.first), config.coefficient_bits)
        self.arms["soft"] = Arm(self.first, chosen, float(nodes))
        grown = [
            rivals.hard_tree(taught, leaves, config.coefficient_bits, self.seed) for leaves in (8, 16, 32)
        ]
        best = max(
            grown,
            key=lambda each: (
                each.tree.predict(self.world.validated.values) == self.world.validated.labels
            ).mean(),
        )
        self.own["cart"] = self._right(best.tree.predict(tested.values))
        self.fixed["cart"] = (
            best.pictures_of(tested.values),
            best.bits / config.items + math.log2(len(best.means)),
        )
        self.fixed["spanned"] = tested.values, float(tested.values.shape[1] * config.coefficient_bits)

    def _right(self, answers: np.ndarray) -> float:
        return float((answers == self.world.tested.labels).mean())

    def _pursued(self, name: str, atoms: np.ndarray, dictionary: float) -> None:
        self.arms[name] = Arm(atoms, pursue(self.world.tested.values, atoms, MOST), dictionary)

    def _best(
        self, offered: Sequence[tuple[Words, np.ndarray, float]], choose: Callable[..., np.ndarray] = pursue
    ) -> Words:
        """Of vocabularies (itself, its atoms, its bits) the one whose explanations of
        validation items pass most often in the bits of the run.
        """
        validated, config = self.world.validated.values, self.config
        passes = []
        for _, atoms, bits in offered:
            arm = Arm(atoms, np.zeros((0, MOST), np.int64), bits)
            most = arm.affords(config, config.bits)
            chosen = choose(validated, atoms, most) if most else np.full((len(validated), 1), -1)
            found = self._checked(self._checker_validated, atoms, chosen)
            passes.append((found.passed.mean(), found.energy.mean()))  # where none passes, what explains most
        return offered[max(range(len(offered)), key=passes.__getitem__)][0]

    @cached_property
    def _checker_validated(self) -> Checker:
        return self._checker(self.world.validated, "validated")

    @cached_property
    def _checker_tested(self) -> Checker:
        return self._checker(self.world.tested, "tested")

    def _checker(self, items: Items, purpose: str) -> Checker:
        return Checker(
            self.judge, items.values, unit_random_sets(self.first, len(items), self.seed, purpose), self.rules
        )

    def _checked(self, checker: Checker, atoms: np.ndarray, chosen: np.ndarray) -> Check:
        weights = quantised(
            coefficients(checker.items, atoms, chosen), self.config.coefficient_bits, self.limit
        )
        return checker(pictured(atoms, chosen, weights), (chosen < 0).all(1))

    @cached_property
    def _found_fixed(self) -> dict[str, tuple[Check, int, float]]:
        none = np.zeros(len(self.world.tested), bool)
        return {
            name: (self._checker_tested(pictures, none), 1, spent)
            for name, (pictures, spent) in self.fixed.items()
        }

    def explain(self, bits: float) -> dict[str, tuple[Check, int, float]]:
        """Every arm within so many bits an item: what f finds on the test items, atoms
        an explanation, bits an item.
        """
        values, found = self.world.tested.values, {}
        for name, arm in self.arms.items():
            count = arm.affords(self.config, bits)
            chosen = arm.chosen[:, :count] if count else np.full((len(values), 1), -1)
            spent = arm.dictionary / self.config.items + count * atom_bits(
                len(arm.atoms), self.config.coefficient_bits
            )
            found[name] = self._checked(self._checker_tested, arm.atoms, chosen), count, spent
        return found | self._found_fixed

    def measure(self) -> np.ndarray:
        """Every measure of every arm in the bits of the run, float32 (A, K), 0 where an
        arm has no such measure.
        """
        table = np.zeros((len(ARMS), len(MEASURES)), np.float32)

        def put(arm: str, **values: float) -> None:
            for measure, value in values.items():
                table[ARMS.index(arm), MEASURES.index(measure)] = value

        for arm, (found, atoms, bits) in self.explain(self.config.bits).items():
            right = self._right(found.label)
            put(
                arm,
                passes=found.passed.mean(),
                energy=found.energy.mean(),
                accuracy=right,
                atoms=atoms,
                bits=bits,
            )
        for arm, accuracy in self.own.items():
            put(arm, accuracy=accuracy)
        for arm, value in self._overlaps().items():
            put(arm, overlap=value)
        if self.world.parts is not None:
            side = self.three.side
            for arm, each in (("three", self.three), ("shuffled", self.control)):
                put(
                    arm,
                    recovered=agreement.recovered(
                        self.world.parts, each.canonical(1) if each.levels else np.empty((0, side**2)), side
                    ),
                )
        put("three", stability=self._stable[0])
        put("flat", stability=self._stable[1])
        return table

    @cached_property
    def _halves(self) -> tuple[Items, Items]:
        taught = self.world.taught
        places = np.arange(len(taught))
        return taught.take(places[::2]), taught.take(places[1::2])

    @cached_property
    def _half_vocabularies(self) -> list[Vocabulary]:
        sizes = tuple(len(level) for level in self.three.levels)
        bits = self.config.coefficient_bits
        return [
            learned(self.world, half, sizes, bits, self.seed, f"half {number}")
            for number, half in enumerate(self._halves)
        ]

    @cached_property
    def _stable(self) -> tuple[float, float]:
        """How alike vocabularies learned from two halves are: three levels, flat
        dictionary.
        """
        one, other = self._half_vocabularies
        depth = min(len(one.levels), len(other.levels))
        levels = [
            agreement.matched(one.canonical(number), other.canonical(number))
            for number in range(1, depth + 1)
        ]
        flats = [
            rivals.flat_dictionary(
                half.values, len(self.flat), self.config.coefficient_bits, self.seed, f"flat half {number}"
            )
            for number, half in enumerate(self._halves)
        ]
        return float(np.mean(levels)) if levels else 0.0, agreement.matched(*flats)

    def _overlaps(self) -> dict[str, float]:
        """Both directions on the same items and on different ones, and two bottom-up
        halves on the same.
        """
        values, side, size = self.world.tested.values, self.three.side, len(self.first)
        atoms, turns = soft_tree.looked_at(self.tree, self.words, values, self.first)
        down = agreement.spectrum(atoms, turns, side, size)
        ups = []
        for vocabulary in (self.three, *self._half_vocabularies):
            arm = Arm(
                vocabulary.atoms, np.zeros((0, MOST), np.int64), vocabulary.bits(self.config.coefficient_bits)
            )
            chosen = pursue(values, vocabulary.atoms, max(1, arm.affords(self.config, self.config.bits)))
            told = agreement.in_first(vocabulary, chosen, coefficients(values, vocabulary.atoms, chosen))
            ups.append(agreement.spectrum(*told, side, size))
        others = np.roll(np.arange(len(values)), 1)
        return {
            "directions": float(agreement.overlap(ups[0], down).mean()),
            "strangers": float(agreement.overlap(ups[0], down[others]).mean()),
            "halves": float(agreement.overlap(ups[1], ups[2]).mean()),
        }

    def shown(self) -> np.ndarray:
        """Atoms of the levels that are there, as pictures uint8 (SHOWN, 16, 16): the
        first of each; 0 for tables.
        """
        pictures = np.zeros((SHOWN, 16, 16), np.uint8)
        if not self.world.of_pictures or not hasattr(self, "three"):
            return pictures
        half = SHOWN // 2
        for number in range(1, len(self.three.levels) + 1):
            atoms = np.clip(self.three.canonical(number)[:half], 0, None)
            scaled = np.rint(255 * atoms / np.maximum(atoms.max(1, keepdims=True), 1e-9)).astype(np.uint8)
            pictures[(number - 1) * half : (number - 1) * half + len(scaled)] = scaled.reshape(-1, 16, 16)
        return pictures


def run(config: HierarchicalExplanationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """The frames of a run."""
    students = [Student(config, seed) for seed in seeds]
    steps = len(STAGES) + len(budgets(config))
    nothing, unmeasured = (
        np.zeros((len(seeds), len(ARMS)), np.float32),
        np.zeros((len(seeds), len(ARMS), len(MEASURES)), np.float32),
    )
    shown = np.zeros((len(seeds), SHOWN, 16, 16), np.uint8)
    for step, stage in enumerate(STAGES, start=1):
        for student in students:
            student.advance(stage)
        shown[0] = students[0].shown()
        judged = np.array([student.judged for student in students], np.float32)
        yield Frame(step, steps, 0.0, judged, nothing.copy(), nothing.copy(), shown.copy(), unmeasured.copy())
    for step, bits in enumerate(budgets(config), start=len(STAGES) + 1):
        passes, energy = nothing.copy(), nothing.copy()
        for row, student in enumerate(students):
            for arm, (found, _, _) in student.explain(bits).items():
                passes[row, ARMS.index(arm)], energy[row, ARMS.index(arm)] = (
                    found.passed.mean(),
                    found.energy.mean(),
                )
        measured = (
            np.stack([student.measure() for student in students]) if step == steps else unmeasured.copy()
        )
        yield Frame(step, steps, float(bits), judged, passes, energy, shown.copy(), measured)
