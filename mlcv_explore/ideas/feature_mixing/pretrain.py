"""How the demo's networks are made: a classifier with a decoder from every depth, and a
fitted map of each depth's features.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.config import Config, setting
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.ideas.feature_mixing.copy_paste import SCENES, standardised
from mlcv_explore.ideas.feature_mixing.networks import DEPTHS, ConvolutionalNetwork, build_decoder
from mlcv_explore.metrics import embedding_map
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.metrics.linear_probe import principal_components
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded

PREFIX = "feature_mixing_"
KIND = "mixing desk"
DATASETS = ("scenes", "digits")
COMPONENTS = 32  # of the features, in which neighbours are searched
INK = 76  # grey level above which a pixel of a digit is its object
REPORTS = 20  # progress reports of a training
RECONSTRUCTION_WEIGHT = 10.0  # of the squared error beside the cross-entropy


class MixingHyperparameters(Config):
    """How a demo network is made."""

    world: str = setting("scenes", "Images", choices=DATASETS)
    taught: int = setting(
        4000, "Training images", low=100, high=20_000, step=100, help="On digits at most 1,397."
    )
    mapped: int = setting(1200, "Images on the map", low=50, high=5000, step=50)
    tested: int = setting(400, "Test images", low=50, high=2000, step=50)
    width: int = setting(16, "Channels of the first block", low=4, high=64, step=4)
    steps: int = setting(4000, "Steps", low=10, high=50_000, step=100)
    batch_size: int = setting(64, "Batch size", low=8, high=512, step=8)
    learning_rate: float = setting(0.002, "Learning rate", low=0.00001, high=0.1, step=0.001)


def demo_images(name: str, train: int, test: int, seed: int) -> tuple[Images, Images]:
    """Training and test images: generated scenes, or digits, whose last ones in an
    order drawn from the seed are the test part. The map shows the first training
    images.
    """
    if name == "scenes":
        return tuple(
            scenes.generate(SCENES, count, seed, part).as_images()
            for part, count in (("desk taught", train), ("desk tested", test))
        )
    digits = data.load("digits").train
    order = numpy_stream(seed, "desk").permutation(len(digits))
    masks = (digits.images[:, 0] > INK).astype(np.uint8)
    digits = Images(digits.images, digits.labels, digits.classes, masks)
    held_out = len(digits) - test
    return digits.take(order[: min(train, held_out)]), digits.take(order[held_out:])


class MixingModel(nn.Module):
    """The network, its decoders, and for every depth 0–3 the map's space, features and
    coordinates; depth 0 are the pixels.
    """

    def __init__(self, channels: int, side: int, width: int, classes: int, mapped: int, tested: int) -> None:
        super().__init__()
        self.body = ConvolutionalNetwork(channels, side, width, classes)
        self.decoders = nn.ModuleList(
            build_decoder(channels, self.body.shapes, depth) for depth in range(1, DEPTHS + 1)
        )
        for depth, shape in enumerate(self.body.shapes):
            size = math.prod(shape)
            kept = min(COMPONENTS, size)
            buffers = {
                "mean": (size,),
                "basis": (size, kept),
                "features": (mapped, kept + 1),
                "coordinates": (mapped, 2),
                "asked": (tested, kept + 1),  # test features
                "transformed": (tested, 2),  # where UMAP's transform puts them
            }
            for name, form in buffers.items():
                self.register_buffer(f"{name}{depth}", torch.zeros(form))

    def features(self, images: torch.Tensor, depth: int) -> torch.Tensor:
        """Images (B, C, h, w) in [0, 1] → features (B, …) of a depth."""
        return images if depth == 0 else self.body.partial_forward(standardised(images), 0, depth)

    def decode(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """Features of a depth → images in [0, 1]."""
        return features.clamp(0, 1) if depth == 0 else self.decoders[depth - 1](features)

    def logits(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """Features of a depth → (B, K)."""
        return self.body.partial_forward(standardised(features) if depth == 0 else features, depth)

    def components(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """Features of a depth → (B, 33): their leading components, and their distance
        from the space of these, all in one unit.
        """
        mean, basis = getattr(self, f"mean{depth}"), getattr(self, f"basis{depth}")
        centred = features.flatten(1) - mean
        scores = centred @ basis
        scale = basis.square().sum(0).mean()  # columns of one length, whose square this is
        residual = (centred.square().sum(1) * scale - scores.square().sum(1)).clamp_min(0).sqrt()
        return torch.cat([scores, residual[:, None]], dim=1)

    def map(self, depth: int) -> FittedMap:
        """The fitted map of a depth."""
        return FittedMap(
            getattr(self, f"features{depth}").numpy(), getattr(self, f"coordinates{depth}").numpy()
        )

    def map_errors(self, depth: int) -> np.ndarray:
        """Distances (tested,) of test features from where UMAP's transform puts them,
        as shares of the map's width.
        """
        fitted, asked = self.map(depth), getattr(self, f"asked{depth}").numpy()
        transformed = getattr(self, f"transformed{depth}").numpy()
        return embedding_map.errors(fitted.transform(asked), transformed, fitted.width)


def make(
    seed: int, hyperparameters: MixingHyperparameters, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train classifier and decoders together, then fit the map of every depth. Raises
    SettingError.
    """
    train, test = demo_images(hyperparameters.world, hyperparameters.taught, hyperparameters.tested, seed)
    arguments = {
        "channels": train.images.shape[1],
        "side": train.images.shape[2],
        "width": hyperparameters.width,
        "classes": len(train.classes),
        "mapped": min(hyperparameters.mapped, len(train)),
        "tested": len(test),
    }
    model = seeded(seed, lambda: MixingModel(**arguments))
    _train(model, train, hyperparameters, seed, report)
    # measured as it is stored
    model.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    model.eval()
    for depth in range(DEPTHS + 1):
        _fit_map(model, depth, train.take(np.arange(arguments["mapped"])), test, seed)
    about = {
        "kind": KIND,
        "architecture": "Desk",
        "arguments": arguments,
        "classes": list(train.classes),
        "input": {"size": arguments["side"]},
        "taught": len(train),
        "data": {"name": hyperparameters.world, "fingerprint": content_fingerprint(train, test)},
        "steps": hyperparameters.steps,
        "metrics": _metrics(model, test),
    }
    return TrainedCheckpoint(model, about)


