"""A mask network for photographs: it predicts which pixels the ImageNet network needs, and
learned it from photographs without a mask.

Loss and fills are those of `mask_network`; the encoder is the frozen ImageNet network, read
at five sides. It reads features, not the class: all classes of an image share a mask.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.config import Config, setting
from mlcv_explore.data import composites
from mlcv_explore.data.composites import Cutout
from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.models import checkpoints, imagenet
from mlcv_explore.models.checkpoints import CheckpointError, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.models.unet import Decoder
from mlcv_explore.models.updates import shuffled_batches
from mlcv_explore.saliency import mask_network
from mlcv_explore.saliency.mask_network import MaskSettings
from mlcv_explore.seeds import numpy_stream, seeded, stream

NAME = "imagenet_masker/0"
KIND = "photograph masker"  # on its card
SIDE = 112  # pixels: a quarter of the cost of the network's own 224
CHANNELS = (16, 24, 40, 112, 320)  # of the features that are read, the finest first
READ = (0, 1, 2, 4, 6)  # the stages of the network that end at a side of their own
EACH = 8  # training composites of an object
PHOTOGRAPHS = 2000  # training photographs of CIFAR-10
TESTED = 200  # photographs that the card's numbers are measured on
AREA = 20.0  # area weight of the card's numbers and of a mask where none is given


class MaskerHyperparameters(Config):
    """Training of the mask network; the names are those of MaskSettings."""

    low_area: float = setting(5.0, "Smallest area weight", low=0, high=100)
    high_area: float = setting(40.0, "Largest area weight", low=0, high=100)
    smoothness: float = setting(0.5, "Smoothness weight", low=0, high=20)
    updates: int = setting(300, "Updates", low=2, high=100_000)
    batch_size: int = setting(16, "Batch size", low=2, high=512)
    rate: float = setting(
        0.01, "Learning rate", low=0.00001, high=0.1, help="Adam's, at the start; it falls linearly to zero."
    )
    widest: int = setting(32, "Channels of the decoder at most", low=4, high=128)


class PhotographMasker(nn.Module):
    """The decoder from features of the ImageNet network to a mask; it holds no part of it."""

    def __init__(self, channels: Sequence[int] = CHANNELS, widest: int = 32) -> None:
        super().__init__()
        # one more of the coarsest: log(1 + area weight)
        self.decoder = Decoder((*channels[:-1], channels[-1] + 1), 1, "plain", widest)

    def forward(self, features: Sequence[torch.Tensor], area: torch.Tensor, side: int) -> torch.Tensor:
        """Features of B images, the finest first, and area weights (B,) ≥ 0 → masks (B,
        side, side) in [0, 1].
        """
        weight = area.log1p()[:, None, None, None].expand(-1, 1, *features[-1].shape[-2:])
        values = self.decoder([*features[:-1], torch.cat([features[-1], weight], dim=1)])
        size = (side, side)
        return functional.interpolate(values, size, mode="bilinear", align_corners=False).sigmoid()[:, 0]


@torch.no_grad()
def features_and_logits(
    network: nn.Sequential, images: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Features of the ImageNet network for images (B, 3, h, w) in [0, 1] at five sides, the
    finest first, and its logits (B, 1000), in one pass.
    """
    known: list[torch.Tensor] = []
    stages = network[1].blocks
    hooks = [
        stages[index].register_forward_hook(lambda _module, _given, result: known.append(result))
        for index in READ
    ]
    try:
        logits = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return known, logits


def training_images(objects: Sequence[Cutout], seed: int) -> np.ndarray:
    """Photographs of CIFAR-10, enlarged, and composites of these objects, uint8 (n, 3, SIDE,
    SIDE), without a mask. Raises DataError.
    """
    source = data.load("cifar10").train
    chosen = numpy_stream(seed, "photographs of the masker").permutation(len(source))[:PHOTOGRAPHS]
    drawn = [
        composites.generate(cutout, EACH, index, "taught the masker of photographs", SIDE).images
        for index, cutout in enumerate(objects)
    ]
    return np.concatenate([enlarged(source.take(chosen).images), *drawn])


