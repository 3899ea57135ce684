"""One digit seen by every level that ships: what each gives back, where it lies on the
level's map, and which losses reach which blocks.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from mlcv_explore import data
from mlcv_explore.ideas.hierarchical_representation import HierarchicalRepresentationConfig, decodes, held_out
from mlcv_explore.ideas.hierarchical_representation.levels import reach
from mlcv_explore.ideas.hierarchical_representation.shipping import KIND, PLAYED, PREFIX, Shelf
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.metrics.linear_probe import PrincipalComponents
from mlcv_explore.models import checkpoints

SIDE = 8
BATCH = 100  # test digits whose losses are followed back
# those with a wiring of their own
WIRED = tuple(arm for arm in PLAYED if arm not in ("denoising", "contrastive", "random", "supervised"))


@dataclass(frozen=True, eq=False)
class Mind:
    """What ships, ready to be asked."""

    shelf: Shelf
    card: dict
    components: dict[tuple[str, int], PrincipalComponents]  # of (arm, level)
    maps: dict[tuple[str, int], FittedMap]
    labels: np.ndarray  # (n,) classes of the maps' own digits
    digits: data.Images  # test digits, which nothing was learned from

    @property
    def count(self) -> int:
        """Levels."""
        return self.card["arguments"]["count"]


@dataclass(frozen=True, eq=False)
class Seen:
    """One digit as one arm's levels have it."""

    # of each level the reconstruction (8, 8) in [0, 1], and beyond where it overshoots; None where
    # none decodes
    pictures: list[np.ndarray | None]
    errors: list[float | None]  # mean squared error of standardised pixels
    places: np.ndarray  # (L, 2) on each level's map
    alike: list[list[int]]  # of each level the classes of the five nearest training digits, the nearest first
    strange: np.ndarray  # (L,) share of training digits that lie closer to their neighbours


@cache
def mind(name: str = f"{PREFIX}digits/0") -> Mind:
    """The levels that ship, read once. Raises CheckpointError."""
    network, card = checkpoints.load_network(name, _built)
    recipe = HierarchicalRepresentationConfig(**card["recipe"])
    split = data.split(data.load(recipe.dataset), recipe.train_size, *held_out(recipe.dataset), 0)
    keys = [(arm, level) for arm in PLAYED for level in range(recipe.levels)]
    components, maps = (
        {key: network.components(*key) for key in keys},
        {key: network.map(*key) for key in keys},
    )
    return Mind(network, card, components, maps, network.labels.numpy(), split.test)


def _built(card: dict) -> Shelf:
    if card.get("kind") != KIND:
        raise checkpoints.CheckpointError(f"{card['name']} is no checkpoint of {KIND}.")
    return Shelf(**card["arguments"])


@torch.no_grad()
def seen(found: Mind, arm: str, values: np.ndarray) -> Seen:
    """A digit (8, 8) in [0, 1] on its way up the levels of one arm, and back from each."""
    levels, mean, spread = found.shelf.arms[arm], found.shelf.mean.flatten(), found.shelf.spread.flatten()
    pixels = (torch.from_numpy(np.array(values, np.float32)).view(1, 1, -1) - mean) / spread
    pictures, errors, places, alike, strange = [], [], [], [], []
    for level, code in enumerate(levels.codes(pixels)):
        back = None
        if decodes(arm, level, levels.count):
            back = levels.reconstruction(
                level, code, whole=arm in ("global", "committed") or arm.startswith("both")
            )
        pictures.append(None if back is None else (back * spread + mean).view(SIDE, SIDE).numpy())
        errors.append(None if back is None else float((back - pixels).square().mean()))
        features, own = found.components[arm, level].transform(code[0].numpy()), found.maps[arm, level]
        places.append(own.transform(features)[0])
        alike.append(found.labels[own.nearest(features)[1][0]].tolist())
        strange.append(own.novelty_percentile(features)[0])
    return Seen(pictures, errors, np.stack(places), alike, np.array(strange))


@cache
def reached(arm: str) -> tuple[list[str], list[str], np.ndarray]:
    """Losses, blocks, and the norm of each loss's gradient in each block (losses,
    blocks); NaN where none arrives. One backward pass a loss.
    """
    found = mind()
    levels = found.shelf.arms[arm].requires_grad_(True)
    pixels = (
        found.digits.as_float()[:BATCH].flatten(1)[None] - found.shelf.mean.flatten()
    ) / found.shelf.spread.flatten()
    terms, blocks, table = reach(levels, pixels, "global" if arm == "committed" else arm.partition("_")[0])
    levels.requires_grad_(False)
    return terms, blocks, np.array([[np.nan if value is None else value for value in row] for row in table])


def without_gradient(arm: str) -> tuple[int, int]:
    """How many parameters no loss of this wiring ever moves, and how many the levels
    have.
    """
    _, blocks, table = reached(arm)
    sizes = {name: sum(each.numel() for each in own) for name, own in mind().shelf.arms[arm].blocks().items()}
    still = [name for name, column in zip(blocks, table.T, strict=True) if np.isnan(column).all()]
    return sum(sizes[name] for name in still), sum(sizes.values())
