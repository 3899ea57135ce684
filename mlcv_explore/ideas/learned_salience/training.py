"""The run: the experiments of each seed as a generator, all seeds side by side, a frame
for each part of a stage.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore.ideas.learned_salience import (
    ARMS,
    CURVES,
    INDEPENDENT,
    MAPS,
    MASKERS,
    MEASURES,
    STAGES,
    Frame,
    LearnedSalienceConfig,
    arms,
    experiments,
    frames_per_stage,
)
from mlcv_explore.ideas.learned_salience import dataset as datasets
from mlcv_explore.ideas.learned_salience import map_evaluation as evaluation
from mlcv_explore.ideas.learned_salience import mask_network as mask_networks
from mlcv_explore.ideas.learned_salience.dataset import AnnotatedImages
from mlcv_explore.ideas.learned_salience.mask_network import MaskNetwork
from mlcv_explore.ideas.learned_salience.multitask import MultitaskTrainer, in_parts
from mlcv_explore.seeds import stream

VALIDATION = 150  # images at most behind the curves
BYTE = 127  # the largest absolute value of a shown map
RESULTS = ("curves", "measured", "shown", "scene")


def run(config: LearnedSalienceConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """A frame for every part of every stage of the chosen experiments."""
    states = [SeedRun(config, seed) for seed in seeds]
    steps = frames_per_stage(config) * sum(STAGES[experiment] for experiment in experiments(config))
    for step, _ in enumerate(zip(*(state.parts() for state in states), strict=True), 1):
        results = [np.stack([getattr(state, name) for state in states]) for name in RESULTS]
        for images in results[2:]:  # one seed's images, at the end, are enough
            images[step == steps :] = 0
        yield Frame(step, steps, *results)


class SeedRun:
    """The experiments of one seed and their results so far, which are overwritten."""

    def __init__(self, config: LearnedSalienceConfig, seed: int) -> None:
        self.config, self.seed, self.count = config, seed, frames_per_stage(config)
        self.side = side = 32 if config.dataset == "scenes" else 64
        self.curves = np.zeros((len(ARMS), len(CURVES)), np.float32)
        self.measured = np.zeros((len(ARMS), len(MEASURES)), np.float32)
        self.shown = np.zeros((len(ARMS), side, side), np.int8)
        self.scene = np.zeros((3, side, side), np.uint8)

    def parts(self) -> Iterator[None]:
        """All chosen experiments, a step a frame."""
        generators = {"salience": self.saliency, "order": self.order, "boxes": self.boxes}
        for experiment in experiments(self.config):
            yield from generators[experiment](self.config.replace(experiment=experiment))

    def saliency(self, config: LearnedSalienceConfig) -> Iterator[None]:
        """Train two classifiers, then mask networks of the first, then evaluate its
        maps.
        """
        training, validation, test = (
            datasets.with_tags(config, config.rho, size, self.seed, purpose)[0]
            for purpose, size in self._sizes()
        )
        explained, scenes = datasets.with_tags(config, INDEPENDENT, config.pictures, self.seed, "explained")
        trainers = {
            arm: MultitaskTrainer(config, "classify_only", training, self.seed, prefix)
            for arm, prefix in (("classifier", ""), ("second", "second "))
        }
        yield from self._train(trainers, validation, test)
        classifier, second = (trainer.network.eval().requires_grad_(False) for trainer in trainers.values())
        networks = yield from self._train_mask_networks(config, classifier, training, validation)
        names = [arm for arm in arms(config) if arm in MAPS]
        maps = evaluation.maps_of(config, classifier, networks, explained, names, self.seed)
        for arm in names:
            self._show(arm, maps[arm][0])
        self._show_scene(explained)
        results = evaluation.evaluate(classifier, second, maps, explained, scenes, self.count, self.seed)
        for part, means in enumerate(results, 1):
            for arm, values in means.items():
                self._enter(self.measured, MEASURES, arm, values)
            if part == self.count and config.label == "texture" and scenes is not None:
                leaks = evaluation.leaks(config, classifier, networks, names, self.seed)
                for arm, value in leaks.items():
                    self._enter(self.measured, MEASURES, arm, {"leak": value})
            yield

    def order(self, config: LearnedSalienceConfig) -> Iterator[None]:
        """Classification and segmentation in every order."""
        yield from self._train_multitask(config)

    def boxes(self, config: LearnedSalienceConfig) -> Iterator[None]:
        """Classification and a box head in every order, then a mask network of the
        plain classifier, with the bounding boxes of its masks and of Grad-CAM.
        """
        trainers, training, test = yield from self._train_multitask(config)
        classifier = trainers["classify_only"].network.eval().requires_grad_(False)
        settings = evaluation.mask_settings(config, "gated")
        network = mask_networks.build(classifier, self.side, settings, self.seed)
        updates = mask_networks.train(network, classifier, training.images, settings, self.seed)
        for part, _ in enumerate(in_parts(updates, settings.updates, self.count), 1):
            if part == self.count:
                boxes = evaluation.boxes_of_maps(config, classifier, network, training, test, self.seed)
                for arm, (box, scores) in boxes.items():
                    self._enter(self.measured, MEASURES, arm, scores)
                    self._show_box(arm, box)
                self._show_scene(test)
            yield

    def _train_multitask(
        self, config: LearnedSalienceConfig
    ) -> Generator[None, None, tuple[dict[str, MultitaskTrainer], AnnotatedImages, AnnotatedImages]]:
        """Train every arm with a shared encoder; returns training and test images too."""
        training, validation, test = (
            datasets.with_backgrounds(config, size, self.seed, purpose) for purpose, size in self._sizes()
        )
        names = [arm for arm in arms(config) if not arm.endswith("_box")]
        trainers = {arm: MultitaskTrainer(config, arm, training, self.seed) for arm in names}
        yield from self._train(trainers, validation, test)
        return trainers, training, test

    def _train(
        self, trainers: Mapping[str, MultitaskTrainer], validation: AnnotatedImages, test: AnnotatedImages
    ) -> Iterator[None]:
        """Train part by part, with validation scores as curves and test scores at the
        end.
        """
        parts = [in_parts(trainer.train(test), trainer.updates, self.count) for trainer in trainers.values()]
        for part, _ in enumerate(zip(*parts, strict=True), 1):
            for arm, trainer in trainers.items():
                scores = trainer.evaluate(validation, trainer.tasks)
                scores["extent"] = scores.get("iou", scores.get("overlap", 0.0))
                self._enter(self.curves, CURVES, arm, scores)
                if part == self.count:
                    self._measure(arm, trainer, test)
            yield

    def _measure(self, arm: str, trainer: MultitaskTrainer, test: AnnotatedImages) -> None:
        scores = trainer.evaluate(test, trainer.tasks)
        if trainer.first_scores is not None:
            first = trainer.phases[0].tasks[0]
            name = {"classify": "accuracy", "segment": "iou", "detect": "overlap"}[first]
            scores["forgotten"] = trainer.first_scores[name] - scores[name]
        self._enter(self.measured, MEASURES, arm, scores)
        output = trainer.predict(test.images[:1], trainer.tasks)
        if output.masks is not None:
            self._show(arm, output.masks[0].numpy().clip(0))
        if output.boxes is not None:
            self._show_box(arm, output.boxes[0].numpy())
        self._show_scene(test)

    def _train_mask_networks(
        self,
        config: LearnedSalienceConfig,
        classifier: nn.Sequential,
        training: AnnotatedImages,
        validation: AnnotatedImages,
    ) -> Generator[None, None, dict[str, MaskNetwork]]:
        """Train the chosen mask networks; the curves are how often the class stays with
        the kept part, and with the complement.
        """
        networks, parts = {}, []
        for arm in (arm for arm in MASKERS if arm in arms(config)):
            settings = evaluation.mask_settings(config, arm)
            networks[arm] = mask_networks.build(classifier, self.side, settings, self.seed)
            updates = mask_networks.train(networks[arm], classifier, training.images, settings, self.seed)
            parts.append(in_parts(updates, settings.updates, self.count))
        images, fills = validation.images, stream(self.seed, "fills of the validation pictures")
        fill = mask_networks.random_fill(images, fills)
        for _ in zip(*parts, strict=True):
            for arm, network in networks.items():
                network.eval()
                output = mask_networks.predict(network, classifier, images, config.area)
                targets, values = output.logits.argmax(1), {"extent": float(output.masks.mean())}
                for name, masks in (("accuracy", output.masks), ("swapped", 1 - output.masks)):
                    values[name] = _agreement(classifier, mask_networks.blend(images, masks, fill), targets)
                self._enter(self.curves, CURVES, arm, values)
                network.train()
            yield
        for network in networks.values():
            network.eval()
        return networks

    def _sizes(self) -> tuple[tuple[str, int], ...]:
        """Streams and sizes of training, validation and test images."""
        tested = self.config.tested
        return ("taught", self.config.scenes), ("validation", min(VALIDATION, tested)), ("tested", tested)

    def _enter(
        self, results: np.ndarray, names: Sequence[str], arm: str, values: Mapping[str, float]
    ) -> None:
        """Enter an arm's values; those without a place of their name are left out."""
        for name in (name for name in values if name in names):
            results[ARMS.index(arm), names.index(name)] = values[name]

    def _show(self, arm: str, values: np.ndarray) -> None:
        """Enter a map (h, w), its largest absolute value at 127."""
        most = np.abs(values).max()
        self.shown[ARMS.index(arm)] = np.rint(values / most * BYTE) if most else 0

    def _show_box(self, arm: str, box: np.ndarray) -> None:
        """Enter a filled box (4,), in sides."""
        values = np.zeros((self.side, self.side))
        top, left, bottom, right = np.rint(box * self.side).astype(int).clip(0, self.side)
        values[top:bottom, left:right] = 1
        self._show(arm, values)

    def _show_scene(self, given: AnnotatedImages) -> None:
        """Enter the first of these images."""
        self.scene = (given.images[0] * 255).round().to(torch.uint8).numpy()


@torch.no_grad()
def _agreement(classifier: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> float:
    """Share of the images that are given these classes."""
    return float((classifier(images).argmax(1) == targets).float().mean())
