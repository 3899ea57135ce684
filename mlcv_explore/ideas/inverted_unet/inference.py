"""What the demo computes with the pretrained networks: an image for a mask, samples, and
the training image of the nearest mask.
"""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch

from mlcv_explore.data import composites, cutout_images, scenes
from mlcv_explore.data.dataset import to_bytes
from mlcv_explore.data.image_summaries import edge_sides, thumbnails
from mlcv_explore.data.mask_files import nearest_pixels
from mlcv_explore.data.masked_images import (
    SCENE_COLOURS,
    Categories,
    MaskedImages,
    fill_regions,
    from_scenes,
    generate,
    mean_colours,
    scene_categories,
)
from mlcv_explore.idea import Tile
from mlcv_explore.ideas.inverted_unet import PHOTOGRAPHS, SHOWN, Frame, InvertedUnetConfig, training
from mlcv_explore.ideas.inverted_unet.conditioning import Conditioning
from mlcv_explore.ideas.inverted_unet.pretrain import CHECKPOINTS, OF_PHOTOGRAPHS, PREFIX, SAMPLED
from mlcv_explore.metrics.overlap import MaskIndex, intersection_over_union
from mlcv_explore.models import checkpoints
from mlcv_explore.models.conditional_generation import CODES, Generator, predict
from mlcv_explore.models.mask_baselines import object_colours
from mlcv_explore.seeds import stream

SIDE = 32  # pixels a side of the pretrained networks' images
EXAMPLES = 12  # scenes whose masks the page offers
SCENES = scene_categories(scenes.TEXTURES)
CUTOUTS = Categories(("background", "object"), (1,), (), ())
PART = 250  # training scenes generated at once
# level → what its network is given
INPUTS = {
    "binary": "object or background.",
    "class": "the class of each pixel.",
    "colour": "the object's mean colour as well.",
    "edges": "bright and dark edge sides as well.",
    "thumbnail": "4 × 4 mean colours as well.",
}


@cache
def network(name: str) -> tuple[Generator, dict[str, Any]]:
    """A pretrained network, by its level, as "sampled" or "photographs", and its card.
    Raises CheckpointError.
    """
    return checkpoints.load_network(f"{PREFIX}{name}/0", lambda card: Generator(**card["arguments"]))


def predicted(
    level: str,
    regions: np.ndarray,
    colour: Sequence[int] | None = None,
    example: int = 0,
    outline: bool = False,
) -> np.ndarray:
    """The image uint8 (32, 32, 3) that a level's network predicts for a mask uint8 (32,
    32).

    `colour` is the object's mean, RGB in 0–255, by default that of an example. Edges and
    thumbnail, from their levels on, are the example's; with `outline` the edges are the
    mask's own, its object bright. Raises CheckpointError.
    """
    images = examples().images[example : example + 1]
    bright = 255 * np.isin(regions, SCENES.objects).astype(np.uint8)
    edges = edge_sides(np.broadcast_to(bright, images.shape) if outline else images)
    colours = np.array([example_colour(example) if colour is None else colour], np.uint8)
    given = Conditioning(SCENES, level, regions[None], colours, edges, thumbnails(images))
    return to_bytes(predict(network(level)[0], given.inputs, 1))[0].transpose(1, 2, 0)


def of_photographs(masks: np.ndarray) -> np.ndarray:
    """The images uint8 (n, 48, 48, 3) that the network trained on cut-out photographs
    predicts for masks of objects (n, h, w), resized by nearest pixel. Raises
    CheckpointError.
    """
    regions = np.stack([nearest_pixels((mask > 0).astype(np.uint8), PHOTOGRAPHS.side) for mask in masks])
    given = Conditioning(CUTOUTS, PHOTOGRAPHS.detail, regions)
    return to_bytes(predict(network(OF_PHOTOGRAPHS)[0], given.inputs, len(masks))).transpose(0, 2, 3, 1)


def held_out() -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray | None]:
    """Objects that the network of photographs was neither trained nor selected on: their
    names, masks uint8 (n, 48, 48), predicted images uint8 (n, 48, 48, 3), and the
    photographs, None where `MLCV_DATA` does not have them. Raises CheckpointError.
    """
    names, side = tuple(network(OF_PHOTOGRAPHS)[1]["examples"]), PHOTOGRAPHS.side
    bits = [bytes.fromhex(text) for text in network(OF_PHOTOGRAPHS)[1]["examples"].values()]
    masks = np.stack([np.unpackbits(np.frombuffer(row, np.uint8)).reshape(side, side) for row in bits])
    truths = None
    if composites.present():
        images, every = cutout_images.load(side)
        if set(names) <= set(every):
            truths = images.images[[every.index(name) for name in names]].transpose(0, 2, 3, 1)
    return names, masks, of_photographs(masks), truths


def sample(regions: np.ndarray, draw: int, count: int) -> np.ndarray:
    """Images of one mask under `count` codes, other ones for each `draw`: uint8
    (count, 32, 32, 3). Raises CheckpointError.
    """
    given = Conditioning(SCENES, "class", regions[None].repeat(count, 0))
    codes = torch.randn(count, CODES, generator=stream(draw, "codes shown on the page"))
    return to_bytes(predict(network(SAMPLED)[0], given.inputs, count, codes)).transpose(0, 2, 3, 1)


@cache
def examples() -> MaskedImages:
    """Scenes on which no network was trained."""
    return generate(training.scenes_config(1.0), EXAMPLES, 0, "shown on the page")


def example_image(index: int) -> np.ndarray:
    """The true image of an example, uint8 (32, 32, 3)."""
    return examples().images[index].transpose(1, 2, 0)


def example_colour(index: int) -> tuple[int, ...]:
    """The mean colour of an example's object, RGB in 0–255."""
    return tuple(map(int, object_colours(examples())[index]))


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
    image in turn; of pets, and of photographs that are not here, the network's alone.

    `config` and `seed` are those of the run, its first seed: they make the same images.
    """
    outputs = frame.shown[0].transpose(0, 2, 3, 1)
    tested = bool(frame.measured.any())
    if config.dataset == "scenes":
        purpose = "tested" if tested else "validated"
        truths = generate(training.scenes_config(config.dependence, config.side), SHOWN, seed, purpose)
        masks = SCENE_COLOURS[truths.regions]
    elif config.dataset == "composites" and composites.present():
        truths = training.splits(config, seed)[2 if tested else 1].take(slice(SHOWN))
        masks = SCENE_COLOURS[truths.regions]
    else:
        return outputs
    rows = [masks, outputs, truths.images.transpose(0, 2, 3, 1)]
    return np.stack(rows, axis=1).reshape(-1, *outputs.shape[1:])


def tiles(shown: Sequence[int] = (6, 7), level: str = "class") -> tuple[Tile, ...]:
    """Masks of examples, each followed by the image that a level's network predicts."""
    masks = [examples().regions[index] for index in shown]
    pairs = ((SCENE_COLOURS[mask], predicted(level, mask)) for mask in masks)
    return tuple(Tile(image / 255) for pair in pairs for image in pair)


def demo_results(level: str) -> tuple[float, float | None]:
    """Explained variance of the object by a level's pretrained network on its test
    images, and the ceiling, None where unknown. Raises CheckpointError.
    """
    metrics = network(level)[1]["metrics"]
    return metrics["test_explained"], metrics.get("test_ceiling")
