"""The demo: what every pretrained level reconstructs of a digit, where this lies on the
level's map, and which losses reach which blocks; and how these weights are made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import nn

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.hierarchical_representation.settings import ARMS, OBJECTIVES, decodes, held_out
from mlcv_explore.ideas.hierarchical_representation.settings import HierarchicalRepresentationConfig as Config
from mlcv_explore.ideas.hierarchical_representation.training import Trainer
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.metrics.linear_probe import COMPONENTS, PrincipalComponents
from mlcv_explore.models import checkpoints, stored_maps
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.level_learners import encoded
from mlcv_explore.models.stacked_autoencoders import Shape, StackedAutoencoders, gradient_flow

DIGITS = "hierarchical_representation_digits"  # the checkpoint
PRETRAINED = tuple(arm for arm in ARMS if arm not in ("pca", "kmeans"))
SIDE = 8
DIFFERENTIATED = (*OBJECTIVES, "committed")  # arms with an objective of their own
SHORT = {"encoder": "enc", "own decoder": "dec", "end-to-end decoder": "e2e"}  # blocks, as on an axis


class DemoWeights(nn.Module):
    """The levels of every arm, of each level the components and the map of its training
    codes, and how pixels in [0, 1] are standardised.
    """

    def __init__(
        self, image_shape: Sequence[int], width: int, count: int, mapped: int, components: int
    ) -> None:
        super().__init__()
        shape, self.arms = Shape(tuple(image_shape), width, count), nn.ModuleDict()
        # (arm, level) → the name of its components and map among the weights
        self.keys = {(arm, level): f"{arm}_{{}}{level}" for arm in PRETRAINED for level in range(count)}
        for arm in PRETRAINED:
            target = "pixels" if arm.endswith("_pixels") else "code"
            self.arms[arm] = StackedAutoencoders(shape, (0,), target, clipped=arm == "committed")
        for key in self.keys.values():
            stored_maps.register(self, key, width, components, mapped)
        self.register_buffer("labels", torch.zeros(mapped, dtype=torch.int64))
        for name in ("mean", "spread"):
            self.register_buffer(name, torch.zeros(image_shape[0], 1, 1))


@dataclass(frozen=True, eq=False)
class Demo:
    """The pretrained weights with their maps, and test digits."""

    weights: DemoWeights
    maps: dict[tuple[str, int], tuple[PrincipalComponents, FittedMap]]  # of (arm, level)
    labels: np.ndarray  # (n,) classes of the maps' training digits
    test: data.Images

    def standardised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Digits (n, 64) in [0, 1] → (1, n, 64) as the levels were trained with."""
        return (pixels[None] - self.weights.mean.flatten()) / self.weights.spread.flatten()

    def example(self, label: int) -> np.ndarray:
        """The first test digit of a class, (8, 8) in [0, 1]."""
        return self.test.images[(self.test.labels == label).argmax(), 0] / 255


@dataclass(frozen=True, eq=False)
class Level:
    """One digit in one level of an arm."""

    image: np.ndarray | None  # (8, 8) in [0, 1] unless it overshoots; None where nothing decodes
    error: float | None  # mean squared error of standardised pixels
    place: np.ndarray  # (2,) on the level's map
    neighbours: list[int]  # classes of the five nearest training digits
    novelty: float  # percentile among the training digits


@cache
def demo() -> Demo:
    """The pretrained levels, read once. Raises CheckpointError."""
    weights, card = checkpoints.load_network(f"{DIGITS}/0", lambda card: DemoWeights(**card["arguments"]))
    name, size = (card["recipe"][entry] for entry in ("dataset", "train_size"))
    split = data.split(data.load(name), size, *held_out(name), 0)
    maps = {place: stored_maps.read(weights, key) for place, key in weights.keys.items()}
    return Demo(weights, maps, weights.labels.numpy(), split.test)


@torch.no_grad()
def infer(base: Demo, arm: str, digit: np.ndarray) -> list[Level]:
    """A digit (8, 8) in [0, 1] in every level of one arm."""
    model, mean, std = base.weights.arms[arm], base.weights.mean.flatten(), base.weights.spread.flatten()
    pixels = base.standardised(torch.from_numpy(np.array(digit, np.float32)).view(1, -1))
    end_to_end = arm.partition("_")[0] in ("global", "committed", "both")
    levels = []
    for level, code in enumerate(model.codes(pixels)):
        image = error = None
        if decodes(arm, level, model.count):
            output = model.reconstruction(level, code, end_to_end)
            image = (output * std + mean).view(SIDE, SIDE).numpy()
            error = float((output - pixels).square().mean())
        components, fitted = base.maps[arm, level]
        features = components.transform(code[0].numpy())
        neighbours = base.labels[fitted.nearest(features)[1][0]].tolist()
        novelty = float(fitted.novelty_percentile(features)[0])
        levels.append(Level(image, error, fitted.transform(features)[0], neighbours, novelty))
    return levels


