"""The experiment: every arm of all seeds on the same batches, and linear probes of all
levels.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data.splits import some_of_each
from mlcv_explore.data.standardised import StandardisedSplit, standardise
from mlcv_explore.ideas.hierarchical_representation.settings import (
    ARMS,
    MAPPED,
    OBJECTIVES,
    PLACED,
    SHADES,
    SHOWN,
    Frame,
    HierarchicalRepresentationConfig,
    classes_of,
    coarse_places,
    part_sizes,
    probe_epochs,
)
from mlcv_explore.metrics import linear_probe
from mlcv_explore.models import fitted_levels, level_learners
from mlcv_explore.models.level_learners import Autoencoder, Hyperparameters, Learner, encoded
from mlcv_explore.models.stacked_autoencoders import Shape
from mlcv_explore.seeds import numpy_stream, stream

FIXED = ("random", "pca", "kmeans")  # arms that do not change after the start
MOST_FITTED = 1000  # training codes from which the leading components are computed
MEASURED = ("accuracy", "coarse", "error", "pixels", "frozen", "loss")  # fields of a frame


def splits(config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> list[StandardisedSplit]:
    """Every seed's images: one split for all, or one a seed."""
    whole, flat = data.load(config.dataset), config.network == "dense"
    sizes = part_sizes(config)
    own = [seed if config.split == "redrawn" else 0 for seed in seeds]
    parts = {seed: standardise(data.split_own(whole, *sizes, seed), flat) for seed in dict.fromkeys(own)}
    return [parts[seed] for seed in own]


def hyperparameters(config: HierarchicalRepresentationConfig) -> Hyperparameters:
    """What learners take from the settings."""
    image, convolutional = data.entry(config.dataset).shape, config.network == "convolutional"
    shape, linear = Shape(image, config.width, config.levels, convolutional), config.activation == "linear"
    rates = config.learning_rate, config.noise, config.local_weight
    return Hyperparameters(shape, *rates, config.tied, linear)


def learner(arm: str, settings: Hyperparameters, seeds: Sequence[int], classes: int) -> Learner:
    """The learner of one arm; all with gradients start from equal weights."""
    objective, _, target = arm.partition("_")
    if arm in OBJECTIVES:
        return Autoencoder(settings, seeds, objective, target or "code")
    others = {
        "committed": partial(Autoencoder, objective="global", clipped=True),
        "denoising": partial(Autoencoder, objective="greedy", denoising=True),
        "contrastive": level_learners.Contrastive,
        "pca": fitted_levels.PCA,
        "kmeans": fitted_levels.KMeans,
        "random": level_learners.GradientLearner,
        "supervised": partial(level_learners.Supervised, classes=classes),
    }
    return others[arm](settings, seeds)


