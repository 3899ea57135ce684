"""The run of idea 15: classifiers of scenes whose corner tag agrees with the class as
often as is asked, then every map of what they look at.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore.data import scenes
from mlcv_explore.data.scenes import Scenes, ScenesConfig
from mlcv_explore.ideas.saliency import ARMS, MEASURES, Frame, SaliencyConfig, arms
from mlcv_explore.models import classifier_training, classifiers
from mlcv_explore.models.classifier_training import Hyperparameters
from mlcv_explore.models.layers import layers, randomised
from mlcv_explore.saliency import faithfulness, generation, measures
from mlcv_explore.saliency.attribution import METHODS, attribute_all
from mlcv_explore.saliency.methods import SaliencySettings
from mlcv_explore.seeds import stream_seed

TESTED = 500  # fresh scenes on which accuracy is measured
TAUGHT = 300  # scenes at most on which the network that generates maps learns
CURVE_STEPS = 10
MOVED_EVERY = 4  # scenes: one of them is explained on a network of random weights too
MEAN, STD = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)  # of the scenes' pixels, over all settings
# less than on a single picture: the mean is over many
COSTLY = {"samples": 10, "shap_samples": 10, "masks": 100, "steps": 20, "complete": False}


def run(config: SaliencyConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train one classifier a seed, a frame an epoch, then explain picture after
    picture, a frame each, means so far.
    """
    students = [Student(config, seed) for seed in seeds]
    steps = config.epochs + config.pictures
    for epoch in range(1, config.epochs + 1):
        for student in students:
            student.train_one_epoch()
        yield frame(epoch, steps, students)
    for picture in range(config.pictures):
        for student in students:
            student.explain(picture)
        yield frame(config.epochs + picture + 1, steps, students)


def frame(step: int, steps: int, students: "Sequence[Student]") -> Frame:
    """What all seeds have come to."""
    shares = np.stack([student.shares for student in students]).astype(np.float32)  # (S, 3)
    found = np.stack([student.means() for student in students]).astype(np.float32)  # (S, M, K)
    shown = np.stack([student.shown for student in students])
    return Frame(step, steps, shares[:, 0], shares[:, 1], shares[:, 2], found, shown)


class Student:
    """One seed: its scenes, its classifier, and the sums of what its maps are worth."""

    def __init__(self, config: SaliencyConfig, seed: int) -> None:
        self.config, self.seed, self.arms = config, seed, arms(config)
        self.recipe = recipe(config)
        taught = scenes_of(config, config.rho, config.scenes, seed, "taught")
        self.tested = scenes_of(config, config.rho, TESTED, seed, "tested")
        self.swapped = scenes_of(config, 0.25, TESTED, seed, "tested with tags that tell nothing")
        self.explained = explained(config, seed)
        self.course = classifier_training.trainer(
            self.recipe, len(taught.classes), MEAN, STD, stream_seed(seed, "classifier")
        )
        self.lessons = classifier_training.epochs(
            self.recipe, self.course, taught.images, taught.labels, seed
        )
        self.shares = np.zeros(3)
        self.sums = np.zeros((len(self.arms), len(MEASURES)))
        self.counts = np.zeros(len(MEASURES))
        self.shown = np.zeros((len(ARMS), config.side, config.side), np.int8)
        self.guide: tuple[nn.Module, int, nn.Module] | None = None
        self.random: nn.Module | None = None

    @property
    def network(self) -> nn.Module:
        """The classifier, as far as it is trained."""
        return self.course.network

    def train_one_epoch(self) -> None:
        """One pass over the scenes, and what it has come to on fresh ones."""
        next(self.lessons)
        self.shares = np.array([self._accuracy(self.tested), self._accuracy(self.swapped), self._follows()])

    def explain(self, index: int) -> None:
        """Every map of one scene, judged and added to the means."""
        network = self.network.eval()
        if self.random is None:
            self.random = randomised(network, len(layers(network)), self.seed)
            if self.config.generation:
                self.guide = taught_guide(self.config, self.recipe, self.seed)
        scene = torch.from_numpy(self.explained.images[index]).float().div_(255)
        with torch.no_grad():
            target = int(network(scene[None]).argmax())
        maps = self._maps(network, scene, target, index)
        values = np.stack([maps[arm] for arm in self.arms])[None]  # (1, M, h, w)
        mask, box = self.explained.masks[index], self.explained.tag_boxes[index]
        about = {
            "mass": measures.mass_in_mask(values[0], mask),
            "tag": measures.mass_on_tag(values[0], box),
            "pointing": measures.pointing(values[0], mask),
        }
        asked = (network, scene[None], torch.tensor([target]), values, "mean", CURVE_STEPS)
        about["deletion"] = faithfulness.deletion(*asked, seed=self.seed).area[0]
        about["insertion"] = faithfulness.insertion(*asked, seed=self.seed).area[0]
        if index % MOVED_EVERY == 0:
            others = self._maps(self.random, scene, target, index)
            about["moved"] = 1 - np.abs(
                measures.similarity(values[0], np.stack([others[arm] for arm in self.arms])).rank
            )
        for place, name in enumerate(MEASURES):
            if name in about:
                self.sums[:, place] += about[name]
                self.counts[place] += 1
        self.shown = np.zeros_like(self.shown)
        if index == 0:
            for arm, found in maps.items():
                self.shown[ARMS.index(arm)] = eighth_bit(found)

    def means(self) -> np.ndarray:
        """(M, K) over the scenes so far, in the order of ARMS and MEASURES; 0 where
        nothing is measured.
        """
        found = np.zeros((len(ARMS), len(MEASURES)))
        found[[ARMS.index(arm) for arm in self.arms]] = self.sums / np.maximum(self.counts, 1)
        return found

    def _maps(
        self, network: nn.Module, scene: torch.Tensor, target: int, index: int
    ) -> dict[str, np.ndarray]:
        settings, luck = SaliencySettings(**COSTLY), stream_seed(self.seed, f"maps of scene {index}")
        found = {
            item.method: item.values
            for item in attribute_all(network, scene, target, tuple(METHODS), settings, luck)
        }
        found["truth"] = self.explained.masks[index].astype(np.float32)
        if self.guide is not None:
            generator, channel, blind = self.guide
            inputs = generation.layer_inputs(network, scene[None], torch.tensor([target]))
            found["generated"] = generation.generate(generator, inputs)[0]
            found["single"] = inputs[0, channel].numpy()
            found["blind"] = generation.generate(blind, scene[None])[0]
        return found

    def _accuracy(self, tested: Scenes) -> float:
        return float((self._predicted(tested) == tested.labels).mean())

    def _follows(self) -> float:
        """Of the scenes whose tag names another class, the share that is given the
        tag's class.
        """
        apart = self.swapped.tags != self.swapped.labels
        return float((self._predicted(self.swapped)[apart] == self.swapped.tags[apart]).mean())

    def _predicted(self, tested: Scenes) -> np.ndarray:
        return classifiers.predict_logits(self.network, tested.images).argmax(1).numpy()


