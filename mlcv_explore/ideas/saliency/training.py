"""Classifiers of scenes with a corner tag, then every map of their predictions."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore.data import gallery, scenes, uploads
from mlcv_explore.data.scenes import Scenes, ScenesConfig
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.saliency import Frame, SaliencyConfig, arms, measuring
from mlcv_explore.models import checkpoints, classifier_training, classifiers
from mlcv_explore.models.classifier_training import ClassifierTrainer, Hyperparameters
from mlcv_explore.models.layers import layers, randomised
from mlcv_explore.saliency import generation, measures
from mlcv_explore.saliency.attribution import METHODS, attribute_all
from mlcv_explore.saliency.methods import SaliencySettings
from mlcv_explore.seeds import stream_seed

TEST_SCENES = 500  # on which accuracy is measured
GENERATOR_SCENES = 300  # at most, on which the network that generates maps is trained
CURVE_STEPS = 10
RANDOMISED_EVERY = 4  # scenes: one of them is also explained on a network of random weights
MEAN, STD = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)  # of the scenes' pixels, over all settings
# fewer than for a single image: the measures are means over many
BUDGET = {"samples": 10, "shap_samples": 10, "masks": 100, "steps": 20, "complete": False}


def run(config: SaliencyConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train one classifier a seed, a frame an epoch, then explain scene after scene, a
    frame each, means so far.
    """
    experiments = [Experiment(config, seed) for seed in seeds]
    steps = config.epochs + config.explained_scenes
    for epoch in range(1, config.epochs + 1):
        for experiment in experiments:
            experiment.train_one_epoch()
        yield frame(epoch, steps, experiments)
    for index in range(config.explained_scenes):
        for experiment in experiments:
            experiment.explain(index)
        yield frame(config.epochs + index + 1, steps, experiments)


def frame(step: int, steps: int, experiments: "Sequence[Experiment]") -> Frame:
    """The state of all seeds."""
    shares = np.stack([experiment.shares for experiment in experiments]).astype(np.float32)  # (S, 3)
    # (S, M, K)
    measured = np.stack([experiment.means.array() for experiment in experiments]).astype(np.float32)
    shown = np.stack([experiment.means.shown for experiment in experiments])
    return Frame(step, steps, shares[:, 0], shares[:, 1], shares[:, 2], measured, shown)


class Experiment:
    """One seed: its scenes, its classifier, and the sums of its maps' measures."""

    def __init__(self, config: SaliencyConfig, seed: int) -> None:
        self.config, self.seed, self.arms = config, seed, arms(config)
        self.test = scenes_of(config, config.rho, TEST_SCENES, seed, "tested")
        self.swapped = scenes_of(config, 0.25, TEST_SCENES, seed, "tested with tags that tell nothing")
        self.explained = explained(config, seed)
        self.trainer, self.epochs = classifier(
            config, config.rho, seed, "taught", stream_seed(seed, "classifier"), seed
        )
        self.shares = np.zeros(3)  # accuracy, that with uninformative tags, predictions of the tag
        self.means = measuring.Means(self.arms, config.side)
        self.generators: tuple[nn.Module, int, nn.Module] | None = None
        self.randomised: nn.Module | None = None

    def train_one_epoch(self) -> None:
        """One pass over the training scenes, then the shares on new ones."""
        next(self.epochs)
        apart = self.swapped.tags != self.swapped.labels
        predicted = [
            classifiers.predict_logits(self.trainer.network, part.images).argmax(1).numpy()
            for part in (self.test, self.swapped)
        ]
        self.shares = np.array(
            [
                float((predicted[0] == self.test.labels).mean()),
                float((predicted[1] == self.swapped.labels).mean()),
                float((predicted[1][apart] == self.swapped.tags[apart]).mean()),
            ]
        )

    def explain(self, index: int) -> None:
        """Every map of one scene, measured and added to the means."""
        network = self.trainer.network.eval()
        if self.randomised is None:
            self.randomised = randomised(network, len(layers(network)), self.seed)
            if self.config.generation:
                self.generators = train_generators(self.config, self.seed)
        scene = torch.from_numpy(self.explained.images[index]).float().div_(255)
        with torch.no_grad():
            target = int(network(scene[None]).argmax())
        maps = self._maps(network, scene, target, index)
        values = np.stack([maps[arm] for arm in self.arms])  # (M, h, w)
        mask, box = self.explained.masks[index], self.explained.tag_boxes[index]
        columns = measuring.localisation(values, mask) | {"tag": measures.mass_on_tag(values, box)}
        columns |= measuring.faithfulness(network, scene, target, values, CURVE_STEPS, self.seed)
        if index % RANDOMISED_EVERY == 0:
            others = self._maps(self.randomised, scene, target, index)
            columns["moved"] = measuring.moved(values, np.stack([others[arm] for arm in self.arms]))
        self.means.add(columns)
        self.means.show(maps if index == 0 else {})

    def _maps(
        self, network: nn.Module, scene: torch.Tensor, target: int, index: int
    ) -> dict[str, np.ndarray]:
        settings, draws = SaliencySettings(**BUDGET), stream_seed(self.seed, f"maps of scene {index}")
        attributions = attribute_all(network, scene, target, tuple(METHODS), settings, draws)
        maps = {attribution.method: attribution.values for attribution in attributions}
        maps["truth"] = self.explained.masks[index].astype(np.float32)
        if self.generators is not None:
            generator, channel, blind = self.generators
            inputs = generation.layer_inputs(network, scene[None], torch.tensor([target]))
            maps["generated"] = generation.generate(generator, inputs)[0]
            maps["single"] = inputs[0, channel].numpy()
            maps["blind"] = generation.generate(blind, scene[None])[0]
        return maps


