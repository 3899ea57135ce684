"""Networks trained on true images that score generated ones: is the object found, is
its class recognised?
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data.dataset import to_float
from mlcv_explore.data.masked_images import MaskedImages
from mlcv_explore.metrics.overlap import intersection_over_union
from mlcv_explore.models import classifiers
from mlcv_explore.models.conditional_generation import BATCH, PatchUNet, one_cycle
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded, stream_seed

WIDTH, UPDATES, BATCH_SIZE, RATE = 8, 300, 32, 0.004
MEAN, STD = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)  # of generated scenes, in [0, 1]


class Evaluators:
    """A segmenter and a classifier; their scores of the true images bound the others."""

    def __init__(self, training: MaskedImages, seed: int) -> None:
        own, classes = stream_seed(seed, "judges"), len(training.categories.labels)
        self.segmenter = seeded(own, lambda: PatchUNet(3, 1, WIDTH, normalise=True), "finder")
        self.classifier = seeded(
            own, lambda: classifiers.residual_classifier(WIDTH, classes, MEAN, STD), "namer"
        )
        objects = torch.from_numpy(training.objects.astype(np.float32))[:, None]
        loss, images = functional.binary_cross_entropy_with_logits, training.images
        fit(self.segmenter, loss, images, objects, numpy_stream(own, "batches of the finder"))
        labels, loss = torch.from_numpy(training.labels), functional.cross_entropy
        fit(self.classifier, loss, images, labels, numpy_stream(own, "batches of the namer"))

    def scores(self, outputs: np.ndarray, truths: MaskedImages) -> dict[str, float]:
        """Of images float32 (n, 3, h, w): the object's intersection over union, and the
        accuracy of its class.
        """
        with torch.no_grad():
            parts = torch.from_numpy(np.ascontiguousarray(outputs)).split(BATCH)
            masks = torch.cat([self.segmenter(part)[:, 0] > 0 for part in parts]).numpy()
            predicted = torch.cat([self.classifier(part).argmax(1) for part in parts]).numpy()
        inside = masks & ~np.isin(truths.regions, truths.categories.ignored)
        overlap = intersection_over_union(inside, truths.objects)
        return {"iou": float(overlap.mean()), "accuracy": float((predicted == truths.labels).mean())}


def fit(
    network: nn.Module,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    images: np.ndarray,
    targets: torch.Tensor,
    random: np.random.Generator,
) -> None:
    """Train a network on true images uint8 (n, 3, h, w), and set it to evaluation mode."""
    updates = min(UPDATES, len(images) // 4)  # few images need few updates
    optimiser, schedule = one_cycle(list(network.parameters()), RATE, updates)
    network.to(memory_format=torch.channels_last).train()
    for _ in range(updates):
        indices = random.integers(len(images), size=min(BATCH_SIZE, len(images)))
        batch = torch.from_numpy(to_float(images[indices])).contiguous(memory_format=torch.channels_last)
        gradient_step(optimiser, loss(network(batch), targets[indices]))
        schedule.step()
    network.eval()
