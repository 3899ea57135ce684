"""Captum's DeepLift, which has a rule for modules of few activations: elsewhere its map is
gradient × (image − baseline) under DeepLift's name.

For pages and the command line; recorded runs rest on `supported` and have this package's own.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from mlcv_explore.saliency import methods, supported
from mlcv_explore.saliency.attribution import Map
from mlcv_explore.saliency.captum_maps import PREFIX
from mlcv_explore.saliency.methods import SaliencySettings, Target
from mlcv_explore.saliency.rules import ACTIVATIONS, UNRECTIFIED, ActivationNames

NAME = f"{PREFIX}deeplift"
RESCALED = ("relu", "elu", "leaky_relu", "sigmoid", "tanh", "softplus")  # as torch's functions are named
WORDS = UNRECTIFIED | {"relu6": "ReLU6", "hardsigmoid": "hard sigmoid", "logsigmoid": "log-sigmoid"}


def attribute_each(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings, seed: int, *more: Any
) -> Iterator[Map | supported.Refused]:
    """Its map of an image (3, h, w) on the network's device as `supported.attribute_each`
    yields it, with the completeness error, since a functional activation is missed too; or
    why there is none. Raises SaliencyError likewise.
    """
    with torch.no_grad(), ActivationNames() as called:
        network(image[None])
    lacking = [WORDS.get(name, name) for name in ACTIVATIONS if name in called.names - set(RESCALED)]
    if lacking:
        yield supported.Refused(
            NAME,
            f"DeepLift (Captum) has no rule for {' and '.join(lacking)}, which this network has: its map"
            " would be gradient × (image − baseline) there; use mlcv-explore's.",
        )
        return
    ends = [torch.stack([image, methods.baseline(image, settings.baseline)])]
    scores = methods.scores_without_gradients(network, ends, target)
    for result in supported.attribute_each(network, image, target, [NAME], settings, seed, *more):
        if isinstance(result, Map):
            gap = methods.completeness_gap(torch.from_numpy(result.values), float(scores[0] - scores[1]))
            yield replace(result, checks=result.checks | {"completeness_gap": gap})
        else:
            yield result
