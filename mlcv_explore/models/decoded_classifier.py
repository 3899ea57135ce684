"""A small classifier whose features can be seen: a decoder turns those of every depth
back into an image, and a fitted map shows them among others.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.data.dataset import Images
from mlcv_explore.models.checkpoints import ProgressCallback
from mlcv_explore.models.detection import standardised
from mlcv_explore.models.embedding_maps import EmbeddingMaps
from mlcv_explore.models.encoders import DEPTHS, ConvolutionalNetwork, build_decoder
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream

REPORTS = 20  # progress reports of a training
RECONSTRUCTION_WEIGHT = 10.0  # of the squared error beside the cross-entropy
PART = 250  # images at once


class DecodedClassifier(EmbeddingMaps):
    """The network, its decoders, and the maps of its depths; depth 0 are the pixels."""

    def __init__(
        self, channels: int, side: int, width: int, classes: int, mapped: int, test_size: int
    ) -> None:
        body = ConvolutionalNetwork(channels, side, width, classes)
        super().__init__(body.shapes, mapped, test_size)
        self.body = body
        self.decoders = nn.ModuleList(
            build_decoder(channels, body.shapes, depth) for depth in range(1, DEPTHS + 1)
        )

    def features(self, images: torch.Tensor, depth: int) -> torch.Tensor:
        """Images (B, C, h, w) in [0, 1] → features (B, …) of a depth."""
        return images if depth == 0 else self.body.partial_forward(standardised(images), 0, depth)

    def decode(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """Features of a depth → images in [0, 1]."""
        return features.clamp(0, 1) if depth == 0 else self.decoders[depth - 1](features)

    def logits(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """Features of a depth → (B, K)."""
        return self.body.partial_forward(standardised(features) if depth == 0 else features, depth)


def train(
    model: DecodedClassifier,
    images: Images,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    report: ProgressCallback | None = None,
) -> None:
    """Train network and decoders together, then round all weights to half precision, in
    which they ship.
    """
    inputs, labels = images.as_float(), torch.from_numpy(images.labels)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = numpy_stream(seed, "batches")
    for step in range(1, steps + 1):
        places = torch.from_numpy(rng.integers(len(labels), size=batch_size))
        batch = inputs[places]
        features, errors = standardised(batch), []
        for depth in range(1, DEPTHS + 1):
            features = model.body.partial_forward(features, depth - 1, depth)
            errors.append(functional.mse_loss(model.decoders[depth - 1](features), batch))
        logits = model.body.partial_forward(features, DEPTHS)
        reconstruction = torch.stack(errors).sum()
        loss = functional.cross_entropy(logits, labels[places]) + RECONSTRUCTION_WEIGHT * reconstruction
        gradient_step(optimiser, loss)
        schedule.step()
        if report is not None and step % max(1, steps // REPORTS) == 0:
            accuracy = (logits.argmax(1) == labels[places]).float().mean()
            report(step, steps, float(loss.detach()), float(accuracy))
    model.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    model.eval()


@torch.no_grad()
def fit_maps(model: DecodedClassifier, images: Images, test: Images, seed: int) -> None:
    """Fit the map of every depth to the first images, as many as the model has room for."""
    parts = images.as_float()[: len(model.features0)], test.as_float()
    for depth in range(DEPTHS + 1):
        features = (torch.cat([model.features(batch, depth) for batch in part.split(PART)]) for part in parts)
        model.fit_map(depth, *features, seed)


@torch.no_grad()
def measured(model: DecodedClassifier, test: Images) -> dict[str, float]:
    """On test images: accuracy, and of every depth the placement errors of the map and
    the decoder's peak signal-to-noise ratio in dB.
    """
    images, labels = test.as_float(), torch.from_numpy(test.labels)
    correct = model.logits(images, 0).argmax(1) == labels
    metrics = {"test_accuracy": float(correct.float().mean()), "test_size": len(labels)}
    for depth in range(DEPTHS + 1):
        for name, share in (("median", 0.5), ("p90", 0.9)):
            error = float(np.quantile(model.map(depth).errors, share))
            metrics[f"map{depth}_{name}"] = round(error, 5)
        if depth:
            squared = functional.mse_loss(model.decode(model.features(images, depth), depth), images)
            metrics[f"test_psnr{depth}"] = round(-10 * math.log10(float(squared)), 2)
    return metrics
