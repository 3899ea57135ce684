"""One run: dictionaries are learned and held against each other at equal bits; then,
unless the epochs are 0, networks are trained, f is applied to explanations, and trees are
compared with them.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache, partial

import numpy as np
import torch

from mlcv_explore.ideas import hierarchical_explanation as names
from mlcv_explore.ideas.hierarchical_explanation import Frame, codes
from mlcv_explore.ideas.hierarchical_explanation import HierarchicalExplanationConfig as Experiment
from mlcv_explore.metrics import dictionaries
from mlcv_explore.models import item_codes, vector_classifiers, vector_sets
from mlcv_explore.models.decision_trees import NeuralBackedTree, distil, shuffled_merges
from mlcv_explore.models.hierarchical_dictionary import Dictionary, learn
from mlcv_explore.models.item_codes import BUDGETS, Code, Curve
from mlcv_explore.models.sparse_coding import bits_per_atom, coefficients
from mlcv_explore.models.vector_classifiers import predict_logits
from mlcv_explore.saliency import tree_paths
from mlcv_explore.saliency.acceptance import Check, Checker, Rules, unit_random_sets
from mlcv_explore.seeds import numpy_stream, stream

FILTER_ATOMS = 8  # strokes that a node's filter is written in
TREE_EPOCHS = 40
REMEMBERED = 64  # seeds whose curves are kept: they serve every N and all bits
Curves = dict[str, list[Curve]]


def learned(config: Experiment, seed: int) -> tuple[vector_sets.VectorSet, dict[str, list[Code]], Curves]:
    """One seed's items, every arm's codes, and their curves on validation and test items.
    Raises DataError, SettingError.
    """
    dataset = vector_sets.load(config.dataset, config.sizes, seed)
    values = dataset.train.values
    level_zero = vector_sets.level_zero(dataset.side, values.shape[1])
    by_arm = codes.offered(level_zero, values, config.coefficient_bits, seed)
    held_out = dataset.validation.values, dataset.test.values
    curves = {arm: [Curve.of(code, *held_out) for code in offered] for arm, offered in by_arm.items()}
    return dataset, codes.pooled(by_arm), codes.pooled(curves)


def drawn(levels: Dictionary) -> np.ndarray:
    """The first atoms of each level as images uint8 (SHOWN, 16, 16); 0 for tables."""
    images, half = np.zeros((names.SHOWN, 16, 16), np.uint8), names.SHOWN // 2
    for number in range(1, len(levels.levels) + 1 if levels.side else 0):
        atoms = np.clip(levels.canonical(number)[:half], 0, None)
        scaled = np.rint(255 * atoms / np.maximum(atoms.max(1, keepdims=True), 1e-9)).astype(np.uint8)
        images[(number - 1) * half :][: len(scaled)] = scaled.reshape(-1, 16, 16)
    return images


def recovered(dataset: vector_sets.VectorSet, code: Code) -> float:
    """Share of the grammar's parts among a code's parts; 0 where there is no grammar."""
    if dataset.parts is None or not code.source.levels:
        return 0.0
    return dictionaries.recovered_share(dataset.parts, code.source.canonical(1), dataset.side)


@lru_cache(REMEMBERED)
def _kept(key: str, seed: int) -> tuple[Curves, list[np.ndarray], dict[str, list[float]]]:
    """The curves of a run whose config has this JSON, the atoms to show of each
    dictionary of three levels, and the parts that hierarchies recover.
    """
    dataset, by_arm, curves = learned(Experiment.model_validate_json(key), seed)
    shares = {arm: [recovered(dataset, code) for code in by_arm[arm]] for arm in names.HIERARCHIES}
    return curves, [drawn(code.source) for code in by_arm["three"]], shares


class Trainer:
    """One seed's share of a run."""

    def __init__(self, config: Experiment, seed: int) -> None:
        self.config, self.seed = config, seed
        self.classifier_accuracy = 0.0  # on validation items
        self.own: dict[str, float] = {}  # arm → accuracy of its own prediction
        self.checks: dict[str, Check] = {}  # arm → f on the test items

    def advance(self, stage: str) -> None:
        """The next stage of training."""
        getattr(self, f"_{stage}")()

    def _levels(self) -> None:
        config = self.config
        if not config.epochs:  # N, bits and f change no curve
            same = config.replace(**{name: config.setting(name).default for name in ("items", "bits")})
            self.curves, drawings, shares = _kept(same.canonical(), self.seed)
            self.shown = drawings[self._best("three")]
            self.recovered = {arm: shares[arm][self._best(arm)] for arm in names.HIERARCHIES}
            return
        self.dataset, self.codes, self.curves = learned(config, self.seed)
        self.first, self.three = self.codes["strokes"][0].atoms, self.code("three").source
        self.shown = drawn(self.three)
        self.recovered = {arm: recovered(self.dataset, self.code(arm)) for arm in names.HIERARCHIES}
        self.rules = Rules(config.energy, config.drop)
        self.network_arguments = len(self.dataset.classes), self.dataset.side, config.epochs, self.seed

    def _best(self, arm: str) -> int:
        return item_codes.best(self.curves[arm], self.config.bits, self.config.items)

    def code(self, arm: str) -> Code:
        """The code that an arm chooses for the bits of the run, on validation items."""
        return self.codes[arm][self._best(arm)]

    def energy(self, bits: float) -> dict[str, float]:
        """Arm → mean share of the energy of test items with so many bits an item."""
        items, energies = self.config.items, {}
        for arm, curves in self.curves.items():
            curve = curves[item_codes.best(curves, bits, items)] if curves else None
            energies[arm] = curve.energy(curve.test, bits, items) if curve else 0.0
        return energies

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
        for arm in names.CODED:
            if self.codes[arm]:
                code, curve = self.code(arm), self.curves[arm][self._best(arm)]
                atoms = curve.atoms(self.config.bits, self.config.items)
                self.checks[arm] = self._checked(code, code.choose(self.dataset.test.values), atoms)

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

    def _trees(self) -> None:
        train, test = self.dataset.train, self.dataset.test
        logits = predict_logits(self.teacher, train.values)
        probabilities = torch.softmax(torch.from_numpy(logits), 1).numpy()
        self.tree = distil(train.values, probabilities, TREE_EPOCHS, self.seed)
        self.filters = tree_paths.sparse_filters(self.tree, self.first, FILTER_ATOMS)
        self.own["soft"] = self._accuracy(self.tree.predict(test.values))
        code, most = self.codes["strokes"][0], int(BUDGETS[-1] // self.codes["strokes"][0].atom_bits) + 1
        chosen = tree_paths.strongest_atoms(self.tree, self.filters, test.values, self.first, most)
        nodes = float((self.filters.atoms >= 0).sum() * bits_per_atom(len(self.first), code.bits))
        self.path = Curve(nodes, code.atom_bits, np.zeros(most + 1), np.zeros(most + 1))
        atoms = self.path.atoms(self.config.bits, self.config.items)
        self.checks["soft"] = self._checked(code, chosen, atoms)

    def _accuracy(self, predicted: np.ndarray) -> float:
        return float((predicted == self.dataset.test.labels).mean())

    @cached_property
    def _checker(self) -> Checker:
        """f on the test items, with random sets of its own stream."""
        items = self.dataset.test.values
        random = unit_random_sets(self.first, len(items), self.seed, "tested")
        return Checker(self.classifier, items, random, self.rules)

    def _checked(self, code: Code, chosen: np.ndarray, atoms: float) -> Check:
        """f of codes (n, m) cut to so many atoms on average: of items in random order some
        keep one more.
        """
        values, whole = self.dataset.test.values, int(atoms)
        order = numpy_stream(self.seed, "one atom more").permutation(len(values))
        kept = whole + (order < round((atoms - whole) * len(values)))
        chosen = np.where(np.arange(chosen.shape[1]) < kept[:, None], chosen, -1)
        return self._checker(code.reconstruct(values, chosen), (chosen < 0).all(1))

    def measure(self) -> np.ndarray:
        """Every measure of every arm with the bits of the run, float32 (A, K), 0 where
        an arm has no such measure.
        """
        given, values = (self.config.bits, self.config.items), {}
        chosen = {arm: curves[self._best(arm)] for arm, curves in self.curves.items() if curves}
        for arm, energy in self.energy(given[0]).items():
            values[arm, "energy"] = energy
        for arm, curve in (chosen | ({"soft": self.path} if self.checks else {})).items():
            values |= {(arm, "atoms"): curve.atoms(*given), (arm, "bits"): curve.spent(*given)}
        for arm, check in self.checks.items():
            values |= {(arm, "passes"): check.passed.mean(), (arm, "accuracy"): self._accuracy(check.label)}
            if arm == "soft":
                values[arm, "energy"] = check.energy.mean()
            for threshold in codes.THRESHOLDS:
                passed = check.passed_at(threshold / 100)
                values[arm, f"passes{threshold}"] = passed.mean()
        values |= {(arm, "accuracy"): accuracy for arm, accuracy in self.own.items()}
        values |= {(arm, "recovered"): share for arm, share in self.recovered.items()}
        if self.checks:
            values |= {(arm, "overlap"): share for arm, share in self._overlaps().items()}
        table = np.zeros((len(names.ARMS), len(names.MEASURES)), np.float32)
        for (arm, measure), value in values.items():
            table[names.ARMS.index(arm), names.MEASURES.index(measure)] = value
        return table

    @cached_property
    def _halves(self) -> list[Dictionary]:
        """Levels of the same sizes learned from either half of the training items."""
        sizes = tuple(len(level) for level in self.three.levels)
        first, bits, values = self.three.up_to(0), self.config.coefficient_bits, self.dataset.train.values
        return [
            learn(first, values[number::2].copy(), (sizes,), bits, self.seed, f"half {number}")[0]
            for number in range(2)
        ]

    def _overlaps(self) -> dict[str, float]:
        """Shared strokes of both directions on the same items and on different ones,
        and of two bottom-up dictionaries on the same.
        """
        values, bits, config = self.dataset.test.values, self.config.coefficient_bits, self.config
        histogram = partial(dictionaries.orientation_histogram, side=self.dataset.side, count=len(self.first))
        down = histogram(*tree_paths.path_atoms(self.tree, self.filters, values, self.first))
        ups = []
        for levels in (self.three, *self._halves):
            code = Code(levels.atoms, levels.bits(bits), self.code("three").limits, bits)
            left = (config.bits - code.dictionary / config.items) / code.atom_bits
            chosen = code.choose(values)[:, : max(1, int(left))]
            ups.append(histogram(*levels.code_in_first(chosen, coefficients(values, code.atoms, chosen))))
        others = np.roll(np.arange(len(values)), 1)
        pairs = {"directions": (ups[0], down), "strangers": (ups[0], down[others]), "halves": ups[1:]}
        return {name: float(dictionaries.intersection(*pair).mean()) for name, pair in pairs.items()}


def run(config: Experiment, seeds: Sequence[int]) -> Iterator[Frame]:
    """The frames of a run."""
    trainers = [Trainer(config, seed) for seed in seeds]
    trained, none = names.stages(config), np.zeros((len(seeds), len(names.ARMS)), np.float32)
    unmeasured = np.zeros((len(seeds), len(names.ARMS), len(names.MEASURES)), np.float32)
    shown = np.zeros((len(seeds), names.SHOWN, 16, 16), np.uint8)
    steps = len(trained) + len(BUDGETS)
    for step, stage in enumerate(trained, start=1):
        for trainer in trainers:
            trainer.advance(stage)
        shown[0] = trainers[0].shown
        accuracy = np.array([trainer.classifier_accuracy for trainer in trainers], np.float32)
        yield Frame(step, steps, 0.0, accuracy, none.copy(), shown.copy(), unmeasured.copy())
    for step, bits in enumerate(BUDGETS, start=len(trained) + 1):
        energy, measured = none.copy(), unmeasured.copy()
        for row, trainer in enumerate(trainers):
            for arm, share in trainer.energy(bits).items():
                energy[row, names.ARMS.index(arm)] = share
            if step == steps:
                measured[row] = trainer.measure()
        yield Frame(step, steps, float(bits), accuracy, energy, shown.copy(), measured)
