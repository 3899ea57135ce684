"""The demo: one digit in every level of the pretrained weights, what each reconstructs,
where it lies on the level's map, and which losses reach which blocks.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.hierarchical_representation.pretrain import KIND, PRETRAINED, DemoWeights, map_key
from mlcv_explore.ideas.hierarchical_representation.settings import (
    HierarchicalRepresentationConfig,
    decodes,
    held_out,
)
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.metrics.linear_probe import PrincipalComponents
from mlcv_explore.models import checkpoints, stored_maps
from mlcv_explore.models.stacked_autoencoders import gradient_flow

SIDE = 8
BATCH = 100  # test digits whose losses are differentiated
# arms with an objective of their own
DIFFERENTIATED = tuple(
    arm for arm in PRETRAINED if arm not in ("denoising", "contrastive", "random", "supervised")
)
SHORT = {"encoder": "enc", "own decoder": "dec", "end-to-end decoder": "e2e"}  # blocks, as on an axis


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
def demo(name: str = "hierarchical_representation_digits/0") -> Demo:
    """The pretrained levels, read once. Raises CheckpointError."""
    weights, card = checkpoints.load_network(name, _build)
    config = HierarchicalRepresentationConfig(**card["recipe"])
    split = data.split(data.load(config.dataset), config.train_size, *held_out(config.dataset), 0)
    keys = [(arm, level) for arm in PRETRAINED for level in range(config.levels)]
    maps = {key: stored_maps.read(weights, map_key(*key)) for key in keys}
    return Demo(weights, maps, weights.labels.numpy(), split.test)


def _build(card: dict) -> DemoWeights:
    if card.get("kind") != KIND:
        raise checkpoints.CheckpointError(f"{card['name']} is not a checkpoint of {KIND}.")
    return DemoWeights(**card["arguments"])


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


def tiles(label: int = 9) -> tuple[Tile, ...]:
    """A test digit, and its reconstruction from each level of the layer-wise arm and
    from the top level of the end-to-end one.
    """
    base = demo()
    digit = base.example(label)
    levels = [*infer(base, "greedy_code", digit), infer(base, "global", digit)[-1]]
    return tuple(
        Tile(np.clip(image, 0, 1), "amount") for image in (digit, *(level.image for level in levels))
    )


@cache
def gradients(arm: str) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Labels of losses and of blocks, the norm of each loss's gradient in each block
    (losses, blocks) on test digits, NaN where there is none, and each block's number
    of parameters (blocks,).
    """
    base = demo()
    model = base.weights.arms[arm].requires_grad_(True)
    pixels = base.standardised(base.test.as_float()[:BATCH].flatten(1))
    objective = "global" if arm == "committed" else arm.partition("_")[0]
    terms, blocks, norms = gradient_flow(model, pixels, objective)
    model.requires_grad_(False)
    losses = [
        "end-to-end loss" if term == "global" else term.replace("level", "loss of level ") for term in terms
    ]
    short = [f"{SHORT[kind]}\n{level}" for kind, _, level in (block.rpartition(" ") for block in blocks)]
    sizes = np.array([sum(weight.numel() for weight in own) for own in model.blocks().values()])
    return losses, short, norms, sizes


def parameters_without_gradient(arm: str) -> tuple[int, int]:
    """How many parameters no loss of an arm reaches, and how many its levels have."""
    *_, norms, sizes = gradients(arm)
    return int(sizes[np.isnan(norms).all(0)].sum()), int(sizes.sum())
