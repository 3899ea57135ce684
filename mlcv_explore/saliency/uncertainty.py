"""Two kinds of doubt about a map, kept apart: of the method (same weights, new draws)
and of the model (other seeds that give the same answer).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mlcv_explore.saliency.attribution import METHODS, Map, attribute_all
from mlcv_explore.saliency.measures import mean_map, stable
from mlcv_explore.saliency.methods import SaliencySettings, Target

Maps = dict[str, np.ndarray]  # method → (n, h, w), one map a draw or a model


@dataclass(frozen=True, eq=False)
class AttributionStats:
    """What several maps of one method say together."""

    method: str
    mean: np.ndarray  # (h, w)
    # (h, w) bool: sign (or, where a method has none, membership in the top fifth) shared by four in
    # five
    stable: np.ndarray
    count: int


def over_draws(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seeds: Sequence[int],
    layer: str | None = None,
) -> dict[str, AttributionStats]:
    """The same network asked again with other draws; methods that draw nothing are left
    out, for they would only repeat themselves.
    """
    drawn = [name for name in names if METHODS[name].stochastic]
    return _opinions(
        lambda seed: attribute_all(network, image, target, drawn, settings, seed, layer),
        seeds,
        drawn,
        equal=False,
    )


def over_models(
    networks: Sequence[nn.Module],
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    layer: str | None = None,
) -> dict[str, AttributionStats]:
    """Every network that names the same class as `target` (or prefers its first class
    to its second), asked alike; empty when fewer than two do.

    `layer` is the convolution Grad-CAM reads in each of them.
    """
    with torch.no_grad():
        agreed = [network for network in networks if _names(network(image[None])[0], target)]
    return _opinions(
        lambda network: attribute_all(network, image, target, names, settings, seed, layer),
        agreed,
        names,
        equal=True,
    )


def scale_to_mean(values: np.ndarray) -> np.ndarray:
    """A map as multiples of its own mean absolute value, (…, h, w): the one scale on
    which maps of different units can stand side by side.
    """
    size = np.abs(values).mean((-2, -1), keepdims=True)
    return values / np.where(size > 0, size, 1.0)


def _opinions(
    ask: Callable[[object], Sequence[Map]], whom: Sequence[object], names: Sequence[str], equal: bool
) -> dict[str, AttributionStats]:
    if len(whom) < 2 or not names:
        return {}
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for one in whom:
        for item in ask(one):
            found[item.method].append(item.values)
    return {name: _opinion(name, np.stack(maps), equal) for name, maps in found.items()}


def _opinion(name: str, maps: np.ndarray, equal: bool) -> AttributionStats:
    return AttributionStats(
        name, mean_map(maps, equal), stable(maps, "sign" if METHODS[name].signed else "rank"), len(maps)
    )


def _names(logits: torch.Tensor, target: Target) -> bool:
    return (
        bool(logits[target[0]] > logits[target[1]])
        if isinstance(target, tuple)
        else int(logits.argmax()) == target
    )
