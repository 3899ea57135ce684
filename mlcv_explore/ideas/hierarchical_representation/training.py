"""The experiment: all arms and seeds on the same batches, and probes of all levels."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data.splits import some_of_each
from mlcv_explore.data.standardised import StandardisedSplit, standardise
from mlcv_explore.ideas.hierarchical_representation import settings as names
from mlcv_explore.ideas.hierarchical_representation.settings import ARMS, MAPPED, Frame
from mlcv_explore.ideas.hierarchical_representation.settings import HierarchicalRepresentationConfig as Config
from mlcv_explore.metrics import linear_probe, ridge_probe
from mlcv_explore.metrics.ridge_probe import leading, span
from mlcv_explore.models import fitted_levels, level_learners
from mlcv_explore.models.level_learners import BATCH, Hyperparameters, Learner, ProbeParts, encoded
from mlcv_explore.models.stacked_autoencoders import Shape
from mlcv_explore.seeds import numpy_stream, stream

LOCAL_WEIGHT = 1.0  # of layer-wise losses beside an end-to-end one
FIXED = ("random", "pca", "kmeans")  # arms that do not change after the start
MOST_FITTED = 500  # training codes from which the leading components are computed
MEASURED = ("accuracy", "leading", "coarse", "error", "pixels", "frozen", "loss")  # fields of a frame


def splits(config: Config, seeds: Sequence[int]) -> list[StandardisedSplit]:
    """Every seed's images: one split for all, or one a seed."""
    whole, flat = data.load(config.dataset), config.network == "dense"
    sizes = names.part_sizes(config)
    own = [seed if config.split == "redrawn" else 0 for seed in seeds]
    parts = {seed: standardise(data.split_own(whole, *sizes, seed), flat) for seed in dict.fromkeys(own)}
    return [parts[seed] for seed in own]


def hyperparameters(config: Config) -> Hyperparameters:
    """What learners take from the settings."""
    image, convolutional = data.entry(config.dataset).shape, config.network == "convolutional"
    shape = Shape(image, config.width, config.levels, convolutional)
    return Hyperparameters(shape, config.learning_rate, config.noise, LOCAL_WEIGHT)


def learner(arm: str, settings: Hyperparameters, seeds: Sequence[int], classes: int) -> Learner:
    """The learner of one arm; all with gradients start from equal weights."""
    objective, _, target = arm.partition("_")
    if arm in names.OBJECTIVES:
        return level_learners.Autoencoder(settings, seeds, objective, target or "code")
    others = {
        "committed": partial(level_learners.Autoencoder, objective="global", clipped=True),
        "denoising": partial(level_learners.Autoencoder, objective="greedy", denoising=True),
        "contrastive": level_learners.Contrastive,
        "pca": fitted_levels.PCA,
        "kmeans": fitted_levels.KMeans,
        "random": level_learners.GradientLearner,
        "supervised": partial(level_learners.Supervised, classes=classes),
    }
    return others[arm](settings, seeds)


