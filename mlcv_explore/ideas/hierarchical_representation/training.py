"""The experiment: every arm of all seeds on the same batches, and linear probes of all
levels.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.ideas.hierarchical_representation import (
    ARMS,
    MAPPED,
    OBJECTIVES,
    PLACED,
    SHADES,
    SHOWN,
    Frame,
    HierarchicalRepresentationConfig,
    classes_of,
    frame_epochs,
    probe_epochs,
)
from mlcv_explore.ideas.hierarchical_representation.learners import (
    PCA,
    Autoencoder,
    Contrastive,
    GradientLearner,
    Hyperparameters,
    KMeans,
    Learner,
    Supervised,
)
from mlcv_explore.ideas.hierarchical_representation.networks import Shape
from mlcv_explore.ideas.hierarchical_representation.probes import ProbeFeatures, datasets
from mlcv_explore.metrics import linear_probe
from mlcv_explore.seeds import numpy_stream, stream

BATCH = 500  # images encoded together
FIXED = ("random", "pca", "kmeans")  # arms that do not change after the start


def hyperparameters(config: HierarchicalRepresentationConfig) -> Hyperparameters:
    """What learners take from the settings."""
    image, convolutional = data.entry(config.dataset).shape, config.network == "convolutional"
    return Hyperparameters(
        Shape(image, config.width, config.levels, convolutional),
        config.learning_rate,
        config.noise,
        config.local_weight,
        config.tied,
        config.activation == "linear",
    )


def learner(arm: str, settings: Hyperparameters, seeds: Sequence[int], classes: int) -> Learner:
    """The learner of one arm; all with gradients start from equal weights."""
    if arm in OBJECTIVES:
        objective, _, target = arm.partition("_")
        return Autoencoder(settings, seeds, objective, target or "code")
    if arm == "committed":
        return Autoencoder(settings, seeds, "global", clipped=True)
    if arm == "denoising":
        return Autoencoder(settings, seeds, "greedy", denoising=True)
    if arm == "contrastive":
        return Contrastive(settings, seeds)
    if arm == "supervised":
        return Supervised(settings, seeds, classes)
    if arm == "pca":
        return PCA(settings, seeds)
    return KMeans(settings, seeds) if arm == "kmeans" else GradientLearner(settings, seeds)


def run(config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train every arm on the same batches and probe its levels. Raises
    FloatingPointError with a sentence when an arm diverges.
    """
    trainer = Trainer(config, seeds)
    yield trainer.frame(0)
    for epoch in range(1, config.epochs + 1):
        trainer.train()
        if epoch in frame_epochs(config):
            yield trainer.frame(epoch)


