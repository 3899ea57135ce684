"""Principal components and a fitted map of some codes as buffers of a module, so that
they ship in its checkpoint.

Where a module has several maps, a key such as "encoder_{}0" gives each its names.
"""

import numpy as np
import torch
from torch import nn

from mlcv_explore.metrics import embedding_map
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.metrics.linear_probe import PrincipalComponents, principal_components


def register(owner: nn.Module, key: str, size: int, components: int, mapped: int) -> None:
    """Buffers for the leading components of codes of this size, and for a map of so
    many of them.
    """
    sizes = {
        "mean": (size,),
        "basis": (size, components),
        "features": (mapped, components),
        "coordinates": (mapped, 2),
    }
    for name, form in sizes.items():
        owner.register_buffer(key.format(name), torch.zeros(form))


def fit(owner: nn.Module, key: str, codes: np.ndarray, held_out: np.ndarray, seed: int) -> float:
    """Fill in components and map of codes (n, d). Returns how far codes held out (m, d)
    lie from where UMAP's own transform puts them: the median, as a share of the map's
    width.
    """
    components = principal_components(codes)
    features, others = (components.transform(part).astype(np.float32) for part in (codes, held_out))
    fitted, placed = embedding_map.fit(features, others, seed)
    arrays = {"mean": components.mean, "basis": components.basis}
    arrays |= {"features": fitted.features, "coordinates": fitted.coordinates}
    for name, values in arrays.items():
        owner.get_buffer(key.format(name)).copy_(torch.from_numpy(values))
    return float(np.median(embedding_map.errors(fitted.transform(others), placed, fitted.width)))


def read(owner: nn.Module, key: str) -> tuple[PrincipalComponents, FittedMap]:
    """The components on which codes are projected, and the map of their features."""
    mean, basis, *fitted = (
        owner.get_buffer(key.format(name)).numpy() for name in ("mean", "basis", "features", "coordinates")
    )
    return PrincipalComponents(mean.astype(float), basis.astype(float)), FittedMap(*fitted)
