"""The run: every experiment of one seed as a generator, all seeds side by side, a frame
for each part of a stage.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

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


@dataclass
class SeedState:
    """Results of one seed so far; arrays are overwritten."""

    side: int
    curves: np.ndarray = field(init=False)  # (A, C)
    measured: np.ndarray = field(init=False)  # (A, K)
    shown: np.ndarray = field(init=False)  # (A, h, w) int8
    scene: np.ndarray = field(init=False)  # (3, h, w) uint8

    def __post_init__(self) -> None:
        self.curves = np.zeros((len(ARMS), len(CURVES)), np.float32)
        self.measured = np.zeros((len(ARMS), len(MEASURES)), np.float32)
        self.shown = np.zeros((len(ARMS), self.side, self.side), np.int8)
        self.scene = np.zeros((3, self.side, self.side), np.uint8)

    def curve(self, arm: str, **values: float) -> None:
        """Enter values by the names of CURVES."""
        for name, value in values.items():
            self.curves[ARMS.index(arm), CURVES.index(name)] = value

    def measure(self, arm: str, **values: float) -> None:
        """Enter values by the names of MEASURES."""
        for name, value in values.items():
            self.measured[ARMS.index(arm), MEASURES.index(name)] = value

    def show(self, arm: str, values: np.ndarray) -> None:
        """Enter a map (h, w), its largest absolute value at 127."""
        most = np.abs(values).max()
        self.shown[ARMS.index(arm)] = np.rint(values / most * BYTE) if most else 0

    def show_box(self, arm: str, box: np.ndarray) -> None:
        """Enter a filled box (4,), in sides."""
        values = np.zeros((self.side, self.side))
        top, left, bottom, right = np.rint(box * self.side).astype(int).clip(0, self.side)
        values[top:bottom, left:right] = 1
        self.show(arm, values)

    def show_scene(self, images: torch.Tensor) -> None:
        """Enter the first of these images (n, 3, h, w)."""
        self.scene = (images[0] * 255).round().to(torch.uint8).numpy()


def run(config: LearnedSalienceConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """A frame for every part of every stage of the chosen experiments."""
    generators = [run_seed(config, seed) for seed in seeds]
    steps = frames_per_stage(config) * sum(STAGES[experiment] for experiment in experiments(config))
    for step, states in enumerate(zip(*generators, strict=True), 1):
        curves, measured, shown, scene = (
            np.stack([getattr(state, name) for state in states])
            for name in ("curves", "measured", "shown", "scene")
        )
        if step < steps:
            shown, scene = np.zeros_like(shown), np.zeros_like(scene)
        shown[1:], scene[1:] = 0, 0  # one seed's image is enough, and a tenth of the bytes
        yield Frame(step, steps, curves, measured, shown, scene)


def run_seed(config: LearnedSalienceConfig, seed: int) -> Iterator[SeedState]:
    """All chosen experiments of one seed, a state for each frame."""
    state = SeedState(32 if config.dataset == "scenes" else 64)
    generators: dict[str, Callable[[LearnedSalienceConfig, int, SeedState], Iterator[None]]] = {
        "salience": saliency,
        "order": order,
        "boxes": boxes,
    }
    for experiment in experiments(config):
        for _ in generators[experiment](config, seed, state):
            yield state


def saliency(config: LearnedSalienceConfig, seed: int, state: SeedState) -> Iterator[None]:
    """Train two classifiers, then mask networks of the first, then evaluate all maps of it."""
    training, validation, test = (
        datasets.with_tags(config, config.rho, count, seed, purpose)[0] for purpose, count in _parts(config)
    )
    explained, scenes = datasets.with_tags(config, INDEPENDENT, config.pictures, seed, "explained")
    order, classes, count = config.replace(experiment="order"), _classes(config), frames_per_stage(config)
    trainers = {
        arm: MultitaskTrainer(order, "classify_only", training, classes, seed, "second " * (arm == "second"))
        for arm in ("classifier", "second")
    }
    parts = [in_parts(trainer.train(test), config.updates, count) for trainer in trainers.values()]
    for part, _ in enumerate(zip(*parts, strict=True), 1):
        for arm, trainer in trainers.items():
            state.curve(arm, **trainer.evaluate(validation, ("classify",)))
            if part == count:
                state.measure(arm, **trainer.evaluate(test, ("classify",)))
        yield
    classifier, second = (trainer.network.eval().requires_grad_(False) for trainer in trainers.values())
    networks = yield from _train_mask_networks(config, classifier, training, validation, seed, state)
    names = [arm for arm in arms(config) if arm in MAPS]
    maps = evaluation.maps_of(config, classifier, networks, explained, names, seed)
    for arm in names:
        state.show(arm, maps[arm][0])
    state.show_scene(explained.images)
    results = evaluation.evaluate(classifier, second, maps, explained, scenes, count, seed)
    for part, means in enumerate(results, 1):
        for arm, values in means.items():
            state.measure(arm, **values)
        if part == count and config.label == "texture" and scenes is not None:
            for arm, value in evaluation.leaks(config, classifier, networks, names, seed).items():
                state.measure(arm, leak=value)
        yield


def _train_mask_networks(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    training: AnnotatedImages,
    validation: AnnotatedImages,
    seed: int,
    state: SeedState,
) -> Generator[None, None, dict[str, MaskNetwork]]:
    """Train the chosen mask networks; the curves are how often the class stays with the
    kept part, and with the complement.
    """
    networks, parts = {}, []
    for arm in (arm for arm in MASKERS if arm in arms(config)):
        settings = evaluation.mask_settings(config, arm)
        networks[arm] = mask_networks.build(classifier, state.side, settings, seed)
        updates = mask_networks.train(networks[arm], classifier, training.images, settings, seed)
        parts.append(in_parts(updates, settings.updates, frames_per_stage(config)))
    fill = mask_networks.random_fill(validation.images, stream(seed, "fills of the validation pictures"))
    for _ in zip(*parts, strict=True):
        for arm, network in networks.items():
            network.eval()
            output = mask_networks.predict(network, classifier, validation.images, config.area)
            targets = output.logits.argmax(1)
            kept, left = (
                _agreement(classifier, mask_networks.blend(validation.images, masks, fill), targets)
                for masks in (output.masks, 1 - output.masks)
            )
            state.curve(arm, accuracy=kept, swapped=left, extent=float(output.masks.mean()))
            network.train()
        yield
    for network in networks.values():
        network.eval()
    return networks


def order(config: LearnedSalienceConfig, seed: int, state: SeedState) -> Iterator[None]:
    """Classification and segmentation in every order."""
    yield from _train_multitask(config.replace(experiment="order"), seed, state)


def boxes(config: LearnedSalienceConfig, seed: int, state: SeedState) -> Iterator[None]:
    """Classification and a box head in every order, then a mask network of the plain
    classifier, with the bounding boxes of its masks and of Grad-CAM.
    """
    config, count = config.replace(experiment="boxes"), frames_per_stage(config)
    trainers = yield from _train_multitask(config, seed, state)
    training, _, test = (datasets.with_backgrounds(config, size, seed, part) for part, size in _parts(config))
    classifier = trainers["classify_only"].network.eval().requires_grad_(False)
    settings = evaluation.mask_settings(config, "gated")
    network = mask_networks.build(classifier, state.side, settings, seed)
    updates = mask_networks.train(network, classifier, training.images, settings, seed)
    for part, _ in enumerate(in_parts(updates, settings.updates, count), 1):
        if part == count:
            results = evaluation.boxes_of_maps(config, classifier, network.eval(), training, test, seed)
            for arm, (box, values) in results.items():
                state.measure(arm, **values)
                state.show_box(arm, box)
            state.show_scene(test.images)
        yield


def _train_multitask(
    config: LearnedSalienceConfig, seed: int, state: SeedState
) -> Generator[None, None, dict[str, MultitaskTrainer]]:
    """Train every arm with a shared encoder, part by part, and measure it on test images
    at the end.
    """
    training, validation, test = (
        datasets.with_backgrounds(config, count, seed, part) for part, count in _parts(config)
    )
    names, count = [arm for arm in arms(config) if not arm.endswith("_box")], frames_per_stage(config)
    trainers = {arm: MultitaskTrainer(config, arm, training, _classes(config), seed) for arm in names}
    parts = [in_parts(trainer.train(test), trainer.updates, count) for trainer in trainers.values()]
    for part, _ in enumerate(zip(*parts, strict=True), 1):
        for arm, trainer in trainers.items():
            scores = trainer.evaluate(validation, trainer.tasks)
            extent = scores.get("iou", scores.get("overlap", 0.0))
            shown = {name: scores.get(name, 0.0) for name in ("accuracy", "swapped")}
            state.curve(arm, **shown, extent=extent)
            if part == count:
                _measure(trainer, test, state)
        yield
    return trainers


def _measure(trainer: MultitaskTrainer, test: AnnotatedImages, state: SeedState) -> None:
    scores = trainer.evaluate(test, trainer.tasks)
    if trainer.first_scores is not None:
        first = trainer.phases[0].tasks[0]
        name = {"classify": "accuracy", "segment": "iou", "detect": "overlap"}[first]
        scores["forgotten"] = trainer.first_scores[name] - scores[name]
    state.measure(trainer.arm, **scores)
    output = trainer.predict(test.images[:1], trainer.tasks)
    if output.masks is not None:
        state.show(trainer.arm, output.masks[0].numpy().clip(0))
    if output.boxes is not None:
        state.show_box(trainer.arm, output.boxes[0].numpy())
    state.show_scene(test.images)


def _parts(config: LearnedSalienceConfig) -> tuple[tuple[str, int], ...]:
    """Streams and sizes of training, validation and test images."""
    validation = min(VALIDATION, config.tested)
    return ("taught", config.scenes), ("validation", validation), ("tested", config.tested)


def _classes(config: LearnedSalienceConfig) -> int:
    return 4 if config.dataset == "scenes" else 37


@torch.no_grad()
def _agreement(classifier: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> float:
    """Share of the images that are given these classes."""
    return float((classifier(images).argmax(1) == targets).float().mean())
