"""What something pasted into an image does to the score that maps explain, and how much of
that is due to hiding what lay beneath.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mlcv_explore.saliency.methods import Target, score


@dataclass(frozen=True)
class Effect:
    """The explained logit, or difference of two, of three images, and its scale."""

    before: float
    hidden: float  # with a patch of the image's mean colour in the place of what was pasted
    after: float
    spread: float  # standard deviation of the logits over classes, of the image before

    @property
    def change(self) -> float:
        """The change of the score from the image as it was."""
        return self.after - self.before

    @property
    def of_hiding(self) -> float:
        """The change by the patch, which only hides what lay beneath."""
        return self.hidden - self.before

    @property
    def own(self) -> float:
        """The change of the score from the patch to what was pasted."""
        return self.after - self.hidden

    @property
    def share(self) -> float:
        """`own` in standard deviations of the logits; 0 where all logits are the same."""
        return self.own / self.spread if self.spread else 0.0


def effect(
    network: nn.Module, before: np.ndarray, after: np.ndarray, mask: np.ndarray, target: Target
) -> Effect:
    """The effect of what was pasted into an input `before` (3, h, w) float32 in [0, 1] at
    the `mask` (h, w). Raises SaliencyError for a class that does not exist.
    """
    patch = np.where(mask > 0, before.mean((1, 2), keepdims=True), before)
    images = torch.from_numpy(np.stack([before, patch, after]))
    device = next((parameter.device for parameter in network.parameters()), images.device)
    with torch.no_grad():
        logits = network(images.to(device))
    return Effect(*score(logits, target).tolist(), float(logits[0].std(correction=0)))