def classifier(
    config: SaliencyConfig, rho: float, seed: int, purpose: str, weights_seed: int, order_seed: int
) -> tuple[ClassifierTrainer, Iterator]:
    """A classifier of scenes, and the iterator that trains it epoch by epoch. It trains
    in full precision, which every processor computes fast.
    """
    # a moved or mirrored tag keeps its colour, and so its class
    hyperparameters = Hyperparameters(
        width=config.width,
        epochs=config.epochs,
        small_epochs=0,
        batch_size=32,
        peak_rate=0.02,
        shift=2,
        smoothing=0.0,
        bfloat16=False,
    )
    train = scenes_of(config, rho, config.scenes, seed, purpose)
    trainer = classifier_training.trainer(hyperparameters, len(train.classes), MEAN, STD, weights_seed)
    return trainer, classifier_training.epochs(
        hyperparameters, trainer, train.images, train.labels, order_seed
    )


def scenes_of(config: SaliencyConfig, rho: float, count: int, seed: int, purpose: str) -> Scenes:
    """Scenes labelled as in the settings."""
    return scenes.generate(ScenesConfig(side=config.side, label=config.label, rho=rho), count, seed, purpose)


def explained(config: SaliencyConfig, seed: int) -> Scenes:
    """The scenes whose maps are measured. Their tags are uninformative, so mass on the
    tag comes from what the network learned.
    """
    return scenes_of(config, 0.25, config.explained_scenes, seed, "explained")


def train_generators(config: SaliencyConfig, seed: int) -> tuple[nn.Module, int, nn.Module]:
    """The network that generates maps, trained on a classifier that uses the object;
    the channel of its best single input; the control trained on images alone.
    """
    trainer, epochs = classifier(
        config,
        0.25,
        seed,
        "taught to the classifier that uses the object",
        stream_seed(seed, "classifier that uses the object"),
        stream_seed(seed, "lessons of the classifier that uses the object"),
    )
    for _ in epochs:
        pass
    train = scenes_of(
        config, 0.25, min(GENERATOR_SCENES, config.scenes), seed, "taught to the network that generates maps"
    )
    images = torch.from_numpy(train.images).float().div_(255)
    inputs = generation.layer_inputs(trainer.network.eval(), images, torch.from_numpy(train.labels))
    settings = generation.GenerationConfig()
    return (
        generation.train(inputs, train.masks, settings, seed),
        generation.best_single(inputs, train.masks),
        generation.train(images, train.masks, settings, seed),
    )


def tiles(photograph: str, model: str, names: Sequence[str], side: int = 192) -> tuple[Tile, ...]:
    """A photograph of the gallery, and these maps of its predicted class."""
    pixels, known = gallery.photographs()[photograph].read().pixels, checkpoints.load(model)
    given = torch.from_numpy(uploads.resized_to_square(pixels, known.side))
    with torch.no_grad():
        target = int(known.network(given[None]).argmax())
    computed = attribute_all(known.network, given, target, names, SaliencySettings(), 0)
    maps = {attribution.method: attribution for attribution in computed}
    kinds = {name: "signed" if maps[name].signed else "amount" for name in names}
    drawn = (Tile(uploads.upsampled(maps[name].values, (side, side)), kinds[name]) for name in names)
    return Tile(uploads.resized(pixels, (side, side)) / 255), *drawn
