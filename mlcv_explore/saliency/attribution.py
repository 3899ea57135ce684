"""All maps of one picture: one by one, the cheap ones first, those that rest on the
same passes together.
"""

import difflib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from mlcv_explore.saliency import controls, methods
from mlcv_explore.saliency.methods import Attribution, SaliencyError, SaliencySettings, Target
from mlcv_explore.saliency.rules import Watched


@dataclass(frozen=True)
class Method:
    """What a reader and a chart need to know of a method."""

    label: str
    signed: bool  # False: nowhere negative by nature
    drawn: bool = False  # another seed gives another map
    control: bool = False  # the network has no part in it


METHODS = {
    "random": Method("Random", False, drawn=True, control=True),
    "centre": Method("Centre blob", False, control=True),
    "edges": Method("Sobel edges", False, control=True),
    "gradient": Method("Gradient", True),
    "input_x_gradient": Method("Input × gradient", True),
    "gradcam": Method("Grad-CAM", False),
    "guided_backprop": Method("Guided Backprop", True),
    "deeplift": Method("DeepLift", True),
    "smoothgrad": Method("SmoothGrad", True, drawn=True),
    "smoothgrad_squared": Method("SmoothGrad²", False, drawn=True),
    "vargrad": Method("VarGrad", False, drawn=True),
    "gradient_shap": Method("GradientShap", True, drawn=True),
    "integrated_gradients": Method("Integrated gradients", True),
    "rise": Method("RISE", True, drawn=True),
    "occlusion": Method("Occlusion", True),
}


@dataclass(frozen=True, eq=False)
class Map:
    """One map, and how far to trust it."""

    method: str
    target: Target
    values: np.ndarray  # (h, w) float32; positive speaks for the target, the colour channels are summed
    signed: bool  # False: nowhere negative by nature
    milliseconds: float  # of all it rests on, also of passes another map shares
    forwards: int  # pictures through the network, counted likewise
    backwards: int
    checks: dict[str, float] = field(default_factory=dict)  # completeness_gap, steps


@dataclass(frozen=True, eq=False)
class Question:
    """What the maps are to answer."""

    network: nn.Module
    picture: torch.Tensor  # (3, h, w)
    target: Target
    settings: SaliencySettings
    seed: int
    layer: str | None

    @property
    def asked(self) -> tuple[nn.Module, torch.Tensor, Target]:
        """The arguments every method starts with."""
        return self.network, self.picture, self.target


# Methods that share passes → their maps in the same order; cheap ones first
GROUPS: dict[tuple[str, ...], Callable[[Question], tuple[Attribution, ...]]] = {
    ("random",): lambda question: (Attribution(controls.random_map(question.picture, question.seed), 0, 0),),
    ("centre",): lambda question: (Attribution(controls.centre(question.picture), 0, 0),),
    ("edges",): lambda question: (Attribution(controls.edges(question.picture), 0, 0),),
    ("gradient", "input_x_gradient"): lambda question: methods.gradient_maps(*question.asked),
    ("gradcam",): lambda question: (methods.grad_cam(*question.asked, question.settings, question.layer),),
    ("guided_backprop",): lambda question: (methods.guided_backprop(*question.asked),),
    ("deeplift",): lambda question: (methods.deeplift(*question.asked, question.settings),),
    ("smoothgrad", "smoothgrad_squared", "vargrad"): lambda question: methods.noise_maps(
        *question.asked, question.settings, question.seed
    ),
    ("gradient_shap",): lambda question: (
        methods.gradient_shap(*question.asked, question.settings, question.seed),
    ),
    ("integrated_gradients",): lambda question: (
        methods.integrated_gradients(*question.asked, question.settings),
    ),
    ("rise",): lambda question: (methods.rise(*question.asked, question.settings, question.seed),),
    ("occlusion",): lambda question: (methods.occlusion(*question.asked, question.settings),),
}


def attribute_all(
    network: nn.Module,
    picture: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    layer: str | None = None,
) -> Iterator[Map]:
    """The maps of these methods for a picture (3, h, w) float32 in [0, 1]; `layer` is
    the convolution Grad-CAM reads, the last one by default.

    Raises SaliencyError at once for a picture, method or layer that cannot be used, and
    with the first map for a class that does not exist.
    """
    _check_picture(picture)
    if network.training:
        raise SaliencyError(
            "The network must be in evaluation mode: in training mode a map depends on the pictures"
            " beside it."
        )
    for name in names:
        if name not in METHODS:
            near = difflib.get_close_matches(name, METHODS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(METHODS)}."
            raise SaliencyError(f"There is no method {name!r}; {hint}")
    if "gradcam" in names:
        methods.named_convolution(network, layer)
    device = next((parameter.device for parameter in network.parameters()), picture.device)
    question = Question(network, picture.to(device), target, settings, seed, layer)
    if {"guided_backprop", "deeplift"} & set(names):
        refused = [
            sentence for name, sentence in unsuited(network, question.picture).items() if name in names
        ]
        if refused:
            raise SaliencyError(refused[0])
    return _maps(question, set(names))


def unsuited(network: nn.Module, picture: torch.Tensor) -> dict[str, str]:
    """The methods that would say nothing of this network, each with the reason in one
    sentence; one forward pass.
    """
    with torch.no_grad(), Watched() as seen:
        network(picture[None])
    found = {}
    if not methods.convolutions(network):
        found["gradcam"] = "Grad-CAM needs a convolution, and this network has none."
    if not seen.relus:
        found["guided_backprop"] = (
            "Guided Backprop changes ReLUs, and this network has none: its map would be the plain gradient."
        )
    if not seen.nonlinear:
        found["deeplift"] = (
            "DeepLift changes activations and max pooling, and this network has none: its map would be input"
            " × gradient."
        )
    return found


def _maps(question: Question, wanted: set[str]) -> Iterator[Map]:
    for group, attribute in GROUPS.items():
        if not wanted & set(group):
            continue
        start = time.perf_counter()
        found = attribute(question)
        milliseconds = (time.perf_counter() - start) * 1000
        for name, attribution in zip(group, found, strict=True):
            if name in wanted:
                values = attribution.values.detach().float().cpu().numpy()
                signed = METHODS[name].signed or (name == "gradcam" and not question.settings.cam_positive)
                cost = (milliseconds, attribution.forwards, attribution.backwards)
                yield Map(name, question.target, values, signed, *cost, attribution.checks)


def _check_picture(picture: torch.Tensor) -> None:
    if picture.dtype != torch.float32 or picture.ndim != 3 or picture.shape[0] != 3 or not picture.numel():
        raise SaliencyError(
            f"The picture must be float32 (3, h, w), got {str(picture.dtype).removeprefix('torch.')}"
            f" {tuple(picture.shape)}."
        )
    low, high = float(picture.min()), float(picture.max())
    if not (low >= 0 and high <= 1):  # also where a pixel is not a number
        raise SaliencyError(f"The picture must lie in [0, 1], got values from {low:.4g} to {high:.4g}.")
