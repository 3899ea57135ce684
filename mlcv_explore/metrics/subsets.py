"""Metrics over some of each seed's examples, such as those of a group, or mislabelled
ones: examples (S, n), the chosen ones as a mask of that shape.
"""

import numpy as np
import torch

BINS = 20  # of a histogram over [0, 1]


def share(hit: torch.Tensor, among: torch.Tensor | None = None) -> np.ndarray:
    """Share of hits (S, n) among the chosen, (S,) float32; NaN where none is chosen."""
    among = torch.ones_like(hit) if among is None else among
    return ((hit & among).sum(1) / among.sum(1)).numpy().astype(np.float32)


def histograms(values: torch.Tensor, among: torch.Tensor) -> np.ndarray:
    """Shares of values in [0, 1] in BINS bins for the chosen of each seed, (S, BINS)
    float32; zeros where none is chosen.
    """
    bins = (values * BINS).long().clamp(0, BINS - 1)
    counts = torch.zeros(len(values), BINS).scatter_add_(1, bins, among.float())
    return (counts / among.sum(1, keepdim=True).clamp(min=1)).numpy()