def recipe(config: SaliencyConfig) -> Hyperparameters:
    """How a classifier of scenes is trained; in full precision, so that any processor
    is fast at it.
    """
    small = {
        "width": config.width,
        "epochs": config.epochs,
        "small_epochs": 0,
        "batch_size": 32,
        "peak_rate": 0.02,
    }
    # a tag is told by its colour: moved or mirrored it names the same class
    return Hyperparameters(**small, shift=2, smoothing=0.0, bfloat16=False)


def scenes_of(config: SaliencyConfig, rho: float, count: int, seed: int, purpose: str) -> Scenes:
    """Scenes of the class the config names."""
    return scenes.generate(ScenesConfig(side=config.side, label=config.label, rho=rho), count, seed, purpose)


def explained(config: SaliencyConfig, seed: int) -> Scenes:
    """The scenes whose maps are judged; their tags tell nothing, so that a map on the
    tag tells what the network learned.
    """
    return scenes_of(config, 0.25, config.pictures, seed, "explained")


def taught_guide(config: SaliencyConfig, how: Hyperparameters, seed: int) -> tuple[nn.Module, int, nn.Module]:
    """The network that generates maps, taught on a classifier that uses the object; the
    best single input; the control that sees pictures alone.
    """
    taught = scenes_of(config, 0.25, config.scenes, seed, "taught to the classifier that uses the object")
    course = classifier_training.trainer(
        how, len(taught.classes), MEAN, STD, stream_seed(seed, "classifier that uses the object")
    )
    for _ in classifier_training.epochs(
        how,
        course,
        taught.images,
        taught.labels,
        stream_seed(seed, "lessons of the classifier that uses the object"),
    ):
        pass
    shown = scenes_of(
        config, 0.25, min(TAUGHT, config.scenes), seed, "taught to the network that generates maps"
    )
    pictures = torch.from_numpy(shown.images).float().div_(255)
    inputs = generation.layer_inputs(course.network.eval(), pictures, torch.from_numpy(shown.labels))
    settings = generation.GenerationConfig()
    generator = generation.train(inputs, shown.masks, settings, seed)
    return (
        generator,
        generation.best_single(inputs, shown.masks),
        generation.train(pictures, shown.masks, settings, seed),
    )


def eighth_bit(values: np.ndarray) -> np.ndarray:
    """A map as int8 (h, w), its largest absolute value at 127."""
    most = np.abs(values).max()
    return np.rint(values / most * 127).astype(np.int8) if most else np.zeros(values.shape, np.int8)
