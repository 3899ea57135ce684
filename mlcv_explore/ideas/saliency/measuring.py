"""The measures of every map of an image, and their means over images."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mlcv_explore.experiment.film import as_int8
from mlcv_explore.ideas.saliency import ARMS, MEASURES
from mlcv_explore.saliency import faithfulness as curves
from mlcv_explore.saliency import measures


def localisation(values: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """How much of maps (M, h, w) of one image lies on the mask (h, w), measure → (M,)."""
    return {"mass": measures.mass_in_mask(values, mask), "pointing": measures.pointing(values, mask)}


def faithfulness(
    network: nn.Module, image: torch.Tensor, target: int, values: np.ndarray, steps: int, seed: int
) -> dict[str, np.ndarray]:
    """Areas under the curves of so many steps of maps (M, h, w) of one image, measure →
    (M,).
    """
    request = (network, image[None], torch.tensor([target]), values[None], "mean", steps)
    return {
        "deletion": curves.deletion(*request, seed=seed).area[0],
        "insertion": curves.insertion(*request, seed=seed).area[0],
    }


def moved(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(M,) how far maps (M, h, w) differ from those of a network with other weights:
    1 − |rank correlation|.
    """
    return 1 - np.abs(measures.similarity(values, others).rank)


class Means:
    """Every measure of these arms, means over the images so far; and the maps of the
    first image.
    """

    def __init__(self, arms: Sequence[str], side: int) -> None:
        self.arms = arms
        self.sums = np.zeros((len(arms), len(MEASURES)))
        self.counts = np.zeros(len(MEASURES))
        self.shown = np.zeros((len(ARMS), side, side), np.int8)

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """Measure → (arms,) of one more image; not every image has every measure."""
        for name, column in columns.items():
            self.sums[:, MEASURES.index(name)] += column
            self.counts[MEASURES.index(name)] += 1

    def show(self, maps: Mapping[str, np.ndarray]) -> None:
        """Arm → its map (side, side), for the next frame; none clears them."""
        self.shown = np.zeros_like(self.shown)
        for arm, values in maps.items():
            self.shown[ARMS.index(arm)] = as_int8(values)

    def array(self) -> np.ndarray:
        """(M, K) in the order of ARMS and MEASURES; 0 where nothing is measured."""
        means = np.zeros((len(ARMS), len(MEASURES)))
        means[[ARMS.index(arm) for arm in self.arms]] = self.sums / np.maximum(self.counts, 1)
        return means
