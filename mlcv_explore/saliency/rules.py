"""Modified backward rules, and recording, without changing the network.

Each is a `TorchFunctionMode` of the current thread, which intercepts every function the
network calls. A shared network needs neither a lock nor a copy nor hooks, and
functional, repeated and in-place activations are handled like modules.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

ACTIVATIONS = (
    *(
        "relu",
        "relu6",
        "leaky_relu",
        "prelu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "mish",
        "softplus",
        "softsign",
    ),
    *("sigmoid", "tanh", "logsigmoid", "hardtanh", "hardswish", "hardsigmoid"),
)
SMALLEST_DIFFERENCE = 1e-10  # below it a ratio of differences is the slope; Captum's value


def activation(function: Callable[..., Any]) -> str | None:
    """The name of an elementwise activation, in place or not; None for any other
    function.
    """
    name = getattr(function, "__name__", "").rstrip("_")
    return name if name in ACTIVATIONS else None


class FunctionCounter(TorchFunctionMode):
    """Counts the functions that a rule of this module modifies."""

    def __init__(self) -> None:
        super().__init__()
        self.relus, self.nonlinear = 0, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.relus += activation(func) == "relu"
        self.nonlinear += activation(func) is not None or func is functional.max_pool2d
        return func(*args, **(kwargs or {}))


class GuidedReLU(TorchFunctionMode):
    """ReLUs that propagate positive gradients only (Springenberg et al., 1412.6806)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if activation(func) == "relu" and result.requires_grad:
            result.register_hook(lambda gradient: gradient.clamp(min=0))
        return result


class RescaleRule(TorchFunctionMode):
    """DeepLift's rescale rule (Shrikumar et al., 1704.02685) for a batch of images,
    followed by as many baselines.

    Activations and max pooling propagate differences of outputs over differences of
    inputs; the gradient is that of the first half alone. Everything else that is not
    linear (softmax, products, layer normalisation) propagates its gradient.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if activation(func):
            return _rescaled_activation(func, args, kwargs or {})
        if func is functional.max_pool2d:
            return _rescaled_maximum(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


class ConvolutionOutput(TorchFunctionMode):
    """Records the output of one convolution in a forward pass, and tracks gradients
    from there on; to be entered under `torch.no_grad()`.

    With `rectified` it records the output of the next activation of the same shape
    instead, if there is one: the input of the next layers.
    """

    def __init__(self, convolution: nn.Conv2d, rectified: bool) -> None:
        super().__init__()
        self.weight, self.rectified = convolution.weight, rectified
        self.values: torch.Tensor | None = None  # (B, channels, h, w), a leaf
        self._activation_seen = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.conv2d and args[1] is self.weight:
            self._activation_seen = False
            return self._record(result)
        if (
            self.rectified
            and not self._activation_seen
            and activation(func)
            and self.values is not None
            and result.shape == self.values.shape
        ):
            self._activation_seen = True
            return self._record(result)
        return result

    def _record(self, result: torch.Tensor) -> torch.Tensor:
        torch.set_grad_enabled(True)  # of this thread, until the caller's no_grad ends
        self.values = result.detach().requires_grad_()
        # a leaf itself could not be changed in place by the layers after it
        return self.values.view_as(self.values)


def _rescaled_activation(
    func: Callable[..., torch.Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> torch.Tensor:
    inputs, *rest = args
    point = inputs.detach().requires_grad_()
    outputs = func(point.clone(), *rest, **kwargs)  # of a copy: it may be in place
    (slope,) = torch.autograd.grad(outputs.sum(), point)
    change, result = _difference(inputs.detach()), _difference(outputs.detach())
    ratio = torch.where(change.abs() < SMALLEST_DIFFERENCE, slope, result / change)
    return outputs.detach() + ratio * _straight(inputs)


def _rescaled_maximum(
    inputs: torch.Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    **_: Any,
) -> torch.Tensor:
    """The change of a maximum is split at max(output, baseline's output): one share for
    the image's largest pixel, one for the baseline's.
    """
    outputs, places = functional.max_pool2d_with_indices(
        inputs.detach(), kernel_size, stride, padding, dilation, ceil_mode
    )
    image, baseline = outputs.chunk(2)
    larger = torch.maximum(image, baseline)
    change = _difference(inputs.detach()).chunk(2)[0]
    still = change.abs() < SMALLEST_DIFFERENCE
    straight = _straight(inputs).chunk(2)[0]
    shares = torch.where(still, 0.0, straight / torch.where(still, 1.0, change)).flatten(2)
    own, other = (part.flatten(2) for part in places.chunk(2))
    passed = (larger - baseline).flatten(2) * shares.gather(2, own) + (image - larger).flatten(
        2
    ) * shares.gather(2, other)
    passed = passed + torch.where(still, straight, 0.0).flatten(2).gather(2, own)
    return torch.cat([image + passed.view_as(image), baseline])


def _straight(inputs: torch.Tensor) -> torch.Tensor:
    """Zeros whose gradient passes to the inputs as it is."""
    return inputs - inputs.detach()


def _difference(values: torch.Tensor) -> torch.Tensor:
    """Images minus baselines, for both halves of the batch."""
    image, baseline = values.chunk(2)
    return (image - baseline).repeat(2, *[1] * (values.ndim - 1))


RECTIFIERS = ("relu", "relu6")  # zero below zero, slope one or zero above
# Activations that pass negative values too, or bend: Guided Backprop states no rule for them
UNRECTIFIED = {
    "hardswish": "hard-swish",
    "silu": "SiLU",
    "gelu": "GELU",
    "mish": "Mish",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "leaky_relu": "leaky ReLU",
    "prelu": "PReLU",
    "softplus": "softplus",
    "hardtanh": "hard tanh",
}


def activation_kind(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The name of an activation; torch's ReLU6 modules call hard tanh between 0 and 6."""
    name = activation(func)
    if name == "hardtanh":
        lowest = kwargs.get("min_val", args[1] if len(args) > 1 else -1.0)
        return "relu6" if lowest == 0 else name
    return name


ATTENTION = (functional.scaled_dot_product_attention, functional.multi_head_attention_forward)
SOFTMAX = (torch.Tensor.softmax, torch.softmax, functional.softmax)


class ActivationNames(TorchFunctionMode):
    """Collects the names of the activations that a network calls, and "attention" where
    it has attention between tokens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if name := activation_kind(func, args, kwargs or {}):
            self.names.add(name)
        result = func(*args, **(kwargs or {}))
        if func in ATTENTION or (func in SOFTMAX and result.ndim >= 4 and result.shape[-1] > 1):
            self.names.add("attention")
        return result


class GuidedRectifier(TorchFunctionMode):
    """The guided rule for ReLU and for ReLU6, whose slope above six is zero: positive
    gradients only, where the activation has a slope.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if activation_kind(func, args, kwargs or {}) in RECTIFIERS and result.requires_grad:
            result.register_hook(lambda gradient: gradient.clamp(min=0))
        return result
