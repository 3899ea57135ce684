"""Attribution maps of one image: method by method, the cheapest first; methods that
share passes are computed together.
"""

import difflib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from mlcv_explore.saliency import controls, methods, perturbation
from mlcv_explore.saliency.methods import Attribution, SaliencyError, SaliencySettings, Target
from mlcv_explore.saliency.rules import FunctionCounter


@dataclass(frozen=True)
class Method:
    """Label and properties of a method, for pages and charts."""

    label: str
    signed: bool  # False: never negative
    stochastic: bool = False  # another seed gives another map
    control: bool = False  # independent of the network


METHODS = {
    "random": Method("Random", False, stochastic=True, control=True),
    "centre": Method("Centre blob", False, control=True),
    "edges": Method("Sobel edges", False, control=True),
    "gradient": Method("Gradient", True),
    "input_x_gradient": Method("Input × gradient", True),
    "gradcam": Method("Grad-CAM", False),
    "guided_backprop": Method("Guided Backprop", True),
    "deeplift": Method("DeepLift", True),
    "smoothgrad": Method("SmoothGrad", True, stochastic=True),
    "smoothgrad_squared": Method("SmoothGrad²", False, stochastic=True),
    "vargrad": Method("VarGrad", False, stochastic=True),
    "gradient_shap": Method("GradientShap", True, stochastic=True),
    "integrated_gradients": Method("Integrated gradients", True),
    "rise": Method("RISE", True, stochastic=True),
    "occlusion": Method("Occlusion", True),
}


@dataclass(frozen=True, eq=False)
class Map:
    """One map with its cost and checks."""

    method: str
    target: Target
    values: np.ndarray  # (h, w) float32; positive: evidence for the target; colour channels summed
    signed: bool  # False: never negative
    milliseconds: float  # of all its passes, also those shared with another map
    forwards: int  # images passed through the network, counted likewise
    backwards: int
    checks: dict[str, float] = field(default_factory=dict)  # completeness_gap, steps


@dataclass(frozen=True, eq=False)
class AttributionRequest:
    """What is explained, and how."""

    network: nn.Module
    image: torch.Tensor  # (3, h, w)
    target: Target
    settings: SaliencySettings
    seed: int
    layer: str | None

    @property
    def arguments(self) -> tuple[nn.Module, torch.Tensor, Target]:
        """The arguments that every method takes first."""
        return self.network, self.image, self.target


# Methods that share passes → their maps in the same order; the cheapest first
GROUPS: dict[tuple[str, ...], Callable[[AttributionRequest], tuple[Attribution, ...]]] = {
    ("random",): lambda request: (Attribution(controls.random_map(request.image, request.seed), 0, 0),),
    ("centre",): lambda request: (Attribution(controls.centre(request.image), 0, 0),),
    ("edges",): lambda request: (Attribution(controls.edges(request.image), 0, 0),),
    ("gradient", "input_x_gradient"): lambda request: methods.gradient_maps(*request.arguments),
    ("gradcam",): lambda request: (methods.grad_cam(*request.arguments, request.settings, request.layer),),
    ("guided_backprop",): lambda request: (methods.guided_backprop(*request.arguments),),
    ("deeplift",): lambda request: (methods.deeplift(*request.arguments, request.settings),),
    ("smoothgrad", "smoothgrad_squared", "vargrad"): lambda request: methods.noise_maps(
        *request.arguments, request.settings, request.seed
    ),
    ("gradient_shap",): lambda request: (
        methods.gradient_shap(*request.arguments, request.settings, request.seed),
    ),
    ("integrated_gradients",): lambda request: (
        methods.integrated_gradients(*request.arguments, request.settings),
    ),
    ("rise",): lambda request: (perturbation.rise(*request.arguments, request.settings, request.seed),),
    ("occlusion",): lambda request: (perturbation.occlusion(*request.arguments, request.settings),),
}


def attribute_all(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    layer: str | None = None,
) -> Iterator[Map]:
    """The maps of these methods for an image (3, h, w) float32 in [0, 1]; `layer` is
    the convolution Grad-CAM reads, the last one by default.

    Raises SaliencyError at once for an image, method or layer that cannot be used, and
    with the first map for a class that does not exist.
    """
    _check_image(image)
    if network.training:
        raise SaliencyError(
            "The network must be in evaluation mode: in training mode a map depends on the other images of"
            " its batch."
        )
    for name in names:
        if name not in METHODS:
            near = difflib.get_close_matches(name, METHODS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(METHODS)}."
            raise SaliencyError(f"There is no method {name!r}; {hint}")
    if "gradcam" in names:
        methods.named_convolution(network, layer)
    device = next((parameter.device for parameter in network.parameters()), image.device)
    request = AttributionRequest(network, image.to(device), target, settings, seed, layer)
    if {"guided_backprop", "deeplift"} & set(names):
        reasons = [
            sentence
            for name, sentence in unsupported_methods(network, request.image).items()
            if name in names
        ]
        if reasons:
            raise SaliencyError(reasons[0])
    return _maps(request, set(names))


def unsupported_methods(network: nn.Module, image: torch.Tensor) -> dict[str, str]:
    """Methods that do not apply to this network, each with the reason in one sentence;
    one forward pass.
    """
    with torch.no_grad(), FunctionCounter() as counter:
        network(image[None])
    reasons = {}
    if not methods.convolutions(network):
        reasons["gradcam"] = "Grad-CAM needs a convolution, and this network has none."
    if not counter.relus:
        reasons["guided_backprop"] = (
            "Guided Backprop changes ReLUs, and this network has none: its map would be the plain gradient."
        )
    if not counter.nonlinear:
        reasons["deeplift"] = (
            "DeepLift changes activations and max pooling, and this network has none: its map would be input"
            " × gradient."
        )
    return reasons


def _maps(request: AttributionRequest, names: set[str]) -> Iterator[Map]:
    for group, attribute in GROUPS.items():
        if not names & set(group):
            continue
        start = time.perf_counter()
        attributions = attribute(request)
        milliseconds = (time.perf_counter() - start) * 1000
        for name, attribution in zip(group, attributions, strict=True):
            if name in names:
                values = attribution.values.detach().float().cpu().numpy()
                signed = METHODS[name].signed or (name == "gradcam" and not request.settings.cam_positive)
                cost = (milliseconds, attribution.forwards, attribution.backwards)
                yield Map(name, request.target, values, signed, *cost, attribution.checks)


def _check_image(image: torch.Tensor) -> None:
    if image.dtype != torch.float32 or image.ndim != 3 or image.shape[0] != 3 or not image.numel():
        raise SaliencyError(
            f"The image must be float32 (3, h, w), got {str(image.dtype).removeprefix('torch.')}"
            f" {tuple(image.shape)}."
        )
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):  # also where a pixel is not a number
        raise SaliencyError(f"The image must lie in [0, 1], got values from {low:.4g} to {high:.4g}.")
