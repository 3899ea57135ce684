"""The demo: one digit in every level of the shipped weights, what each reconstructs,
where it lies on the level's map, and which losses reach which blocks.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data import drawings
from mlcv_explore.data.uploads import BadImage, read
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.hierarchical_representation import HierarchicalRepresentationConfig, decodes, held_out
from mlcv_explore.ideas.hierarchical_representation.networks import gradient_flow
from mlcv_explore.ideas.hierarchical_representation.pretrain import KIND, PREFIX, SHIPPED, DemoWeights
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.metrics.linear_probe import PrincipalComponents
from mlcv_explore.models import checkpoints

SIDE = 8
BATCH = 100  # test digits whose losses are differentiated
# arms with an objective of their own
DIFFERENTIATED = tuple(
    arm for arm in SHIPPED if arm not in ("denoising", "contrastive", "random", "supervised")
)
SHORT = {"encoder": "enc", "own decoder": "dec", "end-to-end decoder": "e2e"}  # blocks, as on an axis


@dataclass(frozen=True, eq=False)
class Demo:
    """The shipped weights with their maps, and test digits."""

    weights: DemoWeights
    components: dict[tuple[str, int], PrincipalComponents]  # of (arm, level)
    maps: dict[tuple[str, int], FittedMap]
    labels: np.ndarray  # (n,) classes of the maps' training digits
    test: data.Images

    def standardised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Digits (n, 64) in [0, 1] → (1, n, 64) as the levels were trained with."""
        return (pixels[None] - self.weights.mean.flatten()) / self.weights.spread.flatten()

    def example(self, label: int) -> np.ndarray:
        """The first test digit of a class, (8, 8) in [0, 1]."""
        return self.test.images[(self.test.labels == label).argmax(), 0] / 255


@dataclass(frozen=True, eq=False)
class Inference:
    """One digit in the levels of one arm."""

    # of each level the reconstruction (8, 8), in [0, 1] unless it overshoots; None where nothing decodes
    images: list[np.ndarray | None]
    errors: list[float | None]  # mean squared error of standardised pixels
    coordinates: np.ndarray  # (L, 2) on each level's map
    neighbours: list[list[int]]  # of each level the classes of the five nearest training digits
    novelty: np.ndarray  # (L,) novelty percentile among the training digits


@cache
def demo(name: str = f"{PREFIX}digits/0") -> Demo:
    """The shipped levels, read once. Raises CheckpointError."""
    weights, card = checkpoints.load_network(name, _build)
    config = HierarchicalRepresentationConfig(**card["recipe"])
    split = data.split(data.load(config.dataset), config.train_size, *held_out(config.dataset), 0)
    keys = [(arm, level) for arm in SHIPPED for level in range(config.levels)]
    components = {key: weights.components(*key) for key in keys}
    maps = {key: weights.map(*key) for key in keys}
    return Demo(weights, components, maps, weights.labels.numpy(), split.test)


def _build(card: dict) -> DemoWeights:
    if card.get("kind") != KIND:
        raise checkpoints.CheckpointError(f"{card['name']} is not a checkpoint of {KIND}.")
    return DemoWeights(**card["arguments"])


def parse_upload(content: bytes, name: str) -> np.ndarray:
    """An uploaded image of one digit as (8, 8) in [0, 1], cropped to its ink. Raises
    BadImage.
    """
    digit = drawings.digit_from_image(read(content, name).pixels)
    if digit is None:
        raise BadImage("The image has only one colour: it shows no digit.")
    return digit


@torch.no_grad()
def infer(base: Demo, arm: str, digit: np.ndarray) -> Inference:
    """A digit (8, 8) in [0, 1] in every level of one arm."""
    model, mean, std = base.weights.arms[arm], base.weights.mean.flatten(), base.weights.spread.flatten()
    pixels = base.standardised(torch.from_numpy(np.array(digit, np.float32)).view(1, -1))
    images, errors, coordinates, neighbours, novelty = [], [], [], [], []
    for level, code in enumerate(model.codes(pixels)):
        output = None
        if decodes(arm, level, model.count):
            output = model.reconstruction(
                level, code, arm.partition("_")[0] in ("global", "committed", "both")
            )
        images.append(None if output is None else (output * std + mean).view(SIDE, SIDE).numpy())
        errors.append(None if output is None else float((output - pixels).square().mean()))
        features, fitted = base.components[arm, level].transform(code[0].numpy()), base.maps[arm, level]
        coordinates.append(fitted.transform(features)[0])
        neighbours.append(base.labels[fitted.nearest(features)[1][0]].tolist())
        novelty.append(fitted.novelty_percentile(features)[0])
    return Inference(images, errors, np.stack(coordinates), neighbours, np.array(novelty))


def tiles(label: int = 9) -> tuple[Tile, ...]:
    """A test digit, and its reconstruction from each level of the layer-wise arm and
    from the top level of the end-to-end one.
    """
    base = demo()
    digit = base.example(label)
    layer_wise, end_to_end = (infer(base, arm, digit).images for arm in ("greedy_code", "global"))
    return tuple(Tile(np.clip(image, 0, 1), "amount") for image in (digit, *layer_wise, end_to_end[-1]))


@cache
def gradients(arm: str) -> tuple[list[str], list[str], np.ndarray]:
    """Losses, blocks, and the norm of each loss's gradient in each block (losses,
    blocks) on test digits; NaN where there is none.
    """
    base = demo()
    model = base.weights.arms[arm].requires_grad_(True)
    pixels = base.standardised(base.test.as_float()[:BATCH].flatten(1))
    objective = "global" if arm == "committed" else arm.partition("_")[0]
    terms, blocks, norms = gradient_flow(model, pixels, objective)
    model.requires_grad_(False)
    return terms, blocks, np.array([[np.nan if norm is None else norm for norm in row] for row in norms])


def gradient_shares(arm: str) -> tuple[list[str], list[str], np.ndarray]:
    """Labels of losses and blocks, and each gradient as a share of its loss's largest."""
    terms, blocks, norms = gradients(arm)
    losses = [
        "end-to-end loss" if term == "global" else f"loss of level {term.removeprefix('level')}"
        for term in terms
    ]
    short = [f"{SHORT[kind]}\n{level}" for kind, _, level in (block.rpartition(" ") for block in blocks)]
    return losses, short, norms / np.nanmax(norms, axis=1, keepdims=True)


def parameters_without_gradient(arm: str) -> tuple[int, int]:
    """How many parameters no loss of an arm reaches, and how many its levels have."""
    _, blocks, norms = gradients(arm)
    weights = demo().weights.arms[arm].blocks()
    sizes = {name: sum(weight.numel() for weight in own) for name, own in weights.items()}
    unreached = [name for name, column in zip(blocks, norms.T, strict=True) if np.isnan(column).all()]
    return sum(sizes[name] for name in unreached), sum(sizes.values())
