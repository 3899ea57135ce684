"""The run: the experiments of each seed as a generator, all seeds side by side, a frame
for each part of a stage.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore.data import annotated_images, scenes
from mlcv_explore.data.annotated_images import AnnotatedImages
from mlcv_explore.data.scenes import INDEPENDENT, Scenes, ScenesConfig
from mlcv_explore.ideas.learned_salience import (
    ARMS,
    CURVES,
    MAPS,
    MASKERS,
    MEASURES,
    STAGES,
    Frame,
    LearnedSalienceConfig,
    arms,
    experiments,
    frames_per_stage,
    measures_of,
)
from mlcv_explore.metrics.overlap import box_scores, largest_box
from mlcv_explore.models.multitask import MultitaskSettings, MultitaskTrainer, Phase
from mlcv_explore.models.multitask import schedule as phases_of
from mlcv_explore.models.updates import in_parts
from mlcv_explore.saliency import controls, evaluation, mask_network
from mlcv_explore.saliency.leak import leak
from mlcv_explore.saliency.mask_network import MaskNetwork, MaskSettings
from mlcv_explore.seeds import stream

# sides of the objects: smaller ones take ten times as many updates to be distinguished
SMALLEST, LARGEST = 0.35, 0.5
PARTS = {"taught": "train", "validation": "validation", "tested": "test", "explained": "test"}  # of the pets
VALIDATION = 150  # images at most behind the curves
BOXED = 200  # test images at most whose maps give boxes
OPTIMISATION_STEPS = 100  # of the optimised mask
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


def generate_scenes(config: LearnedSalienceConfig, rho: float, count: int, seed: int, purpose: str) -> Scenes:
    """Scenes with large objects whose tag agrees with the class with probability `rho`."""
    about = ScenesConfig(label=config.label, rho=rho, smallest=SMALLEST, largest=LARGEST)
    return scenes.generate(about, count, seed, purpose)


def draw_images(
    config: LearnedSalienceConfig, count: int, seed: int, purpose: str, rho: float = INDEPENDENT
) -> AnnotatedImages:
    """Images of one part, from a stream of its own: for saliency with tags that agree
    with the class with probability `rho`, for order and boxes with informative
    backgrounds; or pets.
    """
    if config.dataset != "scenes":
        return annotated_images.pets(PARTS[purpose], count, seed)
    if config.experiment != "salience":
        given = generate_scenes(config, INDEPENDENT, count, seed, purpose)
        return annotated_images.with_informative_backgrounds(given, config.background, seed, purpose)
    given = generate_scenes(config, rho, count, seed, purpose)
    if purpose == "taught" or rho == INDEPENDENT:
        return annotated_images.of_scenes(given)
    independent = generate_scenes(config, INDEPENDENT, count, seed, purpose)
    return annotated_images.of_scenes(given, swapped=independent.images)


def schedule(config: LearnedSalienceConfig, arm: str) -> tuple[Phase, ...]:
    """The phases of an arm that trains an encoder."""
    second = "detect" if "detect" in arm else "segment"
    tasks = (second, "classify") if arm.startswith(second) else ("classify", second)
    if arm.endswith("_only"):
        tasks = tasks[:1]
    joint, frozen = arm in ("parallel", "classify_and_detect"), arm.endswith("_frozen")
    mode = "jointly" if joint else "frozen" if frozen else "in turn"
    return phases_of(tasks, config.updates, mode, config.budget)


def trainer(
    config: LearnedSalienceConfig, arm: str, images: AnnotatedImages, seed: int, prefix: str = ""
) -> MultitaskTrainer:
    """The encoder and heads of an arm, untrained."""
    settings = MultitaskSettings(config.width, config.batch_size, config.weight)
    return MultitaskTrainer(schedule(config, arm), settings, images, seed, prefix)


def mask_settings(config: LearnedSalienceConfig, arm: str) -> MaskSettings:
    """The mask network of an arm. It has half the classifier's updates, since each
    takes three passes through the classifier.
    """
    updates, area = max(frames_per_stage(config), config.updates // 2), config.area
    return MaskSettings(*MASKERS[arm], area, area, config.smoothness, updates, config.batch_size)


def maps_of(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    networks: Mapping[str, MaskNetwork],
    given: AnnotatedImages,
    names: Sequence[str],
    seed: int,
) -> dict[str, np.ndarray]:
    """Maps (n, h, w) float64 ≥ 0 of the class predicted for every image, by arm."""
    images, shape = given.images, given.masks.shape
    maps = {
        "truth": given.masks.numpy() == 1,
        "centre": np.broadcast_to(controls.centre(images[0]).numpy(), shape),
        "random": torch.rand(shape, generator=stream(seed, "random maps")).numpy(),
    }
    for arm, network in networks.items():
        output = mask_network.predict(network, classifier, images, config.area)
        maps |= {arm: output.masks.numpy()} | ({"gates": output.gates.numpy()} if arm == "gated" else {})
    if "optimised" in names:
        settings, steps = mask_settings(config, "gated"), min(OPTIMISATION_STEPS, config.updates)
        parts = (
            mask_network.optimise_masks(classifier, part, settings, seed, steps) for part in images.split(50)
        )
        maps["optimised"] = torch.cat([*parts]).numpy()
    if "gradcam" in names:
        maps["gradcam"] = evaluation.grad_cam_maps(classifier, images)
    return {arm: maps[arm].astype(np.float64) for arm in names}


class SeedRun:
    """The experiments of one seed and their results so far, which are overwritten."""

    def __init__(self, config: LearnedSalienceConfig, seed: int) -> None:
        self.config, self.seed, self.count = config, seed, frames_per_stage(config)
        self.side = side = 32 if config.dataset == "scenes" else 64
        self.curves, self.measured = (
            np.zeros((len(ARMS), len(names)), np.float32) for names in (CURVES, MEASURES)
        )
        self.shown = np.zeros((len(ARMS), side, side), np.int8)
        self.scene = np.zeros((3, side, side), np.uint8)

    def parts(self) -> Iterator[None]:
        """All chosen experiments, a step a frame."""
        generators = {"salience": self.saliency, "order": self.multitask, "boxes": self.boxes}
        for experiment in experiments(self.config):
            yield from generators[experiment](self.config.replace(experiment=experiment))

    def saliency(self, config: LearnedSalienceConfig) -> Iterator[None]:
        """Train two classifiers, then mask networks of the first, then evaluate its
        maps.
        """
        training, validation, test = self._splits(config)
        explained = draw_images(config, config.explained_scenes, self.seed, "explained")
        trainers = {
            arm: trainer(config, "classify_only", training, self.seed, prefix)
            for arm, prefix in (("classifier", ""), ("second", "second "))
        }
        yield from self._train(trainers, validation, test)
        classifier, second = (trainer.network.eval().requires_grad_(False) for trainer in trainers.values())
        networks = yield from self._train_mask_networks(config, classifier, training, validation)
        names = [arm for arm in arms(config) if arm in MAPS]
        maps = maps_of(config, classifier, networks, explained, names, self.seed)
        for arm in names:
            self._show(arm, maps[arm][0])
        self._show_scene(explained)
        results = evaluation.evaluate(classifier, second, maps, explained, self.count, self.seed)
        for part, means in enumerate(results, 1):
            for arm, values in means.items():
                self._enter(self.measured, MEASURES, arm, values)
            if decoded := [arm for arm in names if part == self.count and "leak" in measures_of(config, arm)]:
                fresh = draw_images(config, config.test_scenes, self.seed, "masks to decode")
                for arm, values in maps_of(config, classifier, networks, fresh, decoded, self.seed).items():
                    value = leak(torch.from_numpy(values), fresh.labels, fresh.classes, self.seed)
                    self._enter(self.measured, MEASURES, arm, {"leak": value})
            yield

    def multitask(
        self, config: LearnedSalienceConfig
    ) -> Generator[None, None, tuple[dict[str, MultitaskTrainer], AnnotatedImages, AnnotatedImages]]:
        """Train every arm with a shared encoder; returns training and test images too."""
        training, validation, test = self._splits(config)
        names = [arm for arm in arms(config) if not arm.endswith("_box")]
        trainers = {arm: trainer(config, arm, training, self.seed) for arm in names}
        yield from self._train(trainers, validation, test)
        return trainers, training, test

    def boxes(self, config: LearnedSalienceConfig) -> Iterator[None]:
        """Classification and a box head in every order, then a mask network of the
        plain classifier, with the bounding boxes of its masks and of Grad-CAM.
        """
        trainers, training, test = yield from self.multitask(config)
        classifier = trainers["classify_only"].network.eval().requires_grad_(False)
        network, parts = self._mask_network(config, "gated", classifier, training)
        for part, _ in enumerate(parts, 1):
            if part == self.count:
                self._measure_boxes(config, classifier, network, training, test)
            yield

    def _splits(self, config: LearnedSalienceConfig) -> tuple[AnnotatedImages, ...]:
        """Training, validation and test images."""
        size = config.test_scenes
        sizes = {"taught": config.scenes, "validation": min(VALIDATION, size), "tested": size}
        return tuple(
            draw_images(config, count, self.seed, purpose, config.rho) for purpose, count in sizes.items()
        )

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

    def _measure(self, arm: str, trained: MultitaskTrainer, test: AnnotatedImages) -> None:
        scores = trained.evaluate(test, trained.tasks)
        if trained.first_scores is not None:
            name = {"classify": "accuracy", "segment": "iou", "detect": "overlap"}[trained.tasks[0]]
            scores["forgotten"] = trained.first_scores[name] - scores[name]
        self._enter(self.measured, MEASURES, arm, scores)
        output = trained.predict(test.images[:1], trained.tasks)
        if output.masks is not None:
            self._show(arm, output.masks[0].numpy().clip(0))
        if output.boxes is not None:
            self._show_box(arm, output.boxes[0].numpy())
        self._show_scene(test)

    def _mask_network(
        self, config: LearnedSalienceConfig, arm: str, classifier: nn.Sequential, training: AnnotatedImages
    ) -> tuple[MaskNetwork, Iterator[None]]:
        """A mask network, and its training in parts."""
        settings = mask_settings(config, arm)
        network = mask_network.build(classifier, self.side, settings, self.seed)
        updates = mask_network.train(network, classifier, training.images, settings, self.seed)
        return network, in_parts(updates, settings.updates, self.count)

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
        names = [arm for arm in MASKERS if arm in arms(config)]
        begun = {arm: self._mask_network(config, arm, classifier, training) for arm in names}
        images = validation.images
        fill = mask_network.random_fill(images, stream(self.seed, "fills of the validation pictures"))
        for _ in zip(*(parts for _, parts in begun.values()), strict=True):
            for arm, (network, _) in begun.items():
                network.eval()
                shares = mask_network.agreement(network, classifier, images, fill, config.area)
                values = [shares[name] for name in ("kept", "complement", "area")]
                self._enter(self.curves, CURVES, arm, dict(zip(CURVES, values, strict=True)))
                network.train()
            yield
        return {arm: network.eval() for arm, (network, _) in begun.items()}

    def _measure_boxes(
        self,
        config: LearnedSalienceConfig,
        classifier: nn.Sequential,
        network: MaskNetwork,
        training: AnnotatedImages,
        test: AnnotatedImages,
    ) -> None:
        """Bounding boxes of the largest component of maps of the first test images, and
        the mean box of the training images.
        """
        first = test.first(BOXED)
        maps = maps_of(
            config, classifier, {"gated": network}, first, ("gated", "gradcam", "truth"), self.seed
        )
        boxes = {
            f"{'learned' if arm == 'gated' else arm}_box": np.stack([*map(largest_box, values)]) / self.side
            for arm, values in maps.items()
        }
        boxes["centre_box"] = np.broadcast_to(training.boxes.mean(0).numpy(), (len(first), 4))
        for arm, values in boxes.items():
            self._enter(self.measured, MEASURES, arm, box_scores(values, first.boxes.numpy()))
            self._show_box(arm, values[0])
        self._show_scene(test)

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