def tiles() -> tuple[Tile, ...]:
    """A test digit, and its reconstruction from each level of the layer-wise arm and
    from the top level of the end-to-end one.
    """
    base, digit = demo(), demo().example(9)
    levels = [*infer(base, "greedy_code", digit), infer(base, "global", digit)[-1]]
    images = digit, *(level.image for level in levels)
    return tuple(Tile(np.clip(image, 0, 1), "amount") for image in images)


@cache
def gradients(arm: str) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Labels of losses and blocks; the norm of each loss's gradient in each block
    (losses, blocks) on 100 test digits, NaN where there is none; parameters (blocks,).
    """
    base = demo()
    model = base.weights.arms[arm].requires_grad_(True)
    pixels = base.standardised(base.test.as_float()[:100].flatten(1))
    objective = "global" if arm == "committed" else arm.partition("_")[0]
    terms, blocks, norms = gradient_flow(model, pixels, objective)
    model.requires_grad_(False)
    losses = [term.replace("level", "loss of level ").replace("global", "end-to-end loss") for term in terms]
    short = [f"{SHORT[kind]}\n{level}" for kind, _, level in (block.rpartition(" ") for block in blocks)]
    sizes = np.array([sum(weight.numel() for weight in own) for own in model.blocks().values()])
    return losses, short, norms, sizes


def parameters_without_gradient(arm: str) -> tuple[int, int]:
    """How many parameters no loss of an arm reaches, and how many its levels have."""
    *_, norms, sizes = gradients(arm)
    return int(sizes[np.isnan(norms).all(0)].sum()), int(sizes.sum())


def make(seed: int, config: Config, report: ProgressCallback | None) -> TrainedCheckpoint:
    """Train what a run trains, with weights rounded as they are stored, then map every
    level's training codes.
    """
    if config.network != "dense":
        raise SettingError(f"network must be dense for a checkpoint of levels, got {config.network}.")
    trainer = Trainer(config, (seed,))
    for epoch in range(1, config.epochs + 1):
        trainer.train()
        if report is not None:
            report(epoch, config.epochs, float(trainer.loss[0, 0, -1]), 0.0)
    (split,) = trainer.splits
    arguments = {
        "image_shape": list(data.entry(config.dataset).shape),
        "width": config.width,
        "count": config.levels,
        "mapped": len(split.train),
        "components": min(COMPONENTS, config.width),
    }
    weights, errors = DemoWeights(**arguments), []
    for name, values in {"labels": split.labels, "mean": split.mean, "spread": split.std}.items():
        weights.get_buffer(name).copy_(torch.as_tensor(values))
    for arm in PRETRAINED:
        model, trained = weights.arms[arm], trainer.learners[arm].model
        model.load_state_dict({name: value.half().float() for name, value in trained.state_dict().items()})
        trained.load_state_dict(model.state_dict())
        parts = (encoded(trainer.learners[arm], part[None]) for part in (split.train, split.validation))
        for level, codes in enumerate(zip(*parts, strict=True)):
            train, other = (part[0].flatten(1).numpy() for part in codes)
            errors.append(stored_maps.fit(weights, weights.keys[arm, level], train, other, seed))
    trainer.frame(config.epochs)
    metrics = {f"test_{arm}": round(float(trainer.accuracy[0, ARMS.index(arm), -1]), 4) for arm in PRETRAINED}
    metrics |= {"map_error": round(float(np.median(errors)), 4), "test_size": len(split.test)}
    about = {
        "kind": "levels",
        "architecture": "DemoWeights",
        "arguments": arguments,
        "data": {"name": config.dataset, "fingerprint": data.load(config.dataset).fingerprint},
        "steps": config.epochs * -(-config.train_size // config.batch_size),
        "metrics": metrics,
    }
    return TrainedCheckpoint(weights, about)


CHECKPOINTS = {DIGITS: CheckpointSpec(Config(dataset="digits"), make)}