class Trainer:
    """All arms of a run, and their latest measurements, named as in a frame."""

    def __init__(self, config: Config, seeds: Sequence[int]) -> None:
        self.config, self.seeds = config, tuple(seeds)
        self.splits, self.groups = splits(config, seeds), names.coarse_places(config.dataset)
        self.labels, known = [], []  # of the labelled, the validation and the test part; labelled images
        for seed, own in zip(seeds, self.splits, strict=True):
            some = some_of_each(own.labels, config.labels, numpy_stream(seed, "labelled"))
            self.labels.append((own.labels[some], own.validation_labels, own.test_labels))
            known.append(own.train[some])
        self.known, (self.train_images, self.validation, self.test) = torch.stack(known), self._parts()
        settings = hyperparameters(config)
        self.learners = {
            arm: learner(arm, settings, seeds, names.classes_of(config)) for arm in names.arms(config)
        }
        for own in self.learners.values():
            own.fit(self.train_images)
        self.orders = [stream(seed, "batches") for seed in seeds]
        shape = (len(seeds), len(ARMS), config.levels)
        self.loss = np.zeros((*shape[:2], config.levels + 1), np.float32)
        self.accuracy, self.leading, self.coarse, self.error = (np.zeros(shape, np.float32) for _ in range(4))
        self.pixels, self.frozen = (np.zeros((len(seeds), size), np.float32) for size in (3, config.levels))
        self.updates = np.zeros(shape, np.int32)
        self.probed = 0

    def _parts(self) -> tuple[torch.Tensor, ...]:
        """(S, n, …) of each part, without copies where all seeds share the images."""
        every = ([own.train, own.validation, own.test] for own in self.splits)
        parts = zip(*(every if self.config.split == "redrawn" else [next(every)]), strict=True)
        return tuple(
            torch.stack(own) if len(own) > 1 else own[0].expand(len(self.seeds), *own[0].shape)
            for own in parts
        )

    def train(self) -> None:
        """One epoch of all arms in one order. Raises FloatingPointError."""
        config = self.config
        images = len(self.splits[0].train)
        order = torch.stack([torch.randperm(images, generator=own) for own in self.orders])
        sums, batches = np.zeros_like(self.loss), 0
        for chosen in order.split(config.batch_size, dim=1):
            pairs = list(zip(self.splits, chosen, strict=True))
            batch = torch.stack([own.train[index] for own, index in pairs])
            labels = torch.stack([torch.from_numpy(own.labels[index]) for own, index in pairs])
            batches += 1
            for arm, own in self.learners.items():
                own.step(batch, labels)
                for term, value in own.losses.items():
                    level = int(term.removeprefix("level")) - 1 if term.startswith("level") else -1
                    sums[:, ARMS.index(arm), level] += value.numpy()
        self.loss = sums / batches
        for arm, own in self.learners.items():
            self.updates[:, ARMS.index(arm)] = own.updates
            diverged = not np.isfinite(self.loss[:, ARMS.index(arm)]).all() or (
                own.losses and not torch.isfinite(own.encode(batch)[-1]).all()
            )
            if diverged:
                raise FloatingPointError(
                    f"The arm {arm} diverged: its loss is no longer a number; lower learning_rate"
                    f" ({config.learning_rate:g})."
                )

    def frame(self, epoch: int) -> Frame:
        """The state of all arms; numbers of probes stay until the next are fitted."""
        if epoch in names.probe_epochs(self.config):
            self._probe(epoch)
        count, levels = len(self.seeds), self.config.levels
        image = data.entry(self.config.dataset).shape
        placed, reconstructed = (min(most, self.validation.shape[1]) for most in (names.PLACED, names.SHOWN))
        places = np.zeros((count, len(MAPPED), levels, placed, 2), np.float32)
        shown = np.zeros((count, len(MAPPED), levels, reconstructed, *image), np.int8)
        labels = np.zeros((count, placed), np.int16)
        labels[0] = self.splits[0].validation_labels[:placed]
        for place, arm in enumerate(MAPPED):
            own = self.learners[arm]
            codes = own.encode(self.validation[:, :placed])
            for level, code in enumerate(codes):
                first = code[0].flatten(1).numpy()
                places[0, place, level] = linear_probe.principal_components(first, 2).transform(first)
                decoded = own.decode(level, code[:, :reconstructed])
                if decoded is not None:
                    shades = (names.SHADES * decoded[0].reshape(reconstructed, *image)).round()
                    shown[0, place, level] = shades.clamp(-127, 127).numpy()
        measured = {name: getattr(self, name).copy() for name in (*MEASURED, "updates")}
        return Frame(
            epoch, self.config.epochs, self.probed, labels=labels, places=places, shown=shown, **measured
        )

    def _probe(self, epoch: int) -> None:
        """Fine classes at every level of every arm; at the end a probe of the leading
        components, coarse classes and the original code's frozen probe too.
        """
        last = epoch == self.config.epochs
        for arm, own in self.learners.items():
            if not last and (arm in FIXED) == bool(epoch):
                continue
            place = ARMS.index(arm)
            codes = encoded(own, self.known)
            whole, components = self._features(own, codes, last)
            if last:
                self.error[:, place] = self._errors(own)
            for level, features in enumerate(whole):
                at = slice(None), place, level
                self.accuracy[at] = self._accuracies(features)
                if last:
                    self.leading[at] = self._accuracies(components[level])
                    self.coarse[at] = self._coarse_accuracies(features, self.accuracy[at])
                if last and arm == "committed":
                    generators = [numpy_stream(seed, f"frozen probe {level}") for seed in self.seeds]
                    given = zip(features, self.labels, generators, strict=True)
                    self.frozen[:, level] = [linear_probe.bias_only_accuracy(*probe) for probe in given]
        if not epoch:  # all others start from the control's weights
            changing = [place for place, arm in enumerate(ARMS) if arm in self.learners and arm not in FIXED]
            self.accuracy[:, changing] = self.accuracy[:, [ARMS.index("random")]]
        if not epoch or last:
            (features,), components = self._features(level_learners.Input(), [self.known], last)
            self.pixels[:, 0] = self._accuracies(features)
            if last:
                self.pixels[:, 1] = self._accuracies(components[0])
                self.pixels[:, 2] = self._coarse_accuracies(features, self.pixels[:, 0])
        self.probed = epoch

    def _features(
        self, own: Learner, known: Sequence[torch.Tensor], components: bool
    ) -> tuple[list[ProbeParts], list[ProbeParts]]:
        """A probe's features at every level: the whole code, from the labelled images'
        codes (S, n, …), then leading components of training codes if asked for.
        """
        bases = [[span(code) for code in level.flatten(2).numpy()] for level in known]
        pairs = [level_learners.projected(own, bases, [self.known, self.validation, self.test])]
        if components:
            trained = encoded(own, self.train_images[:, :MOST_FITTED])
            count = linear_probe.COMPONENTS
            bases = [[leading(code, count) for code in level.flatten(2).numpy()] for level in trained]
            pairs.append(level_learners.projected(own, bases, [self.known, self.validation, self.test]))
        return pairs[0], pairs[-1]

    def _errors(self, own: Learner) -> np.ndarray:
        """(S, L) mean squared error of test images; 0 where nothing decodes."""
        sums = np.zeros((len(self.seeds), self.config.levels))
        for images in self.test.split(BATCH, dim=1):
            for level, code in enumerate(own.encode(images)):
                decoded = own.decode(level, code)
                if decoded is not None:
                    errors = (decoded.flatten(2) - images.flatten(2)).square_().mean(2)
                    sums[:, level] += errors.sum(1).numpy()
        return sums / self.test.shape[1]

    def _accuracies(self, features: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """(S,) of every seed's probe of fine classes."""
        pairs = zip(features, self.labels, strict=True)
        return np.array([ridge_probe.probe_accuracy(own, labels) for own, labels in pairs])

    def _coarse_accuracies(self, features: Sequence[Sequence[np.ndarray]], fine: np.ndarray) -> np.ndarray:
        """(S,) of coarse classes: the fine ones' where these are no coarser."""
        if len(set(self.groups.tolist())) == len(self.groups):
            return fine
        labels = [[self.groups[part] for part in own] for own in self.labels]
        pairs = zip(features, labels, strict=True)
        return np.array([ridge_probe.probe_accuracy(own, groups) for own, groups in pairs])
