"""How the shipped networks are trained: mask networks of shipped classifiers, each for
a range of area weights, and a segmenter of scenes.
"""

from functools import partial

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.config import Config, setting
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import content_fingerprint
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.ideas.learned_salience import FORMS
from mlcv_explore.ideas.learned_salience import mask_network as mask_networks
from mlcv_explore.ideas.learned_salience.mask_network import MaskNetwork, MaskSettings
from mlcv_explore.metrics import overlap
from mlcv_explore.models import checkpoints
from mlcv_explore.models.checkpoints import CheckpointSpec, Classifier, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.models.unet import UNet, backbone_channels
from mlcv_explore.seeds import seeded, stream

AREA = 4.0  # the weight at which a card's numbers are measured
TRAINING_SCENES, TEST_SCENES = 6000, 2000
CLASSIFIERS = {  # mask network → the classifier it explains
    "scenes_masker_honest": "scenes/0",
    "scenes_masker_tagged": "scenes-tagged/0",
    "scenes_masker_texture": "scenes-texture/0",
    "cifar10_masker": "cifar10/0",
}
SEGMENTER = "scenes_unet"
RATE_HELP = "Adam's, at the start; it falls linearly to zero."


class MaskNetworkHyperparameters(Config):
    """Training of a shipped mask network; the names are those of MaskSettings."""

    form: str = setting("gated", "Skip connections", choices=FORMS)
    low_area: float = setting(0.5, "Smallest area weight", low=0, high=100)
    high_area: float = setting(20.0, "Largest area weight", low=0, high=100)
    smoothness: float = setting(0.5, "Smoothness weight", low=0, high=20)
    updates: int = setting(1500, "Updates", low=10, high=100_000)
    batch_size: int = setting(32, "Batch size", low=4, high=512)
    rate: float = setting(0.01, "Learning rate", low=0.00001, high=0.1, help=RATE_HELP)
    widest: int = setting(16, "Channels of the decoder at most", low=4, high=128)


class SegmenterHyperparameters(Config):
    """Training of the segmenter of scenes."""

    width: int = setting(8, "Width", low=4, high=64, help="Channels at the full side, doubled by halvings.")
    levels: int = setting(4, "Sides", low=2, high=5)
    updates: int = setting(1500, "Updates", low=10, high=100_000)
    batch_size: int = setting(32, "Batch size", low=4, high=512)
    rate: float = setting(0.003, "Learning rate", low=0.00001, high=0.1, help=RATE_HELP)


def _dataset(classifier: str, seed: int) -> data.Dataset:
    """Training and test images of a mask network of this classifier."""
    if classifier.startswith("cifar10"):
        return data.load("cifar10")
    label = "texture" if "texture" in classifier else "silhouette"
    config = ScenesConfig(rho=1.0 if "tagged" in classifier else 0.25, label=label)
    training, test = (
        scenes.generate(config, count, seed, f"{part} a masker").as_images()
        for part, count in (("taught", TRAINING_SCENES), ("tested", TEST_SCENES))
    )
    name, fingerprint = f"scenes, ρ = {config.rho:g}, {label}", content_fingerprint(training, test)
    return data.Dataset(name, training, test, fingerprint)