class Trainer:
    """All arms of a run, and their latest measurements."""

    def __init__(self, config: HierarchicalRepresentationConfig, seeds: Sequence[int]) -> None:
        self.config, self.seeds = config, tuple(seeds)
        self.datasets = datasets(config, seeds)
        settings = hyperparameters(config)
        self.learners = {arm: learner(arm, settings, seeds, classes_of(config)) for arm in ARMS}
        images = torch.stack([dataset.train for dataset in self.datasets])
        for own in self.learners.values():
            own.fit(images)
        self.orders = [stream(seed, "batches") for seed in seeds]
        self.loss = np.zeros((len(seeds), len(ARMS), config.levels + 1), np.float32)
        shape = (len(seeds), len(ARMS), config.levels)
        self.accuracy, self.coarse, self.error = (np.zeros(shape, np.float32) for _ in range(3))
        self.pixels = np.zeros((len(seeds), 2), np.float32)
        self.frozen = np.zeros((len(seeds), config.levels), np.float32)
        self.probed = 0

    def train(self) -> None:
        """One epoch of every arm on the same images in the same order."""
        config = self.config
        order = torch.stack(
            [torch.randperm(config.train_size, generator=generator) for generator in self.orders]
        )
        sums, batches = np.zeros_like(self.loss), 0
        for chosen in order.split(config.batch_size, dim=1):
            pairs = list(zip(self.datasets, chosen, strict=True))
            batch = torch.stack([dataset.train[index] for dataset, index in pairs])
            labels = torch.stack([dataset.labels[index] for dataset, index in pairs])
            batches += 1
            for place, own in enumerate(self.learners.values()):
                own.step(batch, labels)
                for term, value in own.losses.items():
                    sums[:, place, loss_place(term, config.levels)] += value.numpy()
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
        places = np.zeros((count, len(MAPPED), levels, PLACED, 2), np.float32)
        shown = np.zeros((count, len(MAPPED), levels, SHOWN, *image), np.int8)
        labels = np.zeros((count, PLACED), np.int16)
        labels[0] = self.datasets[0].validation_labels[:PLACED]
        for place, arm in enumerate(MAPPED):
            own = self.learners[arm]
            codes = own.encode(torch.stack([dataset.validation[:PLACED] for dataset in self.datasets]))
            for level, code in enumerate(codes):
                first = code[0].flatten(1).numpy()
                places[0, place, level] = linear_probe.principal_components(first, 2).transform(first)
                decoded = own.decode(level, code[:, :SHOWN])
                if decoded is not None:
                    shades = (SHADES * decoded[0].reshape(SHOWN, *image)).round().clamp(-127, 127)
                    shown[0, place, level] = shades.numpy()
        updates = np.stack([own.updates for own in self.learners.values()])
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
            np.broadcast_to(updates, (count, len(ARMS), levels)).astype(np.int32),
            places,
            labels,
            shown,
        )

    def _probe(self, epoch: int) -> None:
        """Fine classes at every level of every arm; at the end coarse ones and the
        author's frozen probe too.
        """
        last = epoch == self.config.epochs
        changing = [arm for arm in ARMS if arm not in FIXED]
        for arm in ARMS if last else changing if epoch else FIXED:
            self._probe_arm(arm, last)
        if not epoch:  # all others start from the control's weights
            self.accuracy[:, [arm in changing for arm in ARMS]] = self.accuracy[:, [ARMS.index("random")]]
        if last or not epoch:
            for seed, dataset in enumerate(self.datasets):
                features = ProbeFeatures.of(*(values.flatten(1).numpy() for values in dataset.parts()))
                coarse = features.coarse_accuracy(dataset) if last else 0.0
                self.pixels[seed] = features.accuracy(dataset), coarse
        self.probed = epoch

    def _probe_arm(self, arm: str, last: bool) -> None:
        place, own = ARMS.index(arm), self.learners[arm]
        *_, images = parts = [
            torch.stack(part) for part in zip(*(dataset.parts() for dataset in self.datasets), strict=True)
        ]
        codes = [encoded(own, part) for part in parts]
        for level in range(self.config.levels):
            decoded = own.decode(level, codes[-1][level])
            if decoded is not None:
                errors = (decoded.flatten(2) - images.flatten(2)).square().mean((1, 2))
                self.error[:, place, level] = errors.numpy()
            for seed, dataset in enumerate(self.datasets):
                features = ProbeFeatures.of(*(part[level][seed].flatten(1).numpy() for part in codes))
                self.accuracy[seed, place, level] = features.accuracy(dataset)
                if last:
                    self.coarse[seed, place, level] = features.coarse_accuracy(dataset)
                if last and arm == "committed":
                    rng = numpy_stream(self.seeds[seed], f"frozen probe {level}")
                    self.frozen[seed, level] = features.frozen_accuracy(dataset, rng)


def encoded(own: Learner, images: torch.Tensor) -> list[torch.Tensor]:
    """Every level's codes (S, n, …) of images (S, n, …), some at a time."""
    parts = [own.encode(part) for part in images.split(BATCH, dim=1)]
    return [torch.cat(level, dim=1) for level in zip(*parts, strict=True)]


def loss_place(term: str, levels: int) -> int:
    """The place of a loss in a frame: the layer-wise ones in their order, then the
    end-to-end one or that of labels.
    """
    return int(term.removeprefix("level")) - 1 if term.startswith("level") else levels
