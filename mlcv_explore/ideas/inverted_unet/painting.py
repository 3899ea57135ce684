"""What a page asks of the networks that ship: a picture for a mask, several for one,
and the training picture of the nearest mask.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from mlcv_explore.ideas.inverted_unet import SHOWN, InvertedUnetConfig, rivals
from mlcv_explore.ideas.inverted_unet.ladder import Told, sides_of_edges, thumbnails_of
from mlcv_explore.ideas.inverted_unet.networks import CODES, Inverter
from mlcv_explore.ideas.inverted_unet.shipping import CHECKPOINTS, PREFIX, SAMPLED
from mlcv_explore.ideas.inverted_unet.training import as_bytes, paint
from mlcv_explore.ideas.inverted_unet.worlds import SCENES, Pictures, of_scenes
from mlcv_explore.metrics.overlap import intersection_over_union
from mlcv_explore.models import checkpoints
from mlcv_explore.seeds import stream

SIDE = 32  # pixels a side of what the networks that ship paint
PRESETS = 12  # fresh scenes whose masks the page offers


@cache
def network(name: str) -> tuple[Inverter, dict[str, Any]]:
    """A network that ships, by its rung or as "sampled", and its card. Raises
    CheckpointError.
    """
    found, card = checkpoints.load_network(f"{PREFIX}{name}/0", lambda card: Inverter(**card["arguments"]))
    return found, card


def painted(
    rung: str,
    regions: np.ndarray,
    label: int,
    edges: np.ndarray | None = None,
    thumbnail: np.ndarray | None = None,
) -> np.ndarray:
    """The picture that the network of a rung paints of a mask uint8 (32, 32), as uint8
    (32, 32, 3).

    `label` is an index into the textures; from their rungs on, `edges` are bool (2, 32,
    32) and `thumbnail` uint8 (3, 4, 4).
    """
    given = Told(
        SCENES,
        rung,
        regions[None],
        np.array([label]),
        *(None if each is None else each[None] for each in (edges, thumbnail)),
    )
    return as_bytes(paint(network(rung)[0], given))[0].transpose(1, 2, 0)


def sampled(regions: np.ndarray, draw: int, count: int) -> np.ndarray:
    """Pictures of one mask under `count` codes drawn anew for each `draw`, uint8
    (count, 32, 32, 3).
    """
    given = Told(SCENES, "class", regions[None].repeat(count, 0), np.zeros(count, np.int64))
    codes = torch.randn(count, CODES, generator=stream(draw, "codes shown on the page"))
    return as_bytes(paint(network(SAMPLED)[0], given, codes)).transpose(0, 2, 3, 1)


@cache
def presets() -> Pictures:
    """Fresh scenes that no network was trained on."""
    return of_scenes(1.0, PRESETS, 0, "shown on the page")


@cache
def _taught() -> tuple[Pictures, rivals.Masks]:
    recipe = CHECKPOINTS[f"{PREFIX}class"].hyperparameters
    pictures = of_scenes(recipe.dependence, recipe.scenes, 0, "taught")
    return pictures, rivals.Masks(pictures.regions, SCENES.objects)


@dataclass(frozen=True, eq=False)
class Neighbour:
    """The training picture with the nearest mask."""

    picture: np.ndarray  # uint8 (32, 32, 3)
    regions: np.ndarray  # uint8 (32, 32)
    overlap: float  # intersection over union of the two objects


def neighbour(regions: np.ndarray) -> Neighbour:
    """Of the pictures that the networks were trained on, the one whose mask is nearest
    to this one, uint8 (32, 32).
    """
    taught, masks = _taught()
    place = int(masks.nearest(regions, 1)[0])
    objects = np.isin(regions, SCENES.objects)
    return Neighbour(
        taught.images[place].transpose(1, 2, 0),
        taught.regions[place],
        float(intersection_over_union(objects, taught.objects[place])),
    )


def region_filled(regions: np.ndarray) -> np.ndarray:
    """Every region in its mean colour over the training pictures, uint8 (32, 32, 3)."""
    return as_bytes(_colours()[regions])


@cache
def _colours() -> np.ndarray:
    return rivals.region_colours(_taught()[0], [np.array([code]) for code in range(len(SCENES.regions))])


def drawing(regions: np.ndarray) -> np.ndarray:
    """The sides of the edges of a mask's own outline, its object bright, bool (2, 32,
    32).
    """
    bright = np.where(np.isin(regions, SCENES.objects), 255, 0).astype(np.uint8)
    return sides_of_edges(np.broadcast_to(bright, (1, 3, *bright.shape)))[0]


def scene_edges(place: int) -> np.ndarray:
    """The sides of the edges of one of the presets, bool (2, 32, 32)."""
    return sides_of_edges(presets().images[place : place + 1])[0]


def scene_thumbnail(place: int) -> np.ndarray:
    """The mean colours of one of the presets, uint8 (3, 4, 4)."""
    return thumbnails_of(presets().images[place : place + 1])[0]


def scene_picture(place: int) -> np.ndarray:
    """One of the presets, uint8 (32, 32, 3)."""
    return presets().images[place].transpose(1, 2, 0)


def errors(output: np.ndarray, truth: np.ndarray, regions: np.ndarray) -> dict[str, float]:
    """Root mean squared error in grey levels within each region that a mask has:
    {"background": …}. Pictures uint8 (32, 32, 3).
    """
    squares = ((output.astype(float) - truth) ** 2).mean(axis=-1)
    return {
        name: float(np.sqrt(squares[regions == code].mean()))
        for code, name in enumerate(SCENES.regions)
        if (regions == code).any()
    }


def truths(config: InvertedUnetConfig, seed: int, examined: bool) -> Pictures | None:
    """The pictures that a frame of a run shows as its network paints them: of the test
    once it is `examined`; None for pets.
    """
    if config.dataset != "scenes":
        return None
    return of_scenes(config.dependence, SHOWN, seed, "tested" if examined else "validated", config.side)
