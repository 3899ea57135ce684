"""Images for training and test: scenes whose backgrounds or tags are informative, or
pets; every part from a stream of its own.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.data import scenes
from mlcv_explore.data.scenes import Scenes, ScenesConfig
from mlcv_explore.ideas.learned_salience import LearnedSalienceConfig
from mlcv_explore.ideas.learned_salience.claims import INDEPENDENT
from mlcv_explore.seeds import numpy_stream

# sides of the objects: smaller ones take ten times as many updates to be told apart
SMALLEST, LARGEST = 0.35, 0.5
HELD_OUT = 500  # pets from which validation images are drawn


@dataclass(frozen=True, eq=False)
class AnnotatedImages:
    """n images with labels, masks and boxes, as tensors."""

    images: torch.Tensor  # (n, 3, h, w) float32 in [0, 1]
    # the same with uninformative backgrounds, or uninformative tags; the images themselves where
    # there are none
    swapped: torch.Tensor
    labels: torch.Tensor  # (n,) int64
    masks: torch.Tensor  # (n, h, w) uint8: 1 on the object, OUTLINE where unknown
    boxes: torch.Tensor  # (n, 4) float32 in [0, 1]: top, left, bottom, right in sides

    def __len__(self) -> int:
        return len(self.labels)


def generate_scenes(config: LearnedSalienceConfig, rho: float, count: int, seed: int, purpose: str) -> Scenes:
    """Scenes with large objects whose tag agrees with the class with probability `rho`."""
    about = ScenesConfig(label=config.label, rho=rho, smallest=SMALLEST, largest=LARGEST)
    return scenes.generate(about, count, seed, purpose)


def informative_backgrounds(given: Scenes, agreement: float, seed: int, purpose: str) -> np.ndarray:
    """Backgrounds for these scenes, uint8 (n, 3, h, w), whose brightness names the
    class with probability `agreement`.

    The scenes' own backgrounds in four equal groups, the darkest first: a scene gets a
    random one of its class's group, or, where it does not agree, of another's. At 0.25
    class and background are independent.
    """
    draws = numpy_stream(seed, f"{purpose} backgrounds")
    groups = np.array_split(np.argsort(given.backgrounds.mean(axis=(1, 2, 3)), kind="stable"), 4)
    others = (given.labels + 1 + draws.integers(0, 3, len(given))) % 4
    chosen = np.where(draws.random(len(given)) < agreement, given.labels, others)
    places = draws.random(len(given))
    indices = [
        groups[group][int(place * len(groups[group]))] for group, place in zip(chosen, places, strict=True)
    ]
    return given.backgrounds[np.array(indices)]


def with_backgrounds(config: LearnedSalienceConfig, count: int, seed: int, purpose: str) -> AnnotatedImages:
    """For the experiments on order and boxes: informative backgrounds, and the same
    scenes with independent ones.
    """
    if config.dataset != "scenes":
        return pets(config, count, seed, purpose)
    given = generate_scenes(config, INDEPENDENT, count, seed, purpose)
    informative, independent = (
        scenes.on_background(given, informative_backgrounds(given, agreement, seed, f"{purpose}, {kind}"))
        for kind, agreement in (("telling", config.background), ("swapped", INDEPENDENT))
    )
    return _annotated(given, informative, independent)


def with_tags(
    config: LearnedSalienceConfig, rho: float, count: int, seed: int, purpose: str
) -> tuple[AnnotatedImages, Scenes | None]:
    """For the experiment on saliency: scenes whose tag agrees with the class with
    probability `rho`, and the same with independent tags; the scenes too, None for
    pets.
    """
    if config.dataset != "scenes":
        return pets(config, count, seed, purpose), None
    given = generate_scenes(config, rho, count, seed, purpose)
    same = purpose == "taught" or rho == INDEPENDENT
    independent = given if same else generate_scenes(config, INDEPENDENT, count, seed, purpose)
    return _annotated(given, given.images, independent.images), given


def pets(config: LearnedSalienceConfig, count: int, seed: int, purpose: str) -> AnnotatedImages:
    """Images of Oxford-IIIT Pet, drawn anew for each seed, from its training part or
    its test part; validation images are the end of the drawn training part.

    Raises DataError when the data set is not here.
    """
    whole = data.load("oxford_pets")
    part = whole.test if purpose in ("tested", "explained") else whole.train
    order = numpy_stream(seed, "pets").permutation(len(part))
    # of the training part, never trained on
    held = 0 if part is whole.test else min(HELD_OUT, len(part) // 4)
    validation = order[-min(count, held) :]
    chosen = part.take(validation if purpose == "validation" else order[: min(count, len(part) - held)])
    images = chosen.as_float()
    boxes = np.array([_box(mask) for mask in chosen.masks], dtype=np.float32) / images.shape[-1]
    labels, masks = (torch.from_numpy(np.array(values)) for values in (chosen.labels, chosen.masks))
    return AnnotatedImages(images, images, labels, masks, torch.from_numpy(boxes))


def _annotated(given: Scenes, images: np.ndarray, swapped: np.ndarray) -> AnnotatedImages:
    first = torch.from_numpy(images).float().div_(255)
    second = first if swapped is images else torch.from_numpy(swapped).float().div_(255)
    boxes = torch.from_numpy((given.boxes / given.config.side).astype(np.float32))
    labels, masks = torch.from_numpy(given.labels), torch.from_numpy(given.masks)
    return AnnotatedImages(first, second, labels, masks, boxes)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The bounding box of what is 1 in a mask (h, w); the whole mask where nothing is."""
    rows, columns = (np.flatnonzero((mask == 1).any(axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, *mask.shape
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