def train_mask_network(
    name: str, seed: int, hyperparameters: MaskNetworkHyperparameters, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train the mask network of that name and measure it on test images."""
    classifier = CLASSIFIERS[name]
    dataset, model = _dataset(classifier, seed), checkpoints.load(classifier)
    settings = MaskSettings(**hyperparameters.model_dump())
    network = mask_networks.build(model.network, model.side, settings, seed)
    losses = mask_networks.train(network, model.network, dataset.train.as_float(), settings, seed)
    for step, value in enumerate(losses, 1):
        if report is not None:
            report(step, settings.updates, value, 0.0)
    test = dataset.test.take(np.arange(min(TEST_SCENES, len(dataset.test))))
    channels = list(backbone_channels(model.network, model.side))
    about = {
        "kind": "masker",
        "architecture": "masker",
        "arguments": {"channels": channels, "form": settings.form, "widest": settings.widest},
        "classifier": classifier,
        "classifier_sha256": model.card["sha256"],
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "steps": settings.updates,
        "metrics": _metrics(network, model, test.as_float(), seed),
    }
    return TrainedCheckpoint(network, about)


@torch.no_grad()
def _metrics(network: MaskNetwork, model: Classifier, images: torch.Tensor, seed: int) -> dict[str, float]:
    """How often the class stays with the kept part and with the complement, and the
    mask's mean, at the middle area weight.
    """
    output = mask_networks.predict(network, model.network, images, AREA)
    fill = mask_networks.random_fill(images, stream(seed, "fills of the test pictures"))
    targets, shares = output.logits.argmax(1), {}
    for name, masks in (("answer_kept", output.masks), ("answer_left", 1 - output.masks)):
        blended = mask_networks.blend(images, masks, fill).split(250)
        kept = [
            model.network(part).argmax(1) == named
            for part, named in zip(blended, targets.split(250), strict=True)
        ]
        shares[name] = float(torch.cat(kept).float().mean())
    return shares | {"area": float(output.masks.mean()), "area_weight": AREA, "test_size": len(images)}


def _segmenter_images(part: str, count: int, seed: int) -> data.Images:
    """Scenes of which half look as their masks determine, for both ideas that use it."""
    halves = [
        scenes.generate(
            ScenesConfig(dependence=dependence, largest=0.5),
            count // 2,
            seed,
            f"{part} the segmenter, {dependence}",
        )
        for dependence in (0, 1)
    ]
    images, labels, masks = (
        np.concatenate([getattr(half, name) for half in halves]) for name in ("images", "labels", "masks")
    )
    return data.Images(images, labels, halves[0].classes, masks)


def train_segmenter(
    seed: int, hyperparameters: SegmenterHyperparameters, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train the segmenter of scenes and measure it on test scenes."""
    training = _segmenter_images("taught", TRAINING_SCENES, seed)
    test = _segmenter_images("tested", TEST_SCENES, seed)
    arguments = {"inputs": 3, "outputs": 1, "width": hyperparameters.width, "levels": hyperparameters.levels}
    network = seeded(seed, lambda: UNet(**arguments), "segmenter that ships")
    network = network.to(memory_format=torch.channels_last)
    images, masks = training.as_float(), torch.from_numpy(training.masks).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=hyperparameters.rate, fused=True)
    order = stream(seed, "order of the segmenter that ships")
    chosen = mask_networks.batches(len(masks), hyperparameters.batch_size, order)
    for step in range(hyperparameters.updates):
        for group in optimiser.param_groups:
            group["lr"] = hyperparameters.rate * (1 - step / hyperparameters.updates)
        batch = next(chosen)
        logits = network(images[batch].contiguous(memory_format=torch.channels_last))[:, 0]
        value = functional.binary_cross_entropy_with_logits(logits, masks[batch])
        gradient_step(optimiser, value)
        if report is not None:
            report(step + 1, hyperparameters.updates, float(value.detach()), 0.0)
    network.eval()
    with torch.no_grad():
        predicted = torch.cat([network(part)[:, 0] > 0 for part in test.as_float().split(250)]).numpy()
    iou = float(overlap.intersection_over_union(predicted, test.masks).mean())
    about = {
        "kind": "segmenter",
        "architecture": "unet",
        "arguments": arguments,
        "data": {
            "name": "scenes, appearance by the mask and not",
            "fingerprint": content_fingerprint(training, test),
        },
        "steps": hyperparameters.updates,
        "metrics": {"test_iou": iou, "test_size": TEST_SCENES},
    }
    return TrainedCheckpoint(network, about)


CHECKPOINTS = {
    **{
        name: CheckpointSpec(MaskNetworkHyperparameters(), partial(train_mask_network, name))
        for name in CLASSIFIERS
    },
    SEGMENTER: CheckpointSpec(SegmenterHyperparameters(), train_segmenter),
}
