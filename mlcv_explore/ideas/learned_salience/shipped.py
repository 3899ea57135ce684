"""The networks of idea 16 that ship: a segmenter of scenes, and maskers of the
classifiers that ship, each for a whole range of area weights.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.config import Config, setting
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import content_fingerprint
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.ideas.learned_salience.masker import (
    FORMS,
    Masker,
    MaskerSettings,
    batches,
    blended,
    masked,
    masker,
    random_fill,
    training,
)
from mlcv_explore.metrics import overlap
from mlcv_explore.models import checkpoints
from mlcv_explore.models.checkpoints import (
    CheckpointError,
    CheckpointSpec,
    Classifier,
    ProgressCallback,
    TrainedCheckpoint,
)
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.models.unet import UNet, backbone_channels
from mlcv_explore.saliency.faithfulness import Fill, filled
from mlcv_explore.seeds import seeded, stream

AREA = 4.0  # the weight at which a card's numbers are measured
TAUGHT, TESTED = 6000, 2000  # scenes
MASKED = {  # masker → the classifier it was taught by
    "scenes_masker_honest": "scenes/0",
    "scenes_masker_tagged": "scenes-tagged/0",
    "scenes_masker_texture": "scenes-texture/0",
    "cifar10_masker": "cifar10/0",
}


class MaskerRecipe(Config):
    """How a masker that ships is trained; the names are those of MaskerSettings."""

    form: str = setting("gated", "Reads", choices=FORMS)
    low_area: float = setting(0.5, "Smallest area weight", low=0, high=100)
    high_area: float = setting(20.0, "Largest area weight", low=0, high=100)
    smoothness: float = setting(0.5, "Smoothness weight", low=0, high=20)
    updates: int = setting(1500, "Updates", low=10, high=100_000)
    batch_size: int = setting(32, "Batch size", low=4, high=512)
    rate: float = setting(
        0.01,
        "Learning rate",
        low=0.00001,
        high=0.1,
        help="Adam's, at the start; it falls to nothing in a straight line.",
    )
    widest: int = setting(16, "Channels of the decoder at most", low=4, high=128)


class SegmenterRecipe(Config):
    """How the segmenter of scenes is trained."""

    width: int = setting(
        8, "Width", low=4, high=64, help="Channels at the full side; twice as many at every halving."
    )
    levels: int = setting(4, "Sides", low=2, high=5)
    updates: int = setting(1500, "Updates", low=10, high=100_000)
    batch_size: int = setting(32, "Batch size", low=4, high=512)
    rate: float = setting(
        0.003,
        "Learning rate",
        low=0.00001,
        high=0.1,
        help="Adam's, at the start; it falls to nothing in a straight line.",
    )


@dataclass(frozen=True, eq=False)
class Shown:
    """What one forward pass says of one picture."""

    shares: np.ndarray  # (classes,) probabilities
    mask: np.ndarray  # (h, w) in [0, 1]
    gates: np.ndarray  # (h, w) in [0, 1]

    @property
    def answer(self) -> int:
        """The class named."""
        return int(self.shares.argmax())

    def box(self, share: float) -> np.ndarray:
        """Round the largest piece of the mask above this share of its largest value:
        top, left, bottom, right in pixels.
        """
        return overlap.largest_box(self.mask, share)


@cache
def load(classifier: str) -> tuple[Masker, Classifier]:
    """The masker of a classifier that ships, and that classifier. Raises
    CheckpointError when it has none, or other weights than it was taught by.
    """
    name = next((masker for masker, taught_by in MASKED.items() if taught_by == classifier), None)
    if name is None:
        raise CheckpointError(
            f"No masker was taught by {classifier!r:.80}; there are maskers of {', '.join(MASKED.values())}."
        )
    network, card = checkpoints.load_network(f"{name}/0", _built)
    model = checkpoints.load(classifier)
    if card["classifier_sha256"] != model.card["sha256"]:
        raise CheckpointError(
            f"{name} was taught by other weights of {classifier} than those that are here: train it again."
        )
    return network, model


def offered() -> tuple[str, ...]:
    """The classifiers whose maskers ship."""
    here = {name.split("/")[0] for name in checkpoints.names("masker")}
    return tuple(classifier for masker, classifier in MASKED.items() if masker in here)


def look(network: Masker, model: Classifier, picture: np.ndarray, area: float) -> Shown:
    """Answer, mask and gates of a picture float32 (3, side, side) in [0, 1]. Raises
    CheckpointError on another side than the classifier's.
    """
    if picture.shape != (3, model.side, model.side):
        raise CheckpointError(
            f"{model.name} needs pictures of shape {(3, model.side, model.side)}, got {picture.shape}."
        )
    found = masked(network, model.network, torch.from_numpy(picture)[None], area)
    return Shown(found.logits.softmax(1)[0].numpy(), found.masks[0].numpy(), found.gates[0].numpy())


@cache
def segmenter() -> UNet:
    """The segmenter of scenes: pictures (B, 3, h, w) in [0, 1] → logits (B, 1, h, w) of
    the object.
    """
    return checkpoints.load_network("scenes_unet/0", _built)[0]


def segmented(picture: np.ndarray) -> np.ndarray:
    """How likely each pixel of a scene float32 (3, h, w) is the object's, (h, w) in [0,
    1].
    """
    with torch.no_grad():
        return segmenter()(torch.from_numpy(picture)[None]).sigmoid()[0, 0].numpy()


def hidden(picture: np.ndarray, mask: np.ndarray, fill: Fill) -> np.ndarray:
    """The picture float32 (3, h, w) where the mask (h, w) is 1, and the fill where it
    is 0.
    """
    given = torch.from_numpy(picture)[None]
    return blended(given, torch.from_numpy(np.ascontiguousarray(mask))[None], filled(given, fill))[0].numpy()


def _built(card: dict[str, Any]) -> nn.Module:
    kinds = {
        "masker": lambda arguments: Masker(tuple(arguments.pop("channels")), **arguments),
        "unet": lambda arguments: UNet(**arguments),
    }
    if card["architecture"] not in kinds:
        raise CheckpointError(
            f"The card of {card.get('name')} names the architecture {card['architecture']!r:.80}, which is"
            " not one of this idea."
        )
    return kinds[card["architecture"]](dict(card["arguments"]))


def _pictures(name: str, seed: int) -> tuple[data.Dataset, str]:
    """What a masker is taught and tested with, and the name of its classifier."""
    classifier = MASKED[name]
    if classifier.startswith("cifar10"):
        return data.load("cifar10"), classifier
    label = "texture" if "texture" in classifier else "silhouette"
    config = ScenesConfig(rho=1.0 if "tagged" in classifier else 0.25, label=label)
    taught, tested = (
        scenes.generate(config, count, seed, f"{part} a masker").as_images()
        for part, count in (("taught", TAUGHT), ("tested", TESTED))
    )
    return (
        data.Dataset(
            f"scenes, ρ = {config.rho:g}, {label}", taught, tested, content_fingerprint(taught, tested)
        ),
        classifier,
    )


def _make_masker(
    name: str, seed: int, recipe: MaskerRecipe, report: ProgressCallback | None
) -> TrainedCheckpoint:
    dataset, classifier = _pictures(name, seed)
    model = checkpoints.load(classifier)
    settings = MaskerSettings(**recipe.model_dump())
    network = masker(model.network, model.side, settings, seed)
    for step, value in enumerate(
        training(network, model.network, dataset.train.as_float(), settings, seed), 1
    ):
        if report is not None:
            report(step, recipe.updates, value, 0.0)
    tested = dataset.test.take(np.arange(min(TESTED, len(dataset.test))))
    about = {
        "kind": "masker",
        "architecture": "masker",
        "arguments": {
            "channels": list(backbone_channels(model.network, model.side)),
            "form": recipe.form,
            "widest": recipe.widest,
        },
        "classifier": classifier,
        "classifier_sha256": model.card["sha256"],
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "steps": recipe.updates,
        "metrics": _worth(network, model, tested.as_float(), seed),
    }
    return TrainedCheckpoint(network, about)


@torch.no_grad()
def _worth(network: Masker, model: Classifier, pictures: torch.Tensor, seed: int) -> dict[str, float]:
    """Of test pictures at the middle area weight: how often the answer stays with what
    is kept, and with what is left, and the mask's mean.
    """
    found = masked(network, model.network, pictures, AREA)
    fill = random_fill(pictures, stream(seed, "fills of the test pictures"))
    answers = found.logits.argmax(1)
    shares = {}
    for name, masks_ in (("answer_kept", found.masks), ("answer_left", 1 - found.masks)):
        parts = zip(blended(pictures, masks_, fill).split(250), answers.split(250), strict=True)
        shares[name] = float(
            torch.cat([model.network(part).argmax(1) == wanted for part, wanted in parts]).float().mean()
        )
    return shares | {"area": float(found.masks.mean()), "area_weight": AREA, "test_size": len(pictures)}


def _make_segmenter(seed: int, recipe: SegmenterRecipe, report: ProgressCallback | None) -> TrainedCheckpoint:
    """Half of the scenes look as their masks say, half do not: it serves both ideas
    that read it.
    """
    parts = {}
    for part, count in (("taught", TAUGHT), ("tested", TESTED)):
        halves = [
            scenes.generate(
                ScenesConfig(dependence=each, largest=0.5), count // 2, seed, f"{part} the segmenter, {each}"
            )
            for each in (0, 1)
        ]
        parts[part] = data.Images(*(np.concatenate([getattr(half, name) for half in halves]) for name in ("images", "labels")), halves[0].classes,
                                  np.concatenate([half.masks for half in halves]))  # fmt: skip
    arguments = {"inputs": 3, "outputs": 1, "width": recipe.width, "levels": recipe.levels}
    network = seeded(seed, lambda: UNet(**arguments), "segmenter that ships").to(
        memory_format=torch.channels_last
    )
    pictures, wanted = parts["taught"].as_float(), torch.from_numpy(parts["taught"].masks).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate, fused=True)
    chosen = batches(len(wanted), recipe.batch_size, stream(seed, "order of the segmenter that ships"))
    for step in range(recipe.updates):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * (1 - step / recipe.updates)
        batch = next(chosen)
        found = network(pictures[batch].contiguous(memory_format=torch.channels_last))[:, 0]
        value = functional.binary_cross_entropy_with_logits(found, wanted[batch])
        gradient_step(optimiser, value)
        if report is not None:
            report(step + 1, recipe.updates, float(value.detach()), 0.0)
    network.eval()
    with torch.no_grad():
        predicted = torch.cat(
            [network(part)[:, 0] > 0 for part in parts["tested"].as_float().split(250)]
        ).numpy()
    covered = float(overlap.intersection_over_union(predicted, parts["tested"].masks).mean())
    about = {
        "kind": "segmenter",
        "architecture": "unet",
        "arguments": arguments,
        "data": {
            "name": "scenes, appearance by the mask and not",
            "fingerprint": content_fingerprint(parts["taught"], parts["tested"]),
        },
        "steps": recipe.updates,
        "metrics": {"test_iou": covered, "test_size": TESTED},
    }
    return TrainedCheckpoint(network, about)


CHECKPOINTS = {name: CheckpointSpec(MaskerRecipe(), partial(_make_masker, name)) for name in MASKED} | {
    "scenes_unet": CheckpointSpec(SegmenterRecipe(), _make_segmenter)
}
