"""The experiment: every arm of all seeds in lock step, and what linear probes read from
its levels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data.coarse import coarse
from mlcv_explore.ideas.hierarchical_representation import (
    ARMS,
    MAPPED,
    PLACED,
    SHADES,
    SHOWN,
    WIRINGS,
    Frame,
    HierarchicalRepresentationConfig,
    classes_of,
    frame_epochs,
    held_out,
    probe_epochs,
)
from mlcv_explore.ideas.hierarchical_representation.learners import (
    Autoencoder,
    Centroids,
    Contrastive,
    Learner,
    Principal,
    Recipe,
    Supervised,
    Untrained,
)
from mlcv_explore.ideas.hierarchical_representation.levels import Shape
from mlcv_explore.metrics import linear_probe
from mlcv_explore.seeds import numpy_stream, stream

MOST_FITTED = 1000  # training codes that the leading components are found in
AT_ONCE = 500  # pictures encoded together
SCALING_ROUNDS = 100  # of the fit of a bias alone; it converges in about ten


@dataclass(frozen=True, eq=False)
class Task:
    """One seed's pictures, standardised by the training part, and what probes may know
    of them.
    """

    train: torch.Tensor  # (n, …) float32, mean 0 and variance 1 in every channel over the part
    labels: torch.Tensor  # (n,) int64; learners do not see them, but for the supervised bound
    labelled: np.ndarray  # (K · labels,) places in the training part whose labels a probe is given
    validated: torch.Tensor
    validation_labels: np.ndarray
    tested: torch.Tensor
    test_labels: np.ndarray
    groups: np.ndarray  # (K,) int64, the coarse class of each class
    mean: torch.Tensor  # (channels, 1, 1) of the training part's pixels in [0, 1]
    spread: torch.Tensor

    def parts(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """What a probe needs: training pictures to find components in, those with a
        label, validation and test pictures.
        """
        return self.train[:MOST_FITTED], self.train[self.labelled], self.validated, self.tested


def tasks(config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> list[Task]:
    """Every seed's data: one split for all, or one a seed; which training pictures have
    a label is drawn for every seed.
    """
    dataset, groups = data.load(config.dataset), coarse(config.dataset)[1]
    own = {seed: seed if config.split == "redrawn" else 0 for seed in seeds}
    parts = {
        split: data.split(dataset, config.train_size, *held_out(config.dataset), split)
        for split in dict.fromkeys(own.values())
    }
    pictures = {split: _standardised(part, config.network == "dense") for split, part in parts.items()}
    return [_task(config, seed, parts[own[seed]], pictures[own[seed]], groups) for seed in seeds]


def _task(
    config: HierarchicalRepresentationConfig,
    seed: int,
    part: data.Split,
    pictures: Mapping[str, torch.Tensor],
    groups: np.ndarray,
) -> Task:
    return Task(
        labels=torch.from_numpy(part.train.labels),
        labelled=some_of_each(part.train.labels, config.labels, numpy_stream(seed, "labelled")),
        validation_labels=part.validation.labels,
        test_labels=part.test.labels,
        groups=groups,
        **pictures,
    )


def _standardised(part: data.Split, flat: bool) -> dict[str, torch.Tensor]:
    """The three parts' pictures, with mean and deviation of each channel over the
    training part alone.
    """
    train = part.train.as_float()
    mean, spread = (of(train.transpose(0, 1).flatten(1), 1).view(-1, 1, 1) for of in (torch.mean, torch.std))
    parts = {"train": train, "validated": part.validation.as_float(), "tested": part.test.as_float()}
    pictures = {name: (values - mean) / spread for name, values in parts.items()}
    return {name: values.flatten(1) if flat else values for name, values in pictures.items()} | {
        "mean": mean,
        "spread": spread,
    }


def some_of_each(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Places of `count` items of every class, drawn without replacement."""
    return np.concatenate(
        [rng.choice(np.flatnonzero(labels == each), count, replace=False) for each in np.unique(labels)]
    )


def recipe_of(config: HierarchicalRepresentationConfig) -> Recipe:
    """What learners take from the settings."""
    shape = Shape(
        data.entry(config.dataset).shape, config.width, config.levels, config.network == "convolutional"
    )
    return Recipe(
        shape,
        config.learning_rate,
        config.noise,
        config.local_weight,
        config.tied,
        config.activation == "linear",
    )


def learner(arm: str, recipe: Recipe, seeds: Sequence[int], classes: int) -> Learner:
    """The learner of one arm; all that descend start from equal weights."""
    if arm in WIRINGS:
        wiring, _, target = arm.partition("_")
        return Autoencoder(recipe, seeds, wiring, target or "code")
    if arm == "committed":
        return Autoencoder(recipe, seeds, "global", clipped=True)
    if arm == "denoising":
        return Autoencoder(recipe, seeds, "greedy", denoising=True)
    if arm == "contrastive":
        return Contrastive(recipe, seeds)
    if arm == "supervised":
        return Supervised(recipe, seeds, classes)
    return (
        Principal(recipe)
        if arm == "pca"
        else Centroids(recipe, seeds)
        if arm == "kmeans"
        else Untrained(recipe, seeds)
    )


