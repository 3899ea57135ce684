"""The run: all seeds side by side, experiment by experiment, a frame a part of each."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore.data import annotated_images, scenes
from mlcv_explore.data.annotated_images import AnnotatedImages as Images
from mlcv_explore.data.scenes import INDEPENDENT, Scenes, ScenesConfig
from mlcv_explore.ideas import learned_salience as own
from mlcv_explore.ideas.learned_salience import ARMS, MEASURES, Frame, experiments, measures_of, photographs
from mlcv_explore.ideas.learned_salience import LearnedSalienceConfig as Experiment
from mlcv_explore.models.multitask import MultitaskSettings, MultitaskTrainer
from mlcv_explore.models.updates import in_parts
from mlcv_explore.saliency import controls, evaluation, generation, mask_network
from mlcv_explore.saliency.attribution import attribute_all
from mlcv_explore.saliency.leak import leak
from mlcv_explore.saliency.mask_network import MaskNetwork, MaskSettings
from mlcv_explore.saliency.methods import SaliencySettings
from mlcv_explore.seeds import stream, stream_seed

# sides of the objects: smaller ones take ten times as many updates to be distinguished
SMALLEST, LARGEST = 0.35, 0.5
PARTS = {"taught": "train", "validation": "validation", "tested": "test", "explained": "test"}  # of the pets
BATCH = 16
VALIDATION = 150  # images at most behind the curves
BLIND_SCENES = 300  # at most, on whose masks the image-only network is trained
# of the methods: those of the idea on saliency from gradients, since measures are means over many scenes
BUDGET = {"samples": 10, "shap_samples": 10, "masks": 100, "steps": 20, "complete": False}
BYTE = 127  # the largest absolute value of a shown map
RESULTS = ("curves", "measured", "shown", "scene")


def run(config: Experiment, seeds: Sequence[int]) -> Iterator[Frame]:
    """A frame for every part of every stage of the chosen experiments."""
    states = [SeedRun(config, seed) for seed in seeds]
    steps = sum(parts_of(config, experiment) for experiment in experiments(config))
    for step, _ in enumerate(zip(*(state.parts() for state in states), strict=True), 1):
        results = [np.stack([getattr(state, name) for state in states]) for name in RESULTS]
        for images in results[2:]:  # one seed's images, at the end, are enough
            images[step == steps :] = 0
        yield Frame(step, steps, *results)


def parts_of(config: Experiment, experiment: str) -> int:
    """How many frames an experiment takes."""
    if config.dataset == own.COMPOSITES:
        return {"salience": photographs.MAP_PARTS, "order": photographs.ORDER_PARTS}[experiment]
    return own.frames_per_stage(config) * own.STAGES[experiment]


def generate_scenes(config: Experiment, rho: float, count: int, seed: int, purpose: str) -> Scenes:
    """Scenes with large objects whose tag agrees with the class with probability `rho`."""
    label = "silhouette" if config.experiment == "order" else config.label
    about = ScenesConfig(label=label, rho=rho, smallest=SMALLEST, largest=LARGEST)
    return scenes.generate(about, count, seed, purpose)


def draw_images(config: Experiment, count: int, seed: int, purpose: str, rho: float = INDEPENDENT) -> Images:
    """Images of one part, from a stream of its own: for saliency with tags that agree
    with the class with probability `rho`, for order with informative backgrounds; or
    pets.
    """
    if config.dataset == own.PETS:
        return annotated_images.pets(PARTS[purpose], count, seed)
    if config.experiment == "order":
        given = generate_scenes(config, INDEPENDENT, count, seed, purpose)
        return annotated_images.with_informative_backgrounds(given, config.background, seed, purpose)
    given = generate_scenes(config, rho, count, seed, purpose)
    if purpose == "taught" or rho == INDEPENDENT:
        return annotated_images.of_scenes(given)
    independent = generate_scenes(config, INDEPENDENT, count, seed, purpose)
    return annotated_images.of_scenes(given, swapped=independent.images)


def trainer(config: Experiment, arm: str, images: Images, seed: int) -> MultitaskTrainer:
    """The encoder and heads of an arm, untrained."""
    settings = MultitaskSettings(config.width, BATCH)
    return MultitaskTrainer(photographs.phases(arm, config.updates), settings, images, seed)


def mask_settings(config: Experiment) -> MaskSettings:
    """Of the mask network: half the updates, each three passes of the classifier."""
    updates = max(own.frames_per_stage(config), config.updates // 2)
    return MaskSettings(low_area=config.area, high_area=config.area, updates=updates, batch_size=BATCH)


def maps_of(
    config: Experiment,
    classifier: nn.Sequential,
    networks: tuple[MaskNetwork, nn.Module],
    given: Images,
    names: Sequence[str],
    seed: int,
) -> dict[str, np.ndarray]:
    """Absolute maps (n, h, w) float64 of the class predicted for every image, by arm;
    `networks` are the mask network and the image-only network.
    """
    images, shape, (network, blind) = given.images, given.masks.shape, networks
    output = mask_network.predict(network, classifier, images, config.area)
    edges = torch.stack([controls.edges(image) for image in images]).numpy()
    maps = {
        "learned": output.masks.numpy(),
        "gates": output.gates.numpy(),
        "blind": generation.generate(blind, images),
        "edges": edges,
        "edges_squared": np.square(edges),
        "centre": np.broadcast_to(controls.centre(images[0]).numpy(), shape),
        "random": torch.rand(shape, generator=stream(seed, "random maps")).numpy(),
        "truth": given.masks.numpy() == 1,
    }
    if asked := [name for name in own.METHODS if name in names]:
        settings, targets = SaliencySettings(**BUDGET), output.logits.argmax(1).tolist()
        drawn = [
            attribute_all(
                classifier, image, target, asked, settings, stream_seed(seed, f"maps of scene {index}")
            )
            for index, (image, target) in enumerate(zip(images, targets, strict=True))
        ]
        by_image = [{computed.method: computed.values for computed in each} for each in drawn]
        maps |= {name: np.stack([each[name] for each in by_image]) for name in asked}
    return {name: np.abs(maps[name].astype(np.float64)) for name in names}


class SeedRun:
    """The experiments of one seed and their results so far, which are overwritten."""

    def __init__(self, config: Experiment, seed: int) -> None:
        self.config, self.seed, self.count = config, seed, own.frames_per_stage(config)
        self.side = side = 64 if config.dataset == own.PETS else 32
        self.curves, self.measured = (
            np.zeros((len(ARMS), len(names)), np.float32) for names in (own.CURVES, MEASURES)
        )
        self.shown = np.zeros((len(ARMS), side, side), np.int8)
        self.scene = np.zeros((3, side, side), np.uint8)

    def parts(self) -> Iterator[None]:
        """All chosen experiments, a step a frame."""
        generators = {"salience": self.saliency, "order": self.multitask}
        if self.config.dataset == own.COMPOSITES:
            generators = dict.fromkeys(generators, self.photographs)
        for experiment in experiments(self.config):
            yield from generators[experiment](self.config.replace(experiment=experiment))

    def saliency(self, config: Experiment) -> Iterator[None]:
        """Train a classifier, then its mask network, then evaluate all maps of it."""
        training, validation, test = self._splits(config)
        explained = draw_images(config, config.explained_scenes, self.seed, "explained")
        trained = trainer(config, "classifier", training, self.seed)
        yield from self._train({"classifier": trained}, validation, test)
        classifier = trained.network.eval().requires_grad_(False)
        network = mask_network.build(classifier, self.side, mask_settings(config), self.seed)
        yield from self._train_mask_network(config, network, classifier, training, validation)
        taught = training.first(BLIND_SCENES)
        objects = (taught.masks == 1).numpy()
        blind = generation.train(taught.images, objects, generation.GenerationConfig(), self.seed)
        about = (config, classifier, (network, blind))
        maps = maps_of(*about, explained, own.MAPS, self.seed)
        for arm in own.MAPS:
            self._show(arm, maps[arm][0])
        self._show_scene(explained)
        for part, means in enumerate(
            evaluation.evaluate(classifier, maps, explained, self.count, self.seed), 1
        ):
            for arm, values in means.items():
                self._enter(self.measured, MEASURES, arm, values)
            if part == self.count and "leak" in measures_of(config, "learned"):
                fresh = draw_images(config, config.test_scenes, self.seed, "masks to decode")
                for arm, values in maps_of(*about, fresh, own.DECODED, self.seed).items():
                    value = leak(torch.from_numpy(values), fresh.labels, fresh.classes, self.seed)
                    self._enter(self.measured, MEASURES, arm, {"leak": value})
            yield

    def multitask(self, config: Experiment) -> Iterator[None]:
        """Train the classifier alone, and with a segmenter on the same encoder."""
        training, validation, test = self._splits(config)
        yield from self._train(
            {arm: trainer(config, arm, training, self.seed) for arm in own.ORDER}, validation, test
        )

    def photographs(self, config: Experiment) -> Iterator[None]:
        """Maps of the ImageNet network on one object's composites; or two tasks."""
        about = (config.updates, self.seed)
        maps = config.experiment == "salience"
        for results in photographs.maps(self.seed) if maps else photographs.orders(*about):
            for arm, values in results.items():
                known = measures_of(config, arm)
                self._enter(
                    self.measured, MEASURES, arm, {name: values[name] for name in known if name in values}
                )
            yield

    def _splits(self, config: Experiment) -> tuple[Images, ...]:
        """Training, validation and test images."""
        size = config.test_scenes
        sizes = {"taught": config.scenes, "validation": min(VALIDATION, size), "tested": size}
        return tuple(
            draw_images(config, count, self.seed, purpose, config.rho) for purpose, count in sizes.items()
        )

    def _train(
        self, trainers: Mapping[str, MultitaskTrainer], validation: Images, test: Images
    ) -> Iterator[None]:
        """Train in parts: curves of validation images, test scores at the end."""
        parts = [
            in_parts(trainer.train(validation), trainer.updates, self.count) for trainer in trainers.values()
        ]
        for part, _ in enumerate(zip(*parts, strict=True), 1):
            for arm, trainer in trainers.items():
                scores = trainer.evaluate(validation, trainer.tasks)
                self._enter(self.curves, own.CURVES, arm, scores | {"extent": scores.get("iou", 0.0)})
                if part == self.count:
                    self._measure(arm, trainer, test)
            yield

    def _measure(self, arm: str, trained: MultitaskTrainer, test: Images) -> None:
        scores = trained.evaluate(test, trained.tasks)
        known = measures_of(self.config, arm)
        self._enter(self.measured, MEASURES, arm, {name: scores[name] for name in scores if name in known})
        output = trained.predict(test.images[:1], trained.tasks)
        if output.masks is not None:
            self._show(arm, output.masks[0].numpy().clip(0))
        self._show_scene(test)

    def _train_mask_network(
        self,
        config: Experiment,
        network: MaskNetwork,
        classifier: nn.Sequential,
        training: Images,
        validation: Images,
    ) -> Iterator[None]:
        """Train it; curves: how often the class stays with the kept part, the rest."""
        settings, images = mask_settings(config), validation.images
        updates = mask_network.train(network, classifier, training.images, settings, self.seed)
        fill = mask_network.random_fill(images, stream(self.seed, "fills of the validation pictures"))
        for _ in in_parts(updates, settings.updates, self.count):
            network.eval()
            shares = mask_network.agreement(network, classifier, images, fill, config.area)
            self.curves[ARMS.index("learned")] = [shares[name] for name in ("kept", "complement", "area")]
            network.train()
            yield
        network.eval()

    def _enter(self, results: np.ndarray, names: Sequence[str], arm: str, values: dict[str, float]) -> None:
        """Enter an arm's values; those without a place of their name are left out."""
        for name in (name for name in values if name in names):
            results[ARMS.index(arm), names.index(name)] = values[name]

    def _show(self, arm: str, values: np.ndarray) -> None:
        """Enter a map (h, w), its largest absolute value at 127."""
        most = np.abs(values).max()
        self.shown[ARMS.index(arm)] = np.rint(values / most * BYTE) if most else 0

    def _show_scene(self, given: Images) -> None:
        """Enter the first of these images."""
        self.scene = (given.images[0] * 255).round().to(torch.uint8).numpy()
