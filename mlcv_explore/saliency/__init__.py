"""Attribution maps: what a network's answer rests on, all methods on one picture, with their costs and doubts."""

from mlcv_explore.saliency.layers import convolutions, layers, randomised
from mlcv_explore.saliency.methods import SaliencyError, SaliencySettings, Target, gradients
from mlcv_explore.saliency.panel import METHODS, Map, Method, panel, unsuited

__all__ = [
    "METHODS",
    "Map",
    "Method",
    "SaliencyError",
    "SaliencySettings",
    "Target",
    "convolutions",
    "gradients",
    "layers",
    "panel",
    "randomised",
    "unsuited",
]