def run(config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train every arm on the same batches and probe its levels. Raises
    FloatingPointError with a sentence when an arm diverges.
    """
    course = Course(config, seeds)
    yield course.frame(0)
    for epoch in range(1, config.epochs + 1):
        course.train()
        if epoch in frame_epochs(config):
            yield course.frame(epoch)


class Course:
    """All arms of a run, and the last that was measured of them."""

    def __init__(self, config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> None:
        self.config, self.seeds = config, tuple(seeds)
        self.every = tasks(config, seeds)
        recipe = recipe_of(config)
        self.learners = {arm: learner(arm, recipe, seeds, classes_of(config)) for arm in ARMS}
        pictures = torch.stack([task.train for task in self.every])
        for each in self.learners.values():
            each.begin(pictures)
        self.orders = [stream(seed, "batches") for seed in seeds]
        self.loss = np.zeros((len(seeds), len(ARMS), config.levels + 1), np.float32)
        shape = (len(seeds), len(ARMS), config.levels)
        self.accuracy, self.coarse, self.error = (np.zeros(shape, np.float32) for _ in range(3))
        self.pixels = np.zeros((len(seeds), 2), np.float32)
        self.frozen = np.zeros((len(seeds), config.levels), np.float32)
        self.probed = 0

    def train(self) -> None:
        """One epoch of every arm; every arm sees the same pictures in the same order."""
        config = self.config
        order = torch.stack(
            [torch.randperm(config.train_size, generator=generator) for generator in self.orders]
        )
        sums, batches = np.zeros_like(self.loss), 0
        for chosen in order.split(config.batch_size, dim=1):
            batch = torch.stack([task.train[index] for task, index in zip(self.every, chosen, strict=True)])
            labels = torch.stack([task.labels[index] for task, index in zip(self.every, chosen, strict=True)])
            batches += 1
            for place, each in enumerate(self.learners.values()):
                each.step(batch, labels)
                for term, value in each.told.items():
                    sums[:, place, place_of_term(term, config.levels)] += value.numpy()
        self.loss = sums / batches
        for place, (arm, each) in enumerate(self.learners.items()):
            lost = not np.isfinite(self.loss[:, place]).all() or (
                each.told and not torch.isfinite(each.encode(batch)[-1]).all()
            )
            if lost:
                raise FloatingPointError(
                    f"The arm {arm} diverged: its loss is no longer a number; lower learning_rate"
                    f" ({config.learning_rate:g}) or local_weight ({config.local_weight:g})."
                )

    def frame(self, epoch: int) -> Frame:
        """What all arms have come to; probes are fitted at some frames only, and their
        numbers stand until the next.
        """
        if epoch in probe_epochs(self.config):
            self._probe(epoch)
        count, levels = len(self.seeds), self.config.levels
        channels, height, width = data.entry(self.config.dataset).shape
        places = np.zeros((count, len(MAPPED), levels, PLACED, 2), np.float32)
        shown = np.zeros((count, len(MAPPED), levels, SHOWN, channels, height, width), np.int8)
        labels = np.zeros((count, PLACED), np.int16)
        first = self.every[0]
        labels[0] = first.validation_labels[:PLACED]
        for place, arm in enumerate(MAPPED):
            each = self.learners[arm]
            codes = each.encode(torch.stack([task.validated[:PLACED] for task in self.every]))
            for level, code in enumerate(codes):
                own = code[0].flatten(1).numpy()
                places[0, place, level] = linear_probe.principal_components(own, 2).transform(own)
                decoded = each.decode(level, code[:, :SHOWN])
                if decoded is not None:
                    shown[0, place, level] = (
                        (SHADES * decoded[0].reshape(SHOWN, channels, height, width))
                        .round()
                        .clamp(-127, 127)
                        .numpy()
                    )
        updates = np.broadcast_to(
            np.stack([each.updates for each in self.learners.values()]), (count, len(ARMS), levels)
        )
        return Frame(
            epoch,
            self.config.epochs,
            self.probed,
            self.accuracy.copy(),
            self.coarse.copy(),
            self.error.copy(),
            self.pixels.copy(),
            self.frozen.copy(),
            self.loss.copy(),
            updates.astype(np.int32),
            places,
            labels,
            shown,
        )

    def _probe(self, epoch: int) -> None:
        """Fine classes at every level of every arm; at the end coarse ones too, and
        what the author's probes would have said.
        """
        last = epoch == self.config.epochs
        once = ("random", "pca", "kmeans")  # they do not change after the start
        for arm in ARMS if last else once if not epoch else [arm for arm in ARMS if arm not in once]:
            self._probe_arm(arm, last)
        if not epoch:  # all others start from the control's weights
            self.accuracy[:, [arm not in once for arm in ARMS]] = self.accuracy[:, [ARMS.index("random")]]
        if last or not epoch:
            for seed, task in enumerate(self.every):
                read = Reading.of(*(values.flatten(1).numpy() for values in task.parts()))
                self.pixels[seed] = read.accuracy(task), read.coarse(task) if last else 0.0
        self.probed = epoch

    def _probe_arm(self, arm: str, last: bool) -> None:
        place, each = ARMS.index(arm), self.learners[arm]
        pictures = torch.stack([task.tested for task in self.every])
        codes = encoded(each, pictures)
        for level, code in enumerate(codes):
            decoded = each.decode(level, code)
            if decoded is not None:
                self.error[:, place, level] = (
                    (decoded.flatten(2) - pictures.flatten(2)).square().mean((1, 2)).numpy()
                )
        for level, column in enumerate(self.readings(each, codes)):
            for seed, (task, read) in enumerate(zip(self.every, column, strict=True)):
                self.accuracy[seed, place, level] = read.accuracy(task)
                if last:
                    self.coarse[seed, place, level] = read.coarse(task)
                if last and arm == "committed":
                    self.frozen[seed, level] = read.frozen_accuracy(
                        task, numpy_stream(self.seeds[seed], f"frozen probe {level}")
                    )

    def readings(self, each: Learner, tested: list[torch.Tensor]) -> list[list["Reading"]]:
        """Of every level, one reading a seed."""
        parts = [
            encoded(each, torch.stack(part))
            for part in zip(*(task.parts()[:-1] for task in self.every), strict=True)
        ]
        return [
            [
                Reading.of(*(part[level][seed].flatten(1).numpy() for part in (*parts, tested)))
                for seed in range(len(self.every))
            ]
            for level in range(self.config.levels)
        ]


@dataclass(frozen=True, eq=False)
class Reading:
    """One level's codes cut to the leading components of its training codes, as probes
    see them.
    """

    labelled: np.ndarray  # (m, k)
    validated: np.ndarray
    tested: np.ndarray

    @classmethod
    def of(cls, fitted: np.ndarray, *parts: np.ndarray) -> "Reading":
        """Components are those of training codes; the labelled, the validated and the
        tested are only projected.
        """
        components = linear_probe.principal_components(fitted)
        return cls(*map(components.of, parts))

    def accuracy(self, task: Task) -> float:
        """Share of the test pictures named right by a probe on the labelled ones, its
        strength chosen on validation pictures.
        """
        labels = task.labels.numpy()[task.labelled]
        said = linear_probe.probe(
            self.labelled, labels, self.validated, task.validation_labels, self.tested
        ).argmax(1)
        return float((said == task.test_labels).mean())

    def coarse(self, task: Task) -> float:
        """The same for coarse classes."""
        labels, validation_labels, test_labels = (
            task.groups[own]
            for own in (task.labels.numpy()[task.labelled], task.validation_labels, task.test_labels)
        )
        return float(
            (
                linear_probe.probe(
                    self.labelled, labels, self.validated, validation_labels, self.tested
                ).argmax(1)
                == test_labels
            ).mean()
        )

    def frozen_accuracy(self, task: Task, rng: np.random.Generator) -> float:
        """The author's misspelt probe: a linear layer whose weight stays as it was
        drawn, and only the bias learns.
        """
        labels = task.labels.numpy()[task.labelled]
        weight = rng.uniform(-1, 1, (self.labelled.shape[1], len(task.groups))) / np.sqrt(
            self.labelled.shape[1]
        )
        bias = fitted_bias(self.labelled @ weight, labels)
        return float(((self.tested @ weight + bias).argmax(1) == task.test_labels).mean())


def fitted_bias(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The bias (K,) of the greatest likelihood for fixed logits (n, K), by iterative
    scaling: predicted classes become as frequent as true ones.
    """
    frequent = np.bincount(labels, minlength=logits.shape[1]) / len(labels)
    bias = np.zeros(logits.shape[1])
    for _ in range(SCALING_ROUNDS):
        shares = np.exp(logits + bias - (logits + bias).max(1, keepdims=True))
        bias += np.log(frequent + 1e-12) - np.log((shares / shares.sum(1, keepdims=True)).mean(0) + 1e-12)
    return bias


def encoded(each: Learner, pictures: torch.Tensor) -> list[torch.Tensor]:
    """Every level's codes (S, n, …) of pictures (S, n, …), some at a time."""
    parts = [each.encode(part) for part in pictures.split(AT_ONCE, dim=1)]
    return [torch.cat(level, dim=1) for level in zip(*parts, strict=True)]


def place_of_term(term: str, levels: int) -> int:
    """Where a loss stands in a frame: the levels' own in their order, then the one at
    the far end or on top.
    """
    return int(term.removeprefix("level")) - 1 if term.startswith("level") else levels
