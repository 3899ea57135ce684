"""What ships for the mixing desk: a network that can be entered at every depth, a
decoder from each, and a fitted map of each depth's features.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.config import Config, setting
from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.ideas.feature_mixing.networks import DEPTHS, Blocks, decoder
from mlcv_explore.metrics import embedding_map
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded

PREFIX = "feature_mixing_"
KIND = "mixing desk"
WORLDS = ("scenes", "digits")
COMPONENTS = 32  # of the features, in which neighbours are looked for
SCENES = ScenesConfig(smallest=0.35, largest=0.5)
REPORTED = 20  # times that a training reports
PATIENCE = 10.0  # weight of a squared pixel beside the cross-entropy


class DeskRecipe(Config):
    """How a desk is made."""

    world: str = setting("scenes", "Pictures", choices=WORLDS)
    taught: int = setting(
        4000, "Training pictures", low=100, high=20_000, step=100, help="On digits at most 1,397."
    )
    mapped: int = setting(1200, "Pictures on the map", low=50, high=5000, step=50)
    tested: int = setting(400, "Test pictures", low=50, high=2000, step=50)
    width: int = setting(16, "Channels of the first block", low=4, high=64, step=4)
    steps: int = setting(4000, "Steps", low=10, high=50_000, step=100)
    batch_size: int = setting(64, "Batch size", low=8, high=512, step=8)
    learning_rate: float = setting(0.002, "Learning rate", low=0.00001, high=0.1, step=0.001)


@dataclass(frozen=True, eq=False)
class World:
    """The pictures of a desk. Those on its map are the first of the taught ones."""

    taught: Images
    tested: Images


def world(name: str, taught: int, tested: int, seed: int) -> World:
    """Generated scenes of a seed, or digits, whose last ones in an order drawn from the
    seed are for testing. Raises SettingError.
    """
    if name == "scenes":
        both = (
            scenes.generate(SCENES, count, seed, part).as_images()
            for part, count in (("desk taught", taught), ("desk tested", tested))
        )
        return World(*both)
    digits = data.load("digits").train
    order = numpy_stream(seed, "desk").permutation(len(digits))
    masks = (digits.images[:, 0] > 76).astype(np.uint8)  # a digit's object is its ink
    digits = Images(digits.images, digits.labels, digits.classes, masks)
    return World(
        digits.take(order[: min(taught, len(digits) - tested)]), digits.take(order[len(digits) - tested :])
    )


class Desk(nn.Module):
    """The network, its decoders, and for every depth 0–3 the map's space, features and
    coordinates; depth 0 are the pixels.
    """

    def __init__(self, channels: int, side: int, width: int, classes: int, mapped: int, tested: int) -> None:
        super().__init__()
        self.body = Blocks(channels, side, width, classes)
        self.decoders = nn.ModuleList(
            decoder(channels, self.body.shapes, depth) for depth in range(1, DEPTHS + 1)
        )
        for depth, shape in enumerate(self.body.shapes):
            size = math.prod(shape)
            kept = min(COMPONENTS, size)
            buffers = {
                "mean": (size,),
                "basis": (size, kept),
                "features": (mapped, kept + 1),
                "coordinates": (mapped, 2),
            }
            # test features, and where UMAP's transform puts them
            buffers |= {"asked": (tested, kept + 1), "transformed": (tested, 2)}
            for name, form in buffers.items():
                self.register_buffer(f"{name}{depth}", torch.zeros(form))

    def features(self, pictures: torch.Tensor, depth: int) -> torch.Tensor:
        """Pictures (B, C, h, w) in [0, 1] → features (B, …) of a depth."""
        return pictures if depth == 0 else self.body.through(centred(pictures), 0, depth)

    def decoded(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """Features of a depth → pictures in [0, 1]."""
        return features.clamp(0, 1) if depth == 0 else self.decoders[depth - 1](features)

    def logits(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """Features of a depth → (B, K)."""
        return self.body.through(centred(features) if depth == 0 else features, depth)

    def located(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """Features of a depth → (B, 33): their leading components, and how far they lie
        from the space of these, all in one unit.
        """
        mean, basis = getattr(self, f"mean{depth}"), getattr(self, f"basis{depth}")
        apart = features.flatten(1) - mean
        scores = apart @ basis
        scale = basis.square().sum(0).mean()  # columns of one length, whose square this is
        residual = (apart.square().sum(1) * scale - scores.square().sum(1)).clamp_min(0).sqrt()
        return torch.cat([scores, residual[:, None]], dim=1)

    def map(self, depth: int) -> FittedMap:
        """The fitted map of a depth."""
        return FittedMap(
            getattr(self, f"features{depth}").numpy(), getattr(self, f"coordinates{depth}").numpy()
        )

    def map_errors(self, depth: int) -> np.ndarray:
        """How far test features are placed from where UMAP's transform puts them,
        (tested,), as shares of the map's width.
        """
        fitted = self.map(depth)
        return embedding_map.errors(
            fitted.transform(getattr(self, f"asked{depth}").numpy()),
            getattr(self, f"transformed{depth}").numpy(),
            fitted.width,
        )


def centred(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures in [0, 1] about zero, with a standard deviation near one."""
    return (pictures - 0.45) * 4


