"""Decoded classifiers that ship: how they are trained on generated scenes or digits,
and how a page reads them, with the images of their maps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import numpy as np

from mlcv_explore import data
from mlcv_explore.config import Config, setting
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.data.scene_tensors import LARGE_OBJECTS
from mlcv_explore.data.small_images import INK
from mlcv_explore.models import checkpoints, decoded_classifier
from mlcv_explore.models.checkpoints import ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.decoded_classifier import DecodedClassifier
from mlcv_explore.models.embedding_maps import DepthMap
from mlcv_explore.seeds import numpy_stream, seeded

DATASETS = ("scenes", "digits")
KIND = "decoded classifier"


class DecodedHyperparameters(Config):
    """How a decoded classifier is made."""

    renamed: ClassVar[Mapping[str, str]] = {"world": "dataset", "taught": "train_size", "tested": "test_size"}
    dataset: str = setting("scenes", "Images", choices=DATASETS)
    train_size: int = setting(
        4000, "Training images", low=100, high=20_000, step=100, help="On digits at most 1,397."
    )
    mapped: int = setting(1200, "Images on the map", low=50, high=5000, step=50)
    test_size: int = setting(400, "Test images", low=50, high=2000, step=50)
    width: int = setting(16, "Channels of the first block", low=4, high=64, step=4)
    steps: int = setting(4000, "Steps", low=10, high=50_000, step=100)
    batch_size: int = setting(64, "Batch size", low=8, high=512, step=8)
    learning_rate: float = setting(0.002, "Learning rate", low=0.00001, high=0.1, step=0.001)


def dataset_images(dataset: str, train: int, test: int, seed: int) -> tuple[Images, Images]:
    """Training and test images with masks: generated scenes, or digits, whose last ones
    in an order drawn from the seed are the test part.
    """
    if dataset == "scenes":
        return tuple(
            scenes.generate(LARGE_OBJECTS, count, seed, part).as_images()
            for part, count in (("desk taught", train), ("desk tested", test))
        )
    digits = data.load("digits").train
    order = numpy_stream(seed, "desk").permutation(len(digits))
    masks = (digits.images[:, 0] > INK).astype(np.uint8)
    digits = Images(digits.images, digits.labels, digits.classes, masks)
    held_out = len(digits) - test
    return digits.take(order[: min(train, held_out)]), digits.take(order[held_out:])


def make(
    seed: int, hyperparameters: DecodedHyperparameters, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train the network, then fit the map of every depth. Raises SettingError."""
    train, test = dataset_images(
        hyperparameters.dataset, hyperparameters.train_size, hyperparameters.test_size, seed
    )
    arguments = {
        "channels": train.images.shape[1],
        "side": train.images.shape[2],
        "width": hyperparameters.width,
        "classes": len(train.classes),
        "mapped": min(hyperparameters.mapped, len(train)),
        "test_size": len(test),
    }
    model = seeded(seed, lambda: DecodedClassifier(**arguments))
    about = hyperparameters.steps, hyperparameters.batch_size, hyperparameters.learning_rate
    decoded_classifier.train(model, train, *about, seed, report)
    decoded_classifier.fit_maps(model, train, test, seed)
    card = {
        "kind": KIND,
        "architecture": "DecodedClassifier",
        "arguments": arguments,
        "classes": list(train.classes),
        "input": {"size": arguments["side"]},
        "train_size": len(train),
        "data": {"name": hyperparameters.dataset, "fingerprint": content_fingerprint(train, test)},
        "steps": hyperparameters.steps,
        "metrics": decoded_classifier.measured(model, test),
    }
    return TrainedCheckpoint(model, card)


@dataclass(frozen=True, eq=False)
class DecodedDemo:
    """A shipped network with the images of its maps and its test images."""

    dataset: str
    model: DecodedClassifier
    card: dict[str, Any]
    mapped: Images  # in the maps' order
    test: Images
    _maps: dict[int, DepthMap] = field(default_factory=dict)  # those that were requested

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.card["classes"])

    def map(self, depth: int) -> DepthMap:
        """The map of a depth, read once."""
        if depth not in self._maps:
            self._maps[depth] = self.model.map(depth)
        return self._maps[depth]


@cache
def load(checkpoint: str) -> DecodedDemo:
    """The checkpoint of that name, read once. Raises CheckpointError."""
    model, card = checkpoints.load_network(checkpoint, lambda card: DecodedClassifier(**card["arguments"]))
    made, mapped = DecodedHyperparameters(**card["recipe"]), card["arguments"]["mapped"]
    count = made.train_size if made.dataset == "digits" else mapped
    train, test = dataset_images(made.dataset, count, made.test_size, card["seed"])
    return DecodedDemo(made.dataset, model, card, train.take(np.arange(mapped)), test)
