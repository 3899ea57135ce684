"""Mask networks of shipped classifiers: how one is trained and measured, and class,
mask and gates of an image in one forward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from mlcv_explore.config import Config, setting
from mlcv_explore.data.dataset import Dataset
from mlcv_explore.models import checkpoints
from mlcv_explore.models.checkpoints import CheckpointError, Classifier, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.unet import backbone_channels
from mlcv_explore.saliency import mask_network
from mlcv_explore.saliency.faithfulness import Fill, filled
from mlcv_explore.saliency.mask_network import FORMS, MaskNetwork, MaskSettings
from mlcv_explore.seeds import stream

KIND = "masker"  # on the card of a mask network
AREA, TEST_IMAGES = 4.0, 2000  # area weight and test images, at most, of a card's numbers
NOTHING, EVERYTHING = 0.005, 0.95  # mean of a mask below and above which it is uninformative


class MaskNetworkHyperparameters(Config):
    """Training of a shipped mask network; the names are those of MaskSettings."""

    form: str = setting("gated", "Skip connections", choices=FORMS)
    low_area: float = setting(0.5, "Smallest area weight", low=0, high=100)
    high_area: float = setting(20.0, "Largest area weight", low=0, high=100)
    smoothness: float = setting(0.5, "Smoothness weight", low=0, high=20)
    updates: int = setting(1500, "Updates", low=10, high=100_000)
    batch_size: int = setting(32, "Batch size", low=4, high=512)
    rate: float = setting(
        0.01, "Learning rate", low=0.00001, high=0.1, help="Adam's, at the start; it falls linearly to zero."
    )
    widest: int = setting(16, "Channels of the decoder at most", low=4, high=128)


@dataclass(frozen=True, eq=False)
class Explanation:
    """One forward pass for one image."""

    probabilities: np.ndarray  # (classes,)
    mask: np.ndarray  # (h, w) in [0, 1]
    gates: np.ndarray  # (h, w) in [0, 1]

    @property
    def target(self) -> int:
        """The predicted class."""
        return int(self.probabilities.argmax())

    @property
    def uninformative(self) -> bool:
        """Whether the mask covers nothing or everything."""
        return not NOTHING < self.mask.mean() < EVERYTHING


def train(
    classifier: str,
    dataset: Callable[[int], Dataset],
    seed: int,
    hyperparameters: MaskNetworkHyperparameters,
    report: ProgressCallback | None,
) -> TrainedCheckpoint:
    """Train a mask network of a shipped classifier on the training images of this
    seed's data set, and measure it on the test images.
    """
    images, model = dataset(seed), checkpoints.load(classifier)
    settings = MaskSettings(**hyperparameters.model_dump())
    network = mask_network.build(model.network, model.side, settings, seed)
    losses = mask_network.train(network, model.network, images.train.as_float(), settings, seed)
    for step, value in enumerate(losses, 1):
        if report is not None:
            report(step, settings.updates, value, 0.0)
    test = images.test.take(np.arange(min(TEST_IMAGES, len(images.test)))).as_float()
    fill = mask_network.random_fill(test, stream(seed, "fills of the test pictures"))
    shares = mask_network.agreement(network, model.network, test, fill, AREA)
    channels = list(backbone_channels(model.network, model.side))
    about = {
        "kind": KIND,
        "architecture": "masker",
        "arguments": {"channels": channels, "form": settings.form, "widest": settings.widest},
        "classifier": classifier,
        "classifier_sha256": model.card["sha256"],
        "data": {"name": images.name, "fingerprint": images.fingerprint},
        "steps": settings.updates,
        "metrics": {
            "answer_kept": shares["kept"],
            "answer_left": shares["complement"],
            "area": shares["area"],
            "area_weight": AREA,
            "test_size": len(test),
        },
    }
    return TrainedCheckpoint(network, about)


def classifiers() -> dict[str, str]:
    """The shipped classifiers that have a mask network, and its name."""
    cards = {
        name: checkpoints.read_card(checkpoints.FOLDER / name, name, ()) for name in checkpoints.names(KIND)
    }
    return {card["classifier"]: name for name, card in cards.items()}


@cache
def load(classifier: str) -> tuple[MaskNetwork, Classifier]:
    """The mask network of a shipped classifier, and that classifier. Raises
    CheckpointError when it has none, or was trained with other weights.
    """
    known = classifiers()
    if classifier not in known:
        raise CheckpointError(
            f"There is no mask network for {classifier!r:.80}; there are those for {', '.join(known)}."
        )
    network, card = checkpoints.load_network(known[classifier], _build)
    model = checkpoints.load(classifier)
    if card["classifier_sha256"] != model.card["sha256"]:
        raise CheckpointError(
            f"{known[classifier]} was trained with other weights of {classifier}: train it again."
        )
    return network, model


def explain(network: MaskNetwork, model: Classifier, image: np.ndarray, area: float) -> Explanation:
    """Class, mask and gates of an image float32 (3, side, side) in [0, 1]. Raises
    CheckpointError on another side than the classifier's.
    """
    if image.shape != (3, model.side, model.side):
        raise CheckpointError(
            f"{model.name} needs images of shape {(3, model.side, model.side)}, got {image.shape}."
        )
    output = mask_network.predict(network, model.network, torch.from_numpy(image)[None], area)
    probabilities = output.logits.softmax(1)[0].numpy()
    return Explanation(probabilities, output.masks[0].numpy(), output.gates[0].numpy())


def keep(image: np.ndarray, mask: np.ndarray, fill: Fill) -> np.ndarray:
    """The image float32 (3, h, w) where the mask (h, w) is 1, and the fill where it is
    0.
    """
    given, masks = torch.from_numpy(image)[None], torch.from_numpy(np.ascontiguousarray(mask))[None]
    return mask_network.blend(given, masks, filled(given, fill))[0].numpy()


def _build(card: dict[str, Any]) -> MaskNetwork:
    arguments = dict(card["arguments"])
    return MaskNetwork(tuple(arguments.pop("channels")), **arguments)
