"""Grad-CAM of networks whose features are tokens: vision transformers, Swin, mixers.

Their last convolution is the patch embedding, before any block, and a map read there would
tell nothing of what the blocks computed. So the tokens of a block are read instead, laid
out on the grid of their patches.
"""

import copy
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.layers import convolutions
from mlcv_explore.saliency import methods
from mlcv_explore.saliency.methods import Attribution, SaliencyError, SaliencySettings, Target

FIRST_NORMALISATION = ("norm1", "ln_1")  # of a block, as timm and torchvision name it
# Matrices behind the last convolution; more are blocks of a kind that is not known here
MOST_MATRICES = 3
# network → image size → default layer: it takes a forward pass, and a page asks again and again
_default_layers: WeakKeyDictionary[nn.Module, dict[tuple[int, int], str | None]] = WeakKeyDictionary()


def blocks(network: nn.Module) -> dict[str, nn.Module]:
    """The blocks of tokens behind the last convolution, by name, in the order of
    declaration; empty for a network whose last convolution lies behind or within the last
    block.
    """
    named = dict(network.named_modules())
    order = {name: place for place, name in enumerate(named)}
    found = {
        name: module
        for name, module in named.items()
        if any(isinstance(getattr(module, part, None), nn.Module) for part in FIRST_NORMALISATION)
    }
    last = max((order[name] for name in convolutions(network)), default=-1)
    return found if found and order[next(reversed(found))] > last else {}


def cam_layers(network: nn.Module) -> list[str]:
    """The layers that Grad-CAM can read, by name: convolutions, and the blocks of tokens
    behind them.
    """
    return [*convolutions(network), *blocks(network)]


def default_layer(network: nn.Module, size: tuple[int, int]) -> str | None:
    """The layer that Grad-CAM reads of images of `size` (height, width) unless another is
    named: the last block of tokens, or the last convolution with more than one place.

    None where there is neither, and where more than a classifier's matrices lie behind it,
    as with blocks of a kind that is not known here.
    """
    known = _default_layers.setdefault(network, {})
    if size not in known:
        known[size] = _found_default(network, size)
    return known[size]


def _found_default(network: nn.Module, size: tuple[int, int]) -> str | None:
    if found := blocks(network):
        return next(reversed(found))
    places: dict[str, int] = {}
    copied = with_shared_weights(network)
    for name, module in convolutions(copied).items():
        module.register_forward_hook(
            lambda _, given, output, name=name: places.update({name: output[0, 0].numel()})
        )
    parameter = next(network.parameters(), torch.zeros(()))
    with torch.no_grad():
        copied(torch.zeros(1, 3, *size, device=parameter.device))
    # a convolution of one place is a classifier or a gate
    last = next((name for name in reversed(convolutions(network)) if places.get(name, 0) > 1), None)
    names = [name for name, _ in network.named_modules()]
    after = names[names.index(last) :] if last is not None else []
    matrices = sum(isinstance(network.get_submodule(name), nn.Linear) for name in after)
    return last if matrices <= MOST_MATRICES else None


def resolved_layer(network: nn.Module, layer: str | None, size: tuple[int, int]) -> str:
    """The layer that Grad-CAM reads: `layer`, or the default one.

    Raises SaliencyError for a layer that does not exist, and where none is named and the
    last one that can be read lies far before the prediction.
    """
    named = cam_layers(network)
    if not named:
        raise SaliencyError("Grad-CAM needs a convolution or blocks of tokens, and this network has neither.")
    if layer is not None and layer not in named:
        raise SaliencyError(
            f"The layer must be one that Grad-CAM can read in this network ({', '.join(named)}), got"
            f" {layer!r}."
        )
    layer = layer or default_layer(network, size)
    if layer is None:
        raise SaliencyError(
            f"Grad-CAM reads the last convolution, and in this network that is {named[-1]}, before the blocks"
            " that make the prediction: its map would not show them, so the layer to read has to be named."
        )
    return layer


