"""The ImageNet network on composites: every map of one object at many places. A seed is an
object, and all that is trained is the network that sees the image alone.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import nn

from mlcv_explore.data import composites
from mlcv_explore.data.composites import Cutout
from mlcv_explore.data.dataset import DataError
from mlcv_explore.ideas.saliency import Frame, SaliencyConfig, arms, measuring
from mlcv_explore.models import imagenet
from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.models.layers import randomised
from mlcv_explore.saliency import cause, image_only, measures
from mlcv_explore.saliency.attribution import METHODS
from mlcv_explore.saliency.cause import as_float, decided_by_object
from mlcv_explore.saliency.methods import SaliencySettings
from mlcv_explore.saliency.supported import attribute, quick
from mlcv_explore.seeds import stream_seed

CANDIDATES = 10  # composites drawn for each place that is explained
CURVE_STEPS = 5  # a step of all maps takes a second
SHOWN = 32  # pixels a side of the maps in a frame
NEAR = 0.05  # of the side: by how much a dilated mask reaches beyond the object
SETTINGS = quick(SaliencySettings()).replace(masks=100)  # as pages explain such an image; of 300 masks 100


def run(config: SaliencyConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Explain place after place of every object, a frame each, means so far.

    Raises SettingError for a seed without an object, DataError without cut-outs.
    """
    trained, pairs = imagenet.load(), [(seed, cause.object_of(seed)) for seed in seeds]
    experiments = [
        Experiment(config, seed, cutout, trained, explained_network(config, trained, seed))
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


def explained_network(config: SaliencyConfig, trained: Classifier, seed: int) -> nn.Module:
    """The network whose maps are measured: of ImageNet, or this seed's with a random last
    layer or random weights throughout.
    """
    if config.network == "randomised":
        return randomised(trained.network, 1, stream_seed(seed, "random last layer"))
    if config.network == "untrained":
        return imagenet.untrained(stream_seed(seed, "untrained network"))
    return trained.network


class Experiment:
    """One object: its composites, the network, and the means of its maps' measures."""

    def __init__(
        self, config: SaliencyConfig, seed: int, cutout: Cutout, trained: Classifier, network: nn.Module
    ) -> None:
        """Both networks read squares of `trained.side`; `network` is explained. Raises
        DataError for an object of another class than theirs.
        """
        if cutout.imagenet_class and cutout.imagenet_class not in trained.classes:
            raise DataError(
                f"{cutout.path.name} must have a class of {trained.name}, got {cutout.imagenet_class!r:.80}."
            )
        self.config, self.seed, self.cutout, self.arms = config, seed, cutout, arms(config)
        self.target = cause.explained_class(trained, cutout)
        self.network, self.trained = network, trained.network
        count = CANDIDATES * config.explained_scenes
        self.composites = composites.generate(cutout, count, seed, side=trained.side)
        chosen = decided_by_object(trained.network, self.composites, self.target)
        # the first, in the order drawn, of those that count; where they are too few, of the others
        self.order = np.argsort(~chosen, kind="stable")[: config.explained_scenes]
        own = chosen if network is self.trained else decided_by_object(network, self.composites, self.target)
        self.accuracy = float(own.mean())
        self.means = measuring.Means(self.arms, SHOWN)

    def explain(self, index: int) -> None:
        """Every map of the object at one place, measured and added to the means; at the
        first place also faithfulness, and how far maps moved from the trained network's.
        """
        place = self.order[index]
        image, mask = as_float(self.composites.images[place]), self.composites.masks[place]
        maps = self._maps(self.network, image, place)
        values = np.stack([maps[arm] for arm in self.arms])  # (M, h, w)
        near = distance_transform_edt(mask == 0) <= NEAR * len(mask)
        columns = measuring.localisation(values, mask) | {"dilated": measures.mass_in_mask(values, near)}
        if index == 0 and self.config.network == "trained":  # others have no probability to fall or rise
            given = self.network, image, self.target, values
            columns |= measuring.faithfulness(*given, CURVE_STEPS, self.seed)
        if index == 0 and self.config.network == "untrained":
            others = self._maps(self.trained, image, place)
            columns["moved"] = measuring.moved(values, np.stack([others[arm] for arm in self.arms]))
        self.means.add(columns)
        self.means.show({arm: reduced(values) for arm, values in maps.items()} if index == 0 else {})

    def _maps(self, network: nn.Module, image: torch.Tensor, place: int) -> dict[str, np.ndarray]:
        draws = stream_seed(self.seed, f"maps of composite {place}")
        names = tuple(name for name in METHODS if name in self.arms)
        attributions = attribute(network, image, self.target, names, SETTINGS, draws)
        maps = {attribution.method: attribution.values for attribution in attributions}
        truth = self.composites.masks[place].astype(np.float32)
        others = tuple(cutout for cutout in composites.recognised() if cutout != self.cutout)
        blind = image_only.generate(image_only.network(others, len(truth) // 2), image)
        return maps | {"truth": truth, "blind": blind, "edges_squared": maps["edges"] ** 2}


def reduced(values: np.ndarray) -> np.ndarray:
    """A map (h, w) as the means of its parts, (SHOWN, SHOWN)."""
    part = values.shape[0] // SHOWN
    return values.reshape(SHOWN, part, SHOWN, part).mean((1, 3))