def _train(
    model: MixingModel,
    train: Images,
    hyperparameters: MixingHyperparameters,
    seed: int,
    report: ProgressCallback | None,
) -> None:
    images, labels, steps = train.as_float(), torch.from_numpy(train.labels), hyperparameters.steps
    optimiser = torch.optim.Adam(model.parameters(), lr=hyperparameters.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = numpy_stream(seed, "batches")
    for step in range(1, steps + 1):
        places = torch.from_numpy(rng.integers(len(labels), size=hyperparameters.batch_size))
        batch = images[places]
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


@torch.no_grad()
def _fit_map(model: MixingModel, depth: int, mapped: Images, test: Images, seed: int) -> None:
    """Fit the map of a depth and store it in the precision in which it ships."""
    shown, asked = (
        torch.cat([model.features(batch, depth) for batch in part.as_float().split(250)])
        for part in (mapped, test)
    )

    def store(**arrays: np.ndarray) -> None:
        for name, values in arrays.items():
            rounded = torch.from_numpy(np.asarray(values, dtype=np.float32)).half().float()
            getattr(model, f"{name}{depth}").copy_(rounded)

    space = principal_components(shown.flatten(1).numpy(), getattr(model, f"basis{depth}").shape[1])
    store(mean=space.mean, basis=space.basis)
    features, asked = (model.components(part, depth).half().float().numpy() for part in (shown, asked))
    fitted, transformed = embedding_map.fit(features, asked, seed)
    store(features=features, coordinates=fitted.coordinates, asked=asked, transformed=transformed)


@torch.no_grad()
def _metrics(model: MixingModel, test: Images) -> dict[str, float]:
    images, labels = test.as_float(), torch.from_numpy(test.labels)
    correct = model.logits(images, 0).argmax(1) == labels
    metrics = {"test_accuracy": float(correct.float().mean()), "test_size": len(labels)}
    for depth in range(DEPTHS + 1):
        errors = model.map_errors(depth)
        metrics[f"map{depth}_median"] = round(float(np.median(errors)), 5)
        metrics[f"map{depth}_p90"] = round(float(np.quantile(errors, 0.9)), 5)
        if depth:
            squared = functional.mse_loss(model.decode(model.features(images, depth), depth), images)
            metrics[f"test_psnr{depth}"] = round(-10 * math.log10(float(squared)), 2)
    return metrics


CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    f"{PREFIX}scenes": CheckpointSpec(MixingHyperparameters(), make),
    f"{PREFIX}digits": CheckpointSpec(MixingHyperparameters(world="digits", taught=1397, mapped=1000), make),
}
