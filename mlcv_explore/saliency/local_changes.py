"""A network on images that differ from one image in a rectangle: layer by layer only what
the rectangle reaches is computed, and the rest is the unchanged image's, computed once.

Exact up to rounding: an operation without a rule receives whole tensors. After Nakandala,
Kumar, Papakonstantinou, Incremental and Approximate Inference for Faster Occlusion-based
Deep CNN Explanations, 2019.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils._pytree import tree_map

from mlcv_explore.saliency.rules import activation

MOST = 0.45  # of a layer's area; a larger rectangle takes about as long as the whole
CLOSE = 1e-3  # relative; rounding is a thousand times smaller
FEW = 16  # numbers of a constant that are compared one by one
GETTERS = ("shape", "ndim", "dtype", "device", "is_cuda", "requires_grad")
METHODS = ("size", "dim", "is_floating_point")
CONVOLUTION = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}  # its defaults
Corners = list[tuple[int, int]]  # top and left of every image's rectangle


class Changed(torch.Tensor):
    """Features (B, C, h, w) of B images that are `base` (1, C, h, w), the unchanged
    image's, but for `parts` (B, C, h', w') at `corners`.

    `known` holds what was computed of the unchanged image, for all batches.
    """

    base: torch.Tensor
    parts: torch.Tensor
    corners: Corners
    known: dict[tuple, tuple]

    @staticmethod
    def __new__(cls, base: torch.Tensor, parts: torch.Tensor, corners: Corners, known: dict) -> "Changed":
        """As a tensor it has a shape and a type; the numbers are in its attributes."""
        about = {"dtype": base.dtype, "device": base.device}
        made = torch.Tensor._make_wrapper_subclass(cls, (len(parts), *base.shape[1:]), **about)
        made.base, made.parts, made.corners, made.known = base, parts, corners, known
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What did not pass by `__torch_function__`, as compiled code. Raises
        NotImplementedError.
        """
        raise NotImplementedError(f"{func} of changed images has no rule.")

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """By the function's rule, or of whole tensors. Raises NotImplementedError for a
        function without a rule that changes its argument.
        """
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name in METHODS or getattr(getattr(func, "__self__", None), "__name__", "") in GETTERS:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        rule = RULES.get(name, _activated if activation(func) and not name.endswith("_") else None)
        result = rule(func, *args, **kwargs) if rule else None
        if result is not None:
            return result
        changing = kwargs.get("inplace") or name == "__setitem__" or name.rstrip("_") + "_" == name
        if changing and isinstance(args[0], cls):
            raise NotImplementedError(f"{name} changes its argument and has no rule.")
        args, kwargs = tree_map(lambda one: one.whole() if isinstance(one, cls) else one, (args, kwargs))
        return func(*args, **kwargs)

    def whole(self) -> torch.Tensor:
        """The features as a tensor."""
        return self.within([(0, 0)] * len(self.parts), *self.base.shape[2:])

    def within(self, corners: Corners, height: int, width: int) -> torch.Tensor:
        """The features (B, C, height, width) in other rectangles."""
        size = len(self.parts), self.base.shape[1], height, width
        made = torch.empty(size, dtype=self.base.dtype, device=self.base.device)
        made = made.contiguous(memory_format=torch.channels_last)
        below, right = self.parts.shape[2:]
        for image, part, (y, x), (top, left) in zip(made, self.parts, self.corners, corners, strict=True):
            image.copy_(self.base[0, :, top : top + height, left : left + width])
            rows = max(y, top), min(y + below, top + height)
            columns = max(x, left), min(x + right, left + width)
            if rows[0] < rows[1] and columns[0] < columns[1]:
                image[:, rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left] = part[
                    :, rows[0] - y : rows[1] - y, columns[0] - x : columns[1] - x
                ]
        return made

    def of_base(self, func: Callable[..., torch.Tensor], *args: Any, **kwargs: Any) -> torch.Tensor:
        """The function of the unchanged image's features, computed once."""
        key = func, id(self.base), tuple(map(_key, (*args, *kwargs, *kwargs.values())))
        if key not in self.known:  # with its arguments, whose identities are in the key
            self.known[key] = func(self.base, *args, **kwargs), self.base, args, kwargs
        return self.known[key][0]

    def become(self, other: "Changed") -> "Changed":
        """This, with the features of `other`: an operation in place."""
        self.base, self.parts, self.corners = other.base, other.parts, other.corners
        return self


@torch.no_grad()
def logits(
    network: nn.Module, image: torch.Tensor, changes: Iterable[tuple[torch.Tensor, Corners]]
) -> Iterator[torch.Tensor]:
    """The network's outputs (B, classes) for each batch of images that are `image`
    (3, h, w) with parts (B, 3, h', w') at these corners.

    Raises NotImplementedError for a network with an operation that has no rule here, for
    one that computes its weights anew in every pass, and where the first output is not that
    of the whole image.
    """
    known: dict[tuple, tuple] = {}
    base, first = image[None].contiguous(memory_format=torch.channels_last), 0
    for parts, corners in changes:
        made = network(Changed(base, parts, corners, known))
        if not first:
            expected = network(Changed(base, parts[:1], corners[:1], known).whole())
            if not torch.allclose(made[:1], expected, CLOSE, CLOSE * float(expected.abs().max())):
                raise NotImplementedError("An operation has another result of changed images.")
        yield made
        first = first or len(known)
        if len(known) > 2 * first:  # nothing is known twice, and memory grows
            raise NotImplementedError("The weights are not the same in every pass.")


