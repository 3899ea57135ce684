"""A segmenter that ships: a U-Net trained on images with masks, such as generated
scenes, read and applied.
"""

from functools import cache

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore.config import Config, setting
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.metrics import overlap
from mlcv_explore.models import checkpoints
from mlcv_explore.models.checkpoints import ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.models.unet import UNet
from mlcv_explore.models.updates import shuffled_batches
from mlcv_explore.seeds import seeded, stream

SIZES = {"taught": 6000, "tested": 2000}  # scenes, of training and of the card's numbers


class SegmenterHyperparameters(Config):
    """Training of a segmenter."""

    width: int = setting(8, "Width", low=4, high=64, help="Channels at the full side, doubled by halvings.")
    levels: int = setting(4, "Sides", low=2, high=5)
    updates: int = setting(1500, "Updates", low=10, high=100_000)
    batch_size: int = setting(32, "Batch size", low=4, high=512)
    rate: float = setting(
        0.003, "Learning rate", low=0.00001, high=0.1, help="Adam's, at the start; it falls linearly to zero."
    )


def train(
    training: Images,
    test: Images,
    name: str,
    seed: int,
    hyperparameters: SegmenterHyperparameters,
    report: ProgressCallback | None,
) -> TrainedCheckpoint:
    """Train a segmenter of images with masks, a data set of that name, and measure it
    on test images.
    """
    arguments = {"inputs": 3, "outputs": 1, "width": hyperparameters.width, "levels": hyperparameters.levels}
    network = seeded(seed, lambda: UNet(**arguments), "segmenter that ships")
    network = network.to(memory_format=torch.channels_last)
    images, masks = training.as_float(), torch.from_numpy(training.masks).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=hyperparameters.rate, fused=True)
    order = stream(seed, "order of the segmenter that ships")
    chosen = shuffled_batches(len(masks), hyperparameters.batch_size, order)
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
        "data": {"name": name, "fingerprint": content_fingerprint(training, test)},
        "steps": hyperparameters.updates,
        "metrics": {"test_iou": iou, "test_size": len(test)},
    }
    return TrainedCheckpoint(network, about)


def train_on_scenes(
    seed: int, hyperparameters: SegmenterHyperparameters, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train a segmenter of scenes and measure it on other ones; in half of each part an
    object looks as its mask determines.
    """
    parts = (_halves(part, count, seed) for part, count in SIZES.items())
    return train(*parts, "scenes, appearance by the mask and not", seed, hyperparameters, report)


def _halves(part: str, count: int, seed: int) -> Images:
    """Scenes whose look their masks do not determine, then as many where they do."""
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
    return Images(images, labels, halves[0].classes, masks)


@cache
def load(name: str) -> UNet:
    """The segmenter of a checkpoint that ships. Raises CheckpointError when there is
    none of that name.
    """
    return checkpoints.load_network(name, lambda card: UNet(**card["arguments"]))[0]


@torch.no_grad()
def segment(name: str, image: np.ndarray) -> np.ndarray:
    """The probability (h, w) of each pixel of an image float32 (3, h, w) to be the
    object's, by the segmenter that ships under this name.
    """
    return load(name)(torch.from_numpy(image)[None]).sigmoid()[0, 0].numpy()