def grad_cam(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings, block: str
) -> Attribution:
    """Grad-CAM (Selvaraju et al., 1610.02391) of the tokens of a block, tokens without a
    place (class, registers) left out; never negative with `cam_positive`.

    Its output is read where the logit depends on it, as before an average over tokens;
    else, as in a last block of which the class token alone is read, the input of its
    attention. Gradients are tracked from there on. Raises SaliencyError where neither is a
    grid of tokens.
    """
    copied = with_shared_weights(network)
    seen: dict[str, torch.Tensor] = {}

    def track(module: nn.Module, given: object, output: torch.Tensor) -> torch.Tensor:
        torch.set_grad_enabled(True)  # of this thread, until the caller's no_grad ends
        seen["normalised"] = output.detach().requires_grad_()
        # a leaf itself could not be changed in place by the layers after it
        return seen["normalised"].view_as(output)

    def record(module: nn.Module, given: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            seen["output"] = output

    module = copied.get_submodule(block)
    first = next(name for name in FIRST_NORMALISATION if hasattr(module, name))
    getattr(module, first).register_forward_hook(track)
    module.register_forward_hook(record)
    with torch.no_grad():
        total = methods.score(copied(image[None]), target).sum()
    read = [seen[name] for name in ("output", "normalised") if name in seen and seen[name].requires_grad]
    found = torch.autograd.grad(total, read, allow_unused=True) if total.requires_grad else ()
    for values, gradient in zip(read, found, strict=False):
        features = None if gradient is None else grid(values.detach(), network, image)
        if features is None:
            continue
        slopes = grid(gradient, network, image)
        if not slopes.any():
            continue
        cam = (slopes.mean((1, 2), keepdim=True) * features).sum(0)
        cam = cam.relu() if settings.cam_positive else cam
        cam = functional.interpolate(cam[None, None], image.shape[1:], mode="bilinear", align_corners=False)
        return Attribution(cam[0, 0], 1, 1)
    raise SaliencyError(
        f"Grad-CAM finds no grid of tokens in {block} on which the prediction depends, so it has nothing to"
        " show."
    )


def with_shared_weights(network: nn.Module) -> nn.Module:
    """A copy of the modules for hooks of one thread, with the network's own tensors."""
    tensors = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


def without_in_place(network: nn.Module) -> nn.Module:
    """The network, or where it has activations in place a copy with the same tensors and
    none: one in place right behind a convolution would overwrite what Grad-CAM reads.
    """
    if not any(getattr(module, "inplace", False) is True for module in network.modules()):
        return network
    copied = with_shared_weights(network)
    for module in copied.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    return copied


def grid(tokens: torch.Tensor, network: nn.Module, image: torch.Tensor) -> torch.Tensor | None:
    """Tokens of one image, (1, n, channels) or (1, rows, columns, channels), as
    (channels, rows, columns); None where they have no grid of the image's proportions.
    """
    if tokens.ndim == 4:
        return tokens[0].permute(2, 0, 1)
    if tokens.ndim != 3:
        return None
    shape = grid_shape(tokens.shape[1], network, image)
    if shape is None:
        return None
    placed = tokens[0, tokens.shape[1] - shape[0] * shape[1] :]
    return placed.T.unflatten(1, shape)


def grid_shape(count: int, network: nn.Module, image: torch.Tensor) -> tuple[int, int] | None:
    """Rows and columns of the last of `count` tokens, those without a place come first;
    None where they have no grid of the image's proportions.
    """
    height, width = image.shape[1:]
    known = tokens_without_place(network)
    for before in range(count) if known is None else (known, 0):
        rows = round((max(0, count - before) * height / width) ** 0.5)
        columns = round(rows * width / height)
        if rows * columns == count - before > 1:
            return rows, columns
    return None


def tokens_without_place(network: nn.Module) -> int | None:
    """How many tokens (class, registers) stand before those of the patches; None where
    the network does not tell.
    """
    for module in network.modules():
        if isinstance(getattr(module, "num_prefix_tokens", None), int):  # timm
            return module.num_prefix_tokens
        if isinstance(getattr(module, "class_token", None), nn.Parameter):  # torchvision
            return 1
    return None