def _activated(func: Any, features: Any, *args: Any, inplace: bool = False, **kwargs: Any) -> Changed | None:
    """A function of each value, or of each channel's."""
    if not isinstance(features, Changed):
        return None
    base = features.of_base(func, *args, **kwargs)
    made = Changed(base, func(features.parts, *args, **kwargs), features.corners, features.known)
    return features.become(made) if inplace else made


def _normalised(
    func: Any, features: Any, *args: Any, training: bool = False, **kwargs: Any
) -> Changed | None:
    return None if training else _activated(func, features, *args, **kwargs)


def _combined(func: Any, features: Any, other: Any, **kwargs: Any) -> Changed | None:
    """Sums, differences, products and quotients of features with each other, or with a
    number a channel.
    """
    if not isinstance(features, Changed) or kwargs:
        return None
    if isinstance(other, Changed):
        if other.base.shape != features.base.shape:
            return None
        corners, *size = _around(features, other)
        parts = func(features.within(corners, *size), other.within(corners, *size))
        return Changed(features.of_base(func, other.base), parts, corners, features.known)
    constant = isinstance(other, int | float) or (
        isinstance(other, torch.Tensor)
        and (other.numel() == 1 or other.numel() == other.shape[-3:-2].numel())
    )
    return _activated(func, features, other) if constant else None


def _combined_in_place(func: Any, features: Any, other: Any, **kwargs: Any) -> Changed | None:
    made = _combined(getattr(torch, func.__name__.rstrip("_")), features, other, **kwargs)
    return features.become(made) if made is not None else None


def _padded(
    func: Any, features: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Changed | None:
    if mode != "constant" or len(pad) != 4 or min(pad) < 0:
        return None
    corners = [(top + pad[2], left + pad[0]) for top, left in features.corners]
    return Changed(features.of_base(func, pad, mode, value), features.parts, corners, features.known)


def _convolved(func: Any, features: Any, weight: torch.Tensor, *args: Any, **kwargs: Any) -> Changed | None:
    """Of the outputs that a rectangle reaches, as many for every image; None where these
    are most of all.
    """
    given = CONVOLUTION | dict(zip(CONVOLUTION, args, strict=False)) | kwargs
    if not isinstance(features, Changed) or isinstance(given["padding"], str):
        return None
    strides, pads, dilations = (
        (one, one) if isinstance(one, int) else tuple(one)
        for one in (given["stride"], given["padding"], given["dilation"])
    )
    outputs = features.of_base(func, weight, *args, **kwargs)
    starts, size, seen = [], [], []
    for axis, (stride, pad, dilation) in enumerate(zip(strides, pads, dilations, strict=True)):
        length, reach = outputs.shape[2 + axis], dilation * (weight.shape[2 + axis] - 1)
        places = [corner[axis] + pad for corner in features.corners]
        firsts = [max(0, -((reach - place) // stride)) for place in places]
        lasts = [(place + features.parts.shape[2 + axis] - 1) // stride for place in places]
        count = max(
            1, *(min(last, length - 1) - first + 1 for first, last in zip(firsts, lasts, strict=True))
        )
        starts.append([min(first, length - count) for first in firsts])
        size.append(count)
        seen.append((count - 1) * stride + reach + 1)
    if size[0] * size[1] > MOST * _area(outputs):
        return None
    around = [pads[1], pads[1], pads[0], pads[0]]
    moved = _padded(functional.pad, features, around) if any(pads) else features
    corners = list(zip(*starts, strict=True))
    inputs = moved.within([(top * strides[0], left * strides[1]) for top, left in corners], *seen)
    parts = func(inputs, weight, given["bias"], strides, 0, dilations, given["groups"])
    return Changed(outputs, parts, corners, features.known)


def _around(one: Changed, other: Changed) -> tuple[Corners, int, int]:
    """Rectangles of one size around both: their corners, height and width."""
    starts, size = [], []
    for axis in (0, 1):
        ends = one.parts.shape[2 + axis], other.parts.shape[2 + axis]
        pairs = [(a[axis], b[axis]) for a, b in zip(one.corners, other.corners, strict=True)]
        extent = max(max(a + ends[0], b + ends[1]) - min(a, b) for a, b in pairs)
        starts.append([min(a, b, one.base.shape[2 + axis] - extent) for a, b in pairs])
        size.append(extent)
    return list(zip(*starts, strict=True)), *size


def _key(argument: object) -> object:
    """What identifies an argument; of a few numbers they, which may be written anew in every
    pass, such as the mean colour.
    """
    if isinstance(argument, torch.Tensor):
        return (*argument.shape, *argument.flatten().tolist()) if argument.numel() <= FEW else id(argument)
    return repr(argument)


def _area(features: torch.Tensor) -> int:
    return features.shape[-2:].numel()


RULES: dict[str, Callable[..., Changed | None]] = {
    "conv2d": _convolved,
    "pad": _padded,
    "batch_norm": _normalised,
    "contiguous": lambda func, features, **layout: features,
    **dict.fromkeys(("add", "sub", "mul", "div", "__add__", "__sub__", "__mul__", "__truediv__"), _combined),
    **dict.fromkeys(("add_", "sub_", "mul_", "div_"), _combined_in_place),
}