def make(seed: int, recipe: DeskRecipe, report: ProgressCallback | None) -> TrainedCheckpoint:
    """Train classifier and decoders together, then fit the map of every depth. Raises
    SettingError.
    """
    seen = world(recipe.world, recipe.taught, recipe.tested, seed)
    channels, side, classes = (
        seen.taught.images.shape[1],
        seen.taught.images.shape[2],
        len(seen.taught.classes),
    )
    mapped = min(recipe.mapped, len(seen.taught))
    arguments = {
        "channels": channels,
        "side": side,
        "width": recipe.width,
        "classes": classes,
        "mapped": mapped,
        "tested": len(seen.tested),
    }
    desk = seeded(seed, lambda: Desk(**arguments))
    _teach(desk, seen.taught, recipe, seed, report)
    # measured as it is stored
    desk.load_state_dict({name: value.half().float() for name, value in desk.state_dict().items()})
    desk.eval()
    for depth in range(DEPTHS + 1):
        _lay_out(desk, depth, seen, mapped, seed)
    return TrainedCheckpoint(desk, _about(desk, seen, recipe, arguments))


def _teach(
    desk: Desk, taught: Images, recipe: DeskRecipe, seed: int, report: ProgressCallback | None
) -> None:
    pictures, labels = taught.as_float(), torch.from_numpy(taught.labels)
    optimiser = torch.optim.Adam(desk.parameters(), lr=recipe.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    rng = numpy_stream(seed, "batches")
    for step in range(1, recipe.steps + 1):
        places = torch.from_numpy(rng.integers(len(labels), size=recipe.batch_size))
        batch = pictures[places]
        features, decoded = centred(batch), []
        for depth in range(1, DEPTHS + 1):
            features = desk.body.through(features, depth - 1, depth)
            decoded.append(functional.mse_loss(desk.decoders[depth - 1](features), batch))
        said = desk.body.through(features, DEPTHS)
        loss = functional.cross_entropy(said, labels[places]) + PATIENCE * torch.stack(decoded).sum()
        gradient_step(optimiser, loss)
        schedule.step()
        if report is not None and step % max(1, recipe.steps // REPORTED) == 0:
            report(
                step,
                recipe.steps,
                float(loss.detach()),
                float((said.argmax(1) == labels[places]).float().mean()),
            )


@torch.no_grad()
def _lay_out(desk: Desk, depth: int, seen: World, mapped: int, seed: int) -> None:
    """Fit the map of a depth and put it where it is kept, in the precision in which it
    ships.
    """
    from mlcv_explore.metrics.linear_probe import principal_components

    parts = seen.taught.take(np.arange(mapped)), seen.tested
    shown, asked = (
        torch.cat([desk.features(batch, depth) for batch in part.as_float().split(250)]) for part in parts
    )
    space = principal_components(shown.flatten(1).numpy(), getattr(desk, f"basis{depth}").shape[1])
    _keep(desk, depth, mean=space.mean, basis=space.basis)
    places = desk.located(shown, depth).half().float().numpy()
    strangers = desk.located(asked, depth).half().float().numpy()
    fitted, transformed = embedding_map.fit(places, strangers, seed)
    _keep(
        desk, depth, features=places, coordinates=fitted.coordinates, asked=strangers, transformed=transformed
    )


def _keep(desk: Desk, depth: int, **arrays: np.ndarray) -> None:
    for name, values in arrays.items():
        getattr(desk, f"{name}{depth}").copy_(
            torch.from_numpy(np.asarray(values, dtype=np.float32)).half().float()
        )


@torch.no_grad()
def _about(desk: Desk, seen: World, recipe: DeskRecipe, arguments: Mapping[str, int]) -> dict[str, object]:
    pictures, labels = seen.tested.as_float(), torch.from_numpy(seen.tested.labels)
    metrics = {
        "test_accuracy": float((desk.body(centred(pictures)).argmax(1) == labels).float().mean()),
        "test_size": len(labels),
    }
    for depth in range(DEPTHS + 1):
        errors = desk.map_errors(depth)
        metrics |= {
            f"map{depth}_median": round(float(np.median(errors)), 5),
            f"map{depth}_p90": round(float(np.quantile(errors, 0.9)), 5),
        }
        if depth:
            squared = functional.mse_loss(desk.decoded(desk.features(pictures, depth), depth), pictures)
            metrics[f"test_psnr{depth}"] = round(-10 * math.log10(float(squared)), 2)
    return {
        "kind": KIND,
        "architecture": "Desk",
        "arguments": dict(arguments),
        "classes": list(seen.taught.classes),
        "input": {"size": arguments["side"]},
        "taught": len(seen.taught),
        "data": {"name": recipe.world, "fingerprint": content_fingerprint(seen.taught, seen.tested)},
        "steps": recipe.steps,
        "metrics": metrics,
    }


_RECIPES = {"scenes": DeskRecipe(), "digits": DeskRecipe(world="digits", taught=1397, mapped=1000)}
CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    f"{PREFIX}{name}": CheckpointSpec(recipe, make) for name, recipe in _RECIPES.items()
}
