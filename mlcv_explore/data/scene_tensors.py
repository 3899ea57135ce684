"""Generated scenes as tensors, with objects large enough for small networks and few
scenes.
"""

from dataclasses import dataclass

import torch

from mlcv_explore.data import scenes
from mlcv_explore.data.scenes import ScenesConfig

# smaller objects are at chance for so small a network and so few scenes
LARGE_OBJECTS = ScenesConfig(smallest=0.35, largest=0.5)


@dataclass(frozen=True, eq=False)
class SceneTensors:
    """Scenes with masks, classes and boxes."""

    images: torch.Tensor  # (n, 3, 32, 32) in [0, 1]
    masks: torch.Tensor  # (n, 1, 32, 32) of 0 and 1
    labels: torch.Tensor  # (n,)
    boxes: torch.Tensor  # (n, 4) top, left, bottom, right in pixels


def generate(count: int, seed: int, purpose: str) -> SceneTensors:
    """`count` scenes of a seed; a smaller count gives the first of them."""
    generated = scenes.generate(LARGE_OBJECTS, count, seed, purpose)
    images = torch.from_numpy(generated.images).float() / 255
    return SceneTensors(
        images.contiguous(memory_format=torch.channels_last),  # two thirds of the time on a processor
        torch.from_numpy(generated.masks).float()[:, None],
        torch.from_numpy(generated.labels),
        torch.from_numpy(generated.boxes).float(),
    )
