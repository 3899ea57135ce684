"""Attribution maps of a network's prediction: methods, their costs, measures and
uncertainty.
"""

from mlcv_explore.models.layers import convolutions, layers, randomised
from mlcv_explore.saliency.attribution import METHODS, Map, Method, attribute_all, unsupported_methods
from mlcv_explore.saliency.methods import SaliencyError, SaliencySettings, Target, gradients

__all__ = [
    "METHODS",
    "Map",
    "Method",
    "SaliencyError",
    "SaliencySettings",
    "Target",
    "attribute_all",
    "convolutions",
    "gradients",
    "layers",
    "randomised",
    "unsupported_methods",
]
