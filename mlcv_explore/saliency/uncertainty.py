"""Two kinds of uncertainty of a map: of the method (same weights, new draws) and of the
model (other seeds with the same prediction).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mlcv_explore.saliency.attribution import Map
from mlcv_explore.saliency.measures import mean_map, stable
from mlcv_explore.saliency.memory import OutOfMemory, attribute_each
from mlcv_explore.saliency.methods import SaliencyError, SaliencySettings, Target
from mlcv_explore.saliency.supported import OFFERED, Refused

Maps = dict[str, np.ndarray]  # method → (n, h, w), one map a draw or a model


@dataclass(frozen=True, eq=False)
class AttributionStats:
    """Mean and stability of several maps of one method."""

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
    """Maps of the same network with other draws, summarised for every stochastic method
    of `names`. Raises SaliencyError where memory is lacking for one of them.
    """
    stochastic = [name for name in names if OFFERED[name].stochastic]
    return _statistics(
        lambda seed: attribute_each(network, image, target, stochastic, settings, seed, layer),
        seeds,
        stochastic,
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
    """Maps of every network that predicts the class `target` (or its first class over
    its second), summarised; empty when fewer than two do.

    `layer` is the convolution Grad-CAM reads in each of them. Raises SaliencyError where
    memory is lacking for one.
    """
    with torch.no_grad():
        agreeing = [network for network in networks if _predicts(network(image[None])[0], target)]
    return _statistics(
        lambda network: attribute_each(network, image, target, names, settings, seed, layer),
        agreeing,
        names,
        equal=True,
    )


def scale_to_mean(values: np.ndarray) -> np.ndarray:
    """A map as multiples of its mean absolute value, (…, h, w): a common scale for maps
    of different units.
    """
    size = np.abs(values).mean((-2, -1), keepdims=True)
    return values / np.where(size > 0, size, 1.0)


def _statistics(
    explain: Callable[[object], Iterable[Map | Refused]],
    sources: Sequence[object],
    names: Sequence[str],
    equal: bool,
) -> dict[str, AttributionStats]:
    if len(sources) < 2 or not names:
        return {}
    maps: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for source in sources:
        for attribution in explain(source):
            if isinstance(attribution, Map):
                maps[attribution.method].append(attribution.values)
            elif isinstance(attribution, OutOfMemory):
                # statistics of the others would pass for those of all
                raise SaliencyError(attribution.reason)
    return {name: _summary(name, np.stack(values), equal) for name, values in maps.items() if values}


def _summary(name: str, maps: np.ndarray, equal: bool) -> AttributionStats:
    return AttributionStats(
        name, mean_map(maps, equal), stable(maps, "sign" if OFFERED[name].signed else "rank"), len(maps)
    )


def _predicts(logits: torch.Tensor, target: Target) -> bool:
    return (
        bool(logits[target[0]] > logits[target[1]])
        if isinstance(target, tuple)
        else int(logits.argmax()) == target
    )
