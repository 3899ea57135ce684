"""What the demo computes with the shipped networks: an image for a mask, samples, and
the training image of the nearest mask.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from mlcv_explore.idea import Tile
from mlcv_explore.ideas.inverted_unet import SHOWN, Frame, InvertedUnetConfig, baselines
from mlcv_explore.ideas.inverted_unet.conditioning import Conditioning, edge_sides, thumbnails_of
from mlcv_explore.ideas.inverted_unet.mask_upload import coloured
from mlcv_explore.ideas.inverted_unet.masked_images import SCENES, MaskedImages, generate_scenes, to_bytes
from mlcv_explore.ideas.inverted_unet.networks import CODES, Inverter, predict
from mlcv_explore.ideas.inverted_unet.pretrain import CHECKPOINTS, PREFIX, SAMPLED
from mlcv_explore.metrics.overlap import intersection_over_union
from mlcv_explore.models import checkpoints
from mlcv_explore.seeds import stream

SIDE = 32  # pixels a side of the shipped networks' images
EXAMPLES = 12  # scenes whose masks the page offers


@cache
def network(name: str) -> tuple[Inverter, dict[str, Any]]:
    """A shipped network, by its level or as "sampled", and its card. Raises
    CheckpointError.
    """
    return checkpoints.load_network(f"{PREFIX}{name}/0", lambda card: Inverter(**card["arguments"]))


def generate(
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
    drawn = np.broadcast_to(bright, images.shape) if outline else images
    maps = edge_sides(drawn), thumbnails_of(images)
    conditioning = Conditioning(SCENES, level, regions[None], np.array([label]), *maps)
    return to_bytes(predict(network(level)[0], conditioning))[0].transpose(1, 2, 0)


def sample(regions: np.ndarray, draw: int, count: int) -> np.ndarray:
    """Images of one mask under `count` codes, other ones for each `draw`: uint8
    (count, 32, 32, 3). Raises CheckpointError.
    """
    conditioning = Conditioning(SCENES, "class", regions[None].repeat(count, 0), np.zeros(count, np.int64))
    codes = torch.randn(count, CODES, generator=stream(draw, "codes shown on the page"))
    return to_bytes(predict(network(SAMPLED)[0], conditioning, codes)).transpose(0, 2, 3, 1)


@cache
def examples() -> MaskedImages:
    """Scenes on which no network was trained."""
    return generate_scenes(1.0, EXAMPLES, 0, "shown on the page")


def example_image(index: int) -> np.ndarray:
    """The true image of an example, uint8 (32, 32, 3)."""
    return examples().images[index].transpose(1, 2, 0)


@cache
def _training() -> tuple[MaskedImages, baselines.MaskIndex]:
    settings = CHECKPOINTS[f"{PREFIX}class"].hyperparameters
    images = generate_scenes(settings.dependence, settings.scenes, 0, "taught")
    return images, baselines.MaskIndex(images.regions, SCENES.objects)


def nearest_training(regions: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The training image with the nearest mask, uint8 (32, 32, 3), that mask uint8
    (32, 32), and the overlap of the two objects.
    """
    images, index = _training()
    (nearest,) = index.nearest(regions, 1)
    overlap = intersection_over_union(np.isin(regions, SCENES.objects), images.objects[nearest])
    return images.images[nearest].transpose(1, 2, 0), images.regions[nearest], float(overlap)


@cache
def _colours() -> np.ndarray:
    return baselines.region_colours(_training()[0], [np.array([code]) for code in range(len(SCENES.regions))])


def fill_regions(regions: np.ndarray) -> np.ndarray:
    """Every region in its mean training colour, uint8 (32, 32, 3)."""
    return to_bytes(_colours()[regions])


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
    truths = generate_scenes(config.dependence, SHOWN, seed, purpose, config.side)
    rows = [coloured(truths.regions), outputs, truths.images.transpose(0, 2, 3, 1)]
    return np.stack(rows, axis=1).reshape(-1, *outputs.shape[1:])


def tiles(shown: Sequence[int] = (6, 7), level: str = "class") -> tuple[Tile, ...]:
    """Masks of examples, each followed by the image that a level's network predicts."""
    masks = [examples().regions[index] for index in shown]
    pairs = ((coloured(mask), generate(level, mask)) for mask in masks)
    return tuple(Tile(image / 255) for pair in pairs for image in pair)


def test_explained(level: str) -> str:
    """Explained variance of a level's shipped network in per cent; a dash without one."""
    try:
        return f"{100 * network(level)[1]['metrics']['test_explained']:.1f}"
    except checkpoints.CheckpointError:
        return "–"