@torch.no_grad()
def surest(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """The half of images uint8 (n, 3, h, w) whose predicted class has the largest
    probability, in their order: where the network is unsure there is little to keep.
    """
    parts = torch.from_numpy(images).split(50)
    logits = (network(part.float().div_(255)) for part in parts)
    sure = torch.cat([values.softmax(1).amax(1) for values in logits]).numpy()
    return images[np.sort(np.argsort(-sure, kind="stable")[: (len(images) + 1) // 2])]


def enlarged(images: np.ndarray) -> np.ndarray:
    """Images uint8 (n, 3, h, w) at SIDE × SIDE pixels, bicubic."""
    parts = torch.from_numpy(images).float().split(250)
    size = (SIDE, SIDE)
    resized = [functional.interpolate(part, size, mode="bicubic", align_corners=False) for part in parts]
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in resized]).numpy()


def updates(
    masker: PhotographMasker, network: nn.Sequential, images: np.ndarray, settings: MaskSettings, seed: int
) -> Iterator[float]:
    """Train on images uint8 (n, 3, h, w); yields the loss of every update. The ImageNet
    network stays as it is.
    """
    optimiser = torch.optim.Adam(masker.parameters(), lr=settings.rate, fused=True)
    order, fills, weights = (
        stream(seed, f"{name} of the masker of photographs") for name in ("order", "fills", "area weights")
    )
    low, high = math.log1p(settings.low_area), math.log1p(settings.high_area)
    chosen = shuffled_batches(len(images), settings.batch_size, order)
    masker.train()
    for step in range(settings.updates):
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * (1 - step / settings.updates)
        batch = torch.from_numpy(images[next(chosen).numpy()]).float().div_(255)
        batch = batch.contiguous(memory_format=torch.channels_last)
        area = torch.expm1(low + (high - low) * torch.rand(len(batch), generator=weights))
        fill = mask_network.random_fill(batch, fills)
        features, logits = features_and_logits(network, batch)
        masks = masker(features, area, batch.shape[-1])
        value = mask_network.mask_loss(network, batch, masks, fill, area, settings, logits.argmax(1))
        gradient_step(optimiser, value)
        yield float(value.detach())
    masker.eval()


def train(
    objects: Sequence[Cutout],
    seed: int,
    hyperparameters: MaskerHyperparameters,
    report: ProgressCallback | None,
) -> TrainedCheckpoint:
    """Train the mask network on composites of these objects and on CIFAR-10, and measure
    it on test photographs of CIFAR-10. Raises DataError.
    """
    model = imagenet.load()
    images = surest(model.network, training_images(objects, seed))
    settings = MaskSettings(**hyperparameters.model_dump())
    masker = seeded(
        seed, lambda: PhotographMasker(widest=settings.widest), "weights of the masker of photographs"
    )
    masker = masker.to(memory_format=torch.channels_last)
    for step, value in enumerate(updates(masker, model.network, images, settings, seed), 1):
        if report is not None:
            report(step, settings.updates, value, 0.0)
    test = enlarged(data.load("cifar10").test.take(np.arange(TESTED)).images)
    fills = stream(seed, "fills of the masker's test photographs")
    return TrainedCheckpoint(
        masker,
        {
            "kind": KIND,
            "architecture": "photograph_masker",
            "arguments": {"channels": list(CHANNELS), "widest": settings.widest},
            "classifier": imagenet.NAME,
            "classifier_sha256": imagenet.SHA256,
            "data": {
                "name": (
                    f"the half that {imagenet.NAME} is surest of of {PHOTOGRAPHS} photographs of cifar10 and"
                    f" {EACH} composites of each of {len(objects)} objects"
                ),
                "fingerprint": content_fingerprint(_unlabelled(images), _unlabelled(test)),
            },
            "steps": settings.updates,
            "metrics": agreement(masker, model.network, test, fills, AREA)
            | {"area_weight": AREA, "test_size": len(test)},
        },
    )


@torch.no_grad()
def agreement(
    masker: PhotographMasker, network: nn.Sequential, images: np.ndarray, fills: torch.Generator, area: float
) -> dict[str, float]:
    """Share of images uint8 (n, 3, h, w) whose predicted class stays with the part inside
    the mask, "answer_kept", and with the rest, "answer_left"; the masks' mean "area".
    """
    kept, left, areas = [], [], []
    for part in torch.from_numpy(images).split(50):
        given = part.float().div_(255)
        features, logits = features_and_logits(network, given)
        masks = masker(features, torch.full((len(given),), area), given.shape[-1])
        fill, targets = mask_network.random_fill(given, fills), logits.argmax(1)
        for shares, chosen in ((kept, masks), (left, 1 - masks)):
            shares.append(network(mask_network.blend(given, chosen, fill)).argmax(1) == targets)
        areas.append(masks.mean((1, 2)))
    means = (float(torch.cat(values).float().mean()) for values in (kept, left, areas))
    return dict(zip(("answer_kept", "answer_left", "area"), means, strict=True))


@cache
def load() -> PhotographMasker:
    """The mask network that ships, read once. Raises CheckpointError where it was trained
    with other weights of the ImageNet network.
    """
    network, card = checkpoints.load_network(NAME, _build)
    if card["classifier_sha256"] != imagenet.SHA256:
        raise CheckpointError(f"{NAME} was trained with other weights of {imagenet.NAME}: train it again.")
    return network


@torch.no_grad()
def predict(
    masker: PhotographMasker, network: nn.Sequential, image: torch.Tensor, area: float = AREA
) -> np.ndarray:
    """The mask (h, w) float32 in [0, 1] of a square image (3, h, h) in [0, 1], computed at
    SIDE and enlarged; the larger the area weight, the smaller the mask.
    """
    side, size = image.shape[-1], (SIDE, SIDE)
    given = functional.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)
    features, _ = features_and_logits(network, given if side != SIDE else image[None])
    return masker(features, torch.tensor([float(area)]), side)[0].numpy()


def mask(image: np.ndarray, area: float = AREA) -> np.ndarray:
    """The same by the network that ships, of a float32 image (3, h, h). Raises
    CheckpointError without the weights of either network.
    """
    return predict(load(), imagenet.load().network, torch.from_numpy(image), area)


def _build(card: dict[str, Any]) -> PhotographMasker:
    return PhotographMasker(**card["arguments"])


def _unlabelled(images: np.ndarray) -> Images:
    return Images(images, np.zeros(len(images), np.int64), ("",))
