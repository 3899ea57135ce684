"""Contextual decomposition: how much of a network's logits a part of the image
contributes by itself.

Murdoch et al., 1801.05453; Singh et al., 1806.05337, which brought it to convolutions.

What enters a layer is relevant + irrelevant, and so is what leaves it. The rules, β the
relevant part, γ the rest:

- linear layers, convolutions, normalisations in evaluation mode: Wβ and Wγ; the bias is
  split as |Wβ| : |Wγ|, a unit at a time, and where both are nothing it is irrelevant (as
  in the authors' code);
- ReLU: β' = relu(β), γ' = relu(β + γ) − relu(β);
- maximum pooling: both parts where β + γ is largest;
- mean pooling, flattening, shortcuts: both parts alike.
"""

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.classifiers import Normalise, OneConvResidual, TwoConvResidual

Parts = tuple[torch.Tensor, torch.Tensor]  # (whole, relevant)
LINEAR_WHEN_EVALUATED = (nn.BatchNorm2d, nn.Dropout, nn.Dropout2d)


@torch.no_grad()
def decompose(
    network: nn.Sequential, whole: torch.Tensor, relevant: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Relevant and irrelevant part of the logits, each (B, K); their sum is
    `network(whole)` up to rounding.

    `whole` (B, …) is the network's input, or (1, …) where all parts are of one image,
    which then passes only once; `relevant` (B, …) is the part in question: the image
    times a mask. Nothing relevant gives relevant logits of exactly 0.
    Everything relevant gives irrelevant ones of 0, except for biases of units that
    nothing reaches: after a `Normalise` inside the network a black pixel is such a
    unit, so masks are better applied to the normalised image and `network[1:]`
    decomposed.

    Raises TypeError naming a module without a rule, ValueError for a network that is
    not in evaluation mode.
    """
    # a slice of a network reports that it trains
    if any(module.training for module in network.modules() if isinstance(module, LINEAR_WHEN_EVALUATED)):
        raise ValueError("A network must be in evaluation mode to be decomposed: call its eval().")
    logits, kept = _through(network, whole, relevant)
    return kept, logits - kept


def _through(module: nn.Module, whole: torch.Tensor, relevant: torch.Tensor) -> Parts:
    match module:
        case nn.Sequential():
            for layer in module:
                whole, relevant = _through(layer, whole, relevant)
            return whole, relevant
        case TwoConvResidual():
            return _added(
                (whole, relevant), _through(module.second, *_through(module.first, whole, relevant))
            )
        case OneConvResidual():
            return _added((whole, relevant), _through(module.only, whole, relevant))
        case nn.Linear():
            return _biased(
                functional.linear(whole, module.weight),
                functional.linear(relevant, module.weight),
                module.bias,
            )
        case nn.Conv2d():
            bias = None if module.bias is None else module.bias[:, None, None]
            return _biased(
                *(module._conv_forward(part, module.weight, None) for part in (whole, relevant)), bias
            )
        case nn.BatchNorm2d():
            scale = (module.running_var + module.eps).rsqrt() * (
                1 if module.weight is None else module.weight
            )
            bias = (0 if module.bias is None else module.bias) - scale * module.running_mean
            scale, bias = scale[:, None, None], bias[:, None, None]
            return _biased(scale * whole, scale * relevant, bias)
        case Normalise():
            return _biased(whole / module.std, relevant / module.std, -module.mean / module.std)
        case nn.ReLU():
            return whole.relu(), relevant.relu()
        case nn.MaxPool2d():
            options = (module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode)
            largest, places = functional.max_pool2d_with_indices(whole, *options)
            places = places.expand(len(relevant), *places.shape[1:])
            return largest, relevant.flatten(2).gather(2, places.flatten(2)).view(places.shape)
        case (
            nn.AvgPool2d()
            | nn.AdaptiveAvgPool2d()
            | nn.Flatten()
            | nn.Unflatten()
            | nn.Dropout()
            | nn.Dropout2d()
            | nn.Identity()
        ):
            return module(whole), module(relevant)
    raise TypeError(f"Contextual decomposition has no rule for {type(module).__name__}.")


def _biased(whole: torch.Tensor, relevant: torch.Tensor, bias: torch.Tensor | None) -> Parts:
    """Products with the weights → the same with the bias added, whole and in the
    relevant part's share.
    """
    if bias is None:
        return whole, relevant
    size, rest = relevant.abs(), (whole - relevant).abs()
    share = torch.where(size > 0, size / (size + rest), 0)
    return whole + bias, relevant + share * bias


def _added(one: Parts, other: Parts) -> Parts:
    return one[0] + other[0], one[1] + other[1]
