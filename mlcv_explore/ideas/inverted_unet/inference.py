"""What the demo computes with the pretrained networks: an image for a mask, samples, and
the training image of the nearest mask.
"""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch

from mlcv_explore.data import scenes
from mlcv_explore.data.dataset import to_bytes
from mlcv_explore.data.image_summaries import edge_sides, thumbnails
from mlcv_explore.data.masked_images import (
    SCENE_COLOURS,
    MaskedImages,
    fill_regions,
    from_scenes,
    generate,
    mean_colours,
    scene_categories,
)
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.inverted_unet import SHOWN, Frame, InvertedUnetConfig, training
from mlcv_explore.ideas.inverted_unet.conditioning import Conditioning
from mlcv_explore.ideas.inverted_unet.pretrain import CHECKPOINTS, PREFIX, SAMPLED
from mlcv_explore.metrics.overlap import MaskIndex, intersection_over_union
from mlcv_explore.models import checkpoints
from mlcv_explore.models.conditional_generation import CODES, Generator, predict
from mlcv_explore.seeds import stream

SIDE = 32  # pixels a side of the pretrained networks' images
EXAMPLES = 12  # scenes whose masks the page offers
SCENES = scene_categories(scenes.TEXTURES)
PART = 250  # training scenes generated at once


@cache
def network(name: str) -> tuple[Generator, dict[str, Any]]:
    """A pretrained network, by its level or as "sampled", and its card. Raises
    CheckpointError.
    """
    return checkpoints.load_network(f"{PREFIX}{name}/0", lambda card: Generator(**card["arguments"]))


def predicted(
    level: str, regions: np.ndarray, label: int = 0, example: int = 0, outline: bool = False
) -> np.ndarray:
    """The image uint8 (32, 32, 3) that a level's network predicts for a mask uint8 (32,
    32).

    `label` is an index into the textures. Edges and thumbnail, from their levels on,
    are those of an example; with `outline` the edges are the mask's own, its object
    bright. Raises CheckpointError.
    """
    images = examples().images[example : example + 1]
    bright = 255 * np.isin(regions, SCENES.objects).astype(np.uint8)
    maps = edge_sides(np.broadcast_to(bright, images.shape) if outline else images), thumbnails(images)
    given = Conditioning(SCENES, level, regions[None], np.array([label]), *maps)
    return to_bytes(predict(network(level)[0], given.inputs, 1))[0].transpose(1, 2, 0)


def sample(regions: np.ndarray, draw: int, count: int) -> np.ndarray:
    """Images of one mask under `count` codes, other ones for each `draw`: uint8
    (count, 32, 32, 3). Raises CheckpointError.
    """
    given = Conditioning(SCENES, "class", regions[None].repeat(count, 0), np.zeros(count, np.int64))
    codes = torch.randn(count, CODES, generator=stream(draw, "codes shown on the page"))
    return to_bytes(predict(network(SAMPLED)[0], given.inputs, count, codes)).transpose(0, 2, 3, 1)


@cache
def examples() -> MaskedImages:
    """Scenes on which no network was trained."""
    return generate(training.scenes_config(1.0), EXAMPLES, 0, "shown on the page")


def example_image(index: int) -> np.ndarray:
    """The true image of an example, uint8 (32, 32, 3)."""
    return examples().images[index].transpose(1, 2, 0)


def _training_scenes(first: int, count: int) -> MaskedImages:
    """Some of the scenes that the pretrained networks were trained on."""
    config = training.scenes_config(CHECKPOINTS[f"{PREFIX}class"].hyperparameters.dependence)
    return from_scenes(scenes.generate_from(config, first, count, 0, "taught"))


@cache
def _training_masks() -> tuple[MaskIndex, np.ndarray]:
    """The masks of the training scenes, and the mean colours of their regions; images
    are made again one at a time.
    """
    starts, masks = range(0, CHECKPOINTS[f"{PREFIX}class"].hyperparameters.scenes, PART), []

    def parts() -> Iterator[MaskedImages]:
        for start in starts:
            part = _training_scenes(start, PART)
            masks.append(part.regions)
            yield part

    colours = mean_colours(parts())
    return MaskIndex(np.concatenate(masks), SCENES.objects), colours


@lru_cache(64)
def _training_image(index: int) -> np.ndarray:
    return _training_scenes(index, 1).images[0].transpose(1, 2, 0)


def nearest_training(regions: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The training image with the nearest mask, uint8 (32, 32, 3), that mask uint8
    (32, 32), and the overlap of the two objects.
    """
    index, _ = _training_masks()
    (nearest,) = index.nearest(regions, 1)
    mask = index.mask(nearest)
    overlap = intersection_over_union(*(np.isin(codes, SCENES.objects) for codes in (regions, mask)))
    return _training_image(int(nearest)), mask, float(overlap)


def region_means(regions: np.ndarray) -> np.ndarray:
    """Every region in its mean training colour, uint8 (32, 32, 3)."""
    return to_bytes(fill_regions(regions[None], _training_masks()[1]))[0].transpose(1, 2, 0)


def region_errors(output: np.ndarray, truth: np.ndarray, regions: np.ndarray) -> dict[str, float]:
    """Root mean squared error in grey levels of every region in a mask: {"background":
    …}. Images uint8 (32, 32, 3).
    """
    squares = ((output.astype(float) - truth) ** 2).mean(axis=-1)
    present = {code: name for code, name in enumerate(SCENES.regions) if (regions == code).any()}
    return {name: float(np.sqrt(squares[regions == code].mean())) for code, name in present.items()}


def shown_images(frame: Frame, config: InvertedUnetConfig, seed: int) -> np.ndarray:
    """The images of a run's frame, uint8 (n, side, side, 3): mask, network's and true
    image in turn; of pets the network's alone.

    `config` and `seed` are those of the run, its first seed: they make the same scenes.
    """
    outputs = frame.shown[0].transpose(0, 2, 3, 1)
    if config.dataset != "scenes":
        return outputs
    purpose = "tested" if frame.measured.any() else "validated"
    truths = generate(training.scenes_config(config.dependence, config.side), SHOWN, seed, purpose)
    rows = [SCENE_COLOURS[truths.regions], outputs, truths.images.transpose(0, 2, 3, 1)]
    return np.stack(rows, axis=1).reshape(-1, *outputs.shape[1:])


def tiles(shown: Sequence[int] = (6, 7), level: str = "class") -> tuple[Tile, ...]:
    """Masks of examples, each followed by the image that a level's network predicts."""
    masks = [examples().regions[index] for index in shown]
    pairs = ((SCENE_COLOURS[mask], predicted(level, mask)) for mask in masks)
    return tuple(Tile(image / 255) for pair in pairs for image in pair)


def test_explained(level: str) -> str:
    """Explained variance of a level's pretrained network in per cent; a dash without one."""
    try:
        return f"{100 * network(level)[1]['metrics']['test_explained']:.1f}"
    except checkpoints.CheckpointError:
        return "–"
