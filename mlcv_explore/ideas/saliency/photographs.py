"""The ImageNet network on composites: every map of one object at many places. Nothing is
trained; a seed is an object.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore.config import SettingError
from mlcv_explore.data import composites
from mlcv_explore.data.composites import Composites, Cutout
from mlcv_explore.data.dataset import DataError
from mlcv_explore.ideas.saliency import Frame, SaliencyConfig, arms, measuring
from mlcv_explore.models import imagenet
from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.saliency.attribution import METHODS
from mlcv_explore.saliency.methods import SaliencySettings
from mlcv_explore.saliency.supported import attribute, quick
from mlcv_explore.seeds import stream_seed

CANDIDATES = 10  # composites drawn for each place that is explained
CURVE_STEPS = 5  # a step of all maps takes a second
RANDOMISED_EVERY = 4  # places: one of them is also explained on the untrained network
SHOWN = 32  # pixels a side of the maps in a frame
BATCH = 32
SETTINGS = quick(SaliencySettings())  # as pages explain an image of this size


def run(config: SaliencyConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Explain place after place of every object, a frame each, means so far.

    Raises SettingError for a seed without an object, DataError without cut-outs.
    """
    trained, pairs = imagenet.load(), [(seed, object_of(seed)) for seed in seeds]
    experiments = [
        Experiment(config, seed, cutout, trained, imagenet.untrained(stream_seed(seed, "untrained network")))
        for seed, cutout in pairs
    ]
    untrained = np.full(len(seeds), np.nan, np.float32)  # no classifier is trained with a tag
    for index in range(config.explained_scenes):
        for experiment in experiments:
            experiment.explain(index)
        accuracy = np.array([experiment.accuracy for experiment in experiments], np.float32)
        measured = np.stack([experiment.means.array() for experiment in experiments]).astype(np.float32)
        shown = np.stack([experiment.means.shown for experiment in experiments])
        yield Frame(
            index + 1, config.explained_scenes, accuracy, untrained, untrained.copy(), measured, shown
        )


def object_of(seed: int) -> Cutout:
    """The object of a seed. Raises SettingError where there is none, DataError without
    cut-outs.
    """
    objects = composites.recognised()
    if not 0 <= seed < len(objects):
        raise SettingError(
            f"Seeds must be between 0 and {len(objects) - 1} on composites, where each is an object, got"
            f" {seed}."
        )
    return objects[seed]


class Experiment:
    """One object: its composites, the network, and the means of its maps' measures."""

    def __init__(
        self, config: SaliencyConfig, seed: int, cutout: Cutout, trained: Classifier, untrained: nn.Module
    ) -> None:
        """Both networks read squares of `trained.side`. Raises DataError for an object of
        another class than theirs.
        """
        if cutout.imagenet_class not in trained.classes:
            raise DataError(
                f"{cutout.path.name} must have a class of {trained.name}, got {cutout.imagenet_class!r:.80}."
            )
        self.seed, self.arms, self.trained = seed, arms(config), config.network == "trained"
        self.target = trained.classes.index(cutout.imagenet_class)
        self.network, self.other = trained.network if self.trained else untrained, untrained
        count = CANDIDATES * config.explained_scenes
        self.composites = composites.generate(cutout, count, seed, side=trained.side)
        chosen = decided_by_object(trained.network, self.composites, self.target)
        # the first, in the order drawn, of those that count; where they are too few, of the others
        self.order = np.argsort(~chosen, kind="stable")[: config.explained_scenes]
        own = chosen if self.trained else decided_by_object(untrained, self.composites, self.target)
        self.accuracy = float(own.mean())
        self.means = measuring.Means(self.arms, SHOWN)

    def explain(self, index: int) -> None:
        """Every map of the object at one place, measured and added to the means."""
        place = self.order[index]
        image = as_float(self.composites.images[place])
        maps = self._maps(self.network, image, place)
        values = np.stack([maps[arm] for arm in self.arms])  # (M, h, w)
        mask = self.composites.masks[place]
        columns = measuring.localisation(values, mask)
        if self.trained:  # an untrained network has no probability that could fall or rise
            given = self.network, image, self.target, values
            columns |= measuring.faithfulness(*given, CURVE_STEPS, self.seed)
        if self.trained and index % RANDOMISED_EVERY == 0:
            others = self._maps(self.other, image, place)
            columns["moved"] = measuring.moved(values, np.stack([others[arm] for arm in self.arms]))
        self.means.add(columns)
        self.means.show({arm: reduced(values) for arm, values in maps.items()} if index == 0 else {})

    def _maps(self, network: nn.Module, image: torch.Tensor, place: int) -> dict[str, np.ndarray]:
        draws = stream_seed(self.seed, f"maps of composite {place}")
        attributions = attribute(network, image, self.target, tuple(METHODS), SETTINGS, draws)
        maps = {attribution.method: attribution.values for attribution in attributions}
        return maps | {"truth": self.composites.masks[place].astype(np.float32)}


@torch.no_grad()
def decided_by_object(network: nn.Module, drawn: Composites, target: int) -> np.ndarray:
    """Where a network predicts the class of the object and does not on the background
    alone, (n,) bool.
    """
    parts = -(-len(drawn) // BATCH)
    with_object, without = (
        torch.cat([network(as_float(part)).argmax(1) for part in np.array_split(images, parts)]).numpy()
        for images in (drawn.images, drawn.backgrounds)
    )
    return (with_object == target) & (without != target)


def as_float(images: np.ndarray) -> torch.Tensor:
    """uint8 images (…, 3, h, w) as float32 in [0, 1]."""
    return torch.from_numpy(images).float().div_(255)


def reduced(values: np.ndarray) -> np.ndarray:
    """A map (h, w) as the means of its parts, (SHOWN, SHOWN)."""
    part = values.shape[0] // SHOWN
    return values.reshape(SHOWN, part, SHOWN, part).mean((1, 3))