class Trainer:
    """All arms of a run, and their latest measurements, named as in a frame."""

    def __init__(self, config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> None:
        self.config, self.seeds = config, tuple(seeds)
        self.splits, self.groups = splits(config, seeds), coarse_places(config.dataset)
        # what probes need: training images for the components, then images and labels of the
        # labelled, the validation and the test part
        self.labels, parts = [], []
        for seed, own in zip(seeds, self.splits, strict=True):
            some = some_of_each(own.labels, config.labels, numpy_stream(seed, "labelled"))
            self.labels.append((own.labels[some], own.validation_labels, own.test_labels))
            parts.append((own.train[:MOST_FITTED], own.train[some], own.validation, own.test))
        self.parts = [torch.stack(part) for part in zip(*parts, strict=True)]
        settings = hyperparameters(config)
        self.learners = {arm: learner(arm, settings, seeds, classes_of(config)) for arm in ARMS}
        images = torch.stack([own.train for own in self.splits])
        for own in self.learners.values():
            own.fit(images)
        self.orders = [stream(seed, "batches") for seed in seeds]
        shape = (len(seeds), len(ARMS), config.levels)
        self.loss = np.zeros((*shape[:2], config.levels + 1), np.float32)
        self.accuracy, self.coarse, self.error = (np.zeros(shape, np.float32) for _ in range(3))
        self.pixels, self.frozen = (np.zeros((len(seeds), size), np.float32) for size in (2, config.levels))
        self.probed = 0

    def train(self) -> None:
        """One epoch of every arm on the same images in the same order. Raises
        FloatingPointError with a sentence when an arm diverges.
        """
        config = self.config
        images = len(self.splits[0].train)
        order = torch.stack([torch.randperm(images, generator=own) for own in self.orders])
        sums, batches = np.zeros_like(self.loss), 0
        for chosen in order.split(config.batch_size, dim=1):
            pairs = list(zip(self.splits, chosen, strict=True))
            batch = torch.stack([own.train[index] for own, index in pairs])
            labels = torch.stack([torch.from_numpy(own.labels[index]) for own, index in pairs])
            batches += 1
            for place, own in enumerate(self.learners.values()):
                own.step(batch, labels)
                for term, value in own.losses.items():
                    level = int(term.removeprefix("level")) - 1 if term.startswith("level") else -1
                    sums[:, place, level] += value.numpy()
        self.loss = sums / batches
        for place, (arm, own) in enumerate(self.learners.items()):
            diverged = not np.isfinite(self.loss[:, place]).all() or (
                own.losses and not torch.isfinite(own.encode(batch)[-1]).all()
            )
            if diverged:
                raise FloatingPointError(
                    f"The arm {arm} diverged: its loss is no longer a number; lower learning_rate"
                    f" ({config.learning_rate:g}) or local_weight ({config.local_weight:g})."
                )

    def frame(self, epoch: int) -> Frame:
        """The state of all arms; probes are fitted at some frames only, and their
        numbers stay until the next.
        """
        if epoch in probe_epochs(self.config):
            self._probe(epoch)
        count, levels = len(self.seeds), self.config.levels
        image = data.entry(self.config.dataset).shape
        placed, reconstructed = (min(most, len(self.splits[0].validation)) for most in (PLACED, SHOWN))
        places = np.zeros((count, len(MAPPED), levels, placed, 2), np.float32)
        shown = np.zeros((count, len(MAPPED), levels, reconstructed, *image), np.int8)
        labels = np.zeros((count, placed), np.int16)
        labels[0] = self.splits[0].validation_labels[:placed]
        for place, arm in enumerate(MAPPED):
            own = self.learners[arm]
            codes = own.encode(torch.stack([part.validation[:placed] for part in self.splits]))
            for level, code in enumerate(codes):
                first = code[0].flatten(1).numpy()
                places[0, place, level] = linear_probe.principal_components(first, 2).transform(first)
                decoded = own.decode(level, code[:, :reconstructed])
                if decoded is not None:
                    shades = (SHADES * decoded[0].reshape(reconstructed, *image)).round()
                    shown[0, place, level] = shades.clamp(-127, 127).numpy()
        updates = np.stack([own.updates.astype(np.int32) for own in self.learners.values()])
        measured = {name: getattr(self, name).copy() for name in MEASURED}
        measured |= {"updates": np.repeat(updates[None], count, 0), "places": places}
        return Frame(epoch, self.config.epochs, self.probed, labels=labels, shown=shown, **measured)

    def _probe(self, epoch: int) -> None:
        """Fine classes at every level of every arm; at the end coarse ones and the
        original code's frozen probe too.
        """
        last, changing = epoch == self.config.epochs, [arm not in FIXED for arm in ARMS]
        for place, (arm, own) in enumerate(self.learners.items()):
            if not (last or changing[place] == bool(epoch)):
                continue
            codes = [encoded(own, part) for part in self.parts]
            for level in range(self.config.levels):
                decoded, at = own.decode(level, codes[-1][level]), (slice(None), place, level)
                if decoded is not None:
                    errors = (decoded.flatten(2) - self.parts[-1].flatten(2)).square().mean((1, 2))
                    self.error[at] = errors.numpy()
                features = self._features([part[level] for part in codes])
                if changing[place] or not self.accuracy[at].any():  # what does not change is probed once
                    self.accuracy[at] = self._accuracies(features)
                if last:
                    self.coarse[at] = self._coarse_accuracies(features, self.accuracy[at])
                if last and arm == "committed":
                    generators = [numpy_stream(seed, f"frozen probe {level}") for seed in self.seeds]
                    given = zip(features, self.labels, generators, strict=True)
                    self.frozen[:, level] = [linear_probe.bias_only_accuracy(*probe) for probe in given]
        if not epoch:  # all others start from the control's weights
            self.accuracy[:, changing] = self.accuracy[:, [ARMS.index("random")]]
        if not epoch:
            self.pixels[:, 0] = self._accuracies(self._features(self.parts))
        if last:
            self.pixels[:, 1] = self._coarse_accuracies(self._features(self.parts), self.pixels[:, 0])
        self.probed = epoch

    def _features(self, codes: Sequence[torch.Tensor]) -> list[list[np.ndarray]]:
        """Of every seed the features of a probe, from codes (S, n, …) of the parts."""
        parts = [part.flatten(2).numpy() for part in codes]
        return [linear_probe.projected(*own) for own in zip(*parts, strict=True)]

    def _accuracies(self, features: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """(S,) of every seed's probe of fine classes."""
        pairs = zip(features, self.labels, strict=True)
        return np.array([linear_probe.probe_accuracy(own, labels) for own, labels in pairs])

    def _coarse_accuracies(self, features: Sequence[Sequence[np.ndarray]], fine: np.ndarray) -> np.ndarray:
        """(S,) of coarse classes: the fine ones' where these are no coarser."""
        if len(set(self.groups.tolist())) == len(self.groups):
            return fine
        labels = [[self.groups[part] for part in own] for own in self.labels]
        pairs = zip(features, labels, strict=True)
        return np.array([linear_probe.probe_accuracy(own, groups) for own, groups in pairs])
