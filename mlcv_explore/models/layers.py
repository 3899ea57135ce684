"""The layers of a network: its convolutions, and copies with the last layers
randomised.
"""

import copy

import torch
from torch import nn

from mlcv_explore.seeds import seeded

# of weights whose module has no initialisation of its own: class tokens, position embeddings, layer scales
INITIAL_STD = 0.02


def convolutions(network: nn.Module) -> dict[str, nn.Conv2d]:
    """The two-dimensional convolutions by name, in the order they were declared."""
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}


def layers(network: nn.Module) -> dict[str, tuple[str, ...]]:
    """Layer → its modules with weights, in the order of declaration, input first.

    A layer is a module with a matrix or a kernel; normalisations, which have only
    vectors, belong to the layer before them.
    """
    groups: dict[str, tuple[str, ...]] = {}
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if own and (not groups or max(parameter.ndim for parameter in own) > 1):
            groups[name] = (name,)
        elif own:
            last = next(reversed(groups))
            groups[last] += (name,)
    return groups


def randomised(network: nn.Module, layers_from_top: int, seed: int) -> nn.Module:
    """A copy whose last `layers_from_top` layers are re-initialised, weights and
    running statistics (cascading randomisation, Adebayo et al., 1810.03292).

    A layer's new weights depend on seed and layer alone: copies with k and k + 1 layers
    randomised differ in one layer. Raises ValueError when the network has fewer layers.
    """
    names = layers(network)
    if not 0 <= layers_from_top <= len(names):
        raise ValueError(f"layers_from_top must be between 0 and {len(names)}, got {layers_from_top}.")
    other = copy.deepcopy(network)
    for layer in list(names)[len(names) - layers_from_top :]:
        modules = [other.get_submodule(name) for name in names[layer]]
        seeded(
            seed, lambda modules=modules: [_reinitialise(module) for module in modules], f"randomised {layer}"
        )
    return other


@torch.no_grad()
def _reinitialise(module: nn.Module) -> None:
    # the second is attention's
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if reset is not None:
        reset()
        return
    for parameter in module.parameters(recurse=False):
        nn.init.trunc_normal_(parameter, std=INITIAL_STD)
