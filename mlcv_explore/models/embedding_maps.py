"""A network that ships with fitted maps of its features, one for every depth: the space
in which neighbours are searched, the mapped features and their places, among its
buffers.

Beyond what `stored_maps` keeps, a feature also has its distance from that space, and
held-out features ship, so that a page can state how exact a map is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mlcv_explore.metrics import embedding_map
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.metrics.linear_probe import principal_components

COMPONENTS = 32  # of the features, in which neighbours are searched


@dataclass(frozen=True, eq=False)
class DepthMap:
    """The fitted map of a depth, and how exact it is on test features."""

    fitted: FittedMap
    # (m,) distances of test features from where UMAP's transform puts them, as shares of the width
    errors: np.ndarray
    usual_distance: float  # median distance of a test feature to its fifth neighbour on the map


class EmbeddingMaps(nn.Module):
    """A network with room for maps of `mapped` features and `test_size` others, for depths
    0, 1, … whose features have these shapes.
    """

    def __init__(self, shapes: Sequence[Sequence[int]], mapped: int, test_size: int) -> None:
        super().__init__()
        for depth, size in enumerate(map(math.prod, shapes)):
            kept = min(COMPONENTS, size)
            buffers = {
                "mean": (size,),
                "basis": (size, kept),
                "features": (mapped, kept + 1),
                "coordinates": (mapped, 2),
                "asked": (test_size, kept + 1),  # test features
                "transformed": (test_size, 2),  # where UMAP's transform puts them
            }
            for name, form in buffers.items():
                self.register_buffer(f"{name}{depth}", torch.zeros(form))

    def components(self, features: torch.Tensor, depth: int) -> torch.Tensor:
        """Features (B, …) of a depth → (B, 33): their leading components, and their
        distance from the space of these, all in one unit.
        """
        mean, basis = getattr(self, f"mean{depth}"), getattr(self, f"basis{depth}")
        centred = features.flatten(1) - mean
        scores = centred @ basis
        scale = basis.square().sum(0).mean()  # columns of one length, whose square this is
        residual = (centred.square().sum(1) * scale - scores.square().sum(1)).clamp_min(0).sqrt()
        return torch.cat([scores, residual[:, None]], dim=1)

    def map(self, depth: int) -> DepthMap:
        """The map of a depth."""
        names = ("features", "coordinates", "asked", "transformed")
        features, coordinates, test_features, transformed = (
            getattr(self, f"{name}{depth}").numpy() for name in names
        )
        fitted = FittedMap(features, coordinates)
        errors = embedding_map.errors(fitted.transform(test_features), transformed, fitted.width)
        return DepthMap(fitted, errors, float(np.median(fitted.nearest(test_features)[0][:, -1])))

    @torch.no_grad()
    def fit_map(self, depth: int, mapped: torch.Tensor, test: torch.Tensor, seed: int) -> None:
        """Fit the map of a depth to features (mapped, …), measure it on others (tests,
        …), and store it in half precision, in which it ships. Takes tens of seconds.
        """

        def store(**arrays: np.ndarray) -> None:
            for name, values in arrays.items():
                rounded = torch.from_numpy(np.asarray(values, dtype=np.float32)).half().float()
                getattr(self, f"{name}{depth}").copy_(rounded)

        space = principal_components(mapped.flatten(1).numpy(), getattr(self, f"basis{depth}").shape[1])
        store(mean=space.mean, basis=space.basis)
        features, test_features = (
            self.components(part, depth).half().float().numpy() for part in (mapped, test)
        )
        fitted, transformed = embedding_map.fit(features, test_features, seed)
        store(features=features, coordinates=fitted.coordinates, asked=test_features, transformed=transformed)
