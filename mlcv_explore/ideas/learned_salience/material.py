"""What is learned from and tested on: scenes with telling backgrounds or tags, or pets;
each part from a stream of its own.
"""

import numpy as np
import torch

from mlcv_explore.data import scenes
from mlcv_explore.data.scenes import Scenes, ScenesConfig
from mlcv_explore.ideas.learned_salience import INDEPENDENT, LearnedSalienceConfig
from mlcv_explore.ideas.learned_salience.sharing import Material
from mlcv_explore.seeds import numpy_stream

# sides of the objects: smaller ones take ten times as many updates to be told apart
SMALLEST, LARGEST = 0.35, 0.5
HELD_OUT = 500  # pets that validation pictures are drawn from


def generated(config: LearnedSalienceConfig, rho: float, count: int, seed: int, purpose: str) -> Scenes:
    """Scenes of the class the config names, with large objects."""
    wanted = ScenesConfig(label=config.label, rho=rho, smallest=SMALLEST, largest=LARGEST)
    return scenes.generate(wanted, count, seed, purpose)


def telling_plates(given: Scenes, agreement: float, seed: int, purpose: str) -> np.ndarray:
    """Plates for these scenes, uint8 (n, 3, h, w), whose brightness names the class as
    often as `agreement` says.

    The scenes' own plates in four equal groups, the darkest first: a scene is given one
    at random from the group of its class, or, where it does not agree, of another
    class. At 0.25 class and plate are independent.
    """
    draws = numpy_stream(seed, f"{purpose} backgrounds")
    groups = np.array_split(np.argsort(given.backgrounds.mean(axis=(1, 2, 3)), kind="stable"), 4)
    others = (given.labels + 1 + draws.integers(0, 3, len(given))) % 4
    wanted = np.where(draws.random(len(given)) < agreement, given.labels, others)
    places = draws.random(len(given))
    chosen = np.array(
        [groups[group][int(place * len(groups[group]))] for group, place in zip(wanted, places, strict=True)]
    )
    return given.backgrounds[chosen]


def shared(config: LearnedSalienceConfig, count: int, seed: int, purpose: str) -> Material:
    """For the experiments on order and boxes: telling backgrounds, and the same scenes
    with backgrounds that tell nothing.
    """
    if config.dataset != "scenes":
        return pets(config, count, seed, purpose)
    given = generated(config, INDEPENDENT, count, seed, purpose)
    told, untold = (
        scenes.on_background(given, telling_plates(given, agreement, seed, f"{purpose}, {kind}"))
        for kind, agreement in (("telling", config.background), ("swapped", INDEPENDENT))
    )
    return _material(given, told, untold)


def tagged(
    config: LearnedSalienceConfig, rho: float, count: int, seed: int, purpose: str
) -> tuple[Material, Scenes | None]:
    """For the experiment on salience: scenes whose tags tell as much as `rho` says, and
    the same with tags that tell nothing.
    """
    if config.dataset != "scenes":
        return pets(config, count, seed, purpose), None
    given = generated(config, rho, count, seed, purpose)
    untold = (
        given
        if purpose == "taught" or rho == INDEPENDENT
        else generated(config, INDEPENDENT, count, seed, purpose)
    )
    return _material(given, given.images, untold.images), given


def pets(config: LearnedSalienceConfig, count: int, seed: int, purpose: str) -> Material:
    """Pictures of Oxford-IIIT Pet, drawn anew for each seed: what is learned from the
    training part, what is tested from the other.

    Validation pictures are taken from the end of the drawn training part. Raises
    DataError when the set is not here.
    """
    from mlcv_explore import data

    whole = data.load("oxford_pets")
    part = whole.test if purpose in ("tested", "explained") else whole.train
    order = numpy_stream(seed, "pets").permutation(len(part))
    # of the training part, never learned from
    held = 0 if part is whole.test else min(HELD_OUT, len(part) // 4)
    chosen = part.take(
        order[-min(count, held) :] if purpose == "validation" else order[: min(count, len(part) - held)]
    )
    pictures = chosen.as_float()
    boxes = np.array([_box(mask) for mask in chosen.masks], dtype=np.float32) / pictures.shape[-1]
    masks = torch.from_numpy(np.array(chosen.masks))
    return Material(
        pictures, pictures, torch.from_numpy(np.array(chosen.labels)), masks, torch.from_numpy(boxes)
    )


def _material(given: Scenes, images: np.ndarray, swapped: np.ndarray) -> Material:
    pictures, others = (torch.from_numpy(each).float().div_(255) for each in (images, swapped))
    boxes = torch.from_numpy((given.boxes / given.config.side).astype(np.float32))
    return Material(pictures, others, torch.from_numpy(given.labels), torch.from_numpy(given.masks), boxes)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Round all that is 1 in a mask (h, w); the whole of it where nothing is."""
    rows, columns = (np.flatnonzero((mask == 1).any(axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, *mask.shape
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
