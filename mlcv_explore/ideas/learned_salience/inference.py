"""What the demo computes with the shipped networks: class, mask and gates of an image
in one forward pass, the image with its mask kept or removed, and a segmentation.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from mlcv_explore.data import gallery, uploads
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.learned_salience import mask_network as mask_networks
from mlcv_explore.ideas.learned_salience.mask_network import MaskNetwork
from mlcv_explore.ideas.learned_salience.pretrain import CLASSIFIERS, SEGMENTER
from mlcv_explore.models import checkpoints
from mlcv_explore.models.checkpoints import CheckpointError, Classifier
from mlcv_explore.models.unet import UNet
from mlcv_explore.saliency.faithfulness import Fill, filled

NOTHING, EVERYTHING = 0.005, 0.95  # mean of a mask below and above which it is uninformative


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


def offered() -> tuple[str, ...]:
    """The classifiers whose mask networks ship."""
    shipped = {name.split("/")[0] for name in checkpoints.names("masker")}
    return tuple(classifier for name, classifier in CLASSIFIERS.items() if name in shipped)


@cache
def load(classifier: str) -> tuple[MaskNetwork, Classifier]:
    """The mask network of a shipped classifier, and that classifier. Raises
    CheckpointError when it has none, or was trained with other weights.
    """
    name = next((name for name, explained in CLASSIFIERS.items() if explained == classifier), None)
    if name is None:
        raise CheckpointError(
            f"There is no mask network for {classifier!r:.80}; there are those for"
            f" {', '.join(CLASSIFIERS.values())}."
        )
    network, card = checkpoints.load_network(f"{name}/0", _build)
    model = checkpoints.load(classifier)
    if card["classifier_sha256"] != model.card["sha256"]:
        raise CheckpointError(f"{name} was trained with other weights of {classifier}: train it again.")
    return network, model


def explain(network: MaskNetwork, model: Classifier, image: np.ndarray, area: float) -> Explanation:
    """Class, mask and gates of an image float32 (3, side, side) in [0, 1]. Raises
    CheckpointError on another side than the classifier's.
    """
    if image.shape != (3, model.side, model.side):
        raise CheckpointError(
            f"{model.name} needs images of shape {(3, model.side, model.side)}, got {image.shape}."
        )
    output = mask_networks.predict(network, model.network, torch.from_numpy(image)[None], area)
    probabilities = output.logits.softmax(1)[0].numpy()
    return Explanation(probabilities, output.masks[0].numpy(), output.gates[0].numpy())


def keep(image: np.ndarray, mask: np.ndarray, fill: Fill) -> np.ndarray:
    """The image float32 (3, h, w) where the mask (h, w) is 1, and the fill where it is
    0.
    """
    given, masks = torch.from_numpy(image)[None], torch.from_numpy(np.ascontiguousarray(mask))[None]
    return mask_networks.blend(given, masks, filled(given, fill))[0].numpy()


def tiles(photograph: str = "cat", classifier: str = "cifar10/0", area: float = 2.0) -> tuple[Tile, ...]:
    """A photograph of the gallery, the mask of its predicted class, and the image with
    the mask kept and removed.
    """
    network, model = load(classifier)
    image = uploads.resized_to_square(gallery.photographs()[photograph].read().pixels, model.side)
    mask = explain(network, model, image, area).mask
    kept, rest = (keep(image, part, "noise") for part in (mask, 1 - mask))
    shown = (image, kept, rest)
    whole, *parts = (Tile(np.clip(each, 0, 1).transpose(1, 2, 0)) for each in shown)
    return (whole, Tile(mask, "amount"), *parts)


@torch.no_grad()
def segment(image: np.ndarray) -> np.ndarray:
    """Probability of each pixel of a scene float32 (3, h, w) to be the object's, (h,
    w).
    """
    network, _ = _segmenter()
    return network(torch.from_numpy(image)[None]).sigmoid()[0, 0].numpy()


@cache
def _segmenter() -> tuple[UNet, dict[str, Any]]:
    return checkpoints.load_network(f"{SEGMENTER}/0", _build)


def _build(card: dict[str, Any]) -> nn.Module:
    arguments = dict(card["arguments"])
    if card["architecture"] == "masker":
        return MaskNetwork(tuple(arguments.pop("channels")), **arguments)
    if card["architecture"] == "unet":
        return UNet(**arguments)
    raise CheckpointError(
        f"The card of {card.get('name')} names the architecture {card['architecture']!r:.80}, which is"
        " not one of this idea."
    )
